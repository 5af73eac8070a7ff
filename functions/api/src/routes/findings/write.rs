//! Making and changing findings by hand, under the rules of the status flags.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use tatami_auth::{Permission, Place};
use tatami_dedup_rules::{endpoint_places, keys_of_stored};
use tatami_domain::{
    Dedupe, Endpoint, EndpointId, Finding, FindingId, FlagChange, Flags, JiraObject, Note, Product,
    ProductId, ResolvedDedupe, ShortStatus, StatusPlace, Test, TestType, Texts, UserId,
};
use tatami_duplicates::{Duplicates, Held, as_duplicate, critical_event, moves, turned_critical};
use tatami_store::{Change, Commit, Committed, EndpointBook, Store, StoreError};

use super::filter::unknown_status;
use super::{detail, permitted, told, version};
use crate::Api;
use crate::auth::Caller;
use crate::body::Body;
use crate::conditional::IfMatch;
use crate::error::{ApiError, Problems, Result};
use crate::fields::{Field, Kind, Mode, Object, Target, read};
use crate::openapi::{Answer, Operation, Routes};
use crate::query::today;
use crate::routes::attached::check_type;
use crate::routes::catalog::check_references;
use crate::routes::jira::pushing::{self, PUSH, Pushing};
use crate::routes::records::{Kept as _, NoteType};
use crate::view::finding::{FIELDS, closed};

/// How often a change is tried again when others change the same finding.
pub const TRIES: usize = 10;

const CLOSE_FIELDS: &[Field] = &[
    Field::new("is_mitigated", Kind::Bool),
    Field::new("mitigated", Kind::DateTime).nullable(),
    Field::new("mitigated_by", Kind::Ref(Target::User)).nullable(),
    Field::new("false_p", Kind::Bool),
    Field::new("out_of_scope", Kind::Bool),
    Field::new("duplicate", Kind::Bool),
    Field::new("note", Kind::Text(0)),
    Field::new("note_type", Kind::Ref(Target::Record(NoteType::KIND))).nullable(),
];

/// The fields of [`CLOSE_FIELDS`] that make a note.
const REMARK: std::ops::RangeFrom<usize> = 6..;

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let create = Operation::post("/api/v2/findings", "Make one by hand")
        .body("FindingRequest")
        .answers(201, Answer::One("Finding"));
    routes.add(&create, self::create);
    let replace = Operation::put(
        "/api/v2/findings/{id}",
        "Replace one; what came from an import keeps its identity (hash_code)",
    )
    .body("FindingRequest")
    .answers(200, Answer::One("Finding"));
    routes.add(&replace, write);
    let change = Operation::patch(
        "/api/v2/findings/{id}",
        "Change some of its fields; what came from an import keeps its identity (hash_code)",
    )
    .body("PatchedFindingRequest")
    .answers(200, Answer::One("Finding"));
    routes.add(&change, write);
    let close = Operation::post("/api/v2/findings/{id}/close", "Close it")
        .body("FindingCloseRequest")
        .answers(200, Answer::One("FindingClose"));
    routes.add(&close, self::close);
    routes.schemas("FindingClose", CLOSE_FIELDS);
    let verify = Operation::post("/api/v2/findings/{id}/verify", "Verify it")
        .body("FindingVerifyRequest")
        .answers(200, Answer::One("Finding"));
    routes.add(&verify, self::verify);
    routes.schemas("FindingVerify", &CLOSE_FIELDS[REMARK]);
}

