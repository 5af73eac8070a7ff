use jiff::ToSpan;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::Severity;

/// How many days a finding of one severity may stay open, and whether that is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlaDays {
    /// Days from the start date; the due day itself is still inside.
    pub days: u16,
    /// With `false` no due date is set.
    pub enforce: bool,
}

/// The SLA of a product: days for each severity. It is joined to findings when they are read, so a
/// change of the configuration rewrites no finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlaConfiguration {
    /// Name shown to people.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// For Critical, High, Medium and Low, in this order; Info has none.
    pub days: [SlaDays; 4],
    /// Does a reactivated finding start anew?
    pub restart_sla_on_reactivation: bool,
}

impl Default for SlaConfiguration {
    /// 7, 30, 60 and 90 days.
    fn default() -> Self {
        Self {
            name: "Default".into(),
            description: "7, 30, 60 and 90 days for Critical, High, Medium and Low".into(),
            days: [7, 30, 60, 90].map(|days| SlaDays {
                days,
                enforce: true,
            }),
            restart_sla_on_reactivation: false,
        }
    }
}

impl SlaConfiguration {
    /// The last day on which a finding is inside its SLA; `None` for Info and where it isn't
    /// enforced.
    pub fn due(&self, severity: Severity, start: Date) -> Option<Date> {
        let days = self.days.get(severity.rank()).filter(|d| d.enforce)?;
        start.checked_add(i32::from(days.days).days()).ok()
    }

    /// Days left until the due day, counted from `on` (today, or the day it was mitigated);
    /// negative once it is over.
    pub fn days_remaining(&self, severity: Severity, start: Date, on: Date) -> Option<i64> {
        let due = self.due(severity, start)?;
        on.until(due).ok().map(|span| i64::from(span.get_days()))
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn the_due_day_is_still_inside() {
        let sla = SlaConfiguration::default();
        let start = date(2026, 2, 26);
        assert_eq!(sla.due(Severity::Critical, start), Some(date(2026, 3, 5)));
        assert_eq!(
            sla.days_remaining(Severity::Critical, start, date(2026, 3, 5)),
            Some(0)
        );
        assert_eq!(
            sla.days_remaining(Severity::Critical, start, date(2026, 3, 6)),
            Some(-1)
        );
        assert_eq!(sla.due(Severity::Info, start), None);
    }

    #[test]
    fn months_and_years_are_counted_in_days() {
        let sla = SlaConfiguration::default();
        assert_eq!(
            sla.days_remaining(Severity::Low, date(2026, 12, 15), date(2026, 12, 15)),
            Some(90)
        );
    }

    #[test]
    fn what_is_not_enforced_has_no_due_date() {
        let mut sla = SlaConfiguration::default();
        sla.days[1].enforce = false;
        assert_eq!(sla.due(Severity::High, date(2026, 1, 1)), None);
    }
}
