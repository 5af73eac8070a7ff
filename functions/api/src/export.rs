//! Answers as tables to download.

use axum::response::{IntoResponse as _, Response};
use http::header;
use tatami_export::{Cell, Column, Format, Options, Sheet, write};

use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind};
use crate::query::Query;

/// The parameter that says in which format an answer is.
pub const FORMAT: Field = Field::new("format", Kind::Choice(&["json", "csv", "xlsx"]));

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
