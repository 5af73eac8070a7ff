use std::collections::BTreeMap;

use jiff::ToSpan;
use jiff::civil::Date;

use crate::day::days_between;
use crate::period::Periods;
use crate::{
    Ageing, BySeverity, Counts, Cvss, Fact, Fixed, Metrics, Mttr, Range, Remediation, Sla, Step,
};

/// A finding due within so many days counts as due soon; 0 is today.
pub const DUE_SOON_DAYS: i64 = 3;

/// Makes metrics of facts: give it each with its number, then [`finish`](Self::finish).
#[derive(Debug, Clone)]
pub struct Measure {
    today: Date,
    range: Range,
    counts: Counts,
    fixed: Fixed,
    scores: Scores,
    remediation: BySeverity<Remediation>,
    durations: BySeverity<Durations>,
    ageing: BySeverity<Ageing>,
    sla: BySeverity<Sla>,
    periods: Periods,
}

/// CVSS scores of open findings, added up.
#[derive(Debug, Clone, Copy, Default)]
struct Scores {
    tenths: u128,
    n: u64,
    without: u64,
}

/// Numbers of findings by days.
#[derive(Debug, Clone, Default)]
struct Durations(BTreeMap<u64, u64>);

impl Measure {
    /// Of nothing yet. `today` is the UTC day.
    pub fn new(range: Range, step: Step, today: Date) -> Self {
        Self {
            today,
            range,
            counts: Counts::default(),
            fixed: Fixed::default(),
            scores: Scores::default(),
            remediation: BySeverity::default(),
            durations: BySeverity::default(),
            ageing: BySeverity::default(),
            sla: BySeverity::default(),
            periods: Periods::new(range, step),
        }
    }

    /// Counts `n` findings of a fact in. `due` is the last day inside their SLA.
    pub fn add(&mut self, fact: &Fact, due: Option<Date>, n: u64) {
        if n == 0 {
            return;
        }
        self.add_counts(fact, n);
        self.add_discovered(fact, n);
        if fact.is_open() {
            self.add_open(fact, due, n);
        }
        if let Some(on) = fact.fixed_on() {
            self.add_fixed(fact, on, due, n);
        }
    }

    /// The metrics of what was counted in.
    pub fn finish(&self) -> Metrics {
        Metrics {
            today: self.today,
            range: self.range,
            counts: self.counts,
            fixed: self.fixed,
            cvss: self.scores.finish(),
            remediation: self.remediation.map(|r| Remediation {
                rate: ratio(r.fixed, r.open),
                ..*r
            }),
            mttr: self.durations.map(Durations::finish),
            ageing: self.ageing,
            sla: self.sla.map(|s| Sla {
                compliance: ratio(s.within, s.late.saturating_add(s.breached)),
                ..*s
            }),
            trend: self.periods.finish(),
        }
    }

    fn add_counts(&mut self, fact: &Fact, n: u64) {
        let f = fact.flags;
        let c = &mut self.counts;
        for (counts, count) in [
            (true, &mut c.total),
            (f.is_open(), &mut c.open),
            (f.is_open() && f.verified, &mut c.verified_open),
            (f.is_mitigated, &mut c.mitigated),
            (f.false_p, &mut c.false_positive),
            (f.out_of_scope, &mut c.out_of_scope),
            (f.risk_accepted, &mut c.risk_accepted),
            (f.duplicate, &mut c.duplicates),
            (f.under_review, &mut c.under_review),
        ] {
            if counts {
                count.add(fact.severity, n);
            }
        }
    }

    /// What goes by the day of discovery.
    fn add_discovered(&mut self, fact: &Fact, n: u64) {
        if !fact.flags.duplicate {
            self.periods.opened(fact.date, fact.severity, n);
        }
        if self.range.contains(fact.date) {
            self.remediation.change(fact.severity, |r| {
                if fact.is_fixed() {
                    add(&mut r.fixed, n);
                }
                if fact.is_open() {
                    add(&mut r.open, n);
                }
            });
        }
    }

    fn add_open(&mut self, fact: &Fact, due: Option<Date>, n: u64) {
        let today = self.today;
        self.scores.add(fact.cvss, n);
        self.ageing.change(fact.severity, |a| {
            let bucket = match days_between(fact.date, today) {
                ..30 => &mut a.days_0_to_29,
                30..60 => &mut a.days_30_to_59,
                60..90 => &mut a.days_60_to_89,
                90.. => &mut a.days_90_and_more,
            };
            add(bucket, n);
        });
        self.sla.change(fact.severity, |s| {
            let count = match due.map(|due| days_between(today, due)) {
                None => &mut s.without_sla,
                Some(..0) => &mut s.breached,
                Some(0..=DUE_SOON_DAYS) => &mut s.due_soon,
                Some(_) => &mut s.on_track,
            };
            add(count, n);
        });
    }

