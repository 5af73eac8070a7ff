//! The history of imports as DefectDojo's clients know it: those that are done, each with what it did
//! with every finding.
//!
//! People may correct what it says and note imports that were done elsewhere. That changes the history
//! and nothing else: what an import did with findings stays as it was, and one that is taken off the list
//! is still among Tatami's own imports, with its report.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Path, State};
use futures::{StreamExt as _, TryStreamExt as _};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{
    FindingId, Import, ImportActions, ImportId, ImportKind, ImportOptions, ImportState, Test,
    TestId,
};
use tatami_store::Store;

use super::catalog::{check_references, id_in_path};
use super::imports::{choices, lines, paged, records, that_touched};
use crate::Api;
use crate::auth::Caller;
use crate::body::Body;
use crate::conditional::{IfMatch, Version, Versioned};
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Mode, Object, Target, read};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::{Listing, Page};
use crate::query::today;
use crate::view::import::Action;

/// What imports did is read for so many side by side.
const PARALLEL: usize = 8;
/// How many bytes of settings are kept.
const MAX_SETTINGS: usize = 65_536;
const ACTION: &str = "test_import_finding_action__action";
const ACTION_FINDING: &str = "test_import_finding_action__finding";
const ACTION_CREATED: &str = "test_import_finding_action__created";
const AFFECTED: &str = "findings_affected";

/// The fields of an import as DefectDojo has them.
const FIELDS: &[Field] = &[
    Field::answer("id", Kind::Ref(Target::Unknown)),
    Field::answer("created", Kind::DateTime),
    Field::answer("modified", Kind::DateTime),
    Field::new("import_settings", Kind::Json(MAX_SETTINGS)).nullable(),
    Field::new("type", Kind::Text(64)),
    Field::new("version", Kind::Text(100)).nullable(),
    Field::new("build_id", Kind::Text(150)).nullable(),
    Field::new("commit_hash", Kind::Text(150)).nullable(),
    Field::new("branch_tag", Kind::Text(150)).nullable(),
    Field::new("test", Kind::Ref(Target::Test))
        .required()
        .fixed(),
    Field::answer("findings_affected", Kind::Refs(Target::Finding)),
    Field::answer(
        "test_import_finding_action_set",
        Kind::Other("TestImportFindingAction", true),
    ),
];

/// The fields of what an import did with one finding.
const ACTION_FIELDS: &[Field] = &[
    Field::answer("id", Kind::Ref(Target::Unknown)),
    Field::answer("created", Kind::DateTime),
    Field::answer("modified", Kind::DateTime),
    Field::answer("action", Kind::Choice(Action::LETTERS)).nullable(),
    Field::answer("test_import", Kind::Ref(Target::Unknown)),
    Field::answer("finding", Kind::Ref(Target::Finding)),
];

/// The parameters of the list.
const FILTERS: &[Field] = &[
    Field::new("test", Kind::Refs(Target::Test)),
    Field::new("engagement", Kind::Refs(Target::Engagement)),
    Field::new("product", Kind::Refs(Target::Product)),
    Field::new("version", Kind::Text(0)),
    Field::new("build_id", Kind::Text(0)),
    Field::new("commit_hash", Kind::Text(0)),
    Field::new("branch_tag", Kind::Text(0)),
    Field::new(AFFECTED, Kind::Refs(Target::Finding)),
    Field::new(ACTION, Kind::Choice(Action::LETTERS)),
    Field::new(ACTION_FINDING, Kind::Ref(Target::Finding)),
    Field::new(ACTION_CREATED, Kind::DateTime),
    Field::new("o", Kind::Texts),
];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let list = Operation::get(
        "/api/v2/test_imports",
        "A page of the imports that are done",
    )
    .query(FILTERS.iter().copied())
    .answers(200, Answer::Page("TestImport"));
    routes.add(&list, self::list);
    let get = Operation::get("/api/v2/test_imports/{id}", "One of them")
        .answers(200, Answer::One("TestImport"));
    routes.add(&get, self::get);
    let create = Operation::post(
        "/api/v2/test_imports",
        "Note an import that was done elsewhere; it has no report and changes no finding",
    )
    .body("TestImportRequest")
    .answers(201, Answer::One("TestImport"));
    routes.add(&create, self::create);
    let one = "/api/v2/test_imports/{id}";
    let replace = Operation::put(one, "Correct what it says")
        .body("TestImportRequest")
        .answers(200, Answer::One("TestImport"));
    routes.add(&replace, write);
    let change = Operation::patch(one, "Correct what it says")
        .body("PatchedTestImportRequest")
        .answers(200, Answer::One("TestImport"));
    routes.add(&change, write);
    let delete = Operation::delete(
        one,
        "Take it off this list; one with a report stays among `imports`",
    )
    .answers(204, Answer::Empty);
    routes.add(&delete, self::delete);
    let preview = Operation::get(
        format!("{one}/delete_preview"),
        "What would be deleted with it",
    )
    .answers(200, Answer::Page("DeletePreview"));
    routes.add(&preview, delete_preview);
    routes.schemas("TestImport", FIELDS);
    routes.schemas("TestImportFindingAction", ACTION_FIELDS);
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    listing: Listing,
) -> Result<Json<Page<Value>>> {
    let store = &api.services.store;
    let query = &listing.query;
    let mut lines = lines(&api, &caller, query).await?;
    lines.retain(|line| line.state == ImportState::Done && line.test.is_some() && !line.unlisted);
    // a replay that was only looked at did nothing
    lines.retain(|line| line.replay != Some(false));
    let letters = choices(query, ACTION, Action::LETTERS)?;
    for letter in letters {
        let at = Action::LETTERS.iter().position(|known| *known == letter);
        if let Some(action) = at.and_then(|at| Action::ALL.get(at)) {
            lines.retain(|line| action.count(&line.counts) > 0);
        }
    }
    if let Some(text) = query.get(ACTION_CREATED) {
        let time: Timestamp = text.trim().parse().map_err(|_| {
            let message = format!("\"{text}\" is not a time: use YYYY-MM-DDThh:mm:ssZ");
            ApiError::field(ACTION_CREATED, message)
        })?;
        lines.retain(|line| line.modified() == time);
    }
    for name in [AFFECTED, ACTION_FINDING] {
        let findings = query.ids(name)?;
        if findings.is_empty() {
            continue;
        }
        let mut touched = BTreeSet::new();
        for finding in findings {
            touched.extend(that_touched(store, FindingId(finding), &lines).await?);
        }
        lines.retain(|line| touched.contains(&line.id));
    }
    let (around, page) = paged(&listing, lines)?;
    let imports = records(store, &page).await?;
    let views: Vec<Value> = futures::stream::iter(imports)
        .map(|import| async move {
            let actions = store.import_actions(import.id).await?;
            Ok::<_, ApiError>(view(&import, &actions))
        })
        .buffered(PARALLEL)
        .try_collect()
        .await?;
    Ok(Json(Page::new(around, views)))
}

