//! Events: what is said of them, who is told of it, and over what. Each message to one receiver over one channel
//! becomes a delivery, the same one however often this is done.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tatami_auth::Place;
use tatami_domain::{
    Delivery, DeliveryId, DeliveryState, EngagementId, Event, EventData, EventKey, FindingId,
    MentionedIn, OutboxEntry, OutboxWork, Product, Receiver, Test, TestId, UserId,
};
use tatami_notifications::{Channel, DigestSchedule, Message, Names, Topic, message};
use tatami_store::{Store, StoreError};

use crate::directory::{Directory, Scene, Told};
use crate::known::Known;
use crate::{NotifyError, send};

/// So many deliveries are made before they are sent.
const TOGETHER: usize = 100;
/// Where a delivery's message has why its receiver gets it.
pub(crate) const REASON: &str = "reason";

/// Tells of the event that an entry of the outbox names. The entry goes when every delivery is there and has
/// been sent to the queue.
pub(crate) async fn work(known: &Known, entry: &OutboxEntry) -> Result<(), NotifyError> {
    let store = &known.services.store;
    if !store.is_waiting(entry).await? {
        return Ok(());
    }
    match &entry.work {
        OutboxWork::Notify(key) => {
            if let Some(event) = store.event(key).await? {
                tell(known, key, &event).await?;
            }
        }
        other => tracing::error!(?other, "this isn't the work of the notify function"),
    }
    Ok(store.done(entry).await?)
}

async fn tell(known: &Known, key: &EventKey, event: &Event) -> Result<(), NotifyError> {
    let store = &known.services.store;
    let data = match event.read() {
        Ok(data) => data,
        Err(error) => {
            // it reads no better the next time
            tracing::error!(%error, "nobody is told of an event");
            return Ok(());
        }
    };
    let Some((scene, product)) = scene(store, event, &data).await? else {
        return Ok(());
    };
    let directory = known.directory().await?;
    let settings = known.settings().await?;
    let audiences: BTreeMap<Topic, Vec<Told>> = (Topic::of(event.kind).iter().copied())
        .map(|topic| {
            (
                topic,
                directory.audience(topic, &event.to, &scene, settings),
            )
        })
        .filter(|(_, audience)| !audience.is_empty())
        .collect();
    if audiences.is_empty() {
        return Ok(());
    }
    let mut names = Names {
        users: directory.names(),
        ..Names::default()
    };
    if let Some(product) = product {
        names.products.insert(product.id, product.name);
    }
    if let (EventData::SlaDue(due), true) = (&data, audiences.contains_key(&Topic::SlaBreach)) {
        let parts = [&due.breached, &due.due_today, &due.due_soon];
        let ids = parts.into_iter().flat_map(|part| &part.findings);
        let ids: BTreeSet<FindingId> = ids.map(|finding| finding.id).collect();
        let findings = store.findings(ids).await?.into_iter();
        names.findings = findings.map(|f| (f.id, f.title)).collect();
    }
    let messages = match message(event, &names, &known.links()) {
        Ok(messages) => messages,
        Err(error) => {
            tracing::error!(%error, "nobody is told of an event");
            return Ok(());
        }
    };
    let mut made = Vec::new();
    for message in &messages {
        for told in audiences.get(&message.topic).into_iter().flatten() {
            made.push(delivery(known, directory, key, message, told));
            if made.len() == TOGETHER {
                hand_over(known, directory, std::mem::take(&mut made)).await?;
            }
        }
    }
    hand_over(known, directory, made).await
}

/// Where an event happened; none where that isn't there any more.
async fn scene(
    store: &Store,
    event: &Event,
    data: &EventData,
) -> Result<Option<(Scene, Option<Product>)>, StoreError> {
    let product = match event.product {
        None => None,
        Some(id) => match store.get::<Product>(id).await {
            Err(error) if error.is_not_found() => return Ok(None),
            product => Some(product?),
        },
    };
    let place = match data {
        EventData::ProductTypeAdded(added) => Place::ProductType(added.product_type),
        _ => Place::within(event.product, engagement(store, data).await?),
    };
    let scene = Scene {
        place,
        product: event.product,
        product_type: product.as_ref().map(|product| product.prod_type),
    };
    Ok(Some((scene, product)))
}

