//! Who is told of what, and where.
//!
//! The rules are DefectDojo's (`dojo/notifications/helper.py` and `models.py`). There are rows of four scopes:
//!
//! - *System* (no user): speaks for what the system has itself: its Slack channel, its Teams channel, the address
//!   `mail_notifications_to`, webhooks without an owner. Superusers get it too, beside their own rows, and so do users
//!   that an event names.
//! - *User*: of a user, for everything that they may see.
//! - *User and product*: of a user, for one product. It only adds: channels of the two rows are put together, and
//!   a product can't be made silent by it. It doesn't count where an event names the user.
//! - *Template*: what the first row of a new user says. It is told of nothing itself.
//!
//! Who may not see the product is told nothing; that is for the caller, who knows.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Channel, Topic};

/// A row: for topics, the channels. Which scope it has, says where it is kept.
///
/// A topic that it doesn't have counts as [`Topic::default_channels`] in a row of the system or a user, and as
/// nothing in a row for a product. As JSON: `{"scan_added": ["alert", "mail"]}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Preferences(pub BTreeMap<Topic, BTreeSet<Channel>>);

impl Preferences {
    /// A row that says of every topic what counts without it.
    pub fn defaults() -> Self {
        let topics = Topic::ALL.iter();
        Self(
            topics
                .map(|topic| (*topic, topic.default_channels()))
                .collect(),
        )
    }

    /// Says of a topic that these are its channels.
    pub fn set(&mut self, topic: Topic, channels: impl IntoIterator<Item = Channel>) {
        self.0.insert(topic, channels.into_iter().collect());
    }

    /// The channels of a topic in a row of the system or a user.
    pub fn channels(&self, topic: Topic) -> BTreeSet<Channel> {
        let chosen = self.0.get(&topic).cloned();
        chosen.unwrap_or_else(|| topic.default_channels())
    }
}

/// Where a user is told of a topic: on the channels of all these rows. A user without a row is told nothing.
///
/// `system` is given for superusers and for users that the event names; `user_product` isn't given for the latter.
/// Teams has no messages for a single person.
pub fn resolve(
    topic: Topic,
    system: Option<&Preferences>,
    user_global: Option<&Preferences>,
    user_product: Option<&Preferences>,
) -> BTreeSet<Channel> {
    let whole = [system, user_global].into_iter().flatten();
    let mut channels: BTreeSet<Channel> = whole.flat_map(|row| row.channels(topic)).collect();
    channels.extend(
        user_product
            .and_then(|row| row.0.get(&topic))
            .into_iter()
            .flatten(),
    );
    channels.remove(&Channel::MsTeams);
    channels
}

/// Where the system itself is told of a topic. Nobody would see its alerts. Not to be asked for an event that names
/// users.
pub fn resolve_system(topic: Topic, system: &Preferences) -> BTreeSet<Channel> {
    let mut channels = system.channels(topic);
    channels.remove(&Channel::Alert);
    channels
}
