//! The same change to many findings at once.
//!
//! One transaction does it where it takes all of them. Where it doesn't, up to [`AT_ONCE`] are still
//! changed before the answer, and all or none: what is to be done is written down as a job first, which
//! ends it should this request be stopped. More than that are left to the job.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{
    BulkChange, BulkError, BulkOutcome, Finding, FindingId, IssueRule, Job, JobState, ProductId,
    Severity, UserId, Work,
};
use tatami_duplicates::{Done, Duplicates, JobTold, Listed, keep_told, tell_of_job, work_off};

use super::write::{flag_change, simple_acceptance};
use super::{filter, selected};
use crate::Api;
use crate::auth::Caller;
use crate::body::Body;
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Mode, Object, Target, read};
use crate::openapi::{Answer, Operation, Routes};
use crate::query::Query;
use crate::routes::catalog::check_references;
use crate::routes::jira::pushing::{self, PUSH, Pushing};
use crate::routes::{jobs, mentions};

/// So many findings at most are changed before the answer.
pub const AT_ONCE: usize = 100;
/// So many ids at most are taken from one body.
const MAX_IDS: usize = 10_000;
/// A request that was stopped is ended by its job after so long, in seconds.
pub const STOPPED_S: u16 = 60;

const BULK: &[Field] = &[
    Field::new("ids", Kind::Refs(Target::Unknown)),
    Field::new("note", Kind::Text(0)),
];

const CHANGES: &[Field] = &[
    Field::new("status", Kind::Text(20)),
    Field::new("active", Kind::Bool),
    Field::new("verified", Kind::Bool),
    Field::new("false_p", Kind::Bool),
    Field::new("duplicate", Kind::Bool),
    Field::new("out_of_scope", Kind::Bool),
    Field::new("risk_accepted", Kind::Bool),
    Field::new("under_review", Kind::Bool),
    Field::new("under_defect_review", Kind::Bool),
    Field::new("is_mitigated", Kind::Bool),
    Field::new("mitigated", Kind::DateTime).nullable(),
    Field::new("mitigated_by", Kind::Ref(Target::User)).nullable(),
    Field::new("severity", Kind::Severity),
    Field::new("tags", Kind::Texts),
    Field::new("add_tags", Kind::Texts),
    Field::new("remove_tags", Kind::Texts),
    Field::new("push_to_jira", Kind::Bool),
    Field::new("delete", Kind::Bool),
];

const DONE: &[Field] = &[
    Field::answer("changed", Kind::Refs(Target::Finding)),
    Field::answer("unchanged", Kind::Refs(Target::Finding)),
    Field::answer("deleted", Kind::Refs(Target::Finding)),
    Field::answer("results", Kind::Other("FindingBulkResult", true)),
];

/// What became of one finding.
pub const RESULT: &[Field] = &[
    Field::answer("id", Kind::Ref(Target::Finding)),
    Field::answer("result", Kind::Choice(BulkOutcome::NAMES)),
    Field::answer("message", Kind::Text(0)).nullable(),
];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let bulk = Operation::post(
        "/api/v2/findings/bulk",
        "Change or delete findings by ids or by a filter: up to 100 all or none, more by a job (202, Location)",
    )
    .body("FindingBulkRequest")
    .answers(200, Answer::One("FindingBulk"));
    routes.add(&bulk, self::bulk);
    routes.schemas("FindingBulk", DONE);
    routes.schemas("FindingBulkResult", RESULT);
    routes.schemas("FindingChanges", CHANGES);
    let mut properties: serde_json::Map<String, Value> = (BULK.iter())
        .map(|field| (field.name.to_owned(), field.schema()))
        .collect();
    let changes = json!({"$ref": "#/components/schemas/FindingChangesRequest"});
    properties.insert("changes".into(), changes);
    properties.insert("filter".into(), filter::schema());
    let schema = json!({"type": "object", "required": ["changes"], "properties": properties});
    routes.schema("FindingBulkRequest", schema);
}

/// Which findings are meant.
pub enum Which {
    /// These.
    Ids(Vec<FindingId>),
    /// Those that the list of findings shows with these parameters.
    Filter(Query),
}

