//! The history of imports as DefectDojo's clients know it: those that are done, each with what it did
//! with every finding.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Path, State};
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{FindingId, Import, ImportActions, ImportId, ImportState};

use super::catalog::id_in_path;
use super::imports::{choices, lines, paged, records, that_touched};
use crate::Api;
use crate::auth::Caller;
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Target};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::{Listing, Page};
use crate::view::import::Action;

/// What imports did is read for so many side by side.
const PARALLEL: usize = 8;
const ACTION: &str = "test_import_finding_action__action";
const ACTION_FINDING: &str = "test_import_finding_action__finding";
const ACTION_CREATED: &str = "test_import_finding_action__created";
const AFFECTED: &str = "findings_affected";

/// The fields of an import as DefectDojo has them.
const FIELDS: &[Field] = &[
    Field::answer("id", Kind::Ref(Target::Unknown)),
    Field::answer("created", Kind::DateTime),
    Field::answer("modified", Kind::DateTime),
    Field::answer("import_settings", Kind::Other("", false)).nullable(),
    Field::answer("type", Kind::Text(64)),
    Field::answer("version", Kind::Text(100)).nullable(),
    Field::answer("build_id", Kind::Text(150)).nullable(),
    Field::answer("commit_hash", Kind::Text(150)).nullable(),
    Field::answer("branch_tag", Kind::Text(150)).nullable(),
    Field::answer("test", Kind::Ref(Target::Test)),
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
    lines.retain(|line| line.state == ImportState::Done && line.test.is_some());
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
    let (count, page) = paged(&listing, lines)?;
    let imports = records(store, &page).await?;
    let views: Vec<Value> = futures::stream::iter(imports)
        .map(|import| async move {
            let actions = store.import_actions(import.id).await?;
            Ok::<_, ApiError>(view(&import, &actions))
        })
        .buffered(PARALLEL)
        .try_collect()
        .await?;
    Ok(Json(listing.page(count, views)))
}

async fn get(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>> {
    let store = &api.services.store;
    let import = store.import(ImportId(id_in_path(&id)?)).await?;
    let place = Place::from(&import);
    caller.require(Permission::ViewProducts, place).await?;
    let only_looked_at = import.replay.is_some_and(|replay| !replay.apply);
    if import.state != ImportState::Done || import.test.is_none() || only_looked_at {
        return Err(ApiError::not_found());
    }
    let actions = store.import_actions(import.id).await?;
    Ok(Json(view(&import, &actions)))
}

/// An import with what it did. The actions have numbers of their own within the import.
fn view(import: &Import, actions: &ImportActions) -> Value {
    let modified = import.finished.unwrap_or(import.created);
    let options = &import.options;
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
        "import_settings": options,
        "type": options.kind,
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
