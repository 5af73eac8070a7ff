//! Engagements.

use axum::Json;
use axum::extract::{Path, State};
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use serde_json::json;
use tatami_auth::{Permission, Place};
use tatami_domain::{Engagement, EngagementId, EngagementStatus, Owner, Product};
use tatami_store::{Entity as _, Store};

use super::attached;
use super::catalog::{self, Filter, How, Resource, constants, edit, id_in_path};
use crate::Api;
use crate::auth::Caller;
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Object, Target};
use crate::openapi::{Answer, Operation, Routes};
use crate::query::today;

/// Adds their routes.
pub fn add(routes: &mut Routes) {
    catalog::add::<Engagement>(routes);
    let close = Operation::post("/api/v2/engagements/{id}/close", "Close it")
        .answers(200, Answer::One("Engagement"));
    routes.add(&close, self::close);
    let reopen = Operation::post("/api/v2/engagements/{id}/reopen", "Open it again")
        .answers(200, Answer::One("Engagement"));
    routes.add(&reopen, self::reopen);
}

const TYPES: &[&str] = &[
    "Interactive",
    "CI/CD",
    "Baseline",
    "Targeted",
    "Regression",
    "Incident",
];
const STATES: &[&str] = &[
    "Not Started",
    "Blocked",
    "Cancelled",
    "Completed",
    "In Progress",
    "On Hold",
    "Scheduled",
    "Waiting for Resource",
];

impl Resource for Engagement {
    const PATH: &'static str = "/api/v2/engagements";
    const SCHEMA: &'static str = "Engagement";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("name", Kind::Text(300)),
        Field::new("product", Kind::Ref(Target::Product)).required(),
        Field::new("target_start", Kind::Date).required(),
        Field::new("target_end", Kind::Date).required(),
        Field::new("engagement_type", Kind::Choice(TYPES)),
        Field::new("status", Kind::Choice(STATES)),
        Field::answer("active", Kind::Bool),
        Field::new("description", Kind::Text(2000)).nullable(),
        Field::new("version", Kind::Text(100)).nullable(),
        Field::new("first_contacted", Kind::Date).nullable(),
        Field::new("reason", Kind::Text(2000)).nullable(),
        Field::new("lead", Kind::Ref(Target::User)).nullable(),
        Field::new("build_id", Kind::Text(150)).nullable(),
        Field::new("commit_hash", Kind::Text(150)).nullable(),
        Field::new("branch_tag", Kind::Text(150)).nullable(),
        Field::new("source_code_management_uri", Kind::Text(600)).nullable(),
        Field::new("deduplication_on_engagement", Kind::Bool),
        Field::new("tags", Kind::Texts),
        Field::answer("created", Kind::DateTime),
        Field::answer("updated", Kind::DateTime),
        Field::answer("tracker", Kind::Text(200)).nullable(),
        Field::answer("test_strategy", Kind::Text(200)).nullable(),
        Field::answer("threat_model", Kind::Bool),
        Field::answer("api_test", Kind::Bool),
        Field::answer("pen_test", Kind::Bool),
        Field::answer("check_list", Kind::Bool),
        Field::answer("progress", Kind::Text(0)),
        Field::answer("tmodel_path", Kind::Text(0)).nullable(),
        Field::answer("done_testing", Kind::Bool),
        Field::answer("requester", Kind::Ref(Target::User)).nullable(),
        Field::answer("preset", Kind::Ref(Target::Unknown)).nullable(),
        Field::answer("report_type", Kind::Ref(Target::Unknown)).nullable(),
        Field::answer("cicd_scm_server", Kind::Ref(Target::Unknown)).nullable(),
        Field::answer("cicd_build_server", Kind::Ref(Target::Unknown)).nullable(),
        Field::answer("cicd_orchestration_engine", Kind::Ref(Target::Unknown)).nullable(),
        Field::answer("notes", Kind::Other("Note", true)),
        Field::answer("files", Kind::Other("File", true)),
        Field::answer("risk_acceptance", Kind::Refs(Target::Unknown)),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter::of("id", How::Ids),
        Filter::of("name", How::Contains),
        Filter {
            name: "name_exact",
            field: "name",
            how: How::Exact,
        },
        Filter::of("product", How::Ids),
        Filter::of("status", How::OneOf),
        Filter::of("engagement_type", How::OneOf),
        Filter::of("active", How::Bool),
        Filter::of("version", How::Contains),
        Filter::of("lead", How::Ids),
        Filter::of("target_start", How::Day),
        Filter::of("target_end", How::Day),
        Filter::of("created", How::Day),
        Filter::of("updated", How::Day),
        Filter::TAGS[0],
        Filter::TAGS[1],
        Filter::TAGS[2],
        Filter::TAGS[3],
        Filter::TAGS[4],
        Filter::TAGS[5],
    ];
    const PARENT: Option<(&'static str, &'static str)> = Some(("product", Product::KIND));
    const VIEW: Permission = Permission::ViewProducts;
    const ADD: Permission = Permission::EditEngagement;
    const EDIT: Permission = Permission::EditEngagement;

    fn fresh() -> Self {
        let start = today();
        Self {
            active: true,
            target_start: start,
            target_end: start.checked_add(365.days()).unwrap_or(Date::MAX),
            ..Self::default()
        }
    }

    fn place(&self) -> Place {
        Place::Product(self.product)
    }

    fn check(&self, old: Option<&Self>) -> Result<()> {
        if self.target_end < self.target_start {
            return Err(ApiError::field("target_end", "It ends before it starts."));
        }
        if old.is_some_and(|old| old.product != self.product) {
            return Err(ApiError::field(
                "product",
                "An engagement with its findings cannot move to another product.",
            ));
        }
        Ok(())
    }

    async fn decorate(store: &Store, views: &mut [Object]) -> Result<()> {
        attached::decorate(store, views, Self::PATH, |id| Owner::Engagement(id.into())).await?;
        constants(
            views,
            &json!({
                "tracker": null, "test_strategy": null, "threat_model": true, "api_test": true,
                "pen_test": true, "check_list": true, "progress": "threat_model",
                "tmodel_path": null, "done_testing": false, "requester": null, "preset": null,
                "report_type": null, "cicd_scm_server": null, "cicd_build_server": null,
                "cicd_orchestration_engine": null,
                "risk_acceptance": [],
            }),
        );
        Ok(())
    }
}

async fn close(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Object>> {
    set_state(&api, caller, &id, false, EngagementStatus::Completed).await
}

async fn reopen(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Object>> {
    set_state(&api, caller, &id, true, EngagementStatus::InProgress).await
}

async fn set_state(
    api: &Api,
    caller: Caller,
    id: &str,
    active: bool,
    status: EngagementStatus,
) -> Result<Json<Object>> {
    let store = &api.services.store;
    let id = EngagementId(id_in_path(id)?);
    let engagement: Engagement = store.get(id).await?;
    caller.require(Permission::EditEngagement, engagement.place())?;
    let engagement = edit::<Engagement>(store, id, |engagement| {
        engagement.active = active;
        engagement.status = status;
        engagement.updated = Timestamp::now();
        Ok(())
    })
    .await?;
    Ok(Json(catalog::view(store, &engagement).await?))
}
