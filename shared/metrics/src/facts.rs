use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use jiff::civil::Date;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tatami_domain::{EngagementId, Finding, Flags, Severity};

use crate::Fact;
use crate::day;

/// How many findings there are of each fact. Negative numbers are allowed, because it's also a difference:
/// what a commit changed. A fact whose number becomes 0 is gone.
///
/// Stored as JSON arrays: `[[engagement, [[tags, [row, …]], …]], …]`, a row being `[number, severity (0 is
/// Critical), flag bits, date, CVSS tenths, mitigated, SLA start]`. Days are numbered from 1970; the last three
/// are `null` where there is none (an SLA that starts on the date has none), and left out at the end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    rows: BTreeMap<Fact, i64>,
}

impl Facts {
    /// Counts a finding in.
    pub fn add(&mut self, finding: &Finding) {
        self.add_fact(Fact::of(finding), 1);
    }

    /// Counts a finding out, as it was counted in: before it's changed.
    pub fn remove(&mut self, finding: &Finding) {
        self.add_fact(Fact::of(finding), -1);
    }

    /// Counts `n` findings of a fact in; out where `n` is negative.
    pub fn add_fact(&mut self, fact: Fact, n: i64) {
        match self.rows.entry(fact) {
            Entry::Occupied(mut row) => {
                let sum = row.get().saturating_add(n);
                if sum == 0 {
                    row.remove();
                } else {
                    row.insert(sum);
                }
            }
            Entry::Vacant(row) => {
                if n != 0 {
                    row.insert(n);
                }
            }
        }
    }

    /// Adds all numbers of another.
    pub fn merge(&mut self, other: &Self) {
        for (fact, n) in other.iter() {
            self.add_fact(fact.clone(), n);
        }
    }

    /// Takes all numbers of another away.
    pub fn subtract(&mut self, other: &Self) {
        for (fact, n) in other.iter() {
            self.add_fact(fact.clone(), n.saturating_neg());
        }
    }

    /// Is there no fact?
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many different facts there are, not how many findings.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Each fact with its number, which is never 0.
    pub fn iter(&self) -> impl Iterator<Item = (&Fact, i64)> {
        self.rows.iter().map(|(fact, n)| (fact, *n))
    }
}

impl<'a> FromIterator<&'a Finding> for Facts {
    fn from_iter<I: IntoIterator<Item = &'a Finding>>(findings: I) -> Self {
        let mut facts = Self::default();
        for finding in findings {
            facts.add(finding);
        }
        facts
    }
}

/// The numbers of a row, in the order in which [`Facts`] says they are stored.
type Row = Vec<Option<i64>>;

/// All rows, by engagement and tags.
type Groups<Tags> = Vec<(EngagementId, Vec<(Tags, Vec<Row>)>)>;

impl Serialize for Facts {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut groups: Groups<&[String]> = Vec::new();
        for (fact, n) in self.iter() {
            let row = to_row(fact, n);
            match groups.last_mut() {
                Some((engagement, lists)) if *engagement == fact.engagement => {
                    match lists.last_mut() {
                        Some((tags, rows)) if *tags == fact.tags => rows.push(row),
                        _ => lists.push((&fact.tags, vec![row])),
                    }
                }
                _ => groups.push((fact.engagement, vec![(&fact.tags, vec![row])])),
            }
        }
        groups.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Facts {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let groups = Groups::<Vec<String>>::deserialize(from)?;
        let mut facts = Self::default();
        for (engagement, lists) in groups {
            for (tags, rows) in lists {
                if !tags.is_sorted_by(|a, b| a < b) {
                    return Err(D::Error::custom("tags are not sorted or not there once"));
                }
                for row in rows {
                    let (fact, n) = from_row(engagement, &tags, &row).map_err(D::Error::custom)?;
                    if facts.rows.insert(fact, n).is_some() {
                        return Err(D::Error::custom("a fact is there twice"));
                    }
                }
            }
        }
        Ok(facts)
    }
}

fn to_row(fact: &Fact, n: i64) -> Row {
    let restarted = Some(fact.sla_start).filter(|start| *start != fact.date);
    let mut row = vec![
        Some(n),
        Some(fact.severity.rank() as i64),
        Some(u16::from(fact.flags).into()),
        Some(day::to_number(fact.date)),
        fact.cvss.map(i64::from),
        fact.mitigated.map(day::to_number),
        restarted.map(day::to_number),
    ];
    while let Some(None) = row.last() {
        row.pop();
    }
    row
}

/// A row as it's read, or what is wrong with it.
fn from_row(
    engagement: EngagementId,
    tags: &[String],
    row: &[Option<i64>],
) -> Result<(Fact, i64), String> {
    let [Some(n), Some(severity), Some(flags), Some(date), tail @ ..] = row else {
        return Err("a row has no number, severity, flags or date".into());
    };
    if tail.len() > 3 {
        return Err(format!("a row has {} numbers, not 4 to 7", row.len()));
    }
    if *n == 0 {
        return Err("a row's number is 0".into());
    }
    let tail = |place: usize| tail.get(place).copied().flatten();
    let date = to_day(*date)?;
    let fact = Fact {
        engagement,
        tags: tags.to_vec(),
        severity: usize::try_from(*severity)
            .ok()
            .and_then(|rank| Severity::ALL.get(rank).copied())
            .ok_or_else(|| format!("severity {severity} is not 0 to 4"))?,
        flags: to_flags(*flags).ok_or_else(|| format!("flags {flags} are unknown"))?,
        date,
        cvss: tail(0).map(to_cvss).transpose()?,
        mitigated: tail(1).map(to_day).transpose()?,
        sla_start: tail(2).map(to_day).transpose()?.unwrap_or(date),
    };
    Ok((fact, *n))
}

fn to_day(number: i64) -> Result<Date, String> {
    day::from_number(number).ok_or_else(|| format!("{number} is not a day"))
}

fn to_cvss(tenths: i64) -> Result<u8, String> {
    u8::try_from(tenths)
        .ok()
        .filter(|tenths| *tenths <= 100)
        .ok_or_else(|| format!("CVSS {tenths} is not 0 to 100 tenths"))
}

/// Refuses bits that are no flag, which `Flags` would leave out.
fn to_flags(bits: i64) -> Option<Flags> {
    let bits = u16::try_from(bits).ok()?;
    let flags = Flags::from(bits);
    (u16::from(flags) == bits).then_some(flags)
}
