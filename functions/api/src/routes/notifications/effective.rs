//! What somebody is told in the end, and which rows say so.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use tatami_auth::Place;
use tatami_domain::{NotificationRow, ProductId, User, UserId};
use tatami_notifications::{Channel, Preferences, Topic, resolve, resolve_system};

use super::may_over;
use crate::Api;
use crate::auth::Caller;
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Target};
use crate::openapi::{Answer, Operation, Routes};
use crate::query::Query;
use crate::routes::mentions::may_see;

const CHANNELS: Kind = Kind::Choices(Channel::NAMES);
const FIELDS: &[Field] = &[
    Field::answer("topic", Kind::Choice(Topic::NAMES)),
    Field::answer("label", Kind::Text(0)),
    Field::answer("description", Kind::Text(0)),
    Field::answer("channels", CHANNELS),
    Field::answer("because", Kind::Other("NotificationReason", true)),
];
const REASON: &[Field] = &[
    Field::answer("scope", Kind::Choice(SCOPES)),
    Field::answer("row", Kind::Ref(Target::Unknown)).nullable(),
    Field::answer("channels", CHANNELS),
];
const SCOPES: &[&str] = &["system", "user", "user_product", "template", "default"];

/// Adds the route.
pub fn add(routes: &mut Routes) {
    let get = Operation::get(
        "/api/v2/notifications/effective",
        "Where a user is told of each topic, and which rows say so; one's own without `user`, the system's \
         channels with `user=system`",
    )
    .query([
        Field::new("user", Kind::Text(0)),
        Field::new("product", Kind::Ref(Target::Product)),
    ])
    .answers(200, Answer::List("EffectiveNotification"));
    routes.add(&get, self::get);
    routes.schemas("EffectiveNotification", FIELDS);
    routes.schemas("NotificationReason", REASON);
}

/// A row that counts, and what it is.
struct Counting {
    scope: &'static str,
    row: Option<u64>,
    says: Preferences,
}

impl Counting {
    fn new(scope: &'static str, row: &NotificationRow) -> Self {
        Self {
            scope,
            row: Some(row.id.0),
            says: Preferences::of(row),
        }
    }
}

async fn get(State(api): State<Api>, caller: Caller, query: Query) -> Result<Json<Vec<Value>>> {
    let store = &api.services.store;
    let product = query.ids("product")?.first().copied().map(ProductId);
    let whose = match query.get("user") {
        None => Some(caller.0.user),
        Some("system") => None,
        Some(id) => match id.parse() {
            Ok(id) => Some(UserId(id)),
            Err(_) => return Err(ApiError::field("user", "Use an id, or \"system\".")),
        },
    };
    may_over(&caller, whose).await?;
    let rows: Vec<NotificationRow> = store.list().await?;
    let find = |user: Option<UserId>, product: Option<ProductId>| {
        rows.iter()
            .find(|row| !row.template && (row.user, row.product) == (user, product))
    };
    let default = || Counting {
        scope: "default",
        row: None,
        says: Preferences::default(),
    };
    let system = find(None, None).map_or_else(default, |row| Counting::new("system", row));
    let Some(user) = whose else {
        let of = |topic: Topic| told(topic, &resolve_system(topic, &system.says), &[&system]);
        return Ok(Json(Topic::ALL.iter().copied().map(of).collect()));
    };
    let user: User = store.get(user).await?;
    let sees = match product {
        Some(product) => may_see(store, &user, Place::Product(product)).await?,
        None => user.is_active,
    };
    let template = || {
        let template = rows.iter().find(|row| row.template);
        template.map_or_else(default, |row| Counting::new("template", row))
    };
    let own = find(Some(user.id), None).map_or_else(template, |row| Counting::new("user", row));
    let of_product = product.and_then(|product| find(Some(user.id), Some(product)));
    let of_product = of_product.map(|row| Counting::new("user_product", row));
    let system = Some(system).filter(|_| user.is_superuser);
    let mut all = Vec::new();
    for topic in Topic::ALL.iter().copied() {
        let mut channels = resolve(
            topic,
            system.as_ref().map(|row| &row.says),
            Some(&own.says),
            of_product.as_ref().map(|row| &row.says),
        );
        if !sees {
            channels.clear();
        }
        let because = [system.as_ref(), Some(&own), of_product.as_ref()];
        let because: Vec<&Counting> = because.into_iter().flatten().filter(|_| sees).collect();
        all.push(told(topic, &channels, &because));
    }
    Ok(Json(all))
}

/// A topic with its channels, and what of them each row says.
fn told(topic: Topic, channels: &BTreeSet<Channel>, because: &[&Counting]) -> Value {
    let said = |row: &Counting| match row.scope {
        "user_product" => row.says.0.get(&topic).cloned().unwrap_or_default(),
        _ => row.says.channels(topic),
    };
    let because = because.iter().filter_map(|row| {
        let said: Vec<Channel> = said(row).intersection(channels).copied().collect();
        let told = json!({"scope": row.scope, "row": row.row, "channels": said});
        (!said.is_empty()).then_some(told)
    });
    json!({
        "topic": topic,
        "label": topic.label(),
        "description": topic.description(),
        "channels": channels,
        "because": because.collect::<Vec<Value>>(),
    })
}
