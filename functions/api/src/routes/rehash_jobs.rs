//! Jobs that bring findings in line with settings after these changed.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{
    DedupeLevel, DedupeScope, DedupeSettings, RehashJob, RehashJobId, RehashPhase, RehashState,
    ResolvedDedupe, UserId,
};
use tatami_queue::{FindingsMessage, Outgoing};
use tatami_rehash::{RekeyError, Wanted};

use super::catalog::id_in_path;
use super::dedupe_settings::{change_level, said};
use crate::Api;
use crate::auth::Caller;
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Target};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::{Listing, Page};

const FIELDS: &[Field] = &[
    Field::answer("id", Kind::Ref(Target::Unknown)),
    Field::answer(
        "state",
        Kind::Choice(&["running", "done", "rolling_back", "rolled_back", "failed"]),
    ),
    Field::answer("phase", Kind::Choice(&["adding", "settling"])),
    Field::answer("scope", Kind::Choice(&["system", "test_type", "product"])),
    Field::answer("product", Kind::Ref(Target::Product)).nullable(),
    Field::answer("test_type", Kind::Ref(Target::TestType)).nullable(),
    Field::answer("old", Kind::Other("", false)),
    Field::answer("new", Kind::Other("", false)),
    Field::answer("blocks", Kind::Integer(0, i64::MAX)),
    Field::answer("blocks_done", Kind::Integer(0, i64::MAX)),
    Field::answer("counts", Kind::Other("", false)),
    Field::answer("errors", Kind::Texts),
    Field::answer("by", Kind::Ref(Target::User)).nullable(),
    Field::answer("created", Kind::DateTime),
    Field::answer("updated", Kind::DateTime),
    Field::answer("finished", Kind::DateTime).nullable(),
];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let list = Operation::get("/api/v2/rehash_jobs", "The jobs, latest first")
        .answers(200, Answer::Page("RehashJob"));
    routes.add(&list, self::list);
    let one = Answer::One("RehashJob");
    let get = Operation::get("/api/v2/rehash_jobs/{id}", "How far a job is").answers(200, one);
    routes.add(&get, self::get);
    let resume = Operation::post("/api/v2/rehash_jobs/{id}/resume", "Let a stopped job go on")
        .answers(202, one);
    routes.add(&resume, self::resume);
    let rollback = Operation::post(
        "/api/v2/rehash_jobs/{id}/rollback",
        "Back to the settings and findings before the job",
    )
    .answers(202, one);
    routes.add(&rollback, self::rollback);
    routes.schemas("RehashJob", FIELDS);
}

/// What counts for each scan type where no level says anything.
fn scanners() -> std::collections::BTreeMap<String, ResolvedDedupe> {
    tatami_scanners::all()
        .map(|scanner| (scanner.scan_type.to_owned(), (&scanner.dedupe).into()))
        .collect()
}

/// Starts the job that leads a level to settings that make other keys, or decide otherwise about
/// findings of the same keys: these count at once.
pub async fn start(
    api: &Api,
    level: &DedupeLevel,
    test_type: Option<&str>,
    settings: DedupeSettings,
    by: UserId,
) -> Result<DedupeLevel> {
    let store = &api.services.store;
    let now = Timestamp::now();
    let same_keys = settings.same_keys(&level.settings);
    let job = RehashJob {
        phase: if same_keys {
            RehashPhase::Settling
        } else {
            RehashPhase::Adding
        },
        scope: level.scope,
        test_type: test_type.map(str::to_owned),
        old: level.settings.clone(),
        new: settings.clone(),
        scanners: scanners(),
        by: Some(by),
        created: now,
        updated: now,
        blocks: store.blocks_of(level.scope).await?.len() as u64,
        ..RehashJob::default()
    };
    let Some(mut job) = store.create_rehash_job(job).await? else {
        return Err(ApiError::conflict(
            "Another re-hash job is under way or has failed; wait for it, resume it, or roll it back.",
        ));
    };
    let mut level = DedupeLevel {
        test_type: job.test_type.clone(),
        settings: if same_keys {
            settings.clone()
        } else {
            level.settings.clone()
        },
        pending: (!same_keys).then_some(settings),
        job: Some(job.id),
        changed: now,
        by: Some(by),
        ..level.clone()
    };
    if !store.put_dedupe_level(&level).await? {
        job.state = RehashState::RolledBack;
        job.finished = Some(now);
        job.errors
            .push("somebody else changed these settings at the same time".into());
        store.put_rehash_job(&job).await?;
        return Err(ApiError::conflict(
            "Somebody else changed these settings at the same time.",
        ));
    }
    level.version += 1;
    send(api, &job).await?;
    Ok(level)
}