async fn bulk(State(api): State<Api>, caller: Caller, Body(body): Body) -> Result<Response> {
    let (which, mut change, push) = match read_body(&body) {
        Ok(read) => read,
        Err(error) => {
            caller
                .require(Permission::EditFinding, Place::Somewhere)
                .await?;
            return Err(error);
        }
    };
    let permission = if change.delete {
        Permission::DeleteFinding
    } else {
        Permission::EditFinding
    };
    let findings = find(&api, &caller, &which, permission).await?;
    if change.mitigated_by.is_some() {
        let sent = Object::from_iter([("mitigated_by".to_owned(), json!(change.mitigated_by))]);
        check_references(&api.services.store, CHANGES, &sent).await?;
    }
    if push {
        change.push_to_jira = Some(pushable(&api, &findings).await?);
    }
    let duplicates = Duplicates::new(&api.services.store, Some(caller.0.user));
    if findings.len() > AT_ONCE {
        let (job, _) = begin(&api, &duplicates, &findings, change, 0).await?;
        let location = [jobs::location(&job)?];
        return Ok((StatusCode::ACCEPTED, location, Json(jobs::view(&job))).into_response());
    }
    // nothing is written before everything is known to be in order
    if !change.delete {
        check(&api, &caller, &findings, &change).await?;
    }
    let ids: Vec<FindingId> = findings.iter().map(|finding| finding.id).collect();
    let mut done = Some(Vec::new());
    if !ids.is_empty() {
        done = if change.delete {
            None
        } else {
            let by = caller.0.user;
            let mentioned = Box::pin(mentioned(&api, &findings, &change, by)).await?;
            let together = duplicates.change_together(&ids, &change, &mentioned);
            Box::pin(together).await?
        };
    }
    let done = match done {
        Some(done) => done,
        None => in_order(&api, &duplicates, &findings, change).await?,
    };
    Ok(Json(answer(&done)).into_response())
}

/// Fails where a finding cannot be changed so.
async fn check(
    api: &Api,
    caller: &Caller,
    findings: &[Finding],
    change: &BulkChange,
) -> Result<()> {
    let mut simple: BTreeMap<ProductId, bool> = BTreeMap::new();
    let now = Timestamp::now();
    for finding in findings {
        let simple = match simple.entry(finding.product) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                *new.insert(simple_acceptance(api, finding, &change.flags).await?)
            }
        };
        let error = match change.apply(finding, simple, Some(caller.0.user), now) {
            Ok(_) => continue,
            Err(BulkError::Flags(error)) => error.into(),
            Err(BulkError::NoIssue(why)) => pushing::refused(why.to_string()),
            Err(error @ (BulkError::NoDuplicate | BulkError::NotAccepted(_))) => {
                ApiError::field("duplicate", error.to_string())
            }
        };
        return Err(match error {
            ApiError::Fields(problems) => ApiError::Fields(problems.about(finding.id)),
            other => other,
        });
    }
    Ok(())
}

/// What findings have to be to go into JIRA, where all of these have a place to go to.
async fn pushable(api: &Api, findings: &[Finding]) -> Result<IssueRule> {
    let pushing = Pushing::read(&api.services.store).await?;
    let places: BTreeSet<_> = (findings.iter())
        .map(|finding| (finding.product, finding.engagement))
        .collect();
    for (product, engagement) in places {
        let project = pushing.project(product, engagement);
        project.map_err(pushing::refused)?;
    }
    Ok(pushing.rule())
}

/// Changes findings one transaction after the other, as a job that this request works off itself.
async fn in_order(
    api: &Api,
    duplicates: &Duplicates<'_>,
    findings: &[Finding],
    change: BulkChange,
) -> Result<Vec<Done>> {
    let (mut job, listed) = begin(api, duplicates, findings, change, STOPPED_S).await?;
    let blobs = &api.services.blobs;
    let all = 0..listed.len();
    let done = Box::pin(work_off(duplicates, blobs, &job.work, &listed, all)).await?;
    let now = Timestamp::now();
    job.state = JobState::Done;
    job.done = job.of;
    job.step += 1;
    job.updated = now;
    job.finished = Some(now);
    Box::pin(tell_of_job(&api.services.store, blobs, &job)).await?;
    // where it was so slow that the job went on, that says so itself
    api.services.store.put_job(&job).await?;
    Ok(done)
}

