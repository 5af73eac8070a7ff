//! Duplicates and merging: what people decide about findings that are the same.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{Dedupe, Finding, FindingId, ResolvedDedupe, Test, Texts};
use tatami_duplicates::{Duplicates, Explanation, MarkAs, Merge, tidy};
use tatami_scanners::by_scan_type;

use super::write::settings_by_hand;
use super::{detail, permitted};
use crate::Api;
use crate::auth::Caller;
use crate::body::Body;
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Mode, Object, Target, read};
use crate::openapi::{Answer, Operation, Routes};
use crate::routes::catalog::check_references;
use crate::view::finding::{Clock, FindingView, Packs};
use crate::view::group::Groups;

const LINK: &[Field] = &[
    Field::new("original", Kind::Ref(Target::Finding)).required(),
    Field::new("findings", Kind::Refs(Target::Finding)).required(),
];

const MARKS: &[&str] = &["inactive", "duplicate", "delete"];

const MERGE: &[Field] = &[
    Field::new("primary", Kind::Ref(Target::Finding)).required(),
    Field::new("findings", Kind::Refs(Target::Finding)).required(),
    Field::new("mark_as", Kind::Choice(MARKS)).required(),
    Field::new("append_description", Kind::Bool),
    Field::new("append_references", Kind::Bool),
    Field::new("add_endpoints", Kind::Bool),
    Field::new("add_tags", Kind::Bool),
];

const FIELD_VALUE: &[Field] = &[
    Field::answer("name", Kind::Text(0)),
    Field::answer("value", Kind::Text(0)).nullable(),
];

const CANDIDATE: &[Field] = &[
    Field::answer("id", Kind::Ref(Target::Finding)),
    Field::answer("title", Kind::Text(0)),
    Field::answer("original", Kind::Bool),
    Field::answer("keys_in_common", Kind::Texts),
    Field::answer("endpoints", Kind::Text(0)),
    Field::answer("reason", Kind::Text(0)),
];

const EXPLANATION: &[Field] = &[
    Field::answer("finding", Kind::Ref(Target::Finding)),
    Field::answer("duplicate", Kind::Bool),
    Field::answer("duplicate_finding", Kind::Ref(Target::Finding)).nullable(),
    Field::answer("reason", Kind::Text(0)),
    Field::answer("scope", Kind::Text(0)),
    Field::answer("scope_id", Kind::Ref(Target::Unknown)),
    Field::answer("algorithm", Kind::Text(0)),
    Field::answer("unique_id_from_tool", Kind::Text(0)).nullable(),
    Field::answer("fields", Kind::Other("HashedField", true)),
    Field::answer("hash_code", Kind::Text(64)),
    Field::answer("keys", Kind::Texts),
    Field::answer("changed_since", Kind::Bool),
    Field::answer("candidates", Kind::Other("DuplicateCandidate", true)),
    Field::answer("candidates_total", Kind::Integer(0, i64::MAX)),
];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let list = Operation::get(
        "/api/v2/findings/{id}/duplicate",
        "The other findings of its cluster: its original and the duplicates of that",
    )
    .answers(200, Answer::List("Finding"));
    routes.add(&list, self::list);
    let reset = Operation::post(
        "/api/v2/findings/{id}/duplicate/reset",
        "Make a duplicate an original of its own, active again",
    )
    .answers(204, Answer::Empty);
    routes.add(&reset, self::reset);
    let original = Operation::post(
        "/api/v2/findings/{id}/original/{new_fid}",
        "Make another finding the original of its whole cluster",
    )
    .answers(204, Answer::Empty);
    routes.add(&original, set_original);
    let explain = Operation::get(
        "/api/v2/findings/{id}/duplicate/explain",
        "Why it is a duplicate, or why it is none",
    )
    .answers(200, Answer::One("DuplicateExplanation"));
    routes.add(&explain, self::explain);
    routes.schemas("DuplicateExplanation", EXPLANATION);
    routes.schemas("DuplicateCandidate", CANDIDATE);
    routes.schemas("HashedField", FIELD_VALUE);
    let link = Operation::post(
        "/api/v2/findings/link",
        "Make findings duplicates of another",
    )
    .body("FindingLinkRequest")
    .answers(200, Answer::One("Finding"));
    routes.add(&link, self::link);
    routes.schemas("FindingLink", LINK);
    let merge = Operation::post("/api/v2/findings/merge", "Merge findings into one of them")
        .body("FindingMergeRequest")
        .answers(200, Answer::One("Finding"));
    routes.add(&merge, self::merge);
    routes.schemas("FindingMerge", MERGE);
}

