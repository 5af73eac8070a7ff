//! Slack: by a bot's token to a channel or a user, or to an incoming webhook, which has its channel. Slack can't
//! tell a second copy.

use http::Response;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Value, json};
use tatami_domain::{Delivery, Receiver, SystemSettings};
use tatami_notifications::{Channel, slack};
use tatami_store::StoreError;

use super::{TIMEOUT, message, person, post};
use crate::known::{Known, or_default};
use crate::outcome::Outcome;

/// A token that begins so is the address of an incoming webhook.
const WEBHOOK: &str = "https://";

/// What Slack's API answers, with the status 200 in both cases.
#[derive(Debug, Deserialize)]
struct Answer {
    ok: bool,
    #[serde(default)]
    error: String,
}

pub(crate) async fn send(known: &Known, delivery: &Delivery) -> Result<Outcome, StoreError> {
    let settings = known.settings().await?;
    let message = match message(delivery) {
        Ok(message) => message,
        Err(outcome) => return Ok(outcome),
    };
    let to = match delivery.receiver {
        Receiver::System => None,
        Receiver::Webhook(_) => return Ok(Outcome::Refused("a webhook isn't in Slack".into())),
        Receiver::User(user) => {
            if let Err(outcome) = person(known, user).await? {
                return Ok(outcome);
            }
            let contact = known.directory().await?.contact(user);
            let id = contact.and_then(|contact| contact.slack_user_id.clone());
            let Some(id) = id.filter(|id| !id.trim().is_empty()) else {
                let reason = "the user's contact info has no slack_user_id";
                return Ok(Outcome::Skipped(reason.into()));
            };
            Some(id)
        }
    };
    let template = known.template(message.topic, Channel::Slack).await?;
    let made = template.map(|template| template.slack(&message));
    let body = or_default(made, || slack(&message));
    let sent = post_to(known, settings, to.as_deref(), body).await;
    Ok(sent.unwrap_or_else(|outcome| outcome))
}

async fn post_to(
    known: &Known,
    settings: &SystemSettings,
    user: Option<&str>,
    mut body: Value,
) -> Result<Outcome, Outcome> {
    let skipped = |reason: &str| Ok(Outcome::Skipped(reason.into()));
    let Some(encrypted) = &settings.slack_token else {
        return skipped("the system setting slack_token is empty");
    };
    let key = known.services.secret_key()?;
    let token = key.decrypt("SETTINGS.slack_token", encrypted)?;
    let token = token.expose_secret().trim();
    if token.starts_with(WEBHOOK) {
        if user.is_some() {
            return skipped("an incoming webhook of Slack has no messages for single users");
        }
        let answer = post(known, token, bytes(&body), vec![], TIMEOUT).await?;
        return Ok(of_webhook(&answer));
    }
    let channel = user.unwrap_or_else(|| settings.slack_channel.trim());
    if channel.is_empty() {
        return skipped("the system setting slack_channel is empty");
    }
    body["channel"] = json!(channel);
    body["unfurl_links"] = json!(false);
    if !settings.slack_username.is_empty() {
        body["username"] = json!(settings.slack_username);
    }
    let headers = vec![bearer(token)?];
    let base = known.services.settings.slack_url.trim_end_matches('/');
    let url = format!("{base}/chat.postMessage");
    let answer = post(known, &url, bytes(&body), headers, TIMEOUT).await?;
    Ok(of_api(&answer))
}

fn bytes(body: &Value) -> Vec<u8> {
    body.to_string().into_bytes()
}

fn bearer(token: &str) -> Result<(HeaderName, HeaderValue), Outcome> {
    let refused = |_| Outcome::Refused("the system setting slack_token is no token".into());
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(refused)?;
    value.set_sensitive(true);
    Ok((AUTHORIZATION, value))
}

fn of_webhook(answer: &Response<Vec<u8>>) -> Outcome {
    if answer.status().is_success() {
        return Outcome::Sent;
    }
    match Outcome::of_status("Slack", answer) {
        // such as channel_is_archived: a word, and no more than that is kept
        Outcome::Refused(reason) => match word(answer.body()) {
            Some(word) => Outcome::Refused(format!("{reason}: {word}")),
            None => Outcome::Refused(reason),
        },
        other => other,
    }
}

fn of_api(answer: &Response<Vec<u8>>) -> Outcome {
    if !answer.status().is_success() {
        return Outcome::of_status("Slack", answer);
    }
    let Ok(said) = serde_json::from_slice::<Answer>(answer.body()) else {
        return Outcome::later("Slack's answer isn't JSON");
    };
    if said.ok {
        return Outcome::Sent;
    }
    let word = word(said.error.as_bytes()).unwrap_or("no reason");
    let reason = format!("Slack answered {word}");
    match word {
        "ratelimited"
        | "rate_limited"
        | "internal_error"
        | "fatal_error"
        | "request_timeout"
        | "service_unavailable"
        | "team_added_to_org"
        | "message_limit_exceeded" => Outcome::later(reason),
        _ => Outcome::Refused(reason),
    }
}

/// An error code of Slack's.
fn word(bytes: &[u8]) -> Option<&str> {
    let text = str::from_utf8(bytes).ok()?.trim();
    let code = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (!text.is_empty() && text.len() <= 80 && text.chars().all(code)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Response<Vec<u8>> {
        let answer = Response::builder().status(status);
        answer.body(body.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn slack_says_in_the_body_how_it_went() {
        let of = |body: &str| of_api(&answer(200, body));
        assert_eq!(of(r#"{"ok":true,"ts":"1"}"#), Outcome::Sent);
        let later = Outcome::later("Slack answered ratelimited");
        assert_eq!(of(r#"{"ok":false,"error":"ratelimited"}"#), later);
        for error in ["invalid_auth", "channel_not_found", "no_text", ""] {
            let body = json!({"ok": false, "error": error}).to_string();
            assert!(matches!(of(&body), Outcome::Refused(_)), "{error}");
        }
        assert!(matches!(of("<html>"), Outcome::Later { .. }));
        assert!(matches!(of_api(&answer(503, "")), Outcome::Later { .. }));
    }

    #[test]
    fn an_incoming_webhook_answers_with_a_status() {
        assert_eq!(of_webhook(&answer(200, "ok")), Outcome::Sent);
        let archived = Outcome::Refused("Slack answered 410: channel_is_archived".into());
        assert_eq!(of_webhook(&answer(410, "channel_is_archived")), archived);
        let gone = Outcome::Refused("Slack answered 404".into());
        assert_eq!(of_webhook(&answer(404, "<p>no</p>")), gone);
        assert!(matches!(
            of_webhook(&answer(429, "")),
            Outcome::Later { .. }
        ));
    }
}
