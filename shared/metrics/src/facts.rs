use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use jiff::civil::Date;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tatami_domain::{Finding, Flags, Severity, TestId};

use crate::Fact;
use crate::day;

/// How many findings there are of each fact. Negative numbers are allowed, because it's also a difference:
/// what a commit changed. A fact whose number becomes 0 is gone.
///
/// Stored as JSON arrays: `[[test, [[tags, [row, …]], …]], …]`, a row being `[number, severity (0 is
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

/// All rows, by test and tags.
type Groups<Tags> = Vec<(TestId, Vec<(Tags, Vec<Row>)>)>;

impl Serialize for Facts {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut groups: Groups<&[String]> = Vec::new();
        for (fact, n) in self.iter() {
            let row = to_row(fact, n);
            match groups.last_mut() {
                Some((test, lists)) if *test == fact.test => match lists.last_mut() {
                    Some((tags, rows)) if *tags == fact.tags => rows.push(row),
                    _ => lists.push((&fact.tags, vec![row])),
                },
                _ => groups.push((fact.test, vec![(&fact.tags, vec![row])])),
            }
        }
        groups.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Facts {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let groups = Groups::<Vec<String>>::deserialize(from)?;
        let mut facts = Self::default();
        for (test, lists) in groups {
            for (tags, rows) in lists {
                if !tags.is_sorted_by(|a, b| a < b) {
                    return Err(D::Error::custom("tags are not sorted or not there once"));
                }
                for row in rows {
                    let (fact, n) = from_row(test, &tags, &row).map_err(D::Error::custom)?;
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
        i64::try_from(fact.severity.rank()).ok(),
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
fn from_row(test: TestId, tags: &[String], row: &[Option<i64>]) -> Result<(Fact, i64), String> {
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
        test,
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

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    /// As version 0.1 wrote it. Stored facts are read for ever: a number may be added at the end of a row, but
    /// none may change its meaning.
    const STORED: &str = r#"[[7,[[[],[[3,0,1,20454],[-2,1,256,20454,75,20460],[1,4,1,20454,null,null,20455]]],[["ci","web"],[[1,2,3,20512,100]]]]],[9,[[[],[[5,3,272,-1,null,20512]]]]]]"#;

    fn facts(json: &str) -> Result<Facts, String> {
        serde_json::from_str(json).map_err(|e| e.to_string())
    }

    #[test]
    fn what_was_stored_is_read_and_written_the_same() {
        let read = facts(STORED).unwrap();
        let plain = Fact {
            test: TestId(7),
            tags: vec![],
            severity: Severity::Critical,
            flags: Flags::OPEN,
            date: date(2026, 1, 1),
            cvss: None,
            mitigated: None,
            sla_start: date(2026, 1, 1),
        };
        let mitigated = Flags {
            active: false,
            is_mitigated: true,
            ..Flags::OPEN
        };
        let mut expected = Facts::default();
        expected.add_fact(plain.clone(), 3);
        expected.add_fact(
            Fact {
                severity: Severity::High,
                flags: mitigated,
                cvss: Some(75),
                mitigated: Some(date(2026, 1, 7)),
                ..plain.clone()
            },
            -2,
        );
        expected.add_fact(
            Fact {
                severity: Severity::Info,
                sla_start: date(2026, 1, 2),
                ..plain.clone()
            },
            1,
        );
        expected.add_fact(
            Fact {
                tags: vec!["ci".into(), "web".into()],
                severity: Severity::Medium,
                flags: Flags {
                    verified: true,
                    ..Flags::OPEN
                },
                date: date(2026, 2, 28),
                sla_start: date(2026, 2, 28),
                cvss: Some(100),
                ..plain.clone()
            },
            1,
        );
        expected.add_fact(
            Fact {
                test: TestId(9),
                severity: Severity::Low,
                flags: Flags {
                    out_of_scope: true,
                    ..mitigated
                },
                date: date(1969, 12, 31),
                sla_start: date(1969, 12, 31),
                mitigated: Some(date(2026, 2, 28)),
                ..plain
            },
            5,
        );
        assert_eq!(read, expected);
        assert_eq!(read.len(), 5);
        assert_eq!(serde_json::to_string(&read).unwrap(), STORED);
        assert_eq!(facts("[]").unwrap(), Facts::default());
        assert_eq!(serde_json::to_string(&Facts::default()).unwrap(), "[]");
    }

    #[test]
    fn nonsense_is_refused() {
        let row = |row: &str| format!("[[7,[[[],[{row}]]]]]");
        assert!(facts(&row("[1,0,511,20454,100,20454,20454]")).is_ok());
        for (json, why) in [
            (row("[1,0,1]"), "no number, severity, flags or date"),
            (row("[]"), "no number, severity, flags or date"),
            (
                row("[1,null,1,20454]"),
                "no number, severity, flags or date",
            ),
            (row("[1,0,1,20454,1,1,1,1]"), "8 numbers"),
            (row("[0,0,1,20454]"), "number is 0"),
            (row("[1,5,1,20454]"), "severity 5"),
            (row("[1,-1,1,20454]"), "severity -1"),
            (row("[1,0,512,20454]"), "flags 512"),
            (row("[1,0,-1,20454]"), "flags -1"),
            (row("[1,0,65537,20454]"), "flags 65537"),
            (row("[1,0,1,9223372036854775807]"), "not a day"),
            (row("[1,0,1,-9223372036854775808]"), "not a day"),
            (row("[1,0,1,20454,101]"), "CVSS 101"),
            (row("[1,0,1,20454,-1]"), "CVSS -1"),
            (row("[1,0,1,20454,null,9999999]"), "not a day"),
            (row("[1,0,1,20454,null,null,9999999]"), "not a day"),
            (row("[1.5,0,1,20454]"), "invalid type"),
            (row("[1e300,0,1,20454]"), "invalid type"),
            (row("[9223372036854775808,0,1,20454]"), "invalid value"),
            (row("[1,0,1,20454],[2,0,1,20454]"), "twice"),
            (r#"[[7,[[["b","a"],[]]]]]"#.into(), "tags are not sorted"),
            (r#"[[7,[[["a","a"],[]]]]]"#.into(), "tags are not sorted"),
            ("[[-7,[]]]".into(), "invalid value"),
            ("[[7]]".into(), "invalid length"),
            ("{}".into(), "invalid type"),
            ("null".into(), "invalid type"),
        ] {
            let error = facts(&json).unwrap_err();
            assert!(error.contains(why), "{json}: {error}");
        }
    }

    #[test]
    fn rows_that_come_to_nothing_are_gone() {
        let finding = Finding::default();
        let mut sum = Facts::default();
        sum.remove(&finding);
        assert_eq!(sum.iter().map(|(_, n)| n).collect::<Vec<_>>(), [-1]);
        sum.add(&finding);
        assert!(sum.is_empty());
        sum.add_fact(Fact::of(&finding), 0);
        assert!(sum.is_empty());
        sum.add_fact(Fact::of(&finding), 4);
        sum.merge(&sum.clone());
        assert_eq!(sum.iter().map(|(_, n)| n).collect::<Vec<_>>(), [8]);
        sum.subtract(&sum.clone());
        assert!(sum.is_empty());
        assert_eq!(sum.len(), 0);
    }

    #[test]
    fn absurd_numbers_do_not_overflow() {
        let fact = Fact::of(&Finding::default());
        let mut most = Facts::default();
        most.add_fact(fact.clone(), i64::MAX);
        most.merge(&most.clone());
        assert_eq!(most.iter().map(|(_, n)| n).collect::<Vec<_>>(), [i64::MAX]);
        let mut least = Facts::default();
        least.add_fact(fact, i64::MIN);
        most.subtract(&least);
        assert_eq!(most.iter().map(|(_, n)| n).collect::<Vec<_>>(), [i64::MAX]);
    }

    /// A commit of 48 findings of one report with 15 pairs of severity and score.
    fn commit(change: impl Fn(usize, &mut Finding)) -> Facts {
        let pairs: [(Severity, Option<f64>); 15] = [
            (Severity::Critical, Some(10.0)),
            (Severity::Critical, Some(9.8)),
            (Severity::Critical, Some(9.1)),
            (Severity::High, Some(8.8)),
            (Severity::High, Some(8.1)),
            (Severity::High, Some(7.5)),
            (Severity::High, None),
            (Severity::Medium, Some(6.5)),
            (Severity::Medium, Some(6.1)),
            (Severity::Medium, Some(5.3)),
            (Severity::Medium, None),
            (Severity::Low, Some(3.7)),
            (Severity::Low, Some(3.1)),
            (Severity::Low, None),
            (Severity::Info, None),
        ];
        (0..48)
            .map(|n| {
                let (severity, cvssv3_score) = pairs[n % pairs.len()];
                let mut finding = Finding {
                    test: TestId(123_456),
                    severity,
                    cvssv3_score,
                    flags: Flags::OPEN,
                    date: date(2026, 3, 30),
                    ..Finding::default()
                };
                change(n, &mut finding);
                finding
            })
            .collect::<Vec<_>>()
            .iter()
            .collect()
    }

    fn size(facts: &Facts) -> usize {
        let stored = serde_json::to_string(facts).unwrap();
        println!("{} rows in {} bytes", facts.len(), stored.len());
        stored.len()
    }

    #[test]
    fn a_commit_takes_few_bytes() {
        let new = commit(|_, _| ());
        assert_eq!(new.len(), 15);
        assert!(size(&new) <= 280);

        let tagged = commit(|_, f| f.tags = vec!["nightly".into(), "frontend".into()]);
        assert!(size(&tagged) <= 310);

        // closed: as they were with -1, as they are now with 1, of four days of discovery
        let found = |n: usize, f: &mut Finding| f.date = date(2026, 3, [1, 2, 3, 4][n % 4]);
        let mut closed = commit(|n, f| {
            found(n, f);
            f.flags.active = false;
            f.flags.is_mitigated = true;
            f.mitigated = Some("2026-03-30T12:00:00Z".parse().unwrap());
        });
        closed.subtract(&commit(found));
        assert_eq!(closed.len(), 96);
        assert!(size(&closed) <= 2_200);
    }
}
