//! Holds findings against their due dates: after each import for its product, and daily for all, since
//! time alone breaks an SLA.
//!
//! The daily run also ends the risk acceptances whose date has come (`acceptances.rs`).
//!
//! Due dates themselves are joined to findings when these are read; what is written here is one
//! summary for each product.

mod acceptances;

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lambda_events::sqs::SqsEvent;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tatami_domain::{Finding, Product, ProductId, Severity, SlaConfiguration};
use tatami_queue::SlaMessage;
use tatami_runtime::{Delivery, Services, each_message};
use tatami_store::{Entity as _, Sight, StoreError};
use tatami_threat_intel::Intel;

/// A finding due within so many days counts as due soon.
const SOON_DAYS: i64 = 3;

/// Why a message or the schedule failed.
#[derive(Debug, thiserror::Error)]
pub enum SlaError {
    /// The message cannot be read.
    #[error(transparent)]
    Read(#[from] tatami_queue::ReadError),
    /// DynamoDB.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// SQS.
    #[error(transparent)]
    Send(#[from] tatami_queue::SendError),
    /// Findings under a risk acceptance.
    #[error(transparent)]
    Duplicates(#[from] tatami_duplicates::DuplicateError),
    /// A risk acceptance.
    #[error(transparent)]
    Acceptance(#[from] tatami_domain::AcceptanceError),
    /// Not JSON.
    #[error("not an SQS event or message: {0}")]
    Json(#[from] serde_json::Error),
}

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

/// Handles a batch of the queue `sla`, or the daily schedule.
pub async fn handle(services: &Services, event: Value) -> Result<Value, SlaError> {
    services.refresh_intel().await;
    if event["Records"].is_array() {
        let event: SqsEvent = serde_json::from_value(event)?;
        let response = each_message(event, 2, |delivery| message(services.clone(), delivery)).await;
        return Ok(serde_json::to_value(response)?);
    }
    Box::pin(daily(services, Timestamp::now())).await?;
    Ok(Value::Null)
}

/// The daily run, at this moment. It may come twice, late, or not at all for some days.
pub async fn daily(services: &Services, now: Timestamp) -> Result<(), SlaError> {
    // what stops one of the two doesn't stop the other
    let ended = Box::pin(acceptances::run(services, now)).await;
    for product in services.store.list::<Product>().await? {
        reckon(services, product.id).await?;
    }
    ended
}

async fn message(services: Services, delivery: Delivery) -> Result<(), SlaError> {
    match tatami_queue::read(&delivery.body)? {
        SlaMessage::Product { product } => reckon(&services, product).await,
    }
}

async fn reckon(services: &Services, product: ProductId) -> Result<(), SlaError> {
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let slas = services.store.slas().await?;
    let sla = slas.of(product).clone();
    let mut sum = Sum::new(sla, services.store.intel(), today);
    let see = |finding: &Arc<Finding>| sum.add(finding);
    let sight = Sight::Products(&[product]);
    services.store.sweep(sight, see).await?;
    let summary = sum.summary();
    services.store.put_sla_summary(product, &summary).await?;
    if !services.store.exists(Product::KIND, product.0).await? {
        services.store.forget_product(product).await?; // it was deleted meanwhile
    }
    Ok(())
}

/// Sums up how findings stand on a day.
#[derive(Debug)]
pub struct Sum {
    sla: SlaConfiguration,
    intel: Arc<Intel>,
    today: Date,
    by_severity: BTreeMap<Severity, Standing>,
    next_due: Option<Date>,
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
        }
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
    }

    /// What it amounts to.
    pub fn summary(self) -> Summary {
        let named = self.by_severity.into_iter();
        Summary {
            as_of: self.today,
            severities: named
                .map(|(severity, s)| (severity.name().to_owned(), s))
                .collect(),
            next_due: self.next_due,
        }
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
        let summary = sum.summary();
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