fn duplicates<'a>(api: &'a Api, caller: &Caller) -> Duplicates<'a> {
    Duplicates::new(&api.services.store, Some(caller.0.user))
}

async fn list(State(api): State<Api>, caller: Caller, Path(id): Path<String>) -> Result<Response> {
    let finding = permitted(&api, &caller, Permission::ViewProducts, &id).await?;
    let others = duplicates(&api, &caller).others(&finding).await?;
    let packs = Packs::load(&api.services.blobs, &others).await?;
    let groups = Groups::load(&api.services.store, &others).await?;
    let clock = Clock::now(&api.services.store).await?;
    let views: Vec<FindingView<'_>> = (others.iter())
        .map(|finding| {
            FindingView::new(finding, packs.of(finding), &clock).with_group(finding, &groups)
        })
        .collect();
    Ok(Json(views).into_response())
}

async fn reset(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    let finding = permitted(&api, &caller, Permission::EditFinding, &id).await?;
    duplicates(&api, &caller).unlink(finding.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn set_original(
    State(api): State<Api>,
    caller: Caller,
    Path((id, new)): Path<(String, String)>,
) -> Result<StatusCode> {
    let finding = permitted(&api, &caller, Permission::EditFinding, &id).await?;
    let new = permitted(&api, &caller, Permission::EditFinding, &new).await?;
    let duplicates = duplicates(&api, &caller);
    let set = duplicates.set_original(finding.id, new.id).await;
    set.map_err(|error| ApiError::duplicates("new_fid", error))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn link(State(api): State<Api>, caller: Caller, Body(body): Body) -> Result<Response> {
    let (original, findings) = selected(&api, &caller, &body, LINK, "original").await?;
    let duplicates = duplicates(&api, &caller);
    let refused = |error| ApiError::duplicates("findings", error);
    for finding in &findings {
        duplicates
            .check_link(*finding, original)
            .await
            .map_err(refused)?;
    }
    for finding in &findings {
        duplicates.link(*finding, original).await.map_err(refused)?;
    }
    detail(&api, &api.services.store.finding(original).await?).await
}

async fn merge(State(api): State<Api>, caller: Caller, Body(body): Body) -> Result<Response> {
    let (primary, findings) = selected(&api, &caller, &body, MERGE, "primary").await?;
    let sent = read(&body, MERGE, Mode::Create).map_err(ApiError::Fields)?;
    let asked = |name: &str| sent.get(name).and_then(Value::as_bool).unwrap_or(false);
    let merge = Merge {
        primary,
        findings,
        append_description: asked("append_description"),
        append_references: asked("append_references"),
        add_endpoints: asked("add_endpoints"),
        add_tags: asked("add_tags"),
        mark_as: match sent["mark_as"].as_str() {
            Some("delete") => MarkAs::Delete,
            Some("inactive") => MarkAs::Inactive,
            _ => MarkAs::Duplicate,
        },
    };
    let mut deleted = Vec::new();
    if merge.mark_as == MarkAs::Delete {
        let finding = api.services.store.finding(primary).await?;
        caller
            .require(Permission::DeleteFinding, Place::from(&finding))
            .await?;
        deleted = (api.services.store)
            .findings(merge.findings.iter().copied())
            .await?;
    }
    let duplicates = duplicates(&api, &caller);
    let merged = duplicates.merge(&api.services.blobs, &merge).await;
    let merged = merged.map_err(|error| ApiError::duplicates("findings", error))?;
    tidy(&api.services.store, &api.services.blobs, &deleted).await?;
    detail(&api, &merged).await
}

/// The findings that a body selects and the one among them that stays, where the caller may change
/// all of them.
async fn selected(
    api: &Api,
    caller: &Caller,
    body: &Object,
    fields: &[Field],
    stays: &str,
) -> Result<(FindingId, Vec<FindingId>)> {
    let store = &api.services.store;
    let sent = match read(body, fields, Mode::Create) {
        Ok(sent) => sent,
        Err(problems) => {
            caller
                .require(Permission::EditFinding, Place::Somewhere)
                .await?;
            return Err(ApiError::Fields(problems));
        }
    };
    let one = FindingId(sent[stays].as_u64().unwrap_or_default());
    let mut many: Vec<FindingId> = Vec::new();
    for id in sent["findings"].as_array().into_iter().flatten() {
        let id = FindingId(id.as_u64().unwrap_or_default());
        if !many.contains(&id) {
            many.push(id);
        }
    }
    if many.is_empty() || many.len() > Merge::MAX {
        let message = format!(
            "Name 1 to {} findings; these are {}.",
            Merge::MAX,
            many.len()
        );
        return Err(ApiError::field("findings", message));
    }
    let known = store.findings(many.iter().copied().chain([one])).await?;
    for finding in &known {
        caller
            .require(Permission::EditFinding, Place::from(finding))
            .await?;
    }
    check_references(store, fields, &sent).await?;
    Ok((one, many))
}

async fn explain(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>> {
    let finding = permitted(&api, &caller, Permission::ViewProducts, &id).await?;
    let texts = match &finding.texts {
        Some(at) => api.services.blobs.texts(at).await?,
        None => Texts::default(),
    };
    let dedupe = dedupe_of(&api, &finding).await?;
    let duplicates = duplicates(&api, &caller);
    let explained = duplicates.explain(&finding, &texts, &dedupe).await?;
    Ok(Json(explanation(&explained)))
}

/// How findings of its kind are recognised now.
async fn dedupe_of(api: &Api, finding: &Finding) -> Result<ResolvedDedupe> {
    let store = &api.services.store;
    let Some(import) = finding.import else {
        let test: Test = store.get(finding.test).await?;
        return settings_by_hand(store, &test).await;
    };
    let scan_type = match store.import(import).await {
        Err(error) if error.is_not_found() => None,
        other => other?.scan_type,
    };
    let scanner = scan_type.and_then(|name| by_scan_type(&name));
    let levels = store.dedupe_levels(finding.product).await?;
    Ok(match scanner {
        Some(scanner) => levels.resolve(&scanner.dedupe, scanner.scan_type),
        None => levels.resolve(&Dedupe::BY_HAND, ""),
    })
}

fn explanation(explained: &Explanation) -> Value {
    let mut view = json!(explained);
    let fields = explained.fields.iter();
    view["fields"] = fields
        .map(|(name, value)| json!({"name": name, "value": value}))
        .collect();
    view
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explanations_have_the_fields_of_their_schema() {
        let names =
            |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
        let schema = |fields: &[Field]| {
            let mut names: Vec<String> = fields.iter().map(|f| f.name.to_owned()).collect();
            names.sort_unstable();
            names
        };
        let candidate = tatami_duplicates::Candidate {
            id: FindingId(1),
            title: String::new(),
            original: true,
            keys_in_common: Vec::new(),
            endpoints: "",
            reason: String::new(),
        };
        let view = explanation(&Explanation {
            finding: FindingId(2),
            duplicate: true,
            duplicate_finding: Some(FindingId(1)),
            reason: String::new(),
            scope: "product",
            scope_id: 1,
            algorithm: "legacy",
            unique_id_from_tool: None,
            fields: vec![("title", None)],
            hash_code: String::new(),
            keys: Vec::new(),
            changed_since: false,
            candidates: vec![candidate],
            candidates_total: 1,
        });
        assert_eq!(names(&view), schema(EXPLANATION));
        assert_eq!(names(&view["candidates"][0]), schema(CANDIDATE));
        assert_eq!(names(&view["fields"][0]), schema(FIELD_VALUE));
    }
}
