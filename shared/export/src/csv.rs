//! CSV as RFC 4180 has it, with texts that no spreadsheet runs.

use std::borrow::Cow;
use std::io::{self, Write};

use csv::{Terminator, WriterBuilder};

use crate::Error;
use crate::cell::{Cell, Column, begins_formula, is_blank, looks_like_formula};

pub(crate) struct Csv<W: Write> {
    records: csv::Writer<Marked<W>>,
    for_excel: bool,
}

impl<W: Write> Csv<W> {
    pub(crate) fn new(out: W, for_excel: bool) -> Self {
        let out = Marked {
            out,
            mark: for_excel,
        };
        Self {
            records: WriterBuilder::new()
                .terminator(Terminator::CRLF)
                .from_writer(out),
            for_excel,
        }
    }

    pub(crate) fn begin(&mut self, columns: &[Column]) -> Result<(), Error> {
        for column in columns {
            let name = harmless(&column.name, self.for_excel);
            self.records
                .write_field(name.as_bytes())
                .map_err(io_error)?;
        }
        self.end_row()
    }

    pub(crate) fn row(&mut self, cells: &[Cell]) -> Result<(), Error> {
        for cell in cells {
            let text = text_of(cell, self.for_excel);
            self.records
                .write_field(text.as_bytes())
                .map_err(io_error)?;
        }
        self.end_row()
    }

    fn end_row(&mut self) -> Result<(), Error> {
        self.records.write_record(None::<&[u8]>).map_err(io_error)
    }

    pub(crate) fn finish(self) -> Result<W, Error> {
        let mut marked = self
            .records
            .into_inner()
            .map_err(csv::IntoInnerError::into_error)?;
        marked.out.flush()?;
        Ok(marked.out)
    }
}

/// Puts the byte order mark before the first bytes.
struct Marked<W> {
    out: W,
    mark: bool,
}

impl<W: Write> Write for Marked<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.mark {
            self.out.write_all("\u{feff}".as_bytes())?;
            self.mark = false;
        }
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn text_of(cell: &Cell, for_excel: bool) -> Cow<'_, str> {
    match cell {
        Cell::Text(text) | Cell::Link(text) => harmless(text, for_excel),
        Cell::Integer(number) => Cow::Owned(number.to_string()),
        Cell::Number(number) | Cell::Percent(number) if number.is_finite() => {
            Cow::Owned(number.to_string())
        }
        Cell::Empty | Cell::Number(_) | Cell::Percent(_) => Cow::Borrowed(""),
        Cell::Bool(truth) => Cow::Borrowed(if *truth { "true" } else { "false" }),
        Cell::Date(day) => Cow::Owned(day.to_string()),
        Cell::DateTime(moment) => Cow::Owned(moment.to_string()),
    }
}

/// The text, with a single quote before what a spreadsheet may take for a formula.
fn harmless(text: &str, for_excel: bool) -> Cow<'_, str> {
    let quote = looks_like_formula(text);
    if for_excel && text.contains([';', '\t', '\r', '\n']) {
        return Cow::Owned(harmless_pieces(text, quote));
    }
    if quote {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Where Excel's lists are separated by semicolons, a comma separates nothing and the quotes around a text
/// stand in the middle of a cell, so that they hold nothing together: a semicolon or line break within the
/// text ends the cell, and what follows may be a formula.
fn harmless_pieces(text: &str, quote: bool) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    if quote {
        out.push('\'');
    }
    let mut at_start = false;
    for c in text.chars() {
        if at_start && begins_formula(c) {
            out.push('\'');
        }
        at_start = matches!(c, ';' | '\t' | '\r' | '\n') || at_start && (is_blank(c) || c == '"');
        out.push(c);
    }
    out
}

fn io_error(error: csv::Error) -> Error {
    Error::Write(error.into())
}
