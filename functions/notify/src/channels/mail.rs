//! Mails: one for a message, or one for what was collected. A second copy has the same Message-ID, and the same
//! `X-Tatami-Delivery` where SES gives a Message-ID of its own.

use serde::{Deserialize, Serialize};
use tatami_domain::{Delivery, DeliveryId, Receiver, UserId};
use tatami_mail::{Mail, MailError, Mailbox};
use tatami_notifications::{
    Channel, DELIVERY_HEADER, Digest, EVENT_HEADER, Message, Options, Topic, digest, mail,
    unsubscribe,
};
use tatami_store::StoreError;

use super::{message, person, reason};
use crate::known::{Known, or_default};
use crate::outcome::Outcome;

/// What the key is derived for that signs the links by which one gets no more mails.
const UNSUBSCRIBE: &str = "unsubscribe";
/// The URL of such a link, below the public one.
const UNSUBSCRIBE_PATH: &str = "/notifications/unsubscribe/";
/// Where the message of a delivery that is a digest has what it's made of.
pub(crate) const DIGEST: &str = "digest";

/// What a digest is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Collected {
    /// How often such ones come.
    pub kind: Digest,
    /// What was collected.
    pub deliveries: Vec<DeliveryId>,
}

pub(crate) async fn send(known: &Known, delivery: &Delivery) -> Result<Outcome, StoreError> {
    if known.services.mailer.from().is_none() {
        let reason = "no mails are sent: set TATAMI_SMTP_URL or TATAMI_MAIL_FROM";
        return Ok(Outcome::Skipped(reason.into()));
    }
    let to = match mailbox(known, delivery).await? {
        Ok(to) => to,
        Err(outcome) => return Ok(outcome),
    };
    let settings = known.settings().await?;
    let mut options = Options {
        reason: reason(delivery),
        subject_prefix: Some(settings.team_name.clone()),
        ..Options::default()
    };
    let made = match collected(delivery) {
        Some(collected) => of_collected(known, &collected, &options).await?,
        None => match message(delivery) {
            Ok(message) => {
                if let Receiver::User(user) = delivery.receiver {
                    options.unsubscribe_url = unsubscribe_url(known, user, message.topic);
                }
                let template = known.template(message.topic, Channel::Mail).await?;
                let made = template.map(|template| template.mail(&message, &options));
                or_default(made, || mail(&message, &options))
            }
            Err(outcome) => return Ok(outcome),
        },
    };
    let mail = Mail {
        to,
        subject: made.subject,
        text: made.text,
        html: Some(made.html),
        message_id: delivery.key.clone(),
        list_unsubscribe: options.unsubscribe_url,
        headers: vec![
            (DELIVERY_HEADER.to_owned(), delivery.key.clone()),
            (EVENT_HEADER.to_owned(), delivery.topic.clone()),
        ],
    };
    Ok(match known.services.mailer.send(&mail).await {
        Ok(_) => Outcome::Sent,
        Err(error) => of_error(&error),
    })
}

/// What somebody mends in the settings doesn't lose what was to be sent before.
fn of_error(error: &MailError) -> Outcome {
    match error {
        MailError::Passing { .. } | MailError::Setup { .. } => Outcome::later(error.to_string()),
        MailError::Address { .. } | MailError::Content { .. } | MailError::Refused { .. } => {
            Outcome::Refused(error.to_string())
        }
    }
}

async fn mailbox(
    known: &Known,
    delivery: &Delivery,
) -> Result<Result<Mailbox, Outcome>, StoreError> {
    let made = match delivery.receiver {
        Receiver::System => {
            let address = known.settings().await?.mail_notifications_to.trim();
            if address.is_empty() {
                let reason = "the system setting mail_notifications_to is empty";
                return Ok(Err(Outcome::Skipped(reason.into())));
            }
            address.parse()
        }
        Receiver::User(user) => {
            let user = match person(known, user).await? {
                Ok(user) => user,
                Err(outcome) => return Ok(Err(outcome)),
            };
            if user.email.trim().is_empty() {
                return Ok(Err(Outcome::Skipped("the user has no mail address".into())));
            }
            let name = format!("{} {}", user.first_name, user.last_name);
            Mailbox::new(name.trim(), user.email.trim())
        }
        Receiver::Webhook(_) => {
            return Ok(Err(Outcome::Refused("a webhook takes no mails".into())));
        }
    };
    Ok(made.map_err(|error| of_error(&error)))
}

fn unsubscribe_url(known: &Known, user: UserId, topic: Topic) -> Option<String> {
    let base = known.services.settings.public_url.as_deref()?;
    let key = known.services.secret_key().ok()?.derive(UNSUBSCRIBE);
    let token = unsubscribe::token(&key, user, topic, Channel::Mail);
    let base = base.trim_end_matches('/');
    Some(format!("{base}{UNSUBSCRIBE_PATH}{token}"))
}

fn collected(delivery: &Delivery) -> Option<Collected> {
    let collected = delivery.message.get(DIGEST)?.clone();
    serde_json::from_value(collected).ok()
}

async fn of_collected(
    known: &Known,
    collected: &Collected,
    options: &Options,
) -> Result<tatami_notifications::Mail, StoreError> {
    let ids = collected.deliveries.clone();
    let deliveries = known.services.store.deliveries_of(ids).await?;
    let messages: Vec<Message> = (deliveries.iter())
        .filter_map(|delivery| message(delivery).ok())
        .collect();
    Ok(digest(&messages, collected.kind, options))
}
