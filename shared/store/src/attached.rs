//! Notes and files, and what they are attached to.

use serde_json::json;
use tatami_domain::{Attachment, AttachmentId, Engagement, Note, NoteId, Owner, Test};

use crate::db::{Item, Table, corrupt, document, read_document, text_of};
use crate::{Entity, Result, Store, audit, keys};

/// How keys of the catalog name findings, which lie in a table of their own.
pub const FINDING_KIND: &str = "FINDING";

impl Entity for Attachment {
    type Id = AttachmentId;
    const KIND: &'static str = "FILE";
    const WORD: &'static str = "file";

    fn id(&self) -> AttachmentId {
        self.id
    }

    fn set_id(&mut self, id: AttachmentId) {
        self.id = id;
    }

    fn parent(&self) -> Option<(&'static str, u64)> {
        Some(kind_and_id(self.owner))
    }
}

fn kind_and_id(owner: Owner) -> (&'static str, u64) {
    match owner {
        Owner::Finding(id) => (FINDING_KIND, id.0),
        Owner::Engagement(id) => (Engagement::KIND, id.0),
        Owner::Test(id) => (Test::KIND, id.0),
    }
}

impl Store {
    /// The notes of something, oldest first.
    pub async fn notes(&self, of: impl Into<Owner>) -> Result<Vec<Note>> {
        let pk = keys::notes(of.into());
        let items = self.db.query(Table::Findings, &pk, None).await?;
        let read = |item: &Item| {
            let mut note: Note = read_document(item)?;
            let id = text_of(item, "sk").and_then(|sk| sk.parse().ok());
            note.id = NoteId(id.ok_or_else(|| corrupt(item, "its sort key is no id"))?);
            Ok(note)
        };
        items.iter().map(read).collect()
    }

    /// Adds a note to something and gives it with its id.
    pub async fn add_note(&self, to: impl Into<Owner>, mut note: Note) -> Result<Note> {
        let to = to.into();
        note.id = NoteId(self.next_ids("NOTE", 1).await?);
        let item = document(&keys::note(to, note.id), &note)?;
        self.db.put(Table::Findings, item, None, vec![]).await?;
        audit::note("note", note.id.0, None, audit::note_fields(to, &note));
        Ok(note)
    }

    /// Takes a note off.
    pub async fn remove_note(&self, from: impl Into<Owner>, note: NoteId) -> Result<()> {
        let from = from.into();
        let key = keys::note(from, note);
        self.db.delete(Table::Findings, &key).await?;
        audit::note("note", note.0, Some(json!({"of": from})), None);
        Ok(())
    }

    /// The files of something, by ascending id.
    pub async fn attachments(&self, of: impl Into<Owner>) -> Result<Vec<Attachment>> {
        let (kind, id) = kind_and_id(of.into());
        self.children(kind, id).await
    }
}
