//! The log of messages: one line for each message to one receiver over one channel, and sending again what was
//! given up.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{Delivery, DeliveryId, DeliveryState, Receiver};
use tatami_notifications::{Channel, Topic};

use super::send;
use crate::Api;
use crate::auth::Caller;
use crate::body::Body;
use crate::conditional::{Version, Versioned};
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Mode, Object, Target, read};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::{Listing, Page};
use crate::query::Query;
use crate::routes::catalog::id_in_path;

const PATH: &str = "/api/v2/notification_deliveries";
/// So many are sent again by one request.
const MAX_REPLAYED: usize = 1_000;
/// So many messages go to the queue at a time.
const AT_ONCE: usize = 100;
const RECEIVERS: &[&str] = &["user", "system", "webhook"];

const FIELDS: &[Field] = &[
    Field::answer("id", Kind::Ref(Target::Unknown)),
    Field::answer("key", Kind::Text(0)),
    Field::answer("event", Kind::Other("", false)).nullable(),
    Field::answer("topic", Kind::Choice(Topic::NAMES)),
    Field::answer("channel", Kind::Choice(Channel::NAMES)),
    Field::answer("receiver", Kind::Choice(RECEIVERS)),
    Field::answer("user", Kind::Ref(Target::User)).nullable(),
    Field::answer("webhook", Kind::Ref(Target::Unknown)).nullable(),
    Field::answer("product", Kind::Ref(Target::Product)).nullable(),
    Field::answer("title", Kind::Text(0)),
    Field::answer("state", Kind::Choice(DeliveryState::NAMES)),
    Field::answer("tries", Kind::Integer(0, i64::MAX)),
    Field::answer("created", Kind::DateTime),
    Field::answer("tried", Kind::DateTime).nullable(),
    Field::answer("next_try", Kind::DateTime).nullable(),
    Field::answer("sent", Kind::DateTime).nullable(),
    Field::answer("error", Kind::Text(0)).nullable(),
];
/// What one alone has beside that.
const MESSAGE: Field = Field::answer("message", Kind::Other("", false));

/// What lists are filtered by, and what is sent again.
const FILTERS: &[Field] = &[
    Field::new("channel", Kind::Choices(Channel::NAMES)),
    Field::new("state", Kind::Choices(DeliveryState::NAMES)),
    Field::new("topic", Kind::Choices(Topic::NAMES)),
    Field::new("user", Kind::Refs(Target::Unknown)),
    Field::new("webhook", Kind::Refs(Target::Unknown)),
    Field::new("product", Kind::Refs(Target::Unknown)),
    Field::new("created_after", Kind::DateTime),
    Field::new("created_before", Kind::DateTime),
];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let list = Operation::get(
        PATH,
        "A page of the log of messages, latest first, for 90 days",
    )
    .query(FILTERS.iter().copied())
    .answers(200, Answer::Page("NotificationDelivery"));
    routes.add(&list, self::list);
    let one = format!("{PATH}/{{id}}");
    let get = Operation::get(&*one, "One of them, with what it says")
        .answers(200, Answer::One("NotificationDeliveryWithMessage"));
    routes.add(&get, self::get);
    let again = Operation::post(
        format!("{one}/replay"),
        "Send again what was given up or left out",
    )
    .answers(202, Answer::One("NotificationDeliveryWithMessage"));
    routes.add(&again, replay);
    let many = Operation::post(
        format!("{PATH}/replay"),
        "Send again all that were given up and that pass the filter, up to 1,000 at a time",
    )
    .body("NotificationReplayRequest")
    .answers(202, Answer::One("NotificationReplay"));
    routes.add(&many, replay_many);
    routes.schemas("NotificationDelivery", FIELDS);
    let whole: Vec<Field> = FIELDS.iter().copied().chain([MESSAGE]).collect();
    routes.schemas("NotificationDeliveryWithMessage", &whole);
    let filters: Object = (FILTERS.iter())
        .map(|field| (field.name.to_owned(), field.schema()))
        .collect();
    let filter = json!({"type": "object", "properties": filters});
    let schema = json!({
        "type": "object", "required": ["filter"], "properties": {"filter": filter},
    });
    routes.schema("NotificationReplayRequest", schema);
    let count = Kind::Integer(0, i64::MAX);
    let answer = ["replayed", "left"].map(|name| Field::answer(name, count));
    routes.schemas("NotificationReplay", &answer);
}

async fn permit(caller: &Caller) -> Result<()> {
    caller
        .require(Permission::ManageCommon, Place::Everywhere)
        .await
}

fn view(delivery: &Delivery) -> Object {
    let (receiver, user, webhook) = match delivery.receiver {
        Receiver::User(user) => (RECEIVERS[0], Some(user), None),
        Receiver::System => (RECEIVERS[1], None, None),
        Receiver::Webhook(webhook) => (RECEIVERS[2], None, Some(webhook)),
    };
    let view = json!({
        "id": delivery.id, "key": delivery.key, "event": delivery.event,
        "topic": delivery.topic, "channel": delivery.channel, "receiver": receiver, "user": user,
        "webhook": webhook, "product": delivery.product, "title": delivery.message["title"],
        "state": delivery.state, "tries": delivery.tries, "created": delivery.created,
        "tried": delivery.tried, "next_try": delivery.next_try, "sent": delivery.sent,
        "error": delivery.error,
    });
    view.as_object().cloned().unwrap_or_default()
}