/// The import of a path, where it is listed and the caller has the permission.
async fn permitted(api: &Api, caller: &Caller, permission: Permission, id: &str) -> Result<Import> {
    let import = api.services.store.import(ImportId(id_in_path(id)?)).await?;
    caller.require(permission, Place::from(&import)).await?;
    let only_looked_at = import.replay.is_some_and(|replay| !replay.apply);
    let listed = import.state == ImportState::Done && import.test.is_some() && !import.unlisted;
    if listed && !only_looked_at {
        Ok(import)
    } else {
        Err(ApiError::not_found())
    }
}

async fn get(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Versioned<Json<Value>>> {
    let import = permitted(&api, &caller, Permission::ViewProducts, &id).await?;
    answer(&api.services.store, &import).await
}

async fn answer(store: &Store, import: &Import) -> Result<Versioned<Json<Value>>> {
    let actions = store.import_actions(import.id).await?;
    Ok(Versioned(Version::of(import), Json(view(import, &actions))))
}

/// Writes what was sent into an import.
fn apply(import: &mut Import, sent: &Object) {
    let text = |name: &str| {
        sent.get(name)
            .map(|value| value.as_str().map(str::to_owned))
    };
    let options = &mut import.options;
    for (name, field) in [
        ("version", &mut options.version),
        ("build_id", &mut options.build_id),
        ("commit_hash", &mut options.commit_hash),
        ("branch_tag", &mut options.branch_tag),
        ("type", &mut import.shown_type),
    ] {
        if let Some(value) = text(name) {
            *field = value.filter(|text| !text.is_empty());
        }
    }
    if let Some(settings) = sent.get("import_settings") {
        import.shown_settings = Some(settings.clone()).filter(|settings| !settings.is_null());
    }
}

async fn create(
    State(api): State<Api>,
    caller: Caller,
    Body(body): Body,
) -> Result<(StatusCode, Json<Value>)> {
    let store = &api.services.store;
    let sent = match read(&body, FIELDS, Mode::Create) {
        Ok(sent) => sent,
        Err(problems) => {
            // whoever may make none at all learns nothing of the fields
            caller.require(Permission::Import, Place::Somewhere).await?;
            return Err(ApiError::Fields(problems));
        }
    };
    check_references(store, FIELDS, &sent).await?;
    let test: Test = store
        .get(TestId(sent["test"].as_u64().unwrap_or_default()))
        .await?;
    caller
        .require(Permission::Import, Place::from(&test))
        .await?;
    let now = Timestamp::now();
    let mut import = Import {
        state: ImportState::Done,
        by_hand: true,
        options: ImportOptions {
            kind: ImportKind::Import,
            ..ImportOptions::default()
        },
        by: Some(caller.0.user),
        created: now,
        finished: Some(now),
        scan_type: test.scan_type.clone(),
        product: Some(test.product),
        engagement: Some(test.engagement),
        test: Some(test.id),
        test_type: Some(test.test_type),
        scan_date: today(),
        ..Import::default()
    };
    apply(&mut import, &sent);
    let import = store.note_import(import).await?;
    let view = view(&import, &ImportActions::default());
    Ok((StatusCode::CREATED, Json(view)))
}

async fn write(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
    mode: Mode,
    Body(body): Body,
) -> Result<Versioned<Json<Value>>> {
    let store = &api.services.store;
    let import = permitted(&api, &caller, Permission::EditEngagement, &id).await?;
    if_match.check(&Version::of(&import))?;
    let sent = read(&body, FIELDS, mode).map_err(ApiError::Fields)?;
    let change = |import: &mut Import| {
        if_match.check(&Version::of(import))?;
        apply(import, &sent);
        Ok::<_, ApiError>(())
    };
    let import = store.change_import(import.id, change).await?;
    answer(store, &import).await
}

async fn delete(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
) -> Result<StatusCode> {
    let store = &api.services.store;
    let import = permitted(&api, &caller, Permission::DeleteEngagement, &id).await?;
    let change = |import: &mut Import| {
        if_match.check(&Version::of(import))?;
        import.unlisted = true;
        Ok::<_, ApiError>(())
    };
    let import = store.change_import(import.id, change).await?;
    if import.by_hand {
        store.forget_import(&import).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn delete_preview(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    listing: Listing,
) -> Result<Json<Page<Value>>> {
    let import = permitted(&api, &caller, Permission::ViewProducts, &id).await?;
    let actions = api.services.store.import_actions(import.id).await?;
    let view = view(&import, &actions);
    let name = format!(
        "{} of test {}",
        view["type"].as_str().unwrap_or_default(),
        view["test"]
    );
    let mut gone = vec![json!({"model": "Test_Import", "id": import.id, "name": name})];
    let set = view["test_import_finding_action_set"].as_array();
    for action in set.into_iter().flatten() {
        gone.push(json!({
            "model": "Test_Import_Finding_Action",
            "id": action["id"],
            "name": format!("{} finding {}", action["action"], action["finding"]).replace('"', ""),
        }));
    }
    Ok(Json(listing.cut(gone)))
}

/// An import with what it did. The actions have numbers of their own within the import.
fn view(import: &Import, actions: &ImportActions) -> Value {
    let modified = import.finished.unwrap_or(import.created);
    let options = &import.options;
    let kind = match &import.shown_type {
        Some(shown) => json!(shown),
        None => json!(options.kind),
    };
    let settings = match &import.shown_settings {
        Some(shown) => shown.clone(),
        None => json!(options),
    };
    let mut affected = BTreeSet::new();
    let mut set = Vec::new();
    for (n, action) in (0u64..).zip(Action::ALL) {
        for finding in action.findings(actions) {
            affected.insert(finding);
            set.push(json!({
                "id": finding.0 * Action::ALL.len() as u64 + n,
                "created": modified,
                "modified": modified,
                "action": Action::LETTERS[action as usize],
                "test_import": import.id,
                "finding": finding,
            }));
        }
    }
    json!({
        "id": import.id,
        "created": import.created,
        "modified": modified,
        "import_settings": settings,
        "type": kind,
        "version": options.version,
        "build_id": options.build_id,
        "commit_hash": options.commit_hash,
        "branch_tag": options.branch_tag,
        "test": import.test,
        "findings_affected": affected,
        "test_import_finding_action_set": set,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_action_is_told_by_its_letter_and_has_a_number_of_its_own() {
        let set = |ids: &[u64]| ids.iter().copied().map(FindingId).collect();
        let actions = ImportActions {
            created: set(&[1024, 1025]),
            closed: set(&[7, 1025]),
            untouched: set(&[8]),
            ..ImportActions::default()
        };
        let view = view(&Import::default(), &actions);
        assert_eq!(view["findings_affected"], json!([7, 8, 1024, 1025]));
        let set = view["test_import_finding_action_set"].as_array().unwrap();
        let told: Vec<(&Value, &Value)> =
            set.iter().map(|a| (&a["action"], &a["finding"])).collect();
        let expected = [
            (&json!("N"), &json!(1024)),
            (&json!("N"), &json!(1025)),
            (&json!("C"), &json!(7)),
            (&json!("C"), &json!(1025)),
            (&json!("U"), &json!(8)),
        ];
        assert_eq!(told, expected);
        let mut ids: Vec<u64> = set.iter().map(|a| a["id"].as_u64().unwrap()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 5);
        let schema = |fields: &[Field]| {
            let mut names: Vec<&str> = fields.iter().map(|field| field.name).collect();
            names.sort_unstable();
            names.join(" ")
        };
        let names = |view: &Value| {
            let names: Vec<&str> = view
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            names.join(" ")
        };
        assert_eq!(names(&view), schema(FIELDS));
        assert_eq!(names(&set[0]), schema(ACTION_FIELDS));
    }
}