/// What settings of a level would change.
pub async fn preview(
    api: &Api,
    scope: DedupeScope,
    test_type: Option<&str>,
    settings: DedupeSettings,
) -> Result<Value> {
    let wanted = Wanted {
        scope,
        test_type: test_type.map(str::to_owned),
        settings,
        scanners: scanners(),
    };
    let services = &api.services;
    let preview =
        tatami_rehash::preview(&services.store, &services.blobs, &wanted, Timestamp::now()).await;
    match preview {
        Ok(preview) => Ok(json!(preview)),
        Err(RekeyError::Store(error)) => Err(error.into()),
        Err(RekeyError::Blobs(error)) => Err(error.into()),
    }
}

async fn send(api: &Api, job: &RehashJob) -> Result<()> {
    let internal = |reason: String| ApiError::Internal(reason);
    let message = FindingsMessage::Rehash {
        job: job.id,
        step: job.step,
    };
    let body = tatami_queue::write(&message).map_err(|e| internal(e.to_string()))?;
    let sent = api
        .services
        .findings
        .send([Outgoing { body, import: None }]);
    sent.await.map_err(|e| internal(e.to_string()))
}

fn view(job: &RehashJob) -> Result<Value> {
    let (scope, product, test_type) = match job.scope {
        DedupeScope::System => ("system", None, None),
        DedupeScope::Product(id) => ("product", Some(id), None),
        DedupeScope::TestType(id) => ("test_type", None, Some(id)),
    };
    Ok(json!({
        "id": job.id,
        "state": job.state,
        "phase": job.phase,
        "scope": scope,
        "product": product,
        "test_type": test_type,
        "old": said(&job.old)?,
        "new": said(&job.new)?,
        "blocks": job.blocks,
        "blocks_done": job.blocks_done,
        "counts": job.counts,
        "errors": job.errors,
        "by": job.by,
        "created": job.created,
        "updated": job.updated,
        "finished": job.finished,
    }))
}

/// Who may change the settings of its level may see a job and steer it.
async fn permit(caller: &Caller, job: &RehashJob) -> Result<()> {
    match job.scope {
        DedupeScope::Product(id) => {
            caller
                .require(Permission::EditProduct, Place::Product(id))
                .await
        }
        DedupeScope::System | DedupeScope::TestType(_) => {
            caller
                .require(Permission::ManageCommon, Place::Everywhere)
                .await
        }
    }
}

async fn permitted(api: &Api, caller: &Caller, id: &str) -> Result<RehashJob> {
    let job = api.services.store.rehash_job(RehashJobId(id_in_path(id)?));
    let job = job.await?;
    permit(caller, &job).await?;
    Ok(job)
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    listing: Listing,
) -> Result<Json<Page<Value>>> {
    caller
        .require(Permission::ManageCommon, Place::Everywhere)
        .await?;
    let mut jobs = api.services.store.rehash_jobs().await?;
    jobs.reverse();
    let views = jobs.iter().map(view).collect::<Result<_>>()?;
    Ok(Json(listing.cut(views)))
}

async fn get(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>> {
    Ok(Json(view(&permitted(&api, &caller, &id).await?)?))
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
    job.state = if job.back {
        RehashState::RollingBack
    } else {
        RehashState::Running
    };
    go_on(&api, job).await
}

async fn rollback(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Value>)> {
    let mut job = permitted(&api, &caller, &id).await?;
    if job.back {
        return Err(ApiError::conflict(
            "The job is on its way back, or was rolled back.",
        ));
    }
    let store = &api.services.store;
    let level = store.dedupe_level(job.scope).await?;
    let own = level.job == Some(job.id) || (level.job.is_none() && level.settings == job.new);
    if !own || !store.claim_rehash(job.id).await? {
        return Err(ApiError::conflict(
            "The settings have changed since, or another job is under way: change them back instead.",
        ));
    }
    job.back = true;
    job.state = RehashState::RollingBack;
    job.begin(RehashPhase::Adding, store.blocks_of(job.scope).await?.len());
    job.rounds = 0;
    job.waiting_since = None;
    job.step += 1;
    job.finished = None;
    let (id, old) = (job.id, job.old.clone());
    change_level(store, level.scope, |level| {
        level.job = Some(id);
        level.pending = Some(old.clone());
        level.changed = Timestamp::now();
        level.by = Some(caller.0.user);
        Ok(())
    })
    .await?;
    go_on(&api, job).await
}

async fn go_on(api: &Api, mut job: RehashJob) -> Result<(StatusCode, Json<Value>)> {
    job.updated = Timestamp::now();
    if !api.services.store.put_rehash_job(&job).await? {
        return Err(ApiError::conflict(
            "The job made progress meanwhile; look at it again.",
        ));
    }
    send(api, &job).await?;
    Ok((StatusCode::ACCEPTED, Json(view(&job)?)))
}
