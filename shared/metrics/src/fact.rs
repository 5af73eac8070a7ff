use jiff::civil::Date;
use jiff::tz::Offset;
use tatami_domain::{Finding, Flags, Severity, TestId};

/// What metrics need of one finding. Findings that are alike for metrics have equal facts.
///
/// The order of the fields is the order of facts, and keeps what is stored together side by side.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fact {
    /// The test it is in.
    pub test: TestId,
    /// Its tags in lower case, sorted, each once. Lower case is ASCII's, as filters compare tags.
    pub tags: Vec<String>,
    /// How bad it is.
    pub severity: Severity,
    /// Its status.
    pub flags: Flags,
    /// The day it was discovered.
    pub date: Date,
    /// CVSS score in tenths, 0 to 100: v4, else v3. One outside 0.0 to 10.0 counts as none.
    pub cvss: Option<u8>,
    /// The UTC day on which it was mitigated.
    pub mitigated: Option<Date>,
    /// The day from which its SLA counts.
    pub sla_start: Date,
}

impl Fact {
    /// The fact of a finding.
    pub fn of(finding: &Finding) -> Self {
        let mut tags: Vec<String> = (finding.tags.iter())
            .map(|tag| tag.to_ascii_lowercase())
            .collect();
        tags.sort_unstable();
        tags.dedup();
        Self {
            test: finding.test,
            tags,
            severity: finding.severity,
            flags: finding.flags,
            date: finding.date,
            cvss: finding.cvss_score().and_then(tenths),
            mitigated: finding
                .mitigated
                .map(|at| Offset::UTC.to_datetime(at).date()),
            sla_start: finding.sla_start(),
        }
    }

    /// Is it active and not a duplicate?
    pub const fn is_open(&self) -> bool {
        self.flags.is_open()
    }

    /// Is it mitigated, and neither a false positive, nor out of scope, nor a duplicate?
    pub const fn is_fixed(&self) -> bool {
        let f = self.flags;
        f.is_mitigated && !f.false_p && !f.out_of_scope && !f.duplicate
    }

    /// The day on which it was fixed, where it is fixed.
    pub fn fixed_on(&self) -> Option<Date> {
        self.mitigated.filter(|_| self.is_fixed())
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked before"
)]
fn tenths(score: f64) -> Option<u8> {
    (0.0..=10.0)
        .contains(&score)
        .then(|| (score * 10.0).round() as u8)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn tags_are_compared_whatever_their_case_and_order() {
        let tagged = |tags: &[&str]| {
            Fact::of(&Finding {
                tags: tags.iter().map(ToString::to_string).collect(),
                ..Finding::default()
            })
        };
        assert_eq!(tagged(&["web", "CI", "ci", "Web"]), tagged(&["ci", "WEB"]));
        assert_eq!(tagged(&["b", "A"]).tags, ["a", "b"]);
        assert_ne!(tagged(&["a"]), tagged(&[]));
    }

    #[test]
    fn a_mitigation_counts_on_its_utc_day() {
        for (at, day) in [
            ("2026-03-29T00:59:59Z", date(2026, 3, 29)),
            ("2026-03-29T23:59:59Z", date(2026, 3, 29)),
            ("2026-03-30T00:00:00Z", date(2026, 3, 30)),
            // still the 30th where it was done
            ("2026-03-30T20:00:00-05:00", date(2026, 3, 31)),
            ("2024-02-29T23:59:59Z", date(2024, 2, 29)),
            ("1969-12-31T23:59:59Z", date(1969, 12, 31)),
        ] {
            let finding = Finding {
                mitigated: Some(at.parse().unwrap()),
                ..Finding::default()
            };
            assert_eq!(Fact::of(&finding).mitigated, Some(day), "{at}");
        }
    }

    #[test]
    fn scores_are_in_tenths_and_v4_comes_first() {
        let scored = |v3: Option<f64>, v4: Option<f64>| {
            Fact::of(&Finding {
                cvssv3_score: v3,
                cvssv4_score: v4,
                ..Finding::default()
            })
            .cvss
        };
        assert_eq!(scored(Some(9.8), None), Some(98));
        assert_eq!(scored(Some(9.8), Some(8.7)), Some(87));
        assert_eq!(scored(None, None), None);
        assert_eq!(scored(Some(0.0), None), Some(0));
        assert_eq!(scored(Some(10.0), None), Some(100));
        for nonsense in [-0.1, 10.1, f64::NAN, f64::INFINITY] {
            assert_eq!(scored(Some(nonsense), None), None);
        }
        for n in 0..=100 {
            assert_eq!(scored(Some(f64::from(n) / 10.0), None), Some(n));
        }
    }

    #[test]
    fn the_sla_starts_with_the_discovery_unless_something_else_is_said() {
        let mut finding = Finding {
            date: date(2026, 1, 31),
            ..Finding::default()
        };
        assert_eq!(Fact::of(&finding).sla_start, date(2026, 1, 31));
        finding.sla_start_date = Some(date(2026, 2, 28));
        assert_eq!(Fact::of(&finding).sla_start, date(2026, 2, 28));
        assert_eq!(Fact::of(&finding).date, date(2026, 1, 31));
    }

    #[test]
    fn what_was_judged_or_is_a_duplicate_is_not_fixed() {
        let mut fact = Fact::of(&Finding {
            mitigated: Some("2026-01-31T12:00:00Z".parse().unwrap()),
            ..Finding::default()
        });
        assert_eq!(fact.fixed_on(), None);
        fact.flags.is_mitigated = true;
        assert_eq!(fact.fixed_on(), Some(date(2026, 1, 31)));
        let spoil: [fn(&mut Flags); 3] = [
            |f| f.false_p = true,
            |f| f.out_of_scope = true,
            |f| f.duplicate = true,
        ];
        for spoil in spoil {
            let mut other = fact.clone();
            spoil(&mut other.flags);
            assert!(!other.is_fixed());
        }
    }
}
