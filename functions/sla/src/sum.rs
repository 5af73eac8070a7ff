use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use tatami_domain::{Finding, Severity, SlaConfiguration};
use tatami_threat_intel::Intel;

use crate::Reminders;

/// A finding due within so many days counts as due soon.
const SOON_DAYS: i64 = 3;

/// How the open findings of a product stand against its SLA on one day.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Summary {
    /// The day it holds for.
    pub as_of: Date,
    /// By severity, for those severities that have open findings with a due date.
    pub severities: BTreeMap<String, Standing>,
    /// The earliest due date of an open finding that isn't over yet.
    pub next_due: Option<Date>,
}

/// Numbers of open findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Standing {
    /// Due later than soon.
    pub within: u64,
    /// Due within three days, today included.
    pub due_soon: u64,
    /// Past their due date.
    pub breached: u64,
}

/// Sums up how findings stand on a day.
#[derive(Debug)]
pub struct Sum {
    sla: SlaConfiguration,
    intel: Arc<Intel>,
    today: Date,
    by_severity: BTreeMap<Severity, Standing>,
    next_due: Option<Date>,
    reminders: Reminders,
}

impl Sum {
    /// Of no finding yet.
    pub fn new(sla: SlaConfiguration, intel: Arc<Intel>, today: Date) -> Self {
        Self {
            sla,
            intel,
            today,
            by_severity: BTreeMap::new(),
            next_due: None,
            reminders: Reminders::default(),
        }
    }

    /// The same, with what is to be told of the findings.
    #[must_use]
    pub fn reminding(mut self, reminders: Reminders) -> Self {
        self.reminders = reminders;
        self
    }

    /// Counts a finding, if it's open and has a due date.
    pub fn add(&mut self, finding: &Finding) {
        if !finding.flags.is_open() {
            return;
        }
        let exploitation = self.intel.for_sla(&self.sla, finding);
        let left = (self.sla).days_remaining(finding, &exploitation, self.today);
        let Some(left) = left else {
            return;
        };
        let standing = self.by_severity.entry(finding.severity).or_default();
        match left {
            ..0 => standing.breached += 1,
            0..=SOON_DAYS => standing.due_soon += 1,
            _ => standing.within += 1,
        }
        if left >= 0 {
            let due = self.sla.due(finding, &exploitation);
            self.next_due = [self.next_due, due].into_iter().flatten().min();
        }
        self.reminders.add(finding, left);
    }

    /// What it amounts to, and what is to be told.
    pub fn finish(self) -> (Summary, Reminders) {
        let named = self.by_severity.into_iter();
        let summary = Summary {
            as_of: self.today,
            severities: named
                .map(|(severity, s)| (severity.name().to_owned(), s))
                .collect(),
            next_due: self.next_due,
        };
        (summary, self.reminders)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use tatami_domain::Flags;

    use super::*;

    #[test]
    fn findings_are_counted_by_how_they_stand() {
        let open = |severity, day| Finding {
            severity,
            date: day,
            flags: Flags::OPEN,
            ..Finding::default()
        };
        let mut closed = open(Severity::Critical, date(2026, 1, 1));
        closed.flags.active = false;
        let findings = [
            open(Severity::Critical, date(2026, 1, 1)), // due on the 8th
            open(Severity::Critical, date(2026, 1, 3)), // due on the 10th
            open(Severity::High, date(2026, 1, 3)),     // due in February
            open(Severity::Info, date(2020, 1, 1)),     // never due
            closed,
        ];
        let sla = SlaConfiguration::default();
        let mut sum = Sum::new(sla, Arc::default(), date(2026, 1, 9));
        for finding in &findings {
            sum.add(finding);
        }
        let (summary, _) = sum.finish();
        let critical = Standing {
            breached: 1,
            due_soon: 1,
            within: 0,
        };
        assert_eq!(summary.severities["Critical"], critical);
        assert_eq!(summary.severities["High"].within, 1);
        assert_eq!(summary.severities.len(), 2);
        assert_eq!(summary.next_due, Some(date(2026, 1, 10)));
    }
}
