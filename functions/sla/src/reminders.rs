//! The daily run over the findings of all products: each block is read once, and one event for each product
//! tells of the findings that are due soon, today, or were due in the last days.
//!
//! The event is written with the summary of the day, on the condition that the product hasn't got one of that
//! day or a later one. So a run that comes again tells nothing again, one that was cut off is gone on with by
//! the next, and one that comes after days on which nothing ran also tells of what came within reach meanwhile.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tatami_domain::{
    Event, EventKind, Finding, FindingId, Product, ProductId, Severity, SystemSettings,
};
use tatami_runtime::Services;
use tatami_store::{Entity as _, Sight};

use crate::{SlaError, Sum};

/// So many days before the due day a finding is told of.
const BEFORE_DAYS: i64 = 3;
/// So many days after the due day it's still told of, every day.
const AFTER_DAYS: i64 = 7;
/// An event names so many findings at most for each occasion, those that are due first; it counts all.
const NAMED: usize = 500;

/// Which findings people want to be told of, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Only those that are verified.
    pub verified: bool,
    /// Only those that have an issue in JIRA.
    pub in_jira: bool,
    /// Late ones 1, 2, 4, 8, ... days after the due day, in the place of every day of the first week.
    pub ever_less: bool,
}

impl From<&SystemSettings> for Wanted {
    fn from(settings: &SystemSettings) -> Self {
        Self {
            verified: settings.enable_notify_sla_active_verified
                && !settings.enable_notify_sla_active,
            in_jira: settings.enable_notify_sla_jira_only,
            ever_less: settings.enable_notify_sla_exponential_backoff,
        }
    }
}

/// Findings to be told of on a day.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reminders {
    /// How many days ago the last were told; none: never, or they are told of nobody.
    since_days: Option<i64>,
    wanted: Wanted,
    due: Vec<(i64, FindingId, Severity)>,
}

impl Reminders {
    /// Those of a day that comes so many days after the last such day, at least one.
    pub fn after(since_days: i64, wanted: Wanted) -> Self {
        Self {
            since_days: Some(since_days.max(1)),
            wanted,
            due: Vec::new(),
        }
    }

    /// Notes an open finding that has so many days left, where it's time.
    pub fn add(&mut self, finding: &Finding, left: i64) {
        let Some(since) = self.since_days else { return };
        if self.wanted.verified && !finding.flags.verified
            || self.wanted.in_jira && finding.jira.issue.is_none()
        {
            return;
        }
        // three days before, or on a day since the last run that was
        let comes = (1..=BEFORE_DAYS).contains(&left) && left + since > BEFORE_DAYS;
        let late = if self.wanted.ever_less {
            left == 0 || doubles(-left, since)
        } else {
            (-AFTER_DAYS..=0).contains(&left)
        };
        if comes || late {
            self.due.push((left, finding.id, finding.severity));
        }
    }

    /// Is there nothing to tell?
    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    /// What an event says: for each occasion how many, by severity, and which, those due first before others.
    pub fn data(mut self, product: &Product) -> Value {
        self.due.sort_unstable();
        let part = |wanted: fn(i64) -> bool| {
            let mut part = self.due.iter().filter(|(left, ..)| wanted(*left));
            let counts: serde_json::Map<String, Value> = (Severity::ALL.into_iter())
                .map(|severity| {
                    let of = self.due.iter();
                    let n = of.filter(|(left, _, of)| wanted(*left) && *of == severity);
                    (severity.name().to_owned(), json!(n.count()))
                })
                .collect();
            let findings: Vec<Value> = (part.by_ref().take(NAMED))
                .map(|(left, id, severity)| {
                    json!({"id": id, "severity": severity.name(), "days_remaining": left})
                })
                .collect();
            json!({"count": findings.len() + part.count(), "severities": counts, "findings": findings})
        };
        json!({
            "product_name": product.name,
            "due_soon": part(|left| left > 0),
            "due_today": part(|left| left == 0),
            "breached": part(|left| left < 0),
        })
    }
}

/// Was one of the last `since` days, up to this one, so many days late that it's a power of two?
fn doubles(late: i64, since: i64) -> bool {
    u64::try_from(late).is_ok_and(|late| {
        let power = late.checked_ilog2().map_or(0, |log| 1_u64 << log);
        power > 0 && power + since.unsigned_abs() > late
    })
}

