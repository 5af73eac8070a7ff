//! Notes and files, and what they are attached to.
//!
//! A note lies with what it is attached to. Whose it is by its id, tells a list that is written where ids are
//! handed out, before the notes are: one item for all that get theirs at once. An id whose note was
//! never written, or is gone, stays in it and finds nothing.

use serde::{Deserialize, Serialize};
use serde_json::json;
use tatami_domain::{
    Attachment, AttachmentId, Engagement, Note, NoteId, Owner, ProductId, RiskAcceptance, Test,
};

use crate::catalog::{TRIES, pause};
use crate::db::{
    Item, PRESENT, Table, Transacted, Update, corrupt, document, read_document, text, text_of,
    to_json,
};
use crate::{Entity, Follows, Result, Store, StoreError, audit, keys};

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
        Owner::RiskAcceptance(id) => (RiskAcceptance::KIND, id.0),
    }
}

/// Where a note is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NotePlace {
    /// The note.
    pub id: NoteId,
    /// What it is attached to.
    pub owner: Owner,
    /// The product that this belongs to.
    pub product: ProductId,
}

/// Whose notes got ids at once, in the order of the ids.
#[derive(Debug, Serialize, Deserialize)]
struct NoteOwners {
    #[serde(rename = "p")]
    product: ProductId,
    #[serde(rename = "of")]
    owners: Vec<String>,
}

fn read_note(item: &Item) -> Result<Note> {
    let mut note: Note = read_document(item)?;
    let id = text_of(item, "sk").and_then(|sk| sk.parse().ok());
    note.id = NoteId(id.ok_or_else(|| corrupt(item, "its sort key is no id"))?);
    Ok(note)
}

fn read_places(item: &Item) -> Result<Vec<NotePlace>> {
    let NoteOwners { product, owners } = read_document(item)?;
    let first = text_of(item, "sk").and_then(|sk| sk.parse::<u64>().ok());
    let first = first.ok_or_else(|| corrupt(item, "its sort key is no id"))?;
    let place = |(id, owner): (u64, &String)| {
        let owner = keys::owner_of(owner).ok_or_else(|| corrupt(item, "an owner is unknown"))?;
        let id = NoteId(id);
        Ok(NotePlace { id, owner, product })
    };
    (first..).zip(&owners).map(place).collect()
}

impl Store {
    /// The notes of something, oldest first.
    pub async fn notes(&self, of: impl Into<Owner>) -> Result<Vec<Note>> {
        let pk = keys::notes(of.into());
        let items = self.db.query(Table::Findings, &pk, None).await?;
        items.iter().map(read_note).collect()
    }

    /// Gives the ids for new notes of these things of a product, one for each.
    pub async fn note_ids(
        &self,
        product: ProductId,
        of: Vec<impl Into<Owner>>,
    ) -> Result<Vec<NoteId>> {
        let mut owners: Vec<String> = of.into_iter().map(|of| keys::owner(of.into())).collect();
        if owners.is_empty() {
            return Ok(Vec::new());
        }
        let n = owners.len() as u64;
        let first = self.next_ids("NOTE", n).await?;
        for run in keys::id_runs(first, first + n) {
            let key = keys::note_owners(NoteId(run.start));
            let rest = owners.split_off(run.count());
            let some = std::mem::replace(&mut owners, rest);
            let some = NoteOwners {
                product,
                owners: some,
            };
            let item = document(&key, &some)?;
            self.db.put(Table::Findings, item, None, vec![]).await?;
        }
        Ok((first..first + n).map(NoteId).collect())
    }

    /// Adds a note to something of a product, with what follows from it, and gives it with its id.
    pub async fn add_note(
        &self,
        product: ProductId,
        to: impl Into<Owner>,
        mut note: Note,
        follows: impl FnOnce(&Note) -> Follows,
    ) -> Result<Note> {
        let to = to.into();
        for id in self.note_ids(product, vec![to]).await? {
            note.id = id;
        }
        let item = document(&keys::note(to, note.id), &note)?;
        let (table, owner) = match to {
            Owner::Finding(id) => (Table::Findings, keys::finding(id)),
            Owner::Engagement(id) => (Table::Catalog, keys::entity(Engagement::KIND, id.0)),
            Owner::Test(id) => (Table::Catalog, keys::entity(Test::KIND, id.0)),
            Owner::RiskAcceptance(id) => (Table::Catalog, keys::entity(RiskAcceptance::KIND, id.0)),
        };
        let items = vec![
            self.db.put_in(Table::Findings, item, None, vec![])?,
            self.db.check_in(table, &owner, PRESENT)?,
        ];
        let Follows { events, work } = follows(&note);
        for attempt in 0..TRIES {
            pause(attempt).await;
            let written = self.transact_telling(items.clone(), &events, work.clone());
            if written.await? == Transacted::Done {
                audit::note("note", note.id.0, None, audit::note_fields(to, &note));
                return Ok(note);
            }
            if self.db.get(table, &owner).await?.is_none() {
                return Err(StoreError::NotFound {
                    kind: match to {
                        Owner::Finding(_) => "finding",
                        Owner::Engagement(_) => Engagement::WORD,
                        Owner::Test(_) => Test::WORD,
                        Owner::RiskAcceptance(_) => RiskAcceptance::WORD,
                    },
                    id: owner.sk,
                });
            }
        }
        Err(StoreError::Contention(format!("notes of {to:?}")))
    }

