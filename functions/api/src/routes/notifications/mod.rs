//! What people are told of events: of what and where (`rows`, `effective`, `digest`), webhooks, alerts, the log
//! of what was sent (`deliveries`), texts of operators (`templates`), and the way out of a mail
//! (`unsubscribe`).

mod alerts;
mod deliveries;
mod digest;
mod effective;
mod rows;
mod templates;
mod tests;
mod unsubscribe;
mod webhooks;

use tatami_auth::{Permission, Place};
use tatami_domain::{Delivery, DeliveryId, NotificationRow, NotificationWebhook, UserId};
use tatami_queue::{NotifyMessage, Outgoing};
use tatami_store::{Store, StoreError};

use crate::Api;
use crate::auth::Caller;
use crate::error::{ApiError, Result};
use crate::openapi::Routes;

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    rows::add(routes);
    effective::add(routes);
    digest::add(routes);
    webhooks::add(routes);
    alerts::add(routes);
    deliveries::add(routes);
    templates::add(routes);
    tests::add(routes);
    unsubscribe::add(routes);
}

/// May the caller see to the notifications of all?
async fn manages(caller: &Caller) -> Result<bool> {
    let held = caller.held(Place::Everywhere).await?;
    Ok(held.contains(Permission::ManageCommon))
}

/// Is something the caller's own, or may they see to those of others? What is somebody else's isn't there.
async fn may_over(caller: &Caller, owner: Option<UserId>) -> Result<()> {
    caller
        .require(Permission::ViewCommon, Place::Everywhere)
        .await?;
    if owner == Some(caller.0.user) || manages(caller).await? {
        Ok(())
    } else {
        Err(ApiError::not_found())
    }
}

/// Removes what a user who goes has chosen, their webhooks and their alerts.
pub async fn forget(store: &Store, user: UserId) -> Result<()> {
    let gone = |deleted: std::result::Result<(), StoreError>| match deleted {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    };
    for row in store.list::<NotificationRow>().await? {
        if row.user == Some(user) {
            gone(store.delete::<NotificationRow>(row.id).await)?;
        }
    }
    for webhook in store.list::<NotificationWebhook>().await? {
        if webhook.owner == Some(user) {
            gone(store.delete::<NotificationWebhook>(webhook.id).await)?;
        }
    }
    Ok(store.forget_alerts(user).await?)
}

/// Lets a new message be sent, which is in the log then.
async fn send_new(api: &Api, delivery: Delivery) -> Result<Delivery> {
    let (delivery, _) = api.services.store.create_delivery(delivery).await?;
    send(api, [delivery.id]).await?;
    Ok(delivery)
}

/// Lets messages be sent that the log has.
async fn send(api: &Api, deliveries: impl IntoIterator<Item = DeliveryId>) -> Result<()> {
    let internal = |reason: String| ApiError::Internal(reason);
    let mut messages = Vec::new();
    for delivery in deliveries {
        let message = NotifyMessage::Delivery { delivery };
        let body = tatami_queue::write(&message).map_err(|e| internal(e.to_string()))?;
        messages.push(Outgoing { body, import: None });
    }
    let sent = api.services.notify.send(messages);
    sent.await.map_err(|e| internal(e.to_string()))
}
