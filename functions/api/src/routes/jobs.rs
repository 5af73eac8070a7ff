//! Jobs: what requests began and what takes longer than they do.

use axum::Json;
use axum::extract::{Path, State};
use http::{HeaderName, HeaderValue, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{Job, JobId, JobState, UserId, Work};
use tatami_duplicates::worked_off;
use tatami_queue::{FindingsMessage, Outgoing};

use super::catalog::id_in_path;
use super::findings::bulk::result;
use crate::Api;
use crate::auth::Caller;
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Target};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::{Listing, Page};

const FIELDS: &[Field] = &[
    Field::answer("id", Kind::Ref(Target::Unknown)),
    Field::answer("kind", Kind::Choice(&["delete", "bulk"])),
    Field::answer("state", Kind::Choice(JobState::NAMES)),
    Field::answer("model", Kind::Text(0)).nullable(),
    Field::answer("object_id", Kind::Ref(Target::Unknown)).nullable(),
    Field::answer("name", Kind::Text(0)).nullable(),
    Field::answer("done", Kind::Integer(0, i64::MAX)),
    Field::answer("of", Kind::Integer(0, i64::MAX)),
    Field::answer("error", Kind::Text(0)).nullable(),
    Field::answer("by", Kind::Ref(Target::User)).nullable(),
    Field::answer("created", Kind::DateTime),
    Field::answer("updated", Kind::DateTime),
    Field::answer("finished", Kind::DateTime).nullable(),
];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let list = Operation::get(
        "/api/v2/jobs",
        "The jobs that one's own requests began, latest first; to admins those of all",
    )
    .answers(200, Answer::Page("Job"));
    routes.add(&list, self::list);
    let get = Operation::get(
        "/api/v2/jobs/{id}",
        "How far a job is: with how many of its findings it's done",
    )
    .answers(200, Answer::One("Job"));
    routes.add(&get, self::get);
    let resume = Operation::post("/api/v2/jobs/{id}/resume", "Let a stopped job go on")
        .answers(202, Answer::One("Job"));
    routes.add(&resume, self::resume);
    let results = Operation::get(
        "/api/v2/jobs/{id}/results",
        "What became of each finding of a bulk change so far, by their ids",
    )
    .answers(200, Answer::Page("FindingBulkResult"));
    routes.add(&results, self::results);
    routes.schemas("Job", FIELDS);
}

/// Makes a job and sends it on its way, after so many seconds.
pub async fn start(api: &Api, job: Job, delay_s: u16) -> Result<Job> {
    let store = &api.services.store;
    let mut job = store.create_job(job).await?;
    if let Err(error) = send(api, &job, delay_s).await {
        job.state = JobState::Failed;
        job.error = Some("its message could not be sent".into());
        store.put_job(&job).await?;
        return Err(error);
    }
    Ok(job)
}

/// The header that says where a job is.
pub fn location(job: &Job) -> Result<(HeaderName, HeaderValue)> {
    let path = format!("/api/v2/jobs/{}/", job.id);
    let value = HeaderValue::from_str(&path).map_err(|e| ApiError::Internal(e.to_string()))?;
    Ok((header::LOCATION, value))
}

/// Sends for the next step of a job, after so many seconds.
pub async fn send(api: &Api, job: &Job, delay_s: u16) -> Result<()> {
    let internal = |reason: String| ApiError::Internal(reason);
    let message = FindingsMessage::Job {
        job: job.id,
        step: job.step,
    };
    let body = tatami_queue::write(&message).map_err(|e| internal(e.to_string()))?;
    let queue = &api.services.findings;
    let sent = match delay_s {
        0 => queue.send([Outgoing { body, import: None }]).await,
        seconds => queue.send_later(body, seconds).await,
    };
    sent.map_err(|e| internal(e.to_string()))
}

/// A job as clients see it.
pub fn view(job: &Job) -> Value {
    let (kind, model, id, name) = match &job.work {
        Work::Delete { branch, name } => {
            let (model, id) = (branch.kind(), branch.id());
            ("delete", Some(model), Some(id), Some(name))
        }
        Work::Bulk { .. } => ("bulk", None, None, None),
    };
    json!({
        "id": job.id,
        "kind": kind,
        "state": job.state,
        "model": model,
        "object_id": id,
        "name": name,
        "done": job.done,
        "of": job.of,
        "error": job.error,
        // nobody: the daily run
        "by": Some(job.by).filter(|by| *by != UserId::default()),
        "created": job.created,
        "updated": job.updated,
        "finished": job.finished,
    })
}

/// May they see the jobs of others?
async fn sees_all(caller: &Caller) -> Result<bool> {
    let held = caller.held(Place::Everywhere).await?;
    Ok(held.contains(Permission::ManageCommon))
}

async fn permitted(api: &Api, caller: &Caller, id: &str) -> Result<Job> {
    let job = api.services.store.job(JobId(id_in_path(id)?)).await?;
    if job.by == caller.0.user || sees_all(caller).await? {
        Ok(job)
    } else {
        Err(ApiError::not_found())
    }
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    listing: Listing,
) -> Result<Json<Page<Value>>> {
    let all = sees_all(&caller).await?;
    let mut jobs = api.services.store.jobs().await?;
    jobs.retain(|job| all || job.by == caller.0.user);
    Ok(Json(listing.cut(jobs.iter().rev().map(view).collect())))
}

async fn get(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>> {
    Ok(Json(view(&permitted(&api, &caller, &id).await?)))
}

async fn results(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    listing: Listing,
) -> Result<Json<Page<Value>>> {
    let job = permitted(&api, &caller, &id).await?;
    let done = match &job.work {
        Work::Bulk { list, .. } => {
            let done = usize::try_from(job.done).unwrap_or(usize::MAX);
            worked_off(&api.services.blobs, list, done).await?
        }
        Work::Delete { .. } => Vec::new(),
    };
    Ok(Json(listing.cut(done.iter().map(result).collect())))
}

async fn resume(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Value>)> {
    let mut job = permitted(&api, &caller, &id).await?;
    if job.finished.is_some() {
        return Err(ApiError::conflict(
            "The job has ended; there is nothing to resume.",
        ));
    }
    job.state = JobState::Running;
    job.error = None;
    job.updated = Timestamp::now();
    if !api.services.store.put_job(&job).await? {
        return Err(ApiError::conflict(
            "The job made progress meanwhile; look at it again.",
        ));
    }
    send(&api, &job, 0).await?;
    Ok((StatusCode::ACCEPTED, Json(view(&job))))
}
