//! Changes many findings, some dozens a transaction after the other.

use std::ops::Range;
use std::time::Instant;

use jiff::Timestamp;
use tatami_domain::{AuditEntry, Job, User, Work};
use tatami_duplicates::{Duplicates, Listed, work_off};
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
    let username = match services.store.get::<User>(job.by).await {
        Err(error) if error.is_not_found() => None,
        user => Some(user?.username),
    };
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
    let now = Timestamp::now();
    let record = Record::new(AuditEntry {
        time: now,
        // another one each time it's tried
        request_id: format!("job-{}-{}-{}", job.id, some.start, now.as_nanosecond()),
        user: Some(job.by),
        username: username.map(str::to_owned),
        method: "JOB".into(),
        path: format!("/api/v2/jobs/{}", job.id),
        ..AuditEntry::default()
    });
    let duplicates = Duplicates::new(&services.store, Some(job.by));
    let work = work_off(&duplicates, &services.blobs, &job.work, listed, some);
    record.watch(work).await.map_err(failed)?;
    Ok(services.store.end_record(record, 200).await?)
}
