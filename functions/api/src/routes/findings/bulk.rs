//! The same change to many findings at once.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{Finding, FindingId, FlagChange, ProductId, UserId};
use tatami_duplicates::{Duplicates, Held, moves};
use tatami_store::{Change, Commit, Committed, StoreError};

use super::remove::tidy_after;
use super::write::{TRIES, changed, commit, flag_change, signed, simple_acceptance};
use crate::Api;
use crate::auth::Caller;
use crate::body::Body;
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Mode, Object, Target, read};
use crate::openapi::{Answer, Operation, Routes};
use crate::routes::catalog::check_references;

/// So many findings at most: each takes a place in the transaction, and so does its note.
const MAX: usize = 48;

const BULK: &[Field] = &[
    Field::new("ids", Kind::Refs(Target::Unknown)).required(),
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
    Field::new("delete", Kind::Bool),
];

const DONE: &[Field] = &[
    Field::answer("changed", Kind::Refs(Target::Finding)),
    Field::answer("unchanged", Kind::Refs(Target::Finding)),
    Field::answer("deleted", Kind::Refs(Target::Finding)),
];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let bulk = Operation::post(
        "/api/v2/findings/bulk",
        "Change or delete up to 48 findings; those of one product change all or none",
    )
    .body("FindingBulkRequest")
    .answers(200, Answer::One("FindingBulk"));
    routes.add(&bulk, self::bulk);
    routes.schemas("FindingBulk", DONE);
    routes.schemas("FindingChanges", CHANGES);
    let mut properties: serde_json::Map<String, Value> = (BULK.iter())
        .map(|field| (field.name.to_owned(), field.schema()))
        .collect();
    let changes = json!({"$ref": "#/components/schemas/FindingChangesRequest"});
    properties.insert("changes".into(), changes);
    let required = ["ids", "changes"];
    let schema = json!({"type": "object", "required": required, "properties": properties});
    routes.schema("FindingBulkRequest", schema);
}

/// What is asked for.
struct Bulk {
    by: UserId,
    changes: Object,
    flags: FlagChange,
    note: Option<String>,
}

async fn bulk(State(api): State<Api>, caller: Caller, Body(body): Body) -> Result<Json<Value>> {
    let store = &api.services.store;
    let (sent, changes) = match read_body(&body) {
        Ok(read) => read,
        Err(error) => {
            caller
                .require(Permission::EditFinding, Place::Somewhere)
                .await?;
            return Err(error);
        }
    };
    let ids = ids(&sent)?;
    let findings = store.findings(ids.iter().copied()).await?;
    let delete = changes.get("delete").and_then(Value::as_bool) == Some(true);
    let permission = if delete {
        Permission::DeleteFinding
    } else {
        Permission::EditFinding
    };
    let mut by_product: BTreeMap<ProductId, Vec<FindingId>> = BTreeMap::new();
    for finding in &findings {
        caller.require(permission, Place::from(finding)).await?;
        let of_product = by_product.entry(finding.product).or_default();
        of_product.push(finding.id);
    }
    if let Some(missing) = ids.iter().find(|id| findings.iter().all(|f| f.id != **id)) {
        caller.require(permission, Place::Somewhere).await?;
        return Err(ApiError::field(
            "ids",
            format!("There is no finding {missing}."),
        ));
    }
    if delete {
        let duplicates = Duplicates::new(store, Some(caller.0.user));
        for id in &ids {
            match duplicates.delete(*id).await {
                Err(tatami_duplicates::DuplicateError::Store(error)) if error.is_not_found() => {}
                other => other?,
            }
        }
        tidy_after(&api, &findings).await?;
        return Ok(Json(
            json!({"changed": [], "unchanged": [], "deleted": ids}),
        ));
    }
    check_references(store, CHANGES, &changes).await?;
    let note = sent.get("note").and_then(Value::as_str);
    let bulk = Bulk {
        by: caller.0.user,
        flags: flag_change(&changes)?,
        changes,
        note: note.filter(|text| !text.is_empty()).map(str::to_owned),
    };
    // nothing is written before everything is known to be in order
    let mut simple = BTreeMap::new();
    for finding in &findings {
        let accepts = match simple.get(&finding.product) {
            Some(known) => *known,
            None => simple_acceptance(&api, finding, &bulk.flags).await?,
        };
        simple.insert(finding.product, accepts);
        bulk.apply(finding, accepts, Timestamp::now())?;
    }
    let (mut done, mut unchanged) = (Vec::new(), Vec::new());
    for (product, ids) in by_product {
        let written = bulk.write(&api, &ids, simple[&product]).await?;
        let (new, same) = ids.into_iter().partition(|id| written.contains(id));
        done.extend::<Vec<FindingId>>(new);
        unchanged.extend::<Vec<FindingId>>(same);
    }
    Ok(Json(
        json!({"changed": done, "unchanged": unchanged, "deleted": []}),
    ))
}