/// Goes through all products that weren't gone through on this day.
pub async fn run(services: &Services, now: Timestamp) -> Result<(), SlaError> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let store = services.store.clone().hiding_deleted();
    let settings = store.system_settings().await?;
    let products: Vec<Product> = store.list().await?;
    let ids: Vec<ProductId> = products.iter().map(|product| product.id).collect();
    let swept = store.sla_swept(&ids).await?;
    let mut failed = None;
    for product in products {
        let last = swept.get(&product.id).copied();
        if last >= Some(today) {
            continue;
        }
        if let Err(error) = sweep(services, &product, &settings, last, now).await {
            tracing::error!(product = %product.id, %error, "the daily SLA run failed with a product");
            failed = failed.or(Some(error));
        }
    }
    failed.map_or(Ok(()), Err)
}

async fn sweep(
    services: &Services,
    product: &Product,
    settings: &SystemSettings,
    last: Option<Date>,
    now: Timestamp,
) -> Result<(), SlaError> {
    let store = &services.store;
    let today = now.to_zoned(TimeZone::UTC).date();
    let slas = store.slas().await?;
    let sum = Sum::new(slas.of(product.id).clone(), store.intel(), today);
    let mut sum = if product.disable_sla_breach_notifications {
        sum
    } else {
        let since = last.and_then(|last| last.until(today).ok());
        let since = since.map_or(1, |span| i64::from(span.get_days()));
        sum.reminding(Reminders::after(since, settings.into()))
    };
    let see = |finding: &Arc<Finding>| sum.add(finding);
    store.skim(Sight::Products(&[product.id]), see).await?;
    let (summary, reminders) = sum.finish();
    let event = (!reminders.is_empty()).then(|| Event {
        kind: EventKind::SlaDue,
        object: product.id.0,
        occasion: today.to_string(),
        product: Some(product.id),
        time: now,
        data: reminders.data(product),
        to: Vec::new(),
    });
    let told = store.tell_sla(product.id, &summary, today, event.as_ref());
    if told.await? && !store.exists(Product::KIND, product.id.0).await? {
        store.forget_product(product.id).await?; // it was deleted meanwhile
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tatami_domain::Flags;

    use super::*;

    fn told(since: i64, wanted: Wanted) -> Vec<i64> {
        let mut reminders = Reminders::after(since, wanted);
        for left in -10..=10 {
            let finding = Finding {
                id: FindingId(1),
                flags: Flags::OPEN,
                ..Finding::default()
            };
            reminders.add(&finding, left);
        }
        reminders.due.iter().map(|(left, ..)| *left).collect()
    }

    #[test]
    fn three_days_before_on_the_day_and_seven_days_after() {
        let all = Wanted::default();
        assert_eq!(told(1, all), [-7, -6, -5, -4, -3, -2, -1, 0, 3]);
        assert_eq!(told(2, all)[8..], [2, 3], "a day was missed");
        assert_eq!(told(30, all)[8..], [1, 2, 3]);
        assert_eq!(told(0, all), told(1, all));
        let verified = Wanted {
            verified: true,
            ..all
        };
        assert!(told(1, verified).is_empty(), "nothing is verified");
        let in_jira = Wanted {
            in_jira: true,
            ..all
        };
        assert!(told(1, in_jira).is_empty(), "nothing has an issue");
    }

    #[test]
    fn late_ones_are_told_of_ever_less_often() {
        let ever_less = Wanted {
            ever_less: true,
            ..Wanted::default()
        };
        assert_eq!(told(1, ever_less), [-8, -4, -2, -1, 0, 3]);
        let missed = [-10, -9, -8, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3];
        assert_eq!(told(3, ever_less), missed);
        let days = (1..=70).filter(|late| doubles(*late, 1));
        assert_eq!(days.collect::<Vec<_>>(), [1, 2, 4, 8, 16, 32, 64]);
    }

    #[test]
    fn an_event_counts_all_and_names_those_due_first() {
        let mut reminders = Reminders::after(1, Wanted::default());
        for n in 0..NAMED as u64 + 10 {
            let finding = Finding {
                id: FindingId(n),
                severity: Severity::High,
                flags: Flags::OPEN,
                ..Finding::default()
            };
            reminders.add(&finding, if n == 505 { -7 } else { -1 });
        }
        let data = reminders.data(&Product::default());
        let breached = &data["breached"];
        assert_eq!(
            (&breached["count"], &breached["severities"]["High"]),
            (&json!(510), &json!(510))
        );
        assert_eq!(breached["findings"].as_array().unwrap().len(), NAMED);
        assert_eq!(breached["findings"][0]["id"], 505);
        assert_eq!(data["due_today"]["count"], 0);
    }
}