async fn create(State(api): State<Api>, caller: Caller, Body(body): Body) -> Result<Response> {
    let store = &api.services.store;
    let sent = read(&body, FIELDS, Mode::Create);
    let mut missing = Problems::default();
    for name in ["active", "verified", "found_by"] {
        if !body.contains_key(name) {
            missing.add(name, "This field is required.");
        }
    }
    let sent = match sent {
        Ok(sent) if missing.is_empty() => sent,
        refused => {
            caller
                .require(Permission::EditFinding, Place::Somewhere)
                .await?;
            return Err(ApiError::Fields(refused.err().unwrap_or(missing)));
        }
    };
    let test: Test = match store
        .get(sent["test"].as_u64().unwrap_or_default().into())
        .await
    {
        Err(error) if error.is_not_found() => {
            caller
                .require(Permission::EditFinding, Place::Somewhere)
                .await?;
            let message = format!("Invalid pk {}: there is no such object.", sent["test"]);
            return Err(ApiError::field("test", message));
        }
        other => other?,
    };
    caller
        .require(Permission::EditFinding, Place::from(&test))
        .await?;
    check_references(store, FIELDS, &sent).await?;
    let now = Timestamp::now();
    let by = Some(caller.0.user);
    let duplicates = Duplicates::new(store, by);
    let mut finding = Finding {
        product: test.product,
        engagement: test.engagement,
        test: test.id,
        test_type: test.test_type,
        date: today(),
        created: now,
        reporter: by,
        ..Finding::default()
    };
    apply(&mut finding, &sent);
    let change = flag_change(&sent)?;
    let simple = simple_acceptance(&api, &finding, &change).await?;
    let flags = Flags::default().changed(&change, simple)?;
    finding.set_flags(flags, by, now);
    apply_mitigation(&mut finding, &sent);
    let mut texts = Texts::default();
    apply_texts(&mut texts, &sent);
    if let Some(book) = set_endpoints(store, &mut finding, &sent).await? {
        write_endpoints(&mut finding, &mut texts, &book);
    }
    let settings = settings_by_hand(store, &test).await?;
    let keys = keys_of_stored(&finding, &texts, &settings);
    finding.keys = keys.keys;
    finding.hash_code = keys.hash_code;
    finding.texts = Some(api.services.blobs.put_own_texts(&unique(), texts).await?);
    let pushing = asked(store, &sent).await?;
    let ids = store.allocate(test.product, 1).await?;
    finding.id = ids
        .first()
        .copied()
        .ok_or_else(|| ApiError::Internal("no finding id".into()))?;
    store.add_test_blocks(test.id, &[finding.block()]).await?;
    for _ in 0..TRIES {
        // Its keys are claimed, so that a report that has it too finds it.
        let held = Held::read(store, [&finding]).await?;
        let mut new = finding.clone();
        match duplicates.original_by_keys(&held, &finding).await? {
            Some(original) => new = as_duplicate(&finding, original.id, None, now),
            None if new.flags.duplicate => return Err(no_original()),
            None => {}
        }
        if let Some(pushing) = &pushing {
            push(pushing, &mut new)?;
        }
        let mut commit = commit(&new, vec![Change::Create(Box::new(new.clone()))]);
        commit.claims = held.settled(&commit.changes);
        let critical = turned_critical(&commit.changes);
        let critical = critical_event(store, &critical, None, &commit.unique, now);
        let critical = Box::pin(critical).await?;
        commit.events.extend(critical);
        if store.commit(&commit).await? == Committed::Yes {
            new.version = 1;
            let mut response = detail(&api, &new).await?;
            *response.status_mut() = StatusCode::CREATED;
            return Ok(response);
        }
    }
    Err(StoreError::Contention(format!("finding {}", finding.id)).into())
}

/// What decides about bringing a finding into JIRA, where that's asked for.
async fn asked(store: &Store, sent: &Object) -> Result<Option<Pushing>> {
    match sent.get(PUSH).and_then(Value::as_bool) {
        Some(true) => Ok(Some(Pushing::read(store).await?)),
        _ => Ok(None),
    }
}

/// Asks that a finding be brought into JIRA, if it may.
fn push(pushing: &Pushing, finding: &mut Finding) -> Result<()> {
    pushing.check(finding).map_err(pushing::refused)?;
    finding.jira.push = true;
    Ok(())
}

