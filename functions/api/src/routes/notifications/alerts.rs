//! One's own alerts: what lies there when one signs in.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{Alert, AlertId};
use tatami_notifications::Topic;

use crate::Api;
use crate::auth::Caller;
use crate::body::Body;
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Mode, Target, read};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::{Listing, Page};
use crate::query::Query;
use crate::routes::catalog::id_in_path;

const PATH: &str = "/api/v2/alerts";
const FIELDS: &[Field] = &[
    Field::answer("id", Kind::Ref(Target::Unknown)),
    Field::answer("topic", Kind::Choice(Topic::NAMES)),
    Field::answer("title", Kind::Text(0)),
    Field::answer("description", Kind::Text(0)),
    Field::answer("url", Kind::Text(0)).nullable(),
    Field::answer("product", Kind::Ref(Target::Product)).nullable(),
    Field::answer("created", Kind::DateTime),
    Field::new("read", Kind::Bool).required(),
];
const COUNT: &[Field] = &[
    Field::answer("total", Kind::Integer(0, i64::MAX)),
    Field::answer("unread", Kind::Integer(0, i64::MAX)),
];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let list = Operation::get(PATH, "A page of one's own alerts, latest first")
        .query([
            Field::new("topic", Kind::Texts),
            Field::new("product", Kind::Refs(Target::Product)),
            Field::new("read", Kind::Bool),
        ])
        .answers(200, Answer::Page("Alert"));
    routes.add(&list, self::list);
    let clear = Operation::delete(PATH, "Remove all of one's own").answers(204, Answer::Empty);
    routes.add(&clear, self::clear);
    let count = Operation::get(format!("{PATH}/count"), "How many one has")
        .answers(200, Answer::One("AlertCount"));
    routes.add(&count, self::count);
    let all = Operation::post(format!("{PATH}/read_all"), "All of one's own are read")
        .answers(200, Answer::One("AlertCount"));
    routes.add(&all, read_all);
    let one = format!("{PATH}/{{id}}");
    let change = Operation::patch(&*one, "Say whether one of one's own is read")
        .body("PatchedAlertRequest")
        .answers(200, Answer::One("Alert"));
    routes.add(&change, self::change);
    let remove = Operation::delete(&*one, "Remove one of one's own").answers(204, Answer::Empty);
    routes.add(&remove, self::remove);
    routes.schemas("Alert", FIELDS);
    routes.schemas("AlertCount", COUNT);
}

/// The caller's alerts, latest first.
async fn own(api: &Api, caller: &Caller) -> Result<Vec<Alert>> {
    caller
        .require(Permission::ViewCommon, Place::Everywhere)
        .await?;
    Ok(api.services.store.alerts(caller.0.user).await?)
}

/// The one of a path.
async fn of_path(api: &Api, caller: &Caller, id: &str) -> Result<Alert> {
    let id = AlertId(id_in_path(id)?);
    let own = own(api, caller).await?;
    let mut found = own.into_iter().filter(|alert| alert.id == id);
    found.next().ok_or_else(ApiError::not_found)
}

fn view(alert: &Alert) -> Value {
    json!({
        "id": alert.id, "topic": alert.topic, "title": alert.title,
        "description": alert.description, "url": alert.url, "product": alert.product,
        "created": alert.created, "read": alert.read,
    })
}

fn filtered(mut alerts: Vec<Alert>, query: &Query) -> Result<Vec<Alert>> {
    let topics = query.all("topic");
    let products = query.ids("product")?;
    let read = query.boolean("read")?;
    alerts.retain(|alert| {
        let product = || alert.product.is_some_and(|id| products.contains(&id.0));
        (topics.is_empty() || topics.contains(&alert.topic.as_str()))
            && (products.is_empty() || product())
            && read.is_none_or(|read| read == alert.read)
    });
    Ok(alerts)
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    listing: Listing,
) -> Result<Json<Page<Value>>> {
    let alerts = filtered(own(&api, &caller).await?, &listing.query)?;
    Ok(Json(listing.cut(alerts.iter().map(view).collect())))
}

fn counted(alerts: &[Alert]) -> Json<Value> {
    let unread = alerts.iter().filter(|alert| !alert.read).count();
    Json(json!({"total": alerts.len(), "unread": unread}))
}

async fn count(State(api): State<Api>, caller: Caller) -> Result<Json<Value>> {
    Ok(counted(&own(&api, &caller).await?))
}

async fn read_all(State(api): State<Api>, caller: Caller) -> Result<Json<Value>> {
    let mut alerts = own(&api, &caller).await?;
    for alert in alerts.iter_mut().filter(|alert| !alert.read) {
        alert.read = true;
        api.services.store.mark_alert(alert).await?;
    }
    Ok(counted(&alerts))
}

async fn change(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Body(body): Body,
) -> Result<Json<Value>> {
    let mut alert = of_path(&api, &caller, &id).await?;
    let sent = read(&body, FIELDS, Mode::Change).map_err(ApiError::Fields)?;
    if let Some(read) = sent.get("read").and_then(Value::as_bool) {
        alert.read = read;
        api.services.store.mark_alert(&alert).await?;
    }
    Ok(Json(view(&alert)))
}

async fn remove(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    let alert = of_path(&api, &caller, &id).await?;
    let store = &api.services.store;
    store.remove_alerts(alert.user, &[alert.id]).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn clear(State(api): State<Api>, caller: Caller) -> Result<StatusCode> {
    let alerts: Vec<AlertId> = (own(&api, &caller).await?.iter())
        .map(|alert| alert.id)
        .collect();
    let store = &api.services.store;
    store.remove_alerts(caller.0.user, &alerts).await?;
    Ok(StatusCode::NO_CONTENT)
}