/// Writes down what is to be done, and sends for it to be done.
async fn begin(
    api: &Api,
    duplicates: &Duplicates<'_>,
    findings: &[Finding],
    change: BulkChange,
    delay_s: u16,
) -> Result<(Job, Vec<Listed>)> {
    let notes = duplicates.bulk_notes(findings, &change).await?;
    let listed = findings.iter().map(|f| (f.id, notes.get(&f.id).copied()));
    let listed: Vec<Listed> = listed.collect();
    let list = uuid::Uuid::new_v4().simple().to_string();
    let key = tatami_blobs::list_key(&list);
    api.services.blobs.put_json(&key, &listed).await?;
    let by = duplicates.by().unwrap_or_default();
    let mentioned = Box::pin(mentioned(api, findings, &change, by)).await?;
    let told = JobTold::new(findings, &change, by, &mentioned);
    keep_told(&api.services.blobs, &list, &told).await?;
    let work = Work::Bulk { change, list };
    let job = Job::new(work, listed.len() as u64, by, Timestamp::now());
    Ok((jobs::start(api, job, delay_s).await?, listed))
}

/// Who is named in the note of a change and may see the first of the findings.
async fn mentioned(
    api: &Api,
    findings: &[Finding],
    change: &BulkChange,
    by: UserId,
) -> Result<Vec<UserId>> {
    match (findings.first(), &change.note) {
        (Some(first), Some(note)) => {
            mentions::mentioned(&api.services.store, by, Place::from(first), note).await
        }
        _ => Ok(Vec::new()),
    }
}

/// The findings that are meant, where the caller may change all of them.
async fn find(
    api: &Api,
    caller: &Caller,
    which: &Which,
    permission: Permission,
) -> Result<Vec<Finding>> {
    let mut findings: Vec<Finding> = match which {
        Which::Ids(ids) => api.services.store.findings(ids.iter().copied()).await?,
        Which::Filter(query) => {
            let found = selected(api, caller, query).await?;
            found
                .iter()
                .map(|finding| Finding::clone(finding))
                .collect()
        }
    };
    findings.sort_unstable_by_key(|finding| finding.id);
    let mut places = BTreeSet::new();
    for finding in &findings {
        if places.insert((finding.product, finding.engagement)) {
            caller.require(permission, Place::from(finding)).await?;
        }
    }
    if let Which::Ids(ids) = which {
        let known: BTreeSet<FindingId> = findings.iter().map(|finding| finding.id).collect();
        if let Some(missing) = ids.iter().find(|id| !known.contains(id)) {
            caller.require(permission, Place::Somewhere).await?;
            let message = format!("There is no finding {missing}.");
            return Err(ApiError::field("ids", message));
        }
    } else {
        caller.require(permission, Place::Somewhere).await?;
    }
    Ok(findings)
}

fn answer(done: &[Done]) -> Value {
    let of = |result: BulkOutcome| -> Vec<FindingId> {
        let of = done.iter().filter(|done| done.result == result);
        of.map(|done| done.id).collect()
    };
    json!({
        "changed": of(BulkOutcome::Changed),
        "unchanged": of(BulkOutcome::Unchanged),
        "deleted": of(BulkOutcome::Deleted),
        "results": done.iter().map(result).collect::<Vec<Value>>(),
    })
}

/// What became of one finding, as clients see it.
pub fn result(done: &Done) -> Value {
    json!({"id": done.id, "result": done.result, "message": done.message})
}

