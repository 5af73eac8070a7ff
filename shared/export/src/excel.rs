//! Excel workbooks, a row at a time: a worksheet's rows wait in a temporary file and are packed at the end.

use std::borrow::Cow;
use std::collections::HashSet;
use std::env;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use rust_xlsxwriter::{ColNum, Format, RowNum, Url, Workbook, Worksheet, XlsxError};

use crate::Error;
use crate::cell::{Cell, Column, Kind, looks_like_formula};

/// How many rows a worksheet has below its header.
pub const MAX_ROWS: u32 = 1_048_575;
/// How long a text of a cell may be, in UTF-16 units. Longer ones are cut and say so.
pub const MAX_TEXT: usize = 32_767;
/// How many links a worksheet has. Unlike rows they are held in memory until the end, about 1.5 KB each, or
/// 100 MB for all. Those after them are written as text.
pub const MAX_LINKS: u32 = 65_530;

/// What stands at the end of a text that was cut.
const CUT: &str = "… [cut: a cell of Excel holds 32,767 characters]";
/// How long a web address may be, in UTF-16 units. Longer ones are written as text.
const MAX_URL: usize = 2_000;
/// How long a worksheet's name may be, in UTF-16 units.
const MAX_NAME: usize = 31;
/// From here on a whole number has more digits than Excel keeps. It is written as text.
const TOO_MANY_DIGITS: u64 = 1_000_000_000_000_000;
/// How narrow and wide columns are, in characters.
const WIDTHS: (usize, usize) = (8, 60);
/// What the filter's button needs beside a header, in characters.
const BUTTON: usize = 4;

pub(crate) struct Excel<W> {
    out: W,
    workbook: Workbook,
    folder: PathBuf,
    styles: Styles,
    /// In lower case, in which they must differ.
    names: HashSet<String>,
    open: Option<Open>,
}

/// The worksheet that rows go to.
struct Open {
    index: usize,
    /// The widest that each column has, in characters.
    widths: Vec<usize>,
    rows: RowNum,
    links: u32,
}

struct Styles {
    header: Format,
    integer: Format,
    percent: Format,
    date: Format,
    moment: Format,
    /// Keeps a text that looks like a formula from becoming one when somebody edits the cell.
    quoted: Format,
}

impl<W: Write + Send> Excel<W> {
    pub(crate) fn new(out: W, folder: Option<&Path>) -> Result<Self, Error> {
        let folder = folder.map_or_else(env::temp_dir, Path::to_owned);
        let mut workbook = Workbook::new();
        guard(&folder, || workbook.set_tempdir(&folder).map(|_| ()))?;
        Ok(Self {
            out,
            workbook,
            folder,
            styles: Styles {
                header: Format::new().set_bold(),
                integer: Format::new().set_num_format("0"),
                percent: Format::new().set_num_format("0.0%"),
                date: Format::new().set_num_format("yyyy-mm-dd"),
                moment: Format::new().set_num_format("yyyy-mm-dd hh:mm:ss"),
                quoted: Format::new().set_quote_prefix(),
            },
            names: HashSet::new(),
            open: None,
        })
    }

    pub(crate) fn begin(&mut self, name: &str, columns: &[Column]) -> Result<(), Error> {
        self.end()?;
        let name = unique(&legal(name), &mut self.names);
        let index = self.workbook.worksheets().len();
        let (workbook, header) = (&mut self.workbook, &self.styles.header);
        guard(&self.folder, || {
            let sheet = workbook.add_worksheet_with_constant_memory()?;
            sheet.set_name(name)?;
            sheet.set_freeze_panes(1, 0)?;
            for (col, column) in (0..).zip(columns) {
                sheet.write_string_with_format(0, col, fitting(&column.name), header)?;
            }
            Ok(())
        })?;
        self.open = Some(Open {
            index,
            widths: columns.iter().map(first_width).collect(),
            rows: 0,
            links: 0,
        });
        Ok(())
    }

