//! EPSS scores, as FIRST publishes them once a day in `epss_scores-YYYY-MM-DD.csv.gz`.
//!
//! ```text
//! #model_version:v2025.03.14,score_date:2026-11-29T12:00:00Z
//! cve,epss,percentile
//! CVE-1999-0001,0.03351,0.87435
//! ```
//!
//! Facts that the reader knows about: since 2026 there are some 350,000 rows, 10 MB of text; files up to
//! 2025 write the offset as `+0000`; the gzip file may have several members, the comment in the first
//! and the rows in the second; files before February 2022 have no comment, those before September 2021
//! no percentile (these aren't read).

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use thiserror::Error;

use crate::Cve;
use crate::cve::CveTable;
use crate::input::{Capped, Warnings, excerpt, instant};

/// How likely a vulnerability is exploited in the next 30 days, and where that stands among all.
///
/// Both have five decimals where they are published, and are kept as whole numbers of these. The order
/// is that of the scores, then of the percentiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Score {
    score: u32,
    percentile: u32,
}

impl Score {
    /// One, in the unit in which scores are kept.
    pub(crate) const ONE: u32 = 100_000;

    pub(crate) fn new(score: u32, percentile: u32) -> Option<Self> {
        (score <= Self::ONE && percentile <= Self::ONE).then_some(Self { score, percentile })
    }

    /// Probability, 0 to 1: the very number that is published.
    pub fn score(self) -> f64 {
        f64::from(self.score) / f64::from(Self::ONE)
    }

    /// Share of all vulnerabilities whose score is this or lower, 0 to 1.
    pub fn percentile(self) -> f64 {
        f64::from(self.percentile) / f64::from(Self::ONE)
    }

    pub(crate) const fn units(self) -> (u32, u32) {
        (self.score, self.percentile)
    }
}

/// The scores of one day, by CVE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scores {
    pub(crate) score_date: Option<Timestamp>,
    pub(crate) model_version: String,
    pub(crate) table: CveTable<Score>,
}

impl Scores {
    /// The longest name of a model that is kept, in bytes.
    pub(crate) const MAX_MODEL: usize = 100;

    /// When the scores were reckoned; none where the file doesn't say.
    pub const fn score_date(&self) -> Option<Timestamp> {
        self.score_date
    }

    /// The model, such as `v2025.03.14`: scores of two models can't be compared. Empty where the file
    /// doesn't say.
    pub fn model_version(&self) -> &str {
        &self.model_version
    }

    /// How many CVEs have a score; never 0.
    #[allow(clippy::len_without_is_empty, reason = "a table is never empty")]
    pub fn len(&self) -> usize {
        self.table.cves.len()
    }

    /// The score of a CVE.
    pub fn get(&self, cve: Cve) -> Option<Score> {
        self.table.get(cve).copied()
    }
}

/// A file of scores that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epss {
    /// The scores. A CVE that comes twice has the score of its last row.
    pub scores: Scores,
    /// Rows that were left out.
    pub warnings: Warnings,
}

/// Why a file of scores cannot be used.
#[derive(Debug, Error)]
pub enum EpssError {
    /// The bytes end or cannot be unpacked: the download was cut off, or is no gzip file.
    #[error("EPSS scores: cannot read line {line}: {source}")]
    Read {
        /// From 1.
        line: u64,
        /// What the reader says.
        source: io::Error,
    },
    /// It isn't this kind of file: an error page, or the format has changed.
    #[error("EPSS scores: line {line} should name the columns cve, epss and percentile: {found}")]
    Columns {
        /// From 1.
        line: u64,
        /// What is there instead, cut.
        found: String,
    },
    /// There is nothing in it that can be used.
    #[error("EPSS scores: none in {lines} lines, {bad} bad ones; {first}")]
    Empty {
        /// How many lines there are.
        lines: u64,
        /// How many rows could not be read.
        bad: usize,
        /// What is wrong with the first bad one.
        first: String,
    },
    /// More than one row in a hundred cannot be read.
    #[error("EPSS scores: {bad} of {rows} rows are bad; {first}")]
    Bad {
        /// How many rows could not be read.
        bad: usize,
        /// How many rows there are.
        rows: usize,
        /// What is wrong with the first bad one.
        first: String,
    },
    /// A line is far longer than a row can be.
    #[error("EPSS scores: line {line} has more than {limit} bytes")]
    LongLine {
        /// From 1.
        line: u64,
        /// In bytes.
        limit: u64,
    },
    /// The file is larger, once unpacked, than is read.
    #[error("EPSS scores: more than {limit} bytes of text, at line {line}")]
    TooLarge {
        /// From 1.
        line: u64,
        /// In bytes.
        limit: u64,
    },
    /// There are more rows than are read.
    #[error("EPSS scores: more than {limit} rows")]
    TooManyRows {
        /// In rows.
        limit: usize,
    },
}

