//! Keeps issues in JIRA and findings in step, in both directions.
//!
//! A message says what may have changed; what there is to do about it, the present state says (`sync.rs`). So each
//! may come twice, late, and in any order. Work from the outbox stays there until it's done. The schedule looks for
//! what no message told of (`reconcile.rs`).

mod comments;
mod context;
mod create;
mod error;
mod events;
mod fields;
mod push;
mod reconcile;
mod status;
mod sync;
mod thing;

use std::time::Duration;

use aws_lambda_events::sqs::SqsEvent;
use jiff::SignedDuration;
use serde_json::Value;
use tatami_domain::{JiraInstance, JiraIssue, OutboxEntry, OutboxWork};
use tatami_queue::JiraMessage;
use tatami_runtime::{Delivery, Services, each_message};

use context::Context;
pub use error::JiraFunctionError;
use error::Result;

/// How many messages of a batch are handled side by side.
const PARALLEL: usize = 2;
/// What waits longer is sent anew by the sweep of the outbox, and not by itself.
const SWEPT: SignedDuration = SignedDuration::from_mins(14);
/// So many seconds later it's tried again where JIRA says nothing.
const LATER_S: u16 = 60;
/// So long one message is worked on; what is left then comes again at once.
const TIME: Duration = Duration::from_mins(2);

/// Handles a batch of the queue `jira`, or the schedule.
pub async fn handle(services: &Services, event: Value) -> Result<Value, JiraFunctionError> {
    services.refresh_intel().await;
    if event["Records"].is_array() {
        let event: SqsEvent = serde_json::from_value(event)?;
        let response = each_message(event, PARALLEL, |delivery| {
            message(services.clone(), delivery)
        })
        .await;
        services.relay().await;
        return Ok(serde_json::to_value(response)?);
    }
    let done = Box::pin(reconcile::scheduled(services)).await;
    services.relay().await;
    done?;
    Ok(Value::Null)
}

async fn message(services: Services, delivery: Delivery) -> Result<()> {
    let message: JiraMessage = tatami_queue::read(&delivery.body)?;
    let entry = match &message {
        JiraMessage::Work(entry) => Some(entry.clone()),
        _ => None,
    };
    match Box::pin(handled(&services, message)).await {
        Err(JiraFunctionError::Later { seconds, why }) => {
            tracing::info!(why, seconds, "comes again");
            let old = entry.is_some_and(|entry| services.store.waited(&entry) > SWEPT);
            if !old {
                let seconds = seconds.unwrap_or(LATER_S);
                services.jira.send_later(delivery.body, seconds).await?;
            }
            Ok(())
        }
        Err(JiraFunctionError::Unfinished) => {
            services.jira.send_later(delivery.body, 1).await?;
            Ok(())
        }
        done => done,
    }
}

async fn handled(services: &Services, message: JiraMessage) -> Result<()> {
    match message {
        JiraMessage::Work(entry) => {
            if services.store.is_waiting(&entry).await? {
                work(services, &entry).await?;
                services.store.done(&entry).await?;
            }
            Ok(())
        }
        JiraMessage::Changed { jira_id, instance } => {
            let ctx = Context::read(services).await?;
            let instances = if let Some(instance) = instance {
                vec![instance]
            } else {
                let all: Vec<JiraInstance> = ctx.store.list().await?;
                all.into_iter().map(|instance| instance.id).collect()
            };
            for instance in instances {
                let known = ctx.store.find_within::<JiraIssue>(instance.0, &jira_id);
                if let Some(known) = known.await? {
                    reconcile::known(&ctx, &known).await?;
                }
            }
            Ok(())
        }
        JiraMessage::Reconcile { instance } => reconcile::instance(services, instance).await,
    }
}

/// Does all there is to do of an entry. What fails of one object keeps no other.
async fn work(services: &Services, entry: &OutboxEntry) -> Result<()> {
    let ctx = Context::read(services).await?;
    match &entry.work {
        OutboxWork::Jira { objects, .. } => {
            let mut failed = None;
            for object in objects {
                if ctx.is_late() {
                    return Err(JiraFunctionError::Unfinished);
                }
                if let Err(error) = sync::sync(&ctx, *object, None).await {
                    failed = failed.or(Some(error));
                }
            }
            failed.map_or(Ok(()), Err)
        }
        OutboxWork::JiraPush(id) => push::ordered(&ctx, *id).await,
        OutboxWork::JiraEvent(key) => events::told(&ctx, key).await,
        OutboxWork::Notify(_) => Ok(()),
    }
}
