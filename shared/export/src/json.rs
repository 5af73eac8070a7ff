//! JSON: an array of objects, one on each line.

use std::io::{self, BufWriter, Write};

use serde_json::to_writer;

use crate::Error;
use crate::cell::{Cell, Column};

pub(crate) struct Json<W: Write> {
    /// The texts between the values are many and small.
    out: BufWriter<W>,
    /// The names of the columns as JSON.
    keys: Vec<String>,
    rows: bool,
}

impl<W: Write> Json<W> {
    pub(crate) fn new(out: W) -> Self {
        Self {
            out: BufWriter::new(out),
            keys: Vec::new(),
            rows: false,
        }
    }

    pub(crate) fn begin(&mut self, columns: &[Column]) -> Result<(), Error> {
        self.keys = columns
            .iter()
            .map(|column| serde_json::Value::from(column.name.as_str()).to_string())
            .collect();
        self.out.write_all(b"[")?;
        Ok(())
    }

    pub(crate) fn row(&mut self, cells: &[Cell]) -> Result<(), Error> {
        let out = &mut self.out;
        out.write_all(if self.rows { b",\n" } else { b"\n" })?;
        self.rows = true;
        for (index, (key, cell)) in self.keys.iter().zip(cells).enumerate() {
            write!(out, "{}{key}:", if index == 0 { '{' } else { ',' })?;
            value(&mut *out, cell)?;
        }
        out.write_all(b"}")?;
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<W, Error> {
        let end: &[u8] = match (self.keys.is_empty(), self.rows) {
            (true, _) => b"[]\n",
            (false, false) => b"]\n",
            (false, true) => b"\n]\n",
        };
        self.out.write_all(end)?;
        self.out.flush()?;
        self.out
            .into_inner()
            .map_err(|error| Error::Write(error.into_error()))
    }
}

fn value(mut out: impl Write, cell: &Cell) -> io::Result<()> {
    match cell {
        Cell::Empty => out.write_all(b"null"),
        Cell::Text(text) | Cell::Link(text) => Ok(to_writer(out, text)?),
        Cell::Integer(number) => Ok(to_writer(out, number)?),
        // What isn't finite is null.
        Cell::Number(number) | Cell::Percent(number) => Ok(to_writer(out, number)?),
        Cell::Bool(truth) => Ok(to_writer(out, truth)?),
        Cell::Date(day) => write!(out, "\"{day}\""),
        Cell::DateTime(moment) => write!(out, "\"{moment}\""),
    }
}