    pub(crate) fn row(&mut self, cells: &[Cell]) -> Result<(), Error> {
        let open = self.open.as_mut().ok_or(Error::NoTable)?;
        let (workbook, styles) = (&mut self.workbook, &self.styles);
        guard(&self.folder, || {
            let sheet = workbook.worksheet_from_index(open.index)?;
            open.rows += 1;
            for (col, cell) in (0..).zip(cells) {
                open.write(sheet, col, cell, styles)?;
            }
            Ok(())
        })
    }

    /// What a worksheet has around all of its rows.
    fn end(&mut self) -> Result<(), Error> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let workbook = &mut self.workbook;
        guard(&self.folder, || {
            let sheet = workbook.worksheet_from_index(open.index)?;
            let mut last = 0;
            for (col, width) in (0..).zip(&open.widths) {
                let width = (*width).clamp(WIDTHS.0, WIDTHS.1);
                sheet.set_column_width(col, width as f64)?;
                last = col;
            }
            sheet.autofilter(0, 0, open.rows, last)?;
            Ok(())
        })
    }

    pub(crate) fn finish(mut self) -> Result<W, Error> {
        self.end()?;
        let (workbook, out) = (&mut self.workbook, &mut self.out);
        guard(&self.folder, || workbook.save_to_writer(&mut *out))?;
        self.out.flush()?;
        Ok(self.out)
    }
}

impl Open {
    fn write(
        &mut self,
        sheet: &mut Worksheet,
        col: ColNum,
        cell: &Cell,
        styles: &Styles,
    ) -> Result<(), XlsxError> {
        let row = self.rows;
        match cell {
            Cell::Text(text) => self.write_text(sheet, col, text, styles)?,
            Cell::Integer(number) if number.unsigned_abs() >= TOO_MANY_DIGITS => {
                self.write_text(sheet, col, &number.to_string(), styles)?;
            }
            Cell::Integer(number) => {
                self.widen(col, &number.to_string());
                sheet.write_number_with_format(row, col, *number as f64, &styles.integer)?;
            }
            Cell::Number(number) if number.is_finite() => {
                sheet.write_number(row, col, *number)?;
            }
            Cell::Percent(share) if share.is_finite() => {
                sheet.write_number_with_format(row, col, *share, &styles.percent)?;
            }
            Cell::Empty | Cell::Number(_) | Cell::Percent(_) => {}
            Cell::Bool(truth) => {
                sheet.write_boolean(row, col, *truth)?;
            }
            Cell::Date(day) if has_day(day.year()) => {
                sheet.write_datetime_with_format(row, col, *day, &styles.date)?;
            }
            Cell::Date(day) => self.write_text(sheet, col, &day.to_string(), styles)?,
            Cell::DateTime(moment) => {
                let civil = TimeZone::UTC.to_datetime(*moment);
                if has_day(civil.year()) {
                    sheet.write_datetime_with_format(row, col, civil, &styles.moment)?;
                } else {
                    self.write_text(sheet, col, &moment.to_string(), styles)?;
                }
            }
            Cell::Link(address) if self.links < MAX_LINKS && is_link(address) => {
                self.links += 1;
                self.widen(col, address);
                sheet.write_url(row, col, Url::new(address.as_str()))?;
            }
            Cell::Link(address) => self.write_text(sheet, col, address, styles)?,
        }
        Ok(())
    }

    fn write_text(
        &mut self,
        sheet: &mut Worksheet,
        col: ColNum,
        text: &str,
        styles: &Styles,
    ) -> Result<(), XlsxError> {
        let text = fitting(text);
        self.widen(col, &text);
        if looks_like_formula(&text) {
            sheet.write_string_with_format(self.rows, col, text, &styles.quoted)?;
        } else {
            sheet.write_string(self.rows, col, text)?;
        }
        Ok(())
    }

    fn widen(&mut self, col: ColNum, text: &str) {
        if let Some(width) = self.widths.get_mut(usize::from(col))
            && *width < WIDTHS.1
        {
            let first_line = text.lines().next().unwrap_or_default();
            *width = (*width).max(first_line.chars().take(WIDTHS.1).count() + 1);
        }
    }
}

