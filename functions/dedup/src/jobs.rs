//! Jobs that requests began: a step a message, until nothing is left to do. A step may be done twice, or
//! by two at once; it says in the end what is left.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tatami_domain::{Job, JobId, JobState, Work};
use tatami_queue::{FindingsMessage, Outgoing};
use tatami_runtime::Services;
use tatami_store::StoreError;

use crate::{DedupError, bulk, delete};

/// A step ends after so long; the next is another message.
const STEP: Duration = Duration::from_secs(20);

/// Does one step of a job and sends for the next.
pub async fn run(services: &Services, id: JobId, step: u64) -> Result<(), DedupError> {
    let store = &services.store;
    let mut job = match store.job(id).await {
        Err(error) if error.is_not_found() => return Ok(()),
        other => other?,
    };
    if job.state != JobState::Running {
        return Ok(());
    }
    if job.step == step + 1 {
        // It came again: whoever did the step may have been stopped before the message for the next.
        return send(services, &job).await;
    }
    if job.step != step {
        return Ok(());
    }
    let until = Instant::now() + STEP;
    let left = match &job.work {
        Work::Delete { branch, .. } => Box::pin(delete::step(services, *branch, until)).await?,
        Work::Bulk { .. } => bulk::step(services, &job, until).await?,
    };
    let now = Timestamp::now();
    job.of = job.of.max(left.unwrap_or_default());
    job.done = job.of - left.unwrap_or_default();
    if left.is_none() {
        Box::pin(bulk::end(services, &job)).await?;
        job.state = JobState::Done;
        job.finished = Some(now);
    }
    job.step += 1;
    job.updated = now;
    if !store.put_job(&job).await? {
        return Ok(()); // the same message, elsewhere, was quicker
    }
    if job.state == JobState::Running {
        return send(services, &job).await;
    }
    tracing::info!(job = %job.id, of = job.of, "job done");
    Ok(())
}

async fn send(services: &Services, job: &Job) -> Result<(), DedupError> {
    let message = FindingsMessage::Job {
        job: job.id,
        step: job.step,
    };
    let body = tatami_queue::write(&message)?;
    services
        .findings
        .send([Outgoing { body, import: None }])
        .await?;
    Ok(())
}

/// Says on a job that one of its messages goes to the dead-letter queue.
pub async fn give_up(services: &Services, id: JobId, error: &DedupError) -> Result<(), StoreError> {
    let mut job = match services.store.job(id).await {
        Err(error) if error.is_not_found() => return Ok(()),
        other => other?,
    };
    if job.state == JobState::Running {
        job.state = JobState::Failed;
        job.updated = Timestamp::now();
        job.error = Some(error.to_string());
        services.store.put_job(&job).await?;
    }
    Ok(())
}