fn read_body(body: &Object) -> Result<(Which, BulkChange, bool)> {
    let sent = read(body, BULK, Mode::Change).map_err(ApiError::Fields)?;
    let which = match (sent.get("ids"), body.get("filter")) {
        (Some(ids), None) => Which::Ids(read_ids(ids)?),
        (None, Some(filter)) => Which::Filter(read_filter(filter)?),
        _ => {
            let message = "Say which findings: either by their ids or by a filter.";
            return Err(ApiError::field("ids", message));
        }
    };
    let Some(changes) = body.get("changes").and_then(Value::as_object) else {
        let message = "An object is required, such as {\"status\": \"Fixed\"}.";
        return Err(ApiError::field("changes", message));
    };
    let changes = read(changes, CHANGES, Mode::Change).map_err(ApiError::Fields)?;
    let note = sent.get("note").and_then(Value::as_str);
    if changes.is_empty() && note.is_none() {
        let names: Vec<&str> = CHANGES.iter().map(|field| field.name).collect();
        let message = format!("Nothing would change. Use some of: {}.", names.join(", "));
        return Err(ApiError::field("changes", message));
    }
    let texts = |name: &str| -> Option<Vec<String>> {
        let texts = changes.get(name)?.as_array()?.iter();
        Some(
            texts
                .filter_map(|text| Some(text.as_str()?.to_owned()))
                .collect(),
        )
    };
    let typed = |name: &str| changes.get(name).cloned().unwrap_or_default();
    let change = BulkChange {
        delete: typed("delete") == json!(true),
        flags: flag_change(&changes)?,
        severity: serde_json::from_value::<Severity>(typed("severity")).ok(),
        mitigated: serde_json::from_value(typed("mitigated")).ok(),
        mitigated_by: serde_json::from_value(typed("mitigated_by")).ok(),
        tags: texts("tags"),
        add_tags: texts("add_tags").unwrap_or_default(),
        remove_tags: texts("remove_tags").unwrap_or_default(),
        acceptance: None,
        push_to_jira: None,
        note: note.filter(|text| !text.is_empty()).map(str::to_owned),
    };
    let push = typed(PUSH) == json!(true) && !change.delete;
    Ok((which, change, push))
}

/// The ids that were sent, each once.
pub fn read_ids(sent: &Value) -> Result<Vec<FindingId>> {
    let ids = sent.as_array().into_iter().flatten();
    let ids: BTreeSet<FindingId> = ids.filter_map(Value::as_u64).map(FindingId).collect();
    if ids.is_empty() || ids.len() > MAX_IDS {
        let n = ids.len();
        let message =
            format!("Send 1 to {MAX_IDS} ids; these are {n}. A filter takes as many as there are.");
        return Err(ApiError::field("ids", message));
    }
    Ok(ids.into_iter().collect())
}

/// The parameters of the list of findings, as an object. Unlike there, none that isn't known is left out:
/// it would mean more findings than were meant.
pub fn read_filter(sent: &Value) -> Result<Query> {
    let Some(sent) = sent.as_object().filter(|sent| !sent.is_empty()) else {
        let message = "An object is required, such as {\"test\": 7, \"severity\": \"Low\"}.";
        return Err(ApiError::field("filter", message));
    };
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in sent {
        if !filter::parameters().any(|field| field.name == name) {
            let message = format!("There is no parameter \"{name}\" of the list of findings.");
            return Err(ApiError::field("filter", message));
        }
        let values = match value {
            Value::Array(several) => several.as_slice(),
            one => std::slice::from_ref(one),
        };
        for value in values {
            let text = match value {
                Value::String(text) => text.trim().to_owned(),
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                _ => String::new(),
            };
            if text.is_empty() {
                let message = format!("\"{name}\" is neither a text, a number nor a boolean.");
                return Err(ApiError::field("filter", message));
            }
            query.append_pair(name, &text);
        }
    }
    Ok(Query::parse(&query.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(filter: &Value) -> bool {
        read_filter(filter).is_err()
    }

    #[test]
    fn a_filter_that_would_mean_more_than_was_meant_is_refused() {
        assert!(refused(&json!({})) && refused(&json!([])) && refused(&json!({"sevrity": "Low"})));
        assert!(refused(&json!({"title": ""})) && refused(&json!({"severity": [null]})));
        let read = read_filter(&json!({"severity": ["Low", "Info"], "test": 7, "active": true}));
        let read = read.unwrap();
        assert_eq!(read.all("severity"), ["Low", "Info"]);
        assert_eq!(
            (read.get("test"), read.get("active")),
            (Some("7"), Some("true"))
        );
    }
}
