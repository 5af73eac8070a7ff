//! Notes and tags of findings.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde_json::{Value, json};
use tatami_auth::Permission;

use super::permitted;
use super::write::change;
use crate::Api;
use crate::auth::Caller;
use crate::body::Body;
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Mode, Object, Target, read};
use crate::openapi::{Answer, Operation, Routes};

const TAGS: &[Field] = &[Field::new("tags", Kind::Texts).required()];
const NOTE_ID: &[Field] = &[Field::new("note_id", Kind::Ref(Target::Unknown)).required()];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let path = "/api/v2/findings/{id}/remove_note";
    let remove = Operation::patch(path, "Take a note off")
        .body("FindingNoteRequest")
        .answers(204, Answer::Empty);
    routes.add(&remove, remove_note);
    routes.schemas("FindingNote", NOTE_ID);
    let path = "/api/v2/findings/{id}/tags";
    let tags = Operation::get(path, "Its tags").answers(200, Answer::One("Tag"));
    routes.add(&tags, self::tags);
    let add_tags = Operation::post(path, "Add tags")
        .body("TagRequest")
        .answers(201, Answer::One("Tag"));
    routes.add(&add_tags, self::add_tags);
    routes.schemas("Tag", TAGS);
    let path = "/api/v2/findings/{id}/remove_tags";
    for remove in [
        Operation::put(path, "Take tags off"),
        Operation::patch(path, "Take tags off"),
    ] {
        routes.add(
            &remove.body("TagRequest").answers(204, Answer::Empty),
            remove_tags,
        );
    }
}

async fn remove_note(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Body(body): Body,
) -> Result<StatusCode> {
    let finding = permitted(&api, &caller, Permission::EditFinding, &id).await?;
    let sent = read(&body, NOTE_ID, Mode::Create).map_err(ApiError::Fields)?;
    let wanted = sent["note_id"].as_u64().unwrap_or_default();
    let store = &api.services.store;
    let notes = store.notes(finding.id).await?;
    if !notes.iter().any(|note| note.id.0 == wanted) {
        return Err(ApiError::field(
            "note_id",
            format!("The finding has no note {wanted}."),
        ));
    }
    store.remove_note(finding.id, wanted.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn tags(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>> {
    let finding = permitted(&api, &caller, Permission::ViewProducts, &id).await?;
    Ok(Json(json!({"tags": finding.tags})))
}

fn sent_tags(body: &Object) -> Result<Vec<String>> {
    let sent = read(body, TAGS, Mode::Create).map_err(ApiError::Fields)?;
    let tags = sent["tags"].as_array().into_iter().flatten();
    Ok(tags
        .filter_map(|tag| tag.as_str().map(str::to_owned))
        .collect())
}

async fn add_tags(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Body(body): Body,
) -> Result<(StatusCode, Json<Value>)> {
    let finding = permitted(&api, &caller, Permission::EditFinding, &id).await?;
    let new = sent_tags(&body)?;
    let mut tags = finding.tags.clone();
    for tag in new {
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    let sent = Object::from_iter([("tags".to_owned(), json!(tags))]);
    let finding = change(&api, caller.0.user, finding, &sent, None).await?;
    Ok((StatusCode::CREATED, Json(json!({"tags": finding.tags}))))
}

async fn remove_tags(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Body(body): Body,
) -> Result<StatusCode> {
    let finding = permitted(&api, &caller, Permission::EditFinding, &id).await?;
    let gone = sent_tags(&body)?;
    if let Some(absent) = gone.iter().find(|tag| !finding.tags.contains(tag)) {
        return Err(ApiError::field(
            "tags",
            format!("The finding has no tag \"{absent}\"."),
        ));
    }
    let tags: Vec<&String> = finding
        .tags
        .iter()
        .filter(|tag| !gone.contains(tag))
        .collect();
    let sent = Object::from_iter([("tags".to_owned(), json!(tags))]);
    change(&api, caller.0.user, finding, &sent, None).await?;
    Ok(StatusCode::NO_CONTENT)
}