fn whole(delivery: &Delivery) -> Versioned<Json<Object>> {
    let mut view = view(delivery);
    view.insert(MESSAGE.name.into(), delivery.message.clone());
    Versioned(Version::of(delivery), Json(view))
}

/// What is asked for.
#[derive(Default)]
struct Wanted(Object);

impl Wanted {
    /// Of a query string.
    fn of_query(query: &Query) -> Result<Self> {
        let sent = FILTERS.iter().filter_map(|field| {
            let all: Vec<&str> = query.all(field.name);
            let text = all.join(",");
            (!text.is_empty()).then(|| (field.name.to_owned(), json!(text)))
        });
        Self::read(&sent.collect())
    }

    fn read(sent: &Object) -> Result<Self> {
        let read = read(sent, FILTERS, Mode::Change).map_err(ApiError::Fields)?;
        Ok(Self(read))
    }

    fn takes(&self, delivery: &Delivery) -> bool {
        let among = |name: &str, value: &Value| match self.0.get(name).and_then(Value::as_array) {
            Some(wanted) if !wanted.is_empty() => wanted.contains(value),
            _ => true,
        };
        let time = |name: &str| -> Option<Timestamp> { self.0.get(name)?.as_str()?.parse().ok() };
        let view = view(delivery);
        let lists = ["channel", "state", "topic", "user", "webhook", "product"];
        lists.iter().all(|name| among(name, &view[*name]))
            && time("created_after").is_none_or(|time| delivery.created >= time)
            && time("created_before").is_none_or(|time| delivery.created < time)
    }
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    listing: Listing,
) -> Result<Json<Page<Object>>> {
    permit(&caller).await?;
    let wanted = Wanted::of_query(&listing.query)?;
    let all = api.services.store.deliveries().await?;
    let found = all.iter().filter(|delivery| wanted.takes(delivery));
    Ok(Json(listing.cut(found.map(view).collect())))
}

async fn get(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Versioned<Json<Object>>> {
    permit(&caller).await?;
    let id = DeliveryId(id_in_path(&id)?);
    Ok(whole(&api.services.store.delivery(id).await?))
}

/// May it be sent again? What was taken isn't, and what waits is sent anyway.
fn is_over(delivery: &Delivery) -> bool {
    matches!(delivery.state, DeliveryState::Dead | DeliveryState::Skipped)
}

/// Lets one wait for its first try again; `None` where somebody else was quicker.
async fn renew(api: &Api, delivery: &Delivery) -> Result<Option<Delivery>> {
    let new = Delivery {
        state: DeliveryState::Waiting,
        tries: 0,
        // should its message to the queue be lost, it's found by this
        next_try: Some(Timestamp::now()),
        error: None,
        ..delivery.clone()
    };
    let store = &api.services.store;
    let put = store.put_delivery(&new, delivery.tries, delivery.state);
    Ok(put.await?.then_some(new))
}

async fn replay(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<(StatusCode, Versioned<Json<Object>>)> {
    permit(&caller).await?;
    let id = DeliveryId(id_in_path(&id)?);
    let delivery = api.services.store.delivery(id).await?;
    let state = delivery.state.name();
    let conflict = format!("This message is {state}: only dead and skipped ones are sent again.");
    let renewed = if is_over(&delivery) {
        renew(&api, &delivery).await?
    } else {
        None
    };
    let renewed = renewed.ok_or_else(|| ApiError::conflict(conflict))?;
    send(&api, [id]).await?;
    Ok((StatusCode::ACCEPTED, whole(&renewed)))
}

async fn replay_many(
    State(api): State<Api>,
    caller: Caller,
    Body(body): Body,
) -> Result<(StatusCode, Json<Value>)> {
    permit(&caller).await?;
    let Some(filter) = body.get("filter").and_then(Value::as_object) else {
        let message = "An object is required, such as {\"channel\": [\"mail\"]}.";
        return Err(ApiError::field("filter", message));
    };
    let wanted = Wanted::read(filter)?;
    let states = filter.contains_key("state");
    let mut found = api.services.store.deliveries().await?;
    found.retain(|delivery| {
        let over = is_over(delivery) && (states || delivery.state == DeliveryState::Dead);
        over && wanted.takes(delivery)
    });
    let left = found.len().saturating_sub(MAX_REPLAYED);
    found.truncate(MAX_REPLAYED);
    let mut replayed = 0;
    for some in found.chunks(AT_ONCE) {
        let mut renewed = Vec::new();
        for delivery in some {
            renewed.extend(renew(&api, delivery).await?.map(|delivery| delivery.id));
        }
        replayed += renewed.len();
        send(&api, renewed).await?;
    }
    let answer = json!({"replayed": replayed, "left": left});
    Ok((StatusCode::ACCEPTED, Json(answer)))
}
