//! Reads reports that land in S3: finds their target, detects and parses them, packs the long texts,
//! and sends the findings on to the dedup function in parts.
//!
//! The function may be called for the same upload any number of times. Until the number of parts is
//! recorded it does everything again, with the same result; afterwards it does nothing.

mod compact;
mod event;
mod import;
mod keyed;
mod known;
mod parts;
mod read;
mod replay;

use aws_lambda_events::sqs::SqsEvent;
use serde_json::Value;
use tatami_runtime::{Delivery, Services, each_message};

pub use event::{EventError, Upload};
pub use import::ParserError;
pub use replay::{Change, Difference};

/// Handles an S3 event, also where it comes wrapped by SQS or EventBridge. For SQS the answer is the
/// partial batch response.
pub async fn handle(services: &Services, event: Value) -> Result<Value, ParserError> {
    if event::is_sqs(&event) {
        let event: SqsEvent = serde_json::from_value(event).map_err(EventError::from)?;
        let response = each_message(event, 1, |delivery| message(services.clone(), delivery)).await;
        services.relay().await;
        return Ok(serde_json::to_value(response).map_err(EventError::from)?);
    }
    for upload in event::uploads(&event)? {
        Box::pin(import::run(services, &upload, false)).await?;
    }
    services.relay().await;
    Ok(Value::Null)
}

async fn message(services: Services, delivery: Delivery) -> Result<(), ParserError> {
    let event: Value = serde_json::from_str(&delivery.body).map_err(EventError::from)?;
    for upload in event::uploads(&event)? {
        Box::pin(import::run(&services, &upload, delivery.is_last_try())).await?;
    }
    Ok(())
}
