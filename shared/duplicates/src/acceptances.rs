//! Findings that come under risk acceptances and leave them, by jobs, and how an acceptance ends.
//!
//! An end (it expires, or is removed) begins with the acceptance: from then on it takes no findings, and it
//! names the job that takes its findings out. Whoever finds an acceptance whose end has begun goes on with it
//! ([`ending_job`]); the job's last step ends it ([`finish`]). Each of these may be done twice or by several
//! at once.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;
use tatami_blobs::{Blobs, list_key};
use tatami_domain::{
    AcceptanceChange, BulkChange, Ending, Event, EventKind, Finding, FindingId, Job, JobId, NoteId,
    RiskAcceptance, UserId, Work,
};
use tatami_store::{Sight, Store, StoreError};

use crate::bulk::Listed;
use crate::{Duplicates, Result, TRIES, contention};

/// Makes the job that changes the places of findings under an acceptance, under its reserved id; and gives
/// what it lists. Where somebody else has made it, theirs counts.
pub async fn acceptance_job(
    duplicates: &Duplicates<'_>,
    blobs: &Blobs,
    id: JobId,
    change: &BulkChange,
    findings: &[Finding],
    now: Timestamp,
) -> Result<(Job, Vec<Listed>)> {
    let notes = duplicates.bulk_notes(findings, change).await?;
    let listed = findings.iter().map(|f| (f.id, notes.get(&f.id).copied()));
    let listed: Vec<Listed> = listed.collect();
    let list = uuid::Uuid::new_v4().simple().to_string();
    blobs.put_json(&list_key(&list), &listed).await?;
    let work = Work::Bulk {
        change: change.clone(),
        list,
    };
    let by = duplicates.by().unwrap_or_default();
    let own = Job {
        id,
        ..Job::new(work, listed.len() as u64, by, now)
    };
    let job = duplicates.store.create_reserved_job(own.clone()).await?;
    let listed = match &job.work {
        Work::Bulk { list, .. } if job.work != own.work => blobs.json(&list_key(list)).await?,
        _ => listed,
    };
    Ok((job, listed))
}

/// The change that brings findings under an acceptance or takes them out, with its note.
pub fn acceptance_change(acceptance: &RiskAcceptance, change: AcceptanceChange) -> BulkChange {
    BulkChange {
        acceptance: Some(change),
        note: Some(change.note(&acceptance.name)),
        ..BulkChange::default()
    }
}

/// What an end does to findings.
fn ending_change(acceptance: &RiskAcceptance, ending: &Ending) -> AcceptanceChange {
    if ending.removes {
        return AcceptanceChange::Leave(acceptance.id);
    }
    AcceptanceChange::Expire {
        id: acceptance.id,
        reactivate: acceptance.reactivate_expired,
        restart_sla: acceptance.restart_sla_expired,
        today: ending.at.to_zoned(TimeZone::UTC).date(),
    }
}

/// The findings under an acceptance that a change makes something else of. This is looked at once, by functions
/// with little memory: nothing of it is kept.
async fn affected(
    store: &Store,
    acceptance: &RiskAcceptance,
    change: AcceptanceChange,
    now: Timestamp,
) -> Result<Vec<Finding>> {
    let mut affected = Vec::new();
    let see = |finding: &Arc<Finding>| {
        if finding.acceptance != Some(acceptance.id) {
            return;
        }
        let mut new = Finding::clone(finding);
        if change.apply(&mut new, None, now).is_ok() && new != **finding {
            affected.push(Finding::clone(finding));
        }
    };
    let sight = Sight::Products(&[acceptance.product]);
    store.sweep(sight, see).await?;
    affected.sort_unstable_by_key(|finding| finding.id);
    Ok(affected)
}

/// The job of an end that has begun, made where it isn't there yet.
pub async fn ending_job(
    store: &Store,
    blobs: &Blobs,
    acceptance: &RiskAcceptance,
    ending: &Ending,
) -> Result<Job> {
    match store.job(ending.job).await {
        Err(error) if error.is_not_found() => {}
        job => return Ok(job?),
    }
    let change = ending_change(acceptance, ending);
    let findings = affected(store, acceptance, change, ending.at).await?;
    let duplicates = Duplicates::new(store, ending.by);
    let change = acceptance_change(acceptance, change);
    let made = acceptance_job(
        &duplicates,
        blobs,
        ending.job,
        &change,
        &findings,
        ending.at,
    );
    Ok(made.await?.0)
}

