//! One transaction over findings: they, their claims, notes, the count delta, and the marker that it
//! was done.

use tatami_domain::{Finding, FindingId, ImportActions, ImportId, Note, NoteId, ProductId, TestId};

use crate::counts::Delta;
use crate::db::{ABSENT, Table, Transacted, document, number};
use crate::{Claim, Result, Store, StoreError, keys};

/// What becomes of a finding.
#[derive(Debug, Clone)]
pub enum Change {
    /// It is new.
    Create(Box<Finding>),
    /// It was so, and becomes so; only if nobody changed it meanwhile.
    Update {
        /// As it was read.
        old: Box<Finding>,
        /// As it shall be.
        new: Box<Finding>,
    },
}

/// The note that a chunk of an import, or a closing, was done, with what it did. The second try
/// finds it there and changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Marker {
    /// A chunk of a part of an import.
    Chunk {
        /// Which import.
        import: ImportId,
        /// Which part.
        part: u64,
        /// Which chunk of the part.
        chunk: u32,
    },
    /// Some of the findings that an import closes at its end; what is closed already isn't closed
    /// again, so any unique text will do.
    Closing {
        /// Which import.
        import: ImportId,
        /// A unique text.
        unique: String,
    },
}

/// Changes of findings of one test, all or none.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The product.
    pub product: ProductId,
    /// The test that all the findings belong to.
    pub test: TestId,
    /// The findings.
    pub changes: Vec<Change>,
    /// Claims as they shall be; only if nobody changed them meanwhile.
    pub claims: Vec<Claim>,
    /// New notes, with ids from [`Store::note_ids`].
    pub notes: Vec<(FindingId, Note)>,
    /// For imports.
    pub marker: Option<(Marker, ImportActions)>,
    /// Names the count delta: unique among the product's.
    pub unique: String,
}

/// How a commit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// All of it is written.
    Yes,
    /// Somebody else was quicker: nothing is written; read again and decide again.
    Conflict,
}

impl Commit {
    /// DynamoDB takes at most this many items in a transaction.
    pub const MAX_ITEMS: usize = 100;

    /// How many items the transaction has.
    pub fn items(&self) -> usize {
        self.changes.len() + self.claims.len() + self.notes.len() + 2
    }

    fn delta(&self) -> Delta {
        let mut delta = Delta::new(self.test);
        for change in &self.changes {
            match change {
                Change::Create(new) => delta.add(None, new),
                Change::Update { old, new } => delta.add(Some(old), new),
            }
        }
        delta
    }
}

impl Store {
    /// Writes a commit, all or nothing.
    pub async fn commit(&self, commit: &Commit) -> Result<Committed> {
        let mut items = Vec::with_capacity(commit.items());
        for change in &commit.changes {
            let (finding, expected) = match change {
                Change::Create(new) => (new, 0),
                Change::Update { old, new } => (new, old.version),
            };
            let mut item = document(&keys::finding(finding.id), finding)?;
            item.insert("v".into(), number(expected + 1));
            items.push(match expected {
                0 => self
                    .db
                    .put_in(Table::Findings, item, Some(ABSENT), vec![])?,
                n => {
                    let unchanged = vec![(":v", number(n))];
                    self.db
                        .put_in(Table::Findings, item, Some("v = :v"), unchanged)?
                }
            });
        }
        for claim in &commit.claims {
            let item = claim.item()?;
            items.push(match claim.version {
                0 => self
                    .db
                    .put_in(Table::Findings, item, Some(ABSENT), vec![])?,
                n => {
                    let unchanged = vec![(":v", number(n))];
                    self.db
                        .put_in(Table::Findings, item, Some("v = :v"), unchanged)?
                }
            });
        }
        for (finding, note) in &commit.notes {
            let item = document(&keys::note(*finding, note.id), note)?;
            items.push(self.db.put_in(Table::Findings, item, None, vec![])?);
        }
        let delta_key = keys::count_delta(commit.product, &commit.unique);
        let delta = document(&delta_key, &commit.delta())?;
        items.push(
            self.db
                .put_in(Table::Findings, delta, Some(ABSENT), vec![])?,
        );
        if let Some((marker, actions)) = &commit.marker {
            let key = match marker {
                Marker::Chunk {
                    import,
                    part,
                    chunk,
                } => keys::import_chunk(*import, *part, *chunk),
                Marker::Closing { import, unique } => keys::import_closing(*import, unique),
            };
            let item = document(&key, actions)?;
            items.push(self.db.put_in(Table::Jobs, item, Some(ABSENT), vec![])?);
        }
        if items.len() > Commit::MAX_ITEMS {
            return Err(StoreError::Call {
                call: "TransactWriteItems",
                reason: format!("{} items are more than a transaction takes", items.len()),
            });
        }
        Ok(match self.db.transact(items).await? {
            Transacted::Done => Committed::Yes,
            Transacted::Conflict(_) => Committed::Conflict,
        })
    }

    /// Gives the ids for `n` new notes.
    pub async fn note_ids(&self, n: u64) -> Result<impl Iterator<Item = NoteId> + use<>> {
        let first = self.next_ids("NOTE", n).await?;
        Ok((first..first + n).map(NoteId))
    }
}
