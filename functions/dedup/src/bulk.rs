//! Changes many findings, some hundred a transaction after the other.

use std::time::Instant;

use tatami_domain::{Job, Work};
use tatami_duplicates::{Duplicates, Listed, work_off};
use tatami_runtime::Services;

use crate::DedupError;
use crate::delete::failed;

/// How many findings are changed before the time is looked at.
const SOME: usize = 500;

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
    let duplicates = Duplicates::new(&services.store, Some(job.by));
    while at < listed.len() {
        let end = (at + SOME).min(listed.len());
        work_off(&duplicates, &services.blobs, &job.work, &listed, at..end)
            .await
            .map_err(failed)?;
        at = end;
        if Instant::now() >= until {
            break;
        }
    }
    Ok(Some((listed.len() - at) as u64).filter(|left| *left > 0))
}
