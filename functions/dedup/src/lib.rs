//! Puts findings into the store: claims their keys, tells duplicates from originals, holds re-imports
//! against what is there, keeps the counts, and finishes the import with its last part.
//!
//! Every message may come any number of times, in any order and side by side with others: a chunk is
//! one transaction with a marker of its own, and what was done already is not done again.

mod bulk;
mod delete;
mod finalise;
mod grouping;
mod jira;
mod jobs;
mod part;
mod plan;
mod rehash;
mod told;

use aws_lambda_events::sqs::SqsEvent;
use jiff::Timestamp;
use serde_json::Value;
use tatami_domain::{ImportError, ImportId, ImportState};
use tatami_queue::{FindingsMessage, SendError};
use tatami_runtime::{Delivery, Services, each_message, tell_failed};
use tatami_store::StoreError;

/// How many messages of a batch are handled side by side.
const PARALLEL: usize = 2;

/// Why a message failed; another try may help.
#[derive(Debug, thiserror::Error)]
pub enum DedupError {
    /// The message cannot be read.
    #[error(transparent)]
    Read(#[from] tatami_queue::ReadError),
    /// DynamoDB.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What a finding's keys are made of.
    #[error(transparent)]
    Rekey(#[from] tatami_rehash::RekeyError),
    /// S3.
    #[error(transparent)]
    Blobs(#[from] tatami_blobs::BlobError),
    /// What findings are duplicates of.
    #[error(transparent)]
    Duplicates(tatami_duplicates::DuplicateError),
    /// SQS.
    #[error(transparent)]
    Send(#[from] SendError),
    /// Not JSON.
    #[error("not an SQS event or message: {0}")]
    Json(#[from] serde_json::Error),
    /// The import isn't ready for its findings: the parser always writes its record first.
    #[error("the import {0} has no {1} yet")]
    Incomplete(ImportId, &'static str),
}

/// Handles a batch of messages from the queue `findings`; the answer is the partial batch response.
pub async fn handle(services: &Services, event: Value) -> Result<Value, DedupError> {
    let event: SqsEvent = serde_json::from_value(event)?;
    let response = each_message(event, PARALLEL, |delivery| {
        message(services.clone(), delivery)
    })
    .await;
    services.relay().await;
    Ok(serde_json::to_value(response)?)
}

async fn message(services: Services, delivery: Delivery) -> Result<(), DedupError> {
    let result = work(&services, &delivery.body).await;
    let Err(error) = result else { return Ok(()) };
    if let (true, Some(import)) = (delivery.is_last_try(), delivery.import) {
        Box::pin(give_up(&services, import, &error)).await?;
    }
    if delivery.is_last_try() {
        match tatami_queue::read(&delivery.body) {
            Ok(FindingsMessage::Rehash { job, .. }) => {
                rehash::give_up(&services, job, &error).await?;
            }
            Ok(FindingsMessage::Job { job, .. }) => jobs::give_up(&services, job, &error).await?,
            _ => {}
        }
    }
    Err(error)
}

async fn work(services: &Services, body: &str) -> Result<(), DedupError> {
    match tatami_queue::read(body)? {
        FindingsMessage::Part {
            import,
            part,
            chunks,
        } => Box::pin(part::run(services, import, part, chunks)).await,
        FindingsMessage::Finalise { import } => Box::pin(finalise::run(services, import)).await,
        FindingsMessage::Job { job, step } => Box::pin(jobs::run(services, job, step)).await,
        FindingsMessage::Deleted { import } => match services.store.import(import).await {
            Err(error) if error.is_not_found() => Ok(()),
            import => Box::pin(delete::lost(services, &import?)).await.map(drop),
        },
        FindingsMessage::Rehash { job, step } => rehash::run(services, job, step).await,
    }
}

/// Says on the import that one of its messages goes to the dead-letter queue. Sending that message
/// again finishes the import all the same.
async fn give_up(
    services: &Services,
    import: ImportId,
    error: &DedupError,
) -> Result<(), StoreError> {
    let mut import = match services.store.import(import).await {
        Err(error) if error.is_not_found() => return Ok(()),
        other => other?,
    };
    import.state = ImportState::Failed;
    import.finished = Some(Timestamp::now());
    import.error = Some(ImportError {
        message: format!("some of its findings could not be stored after several tries: {error}"),
        hint: Some(
            "their message lies in the dead-letter queue; redrive it once the cause is gone".into(),
        ),
        ..ImportError::default()
    });
    tell_failed(&services.store, &import).await?;
    services.store.save_import(&import).await?;
    if let Some(test) = import.test {
        services.store.end_import(test, import.id).await?;
    }
    Ok(())
}
