//! Digests: what a user has collected, as one mail. A digest is a delivery of its own, so that it's tried again
//! like any other; what is in it counts as sent once it's there.

use jiff::SignedDuration;
use serde_json::json;
use tatami_domain::{Delivery, DeliveryId, DeliveryState, Product, ProductId, Receiver, UserId};
use tatami_notifications::{Channel, Digest, DigestSchedule, Reason, Topic};
use tatami_store::{Collecting, StoreError};

use crate::channels::mail::{Collected, DIGEST};
use crate::known::Known;
use crate::receivers::{REASON, due};
use crate::{NotifyError, send};

/// So many messages are in one digest at most; a second one has the rest.
const MOST: usize = 1_000;
/// So long nobody else makes a digest for the same user, in seconds.
const LEASE_S: u32 = 300;

/// Makes the digests that are due.
pub(crate) async fn run(known: &Known) -> Result<(), NotifyError> {
    let store = &known.services.store;
    for collecting in store.digests_due().await? {
        let name = format!("digest-{}", collecting.user);
        let Some(lease) = store.lease(&name, LEASE_S).await? else {
            continue;
        };
        make(known, &collecting).await?;
        store.release(lease).await?;
    }
    Ok(())
}

async fn make(known: &Known, collecting: &Collecting) -> Result<(), NotifyError> {
    let store = &known.services.store;
    let user = collecting.user;
    let mut collected = store.collected(user, MOST).await?;
    let found = collected.len();
    if found == 0 {
        return Ok(store.stop_collecting(collecting).await?);
    }
    // what a run left there that was stopped
    for over in collected.extract_if(.., |own| own.state != DeliveryState::Collected) {
        store.collected_no_more(user, over.id).await?;
    }
    let collected = visible(known, user, collected).await?;
    let ids: Vec<DeliveryId> = collected.iter().map(|delivery| delivery.id).collect();
    let mut rest = found == MOST;
    if !ids.is_empty() {
        let digest = digest(known, collecting, ids).await?;
        let (digest, _) = store.create_delivery(digest).await?;
        let within = contents(&digest);
        for delivery in collected {
            if within.contains(&delivery.id) {
                taken(known, delivery).await?;
            } else {
                rest = true;
            }
        }
        send(&known.services, [digest.id]).await?;
    }
    let directory = known.directory().await?;
    let soon = collecting.due + SignedDuration::from_millis(1);
    let next = due(known, directory, user).filter(|_| !rest);
    Ok(store
        .collect_until(collecting, next.unwrap_or(soon))
        .await?)
}

/// What is in a digest that may have been made before.
fn contents(digest: &Delivery) -> Vec<DeliveryId> {
    let collected = digest.message.get(DIGEST).cloned();
    let collected = collected.and_then(|own| serde_json::from_value::<Collected>(own).ok());
    collected.map(|own| own.deliveries).unwrap_or_default()
}

/// Leaves out what the user may not see any more.
async fn visible(
    known: &Known,
    user: UserId,
    collected: Vec<Delivery>,
) -> Result<Vec<Delivery>, NotifyError> {
    let store = &known.services.store;
    let directory = known.directory().await?;
    let ids = collected.iter().filter_map(|delivery| delivery.product);
    let products: Vec<Product> = store.get_all(ids).await?;
    let sees = |id: ProductId| {
        let product = products.iter().find(|product| product.id == id);
        product.is_some_and(|own| directory.sees_of(user, id, Some(own.prod_type)))
    };
    let mut visible = Vec::new();
    for delivery in collected {
        if delivery.product.is_none_or(sees) {
            visible.push(delivery);
            continue;
        }
        let skipped = Delivery {
            state: DeliveryState::Skipped,
            error: Some("the user can't see the product any more".into()),
            ..delivery
        };
        let was = DeliveryState::Collected;
        store.put_delivery(&skipped, skipped.tries, was).await?;
    }
    Ok(visible)
}

async fn digest(
    known: &Known,
    collecting: &Collecting,
    deliveries: Vec<DeliveryId>,
) -> Result<Delivery, StoreError> {
    let user = collecting.user;
    let contact = known.directory().await?.contact(user);
    let kind = contact.map_or(Digest::Off, |contact| DigestSchedule::of(contact).digest);
    let key = format!("digest-u{user}-{}", collecting.due.as_millisecond());
    let title = format!("A digest of {} messages", deliveries.len());
    let message = json!({
        "id": key,
        "title": title,
        REASON: Reason::Settings,
        DIGEST: Collected { kind, deliveries },
    });
    Ok(Delivery {
        id: DeliveryId(0),
        key,
        event: None,
        topic: Topic::Other.name().into(),
        channel: Channel::Mail.name().into(),
        receiver: Receiver::User(user),
        product: None,
        message,
        state: DeliveryState::Waiting,
        tries: 0,
        created: known.services.store.now(),
        tried: None,
        next_try: None,
        sent: None,
        error: None,
    })
}

/// A message is in a digest now.
async fn taken(known: &Known, delivery: Delivery) -> Result<(), StoreError> {
    let store = &known.services.store;
    let sent = Delivery {
        state: DeliveryState::Sent,
        sent: Some(store.now()),
        ..delivery
    };
    let put = store.put_delivery(&sent, sent.tries, DeliveryState::Collected);
    put.await.map(drop)
}