/// Runs what the crate for Excel does. Where it cannot write to a temporary file, say because the disk is
/// full, it panics; that is an error like others.
fn guard<T>(folder: &Path, work: impl FnOnce() -> Result<T, XlsxError>) -> Result<T, Error> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(XlsxError::TempFileError(folder, source))) => Err(Error::Temporary {
            folder,
            source: Some(source),
        }),
        Ok(Err(XlsxError::IoError(error))) => Err(Error::Write(error)),
        Ok(Err(XlsxError::ZipError(error))) => Err(Error::Write(error.into())),
        Ok(Err(error)) => Err(Error::Workbook(error)),
        Err(_) => Err(Error::Temporary {
            folder: folder.to_owned(),
            source: None,
        }),
    }
}

/// What the column needs before there are rows.
fn first_width(column: &Column) -> usize {
    let cells = match column.kind {
        Kind::Date => 11,
        Kind::DateTime => 20,
        Kind::Integer | Kind::Number | Kind::Percent | Kind::Bool | Kind::Text | Kind::Link => 0,
    };
    cells.max(column.name.chars().take(WIDTHS.1).count() + BUTTON)
}

/// Excel's calendar.
fn has_day(year: i16) -> bool {
    (1900..=9999).contains(&year)
}

/// May people click it? Only what is sure to be a web address: for others Excel may refuse the workbook.
fn is_link(address: &str) -> bool {
    let Some((scheme, rest)) = address.split_once("://") else {
        return false;
    };
    (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"))
        && rest.starts_with(char::is_alphanumeric)
        && utf16_len(address) <= MAX_URL
        && !address
            .contains(|c: char| c == '\\' || c.is_whitespace() || c.is_control() || !allowed(c))
}

/// May XML have it?
fn allowed(c: char) -> bool {
    !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

/// The text as a cell can hold it: without what XML forbids, with Excel's line ends, not too long.
fn fitting(text: &str) -> Cow<'_, str> {
    let mut fitting = Cow::Borrowed(text);
    if text.contains(|c| c == '\r' || !allowed(c)) {
        let mut text = text.replace("\r\n", "\n").replace('\r', "\n");
        text.retain(allowed);
        fitting = Cow::Owned(text);
    }
    if utf16_len(&fitting) > MAX_TEXT {
        let start = cut(&fitting, MAX_TEXT - utf16_len(CUT));
        fitting = Cow::Owned(format!("{start}{CUT}"));
    }
    fitting
}

fn utf16_len(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The longest start of the text that has no more than so many UTF-16 units.
fn cut(text: &str, units: usize) -> &str {
    let mut length = 0;
    for (at, c) in text.char_indices() {
        length += c.len_utf16();
        if length > units {
            return &text[..at];
        }
    }
    text
}

/// The name as a worksheet may have it.
fn legal(name: &str) -> String {
    let name: String = name
        .chars()
        .filter(|c| !c.is_control() && allowed(*c))
        .map(|c| {
            if matches!(c, '[' | ']' | ':' | '*' | '?' | '/' | '\\') {
                '_'
            } else {
                c
            }
        })
        .collect();
    let edge = |c: char| c.is_whitespace() || c == '\'';
    let name = cut(name.trim_matches(edge), MAX_NAME).trim_end_matches(edge);
    // Excel keeps one name for itself.
    if name.eq_ignore_ascii_case("history") {
        format!("{name}_")
    } else if name.is_empty() {
        "Sheet".to_owned()
    } else {
        name.to_owned()
    }
}

/// The name, with a number behind it if another worksheet has it.
fn unique(name: &str, names: &mut HashSet<String>) -> String {
    let mut chosen = name.to_owned();
    let mut number = 1;
    while !names.insert(chosen.to_lowercase()) {
        number += 1;
        let end = format!(" ({number})");
        chosen = format!("{}{end}", cut(name, MAX_NAME - end.len()));
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_crate_is_a_temporary_file_that_cannot_be_written() {
        let folder = Path::new("/full");
        let full = || -> Result<(), XlsxError> { panic!("couldn't write to xml file") };
        let error = guard(folder, full).unwrap_err();
        assert!(
            error.to_string().contains("cannot be written in /full"),
            "{error}"
        );
        assert_eq!(guard(folder, || Ok(1)).unwrap(), 1);
    }
}