/// What is read at most.
#[derive(Clone, Copy)]
struct Limits {
    /// Unpacked, in bytes.
    bytes: u64,
    rows: usize,
    /// In bytes.
    line: u64,
}

const LIMITS: Limits = Limits {
    bytes: 256 << 20,
    rows: 2_000_000,
    line: 4096,
};

/// Reads a file of scores, packed with gzip or not, a line at a time.
///
/// A bad row is left out and counted, unless there are many. Numbers with more than five decimals are
/// rounded. At most 256 MB of text, 2 million rows and 4,096 bytes in a line are read.
pub fn read_epss(input: impl Read) -> Result<Epss, EpssError> {
    read_within(input, LIMITS)
}

fn read_within(input: impl Read, limits: Limits) -> Result<Epss, EpssError> {
    let input = unpacked(input).map_err(|source| EpssError::Read { line: 1, source })?;
    let mut lines = Lines {
        input: BufReader::new(Capped::new(input, limits.bytes)),
        limits,
        at: 0,
        line: Vec::new(),
    };
    let mut comment = Comment::default();
    let columns = read_columns(&mut lines, &mut comment)?;
    let mut warnings = Warnings::default();
    let mut rows = Vec::new();
    while let Some((at, line)) = lines.next()? {
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        if rows.len() + warnings.bad == limits.rows {
            return Err(EpssError::TooManyRows { limit: limits.rows });
        }
        match columns.row(line) {
            Ok(row) => rows.push(row),
            Err(what) => warnings.add(|| {
                let found = excerpt(&String::from_utf8_lossy(line));
                format!("line {at}: {what}: {found}")
            }),
        }
    }
    let (bad, first) = (warnings.bad, warnings.first());
    if rows.is_empty() {
        let lines = lines.at;
        return Err(EpssError::Empty { lines, bad, first });
    }
    let total = rows.len() + bad;
    if warnings.too_many(total) {
        let rows = total;
        return Err(EpssError::Bad { bad, rows, first });
    }
    Ok(Epss {
        scores: Scores {
            score_date: comment.score_date,
            model_version: comment.model_version,
            table: CveTable::from_rows(rows),
        },
        warnings,
    })
}

/// The text of the file: gzip is known by its first two bytes.
fn unpacked(mut input: impl Read) -> io::Result<impl Read> {
    let mut magic = Vec::with_capacity(2);
    input.by_ref().take(2).read_to_end(&mut magic)?;
    let packed = magic == [0x1f, 0x8b];
    let input = Cursor::new(magic).chain(input);
    Ok(if packed {
        Text::Packed(Box::new(MultiGzDecoder::new(input)))
    } else {
        Text::Plain(input)
    })
}

enum Text<R> {
    Packed(Box<MultiGzDecoder<R>>),
    Plain(R),
}

impl<R: Read> Read for Text<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Packed(text) => text.read(buffer),
            Self::Plain(text) => text.read(buffer),
        }
    }
}

struct Lines<R> {
    input: BufReader<R>,
    limits: Limits,
    /// Number of the line that was read last, from 1.
    at: u64,
    line: Vec<u8>,
}

impl<R: Read> Lines<R> {
    /// The next line and its number, without white space at its ends.
    fn next(&mut self) -> Result<Option<(u64, &[u8])>, EpssError> {
        let (line, limit) = (self.at + 1, self.limits.line);
        self.line.clear();
        // with its end, and one byte more, by which too long a line is known
        let mut input = self.input.by_ref().take(limit + 2);
        let read = match input.read_until(b'\n', &mut self.line) {
            Ok(read) => read,
            Err(source) if source.kind() == io::ErrorKind::FileTooLarge => {
                let limit = self.limits.bytes;
                return Err(EpssError::TooLarge { line, limit });
            }
            Err(source) => return Err(EpssError::Read { line, source }),
        };
        if read == 0 {
            return Ok(None);
        }
        let text = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        if text.len() as u64 > limit {
            return Err(EpssError::LongLine { line, limit });
        }
        self.at = line;
        Ok(Some((line, text.trim_ascii())))
    }
}

/// What the comments above the columns say.
#[derive(Default)]
struct Comment {
    score_date: Option<Timestamp>,
    model_version: String,
}

impl Comment {
    fn read(&mut self, line: &str) {
        let parts = line.trim_start_matches('#').split(',');
        for (name, value) in parts.filter_map(|part| part.split_once(':')) {
            let value = value.trim();
            match name.trim() {
                "score_date" => self.score_date = instant(value),
                "model_version" => {
                    let end = value.floor_char_boundary(Scores::MAX_MODEL);
                    value[..end].clone_into(&mut self.model_version);
                }
                _ => {}
            }
        }
    }
}

