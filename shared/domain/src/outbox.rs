//! Work for the functions that speak with others, written down with the change that it follows from.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{EventKind, JiraObject, JiraPushId, ProductId};

/// An event, by what it's kept under.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EventKey {
    /// The day (UTC) of its time.
    pub day: Date,
    /// What happened.
    pub kind: EventKind,
    /// To what, by its id.
    pub object: u64,
    /// On what occasion.
    pub occasion: String,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutboxWork {
    /// These may have changed: their issues in JIRA are to be as they are.
    Jira {
        /// The product that they belong to.
        product: ProductId,
        /// Each once.
        objects: Vec<JiraObject>,
    },
    /// An order of somebody's to bring several things there.
    JiraPush(JiraPushId),
    /// The issues that an event is about get a comment that says so.
    JiraEvent(EventKey),
    /// Those who want to know of an event are to be told.
    Notify(EventKey),
}

/// Work that waits in the outbox until it's done, however often it's sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxEntry {
    /// When it was written and a random number: unique, and in the order of time.
    pub id: String,
    /// What is to be done.
    pub work: OutboxWork,
}
