//! Changes many findings, some dozens a transaction after the other.

use std::ops::Range;
use std::time::Instant;

use jiff::Timestamp;
use tatami_domain::{AuditEntry, Job, User, UserId, Work};
use tatami_duplicates::{DuplicateError, Duplicates, Listed, finish, tell_of_job, work_off};
use tatami_runtime::Services;
use tatami_store::Record;

use crate::DedupError;
use crate::delete::failed;

/// How many findings are changed before the time is looked at: what about a transaction takes, and an entry
/// of the audit log with all their fields.
const SOME: usize = 96;

/// Goes on with a job. Says how many findings are left; `None` when all are done.
pub async fn step(
    services: &Services,
    job: &Job,
    until: Instant,
) -> Result<Option<u64>, DedupError> {
    let Work::Bulk { list, .. } = &job.work else {
        return Ok(None);
    };
    let listed: Vec<Listed> = services.blobs.json(&tatami_blobs::list_key(list)).await?;
    let mut at = usize::try_from(job.done).unwrap_or(usize::MAX);
    let username = username(services, job).await?;
    while at < listed.len() {
        let end = (at + SOME).min(listed.len());
        recorded(services, job, username.as_deref(), &listed, at..end).await?;
        at = end;
        if Instant::now() >= until {
            break;
        }
    }
    Ok(Some((listed.len() - at) as u64).filter(|left| *left > 0))
}

/// Changes some findings, with an entry in the audit log in the name of who began the job.
async fn recorded(
    services: &Services,
    job: &Job,
    username: Option<&str>,
    listed: &[Listed],
    some: Range<usize>,
) -> Result<(), DedupError> {
    let duplicates = Duplicates::new(&services.store, by(job));
    let work = work_off(
        &duplicates,
        &services.blobs,
        &job.work,
        listed,
        some.clone(),
    );
    watched(services, job, username, some.start, work)
        .await
        .map(drop)
}

/// Who began a job; nobody, where that was the daily run.
fn by(job: &Job) -> Option<UserId> {
    Some(job.by).filter(|by| *by != UserId::default())
}

/// Does what follows when all findings of a job are done.
pub async fn end(services: &Services, job: &Job) -> Result<(), DedupError> {
    let Work::Bulk { change, .. } = &job.work else {
        return Ok(());
    };
    if change.acceptance.is_none() {
        let told = tell_of_job(&services.store, &services.blobs, job);
        return told.await.map_err(failed);
    }
    let username = username(services, job).await?;
    let work = Box::pin(finish(&services.store, &services.blobs, job));
    let all = usize::try_from(job.of).unwrap_or(usize::MAX);
    watched(services, job, username.as_deref(), all, work).await
}

async fn username(services: &Services, job: &Job) -> Result<Option<String>, DedupError> {
    let Some(by) = by(job) else { return Ok(None) };
    match services.store.get::<User>(by).await {
        Err(error) if error.is_not_found() => Ok(None),
        user => Ok(Some(user?.username)),
    }
}

/// Does something of a job, with an entry in the audit log in the name of who began it.
async fn watched<T>(
    services: &Services,
    job: &Job,
    username: Option<&str>,
    start: usize,
    work: impl Future<Output = Result<T, DuplicateError>>,
) -> Result<T, DedupError> {
    let now = Timestamp::now();
    let record = Record::new(AuditEntry {
        time: now,
        // another one each time it's tried
        request_id: format!("job-{}-{start}-{}", job.id, now.as_nanosecond()),
        user: by(job),
        username: username.map(str::to_owned),
        method: "JOB".into(),
        path: format!("/api/v2/jobs/{}", job.id),
        ..AuditEntry::default()
    });
    let done = record.watch(work).await.map_err(failed)?;
    services.store.end_record(record, 200).await?;
    Ok(done)
}