/// Reads the comments and the line that names the columns.
fn read_columns<R: Read>(
    lines: &mut Lines<R>,
    comment: &mut Comment,
) -> Result<Columns, EpssError> {
    while let Some((at, line)) = lines.next()? {
        let line = String::from_utf8_lossy(line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line));
        if line.starts_with('#') {
            comment.read(&line);
        } else if !line.is_empty() {
            return Columns::read(&line).ok_or_else(|| EpssError::Columns {
                line: at,
                found: excerpt(&line),
            });
        }
    }
    Err(EpssError::Empty {
        lines: lines.at,
        bad: 0,
        first: "no line names the columns".to_owned(),
    })
}

/// In which column of a row is what, from 0.
struct Columns {
    cve: usize,
    score: usize,
    percentile: usize,
}

impl Columns {
    fn read(line: &str) -> Option<Self> {
        let place = |name| line.split(',').position(|column| field(column) == name);
        Some(Self {
            cve: place("cve")?,
            score: place("epss")?,
            percentile: place("percentile")?,
        })
    }

    fn row(&self, line: &[u8]) -> Result<(Cve, Score), &'static str> {
        let line = str::from_utf8(line).map_err(|_| "not UTF-8")?;
        let column = |at| line.split(',').nth(at).map(field);
        let cve = column(self.cve).and_then(Cve::parse).ok_or("no CVE id")?;
        let score = column(self.score).and_then(units);
        let percentile = column(self.percentile).and_then(units);
        let score = score.ok_or("no score from 0 to 1")?;
        let percentile = percentile.ok_or("no percentile from 0 to 1")?;
        Ok((cve, Score { score, percentile }))
    }
}

fn field(text: &str) -> &str {
    text.trim().trim_matches('"')
}

/// A number from 0 to 1 in hundred-thousandths. Small numbers may come as `4e-05`.
fn units(text: &str) -> Option<u32> {
    let number: f64 = text.parse().ok()?;
    if !(0.0..=1.0).contains(&number) {
        return None;
    }
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 100,000"
    )]
    let units = (number * f64::from(Score::ONE)).round() as u32;
    Some(units)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Limits = Limits {
        bytes: 120,
        rows: 3,
        line: 60,
    };
    const HEAD: &str = "cve,epss,percentile\n";
    const ROW: &str = "CVE-2024-0001,0.00042,0.05000\n";

    #[test]
    fn every_number_comes_back_as_it_is_published() {
        for n in 0..=Score::ONE {
            let text = format!("{}.{:05}", n / Score::ONE, n % Score::ONE);
            let units = units(&text).unwrap();
            assert_eq!(units, n);
            let score = Score::new(units, units).unwrap();
            let published: f64 = text.parse().unwrap();
            assert_eq!(score.score().to_bits(), published.to_bits(), "{text}");
            assert_eq!(score.percentile().to_bits(), published.to_bits(), "{text}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(units("0"), Some(0));
        assert_eq!(units("1"), Some(100_000));
        assert_eq!(units("0.0046"), Some(460));
        assert_eq!(units("4e-05"), Some(4));
        assert_eq!(units("0.123456"), Some(12_346));
        for text in ["", "-0.1", "1.00001", "nan", "inf", "0,5", "0.5%", "high"] {
            assert_eq!(units(text), None, "{text}");
        }
    }

    #[test]
    fn rows_have_a_limit() {
        let limits = Limits {
            bytes: 1000,
            ..SMALL
        };
        let file = format!("{HEAD}{ROW}bad\n\n# no row\n{ROW}");
        let bad = read_within(file.as_bytes(), limits);
        assert!(matches!(bad, Err(EpssError::Bad { rows: 3, .. })));
        let more = file + ROW;
        let error = read_within(more.as_bytes(), limits).unwrap_err();
        assert!(matches!(error, EpssError::TooManyRows { limit: 3 }));
    }

    #[test]
    fn bytes_have_a_limit() {
        let file = |bytes: usize| format!("{HEAD}{ROW}{}", "\n".repeat(bytes - 50));
        assert!(read_within(file(120).as_bytes(), SMALL).is_ok());
        let error = read_within(file(121).as_bytes(), SMALL).unwrap_err();
        assert!(matches!(error, EpssError::TooLarge { limit: 120, .. }));
    }

    #[test]
    fn lines_have_a_limit() {
        let file = |bytes: usize| format!("#{}\n{HEAD}{ROW}", "x".repeat(bytes - 1));
        assert!(read_within(file(60).as_bytes(), SMALL).is_ok());
        let error = read_within(file(61).as_bytes(), SMALL).unwrap_err();
        assert!(matches!(error, EpssError::LongLine { line: 1, limit: 60 }));
    }
}
