use std::collections::{BTreeMap, HashMap};

use jiff::ToSpan;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{Exploitation, Finding, ProductId, Severity, SlaConfigurationId};

/// The SLA of products: how many days a finding may stay open. It is joined to findings when they are read,
/// so a change of the configuration rewrites no finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "these are the switches that clients know"
)]
pub struct SlaConfiguration {
    /// Part of the key, not of the document.
    #[serde(skip)]
    pub id: SlaConfigurationId,
    /// Name shown to people; exists once.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Days from the start for a critical finding; the due day itself is still inside.
    pub critical: u16,
    /// With `false` critical findings have no due date. The same for the other severities; Info has none.
    pub enforce_critical: bool,
    /// Days for a high one.
    pub high: u16,
    /// Do they count?
    pub enforce_high: bool,
    /// Days for a medium one.
    pub medium: u16,
    /// Do they count?
    pub enforce_medium: bool,
    /// Days for a low one.
    pub low: u16,
    /// Do they count?
    pub enforce_low: bool,
    /// Does a reactivated finding start anew?
    pub restart_sla_on_reactivation: bool,
    /// Days for what is known to be exploited, whatever its severity but Info, where that is sooner.
    pub known_exploited_days: Option<u16>,
    /// Days for what is likely to be exploited, where that is sooner.
    pub likely_exploited_days: Option<u16>,
    /// From this EPSS score, 0 to 1, exploitation counts as likely.
    pub likely_exploited_epss: f64,
}

impl Default for SlaConfiguration {
    /// 7, 30, 60 and 90 days.
    fn default() -> Self {
        Self {
            id: SlaConfigurationId::default(),
            name: "Default".into(),
            description: Some("7, 30, 60 and 90 days for Critical, High, Medium and Low".into()),
            critical: 7,
            enforce_critical: true,
            high: 30,
            enforce_high: true,
            medium: 60,
            enforce_medium: true,
            low: 90,
            enforce_low: true,
            restart_sla_on_reactivation: false,
            known_exploited_days: None,
            likely_exploited_days: None,
            likely_exploited_epss: 0.5,
        }
    }
}

impl SlaConfiguration {
    /// Does it ask whether something is exploited?
    pub const fn has_tiers(&self) -> bool {
        self.known_exploited_days.is_some() || self.likely_exploited_days.is_some()
    }

    /// How many days a finding of this severity may stay open, of whose exploitation this is known; `None`
    /// for Info and where nothing is enforced.
    pub fn days(&self, severity: Severity, exploitation: &Exploitation) -> Option<u16> {
        let (days, enforced) = match severity {
            Severity::Critical => (self.critical, self.enforce_critical),
            Severity::High => (self.high, self.enforce_high),
            Severity::Medium => (self.medium, self.enforce_medium),
            Severity::Low => (self.low, self.enforce_low),
            Severity::Info => return None,
        };
        let known = exploitation.known_exploited;
        let likely =
            (exploitation.epss_score).is_some_and(|score| score >= self.likely_exploited_epss);
        [
            Some(days).filter(|_| enforced),
            self.known_exploited_days.filter(|_| known),
            self.likely_exploited_days.filter(|_| likely),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The last day on which a finding is inside its SLA. [`Exploitation::of`] is what the finding itself
    /// says of its exploitation.
    pub fn due(&self, finding: &Finding, exploitation: &Exploitation) -> Option<Date> {
        self.due_from(finding.severity, finding.sla_start(), exploitation)
    }

    /// The same of a severity, where the SLA starts on this day.
    pub fn due_from(
        &self,
        severity: Severity,
        start: Date,
        exploitation: &Exploitation,
    ) -> Option<Date> {
        let days = i32::from(self.days(severity, exploitation)?).days();
        start.checked_add(days).ok()
    }

    /// Days left until the due day, counted from `on` (today, or the day it was mitigated);
    /// negative once it is over.
    pub fn days_remaining(
        &self,
        finding: &Finding,
        exploitation: &Exploitation,
        on: Date,
    ) -> Option<i64> {
        let due = self.due(finding, exploitation)?;
        on.until(due).ok().map(|span| i64::from(span.get_days()))
    }
}

/// Which configuration counts for which product.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Slas {
    configurations: BTreeMap<SlaConfigurationId, SlaConfiguration>,
    assigned: HashMap<ProductId, SlaConfigurationId>,
    default: SlaConfiguration,
}

impl Slas {
    /// Of these configurations, and of products that have another one than the default.
    pub fn new(
        configurations: impl IntoIterator<Item = SlaConfiguration>,
        assigned: impl IntoIterator<Item = (ProductId, SlaConfigurationId)>,
    ) -> Self {
        let configurations: BTreeMap<_, _> = (configurations.into_iter())
            .map(|configuration| (configuration.id, configuration))
            .collect();
        let default = configurations.get(&SlaConfigurationId::default()).cloned();
        Self {
            default: default.unwrap_or_default(),
            assigned: assigned.into_iter().collect(),
            configurations,
        }
    }

