//! The stored object: a head of four bytes, `TTI` and the version 1, then one gzip member with the content.
//!
//! All numbers of the content are little-endian.
//!
//! | part | bytes |
//! |---|---|
//! | what is there: 1 scores, 2 catalogue, 3 both, 0 none | 1 |
//! | **scores**: score date, seconds since 1970, the lowest number for none | 8 |
//! | model version: length in bytes, UTF-8 text | 1 + length |
//! | ids (below) | |
//! | for each id: score, percentile, both in hundred-thousandths | 3 + 3 |
//! | **catalogue**: release date, as the score date | 8 |
//! | its version: length, text | 1 + length |
//! | ids (below) | |
//! | for each id: day it was added, day it is due (year × 10,000 + month × 100 + day, 0 for none), 1 for ransomware | 4 + 4 + 1 |
//!
//! Ids are sorted. They are the number of years (2 bytes) and for each year the year (2) and its number of
//! ids (4); then for each id of each year the difference to the one before it in that year (4).
//!
//! That is 10 bytes for a score. Differences are mostly 1 or 2 and equal scores have equal percentiles, so
//! that packed it is about 3: a third of what the whole numbers pack to. gzip's checksum and length tell
//! what was cut off or changed.

use std::io::{self, Read, Write};

use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use jiff::Timestamp;
use jiff::civil::Date;
use thiserror::Error;

use crate::cve::CveTable;
use crate::{Catalogue, Cve, Intel, KevEntry, Score, Scores};

const MAGIC: &[u8; 3] = b"TTI";
const VERSION: u8 = 1;
/// Far above what the readers of the two files let through, unpacked, in bytes.
const MAX_CONTENT: u64 = 64 << 20;

const SCORES: u8 = 1;
const CATALOGUE: u8 = 2;
const NO_TIME: i64 = i64::MIN;

/// Why a stored object cannot be read.
#[derive(Debug, Error)]
pub enum FormatError {
    /// It is something else.
    #[error("threat intelligence: no such object")]
    Magic,
    /// Another version of Tatami wrote it.
    #[error("threat intelligence: version {0} isn't known")]
    Version(u8),
    /// It cannot be unpacked: it was cut off or changed.
    #[error("threat intelligence: cannot be unpacked: {0}")]
    Unpack(#[from] io::Error),
    /// What is unpacked is not what the format says.
    #[error("threat intelligence: {what} at byte {at} of the content")]
    Content {
        /// What is wrong.
        what: &'static str,
        /// From 0, unpacked.
        at: usize,
    },
}

pub(crate) fn write(intel: &Intel) -> io::Result<Vec<u8>> {
    let mut head = MAGIC.to_vec();
    head.push(VERSION);
    // no time and no name in it, so that the same content gives the same bytes
    let mut out = GzBuilder::new().write(head, Compression::default());
    let scores = intel.scores.as_ref().map_or(0, |_| SCORES);
    let catalogue = intel.catalogue.as_ref().map_or(0, |_| CATALOGUE);
    out.write_all(&[scores | catalogue])?;
    if let Some(scores) = &intel.scores {
        write_head(&mut out, scores.score_date, &scores.model_version)?;
        write_ids(&mut out, &scores.table.cves)?;
        for score in &scores.table.values {
            let (score, percentile) = score.units();
            out.write_all(&score.to_le_bytes()[..3])?;
            out.write_all(&percentile.to_le_bytes()[..3])?;
        }
    }
    if let Some(catalogue) = &intel.catalogue {
        write_head(&mut out, catalogue.released, &catalogue.version)?;
        write_ids(&mut out, &catalogue.table.cves)?;
        for entry in &catalogue.table.values {
            out.write_all(&day(entry.added).to_le_bytes())?;
            out.write_all(&day(entry.due).to_le_bytes())?;
            out.write_all(&[u8::from(entry.ransomware)])?;
        }
    }
    out.finish()
}

type Out = GzEncoder<Vec<u8>>;

fn write_head(out: &mut Out, at: Option<Timestamp>, version: &str) -> io::Result<()> {
    let seconds = at.map_or(NO_TIME, Timestamp::as_second);
    out.write_all(&seconds.to_le_bytes())?;
    let length = u8::try_from(version.len()).map_err(io::Error::other)?;
    out.write_all(&[length])?;
    out.write_all(version.as_bytes())
}

fn write_ids(out: &mut Out, cves: &[Cve]) -> io::Result<()> {
    let years = || cves.chunk_by(|a, b| a.year() == b.year());
    let count = u16::try_from(years().count()).map_err(io::Error::other)?;
    out.write_all(&count.to_le_bytes())?;
    for ids in years() {
        let count = u32::try_from(ids.len()).map_err(io::Error::other)?;
        out.write_all(&ids[0].year().to_le_bytes())?;
        out.write_all(&count.to_le_bytes())?;
    }
    for ids in years() {
        let mut before = 0;
        for id in ids {
            out.write_all(&(id.number() - before).to_le_bytes())?;
            before = id.number();
        }
    }
    Ok(())
}

fn day(date: Option<Date>) -> u32 {
    let [year, month, day] = date.map_or([0; 3], |date| {
        [
            date.year().unsigned_abs().into(),
            u32::from(date.month().unsigned_abs()),
            u32::from(date.day().unsigned_abs()),
        ]
    });
    year * 10_000 + month * 100 + day
}

pub(crate) fn read(bytes: &[u8]) -> Result<Intel, FormatError> {
    let packed = bytes.strip_prefix(MAGIC).ok_or(FormatError::Magic)?;
    let (version, packed) = packed.split_first().ok_or(FormatError::Magic)?;
    if *version != VERSION {
        return Err(FormatError::Version(*version));
    }
    let mut unpacked = GzDecoder::new(packed);
    let mut content = Vec::new();
    let limit = MAX_CONTENT + 1;
    unpacked.by_ref().take(limit).read_to_end(&mut content)?;
    let mut input = Input {
        content: &content,
        at: 0,
    };
    if content.len() as u64 == limit {
        return Err(input.error("more than 64 MB"));
    }
    if !unpacked.into_inner().is_empty() {
        return Err(input.error("something after the end of the object"));
    }
    let [there] = input.array()?;
    if there > SCORES | CATALOGUE {
        return Err(input.error("unknown parts"));
    }
    let scores = (there & SCORES != 0).then(|| input.scores()).transpose()?;
    let catalogue = (there & CATALOGUE != 0)
        .then(|| input.catalogue())
        .transpose()?;
    if input.at != content.len() {
        return Err(input.error("something after the last part"));
    }
    Ok(Intel { scores, catalogue })
}

struct Input<'b> {
    content: &'b [u8],
    at: usize,
}

