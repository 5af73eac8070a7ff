//! Webhooks that messages go to: those of the system, and those of users.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::{StatusCode, header};
use serde_json::{Value, json};
use tatami_auth::{Permission, Place, new_token};
use tatami_domain::{NotificationWebhook, Receiver};
use tatami_notifications::Channel;
use tatami_store::{Entity as _, Store};

use super::{manages, may_over, send_new, tests};
use crate::Api;
use crate::auth::Caller;
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Object, Target};
use crate::idempotency::NO_STORE;
use crate::openapi::{Answer, Operation, Routes};
use crate::routes::catalog::{self, Deletable, Filter, How, Resource, one};

const STATES: &[&str] = &["active", "active_tmp", "inactive_tmp", "inactive_permanent"];
const ACTIVE: &str = STATES[0];
const SECRET: &[Field] = &[Field::answer("secret", Kind::Text(0))];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    catalog::add::<NotificationWebhook>(routes);
    catalog::add_delete::<NotificationWebhook>(routes);
    let path = |action: &str| format!("{}/{{id}}/{action}", NotificationWebhook::PATH);
    let secret = Operation::post(
        path("new_secret"),
        "Make another secret that its messages are signed with; it's shown this once",
    )
    .answers(200, Answer::One("NotificationWebhookSecret"));
    routes.add(&secret, new_secret);
    routes.schemas("NotificationWebhookSecret", SECRET);
    let reactivate = Operation::post(
        path("reactivate"),
        "Send to it again, whatever went wrong before",
    )
    .answers(200, Answer::One(NotificationWebhook::SCHEMA));
    routes.add(&reactivate, self::reactivate);
    let test = Operation::post(path("test"), "Send it a test message")
        .answers(202, Answer::One("NotificationTest"));
    routes.add(&test, self::test);
}

impl Resource for NotificationWebhook {
    const PATH: &'static str = "/api/v2/notification_webhooks";
    const SCHEMA: &'static str = "NotificationWebhooks";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("name", Kind::Text(100)).required(),
        Field::new("url", Kind::Uri(200)).required(),
        Field::new("header_name", Kind::Text(100)).nullable(),
        Field::new("header_value", Kind::Secret(100))
            .nullable()
            .write_only(),
        Field::answer("signed", Kind::Bool),
        Field::answer("status", Kind::Choice(STATES)),
        Field::answer("first_error", Kind::DateTime).nullable(),
        Field::answer("last_error", Kind::DateTime).nullable(),
        Field::answer("note", Kind::Text(0)).nullable(),
        Field::new("owner", Kind::Ref(Target::User)).nullable(),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter::of("name", How::Exact),
        Filter::of("url", How::Exact),
        Filter::of("header_name", How::Exact),
        Filter::of("status", How::OneOf),
        Filter::of("first_error", How::At),
        Filter::of("last_error", How::At),
        Filter::of("note", How::Exact),
        Filter::of("owner", How::Ids),
    ];
    const VIEW: Permission = Permission::ViewCommon;
    const ADD: Permission = Permission::ViewCommon;
    const EDIT: Permission = Permission::ViewCommon;

    fn fresh() -> Self {
        Self {
            status: ACTIVE.into(),
            ..Self::default()
        }
    }

    fn check(&self, _: Option<&Self>) -> Result<()> {
        let wrong = |field: &str, message: &str| Err(ApiError::field(field, message));
        let uri: Option<http::Uri> = self.url.parse().ok();
        if !matches!(
            uri.as_ref().and_then(http::Uri::scheme_str),
            Some("http" | "https")
        ) {
            return wrong(
                "url",
                "Use an address that begins with https:// or http://.",
            );
        }
        if uri.is_some_and(|uri| {
            uri.authority()
                .is_some_and(|host| host.as_str().contains('@'))
        }) {
            let message = "Leave user and password out: use header_name and header_value.";
            return wrong("url", message);
        }
        let name = self.header_name.as_deref().filter(|name| !name.is_empty());
        match name.map(str::parse::<http::HeaderName>) {
            Some(Err(_)) => wrong("header_name", "This is no name of a header."),
            None if self.header_value.is_some() => {
                wrong("header_name", "Say which header the value is for.")
            }
            _ => Ok(()),
        }
    }

    async fn may(&self, caller: &Caller, _: Permission) -> Result<()> {
        match may_over(caller, self.owner).await {
            // a new one isn't somebody else's yet
            Err(_) if self.id.0 == 0 => Err(ApiError::forbidden()),
            may => may,
        }
    }

    async fn shown(mut all: Vec<Self>, caller: &Caller) -> Result<Vec<Self>> {
        caller.require(Self::VIEW, Place::Everywhere).await?;
        if !manages(caller).await? {
            all.retain(|webhook| webhook.owner == Some(caller.0.user));
        }
        Ok(all)
    }

    async fn permit(&self, caller: &Caller, _: &Store, _: Option<&Self>) -> Result<()> {
        self.may(caller, Self::EDIT).await
    }

    async fn decorate(_: &Store, views: &mut [Object]) -> Result<()> {
        for view in views {
            let signed = view.get("secret").is_some_and(|secret| !secret.is_null());
            view.insert("signed".into(), json!(signed));
        }
        Ok(())
    }
}

impl Deletable for NotificationWebhook {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn users(&self, _: &Store) -> Result<Option<String>> {
        Ok(None)
    }
}

/// The one of a path, where the caller may see to it.
async fn permitted(api: &Api, caller: &Caller, id: &str) -> Result<NotificationWebhook> {
    let webhook: NotificationWebhook = one(&api.services.store, id).await?;
    webhook.may(caller, NotificationWebhook::EDIT).await?;
    Ok(webhook)
}

async fn new_secret(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<impl IntoResponse> {
    let webhook = permitted(&api, &caller, &id).await?;
    let secret = new_token();
    let purpose = format!("{}.secret", NotificationWebhook::KIND);
    let key = api.services.secret_key()?;
    let encrypted = key.encrypt(&purpose, &secret.as_str().into())?;
    let change = |webhook: &mut NotificationWebhook| {
        webhook.secret = Some(encrypted.clone());
        Ok::<_, ApiError>(())
    };
    api.services.store.change(webhook.id, change).await?;
    let no_store = [(header::CACHE_CONTROL, NO_STORE)];
    Ok((no_store, Json(json!({"secret": secret}))))
}

async fn reactivate(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Object>> {
    let webhook = permitted(&api, &caller, &id).await?;
    let store = &api.services.store;
    let change = |webhook: &mut NotificationWebhook| {
        webhook.status = ACTIVE.into();
        webhook.first_error = None;
        webhook.last_error = None;
        webhook.note = None;
        Ok::<_, ApiError>(())
    };
    let webhook = store.change(webhook.id, change).await?;
    Ok(Json(catalog::view(store, &webhook).await?))
}

async fn test(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Value>)> {
    let webhook = permitted(&api, &caller, &id).await?;
    let to = Receiver::Webhook(webhook.id);
    let delivery = tests::message(&api, &caller, Channel::Webhooks, to);
    let delivery = send_new(&api, delivery).await?;
    Ok((StatusCode::ACCEPTED, Json(tests::view(&delivery))))
}
