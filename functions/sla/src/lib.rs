//! Holds findings against their due dates: after each import for its product, and daily for all, since
//! time alone breaks an SLA.
//!
//! The daily run also ends the risk acceptances whose date has come (`acceptances.rs`), and looks at when
//! engagements start and end (`engagements.rs`).
//!
//! Due dates themselves are joined to findings when these are read; what is written here is one
//! summary for each product, and daily one event for each of which findings are due (`reminders.rs`).

mod acceptances;
mod engagements;
mod reminders;
mod sum;

use std::sync::Arc;

use aws_lambda_events::sqs::SqsEvent;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;
use tatami_domain::{Finding, Product, ProductId};
use tatami_queue::SlaMessage;
use tatami_runtime::{Delivery, Services, each_message};
use tatami_store::{Entity as _, Sight, StoreError};

pub use reminders::{Reminders, Wanted};
pub use sum::{Standing, Sum, Summary};

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

/// Handles a batch of the queue `sla`, or the daily schedule.
pub async fn handle(services: &Services, event: Value) -> Result<Value, SlaError> {
    services.refresh_intel().await;
    if event["Records"].is_array() {
        let event: SqsEvent = serde_json::from_value(event)?;
        let response = each_message(event, 2, |delivery| message(services.clone(), delivery)).await;
        services.relay().await;
        return Ok(serde_json::to_value(response)?);
    }
    let done = Box::pin(daily(services, Timestamp::now())).await;
    services.relay().await;
    done?;
    Ok(Value::Null)
}

/// The daily run, at this moment. It may come twice, late, or not at all for some days.
pub async fn daily(services: &Services, now: Timestamp) -> Result<(), SlaError> {
    // what stops one of them doesn't stop the others
    let ended = Box::pin(acceptances::run(services, now)).await;
    let timed = Box::pin(engagements::run(services, now)).await;
    Box::pin(reminders::run(services, now)).await?;
    ended.and(timed)
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
    let (summary, _) = sum.finish();
    services.store.put_sla_summary(product, &summary).await?;
    if !services.store.exists(Product::KIND, product.0).await? {
        services.store.forget_product(product).await?; // it was deleted meanwhile
    }
    Ok(())
}
