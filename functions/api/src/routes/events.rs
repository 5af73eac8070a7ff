//! Events: what happened that others may want to be told of, for administrators.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::EventKind;

use crate::Api;
use crate::auth::Caller;
use crate::error::Result;
use crate::fields::{Field, Kind, Target};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::{Listing, Page};
use crate::query::today;

const FIELDS: &[Field] = &[
    Field::answer("kind", Kind::Choice(EventKind::NAMES)),
    Field::answer("object_id", Kind::Ref(Target::Unknown)),
    Field::answer("occasion", Kind::Text(0)),
    Field::answer("product", Kind::Ref(Target::Product)).nullable(),
    Field::answer("time", Kind::DateTime),
    Field::answer("data", Kind::Other("", false)),
    Field::answer("to", Kind::Refs(Target::User)),
];

/// Adds the route.
pub fn add(routes: &mut Routes) {
    let list = Operation::get(
        "/api/v2/events",
        "What happened on a day (UTC; today, where none is said), for 90 days",
    )
    .query([
        Field::new("day", Kind::Date),
        Field::new("kind", Kind::Choices(EventKind::NAMES)),
    ])
    .answers(200, Answer::Page("Event"));
    routes.add(&list, self::list);
    routes.schemas("Event", FIELDS);
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    listing: Listing,
) -> Result<Json<Page<Value>>> {
    caller
        .require(Permission::ManageCommon, Place::Everywhere)
        .await?;
    let day = listing.query.day("day")?.unwrap_or_else(today);
    let kinds = listing.query.all("kind");
    let mut events = api.services.store.events(day).await?;
    events.retain(|event| kinds.is_empty() || kinds.contains(&event.kind.name()));
    let view = events.iter().map(|event| {
        json!({
            "kind": event.kind, "object_id": event.object, "occasion": event.occasion,
            "product": event.product, "time": event.time, "data": event.data, "to": event.to,
        })
    });
    Ok(Json(listing.cut(view.collect())))
}
