//! CSV reports: columns are found by their names, in any order and case.
//!
//! ```ignore
//! let mut rows = csv::Rows::open(report)?;
//! rows.require(&[&["Name", "Title"], &["Severity"]])?;
//! while let Some(row) = rows.next_row(sink)? {
//!     let title = row.get(&["Name", "Title"]);
//! }
//! ```
//!
//! The delimiter is the one of comma, semicolon, tab and bar that the header uses most (a first
//! line `sep=;` as Excel writes it has the last word). UTF-8 and UTF-16 are read with and without
//! a byte order mark; a row that isn't UTF-8 is read as Windows-1252. Where exporters write other
//! lines above the header, [`Rows::open_below`] finds it. Rows that were put into quotes once more,
//! each as a whole, are taken out of them.

use std::io::BufRead;
use std::mem;

use csv::{ByteRecord, Reader, ReaderBuilder, StringRecord};
use encoding_rs::WINDOWS_1252;

use super::source::{CUT_OFF, Source, empty, unreadable};
use crate::{Refusal, Report, Sink, Sniff, Warning};

/// The names of the columns.
#[derive(Debug, Clone, Default)]
pub struct Header {
    names: Vec<String>,
}

impl Header {
    /// The names as the report writes them, without white space around them.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Is there a column of one of these names?
    pub fn has(&self, names: &[&str]) -> bool {
        self.find(names).is_some()
    }

    /// Are all of these columns there?
    pub fn has_all(&self, names: &[&str]) -> bool {
        names.iter().all(|name| self.has(&[name]))
    }

    fn find(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|name| self.position(name))
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|n| n.eq_ignore_ascii_case(name))
    }
}

/// The header of what may be a CSV report, for detection. `None` where the head holds no whole
/// first line.
pub fn header_of<'s>(sniff: &'s Sniff<'_>) -> Option<&'s Header> {
    sniff.header(|| {
        let first = *sniff.bytes().trim_ascii_start().first()?;
        if matches!(first, b'<' | b'{' | b'[') {
            return None;
        }
        let report = Report::from_bytes(sniff.name(), sniff.bytes());
        Rows::open(report).ok().map(|rows| rows.header)
    })
}

/// As [`header_of`], for reports that [`Rows::open_below`] opens.
pub fn header_below(sniff: &Sniff<'_>, columns: &[&[&str]]) -> Option<Header> {
    header_of(sniff)?;
    let report = Report::from_bytes(sniff.name(), sniff.bytes());
    let rows = Rows::open_below(report, columns).ok()?;
    Some(rows.header)
}

/// How long a row may be, and how many columns it may have, before the report is no table but an attack.
const MAX_ROW: u64 = 8 * 1024 * 1024;
const MAX_COLUMNS: usize = 10_000;

/// Reads a CSV report row by row.
pub struct Rows<'a> {
    reader: Reader<Source<'a>>,
    delimiter: u8,
    /// Each row is one quoted field that holds the whole row.
    wrapped: bool,
    header: Header,
    required: Vec<usize>,
    bytes: ByteRecord,
    text: StringRecord,
    number: u64,
}

/// One row; fields are looked up by the names of their columns.
#[derive(Clone, Copy)]
pub struct Row<'r> {
    header: &'r Header,
    fields: &'r StringRecord,
    number: u64,
}

impl<'a> Rows<'a> {
    /// Opens a report and reads its header.
    pub fn open(report: Report<'a>) -> Result<Self, Refusal> {
        if report.is_empty() {
            return Err(empty());
        }
        let mut source = Source::bytes(report).with_pieces_up_to(MAX_ROW);
        let delimiter = match source.fill_buf() {
            Ok(head) => {
                let (delimiter, skip) = delimiter_of(head);
                source.consume(skip);
                delimiter
            }
            Err(error) => return Err(unreadable(&error, source.position())),
        };
        let reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(64 * 1024)
            .from_reader(source);
        let mut rows = Self {
            reader,
            delimiter,
            wrapped: false,
            header: Header::default(),
            required: Vec::new(),
            bytes: ByteRecord::new(),
            text: StringRecord::new(),
            number: 0,
        };
        if !rows.read()? {
            return Err(Refusal::new("the report has no header line").at(1, 1));
        }
        rows.is_last()?;
        rows.take_header();
        Ok(rows)
    }

    /// As [`Rows::open`] and [`Rows::require`], for exporters that write lines of their own above
    /// the header: the header is the first row that has all of these columns.
    pub fn open_below(report: Report<'a>, columns: &[&[&str]]) -> Result<Self, Refusal> {
        let mut rows = Self::open(report)?;
        let first = rows.header.clone();
        for _ in 0..ABOVE_HEADER {
            if columns.iter().all(|names| rows.header.has(names)) {
                rows.require(columns)?;
                return Ok(rows);
            }
            if !rows.read()? {
                break;
            }
            rows.is_last()?;
            rows.take_header();
        }
        rows.header = first;
        // Says which columns the first row lacks.
        rows.require(columns)?;
        Ok(rows)
    }

