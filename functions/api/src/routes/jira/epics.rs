//! The epics of engagements.

use axum::Json;
use axum::extract::{Path, State};
use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_auth::Permission;
use tatami_domain::{Engagement, EngagementId, JiraObject};

use super::pushes::{Order, order};
use super::pushing::Pushing;
use crate::Api;
use crate::auth::Caller;
use crate::body::Body;
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Mode, read};
use crate::openapi::{Answer, Operation, Routes};
use crate::routes::catalog::{Resource as _, id_in_path};

const SCHEMA: &str = "EngagementUpdateJiraEpic";
const FIELDS: &[Field] = &[
    Field::new("epic_name", Kind::Text(200)),
    Field::new("epic_priority", Kind::Text(200)).nullable(),
];

/// Adds the route.
pub fn add(routes: &mut Routes) {
    let update = Operation::post(
        "/api/v2/engagements/{id}/update_jira_epic",
        "Make its epic in JIRA, or bring it up to date",
    )
    .body("EngagementUpdateJiraEpicRequest")
    .answers(200, Answer::One(SCHEMA));
    routes.add(&update, self::update);
    routes.schemas(SCHEMA, FIELDS);
}

async fn update(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Body(body): Body,
) -> Result<Json<Value>> {
    let store = &api.services.store;
    let engagement: Engagement = store.get(EngagementId(id_in_path(&id)?)).await?;
    let place = engagement.place();
    caller.require(Permission::EditEngagement, place).await?;
    let sent = read(&body, FIELDS, Mode::Change).map_err(ApiError::Fields)?;
    let pushing = Pushing::read(store).await?;
    let why_not = |why: &str| ApiError::field("non_field_errors", why);
    let project = pushing.project(engagement.product, engagement.id);
    let project = project.map_err(|why| why_not(&why))?;
    if !project.enable_engagement_epic_mapping {
        return Err(why_not(
            "Engagements have no epics here: set enable_engagement_epic_mapping of the JIRA project.",
        ));
    }
    let text = |name: &str| {
        let text = sent.get(name).and_then(Value::as_str);
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let (epic_name, epic_priority) = (text("epic_name"), text("epic_priority"));
    let answer = json!({"epic_name": epic_name, "epic_priority": epic_priority});
    let wish = Order {
        priority: epic_priority,
        summary: epic_name,
        ..Order::default()
    };
    let object = JiraObject::Engagement(engagement.id);
    order(
        &api,
        &caller,
        wish,
        vec![(object, Ok(()))],
        Timestamp::now(),
    )
    .await?;
    Ok(Json(answer))
}
