//! Webhooks. A second copy has the same `X-Tatami-Delivery`.
//!
//! A webhook that fails (`active_tmp`) and then fails again is left alone for a minute each time (`inactive_tmp`). Once it
//! has failed for a day, or has refused a message for good, it's sent nothing any more (`inactive_permanent`) until
//! somebody sees to it.

use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use tatami_domain::{Delivery, Event, EventData, NotificationWebhook, OtherEvent};
use tatami_notifications::{
    DELIVERY_HEADER, EVENT_HEADER, Message, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign, webhook,
};
use tatami_runtime::SecretError;
use tatami_store::{Entity as _, StoreError};

use super::{message, post};
use crate::known::Known;
use crate::outcome::{Outcome, cut};

const ACTIVE: &str = "active";
const ACTIVE_TMP: &str = "active_tmp";
const INACTIVE_TMP: &str = "inactive_tmp";
const INACTIVE: &str = "inactive_permanent";
/// So long it's left alone after a failure.
const ALONE: SignedDuration = SignedDuration::from_secs(60);
/// Who fails for so long is given up.
const GIVEN_UP_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// The longest that a webhook may take, whatever the setting says: a try must end before its lease does.
const MAX_TIMEOUT_S: u32 = 60;

/// Until when a webhook is sent nothing.
pub(crate) fn left_alone_until(webhook: &NotificationWebhook) -> Option<Timestamp> {
    let last = webhook
        .last_error
        .filter(|_| webhook.status == INACTIVE_TMP)?;
    last.checked_add(ALONE).ok()
}

pub(crate) async fn send(
    known: &Known,
    delivery: &Delivery,
    webhook: &NotificationWebhook,
) -> Result<Outcome, StoreError> {
    // a test is to show whether it works again
    if webhook.status == INACTIVE && delivery.event.is_some() {
        let reason = format!("the webhook {} is inactive: reactivate it", webhook.name);
        return Ok(Outcome::Skipped(reason));
    }
    let message = match message(delivery) {
        Ok(message) => message,
        Err(outcome) => return Ok(outcome),
    };
    let event = match &delivery.event {
        None => test_event(&message),
        Some(key) => match known.services.store.event(key).await? {
            Some(event) => event,
            None => return Ok(Outcome::Skipped("the event is not kept any more".into())),
        },
    };
    let timeout = known.settings().await?.webhooks_notifications_timeout;
    let timeout = Duration::from_secs(timeout.clamp(1, MAX_TIMEOUT_S).into());
    let sent = post_to(known, webhook, &message, &event, timeout).await;
    Ok(sent.unwrap_or_else(|outcome| outcome))
}

/// The event of a message that tells of none.
fn test_event(message: &Message) -> Event {
    let data = EventData::Other(OtherEvent {
        title: message.title.clone(),
        text: message.summary.clone(),
        path: None,
    });
    Event::new(&data, message.object, "test", None, message.time)
}

async fn post_to(
    known: &Known,
    hook: &NotificationWebhook,
    message: &Message,
    event: &Event,
    timeout: Duration,
) -> Result<Outcome, Outcome> {
    let body = webhook(message, event).to_string().into_bytes();
    // the clock of who receives it is not the store's
    let now = Timestamp::now();
    let mut headers = vec![
        header(DELIVERY_HEADER, &message.id)?,
        header(EVENT_HEADER, message.topic.name())?,
        header(TIMESTAMP_HEADER, &now.as_second().to_string())?,
    ];
    if let Some(secret) = decrypted(known, "secret", hook.secret.as_deref())? {
        let signature = sign(secret.expose_secret().as_bytes(), now, &body);
        headers.push(header(SIGNATURE_HEADER, &signature)?);
    }
    let name = hook.header_name.as_deref().filter(|name| !name.is_empty());
    if let Some(name) = name
        && let Some(value) = decrypted(known, "header_value", hook.header_value.as_deref())?
    {
        let (name, mut value) = header(name, value.expose_secret())?;
        value.set_sensitive(true);
        headers.push((name, value));
    }
    let answer = post(known, &hook.url, body, headers, timeout).await?;
    if answer.status().is_success() {
        return Ok(Outcome::Sent);
    }
    let who = format!("the webhook {}", hook.name);
    Ok(match Outcome::of_status(&who, &answer) {
        Outcome::Refused(_) if Outcome::is_gone(&answer) => {
            Outcome::Refused(format!("{who} is gone, it answered 410"))
        }
        other => other,
    })
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Outcome> {
    let wrong = |_| Outcome::Refused("the webhook's header_name is no name".into());
    let name: HeaderName = name.parse().map_err(wrong)?;
    let wrong = |_| Outcome::Refused("the webhook's header_value can't be in a header".into());
    let value = HeaderValue::from_str(value).map_err(wrong)?;
    Ok((name, value))
}

fn decrypted(
    known: &Known,
    field: &str,
    encrypted: Option<&str>,
) -> Result<Option<SecretString>, SecretError> {
    let Some(encrypted) = encrypted.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let purpose = format!("{}.{field}", NotificationWebhook::KIND);
    let key = known.services.secret_key()?;
    key.decrypt(&purpose, encrypted).map(Some)
}

/// Notes of a webhook how a try went. Who it belongs to is told once when it's given up.
pub(crate) async fn note(
    known: &Known,
    webhook: &NotificationWebhook,
    delivery: &Delivery,
    outcome: &Outcome,
) -> Result<(), StoreError> {
    let (reason, for_good) = match outcome {
        Outcome::Skipped(_) => return Ok(()),
        Outcome::Sent if webhook.status == ACTIVE && webhook.first_error.is_none() => {
            return Ok(());
        }
        Outcome::Sent => (None, false),
        Outcome::Later { reason, .. } => (Some(reason), false),
        Outcome::Refused(reason) => (Some(reason), true),
    };
    let now = known.services.store.now();
    let change = |hook: &mut NotificationWebhook| {
        let was = std::mem::take(&mut hook.status);
        let Some(reason) = reason else {
            hook.status = ACTIVE.into();
            (hook.first_error, hook.last_error, hook.note) = (None, None, None);
            return Ok::<_, StoreError>(None);
        };
        let first = *hook.first_error.get_or_insert(now);
        hook.last_error = Some(now);
        hook.note = Some(cut(reason.clone()));
        let over = for_good || now.duration_since(first) >= GIVEN_UP_AFTER;
        let status = if over || was == INACTIVE {
            INACTIVE
        } else if was == ACTIVE {
            ACTIVE_TMP
        } else {
            INACTIVE_TMP
        };
        hook.status = status.into();
        Ok((over && was != INACTIVE).then(|| given_up(hook, reason, delivery, now)))
    };
    let changed = (known.services.store).change_told(webhook.id, change);
    match changed.await {
        Err(error) if error.is_not_found() => Ok(()),
        changed => changed.map(drop),
    }
}

/// What is told of a webhook that was given up: to its owner, or to who sees everything.
fn given_up(
    webhook: &NotificationWebhook,
    reason: &str,
    delivery: &Delivery,
    now: Timestamp,
) -> Event {
    let data = EventData::Other(OtherEvent {
        title: format!("The webhook {} is sent nothing any more", webhook.name),
        text: format!("{reason}. Reactivate it once this is mended."),
        path: None,
    });
    let occasion = format!("{}-{}", delivery.key, now.as_millisecond());
    let event = Event::new(&data, webhook.id, occasion, None, now);
    event.to(webhook.owner.into_iter().collect())
}
