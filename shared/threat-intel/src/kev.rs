//! CISA's catalogue of known exploited vulnerabilities (KEV), `known_exploited_vulnerabilities.json`.
//!
//! The format is CISA's schema, `known_exploited_vulnerabilities_schema.json` in `cisagov/kev-data`:
//! `catalogVersion`, `dateReleased`, `count` and `vulnerabilities`, some 1,700 entries, 2 MB. An entry must
//! have a `cveID`, `dateAdded` and `dueDate`; `knownRansomwareCampaignUse` is `Known` or `Unknown` and may
//! be missing. Anything else in it isn't read.

use std::fmt;
use std::io::{self, BufReader, Read};

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use thiserror::Error;

use crate::Cve;
use crate::cve::CveTable;
use crate::input::{Capped, Warnings, excerpt, instant};

/// What the catalogue says of a vulnerability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KevEntry {
    /// When it came into the catalogue; none where that can't be read.
    pub added: Option<Date>,
    /// Until when US authorities have to have it fixed.
    pub due: Option<Date>,
    /// Used in a ransomware campaign, as far as CISA knows.
    pub ransomware: bool,
}

/// The catalogue, by CVE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue {
    pub(crate) released: Option<Timestamp>,
    pub(crate) version: String,
    pub(crate) table: CveTable<KevEntry>,
}

impl Catalogue {
    /// The longest version that is kept, in bytes.
    pub(crate) const MAX_VERSION: usize = 100;

    /// When it was published; none where it doesn't say.
    pub const fn released(&self) -> Option<Timestamp> {
        self.released
    }

    /// Its version, such as `2026.11.29`; empty where it doesn't say.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// How many CVEs are in it; never 0.
    #[allow(clippy::len_without_is_empty, reason = "a table is never empty")]
    pub fn len(&self) -> usize {
        self.table.cves.len()
    }

    /// What it says of a CVE; none for one that isn't in it.
    pub fn get(&self, cve: Cve) -> Option<KevEntry> {
        self.table.get(cve).copied()
    }
}

/// A catalogue that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kev {
    /// The entries. Of two with the same CVE the last one counts.
    pub catalogue: Catalogue,
    /// Entries without a CVE, which were left out, and those without one of their dates; that it
    /// has another number of entries than it says.
    pub warnings: Warnings,
}

/// Why a catalogue cannot be used.
#[derive(Debug, Error)]
pub enum KevError {
    /// It is no such catalogue, ends too early, or cannot be read.
    #[error("KEV catalogue: {0}")]
    Json(#[from] serde_json::Error),
    /// There is nothing in it that can be used.
    #[error("KEV catalogue: no entry with a CVE id, {bad} without; {first}")]
    Empty {
        /// How many entries could not be used.
        bad: usize,
        /// What is wrong with the first bad one.
        first: String,
    },
    /// More than one entry in a hundred is bad.
    #[error("KEV catalogue: {bad} of {entries} entries are bad; {first}")]
    Bad {
        /// How many are bad.
        bad: usize,
        /// How many there are.
        entries: usize,
        /// What is wrong with the first bad one.
        first: String,
    },
    /// The file is larger than is read.
    #[error("KEV catalogue: more than {limit} bytes")]
    TooLarge {
        /// In bytes.
        limit: u64,
    },
}

const MAX_BYTES: u64 = 64 << 20;
const MAX_ENTRIES: usize = 100_000;

/// Reads the catalogue, an entry at a time, at most 64 MB and 100,000 entries.
///
/// An entry without a CVE id is left out. One whose date can't be read stays without it: that it's
/// exploited is what matters. Both are counted, and if they are many the catalogue isn't taken.
pub fn read_kev(input: impl Read) -> Result<Kev, KevError> {
    let input = BufReader::new(Capped::new(input, MAX_BYTES));
    let document: Document = serde_json::from_reader(input).map_err(|error| {
        if error.io_error_kind() == Some(io::ErrorKind::FileTooLarge) {
            return KevError::TooLarge { limit: MAX_BYTES };
        }
        KevError::Json(error)
    })?;
    let Entries {
        rows,
        total,
        mut warnings,
    } = document.vulnerabilities;
    let (bad, first) = (warnings.bad, warnings.first());
    if rows.is_empty() {
        return Err(KevError::Empty { bad, first });
    }
    if warnings.too_many(total) {
        return Err(KevError::Bad {
            bad,
            entries: total,
            first,
        });
    }
    if let Some(count) = document.count.and_then(Json::number)
        && count != total as u64
    {
        warnings.note(format!("{count} entries by its own count, {total} in it"));
    }
    let mut version = document.version.and_then(Json::text).unwrap_or_default();
    version.truncate(version.floor_char_boundary(Catalogue::MAX_VERSION));
    let released = document.released.and_then(Json::text);
    Ok(Kev {
        catalogue: Catalogue {
            released: released.and_then(|text| instant(&text)),
            version,
            table: CveTable::from_rows(rows),
        },
        warnings,
    })
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "catalogVersion")]
    version: Option<Json>,
    #[serde(rename = "dateReleased")]
    released: Option<Json>,
    count: Option<Json>,
    vulnerabilities: Entries,
}