    /// What goes by the day on which it was fixed.
    fn add_fixed(&mut self, fact: &Fact, on: Date, due: Option<Date>, n: u64) {
        let Fixed {
            last_30_days,
            last_60_days,
            last_90_days,
        } = &mut self.fixed;
        for (days, count) in [(30, last_30_days), (60, last_60_days), (90, last_90_days)] {
            if on >= self.today.saturating_sub(days.days()) {
                count.add(fact.severity, n);
            }
        }
        self.periods.closed(on, fact.severity, n);
        if !self.range.contains(on) {
            return;
        }
        if !fact.flags.risk_accepted {
            // none where it was mitigated before it was discovered
            let days = u64::try_from(days_between(fact.date, on)).unwrap_or(0);
            self.durations.change(fact.severity, |d| {
                add(d.0.entry(days).or_default(), n);
            });
        }
        self.sla.change(fact.severity, |s| {
            let count = match due {
                None => &mut s.without_sla,
                Some(due) if on <= due => &mut s.within,
                Some(_) => &mut s.late,
            };
            add(count, n);
        });
    }
}

impl Scores {
    fn add(&mut self, tenths: Option<u8>, n: u64) {
        match tenths {
            Some(tenths) => {
                add(&mut self.n, n);
                self.tenths = (self.tenths).saturating_add(u128::from(tenths) * u128::from(n));
            }
            None => add(&mut self.without, n),
        }
    }

    fn finish(self) -> Cvss {
        Cvss {
            mean: (self.n > 0).then(|| self.tenths as f64 / (10.0 * self.n as f64)),
            n: self.n,
            without_score: self.without,
        }
    }
}

impl Durations {
    fn finish(&self) -> Mttr {
        let n = (self.0.values()).fold(0u64, |sum, n| sum.saturating_add(*n));
        let days = (self.0.iter()).fold(0u128, |sum, (days, n)| {
            sum.saturating_add(u128::from(*days) * u128::from(*n))
        });
        // places from 1; the same place twice where the number is odd
        let middle = (self.at(n.div_ceil(2))).zip(self.at(n / 2 + 1));
        Mttr {
            n,
            mean: (n > 0).then(|| days as f64 / n as f64),
            median: middle.map(|(low, high)| (low + high) as f64 / 2.0),
            p90: self.at(n - n / 10),
        }
    }

    /// The value at a place of the sorted values, from 1.
    fn at(&self, place: u64) -> Option<u64> {
        let mut passed = 0u64;
        (self.0.iter())
            .find(|(_, n)| {
                passed = passed.saturating_add(**n);
                passed >= place
            })
            .map(|(days, _)| *days)
    }
}

fn add(count: &mut u64, n: u64) {
    *count = count.saturating_add(n);
}