    /// The configuration of a product; the default one where its own is gone.
    pub fn of(&self, product: ProductId) -> &SlaConfiguration {
        let own = self.assigned.get(&product);
        own.and_then(|id| self.configurations.get(id))
            .unwrap_or(&self.default)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn found(severity: Severity, day: Date) -> Finding {
        Finding {
            severity,
            date: day,
            ..Finding::default()
        }
    }

    fn due(sla: &SlaConfiguration, finding: &Finding) -> Option<Date> {
        sla.due(finding, &Exploitation::of(finding))
    }

    fn left(sla: &SlaConfiguration, finding: &Finding, on: Date) -> Option<i64> {
        sla.days_remaining(finding, &Exploitation::of(finding), on)
    }

    #[test]
    fn the_due_day_is_still_inside() {
        let sla = SlaConfiguration::default();
        let finding = found(Severity::Critical, date(2026, 2, 26));
        assert_eq!(due(&sla, &finding), Some(date(2026, 3, 5)));
        assert_eq!(left(&sla, &finding, date(2026, 3, 5)), Some(0));
        assert_eq!(left(&sla, &finding, date(2026, 3, 6)), Some(-1));
        assert_eq!(due(&sla, &found(Severity::Info, date(2026, 2, 26))), None);
    }

    #[test]
    fn months_and_years_are_counted_in_days() {
        let sla = SlaConfiguration::default();
        let finding = found(Severity::Low, date(2026, 12, 15));
        assert_eq!(left(&sla, &finding, date(2026, 12, 15)), Some(90));
    }

    #[test]
    fn what_is_not_enforced_has_no_due_date() {
        let sla = SlaConfiguration {
            enforce_high: false,
            ..SlaConfiguration::default()
        };
        assert_eq!(due(&sla, &found(Severity::High, date(2026, 1, 1))), None);
    }

    #[test]
    fn what_is_exploited_is_due_sooner_and_never_later() {
        let sla = SlaConfiguration {
            known_exploited_days: Some(3),
            likely_exploited_days: Some(20),
            ..SlaConfiguration::default()
        };
        let of = |known_exploited, score| Exploitation {
            known_exploited,
            epss_score: Some(score),
            ..Exploitation::default()
        };
        assert_eq!(sla.days(Severity::Low, &of(false, 0.49)), Some(90));
        assert_eq!(sla.days(Severity::Low, &of(false, 0.5)), Some(20));
        assert_eq!(sla.days(Severity::Critical, &of(false, 0.5)), Some(7));
        assert_eq!(sla.days(Severity::Critical, &of(true, 0.5)), Some(3));
        assert_eq!(sla.days(Severity::Info, &of(true, 0.5)), None);
    }

    #[test]
    fn one_tier_alone_is_a_tier() {
        let default = SlaConfiguration::default();
        assert!(!default.has_tiers());
        let known = SlaConfiguration {
            known_exploited_days: Some(3),
            ..default.clone()
        };
        let likely = SlaConfiguration {
            likely_exploited_days: Some(3),
            ..default
        };
        assert!(known.has_tiers() && likely.has_tiers());
    }

    #[test]
    fn products_have_their_own_or_the_default() {
        let own = SlaConfiguration {
            id: SlaConfigurationId(2),
            ..SlaConfiguration::default()
        };
        let given = [
            (ProductId(7), SlaConfigurationId(2)),
            (ProductId(8), SlaConfigurationId(3)),
        ];
        let slas = Slas::new([own], given);
        assert_eq!(slas.of(ProductId(7)).id, SlaConfigurationId(2));
        assert_eq!(slas.of(ProductId(8)).id, SlaConfigurationId(1));
        assert_eq!(slas.of(ProductId(9)).id, SlaConfigurationId(1));
    }
}
