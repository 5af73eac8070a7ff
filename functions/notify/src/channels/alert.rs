//! Alerts in Tatami itself, once each: an alert has the id of its delivery.

use tatami_domain::{Alert, AlertId, Delivery, Receiver};
use tatami_notifications::{Channel, alert};
use tatami_store::StoreError;

use super::{message, person};
use crate::known::{Known, or_default};
use crate::outcome::Outcome;

pub(crate) async fn send(known: &Known, delivery: &Delivery) -> Result<Outcome, StoreError> {
    let Receiver::User(user) = delivery.receiver else {
        return Ok(Outcome::Skipped("only users have alerts".into()));
    };
    let message = match message(delivery) {
        Ok(message) => message,
        Err(outcome) => return Ok(outcome),
    };
    if let Err(outcome) = person(known, user).await? {
        return Ok(outcome);
    }
    let template = known.template(message.topic, Channel::Alert).await?;
    let made = template.map(|template| template.alert(&message));
    let made = or_default(made, || alert(&message));
    let alert = Alert {
        id: AlertId(delivery.id.0),
        user,
        topic: delivery.topic.clone(),
        title: made.title,
        description: made.description,
        url: made.url,
        product: delivery.product,
        created: delivery.created,
        read: false,
    };
    known.services.store.put_alert(&alert, delivery.id).await?;
    Ok(Outcome::Sent)
}