/// Ends an acceptance whose findings a job has taken out, and tells of it. Does nothing for jobs that end
/// nothing, and where it was done before.
pub async fn finish(store: &Store, blobs: &Blobs, job: &Job) -> Result<()> {
    let Work::Bulk { change, .. } = &job.work else {
        return Ok(());
    };
    let Some(places) = change.acceptance.filter(|places| !places.accepts()) else {
        return Ok(());
    };
    let mut acceptance: RiskAcceptance = match store.get(places.id()).await {
        // it went with its product
        Err(error) if error.is_not_found() => return Ok(()),
        acceptance => acceptance?,
    };
    let Some(ending) = acceptance.ending.filter(|ending| ending.job == job.id) else {
        return Ok(());
    };
    // One may have taken the place of another since the list was made.
    let duplicates = Duplicates::new(store, ending.by);
    for _ in 0..TRIES {
        let left = affected(store, &acceptance, places, ending.at).await?;
        let Some(first) = left.first() else {
            let id = acceptance.id;
            let ended = store.change_told(id, |acceptance: &mut RiskAcceptance| {
                let ended = acceptance.end(job.id).filter(|ending| !ending.removes);
                Ok::<_, StoreError>(ended.map(|ending| expired(acceptance, &ending, job.of)))
            });
            acceptance = ended.await?;
            tracing::info!(acceptance = %acceptance.id, state = acceptance.state().name(), "risk acceptance ended");
            return Ok(());
        };
        let first = first.id;
        let ids: Vec<FindingId> = left.iter().map(|finding| finding.id).collect();
        let notes: HashMap<FindingId, NoteId> = duplicates.bulk_notes(&left, change).await?;
        Box::pin(duplicates.change_all(blobs, &ids, change, &notes)).await?;
        tracing::info!(finding = %first, "found under a risk acceptance that ends");
    }
    Err(contention(FindingId(acceptance.id.0)))
}

fn expired(acceptance: &RiskAcceptance, ending: &Ending, findings: u64) -> Event {
    Event {
        kind: EventKind::RiskAcceptanceExpired,
        object: acceptance.id.0,
        occasion: ending.job.to_string(),
        product: Some(acceptance.product),
        time: ending.at,
        data: json!({
            "name": acceptance.name,
            "owner": acceptance.owner,
            "expiration_date": acceptance.expiration_date,
            "reactivated": acceptance.reactivate_expired,
            "findings": findings,
        }),
        to: Vec::new(),
    }
}

/// What is told some days before an acceptance expires.
pub fn expiring(acceptance: &RiskAcceptance, now: Timestamp) -> Event {
    let date = acceptance.expiration_date;
    Event {
        kind: EventKind::RiskAcceptanceExpiring,
        object: acceptance.id.0,
        // another end is warned of anew
        occasion: date.map_or(0, Timestamp::as_second).to_string(),
        product: Some(acceptance.product),
        time: now,
        data: json!({
            "name": acceptance.name,
            "owner": acceptance.owner,
            "expiration_date": date,
            "reactivates": acceptance.reactivate_expired,
        }),
        to: Vec::new(),
    }
}

/// Begins the end of an acceptance; gives it as it is then. `wanted` says whether it still is as it was.
pub async fn begin_end<E: From<StoreError> + From<tatami_domain::AcceptanceError>>(
    store: &Store,
    acceptance: &RiskAcceptance,
    removes: bool,
    by: Option<UserId>,
    now: Timestamp,
    wanted: impl Fn(&RiskAcceptance) -> std::result::Result<(), E>,
) -> std::result::Result<RiskAcceptance, E> {
    let job = store.reserve_job().await?;
    let ending = Ending {
        job,
        at: now,
        by,
        removes,
    };
    let begin = |acceptance: &mut RiskAcceptance| {
        wanted(acceptance)?;
        Ok(acceptance.begin_end(ending)?)
    };
    store.change(acceptance.id, begin).await
}