/// The engagement that an event happened in, where it's in one.
async fn engagement(store: &Store, data: &EventData) -> Result<Option<EngagementId>, StoreError> {
    let of_test = |id: TestId| async move { store.get::<Test>(id).await.map(|t| t.engagement) };
    let of_finding = |id: FindingId| async move { store.finding(id).await.map(|f| f.engagement) };
    let found = match data {
        EventData::EngagementAdded(data) => Ok(data.engagement),
        EventData::TestAdded(data) => Ok(data.engagement),
        EventData::ScanAdded(data) | EventData::ScanAddedEmpty(data) => Ok(data.engagement),
        EventData::UpcomingEngagement(data) | EventData::StaleEngagement(data) => {
            Ok(data.engagement)
        }
        EventData::AutoCloseEngagement(data) | EventData::EngagementClosed(data) => {
            Ok(data.engagement)
        }
        EventData::CriticalFinding(data) => of_test(data.test).await,
        EventData::ReviewRequested(data) => of_finding(data.finding).await,
        EventData::JiraUpdate(data) => match data.finding {
            Some(id) => of_finding(id).await,
            None => return Ok(None),
        },
        EventData::UserMentioned(data) => match data.place {
            Some(MentionedIn::Engagement(id)) => Ok(id),
            Some(MentionedIn::Test(id)) => of_test(id).await,
            Some(MentionedIn::Finding(id)) => of_finding(id).await,
            Some(MentionedIn::RiskAcceptance(_)) | None => return Ok(None),
        },
        _ => return Ok(None),
    };
    match found {
        Err(error) if error.is_not_found() => Ok(None),
        found => found.map(Some),
    }
}

/// When a user gets the mail of what is collected; none: each at once.
pub(crate) fn due(known: &Known, directory: &Directory, user: UserId) -> Option<jiff::Timestamp> {
    let schedule = DigestSchedule::of(directory.contact(user)?);
    match schedule.next(known.services.store.now()) {
        Ok(due) => due,
        Err(error) => {
            tracing::warn!(%user, %error, "mails are sent one by one");
            None
        }
    }
}

fn delivery(
    known: &Known,
    directory: &Directory,
    event: &EventKey,
    message: &Message,
    told: &Told,
) -> Delivery {
    let (receiver, collects) = match told.receiver {
        Receiver::System => ("system".to_owned(), false),
        Receiver::Webhook(id) => (format!("w{id}"), false),
        Receiver::User(id) => {
            let collects = told.channel == Channel::Mail && due(known, directory, id).is_some();
            (format!("u{id}"), collects)
        }
    };
    let channel = told.channel.name();
    let mut said = json!(message);
    if let Value::Object(said) = &mut said {
        said.insert(REASON.into(), json!(told.reason));
    }
    Delivery {
        id: DeliveryId(0),
        key: format!("{}-{channel}-{receiver}", message.id),
        event: Some(event.clone()),
        topic: message.topic.name().into(),
        channel: channel.into(),
        receiver: told.receiver,
        product: message.product.as_ref().map(|product| product.id),
        message: said,
        state: if collects {
            DeliveryState::Collected
        } else {
            DeliveryState::Waiting
        },
        tries: 0,
        created: known.services.store.now(),
        tried: None,
        next_try: None,
        sent: None,
        error: None,
    }
}

/// Makes deliveries, and lets those be sent that nobody has tried yet.
async fn hand_over(
    known: &Known,
    directory: &Directory,
    deliveries: Vec<Delivery>,
) -> Result<(), NotifyError> {
    let store = &known.services.store;
    let made = store.create_deliveries(deliveries).await?;
    let mut collectors = BTreeSet::new();
    let mut new = Vec::new();
    for (delivery, _) in &made {
        match (delivery.state, delivery.receiver) {
            (DeliveryState::Waiting, _) if delivery.tries == 0 => new.push(delivery.id),
            (DeliveryState::Collected, Receiver::User(user)) => drop(collectors.insert(user)),
            _ => {}
        }
    }
    send(&known.services, new).await?;
    for user in collectors {
        // who has just turned digests off gets what is collected at once
        let due = due(known, directory, user).unwrap_or_else(|| store.now());
        store.collect(user, due).await?;
    }
    Ok(())
}
