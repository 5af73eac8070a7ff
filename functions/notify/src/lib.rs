//! Tells people of events, over the channels they chose.

use aws_lambda_events::sqs::SqsEvent;
use serde_json::Value;
use tatami_queue::NotifyMessage;
use tatami_runtime::{Delivery, Services, each_message};
use tatami_store::StoreError;

/// How many messages of a batch are handled side by side.
const PARALLEL: usize = 2;

/// Why a message or the schedule failed.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The message cannot be read.
    #[error(transparent)]
    Read(#[from] tatami_queue::ReadError),
    /// DynamoDB.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Not JSON.
    #[error("not an SQS event or message: {0}")]
    Json(#[from] serde_json::Error),
}

/// Handles a batch of the queue `notify`, or the schedule.
pub async fn handle(services: &Services, event: Value) -> Result<Value, NotifyError> {
    let event: SqsEvent = serde_json::from_value(event)?;
    let response = each_message(event, PARALLEL, |delivery| {
        message(services.clone(), delivery)
    })
    .await;
    services.relay().await;
    Ok(serde_json::to_value(response)?)
}

async fn message(services: Services, delivery: Delivery) -> Result<(), NotifyError> {
    if let NotifyMessage::Work(entry) = tatami_queue::read(&delivery.body)? {
        services.store.done(&entry).await?;
    }
    Ok(())
}
