//! Risk acceptances whose date has come, or comes soon.
//!
//! That an acceptance expires begins with the acceptance itself: of several runs one writes it, and that names
//! the job that does the rest. Whichever run comes next goes on with what has begun and isn't through,
//! wherever it was cut off. That one expires soon is said once for each date.

use jiff::Timestamp;
use tatami_domain::{AcceptanceEvent, AuditEntry, JobState, RiskAcceptance, RiskAcceptanceId};
use tatami_duplicates::{begin_end, ending_job, expiring, finish};
use tatami_queue::{FindingsMessage, Outgoing};
use tatami_runtime::Services;
use tatami_store::{Record, StoreError};

use crate::SlaError;

/// Looks at all of them. What fails of one keeps no other; the first failure is given in the end.
pub async fn run(services: &Services, now: Timestamp) -> Result<(), SlaError> {
    let store = services.store.clone().hiding_deleted();
    let days = store
        .system_settings()
        .await?
        .risk_acceptance_notify_before_expiration;
    let days = days.unwrap_or(RiskAcceptance::WARNING_DAYS);
    let mut failed = None;
    for acceptance in store.list::<RiskAcceptance>().await? {
        let id = acceptance.id;
        let wanted = acceptance.is_due(now)
            || acceptance.ending.is_some()
            || acceptance.wants_warning(days, now);
        if !wanted {
            continue;
        }
        if let Err(error) = Box::pin(recorded(services, acceptance, days, now)).await {
            tracing::error!(acceptance = %id, %error, "the daily run failed with a risk acceptance");
            failed = failed.or(Some(error));
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Does what there is to do, with an entry in the audit log.
async fn recorded(
    services: &Services,
    acceptance: RiskAcceptance,
    days: u32,
    now: Timestamp,
) -> Result<(), SlaError> {
    let time = Timestamp::now();
    let id = acceptance.id;
    let record = Record::new(AuditEntry {
        time,
        request_id: format!("daily-{id}-{}", time.as_nanosecond()),
        method: "JOB".into(),
        path: format!("/api/v2/risk_acceptance/{id}"),
        ..AuditEntry::default()
    });
    record.watch(one(services, acceptance, days, now)).await?;
    Ok(services.store.end_record(record, 200).await?)
}

async fn one(
    services: &Services,
    mut acceptance: RiskAcceptance,
    days: u32,
    now: Timestamp,
) -> Result<(), SlaError> {
    if acceptance.is_due(now) {
        acceptance = begin(services, acceptance, now).await?;
    }
    if acceptance.ending.is_some() {
        return go_on(services, &acceptance).await;
    }
    if acceptance.wants_warning(days, now) {
        warn(services, acceptance.id, days, now).await?;
    }
    Ok(())
}

/// Begins the end of one whose date has come. Where somebody else was quicker, or it isn't so any more, gives
/// it as it is.
async fn begin(
    services: &Services,
    acceptance: RiskAcceptance,
    now: Timestamp,
) -> Result<RiskAcceptance, SlaError> {
    let store = &services.store;
    let still = |acceptance: &RiskAcceptance| {
        if acceptance.is_due(now) {
            return Ok(());
        }
        // it has ended, or got another date
        Err(tatami_domain::AcceptanceError::NotExpired(acceptance.id).into())
    };
    match begin_end(store, &acceptance, false, None, now, still).await {
        Err(SlaError::Acceptance(_)) => Ok(store.get(acceptance.id).await?),
        begun => begun,
    }
}

/// Sends for the job of an end that has begun.
async fn go_on(services: &Services, acceptance: &RiskAcceptance) -> Result<(), SlaError> {
    let Services { store, blobs, .. } = services;
    let Some(ending) = &acceptance.ending else {
        return Ok(());
    };
    let mut job = ending_job(store, blobs, acceptance, ending).await?;
    match job.state {
        JobState::Done => return Ok(finish(store, blobs, &job).await?),
        JobState::Running => {}
        JobState::Failed => {
            job.state = JobState::Running;
            job.error = None;
            job.updated = Timestamp::now();
            if !store.put_job(&job).await? {
                return Ok(()); // somebody else lets it go on
            }
        }
    }
    let message = FindingsMessage::Job {
        job: job.id,
        step: job.step,
    };
    let body = tatami_queue::write(&message)?;
    let sent = services.findings.send([Outgoing { body, import: None }]);
    Ok(sent.await?)
}

/// Says that one expires soon.
async fn warn(
    services: &Services,
    id: RiskAcceptanceId,
    days: u32,
    now: Timestamp,
) -> Result<(), SlaError> {
    let warned = services
        .store
        .change_told(id, |acceptance: &mut RiskAcceptance| {
            if !acceptance.wants_warning(days, now) {
                return Ok(None); // somebody else was quicker
            }
            acceptance.expiration_date_warned = Some(now);
            acceptance.note(AcceptanceEvent::Warned, None, now, "");
            Ok::<_, StoreError>(Some(expiring(acceptance, now)))
        });
    warned.await?;
    Ok(())
}
