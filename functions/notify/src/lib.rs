//! Tells people of events, over the channels they chose.
//!
//! An event becomes deliveries ([`receivers`]): one for each message, channel and receiver, in a log. Each is sent by
//! itself ([`deliver`]), and again where that fails. The schedule sends what was lost on the way, what waits for
//! another try, and digests.

mod channels;
mod deliver;
mod digests;
mod directory;
mod known;
mod outcome;
mod receivers;
mod schedule;

use std::sync::Arc;

use aws_lambda_events::sqs::SqsEvent;
use serde_json::Value;
use tatami_domain::DeliveryId;
use tatami_queue::{NotifyMessage, Outgoing, SendError};
use tatami_runtime::{Delivery, RelayError, Services, each_message};
use tatami_store::StoreError;

use known::Known;

/// How many messages of a batch are handled side by side.
const PARALLEL: usize = 4;

/// Why a message or the schedule failed.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The message cannot be read.
    #[error(transparent)]
    Read(#[from] tatami_queue::ReadError),
    /// DynamoDB.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// SQS.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The outbox could not be swept.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// Not JSON.
    #[error("not an SQS event or message: {0}")]
    Json(#[from] serde_json::Error),
}

/// Handles a batch of the queue `notify`, or the schedule.
pub async fn handle(services: &Services, event: Value) -> Result<Value, NotifyError> {
    if !event["Records"].is_array() {
        let done = Box::pin(schedule::run(services)).await;
        services.relay().await;
        done?;
        return Ok(Value::Null);
    }
    let event: SqsEvent = serde_json::from_value(event)?;
    let known = Arc::new(Known::new(services.clone()));
    let response = each_message(event, PARALLEL, |delivery| {
        message(Arc::clone(&known), delivery)
    })
    .await;
    services.relay().await;
    Ok(serde_json::to_value(response)?)
}

async fn message(known: Arc<Known>, delivery: Delivery) -> Result<(), NotifyError> {
    match tatami_queue::read(&delivery.body)? {
        NotifyMessage::Work(entry) => receivers::work(&known, &entry).await,
        NotifyMessage::Delivery { delivery } => deliver::deliver(&known, delivery).await,
    }
}

/// Lets deliveries be sent.
async fn send(
    services: &Services,
    deliveries: impl IntoIterator<Item = DeliveryId>,
) -> Result<(), NotifyError> {
    let mut messages = Vec::new();
    for delivery in deliveries {
        let body = tatami_queue::write(&NotifyMessage::Delivery { delivery })?;
        messages.push(Outgoing { body, import: None });
    }
    Ok(services.notify.send(messages).await?)
}