/// How findings that are made by hand in a test are recognised.
pub async fn settings_by_hand(store: &Store, test: &Test) -> Result<ResolvedDedupe> {
    let levels = store.dedupe_levels(test.product).await?;
    let kind: TestType = store.get(test.test_type).await?;
    let kind = test.scan_type.as_ref().unwrap_or(&kind.name);
    Ok(levels.resolve(&Dedupe::BY_HAND, kind))
}

/// Something is said to be a duplicate, and nobody knows of what.
fn no_original() -> ApiError {
    ApiError::field(
        "duplicate",
        "No other finding has the same keys: name the original with POST /api/v2/findings/link/.",
    )
}

async fn write(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
    mode: Mode,
    Body(body): Body,
) -> Result<Response> {
    let finding = permitted(&api, &caller, Permission::EditFinding, &id).await?;
    if_match.check(&version(&finding))?;
    let sent = read(&body, FIELDS, mode).map_err(ApiError::Fields)?;
    let finding = change_if(&api, caller.0.user, finding, &if_match, &sent, None).await?;
    detail(&api, &finding).await
}

async fn close(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Body(body): Body,
) -> Result<Response> {
    let finding = permitted(&api, &caller, Permission::EditFinding, &id).await?;
    let mut sent = read(&body, CLOSE_FIELDS, Mode::Change).map_err(ApiError::Fields)?;
    let remark = Remark::take(&api.services.store, &finding, &mut sent).await?;
    if sent.get("is_mitigated").and_then(Value::as_bool) != Some(false) {
        sent.insert("is_mitigated".into(), true.into());
    }
    sent.insert("active".into(), false.into());
    let finding = change(&api, caller.0.user, finding, &sent, remark.as_ref()).await?;
    let note = remark.as_ref().map_or("", |remark| &remark.entry);
    let note_type = remark.as_ref().and_then(|remark| remark.note_type);
    Ok(Json(closed(&finding, note, note_type)).into_response())
}

async fn verify(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Body(body): Body,
) -> Result<Response> {
    let finding = permitted(&api, &caller, Permission::EditFinding, &id).await?;
    let mut sent = read(&body, &CLOSE_FIELDS[REMARK], Mode::Change).map_err(ApiError::Fields)?;
    let remark = Remark::take(&api.services.store, &finding, &mut sent).await?;
    sent.insert("verified".into(), true.into());
    let finding = change(&api, caller.0.user, finding, &sent, remark.as_ref()).await?;
    detail(&api, &finding).await
}

/// What is said about a change.
pub struct Remark {
    pub(super) entry: String,
    pub(super) note_type: Option<u64>,
}

impl Remark {
    /// Takes it out of what was sent; none where nothing is said.
    async fn take(store: &Store, about: &Finding, sent: &mut Object) -> Result<Option<Self>> {
        check_references(store, &CLOSE_FIELDS[REMARK], sent).await?;
        let note_type = sent.remove("note_type").and_then(|kind| kind.as_u64());
        let entry = sent.remove("note");
        let entry = entry.and_then(|entry| entry.as_str().map(str::to_owned));
        let Some(entry) = entry.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        if let Some(kind) = note_type {
            check_type(store, about.id.into(), kind).await?;
        }
        Ok(Some(Self { entry, note_type }))
    }
}

/// Changes a finding by what was sent, with a note where there is one. Where somebody else changes it
/// at the same time, it is read and changed again.
///
/// A finding made by hand is recognised by its fields as they are, so its keys follow them; one from an
/// import keeps the identity that its scanner gave it, or the next report would not find it. What is
/// said to be a duplicate becomes one of the earliest other original with the same keys.
pub async fn change(
    api: &Api,
    by: UserId,
    finding: Finding,
    sent: &Object,
    remark: Option<&Remark>,
) -> Result<Finding> {
    change_if(api, by, finding, &IfMatch::default(), sent, remark).await
}

