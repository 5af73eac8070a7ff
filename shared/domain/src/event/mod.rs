//! What happened that others may want to be told of.

mod data;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ProductId, UserId};

pub use data::{
    AcceptanceExpired, AcceptanceExpiring, CriticalFinding, DueFinding, DueFindings,
    EngagementAdded, EngagementEnded, EngagementTiming, EventData, ImportFailed, JiraChange,
    JiraUpdate, MAX_NAMED_FINDINGS, MentionedIn, NamedFinding, OtherEvent, ProductAdded,
    ProductTypeAdded, ReviewRequested, ScanAdded, SlaDue, TestAdded, UserMentioned,
};

/// What others may want to be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A risk acceptance has expired. The object is the acceptance.
    RiskAcceptanceExpired,
    /// A risk acceptance expires soon. The object is the acceptance.
    RiskAcceptanceExpiring,
    /// Open findings of a product are due soon, today, or were due in the last days. The object is the product.
    SlaDue,
    /// There is a new product type, which is the object.
    ProductTypeAdded,
    /// There is a new product, which is the object.
    ProductAdded,
    /// There is a new engagement, which is the object.
    EngagementAdded,
    /// There is a new test, which is the object.
    TestAdded,
    /// An import has changed findings. The object is the import.
    ScanAdded,
    /// An import is through and has changed nothing. The object is the import.
    ScanAddedEmpty,
    /// Something happened between a finding or a group and its JIRA issue. The object is the finding or the group.
    JiraUpdate,
    /// An engagement starts soon. The object is the engagement.
    UpcomingEngagement,
    /// An engagement should have ended and is still open. The object is the engagement.
    StaleEngagement,
    /// An engagement was closed because its end was long ago. The object is the engagement.
    AutoCloseEngagement,
    /// Somebody closed an engagement, which is the object.
    #[serde(rename = "close_engagement")]
    EngagementClosed,
    /// Somebody was named in a note. The object is the note.
    UserMentioned,
    /// Somebody was asked to review a finding, which is the object.
    ReviewRequested,
    /// Findings of the severity Critical are new or open again. The object is the import, or else the test.
    CriticalFinding,
    /// An import was given up. The object is the import.
    ImportFailed,
    /// Anything else that operators are told.
    Other,
}

impl EventKind {
    /// Their names in the REST API.
    pub const NAMES: &'static [&'static str] = &[
        "risk_acceptance_expired",
        "risk_acceptance_expiring",
        "sla_due",
        "product_type_added",
        "product_added",
        "engagement_added",
        "test_added",
        "scan_added",
        "scan_added_empty",
        "jira_update",
        "upcoming_engagement",
        "stale_engagement",
        "auto_close_engagement",
        "close_engagement",
        "user_mentioned",
        "review_requested",
        "critical_finding",
        "import_failed",
        "other",
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// Something that happened and that others may want to be told of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// To what, by its id.
    pub object: u64,
    /// What tells it from others of its kind that happen to the same object: it's the same when the same
    /// happening is told of twice.
    pub occasion: String,
    /// The product that the object belongs to.
    pub product: Option<ProductId>,
    /// When.
    pub time: Timestamp,
    /// What there is to say of it: an [`EventData`] as JSON.
    pub data: Value,
    /// Only these users are told; with none, all that want to be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<UserId>,
}

/// The data of an event is not what its kind has.
#[derive(Debug, thiserror::Error)]
#[error("the data of the event {} of {object} can't be read: {source}", kind.name())]
pub struct EventError {
    /// The kind of the event.
    pub kind: EventKind,
    /// The object of the event.
    pub object: u64,
    /// What is wrong with the data.
    pub source: serde_json::Error,
}

impl Event {
    /// An event for all that want to be told. Its kind follows from the data.
    pub fn new(
        data: &EventData,
        object: impl Into<u64>,
        occasion: impl Into<String>,
        product: Option<ProductId>,
        time: Timestamp,
    ) -> Self {
        Self {
            kind: data.kind(),
            object: object.into(),
            occasion: occasion.into(),
            product,
            time,
            data: data.to_value(),
            to: Vec::new(),
        }
    }

    /// The same for these users only.
    #[must_use]
    pub fn to(mut self, users: Vec<UserId>) -> Self {
        self.to = users;
        self
    }

    /// What there is to say of it. Fields that the data lacks have their defaults.
    pub fn read(&self) -> Result<EventData, EventError> {
        EventData::read(self.kind, &self.data).map_err(|source| EventError {
            kind: self.kind,
            object: self.object,
            source,
        })
    }
}
