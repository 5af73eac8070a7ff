//! Microsoft Teams: the address of a workflow that posts into a channel. Teams can't tell a second copy.

use secrecy::ExposeSecret as _;
use tatami_domain::{Delivery, Receiver, SystemSettings};
use tatami_notifications::{Channel, teams};
use tatami_store::StoreError;

use super::{TIMEOUT, message, post};
use crate::known::{Known, or_default};
use crate::outcome::Outcome;

pub(crate) async fn send(known: &Known, delivery: &Delivery) -> Result<Outcome, StoreError> {
    if delivery.receiver != Receiver::System {
        let reason = "Teams has a channel of the system only";
        return Ok(Outcome::Skipped(reason.into()));
    }
    let message = match message(delivery) {
        Ok(message) => message,
        Err(outcome) => return Ok(outcome),
    };
    let template = known.template(message.topic, Channel::MsTeams).await?;
    let made = template.map(|template| template.teams(&message));
    let body = or_default(made, || teams(&message)).to_string();
    let sent = post_to(known, known.settings().await?, body.into_bytes()).await;
    Ok(sent.unwrap_or_else(|outcome| outcome))
}

async fn post_to(
    known: &Known,
    settings: &SystemSettings,
    body: Vec<u8>,
) -> Result<Outcome, Outcome> {
    let Some(encrypted) = &settings.msteams_url else {
        let reason = "the system setting msteams_url is empty";
        return Ok(Outcome::Skipped(reason.into()));
    };
    let key = known.services.secret_key()?;
    let url = key.decrypt("SETTINGS.msteams_url", encrypted)?;
    let answer = post(known, url.expose_secret(), body, vec![], TIMEOUT).await?;
    if answer.status().is_success() {
        return Ok(Outcome::Sent);
    }
    Ok(Outcome::of_status("Teams", &answer))
}