/// The same, if the finding is still in a version that the client wants to write over.
async fn change_if(
    api: &Api,
    by: UserId,
    finding: Finding,
    if_match: &IfMatch,
    sent: &Object,
    remark: Option<&Remark>,
) -> Result<Finding> {
    let store = &api.services.store;
    check_references(store, FIELDS, sent).await?;
    let flags = flag_change(sent)?;
    let simple = simple_acceptance(api, &finding, &flags).await?;
    let duplicates = Duplicates::new(store, Some(by));
    let pushing = asked(store, sent).await?;
    let id = finding.id;
    let mut old = finding;
    for _ in 0..TRIES {
        if_match.check(&version(&old))?;
        let now = Timestamp::now();
        let mut new = changed(&old, sent, &flags, simple, by, now)?;
        let book = set_endpoints(store, &mut new, sent).await?;
        let by_hand = old.import.is_none();
        let rekey = by_hand && (book.is_some() || sent.keys().any(|name| is_hashed(name)));
        if rekey || book.is_some() || sent.keys().any(|name| is_text(name)) {
            let before = match &old.texts {
                Some(at) => api.services.blobs.texts(at).await?,
                None => Texts::default(),
            };
            let mut texts = before.clone();
            apply_texts(&mut texts, sent);
            if let Some(book) = &book {
                write_endpoints(&mut new, &mut texts, book);
            }
            if rekey {
                let test: Test = store.get(new.test).await?;
                let settings = settings_by_hand(store, &test).await?;
                let keys = keys_of_stored(&new, &texts, &settings);
                new.keys = keys.keys;
                new.hash_code = keys.hash_code;
            }
            if texts != before {
                new.texts = Some(api.services.blobs.put_own_texts(&unique(), texts).await?);
            }
        }
        if let Some(pushing) = &pushing {
            push(pushing, &mut new)?;
        }
        if new == old && remark.is_none() {
            if pushing.is_some() {
                // it was asked for before, and not done yet: once more
                let again = pushing::work(old.product, JiraObject::Finding(id));
                store.add_to_outbox(vec![again]).await?;
            }
            return Ok(old);
        }
        let held = if moves(&old, &new) {
            Held::read(store, [&old, &new]).await?
        } else {
            Held::default()
        };
        let mut changes = Vec::new();
        let joins = new.flags.duplicate && !old.flags.duplicate;
        if joins {
            let original = duplicates.original_by_keys(&held, &old).await?;
            let original = original.ok_or_else(no_original)?;
            new.duplicate_finding = Some(original.id);
            changes.push(Change::touch(&original));
        }
        changes.push(Change::Update {
            old: Box::new(old),
            new: Box::new(new.clone()),
        });
        let mut commit = commit(&new, changes);
        commit.claims = held.settled(&commit.changes);
        if let Some(remark) = remark {
            let texts = vec![(id, &remark.entry)];
            commit.notes = signed(store, commit.product, by, texts, now).await?;
            for (_, note) in &mut commit.notes {
                note.note_type = remark.note_type;
            }
        }
        commit.events = Box::pin(told::of_change(store, by, &commit, now)).await?;
        if store.commit(&commit).await? == Committed::Yes {
            if let Some(original) = new.duplicate_finding.filter(|_| joins) {
                duplicates.flatten(original).await?;
            }
            new.version += 1;
            return Ok(new);
        }
        old = store.finding(id).await?;
    }
    Err(StoreError::Contention(format!("finding {id}")).into())
}

/// A finding with the plain fields and the flags that were sent.
pub fn changed(
    old: &Finding,
    sent: &Object,
    flags: &FlagChange,
    simple_acceptance: bool,
    by: UserId,
    now: Timestamp,
) -> Result<Finding> {
    let mut new = old.clone();
    apply(&mut new, sent);
    new.change_flags(flags, simple_acceptance, Some(by), now)?;
    apply_mitigation(&mut new, sent);
    Ok(new)
}

