//! The channels: each takes a delivery where it belongs, and says how that went. Only what isn't the
//! channel's fault is an error.

pub(crate) mod alert;
pub(crate) mod mail;
pub(crate) mod msteams;
pub(crate) mod slack;
pub(crate) mod webhook;

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Request, Response};
use tatami_domain::{Delivery, User, UserId};
use tatami_notifications::{Message, Reason};
use tatami_outbound::Limits;
use tatami_store::StoreError;

use crate::known::Known;
use crate::outcome::Outcome;
use crate::receivers::REASON;

/// How long chats may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What a delivery says.
fn message(delivery: &Delivery) -> Result<Message, Outcome> {
    serde_json::from_value(delivery.message.clone())
        .map_err(|error| Outcome::Refused(format!("the message can't be read: {error}")))
}

/// Why its receiver gets it.
fn reason(delivery: &Delivery) -> Reason {
    let reason = delivery.message.get(REASON).cloned();
    let reason = reason.and_then(|reason| serde_json::from_value(reason).ok());
    reason.unwrap_or_default()
}

/// A user, as long as they are one.
async fn person(known: &Known, id: UserId) -> Result<Result<User, Outcome>, StoreError> {
    let skipped = |reason: &str| Ok(Err(Outcome::Skipped(reason.into())));
    match known.services.store.get::<User>(id).await {
        Err(error) if error.is_not_found() => skipped("the user is gone"),
        Ok(user) if !user.is_active => skipped("the user is not active"),
        user => user.map(Ok),
    }
}

/// Posts JSON to an address that somebody configured.
async fn post(
    known: &Known,
    url: &str,
    body: Vec<u8>,
    headers: Vec<(HeaderName, HeaderValue)>,
    timeout: Duration,
) -> Result<Response<Vec<u8>>, Outcome> {
    let outbound = &known.services.outbound;
    let mut request = Request::post(outbound.uri(url)?)
        .header(CONTENT_TYPE, "application/json")
        .body(body)
        .map_err(|error| Outcome::Refused(error.to_string()))?;
    for (name, value) in headers {
        request.headers_mut().insert(name, value);
    }
    let limits = Limits {
        timeout,
        redirects: 0,
        ..Limits::default()
    };
    Ok(outbound.send(request, limits).await?)
}
