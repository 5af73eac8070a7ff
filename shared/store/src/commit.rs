//! One transaction over findings: they, their claims, notes, the count delta, and the marker that it
//! was done.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::TransactWriteItem;
use tatami_domain::{
    Event, Finding, FindingId, ImportActions, ImportId, Note, NoteId, ProductId, RiskAcceptance,
    Test, TestId,
};

use crate::acceptances::accepting;
use crate::counts::Delta;
use crate::db::{ABSENT, Item, OPEN, PRESENT, Table, Transacted, document, number};
use crate::outbox::work_of;
use crate::{Claim, Entity as _, Result, Store, StoreError, audit, keys};

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
    /// It was so, and goes with these notes; only if nobody changed it meanwhile.
    Delete {
        /// As it was read.
        old: Box<Finding>,
        /// Its notes.
        notes: Vec<NoteId>,
    },
}

impl Change {
    /// A change that changes nothing: it only makes others who change the finding at the same time,
    /// or delete it, decide again.
    pub fn touch(finding: &Finding) -> Self {
        Self::Update {
            old: Box::new(finding.clone()),
            new: Box::new(finding.clone()),
        }
    }

    /// What was there before, and what is there after.
    pub fn sides(&self) -> (Option<&Finding>, Option<&Finding>) {
        match self {
            Self::Create(new) => (None, Some(new)),
            Self::Update { old, new } => (Some(old), Some(new)),
            Self::Delete { old, .. } => (Some(old), None),
        }
    }
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

/// Changes of findings of one product, all or none.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The product that all the findings belong to.
    pub product: ProductId,
    /// The findings, each once.
    pub changes: Vec<Change>,
    /// Claims as they shall be; only if nobody changed them meanwhile.
    pub claims: Vec<Claim>,
    /// New notes, with ids from [`Store::note_ids`].
    pub notes: Vec<(FindingId, Note)>,
    /// What there is to tell of it.
    pub events: Vec<Event>,
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
        let gone = self.changes.iter().map(|change| match change {
            Change::Delete { notes, .. } => notes.len(),
            Change::Create(_) | Change::Update { .. } => 0,
        });
        let notes = self.notes.len() + gone.sum::<usize>();
        let tests = match self.marker {
            Some(_) => 0,
            None => made_in(&self.changes).len(),
        };
        let accepting = accepting(&self.changes).len();
        // the count delta, the marker, and what follows for JIRA
        let others = 3 + 3 * self.events.len();
        self.changes.len() + self.claims.len() + notes + tests + accepting + others
    }
}

/// The tests that get new findings.
fn made_in(changes: &[Change]) -> BTreeSet<TestId> {
    let made = changes.iter().map(Change::sides);
    made.filter_map(|(old, new)| new.filter(|_| old.is_none()))
        .map(|new| new.test)
        .collect()
}

impl Store {
    /// Writes a commit, all or nothing.
    pub async fn commit(&self, commit: &Commit) -> Result<Committed> {
        let mut items = Vec::with_capacity(commit.items());
        for change in &commit.changes {
            items.push(self.change_in(change)?);
            if let Change::Delete { old, notes } = change {
                for note in notes {
                    let key = keys::note(old.id.into(), *note);
                    items.push(self.db.delete_in(Table::Findings, &key, PRESENT, vec![])?);
                }
            }
        }
        if commit.marker.is_none() {
            // What comes by hand comes into a test that is there; an import looks for its test after
            // it has written, which costs it no write.
            for test in made_in(&commit.changes) {
                let test = keys::entity(Test::KIND, test.0);
                items.push(self.db.check_in(Table::Catalog, &test, PRESENT)?);
            }
        }
        for acceptance in accepting(&commit.changes) {
            let key = keys::entity(RiskAcceptance::KIND, acceptance.0);
            items.push(self.db.check_in(Table::Catalog, &key, OPEN)?);
        }
        for claim in &commit.claims {
            items.push(self.claim_in(claim)?);
        }
        for (finding, note) in &commit.notes {
            let item = document(&keys::note((*finding).into(), note.id), note)?;
            items.push(self.db.put_in(Table::Findings, item, None, vec![])?);
        }
        if let Some(delta) = Delta::of(&commit.changes, self.today()) {
            let key = keys::count_delta(commit.product, &commit.unique);
            items.push(self.put_version(document(&key, &delta)?, 0)?);
        }
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
        let projects = self.jira_projects_lately().await?;
        let noted: BTreeSet<FindingId> = commit.notes.iter().map(|(id, _)| *id).collect();
        let work = work_of(commit.product, &commit.changes, &noted, &projects);
        if items.len() + usize::from(work.is_some()) + 3 * commit.events.len() > Commit::MAX_ITEMS {
            return Err(StoreError::Call {
                call: "TransactWriteItems",
                reason: format!("{} items are more than a transaction takes", items.len()),
            });
        }
        let work = work.into_iter().collect();
        let written = self.transact_telling(items, &commit.events, work);
        Ok(match written.await? {
            Transacted::Done => {
                audit::note_commit(commit);
                Committed::Yes
            }
            Transacted::Conflict(_) => Committed::Conflict,
        })
    }

    /// A claim as it shall be. One that nobody holds any more goes; one that nobody held and nobody will
    /// hold only has to stay so.
    fn claim_in(&self, claim: &Claim) -> Result<TransactWriteItem> {
        let key = keys::claim(claim.scope, &claim.key);
        match (claim.is_unheld(), claim.version) {
            (true, 0) => self.db.check_in(Table::Findings, &key, ABSENT),
            (true, version) => {
                let unchanged = vec![(":v", number(version))];
                self.db
                    .delete_in(Table::Findings, &key, "v = :v", unchanged)
            }
            (false, version) => self.put_version(claim.item()?, version),
        }
    }

    fn change_in(&self, change: &Change) -> Result<TransactWriteItem> {
        let (new, expected) = match change {
            Change::Create(new) => (new, 0),
            Change::Update { old, new } => (new, old.version),
            Change::Delete { old, .. } => {
                let unchanged = vec![(":v", number(old.version))];
                let key = keys::finding(old.id);
                return self
                    .db
                    .delete_in(Table::Findings, &key, "v = :v", unchanged);
            }
        };
        let mut item = document(&keys::finding(new.id), new)?;
        item.insert("v".into(), number(expected + 1));
        self.put_version(item, expected)
    }

    /// Puts an item into the table of findings on the condition that its version is still this one;
    /// 0: that there is none.
    fn put_version(&self, item: Item, expected: u64) -> Result<TransactWriteItem> {
        match expected {
            0 => self.db.put_in(Table::Findings, item, Some(ABSENT), vec![]),
            n => {
                let unchanged = vec![(":v", number(n))];
                self.db
                    .put_in(Table::Findings, item, Some("v = :v"), unchanged)
            }
        }
    }
}