/// Notes by a user, with ids.
pub async fn signed(
    store: &Store,
    product: ProductId,
    by: UserId,
    texts: Vec<(FindingId, &String)>,
    now: Timestamp,
) -> Result<Vec<(FindingId, Note)>> {
    let owners = texts.iter().map(|(finding, _)| *finding).collect();
    let ids = store.note_ids(product, owners).await?;
    let note = |((finding, entry), id): ((FindingId, &String), _)| {
        (finding, Note::new(id, entry.clone(), Some(by), now))
    };
    Ok(texts.into_iter().zip(ids).map(note).collect())
}

/// A text that nothing else has.
pub fn unique() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// A commit of changes in the product of this finding.
pub fn commit(finding: &Finding, changes: Vec<Change>) -> Commit {
    Commit {
        product: finding.product,
        changes,
        claims: Vec::new(),
        notes: Vec::new(),
        events: Vec::new(),
        marker: None,
        unique: format!("W{}", unique()),
    }
}

/// Is the product's simple acceptance on? Looked up only where somebody asks for it.
pub async fn simple_acceptance(api: &Api, finding: &Finding, change: &FlagChange) -> Result<bool> {
    if change.risk_accepted != Some(true) {
        return Ok(false);
    }
    let product: Product = api.services.store.get(finding.product).await?;
    Ok(product.enable_simple_risk_acceptance)
}

/// The flags that were sent; a short status overrules them.
pub fn flag_change(sent: &Object) -> Result<FlagChange> {
    let flag = |name: &str| sent.get(name).and_then(Value::as_bool);
    let asked = FlagChange {
        active: flag("active"),
        verified: flag("verified"),
        false_p: flag("false_p"),
        duplicate: flag("duplicate"),
        out_of_scope: flag("out_of_scope"),
        risk_accepted: flag("risk_accepted"),
        under_review: flag("under_review"),
        under_defect_review: flag("under_defect_review"),
        is_mitigated: flag("is_mitigated"),
    };
    let Some(text) = sent
        .get("status")
        .and_then(Value::as_str)
        .filter(|t| !t.is_empty())
    else {
        return Ok(asked);
    };
    let status = ShortStatus::parse(text);
    let status = status.ok_or_else(|| ApiError::field("status", unknown_status(text)))?;
    let wanted = FlagChange::to_status(status);
    Ok(FlagChange {
        verified: wanted.verified.or(asked.verified),
        under_defect_review: wanted.under_defect_review.or(asked.under_defect_review),
        ..wanted
    })
}

/// A value that was checked already, in the type of its field; null and nothing are `None`.
fn typed<T: for<'de> Deserialize<'de>>(value: &Value) -> Option<T> {
    T::deserialize(value).ok()
}