struct Entries {
    rows: Vec<(Cve, KevEntry)>,
    total: usize,
    warnings: Warnings,
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of vulnerabilities")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Entries, A::Error> {
                let mut entries = Entries {
                    rows: Vec::new(),
                    total: 0,
                    warnings: Warnings::default(),
                };
                while let Some(entry) = list.next_element::<Json>()? {
                    if entries.total == MAX_ENTRIES {
                        let limit = format!("more than {MAX_ENTRIES} entries");
                        return Err(A::Error::custom(limit));
                    }
                    entries.add(entry);
                }
                Ok(entries)
            }
        }

        from.deserialize_seq(List)
    }
}

impl Entries {
    fn add(&mut self, entry: Json) {
        self.total += 1;
        let place = self.total;
        let Json::Object(entry) = entry else {
            let what = || format!("entry {place} is no object");
            return self.warnings.add(what);
        };
        let id = entry.cve.unwrap_or_default();
        let Some(cve) = Cve::parse(id.trim()) else {
            let what = || format!("entry {place}: no CVE id: {}", excerpt(&id));
            return self.warnings.add(what);
        };
        let added = entry.added.as_deref().and_then(date);
        let due = entry.due.as_deref().and_then(date);
        if added.is_none() || (due.is_none() && entry.due.is_some()) {
            let text = if added.is_none() {
                entry.added
            } else {
                entry.due
            };
            let text = excerpt(&text.unwrap_or_default());
            self.warnings
                .add(|| format!("entry {place}, {cve}: no date: {text}"));
        }
        let known = entry.ransomware.as_deref().map(str::trim);
        let ransomware = known.is_some_and(|use_| use_.eq_ignore_ascii_case("known"));
        let entry = KevEntry {
            added,
            due,
            ransomware,
        };
        self.rows.push((cve, entry));
    }
}

/// A day of our era, which is what a [`KevEntry`] can be stored with.
fn date(text: &str) -> Option<Date> {
    text.trim()
        .parse()
        .ok()
        .filter(|date: &Date| date.year() > 0)
}

/// Any value at all, so that one of another type than it should be doesn't end the file.
enum Json {
    Text(String),
    Number(u64),
    Object(Box<Fields>),
    Other,
}

/// The fields of an entry that are read, where they are texts.
#[derive(Default)]
struct Fields {
    cve: Option<String>,
    added: Option<String>,
    due: Option<String>,
    ransomware: Option<String>,
}

impl Json {
    fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn number(self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Number(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Json::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Json, A::Error> {
        let mut fields = Box::<Fields>::default();
        while let Some(name) = object.next_key::<String>()? {
            let place = match name.as_str() {
                "cveID" => &mut fields.cve,
                "dateAdded" => &mut fields.added,
                "dueDate" => &mut fields.due,
                "knownRansomwareCampaignUse" => &mut fields.ransomware,
                _ => {
                    object.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *place = object.next_value::<Json>()?.text();
        }
        Ok(Json::Object(fields))
    }
}