    fn take_header(&mut self) {
        if let Some(fields) = wrapped_fields(&self.text, self.delimiter) {
            self.text = fields;
            self.wrapped = true;
        }
        let names = self.text.iter().map(|n| n.trim().to_owned());
        self.header.names = names.collect();
    }

    /// The columns of the report.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Refuses the report unless of each group of names (a column and its aliases) one is there.
    /// A row that ends before such a column is left out with a warning.
    pub fn require(&mut self, columns: &[&[&str]]) -> Result<(), Refusal> {
        let mut missing = Vec::new();
        for names in columns {
            match self.header.find(names) {
                Some(at) => self.required.push(at),
                None => missing.push(format!("\"{}\"", names.join("\" or \""))),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let plural = if missing.len() == 1 { "" } else { "s" };
        let there: Vec<String> = (self.header.names.iter().take(12))
            .map(|name| name.chars().take(40).collect())
            .collect();
        let message = format!(
            "the CSV header lacks the column{plural} {}",
            missing.join(", ")
        );
        Err(Refusal::new(message)
            .at(1, 0)
            .hint(format!("it begins with: {}", there.join(", "))))
    }

    /// The next row that has something in it; what cannot be read is told to `sink` and left out.
    pub fn next_row(&mut self, sink: &mut dyn Sink) -> Result<Option<Row<'_>>, Refusal> {
        loop {
            if !self.read()? {
                return Ok(None);
            }
            if self.text.iter().all(str::is_empty) {
                continue;
            }
            if let Some(message) = self.broken()? {
                sink.warning(Warning {
                    record: format!("row {}", self.number),
                    message,
                });
                continue;
            }
            return Ok(Some(Row {
                header: &self.header,
                fields: &self.text,
                number: self.number,
            }));
        }
    }

    fn read(&mut self) -> Result<bool, Refusal> {
        self.reader.get_mut().begin_piece();
        self.bytes = mem::take(&mut self.text).into_byte_record();
        match self.reader.read_byte_record(&mut self.bytes) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(error) => {
                let line = self.reader.position().line();
                return Err(Refusal::new(format!("the report cannot be read: {error}")).at(line, 0));
            }
        }
        self.number += 1;
        if self.bytes.len() > MAX_COLUMNS {
            let line = self.reader.position().line();
            let message = format!("row {} has more than {MAX_COLUMNS} columns", self.number);
            return Err(Refusal::new(message).at(line, 0));
        }
        self.text = match StringRecord::from_byte_record(mem::take(&mut self.bytes)) {
            Ok(text) => text,
            Err(error) => {
                let bytes = error.into_byte_record();
                (bytes.iter())
                    .map(|field| WINDOWS_1252.decode_without_bom_handling(field).0)
                    .collect()
            }
        };
        if self.wrapped
            && let Some(fields) = wrapped_fields(&self.text, self.delimiter)
        {
            self.text = fields;
        }
        Ok(true)
    }

    /// Is there nothing behind the row that was read? Refuses a report that ends inside of it.
    fn is_last(&mut self) -> Result<bool, Refusal> {
        let read = self.reader.position().byte();
        let source = self.reader.get_mut();
        let is_last = match source.at_end() {
            Ok(at_end) => at_end && source.offset() == read,
            Err(error) => return Err(unreadable(&error, source.position())),
        };
        if is_last && source.quotes() % 2 == 1 {
            let at = source.position();
            let message = format!("row {} ends inside a quoted field", self.number);
            return Err(Refusal::new(message).at(at.line, at.column).hint(CUT_OFF));
        }
        Ok(is_last)
    }

    /// What is wrong with a row that is shorter than the header, if anything: exporters that leave
    /// out empty fields at the end of a row do no harm.
    fn broken(&mut self) -> Result<Option<String>, Refusal> {
        let (have, all) = (self.text.len(), self.header.names.len());
        if have >= all {
            return Ok(None);
        }
        let message = format!("has {have} columns where the header has {all}");
        if self.is_last()? && self.reader.get_ref().last_byte() != b'\n' {
            return Ok(Some(format!("the last row {message}; {CUT_OFF}")));
        }
        let lacks = self.required.iter().any(|at| *at >= have);
        Ok(lacks.then_some(message))
    }
}

