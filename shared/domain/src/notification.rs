//! Messages on their way to people: what is kept of each, and what lies in somebody's alerts.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    AlertId, DeliveryId, EventKey, NotificationRowId, NotificationTemplateId,
    NotificationWebhookId, ProductId, UserId,
};

/// Of what somebody is told, and where. Which scope it has, follows from its fields: a user's, a user's for one
/// product, the system's (no user), or the template of what new users have.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NotificationRow {
    /// Part of the key, not of the document.
    #[serde(skip)]
    pub id: NotificationRowId,
    /// Whose it is; none: the system's.
    pub user: Option<UserId>,
    /// The product that it's for; none: all.
    pub product: Option<ProductId>,
    /// Does it say what users have who haven't chosen? It's nobody's then.
    pub template: bool,
    /// By names of topics, the names of channels. What a topic has that isn't here, the crate
    /// `tatami-notifications` says.
    #[serde(flatten)]
    pub topics: BTreeMap<String, Vec<String>>,
    /// What it's the only row of; see [`NotificationRow::identify`].
    #[serde(skip)]
    pub scope: String,
}

impl NotificationRow {
    /// Brings its scope up to its fields. There is one row of each scope.
    pub fn identify(&mut self) {
        let id = |id: Option<u64>| id.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let (user, product) = (
            id(self.user.map(u64::from)),
            id(self.product.map(u64::from)),
        );
        self.scope = if self.template {
            "template".into()
        } else {
            format!("{user}/{product}")
        };
    }
}

/// What operators say in the place of a message's own text, of a topic on a channel.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NotificationTemplate {
    /// Part of the key, not of the document.
    #[serde(skip)]
    pub id: NotificationTemplateId,
    /// Name of the topic.
    pub topic: String,
    /// Name of the channel.
    pub channel: String,
    /// The subject of a mail, or the title elsewhere; none: the message's own.
    pub subject: Option<String>,
    /// The text; how it's written, the crate `tatami-notifications` says.
    pub body: String,
    /// What it's the only one of; see [`NotificationTemplate::identify`].
    #[serde(skip)]
    pub scope: String,
}

impl NotificationTemplate {
    /// Brings its scope up to its fields. There is one template of each scope.
    pub fn identify(&mut self) {
        self.scope = format!("{}/{}", self.topic, self.channel);
    }
}

/// Where messages go that a system of somebody's own takes.
///
/// The names are the REST API's, which keeps the documents; what isn't set there has its default here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are the REST API's")]
pub struct NotificationWebhook {
    #[serde(skip)]
    pub id: NotificationWebhookId,
    pub name: String,
    pub url: String,
    pub header_name: Option<String>,
    /// Encrypted.
    pub header_value: Option<String>,
    /// What messages are signed with; encrypted. None: they aren't.
    pub secret: Option<String>,
    /// `active`, `active_tmp` (it failed lately), `inactive_tmp` (left alone for a while), `inactive_permanent`.
    pub status: String,
    pub first_error: Option<Timestamp>,
    pub last_error: Option<Timestamp>,
    pub note: Option<String>,
    /// Whose it is; none: the system's.
    pub owner: Option<UserId>,
}

/// Whom a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Receiver {
    /// A user.
    User(UserId),
    /// The system's own channel, where one is set.
    System,
    /// A webhook, of the system or of a user.
    Webhook(NotificationWebhookId),
}

/// How far a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It waits for its first try or for another one.
    #[default]
    Waiting,
    /// It waits for the next digest.
    Collected,
    /// It was taken.
    Sent,
    /// There is nothing to send it with, or the receiver has no address: it isn't tried again.
    Skipped,
    /// It was refused for good, or all its tries failed; it can be sent again by hand.
    Dead,
}

impl DeliveryState {
    /// Their names in the REST API.
    pub const NAMES: &'static [&'static str] = &["waiting", "collected", "sent", "skipped", "dead"];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// One message to one receiver over one channel: the delivery log has a line for each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Part of the key, not of the document.
    #[serde(skip)]
    pub id: DeliveryId,
    /// Tells it from all others; the same when the same is sent twice, so that receivers can tell.
    pub key: String,
    /// The event that it tells of; none for a test.
    pub event: Option<EventKey>,
    /// What people subscribe to, such as `scan_added`.
    pub topic: String,
    /// `alert`, `mail`, `slack`, `msteams` or `webhooks`.
    pub channel: String,
    /// Whom it is for.
    pub receiver: Receiver,
    /// The product that it's about.
    pub product: Option<ProductId>,
    /// What it says, independent of the channel.
    pub message: Value,
    /// How far it is.
    pub state: DeliveryState,
    /// How often it was tried.
    pub tries: u32,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last tried.
    pub tried: Option<Timestamp>,
    /// Not before this it's tried again.
    pub next_try: Option<Timestamp>,
    /// When it was taken.
    pub sent: Option<Timestamp>,
    /// Why the last try failed.
    pub error: Option<String>,
}

/// What somebody finds when they sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Part of the key, not of the document.
    #[serde(skip)]
    pub id: AlertId,
    /// Whose it is.
    pub user: UserId,
    /// What people subscribe to, such as `scan_added`.
    pub topic: String,
    /// In a line.
    pub title: String,
    /// All of it.
    pub description: String,
    /// Where to look.
    pub url: Option<String>,
    /// The product that it's about.
    pub product: Option<ProductId>,
    /// When it was told.
    pub created: Timestamp,
    /// Was it read?
    #[serde(default)]
    pub read: bool,
}