impl<'b> Input<'b> {
    const fn error(&self, what: &'static str) -> FormatError {
        FormatError::Content { what, at: self.at }
    }

    fn bytes(&mut self, length: usize) -> Result<&'b [u8], FormatError> {
        let rest = self.content.get(self.at..).unwrap_or_default();
        let bytes = rest.get(..length).ok_or_else(|| self.error("end"))?;
        self.at += length;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        Ok(*self.arrays(1)?.first().unwrap_or(&[0; N]))
    }

    /// As many arrays of bytes.
    fn arrays<const N: usize>(&mut self, count: usize) -> Result<&'b [[u8; N]], FormatError> {
        let length = count.checked_mul(N).ok_or_else(|| self.error("end"))?;
        Ok(self.bytes(length)?.as_chunks().0)
    }

    fn head(&mut self) -> Result<(Option<Timestamp>, String), FormatError> {
        let at = match i64::from_le_bytes(self.array()?) {
            NO_TIME => None,
            seconds => {
                Some(Timestamp::from_second(seconds).map_err(|_| self.error("no point in time"))?)
            }
        };
        let [length] = self.array()?;
        let version = str::from_utf8(self.bytes(length.into())?);
        let version = version.map_err(|_| self.error("no UTF-8"))?;
        Ok((at, version.to_owned()))
    }

    /// Ids in ascending order.
    fn ids(&mut self) -> Result<Vec<Cve>, FormatError> {
        let years = u16::from_le_bytes(self.array()?);
        let years = self.arrays::<6>(years.into())?;
        let years = years.iter().map(|[a, b, count @ ..]| {
            let year = u16::from_le_bytes([*a, *b]);
            (year, u32::from_le_bytes(*count) as usize)
        });
        let mut ids = Vec::new();
        for (year, count) in years {
            let differences = self.arrays::<4>(count)?;
            ids.reserve(count);
            let mut before = 0;
            for difference in differences {
                let number = u32::from_le_bytes(*difference).checked_add(before);
                let id = number.and_then(|number| Cve::new(year, number));
                let id = id.ok_or_else(|| self.error("no CVE id before"))?;
                if ids.last().is_some_and(|last| *last >= id) {
                    return Err(self.error("ids out of order before"));
                }
                ids.push(id);
                before = id.number();
            }
        }
        if ids.is_empty() {
            return Err(self.error("no ids"));
        }
        Ok(ids)
    }

    fn scores(&mut self) -> Result<Scores, FormatError> {
        let (score_date, model_version) = self.head()?;
        let cves = self.ids()?;
        let units = |[a, b, c]: [u8; 3]| u32::from_le_bytes([a, b, c, 0]);
        let pairs = self.arrays(cves.len() * 2)?.chunks_exact(2);
        let values = pairs.map(|pair| Score::new(units(pair[0]), units(pair[1])));
        let values = values.collect::<Option<Vec<_>>>();
        let values = values.ok_or_else(|| self.error("a score above 1 before"))?;
        Ok(Scores {
            score_date,
            model_version,
            table: CveTable { cves, values },
        })
    }

    fn catalogue(&mut self) -> Result<Catalogue, FormatError> {
        let (released, version) = self.head()?;
        let cves = self.ids()?;
        let mut values = Vec::with_capacity(cves.len());
        for _ in &cves {
            values.push(KevEntry {
                added: self.day()?,
                due: self.day()?,
                ransomware: match self.array()? {
                    [0] => false,
                    [1] => true,
                    [_] => return Err(self.error("neither ransomware nor not before")),
                },
            });
        }
        Ok(Catalogue {
            released,
            version,
            table: CveTable { cves, values },
        })
    }

    fn day(&mut self) -> Result<Option<Date>, FormatError> {
        let day = u32::from_le_bytes(self.array()?);
        if day == 0 {
            return Ok(None);
        }
        let part = |n: u32| i8::try_from(n % 100).ok();
        let date = i16::try_from(day / 10_000)
            .ok()
            .and_then(|year| Date::new(year, part(day / 100)?, part(day)?).ok());
        date.map(Some).ok_or_else(|| self.error("no date before"))
    }
}
