//! Tables and JSON on standard output.

use std::io::{self, Write as _};

use comfy_table::{
    CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Row, TableStyle,
};
use serde::Serialize;

/// No lines but one below the header: columns are told apart by the space between them.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─'));

/// A table that fits the terminal; where there is no terminal, it is as wide as it must be.
pub struct Table {
    inner: comfy_table::Table,
    one_line: bool,
}

impl Table {
    /// A table with these columns.
    pub fn new<const N: usize>(columns: [&str; N]) -> Self {
        let mut inner = comfy_table::Table::new();
        inner
            .load_style(STYLE)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_header(columns);
        Self {
            inner,
            one_line: false,
        }
    }

    /// Cuts what is too long for its column, so that each row takes one line.
    pub fn one_line(mut self) -> Self {
        self.one_line = true;
        self
    }

    /// Columns of numbers.
    pub fn right(mut self, columns: &[usize]) -> Self {
        for column in columns {
            if let Some(column) = self.inner.column_mut(*column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        self
    }

    /// Columns that are never narrower than what is in them.
    pub fn whole(mut self, columns: &[usize]) -> Self {
        for column in columns {
            if let Some(column) = self.inner.column_mut(*column) {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        self
    }

    /// Adds a row. What a report says may hold line breaks and escape sequences: they go.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        let mut row = Row::from(cells.map(|cell| plain(&cell)));
        if self.one_line {
            row.max_height(1);
        }
        self.inner.add_row(row);
    }

    /// Prints it.
    pub fn print(&self) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        for line in self.inner.lines() {
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Prints a line.
pub fn print_line(line: &str) -> anyhow::Result<()> {
    writeln!(io::stdout().lock(), "{line}")?;
    Ok(())
}

/// Prints a value for machines.
pub fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    serde_json::to_writer_pretty(&mut out, value).map_err(io::Error::from)?;
    writeln!(out)?;
    out.flush()?;
    Ok(())
}

/// A text on one line that can do nothing to a terminal.
pub fn plain(text: &str) -> String {
    let is_unseen = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let words = text
        .split(|c: char| c.is_whitespace() || is_unseen(c))
        .filter(|w| !w.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// Has whoever reads our output heard enough, as `head` has?
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.root_cause().downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_report_says_does_nothing_to_the_terminal() {
        assert_eq!(plain("a\u{1b}[31mb\n  c\u{202e}d\t"), "a [31mb c d");
        assert_eq!(plain("Größe — ok"), "Größe — ok");
    }
}
