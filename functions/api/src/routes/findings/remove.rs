//! Deleting findings.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde_json::json;
use tatami_auth::Permission;
use tatami_domain::Finding;
use tatami_duplicates::{Duplicates, tidy};

use super::{permitted, version};
use crate::Api;
use crate::auth::Caller;
use crate::conditional::IfMatch;
use crate::error::Result;
use crate::fields::{Field, Kind, Target};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::Listing;

const PREVIEW: &[Field] = &[
    Field::answer("model", Kind::Text(0)),
    Field::answer("id", Kind::Ref(Target::Unknown)).nullable(),
    Field::answer("name", Kind::Text(0)),
];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let delete = Operation::delete(
        "/api/v2/findings/{id}",
        "Delete it with its notes; its earliest duplicate becomes the original of the others",
    )
    .answers(204, Answer::Empty);
    routes.add(&delete, self::delete);
    let preview = Operation::get(
        "/api/v2/findings/{id}/delete_preview",
        "What would be deleted with it",
    )
    .answers(200, Answer::Page("DeletePreview"));
    routes.add(&preview, self::preview);
    routes.schemas("DeletePreview", PREVIEW);
}

async fn delete(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
) -> Result<StatusCode> {
    let finding = permitted(&api, &caller, Permission::DeleteFinding, &id).await?;
    let duplicates = Duplicates::new(&api.services.store, Some(caller.0.user));
    let wanted = |finding: &Finding| if_match.allows(&version(finding));
    if !duplicates.delete_if(finding.id, wanted).await? {
        return Err(IfMatch::failed());
    }
    tidy(&api.services.store, &api.services.blobs, &[finding]).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn preview(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    listing: Listing,
) -> Result<Response> {
    let finding = permitted(&api, &caller, Permission::ViewProducts, &id).await?;
    let mut gone = vec![json!({"model": "Finding", "id": finding.id, "name": finding.title})];
    for note in api.services.store.notes(finding.id).await? {
        gone.push(json!({"model": "Notes", "id": note.id, "name": note.entry}));
    }
    Ok(Json(listing.cut(gone)).into_response())
}