/// The same for texts: an empty one is none.
fn text(value: &Value) -> Option<String> {
    value
        .as_str()
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

/// Sets the plain fields that were sent.
fn apply(finding: &mut Finding, sent: &Object) {
    let f = finding;
    for (name, value) in sent {
        match name.as_str() {
            "title" => f.title = text(value).unwrap_or_default(),
            "severity" => f.severity = typed(value).unwrap_or(f.severity),
            "date" => f.date = typed(value).unwrap_or(f.date),
            "cwe" => f.cwe = typed(value).unwrap_or_default(),
            "cwes" => {
                let cwes: Vec<String> = typed(value).unwrap_or_default();
                let digits = |text: &String| {
                    text.trim_start_matches(|c: char| !c.is_ascii_digit())
                        .parse()
                };
                f.extra_cwes = cwes.iter().filter_map(|text| digits(text).ok()).collect();
            }
            "vulnerability_ids" => f.vulnerability_ids = typed(value).unwrap_or_default(),
            "cvssv3" => f.cvssv3 = text(value),
            "cvssv3_score" => f.cvssv3_score = typed(value),
            "cvssv4" => f.cvssv4 = text(value),
            "cvssv4_score" => f.cvssv4_score = typed(value),
            "epss_score" => f.epss_score = typed(value),
            "epss_percentile" => f.epss_percentile = typed(value),
            "known_exploited" => f.known_exploited = typed(value),
            "ransomware_used" => f.ransomware_used = typed(value),
            "kev_date" => f.kev_date = typed(value),
            "fix_available" => f.fix_available = typed(value),
            "fix_version" => f.fix_version = text(value),
            "file_path" => f.file_path = text(value),
            "line" => f.line = typed(value),
            "component_name" => f.component_name = text(value),
            "component_version" => f.component_version = text(value),
            "static_finding" => f.static_finding = typed(value).unwrap_or_default(),
            "dynamic_finding" => f.dynamic_finding = typed(value).unwrap_or_default(),
            "unique_id_from_tool" => f.unique_id_from_tool = text(value),
            "vuln_id_from_tool" => f.vuln_id_from_tool = text(value),
            "sast_source_object" => f.sast_source_object = text(value),
            "sast_sink_object" => f.sast_sink_object = text(value),
            "sast_source_line" => f.sast_source_line = typed(value),
            "sast_source_file_path" => f.sast_source_file_path = text(value),
            "nb_occurences" => f.nb_occurences = typed(value),
            "publish_date" => f.publish_date = typed(value),
            "service" => f.service = text(value),
            "planned_remediation_date" => f.planned_remediation_date = typed(value),
            "planned_remediation_version" => f.planned_remediation_version = text(value),
            "effort_for_fixing" => f.effort_for_fixing = text(value),
            "reporter" => f.reporter = typed(value),
            "sla_start_date" => f.sla_start_date = typed(value),
            "tags" => f.tags = typed(value).unwrap_or_default(),
            "reviewers" => f.reviewers = typed(value).unwrap_or_default(),
            "review_requested_by" => f.review_requested_by = typed(value),
            "defect_review_requested_by" => f.defect_review_requested_by = typed(value),
            "thread_id" => f.thread_id = typed(value).unwrap_or_default(),
            "url" => f.url = text(value),
            _ => {}
        }
    }
    // the main weakness is no further one
    let cwe = f.cwe;
    f.extra_cwes.retain(|extra| *extra != cwe);
}

/// Gives a finding the endpoints that were sent, and no others; they are of its product. The product's book,
/// where that changes anything.
async fn set_endpoints(
    store: &Store,
    finding: &mut Finding,
    sent: &Object,
) -> Result<Option<Arc<EndpointBook>>> {
    let Some(ids) = sent.get("endpoints").and_then(typed::<Vec<EndpointId>>) else {
        return Ok(None);
    };
    let old = finding.endpoint_ids.clone();
    let book = store.endpoints(finding.product).await?;
    let mut problems = Problems::default();
    for id in &ids {
        if book.get(*id).is_none() {
            let message = format!("Invalid pk \"{id}\": the product has no such endpoint.");
            problems.add("endpoints", message);
        } else if finding.add_endpoint(*id).is_none() {
            let message = format!("A finding has {} endpoints at most.", StatusPlace::MAX);
            problems.add("endpoints", message);
        }
    }
    problems.into_result()?;
    for id in old.iter().filter(|id| !ids.contains(id)) {
        finding.remove_endpoint(*id);
    }
    Ok((finding.endpoint_ids != old).then_some(book))
}

/// Writes the endpoints of a finding out: the first into the finding, all of many into its texts. Where a finding
/// from an import was seen stays what its report says, since it's recognised by that.
fn write_endpoints(finding: &mut Finding, texts: &mut Texts, book: &EndpointBook) {
    let records: Vec<_> = (finding.endpoints_with_places())
        .filter_map(|(_, id)| book.get(id))
        .collect();
    let mut urls: Vec<String> = records.iter().map(|of| of.text.to_string()).collect();
    if finding.import.is_none() {
        let endpoints: Vec<Endpoint> = records.iter().map(|of| of.endpoint()).collect();
        finding.endpoint_places = endpoint_places(&endpoints);
    }
    texts.endpoints = Vec::new();
    if urls.len() > Finding::INLINE_ENDPOINTS {
        texts.endpoints.clone_from(&urls);
        urls.truncate(Finding::INLINE_ENDPOINTS);
    }
    finding.endpoints = urls;
}

/// Sets when and by whom a mitigated finding was mitigated, where that was sent.
fn apply_mitigation(finding: &mut Finding, sent: &Object) {
    if !finding.flags.is_mitigated {
        return;
    }
    if let Some(time) = sent.get("mitigated").and_then(typed) {
        finding.mitigated = Some(time);
    }
    if let Some(user) = sent.get("mitigated_by").and_then(typed) {
        finding.mitigated_by = Some(user);
    }
}

fn is_text(name: &str) -> bool {
    matches!(
        name,
        "description"
            | "mitigation"
            | "impact"
            | "references"
            | "steps_to_reproduce"
            | "severity_justification"
    )
}

/// Does the field go into the hash of a finding made by hand?
fn is_hashed(name: &str) -> bool {
    matches!(
        name,
        "title" | "cwe" | "line" | "file_path" | "description" | "service"
    )
}

fn apply_texts(texts: &mut Texts, sent: &Object) {
    for (name, value) in sent {
        match name.as_str() {
            "description" => texts.description = text(value).unwrap_or_default(),
            "mitigation" => texts.mitigation = text(value),
            "impact" => texts.impact = text(value),
            "references" => texts.references = text(value),
            "steps_to_reproduce" => texts.steps_to_reproduce = text(value),
            "severity_justification" => texts.severity_justification = text(value),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: &Value) -> Object {
        read(value.as_object().unwrap(), FIELDS, Mode::Change).unwrap()
    }

    #[test]
    fn every_field_that_can_be_sent_is_applied() {
        let handled = [
            "test",
            "found_by",
            "status",
            "mitigated",
            "mitigated_by",
            "endpoints",
            PUSH,
            // they follow from the severity and the settings, whatever is sent
            "numerical_severity",
            "sla_expiration_date",
        ];
        let is_flag = |name: &str| {
            let change = flag_change(&Object::from_iter([(name.to_owned(), json!(true))]));
            change.is_ok_and(|change| !change.is_empty())
        };
        for field in FIELDS.iter().filter(|f| !f.read_only) {
            let name = field.name;
            if handled.contains(&name) || is_text(name) || is_flag(name) {
                continue;
            }
            let value = match field.kind {
                Kind::Text(_) => json!("x"),
                Kind::Severity => json!("High"),
                Kind::Bool => json!(true),
                Kind::Integer(..) | Kind::Number(..) | Kind::Ref(_) => json!(1),
                Kind::Date => json!("2026-01-02"),
                Kind::Texts => json!(["x"]),
                Kind::Named(_) => json!(["CWE-7"]),
                Kind::Refs(_) => json!([1]),
                other => panic!("{other:?}"),
            };
            let mut finding = Finding::default();
            apply(&mut finding, &object(&json!({name: value})));
            assert_ne!(finding, Finding::default(), "{name}");
        }
    }

    #[test]
    fn a_short_status_overrules_the_flags() {
        let change = flag_change(&object(
            &json!({"status": "false positive", "active": true}),
        ))
        .unwrap();
        let flags = Flags::OPEN.changed(&change, false).unwrap();
        assert!(flags.false_p && flags.is_mitigated && !flags.active);
        assert!(flag_change(&object(&json!({"status": "gone"}))).is_err());
        assert!(
            flag_change(&object(&json!({"title": "x"})))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn null_clears_and_an_empty_text_is_none() {
        let mut finding = Finding {
            component_name: Some("a".into()),
            line: Some(3),
            cwe: 79,
            ..Finding::default()
        };
        apply(
            &mut finding,
            &object(&json!({"component_name": "", "line": null, "cwe": null})),
        );
        assert_eq!(finding, Finding::default());
    }
}
