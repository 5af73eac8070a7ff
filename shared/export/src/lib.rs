//! Tables as CSV, Excel and JSON, row by row: whoever exports holds one row at a time, the writer too.
//!
//! ```
//! use tatami_export::{Cell, Column, Format, Kind, Options, Sheet, write};
//!
//! let sheet = Sheet {
//!     name: "SLA breaches".to_owned(),
//!     columns: vec![Column::new("finding", Kind::Text), Column::new("days late", Kind::Integer)],
//!     rows: [vec![Cell::Text("SQL injection".to_owned()), Cell::Integer(3)]],
//! };
//! let csv = write(Format::Csv, &Options::default(), Vec::new(), [sheet])?;
//! assert_eq!(csv, b"finding,days late\r\nSQL injection,3\r\n");
//! # Ok::<(), tatami_export::Error>(())
//! ```

mod cell;
mod csv;
mod excel;
mod json;

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::PathBuf;

pub use cell::{Cell, Column, Kind};
pub use excel::{MAX_LINKS, MAX_ROWS, MAX_TEXT};

/// What an export is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180: commas, CRLF, one table.
    Csv,
    /// An Excel workbook, one worksheet a table.
    Xlsx,
    /// An array of objects, one table.
    Json,
}

impl Format {
    /// Reads `csv`, `xlsx` (or `excel`) or `json`, in upper or lower case.
    pub fn parse(text: &str) -> Result<Self, Error> {
        match text.trim().to_ascii_lowercase().as_str() {
            "csv" => Ok(Self::Csv),
            "xlsx" | "excel" => Ok(Self::Xlsx),
            "json" => Ok(Self::Json),
            _ => Err(Error::UnknownFormat(text.to_owned())),
        }
    }

    /// For the header `Content-Type`.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Json => "application/json",
        }
    }

    /// Of the file's name, without a dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Xlsx => "xlsx",
            Self::Json => "json",
        }
    }
}

/// What may differ between exports of the same format.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// A CSV file that people open in Excel: it begins with a byte order mark, without which Excel takes
    /// UTF-8 for something else, and texts are also kept from being formulas behind what Excel takes for
    /// the end of a cell where lists are separated by semicolons.
    pub csv_for_excel: bool,
    /// Where Excel's rows wait in an unnamed temporary file for each worksheet until the workbook is
    /// finished. Without it the system's folder, which is `/tmp` on Lambda (512 MB unless more is asked
    /// for). They take there about what the CSV file would, and some 30 bytes a cell.
    pub temp_dir: Option<PathBuf>,
}

/// A table and where its rows come from.
#[derive(Debug, Clone)]
pub struct Sheet<R> {
    /// Of the worksheet in Excel, where it's made legal and unique. Elsewhere only errors show it.
    pub name: String,
    /// What each row has, from left to right.
    pub columns: Vec<Column>,
    /// Each has one cell for each column.
    pub rows: R,
}

/// Why there is no export. What was written until then is of no use.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody knows that format.
    #[error("there is no export format \"{0}\": use csv, xlsx or json")]
    UnknownFormat(String),
    /// A table without columns.
    #[error("the table \"{sheet}\" has no columns: choose at least one")]
    NoColumns {
        /// The table's name.
        sheet: String,
    },
    /// JSON would have two values by one name.
    #[error("the table \"{sheet}\" has two columns \"{column}\": give each a name of its own")]
    DuplicateColumn {
        /// The table's name.
        sheet: String,
        /// The column's name.
        column: String,
    },
    /// A row before its table.
    #[error("a row was written before its table was begun: call begin() first")]
    NoTable,
    /// A row that is too short or too long.
    #[error(
        "row {row} of \"{sheet}\" has {found} cells instead of {expected}: fill gaps with empty ones"
    )]
    RowLength {
        /// The table's name.
        sheet: String,
        /// From 1, without the header.
        row: u64,
        /// How many columns there are.
        expected: usize,
        /// How many cells there are.
        found: usize,
    },
    /// A cell of another kind than its column.
    #[error(
        "row {row} of \"{sheet}\": \"{column}\" is a column of {expected:?} cells and this is {found:?}"
    )]
    WrongKind {
        /// The table's name.
        sheet: String,
        /// From 1, without the header.
        row: u64,
        /// The column's name.
        column: String,
        /// What the column holds.
        expected: Kind,
        /// What the cell is.
        found: Kind,
    },
    /// CSV and JSON hold one table.
    #[error("a {0} file holds one table: export each on its own, or all as xlsx", format.extension())]
    OneTable {
        /// The format.
        format: Format,
    },
    /// More than a worksheet can show.
    #[error(
        "\"{sheet}\" has more than the {MAX_ROWS} rows that a worksheet holds: filter it, or export csv or json"
    )]
    TooManyRows {
        /// The table's name.
        sheet: String,
    },
    /// The temporary files of a workbook.
    #[error(
        "a temporary file for the workbook cannot be written in {}: is the folder there, with space left?",
        folder.display()
    )]
    Temporary {
        /// Where it should be.
        folder: PathBuf,
        /// What the system says, where it says something.
        source: Option<io::Error>,
    },
    /// The export's own file or connection.
    #[error("the export cannot be written: {0}")]
    Write(#[from] io::Error),
    /// Something else that Excel's format doesn't have.
    #[error("the workbook cannot be made: {0}")]
    Workbook(rust_xlsxwriter::XlsxError),
}

