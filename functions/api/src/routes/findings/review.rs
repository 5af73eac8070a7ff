//! Asking people to look at a finding.

use axum::extract::{Path, State};
use axum::response::Response;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{User, UserId};

use super::write::{Remark, change};
use super::{detail, permitted};
use crate::Api;
use crate::auth::Caller;
use crate::body::Body;
use crate::error::{ApiError, Problems, Result};
use crate::fields::{Field, Kind, Mode, Object, Target, read};
use crate::openapi::{Answer, Operation, Routes};
use crate::routes::catalog::check_references;
use crate::routes::mentions::may_see;

const FIELDS: &[Field] = &[
    Field::new("reviewers", Kind::Refs(Target::User)).required(),
    Field::new("entry", Kind::Text(0)).required(),
];

/// Adds the route.
pub fn add(routes: &mut Routes) {
    let ask = Operation::post(
        "/api/v2/findings/{id}/request_review",
        "Ask users to look at it: they are told, and it is under review",
    )
    .body("FindingReviewRequest")
    .answers(200, Answer::One("Finding"));
    routes.add(&ask, request);
    routes.schemas("FindingReview", FIELDS);
}

async fn request(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Body(body): Body,
) -> Result<Response> {
    let finding = permitted(&api, &caller, Permission::EditFinding, &id).await?;
    let store = &api.services.store;
    let sent = read(&body, FIELDS, Mode::Create).map_err(ApiError::Fields)?;
    check_references(store, FIELDS, &sent).await?;
    let reviewers = sent["reviewers"].as_array().into_iter().flatten();
    let reviewers: Vec<UserId> = reviewers.filter_map(Value::as_u64).map(UserId).collect();
    if reviewers.is_empty() {
        return Err(ApiError::field("reviewers", "This list may not be empty."));
    }
    let mut problems = Problems::default();
    for user in store.get_all::<User>(reviewers.iter().copied()).await? {
        if !may_see(store, &user, Place::from(&finding)).await? {
            let message = format!("{} may not see this finding.", user.username);
            problems.add("reviewers", message);
        }
    }
    problems.into_result()?;
    let sent_by = caller.0.user;
    let review = json!({
        "under_review": true, "reviewers": reviewers, "review_requested_by": sent_by,
    });
    let review: Object = review.as_object().cloned().unwrap_or_default();
    let remark = Remark {
        entry: sent["entry"].as_str().unwrap_or_default().to_owned(),
        note_type: None,
    };
    let finding = change(&api, sent_by, finding, &review, Some(&remark)).await?;
    detail(&api, &finding).await
}
