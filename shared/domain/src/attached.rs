use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{AttachmentId, EngagementId, FindingId, NoteId, RiskAcceptanceId, TestId, UserId};

/// What notes and files are attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Owner {
    Finding(FindingId),
    Engagement(EngagementId),
    Test(TestId),
    RiskAcceptance(RiskAcceptanceId),
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
    /// Who edited it last, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub editor: Option<UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit_time: Option<Timestamp>,
    /// What it said before, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<NoteVersion>,
    /// Id of what it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note_type: Option<u64>,
}

/// What a note said before it was edited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct NoteVersion {
    pub entry: String,
    /// Who had written it.
    pub author: Option<UserId>,
    /// Since when it said so.
    pub time: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note_type: Option<u64>,
}

impl Note {
    /// The longest text, in characters.
    pub const MAX_ENTRY: usize = 65_536;
    /// How many bytes of earlier texts are kept; the oldest go first.
    const MAX_HISTORY: usize = 65_536;

    /// Lets it say something else, and keeps what it said.
    pub fn rewrite(&mut self, entry: &str, by: UserId, now: Timestamp) {
        if self.entry == entry {
            return;
        }
        let before = NoteVersion {
            entry: std::mem::replace(&mut self.entry, entry.to_owned()),
            author: self.editor.or(self.author),
            time: self.edit_time.unwrap_or(self.date),
            note_type: self.note_type,
        };
        self.history.push(before);
        let mut bytes = 0;
        let kept = self.history.iter().rev().take_while(|version| {
            bytes += version.entry.len();
            bytes <= Self::MAX_HISTORY
        });
        let spare = self.history.len() - kept.count();
        self.history.drain(..spare);
        self.edited = true;
        self.editor = Some(by);
        self.edit_time = Some(now);
    }

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
            editor: None,
            edit_time: None,
            history: Vec::new(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_knows_what_it_said_before() {
        let second = |n| Timestamp::from_second(n).unwrap();
        let mut note = Note::new(NoteId(1), "a", Some(UserId(1)), second(1));
        note.rewrite("a", UserId(2), second(2));
        assert!(!note.edited, "nothing was changed");
        note.rewrite("b", UserId(2), second(3));
        note.rewrite("c", UserId(3), second(4));
        let before: Vec<_> = (note.history.iter())
            .map(|version| (&*version.entry, version.author.unwrap().0, version.time))
            .collect();
        assert_eq!(before, [("a", 1, second(1)), ("b", 2, second(3))]);
        assert_eq!((&*note.entry, note.editor), ("c", Some(UserId(3))));
        let long = "x".repeat(Note::MAX_HISTORY);
        note.rewrite(&long, UserId(1), second(5));
        note.rewrite("d", UserId(1), second(6));
        assert_eq!(note.history.len(), 1, "the long one leaves no room");
        note.rewrite("e", UserId(1), second(7));
        assert_eq!(note.history[0].entry, "d");
    }
}