    /// Writes a note that has its id from [`Store::note_ids`].
    pub async fn put_note(&self, to: impl Into<Owner>, note: &Note) -> Result<()> {
        let to = to.into();
        let item = document(&keys::note(to, note.id), note)?;
        self.db.put(Table::Findings, item, None, vec![]).await?;
        audit::note("note", note.id.0, None, audit::note_fields(to, note));
        Ok(())
    }

    /// Where all notes are, by ascending id; some of them may be gone.
    pub async fn note_places(&self) -> Result<Vec<NotePlace>> {
        let last = self.last_id("NOTE").await?;
        let partitions = keys::entity_blocks(last).map(keys::note_owners_block);
        let items = self.db.query_all(Table::Findings, partitions.collect());
        let mut places = Vec::new();
        for item in items.await?.iter().flatten() {
            places.extend(read_places(item)?);
        }
        self.hide_notes(places).await
    }

    /// Leaves out notes of what is gone.
    async fn hide_notes(&self, mut places: Vec<NotePlace>) -> Result<Vec<NotePlace>> {
        let gone = self.gone().await?;
        if gone.is_empty() {
            return Ok(places);
        }
        places.retain(|place| !gone.product(place.product));
        let in_part = |place: &&NotePlace| gone.tests_of(place.product).is_some();
        let unsure = places.iter().filter(in_part);
        let unsure = unsure.map(|place| kind_and_id(place.owner)).collect();
        let there = self.there(unsure, &gone).await?;
        places.retain(|place| {
            gone.tests_of(place.product).is_none() || there.contains(&kind_and_id(place.owner))
        });
        Ok(places)
    }

    /// Where a note is; it may be gone.
    pub async fn note_place(&self, id: NoteId) -> Result<Option<NotePlace>> {
        let partition = keys::note_owners_block(keys::id_block(id.0));
        for item in &self.db.query(Table::Findings, &partition, None).await? {
            let own = read_places(item)?.into_iter().find(|place| place.id == id);
            if let Some(own) = own {
                return Ok(self.hide_notes(vec![own]).await?.pop());
            }
        }
        Ok(None)
    }

    /// Those of the notes that are there, by ascending id.
    pub async fn notes_at(&self, places: &[NotePlace]) -> Result<Vec<Note>> {
        let keys = places.iter().map(|place| keys::note(place.owner, place.id));
        let items = self.db.get_many(Table::Findings, keys.collect()).await?;
        let mut notes: Vec<Note> = items.iter().map(read_note).collect::<Result<_>>()?;
        notes.sort_unstable_by_key(|note| note.id);
        Ok(notes)
    }

    /// Changes a note.
    pub async fn change_note<E: From<StoreError>>(
        &self,
        place: &NotePlace,
        change: impl Fn(&mut Note) -> Result<(), E>,
    ) -> Result<Note, E> {
        let key = keys::note(place.owner, place.id);
        for _ in 0..TRIES {
            let Some(item) = self.db.get(Table::Findings, &key).await? else {
                let id = place.id.to_string();
                return Err(StoreError::NotFound { kind: "note", id }.into());
            };
            let before = read_note(&item)?;
            let mut note = before.clone();
            change(&mut note)?;
            let old = text_of(&item, "d").unwrap_or_default();
            let update = Update {
                expression: "SET d = :d",
                condition: Some("d = :old"),
                values: vec![(":d", text(to_json(&key, &note)?)), (":old", text(old))],
            };
            match self.db.update(Table::Findings, &key, update).await {
                Ok(_) => {
                    let [before, after] =
                        [&before, &note].map(|note| audit::note_fields(place.owner, note));
                    audit::note("note", note.id.0, before, after);
                    return Ok(note);
                }
                Err(error) if error.is_condition() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Contention(format!("note {}", place.id)).into())
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