/// part / (part + rest), which is nothing where both are 0.
fn ratio(part: u64, rest: u64) -> Option<f64> {
    let whole = part.saturating_add(rest);
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use tatami_domain::{Finding, Flags, Severity};

    use super::*;

    const TODAY: Date = Date::constant(2026, 3, 31);

    const FIXED: Flags = Flags {
        active: false,
        is_mitigated: true,
        ..Flags::OPEN
    };

    fn open(severity: Severity, day: Date) -> Fact {
        Fact::of(&Finding {
            severity,
            date: day,
            flags: Flags::OPEN,
            ..Finding::default()
        })
    }

    fn fixed(day: Date, on: Date) -> Fact {
        Fact {
            flags: FIXED,
            mitigated: Some(on),
            ..open(Severity::High, day)
        }
    }

    fn measured(range: Range, facts: &[(Fact, Option<Date>, u64)]) -> Metrics {
        let mut measure = Measure::new(range, Step::Month, TODAY);
        for (fact, due, n) in facts {
            measure.add(fact, *due, *n);
        }
        measure.finish()
    }

    fn days(facts: &[(i64, u64)]) -> Mttr {
        let found = date(2024, 2, 1);
        let facts: Vec<_> = (facts.iter())
            .map(|(days, n)| (fixed(found, found.saturating_add(days.days())), None, *n))
            .collect();
        measured(Range::default(), &facts).mttr.all
    }

    #[test]
    fn of_nothing_every_ratio_is_null() {
        let metrics = measured(Range::default(), &[]);
        let json = serde_json::to_value(&metrics).unwrap();
        for pointer in [
            "/cvss/mean",
            "/remediation/all/rate",
            "/mttr/critical/mean",
            "/mttr/all/median",
            "/mttr/info/p90",
            "/sla/all/compliance",
            "/range/from",
        ] {
            assert_eq!(
                json.pointer(pointer),
                Some(&serde_json::Value::Null),
                "{pointer}"
            );
        }
        assert_eq!(json["today"], "2026-03-31");
        assert_eq!(json["trend"]["step"], "month");
        assert_eq!(json["counts"]["open"]["info"], 0);
        assert_eq!(
            measured(Range::default(), &[(open(Severity::High, TODAY), None, 0)]),
            metrics
        );
    }

    #[test]
    fn a_score_of_nothing_is_a_score() {
        let mut none = open(Severity::Info, TODAY);
        none.cvss = Some(0);
        let mut high = open(Severity::High, TODAY);
        high.cvss = Some(75);
        let without = open(Severity::High, TODAY);
        let mut duplicate = high.clone();
        duplicate.flags.duplicate = true;
        let facts = [
            (none, None, 1),
            (high, None, 2),
            (without, None, 3),
            (duplicate, None, 4),
        ];
        let cvss = measured(Range::default(), &facts).cvss;
        assert_eq!(
            cvss,
            Cvss {
                mean: Some(5.0),
                n: 3,
                without_score: 3
            }
        );
    }

    #[test]
    fn the_last_days_count_back_over_month_ends() {
        // 30 days before 31 March is 1 March; 60 is 30 January, 90 is 31 December
        for (on, expected) in [
            (date(2026, 3, 31), [1, 1, 1]),
            (date(2026, 3, 29), [1, 1, 1]),
            (date(2026, 3, 1), [1, 1, 1]),
            (date(2026, 2, 28), [0, 1, 1]),
            (date(2026, 1, 30), [0, 1, 1]),
            (date(2026, 1, 29), [0, 0, 1]),
            (date(2025, 12, 31), [0, 0, 1]),
            (date(2025, 12, 30), [0, 0, 0]),
        ] {
            let f = measured(Range::default(), &[(fixed(date(2025, 1, 1), on), None, 1)]).fixed;
            let got = [f.last_30_days, f.last_60_days, f.last_90_days].map(|n| n.high);
            assert_eq!(got, expected, "{on}");
        }
    }

    #[test]
    fn ages_are_half_open() {
        for (day, expected) in [
            (date(2026, 4, 1), [1, 0, 0, 0]), // in the future
            (date(2026, 3, 31), [1, 0, 0, 0]),
            (date(2026, 3, 2), [1, 0, 0, 0]), // 29 days
            (date(2026, 3, 1), [0, 1, 0, 0]),
            (date(2026, 1, 31), [0, 1, 0, 0]), // 59
            (date(2026, 1, 30), [0, 0, 1, 0]),
            (date(2026, 1, 1), [0, 0, 1, 0]), // 89
            (date(2025, 12, 31), [0, 0, 0, 1]),
            (date(2024, 2, 29), [0, 0, 0, 1]),
        ] {
            let ageing = measured(Range::default(), &[(open(Severity::Low, day), None, 1)]).ageing;
            let a = ageing.low;
            let got = [
                a.days_0_to_29,
                a.days_30_to_59,
                a.days_60_to_89,
                a.days_90_and_more,
            ];
            assert_eq!(got, expected, "{day}");
            assert_eq!(ageing.all, a);
            assert_eq!(ageing.high, Ageing::default());
        }
    }

    #[test]
    fn medians_and_percentiles_are_exact_on_weights() {
        let mttr = days(&[(7, 1)]);
        assert_eq!(
            (mttr.mean, mttr.median, mttr.p90),
            (Some(7.0), Some(7.0), Some(7))
        );
        // 1 1 1 2 | 5 5 9 9
        let mttr = days(&[(1, 3), (2, 1), (5, 2), (9, 2)]);
        assert_eq!((mttr.n, mttr.mean), (8, Some(4.125)));
        assert_eq!((mttr.median, mttr.p90), (Some(3.5), Some(9)));
        // 1 2 .. 10: place 9 of 10
        let mttr = days(&(1..=10).map(|n| (n, 1)).collect::<Vec<_>>());
        assert_eq!((mttr.median, mttr.p90), (Some(5.5), Some(9)));
        // 1 2 .. 11: place ⌈9.9⌉
        let mttr = days(&(1..=11).map(|n| (n, 1)).collect::<Vec<_>>());
        assert_eq!((mttr.median, mttr.p90), (Some(6.0), Some(10)));
        // nine tenths are 0
        let mttr = days(&[(0, 9_000_000), (400, 1_000_000)]);
        assert_eq!((mttr.median, mttr.p90), (Some(0.0), Some(0)));
        let mttr = days(&[(0, 8_999_999), (400, 1_000_001)]);
        assert_eq!(mttr.p90, Some(400));
    }

    #[test]
    fn times_to_fix_are_in_days_whatever_lies_between() {
        for (found, on, expected) in [
            (date(2024, 2, 28), date(2024, 3, 1), 2),
            (date(2026, 2, 28), date(2026, 3, 1), 1),
            (date(2026, 3, 28), date(2026, 3, 30), 2),
            (date(2025, 12, 31), date(2026, 1, 1), 1),
            (date(2026, 1, 1), date(2025, 12, 31), 0),
        ] {
            let mttr = measured(Range::default(), &[(fixed(found, on), None, 1)])
                .mttr
                .high;
            assert_eq!(mttr.p90, Some(expected), "{found} {on}");
        }
    }

    #[test]
    fn what_was_accepted_is_fixed_but_has_no_time_to_fix() {
        let mut fact = fixed(date(2026, 1, 1), date(2026, 1, 31));
        fact.flags.risk_accepted = true;
        let metrics = measured(Range::default(), &[(fact, Some(TODAY), 1)]);
        assert_eq!(metrics.mttr.all.n, 0);
        assert_eq!(metrics.remediation.all.fixed, 1);
        assert_eq!(metrics.sla.all.within, 1);
        assert_eq!(metrics.counts.risk_accepted.high, 1);
    }

    #[test]
    fn the_range_holds_discoveries_and_fixes_by_their_own_days() {
        let range = Range {
            from: Some(date(2026, 2, 1)),
            to: Some(date(2026, 2, 28)),
        };
        let facts = [
            (fixed(date(2026, 1, 31), date(2026, 2, 1)), None, 1), // fixed in it
            (fixed(date(2026, 2, 28), date(2026, 3, 1)), None, 2), // discovered in it
            (fixed(date(2026, 2, 1), date(2026, 2, 28)), None, 4), // both
            (fixed(date(2026, 1, 31), date(2026, 3, 1)), None, 8), // neither
            (open(Severity::High, date(2026, 2, 28)), None, 16),
            (open(Severity::High, date(2026, 3, 1)), None, 32),
        ];
        let metrics = measured(range, &facts);
        let r = metrics.remediation.high;
        assert_eq!((r.fixed, r.open, r.rate), (6, 16, Some(6.0 / 22.0)));
        assert_eq!(metrics.mttr.high.n, 5);
        assert_eq!(metrics.sla.high.without_sla, 1 + 4 + 16 + 32);
        assert_eq!(metrics.trend.periods.len(), 1);
        assert_eq!(metrics.trend.periods[0].opened.high, 2 + 4 + 16);
        assert_eq!(metrics.trend.periods[0].closed.high, 1 + 4);
        assert_eq!(metrics.counts.total.all, 63);
    }

    #[test]
    fn a_fix_without_a_day_is_in_no_range_of_fixes() {
        let mut fact = fixed(date(2026, 1, 1), TODAY);
        fact.mitigated = None;
        let metrics = measured(Range::default(), &[(fact, Some(TODAY), 1)]);
        assert_eq!(metrics.remediation.all.fixed, 1);
        assert_eq!(metrics.counts.mitigated.all, 1);
        assert_eq!(metrics.fixed.last_90_days.all, 0);
        assert_eq!(metrics.mttr.all.n, 0);
        assert_eq!(metrics.sla.all, Sla::default());
    }

    #[test]
    fn the_due_day_is_inside() {
        let due = Some(date(2026, 2, 28));
        let mut facts = vec![
            (fixed(date(2026, 2, 1), date(2026, 2, 28)), due, 3),
            (fixed(date(2026, 2, 1), date(2026, 3, 1)), due, 1),
        ];
        for (n, due) in [
            (10, date(2026, 3, 30)),
            (100, date(2026, 3, 31)),
            (100, date(2026, 4, 3)),
            (1000, date(2026, 4, 4)),
        ] {
            facts.push((open(Severity::High, date(2026, 3, 1)), Some(due), n));
        }
        let sla = measured(Range::default(), &facts).sla;
        let expected = Sla {
            within: 3,
            late: 1,
            breached: 10,
            due_soon: 200,
            on_track: 1000,
            without_sla: 0,
            compliance: Some(3.0 / 14.0),
        };
        assert_eq!(sla.high, expected);
        assert_eq!(sla.all, expected);
    }

    #[test]
    fn absurd_numbers_do_not_overflow() {
        let mut scored = open(Severity::High, Date::MIN);
        scored.cvss = Some(100);
        let fixed = fixed(Date::MIN, Date::MAX);
        let facts = [
            (scored.clone(), Some(Date::MIN), u64::MAX),
            (scored, Some(Date::MAX), u64::MAX),
            (fixed.clone(), None, u64::MAX),
            (fixed, Some(Date::MIN), u64::MAX),
        ];
        let mut measure = Measure::new(Range::default(), Step::Week, Date::MIN);
        for (fact, due, n) in &facts {
            measure.add(fact, *due, *n);
        }
        assert_eq!(measure.finish().counts.total.all, u64::MAX);
    }
}
