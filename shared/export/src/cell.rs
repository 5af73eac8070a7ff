//! What a table is made of.

use jiff::Timestamp;
use jiff::civil::Date;

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its header, and its key in JSON.
    pub name: String,
    /// What its cells are, those apart that are empty.
    pub kind: Kind,
}

impl Column {
    /// A column of that name and kind.
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self {
            name: name.into(),
            kind,
        }
    }
}

/// What the cells of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text, which is never taken for anything else.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// A share of one, which Excel shows in percent.
    Percent,
    /// True or false.
    Bool,
    /// A day.
    Date,
    /// A moment, in UTC.
    DateTime,
    /// A web address.
    Link,
}

/// A cell of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Nothing: no text in CSV, null in JSON.
    Empty,
    /// Of a column of texts.
    Text(String),
    /// Of a column of whole numbers.
    Integer(i64),
    /// Of a column of numbers. What isn't finite is written as empty.
    Number(f64),
    /// Of a column of shares: 0.25 is 25 %. What isn't finite is written as empty.
    Percent(f64),
    /// Of a column of truths.
    Bool(bool),
    /// Of a column of days.
    Date(Date),
    /// Of a column of moments.
    DateTime(Timestamp),
    /// Of a column of web addresses. Only those by http and https can be clicked.
    Link(String),
}

impl Cell {
    /// The kind of column that it belongs to; an empty one belongs to any.
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Self::Empty => None,
            Self::Text(_) => Some(Kind::Text),
            Self::Integer(_) => Some(Kind::Integer),
            Self::Number(_) => Some(Kind::Number),
            Self::Percent(_) => Some(Kind::Percent),
            Self::Bool(_) => Some(Kind::Bool),
            Self::Date(_) => Some(Kind::Date),
            Self::DateTime(_) => Some(Kind::DateTime),
            Self::Link(_) => Some(Kind::Link),
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Cell {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<Date> for Cell {
    fn from(day: Date) -> Self {
        Self::Date(day)
    }
}

impl From<Timestamp> for Cell {
    fn from(moment: Timestamp) -> Self {
        Self::DateTime(moment)
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Empty, Into::into)
    }
}

/// May a spreadsheet take the text for a formula? Spreadsheets drop spaces and control characters before
/// one, and some take the wide signs of East Asian texts for the narrow ones.
pub(crate) fn looks_like_formula(text: &str) -> bool {
    text.starts_with(['\t', '\r', '\n'])
        || text
            .trim_start_matches(is_blank)
            .starts_with(begins_formula)
}

/// By which a formula begins.
pub(crate) fn begins_formula(c: char) -> bool {
    matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠')
}

/// Shows nothing by itself.
pub(crate) fn is_blank(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}