/// Writes tables as somebody hands out their rows one by one, which may take its time in between.
///
/// Each table is begun once; what ends it is the next or the end.
pub struct Writer<W: Write + Send> {
    output: Output<W>,
    format: Format,
    table: Option<Table>,
}

/// The table that rows go to.
struct Table {
    name: String,
    columns: Vec<Column>,
    rows: u64,
}

enum Output<W: Write + Send> {
    Csv(Box<csv::Csv<W>>),
    Excel(Box<excel::Excel<W>>),
    Json(json::Json<W>),
}

impl<W: Write + Send> Writer<W> {
    /// Nothing is written before the first table.
    pub fn new(format: Format, options: &Options, out: W) -> Result<Self, Error> {
        let output = match format {
            Format::Csv => Output::Csv(Box::new(csv::Csv::new(out, options.csv_for_excel))),
            Format::Xlsx => Output::Excel(Box::new(excel::Excel::new(
                out,
                options.temp_dir.as_deref(),
            )?)),
            Format::Json => Output::Json(json::Json::new(out)),
        };
        Ok(Self {
            output,
            format,
            table: None,
        })
    }

    /// Begins a table, of which CSV and JSON have one and Excel any number.
    pub fn begin(&mut self, name: &str, columns: Vec<Column>) -> Result<(), Error> {
        if self.table.is_some() && self.format != Format::Xlsx {
            return Err(Error::OneTable {
                format: self.format,
            });
        }
        if columns.is_empty() {
            return Err(Error::NoColumns {
                sheet: name.to_owned(),
            });
        }
        let mut seen = HashSet::new();
        if let Some(twice) = columns.iter().find(|c| !seen.insert(c.name.as_str())) {
            return Err(Error::DuplicateColumn {
                sheet: name.to_owned(),
                column: twice.name.clone(),
            });
        }
        match &mut self.output {
            Output::Csv(csv) => csv.begin(&columns)?,
            Output::Excel(excel) => excel.begin(name, &columns)?,
            Output::Json(json) => json.begin(&columns)?,
        }
        self.table = Some(Table {
            name: name.to_owned(),
            columns,
            rows: 0,
        });
        Ok(())
    }

    /// Writes the next row: a cell for each column, of its kind or empty.
    pub fn row(&mut self, cells: &[Cell]) -> Result<(), Error> {
        let table = self.table.as_mut().ok_or(Error::NoTable)?;
        table.rows += 1;
        table.check(cells)?;
        match &mut self.output {
            Output::Csv(csv) => csv.row(cells),
            Output::Excel(excel) if table.rows <= u64::from(MAX_ROWS) => excel.row(cells),
            Output::Excel(_) => Err(Error::TooManyRows {
                sheet: table.name.clone(),
            }),
            Output::Json(json) => json.row(cells),
        }
    }

    /// Writes what is left, for Excel all of it, and gives back where it was written to. Without this the
    /// export is cut off.
    pub fn finish(self) -> Result<W, Error> {
        match self.output {
            Output::Csv(csv) => csv.finish(),
            Output::Excel(excel) => excel.finish(),
            Output::Json(json) => json.finish(),
        }
    }
}

impl Table {
    fn check(&self, cells: &[Cell]) -> Result<(), Error> {
        if cells.len() != self.columns.len() {
            return Err(Error::RowLength {
                sheet: self.name.clone(),
                row: self.rows,
                expected: self.columns.len(),
                found: cells.len(),
            });
        }
        for (column, cell) in self.columns.iter().zip(cells) {
            if let Some(found) = cell.kind().filter(|kind| *kind != column.kind) {
                return Err(Error::WrongKind {
                    sheet: self.name.clone(),
                    row: self.rows,
                    column: column.name.clone(),
                    expected: column.kind,
                    found,
                });
            }
        }
        Ok(())
    }
}

/// Writes tables whose rows are at hand, and gives back where it was written to.
pub fn write<W, S, R>(format: Format, options: &Options, out: W, sheets: S) -> Result<W, Error>
where
    W: Write + Send,
    S: IntoIterator<Item = Sheet<R>>,
    R: IntoIterator<Item = Vec<Cell>>,
{
    let mut writer = Writer::new(format, options, out)?;
    for sheet in sheets {
        writer.begin(&sheet.name, sheet.columns)?;
        for row in sheet.rows {
            writer.row(&row)?;
        }
    }
    writer.finish()
}