fn read_body(body: &Object) -> Result<(Object, Object)> {
    let sent = read(body, BULK, Mode::Create).map_err(ApiError::Fields)?;
    let Some(changes) = body.get("changes").and_then(Value::as_object) else {
        let message = "An object is required, such as {\"status\": \"Fixed\"}.";
        return Err(ApiError::field("changes", message));
    };
    let changes = read(changes, CHANGES, Mode::Change).map_err(ApiError::Fields)?;
    if changes.is_empty() && !sent.contains_key("note") {
        let names: Vec<&str> = CHANGES.iter().map(|field| field.name).collect();
        let message = format!("Nothing would change. Use some of: {}.", names.join(", "));
        return Err(ApiError::field("changes", message));
    }
    Ok((sent, changes))
}

/// The ids that were sent, each once.
fn ids(sent: &Object) -> Result<Vec<FindingId>> {
    let mut ids: Vec<FindingId> = Vec::new();
    for id in sent["ids"].as_array().into_iter().flatten() {
        let id = FindingId(id.as_u64().unwrap_or_default());
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    if ids.is_empty() || ids.len() > MAX {
        let n = ids.len();
        let message =
            format!("Send 1 to {MAX} ids at a time, so that all change or none; these are {n}.");
        return Err(ApiError::field("ids", message));
    }
    Ok(ids)
}

impl Bulk {
    /// A finding as it will be.
    fn apply(&self, old: &Finding, simple_acceptance: bool, now: Timestamp) -> Result<Finding> {
        let about = |error: ApiError| match error {
            ApiError::Fields(problems) => ApiError::Fields(problems.about(old.id)),
            other => other,
        };
        let (changes, flags) = (&self.changes, &self.flags);
        let new = changed(old, changes, flags, simple_acceptance, self.by, now);
        let mut new = new.map_err(about)?;
        if new.flags.duplicate && !old.flags.duplicate {
            let message = format!(
                "Finding {} is no duplicate: link it to its original with POST \
                 /api/v2/findings/link/.",
                old.id
            );
            return Err(ApiError::field("duplicate", message));
        }
        for tag in self.tags("add_tags") {
            if !new.tags.iter().any(|known| known == tag) {
                new.tags.push(tag.to_owned());
            }
        }
        new.tags
            .retain(|tag| self.tags("remove_tags").all(|gone| gone != tag));
        Ok(new)
    }

    fn tags(&self, name: &str) -> impl Iterator<Item = &str> {
        let tags = self.changes.get(name).and_then(Value::as_array);
        tags.into_iter().flatten().filter_map(Value::as_str)
    }

    /// Changes findings of one product in one transaction; gives those that are written.
    async fn write(&self, api: &Api, ids: &[FindingId], simple: bool) -> Result<Vec<FindingId>> {
        let store = &api.services.store;
        for _ in 0..TRIES {
            let findings = store.findings(ids.iter().copied()).await?;
            let now = Timestamp::now();
            let mut changes = Vec::new();
            let mut moving = Vec::new();
            for old in &findings {
                let new = self.apply(old, simple, now)?;
                if moves(old, &new) {
                    moving.push(old);
                }
                if new != *old || self.note.is_some() {
                    changes.push(Change::Update {
                        old: Box::new(old.clone()),
                        new: Box::new(new),
                    });
                }
            }
            let Some(first) = findings.first().filter(|_| !changes.is_empty()) else {
                return Ok(Vec::new());
            };
            let held = Held::read(store, moving).await?;
            let written: Vec<FindingId> = (changes.iter())
                .filter_map(|change| change.sides().1.map(|new| new.id))
                .collect();
            let mut commit = commit(first, changes);
            commit.claims = held.settled(&commit.changes);
            if let Some(note) = &self.note {
                let texts: Vec<_> = written.iter().map(|id| (*id, note)).collect();
                commit.notes = signed(store, commit.product, self.by, texts, now).await?;
            }
            if commit.items() > Commit::MAX_ITEMS {
                let message = "Too many of these are duplicates to change all or none: send half of \
                               them at a time.";
                return Err(ApiError::field("ids", message));
            }
            if store.commit(&commit).await? == Committed::Yes {
                return Ok(written);
            }
        }
        Err(StoreError::Contention(format!("findings {ids:?}")).into())
    }
}
