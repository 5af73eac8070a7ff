use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{BulkChange, EngagementId, JobId, ProductId, ProductTypeId, TestId, UserId};

/// A part of the product tree: one thing and all below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Branch {
    /// A product type.
    ProductType(ProductTypeId),
    /// A product.
    Product(ProductId),
    /// An engagement of a product.
    Engagement(ProductId, EngagementId),
    /// A test of an engagement.
    Test(ProductId, EngagementId, TestId),
}

impl Branch {
    /// Of what kind it is, as the REST API names it.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::ProductType(_) => "product_type",
            Self::Product(_) => "product",
            Self::Engagement(..) => "engagement",
            Self::Test(..) => "test",
        }
    }

    /// The id of what is on top of it.
    pub const fn id(self) -> u64 {
        match self {
            Self::ProductType(id) => id.0,
            Self::Product(id) => id.0,
            Self::Engagement(_, id) => id.0,
            Self::Test(_, _, id) => id.0,
        }
    }

    /// The product that it is in or is; none for a product type.
    pub const fn product(self) -> Option<ProductId> {
        match self {
            Self::ProductType(_) => None,
            Self::Product(id) | Self::Engagement(id, _) | Self::Test(id, ..) => Some(id),
        }
    }
}

/// What a job does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Removes what was deleted.
    Delete {
        /// What.
        branch: Branch,
        /// What it was called.
        name: String,
    },
    /// Changes many findings.
    Bulk {
        /// How.
        change: BulkChange,
        /// Under what their ids and those of their notes are kept, and later what became of them.
        list: String,
    },
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// On its way.
    #[default]
    Running,
    /// All is done.
    Done,
    /// Stopped by an error: it goes on when it's resumed.
    Failed,
}

impl JobState {
    /// Their names in the REST API.
    pub const NAMES: &'static [&'static str] = &["running", "done", "failed"];
}

/// Something that a request began and that takes longer than the request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Part of the key, not of the document.
    #[serde(skip)]
    pub id: JobId,
    /// Counts the writes. Part of the item, not of the document.
    #[serde(skip)]
    pub version: u64,
    /// What it does.
    pub work: Work,
    /// How far it is.
    #[serde(default)]
    pub state: JobState,
    /// Counts the steps, so that a message that comes again is told.
    #[serde(default)]
    pub step: u64,
    /// Of how many findings it's done with.
    #[serde(default)]
    pub done: u64,
    /// Of how many findings it was when it began.
    #[serde(default)]
    pub of: u64,
    /// What stopped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Who began it.
    pub by: UserId,
    /// When it began.
    pub created: Timestamp,
    /// When it last made progress.
    pub updated: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<Timestamp>,
}

impl Job {
    /// A job that begins now.
    pub fn new(work: Work, of: u64, by: UserId, now: Timestamp) -> Self {
        Self {
            id: JobId(0),
            version: 0,
            work,
            state: JobState::Running,
            step: 0,
            done: 0,
            of,
            error: None,
            by,
            created: now,
            updated: now,
            finished: None,
        }
    }
}
