use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{AttachmentId, EngagementId, FindingId, NoteId, TestId, UserId};

/// What notes and files are attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Owner {
    Finding(FindingId),
    Engagement(EngagementId),
    Test(TestId),
}

impl From<FindingId> for Owner {
    fn from(id: FindingId) -> Self {
        Self::Finding(id)
    }
}

/// A remark, by a person or by an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Note {
    #[serde(skip)]
    pub id: NoteId,
    pub entry: String,
    pub author: Option<UserId>,
    pub date: Timestamp,
    #[serde(default)]
    pub private: bool,
    #[serde(default)]
    pub edited: bool,
    /// Id of what it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note_type: Option<u64>,
}

impl Note {
    /// One that everybody may read.
    pub fn new(
        id: NoteId,
        entry: impl Into<String>,
        author: Option<UserId>,
        date: Timestamp,
    ) -> Self {
        Self {
            id,
            entry: entry.into(),
            author,
            date,
            private: false,
            edited: false,
            note_type: None,
        }
    }
}

/// A file that a person attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Part of the key, not of the document.
    #[serde(skip)]
    pub id: AttachmentId,
    /// To what.
    pub owner: Owner,
    /// What it shows.
    pub title: String,
    /// The name under which it came.
    pub file_name: String,
    /// How many bytes it has.
    pub size: u64,
    /// When it came.
    pub created: Timestamp,
    /// From whom.
    pub by: UserId,
}

impl Attachment {
    /// The longest title and file name, in characters.
    pub const MAX_NAME: usize = 100;
}
