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
