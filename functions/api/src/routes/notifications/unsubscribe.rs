//! The way out of a mail: a link with a token that says which user, topic and channel, and allows nothing
//! else. GET shows a page with a button, since programs that look for malware open links; POST does it, as
//! mail programs do by themselves (RFC 8058).

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderName, StatusCode, header};
use tatami_domain::{NotificationRow, User, UserId};
use tatami_notifications::{Channel, Preferences, Topic, unsubscribe};
use tatami_store::{Store, StoreError};

use super::rows::names;
use crate::Api;
use crate::error::{ApiError, Result};
use crate::openapi::{Answer, Operation, Routes};

/// What the key is derived for that signs the links; the notify function derives the same.
const PURPOSE: &str = "unsubscribe";
const PATH: &str = "/notifications/unsubscribe/{token}";
const HTML: Answer = Answer::Media(&["text/html"]);

/// Nothing is loaded or run, and the only form leads back here.
const POLICY: &str =
    "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let page = Operation::get(PATH, "Ask whether somebody wants no more mails of a topic")
        .answers(200, HTML);
    routes.add_public(&page, self::page);
    let done = Operation::post(PATH, "Send somebody no more mails of a topic").answers(200, HTML);
    routes.add_public(&done, self::done);
}

/// Who wants no more of what, and where.
fn read(api: &Api, token: &str) -> Result<(UserId, Topic, Channel)> {
    let key = api.services.secret_key()?.derive(PURPOSE);
    unsubscribe::read(&key, token)
        .map_err(|error| ApiError::Detail(StatusCode::NOT_FOUND, format!("{error}.")))
}

async fn page(State(api): State<Api>, Path(token): Path<String>) -> Result<Response> {
    let (_, topic, channel) = read(&api, &token)?;
    let what = format!("{} ({})", topic.label(), channel.label());
    Ok(shown(
        "Unsubscribe?",
        &format!(
            "<p>You will get no more messages of this kind: <strong>{}</strong>.</p>\
             <form method=\"post\"><button type=\"submit\">Unsubscribe</button></form>",
            escaped(&what)
        ),
    ))
}

async fn done(State(api): State<Api>, Path(token): Path<String>) -> Result<Response> {
    let (user, topic, channel) = read(&api, &token)?;
    let store = &api.services.store;
    let known = match store.get::<User>(user).await {
        Err(error) if error.is_not_found() => false, // who is gone gets nothing
        user => user.map(|_| true)?,
    };
    if known {
        take_out(store, user, topic, channel).await?;
    }
    let what = format!("{} ({})", topic.label(), channel.label());
    Ok(shown(
        "Unsubscribed",
        &format!(
            "<p>You get no more messages of this kind: <strong>{}</strong>. \
             In your notification settings you can change that at any time.</p>",
            escaped(&what)
        ),
    ))
}

/// Takes a channel out of a topic in all rows of a user; a user without a row gets one.
async fn take_out(store: &Store, user: UserId, topic: Topic, channel: Channel) -> Result<()> {
    let without = |row: &mut NotificationRow| {
        let says = Preferences::of(row);
        let channels = match row.product {
            Some(_) => says.0.get(&topic).cloned().unwrap_or_default(),
            None => says.channels(topic),
        };
        let left = channels.into_iter().filter(|own| *own != channel);
        row.topics.insert(topic.name().to_owned(), names(left));
        Ok::<_, StoreError>(())
    };
    let rows: Vec<NotificationRow> = store.list().await?;
    let own = rows
        .iter()
        .filter(|row| !row.template && row.user == Some(user));
    for row in own.clone() {
        match store.change(row.id, without).await {
            Err(error) if error.is_not_found() => {}
            changed => drop(changed?),
        }
    }
    if own.clone().any(|row| row.product.is_none()) {
        return Ok(());
    }
    let template = rows.iter().find(|row| row.template);
    let mut new = NotificationRow {
        user: Some(user),
        topics: template.map(|row| row.topics.clone()).unwrap_or_default(),
        ..NotificationRow::default()
    };
    without(&mut new)?;
    match store.create(new).await {
        // somebody made one just now, perhaps the same request
        Err(StoreError::NameTaken { .. }) => Box::pin(take_out(store, user, topic, channel)).await,
        made => Ok(made.map(drop)?),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn shown(title: &str, content: &str) -> Response {
    let page = format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title></head>\
         <body><h1>{title}</h1>{content}</body></html>"
    );
    let headers: [(HeaderName, &str); 5] = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, page).into_response()
}
