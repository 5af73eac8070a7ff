//! What JIRA tells by itself. Nothing is done here but to say which issue is to be looked at: what it is like is
//! read from JIRA, not from what comes in.

use std::borrow::Cow;

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{Path, Request, State};
use http::{StatusCode, Uri};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;
use tatami_domain::{JiraInstance, JiraInstanceId, SystemSettings};
use tatami_jira_client::webhook::{self, EventKind};
use tatami_queue::{JiraMessage, Outgoing};

use crate::Api;
use crate::body::too_large;
use crate::error::{ApiError, Result};
use crate::openapi::{Answer, Operation, Routes};
use crate::throttle::{self, Attempt};

/// Path of the route without a secret.
pub const PATH: &str = "/jira/webhook";
/// The largest body in bytes.
const MOST: usize = 1024 * 1024;

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let summary =
        "Where JIRA sends what happens to issues; the secret is that of the system settings";
    let schema = "JIRAWebhook";
    let with_secret = Operation::post(format!("{PATH}/{{secret}}"), summary)
        .body(schema)
        .may_be_refused()
        .answers(200, Answer::Object);
    routes.add_public(&with_secret, self::with_secret);
    let without = Operation::post(
        PATH,
        "The same without a secret, where the system settings allow it",
    )
    .body(schema)
    .may_be_missing()
    .may_be_refused()
    .answers(200, Answer::Object);
    routes.add_public(&without, self::without);
    let text = json!({"type": "string"});
    routes.schema(
        schema,
        json!({
            "type": "object",
            "required": ["webhookEvent"],
            "properties": {"webhookEvent": text, "issue": {"type": "object"}},
            "additionalProperties": true,
        }),
    );
}

/// A path as it may be written anywhere.
pub fn without_secret(path: &str) -> Cow<'_, str> {
    let at = path.find(PATH);
    match at.and_then(|at| path.get(at + PATH.len()..)) {
        Some(secret) if secret.starts_with('/') && secret.len() > 1 => {
            Cow::Owned(format!("{PATH}/…"))
        }
        _ => Cow::Borrowed(path),
    }
}

async fn with_secret(
    State(api): State<Api>,
    Path(secret): Path<String>,
    request: Request,
) -> Result<Json<Value>> {
    told(&api, &secret, request).await
}

async fn without(State(api): State<Api>, request: Request) -> Result<Json<Value>> {
    told(&api, "", request).await
}

async fn told(api: &Api, secret: &str, request: Request) -> Result<Json<Value>> {
    let settings = api.services.store.system_settings().await?;
    if !settings.enable_jira || !settings.enable_jira_web_hook {
        return Err(ApiError::not_found());
    }
    if !settings.disable_jira_webhook_secret {
        let attempt = Attempt::of_webhook(throttle::address(request.extensions()).as_deref());
        attempt.allow(api).await?;
        if !is_secret(api, &settings, secret)? {
            attempt.failed(api).await?;
            return Err(ApiError::unauthorized("Invalid secret."));
        }
    }
    let body = to_bytes(request.into_body(), MOST).await;
    let body = body.map_err(|_| too_large())?;
    let broken = |message: String| ApiError::Detail(StatusCode::BAD_REQUEST, message);
    let event = webhook::read(&body).map_err(|error| broken(format!("{error}.")))?;
    let looked_at = matches!(
        event.kind,
        EventKind::IssueUpdated
            | EventKind::IssueDeleted
            | EventKind::CommentCreated
            | EventKind::CommentUpdated
    );
    let Some(jira_id) = event.issue_id.filter(|_| looked_at) else {
        return Ok(Json(json!({"detail": "Nothing to do."})));
    };
    let instances: Vec<JiraInstance> = api.services.store.list().await?;
    let message = JiraMessage::Changed {
        jira_id,
        instance: address(&body).and_then(|address| instance_of(&address, &instances)),
    };
    let internal = |error: String| ApiError::Internal(error);
    let body = tatami_queue::write(&message).map_err(|e| internal(e.to_string()))?;
    let sent = api.services.jira.send([Outgoing { body, import: None }]);
    sent.await.map_err(|e| internal(e.to_string()))?;
    Ok(Json(json!({"detail": "It will be looked at."})))
}

/// Is it the secret of the settings? How long that takes says nothing of it.
fn is_secret(api: &Api, settings: &SystemSettings, sent: &str) -> Result<bool> {
    let Some(encrypted) = &settings.jira_webhook_secret else {
        return Ok(false);
    };
    let secret = api
        .services
        .secret_key()?
        .decrypt(SystemSettings::WEBHOOK_SECRET, encrypted)?;
    let secret = secret.expose_secret().as_bytes();
    Ok(!secret.is_empty() && bool::from(secret.ct_eq(sent.as_bytes())))
}

/// The address of the issue, or of its comment, that a body says.
fn address(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Told {
        issue: Option<Addressed>,
        comment: Option<Addressed>,
    }
    #[derive(Deserialize)]
    struct Addressed {
        #[serde(rename = "self")]
        address: Option<String>,
    }
    let told: Told = serde_json::from_slice(body).ok()?;
    let of = |one: Option<Addressed>| one.and_then(|one| one.address);
    of(told.issue).or_else(|| of(told.comment))
}

/// The JIRA in which an address is: that on its host, of several the one whose own address it begins with.
fn instance_of(address: &str, instances: &[JiraInstance]) -> Option<JiraInstanceId> {
    let host = |text: &str| {
        let uri: Uri = text.parse().ok()?;
        let port = uri.port_u16();
        let port = port.or(match uri.scheme_str() {
            Some("http") => Some(80),
            _ => Some(443),
        });
        Some((uri.host()?.to_ascii_lowercase(), port))
    };
    let wanted = host(address)?;
    let here = (instances.iter()).filter(|one| host(&one.url).as_ref() == Some(&wanted));
    let within = |one: &&JiraInstance| {
        let base = one.url.trim_end_matches('/');
        let rest = address.strip_prefix(base);
        (rest.is_some_and(|rest| rest.starts_with('/')), base.len())
    };
    here.max_by_key(within).map(|one| one.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_the_jira_on_its_host() {
        let at = |id: u64, url: &str| JiraInstance {
            id: JiraInstanceId(id),
            url: url.into(),
            ..JiraInstance::default()
        };
        let instances = [
            at(1, "https://a.atlassian.net"),
            at(2, "https://jira.example.com/one"),
            at(3, "https://Jira.example.com:443/two"),
            at(4, "http://jira.example.com:8080"),
        ];
        for (address, instance) in [
            ("https://A.atlassian.net/rest/api/2/issue/1", Some(1)),
            ("https://jira.example.com/one/rest/api/2/issue/1", Some(2)),
            ("https://jira.example.com/rest/api/2/issue/1", Some(3)),
            ("http://jira.example.com:8080/rest/api/2/issue/1", Some(4)),
            ("http://jira.example.com/rest/api/2/issue/1", None),
            ("https://b.atlassian.net/rest/api/2/issue/1", None),
            ("nonsense", None),
        ] {
            let found = instance_of(address, &instances).map(|id| id.0);
            assert_eq!(found, instance, "{address}");
        }
    }

    #[test]
    fn a_secret_is_written_nowhere() {
        for (path, shown) in [
            ("/jira/webhook/abc", "/jira/webhook/…"),
            ("/jira/webhook", "/jira/webhook"),
            ("//jira/webhook/abc/", "/jira/webhook/…"),
            ("/api/v2/findings", "/api/v2/findings"),
        ] {
            assert_eq!(without_secret(path), shown);
        }
    }
}
