//! One delivery: a try to send it, and what follows from how that ends.
//!
//! A try begins with a write that counts it and says when the next one may begin: until then nobody else tries, and
//! after that somebody does, should this one never be heard of again. So what is sent and not noted is sent twice,
//! with the same key; nothing is lost.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tatami_domain::{Delivery, DeliveryId, DeliveryState, NotificationWebhook, Receiver};
use tatami_notifications::{Channel, backoff};
use tatami_queue::NotifyMessage;
use tatami_store::StoreError;

use crate::NotifyError;
use crate::channels::{self, webhook};
use crate::known::Known;
use crate::outcome::{Outcome, cut};

/// So long a try may take: longer than any channel waits for an answer.
const LEASE: SignedDuration = SignedDuration::from_mins(3);
/// SQS holds a message back for so many seconds at most; what waits longer is found by the schedule.
const MAX_DELAY_S: u64 = 900;

/// Sends a delivery, if it waits for that and its time has come.
pub(crate) async fn deliver(known: &Known, id: DeliveryId) -> Result<(), NotifyError> {
    let store = &known.services.store;
    let delivery = match store.delivery(id).await {
        Err(error) if error.is_not_found() => return Ok(store.waits_no_more(id).await?),
        delivery => delivery?,
    };
    if delivery.state != DeliveryState::Waiting {
        return Ok(store.waits_no_more(id).await?);
    }
    let now = store.now();
    if delivery.next_try.is_some_and(|next| next > now) {
        return Ok(());
    }
    let webhook = match delivery.receiver {
        Receiver::Webhook(id) => match store.get::<NotificationWebhook>(id).await {
            Err(error) if error.is_not_found() => None,
            webhook => Some(webhook?),
        },
        Receiver::User(_) | Receiver::System => None,
    };
    let left_alone = webhook.as_ref().and_then(webhook::left_alone_until);
    if let Some(until) = left_alone.filter(|until| *until > now && delivery.event.is_some()) {
        return postpone(known, delivery, until).await;
    }
    let begun = Delivery {
        tries: delivery.tries + 1,
        tried: Some(now),
        next_try: Some(now + LEASE),
        ..delivery.clone()
    };
    let mine = store.put_delivery(&begun, delivery.tries, DeliveryState::Waiting);
    if !mine.await? {
        return Ok(());
    }
    let outcome = channel(known, &begun, webhook.as_ref()).await?;
    if let Some(webhook) = &webhook {
        webhook::note(known, webhook, &begun, &outcome).await?;
    }
    end(known, begun, outcome).await
}

async fn channel(
    known: &Known,
    delivery: &Delivery,
    webhook: Option<&NotificationWebhook>,
) -> Result<Outcome, StoreError> {
    match Channel::from_name(&delivery.channel) {
        Some(Channel::Alert) => channels::alert::send(known, delivery).await,
        Some(Channel::Mail) => channels::mail::send(known, delivery).await,
        Some(Channel::Slack) => channels::slack::send(known, delivery).await,
        Some(Channel::MsTeams) => channels::msteams::send(known, delivery).await,
        Some(Channel::Webhooks) => match webhook {
            Some(webhook) => webhook::send(known, delivery, webhook).await,
            None => Ok(Outcome::Skipped("the webhook is gone".into())),
        },
        None => Ok(Outcome::Refused("there is no such channel".into())),
    }
}

/// Writes down how a try ended.
async fn end(known: &Known, begun: Delivery, outcome: Outcome) -> Result<(), NotifyError> {
    let store = &known.services.store;
    let now = store.now();
    let tries = begun.tries;
    let mut ended = Delivery {
        next_try: None,
        ..begun
    };
    match outcome {
        Outcome::Sent => {
            ended.state = DeliveryState::Sent;
            ended.sent = Some(now);
            ended.error = None;
        }
        Outcome::Skipped(reason) => {
            ended.state = DeliveryState::Skipped;
            ended.error = Some(cut(reason));
        }
        Outcome::Refused(reason) => {
            ended.state = DeliveryState::Dead;
            ended.error = Some(cut(reason));
        }
        Outcome::Later { reason, wait } => {
            if let Some(usual) = backoff(tries, rand::random()) {
                let wait = usual.max(wait.unwrap_or_default());
                ended.next_try = Some(after(now, wait));
                ended.error = Some(cut(reason));
            } else {
                ended.state = DeliveryState::Dead;
                ended.error = Some(cut(format!("{reason} (given up after {tries} tries)")));
            }
        }
    }
    if !(store.put_delivery(&ended, tries, DeliveryState::Waiting)).await? {
        return Ok(()); // it took so long that somebody else tries
    }
    log(&ended);
    again_at(known, &ended, now).await
}

/// Puts a try off that hasn't begun.
async fn postpone(known: &Known, delivery: Delivery, until: Timestamp) -> Result<(), NotifyError> {
    let later = Delivery {
        next_try: Some(until),
        ..delivery
    };
    let store = &known.services.store;
    let put = store.put_delivery(&later, later.tries, DeliveryState::Waiting);
    if put.await? {
        again_at(known, &later, store.now()).await?;
    }
    Ok(())
}

/// Has a message come when it's time to try again, if that isn't too far away.
async fn again_at(known: &Known, delivery: &Delivery, now: Timestamp) -> Result<(), NotifyError> {
    let Some(next) = delivery.next_try else {
        return Ok(());
    };
    let wait = next.duration_since(now).as_secs_f64().ceil().max(0.0);
    let wait = Duration::from_secs_f64(wait).as_secs();
    if wait > MAX_DELAY_S {
        return Ok(());
    }
    let body = tatami_queue::write(&NotifyMessage::Delivery {
        delivery: delivery.id,
    })?;
    let seconds = u16::try_from(wait).unwrap_or(u16::MAX);
    Ok(known.services.notify.send_later(body, seconds).await?)
}

fn after(now: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}

fn log(delivery: &Delivery) {
    let Delivery {
        id,
        channel,
        topic,
        tries,
        error,
        ..
    } = delivery;
    let error = error.as_deref().unwrap_or_default();
    let state = delivery.state.name();
    match delivery.state {
        DeliveryState::Sent => tracing::info!(%id, channel, topic, tries, "a message was sent"),
        DeliveryState::Dead => {
            tracing::warn!(%id, channel, topic, tries, error, "a message was given up");
        }
        _ => tracing::info!(%id, channel, topic, tries, state, error, "a message wasn't sent"),
    }
}
