//! Answers as tables to download.

use axum::response::{IntoResponse as _, Response};
use http::header;
use jiff::Timestamp;
use serde_json::Value;
use tatami_export::{Cell, Column, Format, Kind, Options, Sheet, write};

use crate::error::{ApiError, Result};
use crate::fields::{self, Field};
use crate::query::Query;

/// The parameter that says in which format an answer is.
pub const FORMAT: Field = Field::new("format", fields::Kind::Choice(&["json", "csv", "xlsx"]));

/// The media types of the formats.
pub const EXPORTS: &[&str] = &[
    "application/json",
    "text/csv",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
];

/// In which format an answer is asked for; JSON where nobody says.
pub fn format(query: &Query) -> Result<Format> {
    let format = query.get(FORMAT.name).map(str::trim);
    let format = format.map_or(Ok(Format::Json), Format::parse);
    format.map_err(|error| ApiError::field(FORMAT.name, error.to_string()))
}

/// A table to download.
pub fn table(
    name: &str,
    columns: Vec<Column>,
    rows: impl IntoIterator<Item = Vec<Cell>>,
    format: Format,
) -> Result<Response> {
    let sheet = Sheet {
        name: name.to_owned(),
        columns,
        rows,
    };
    let options = Options {
        csv_for_excel: true,
        ..Options::default()
    };
    let bytes = write(format, &options, Vec::new(), [sheet]);
    let bytes = bytes.map_err(|error| ApiError::Internal(error.to_string()))?;
    let file = format!("attachment; filename=\"{name}.{}\"", format.extension());
    let headers = [
        (header::CONTENT_TYPE, format.media_type().to_owned()),
        (header::CONTENT_DISPOSITION, file),
    ];
    Ok((headers, bytes).into_response())
}

/// A value of an answer as a cell of a column of this kind; empty where it's none of that kind.
pub fn cell(value: &Value, kind: Kind) -> Cell {
    match (value, kind) {
        (Value::Bool(is), _) => Cell::from(*is),
        (Value::Number(n), Kind::Integer) => Cell::from(n.as_i64()),
        (Value::Number(n), _) => Cell::from(n.as_f64()),
        (Value::String(text), Kind::Date) => Cell::from(tatami_domain::parse_date(text)),
        (Value::String(text), Kind::DateTime) => Cell::from(text.parse::<Timestamp>().ok()),
        (Value::String(text), _) => Cell::from(text.as_str()),
        (Value::Array(texts), _) => {
            let texts: Vec<&str> = texts.iter().filter_map(Value::as_str).collect();
            Cell::from(texts.join(", "))
        }
        (Value::Null | Value::Object(_), _) => Cell::Empty,
    }
}