impl<'r> Row<'r> {
    /// The field of the first of these columns that holds something, without white space around it.
    pub fn get(&self, names: &[&str]) -> Option<&'r str> {
        (names.iter())
            .filter_map(|name| self.fields.get(self.header.position(name)?))
            .map(str::trim)
            .find(|field| !field.is_empty())
    }

    /// The field of the first of these columns that the report has, as it stands there.
    pub fn raw(&self, names: &[&str]) -> Option<&'r str> {
        self.fields.get(self.header.find(names)?)
    }

    /// As spreadsheets count: the header is row 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// A warning about this row.
    pub fn warning(&self, message: impl Into<String>) -> Warning {
        Warning {
            record: format!("row {}", self.number),
            message: message.into(),
        }
    }
}

/// How many rows may stand above a header.
const ABOVE_HEADER: usize = 50;

/// The fields in the one field of a row that was put into quotes as a whole, as in
/// `"1,""two"",""three"""`. Quotes inside of the inner fields may stand as they are, so a field ends
/// only where the next one begins.
fn wrapped_fields(row: &StringRecord, delimiter: u8) -> Option<StringRecord> {
    let mut rest = row.get(0).filter(|_| row.len() == 1)?;
    let delimiter = char::from(delimiter);
    let next = format!("\"{delimiter}\"");
    if !rest.contains(&next[1..]) {
        return None;
    }
    let mut fields = StringRecord::new();
    loop {
        let split = match rest.strip_prefix('"') {
            // The next field keeps its opening quote.
            Some(quoted) => match quoted.find(&next) {
                Some(end) => Ok((&quoted[..end], &quoted[end + next.len() - 1..])),
                None => Err(quoted.trim_end().strip_suffix('"').unwrap_or(quoted)),
            },
            None => rest.split_once(delimiter).ok_or(rest),
        };
        match split {
            Ok((field, after)) => {
                fields.push_field(&field.replace("\"\"", "\""));
                rest = after;
            }
            Err(last) => {
                fields.push_field(&last.replace("\"\"", "\""));
                return Some(fields);
            }
        }
    }
}

const CANDIDATES: [u8; 4] = [b',', b';', b'\t', b'|'];

/// The delimiter, and how many bytes to skip for a `sep=` line.
fn delimiter_of(head: &[u8]) -> (u8, usize) {
    if let Some([delimiter, rest @ ..]) = head.strip_prefix(b"sep=") {
        for line_end in [&b"\r\n"[..], b"\n", b"\r"] {
            if rest.starts_with(line_end) {
                return (*delimiter, b"sep=;".len() + line_end.len());
            }
        }
    }
    let mut counts = [0_usize; 4];
    let mut quoted = false;
    for byte in head {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' | b'\r' if !quoted && counts.iter().any(|n| *n > 0) => break,
            _ if quoted => {}
            _ => {
                if let Some(at) = CANDIDATES.iter().position(|c| c == byte) {
                    counts[at] += 1;
                }
            }
        }
    }
    let most = counts.iter().copied().max().unwrap_or(0);
    let at = counts.iter().position(|n| *n == most).unwrap_or(0);
    (CANDIDATES[at], 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Collected;

    fn rows(bytes: &[u8]) -> (Vec<Option<String>>, Collected) {
        let mut sink = Collected::default();
        let mut rows = Rows::open(Report::from_bytes("r.csv", bytes)).unwrap();
        rows.require(&[&["Name", "Title"], &["Risk"]]).unwrap();
        let mut names = Vec::new();
        while let Some(row) = rows.next_row(&mut sink).unwrap() {
            names.push(row.get(&["Name", "Title"]).map(str::to_owned));
        }
        (names, sink)
    }

    #[test]
    fn columns_are_found_by_any_of_their_names() {
        let names = vec![Some("a".to_owned()), None];
        for text in [
            "title,RISK,x\na,High,1\n,Low,2\n",
            "x;Risk;\"Title \"\n1;High;a\n2;Low;\n",
            "Risk\tTitle\tx\r\nHigh\t a \t1\r\nLow\t\t\r\n",
            "sep=|\r\nrisk|name\r\nHigh|a\r\nLow|",
        ] {
            assert_eq!(rows(text.as_bytes()).0, names, "{text}");
            let marked = format!("\u{FEFF}{text}");
            assert_eq!(rows(marked.as_bytes()).0, names, "{text}");
            let wide: Vec<u8> = marked.encode_utf16().flat_map(u16::to_le_bytes).collect();
            assert_eq!(rows(&wide).0, names, "{text}");
        }
    }

    #[test]
    fn rows_that_are_not_utf8_are_windows_1252() {
        let (names, _) = rows(b"Name,Risk\ncaf\xE9,High\n\x80,Low\nok,Low\n");
        assert_eq!(names[0].as_deref(), Some("café"));
        assert_eq!(names[1].as_deref(), Some("€"));
        assert_eq!(names[2].as_deref(), Some("ok"));
    }

    #[test]
    fn a_broken_row_is_a_warning_and_the_rest_stays() {
        let (names, sink) = rows(b"Name,Risk,x\na,High,1\nb\n\nc,Low\nd,Low,2,3\n");
        let names: Vec<_> = names.into_iter().flatten().collect();
        assert_eq!(names, ["a", "c", "d"]);
        assert_eq!(sink.warnings.len(), 1);
        assert_eq!(sink.warnings[0].record, "row 3");
        let (names, sink) = rows(b"Name,Risk,x\na,High,1\nb,Hi");
        assert_eq!(names.len(), 1);
        assert!(sink.warnings[0].message.contains("cut off"));
    }

    #[test]
    fn lines_above_the_header_are_left_out() {
        let below = |text: &str| {
            let mut rows = Rows::open_below(
                Report::from_bytes("r.csv", text.as_bytes()),
                &[&["Name", "Title"], &["Risk"]],
            )?;
            let mut sink = Collected::default();
            let mut seen = Vec::new();
            while let Some(row) = rows.next_row(&mut sink)? {
                seen.push((row.number(), row.get(&["Title"]).map(str::to_owned)));
            }
            assert_eq!(sink.warnings, []);
            Ok::<_, Refusal>(seen)
        };
        let seen = vec![(4, Some("a".to_owned())), (5, Some("b, c".to_owned()))];
        let preamble = "\"A report\",\"2026\"\n\n\"us\"\n";
        let text = format!("{preamble}Title,Risk,x\na,High,1\n\"b, c\",Low\n");
        assert_eq!(below(&text).unwrap(), seen);
        let names = [&["Title"][..], &["x"]];
        let header = header_below(&Sniff::new("r", text.as_bytes()), &names).unwrap();
        assert_eq!(header.names(), ["Title", "Risk", "x"]);
        assert!(header_below(&Sniff::new("r", text.as_bytes()), &[&["y"]]).is_none());

        let refusal = below("a,b\nc,Risk\n").unwrap_err();
        assert!(
            refusal.message.contains("\"Name\" or \"Title\", \"Risk\""),
            "{refusal}"
        );
        assert!(refusal.to_string().contains("a, b"), "{refusal}");
        let far = format!("{}Title,Risk\n", "a,b\n".repeat(ABOVE_HEADER));
        assert!(below(&far).is_err());
    }

    #[test]
    fn rows_in_quotes_as_a_whole_are_taken_out_of_them() {
        let text = "\"Title,\"\"Risk\"\",\"\"Text\"\"\"\n\
            \"a,\"\"High\"\",\"\"cols=\"\"3\"\"\nsays \"\"\"\"x\"\"\"\", or\"\"\"\n\
            \"b,\"\"\"\",\"\"\"\"\"\n\
            c,Low,plain\n";
        let mut rows = Rows::open(Report::from_bytes("r.csv", text.as_bytes())).unwrap();
        rows.require(&[&["Title"], &["Risk"]]).unwrap();
        let mut sink = Collected::default();
        let mut seen = Vec::new();
        while let Some(row) = rows.next_row(&mut sink).unwrap() {
            let field = |name| row.raw(&[name]).unwrap().to_owned();
            seen.push(["Title", "Risk", "Text"].map(field));
        }
        let third = "cols=\"3\"\nsays \"x\", or";
        assert_eq!(
            seen,
            [["a", "High", third], ["b", "", ""], ["c", "Low", "plain"]]
        );
        assert_eq!(sink.warnings, []);
    }

    #[test]
    fn what_is_no_such_report_is_refused() {
        let open = |bytes| Rows::open(Report::from_bytes("r.csv", bytes)).map(|_| ());
        assert!(open(b"").is_err());
        assert!(open(b"\n\n").is_err());
        let mut other = Rows::open(Report::from_bytes("r.csv", b"a,b\n1,2\n")).unwrap();
        let refusal = other.require(&[&["Name", "Title"], &["b"]]).unwrap_err();
        assert!(
            refusal.message.contains("\"Name\" or \"Title\""),
            "{refusal}"
        );
        let cut = b"Name,Risk,x\na,High,1\nb,Low,2\n\"c, and";
        let mut rows = Rows::open(Report::from_bytes("r.csv", cut)).unwrap();
        let mut sink = Collected::default();
        assert!(rows.next_row(&mut sink).unwrap().is_some());
        assert!(rows.next_row(&mut sink).unwrap().is_some());
        let refusal = rows.next_row(&mut sink).map(|_| ()).unwrap_err();
        assert!(refusal.to_string().contains("cut off"), "{refusal}");
        let refusal = Rows::open(Report::from_bytes("r.csv", b"Name,\"Ris")).map(|_| ());
        assert!(refusal.unwrap_err().to_string().contains("cut off"));
    }
}
