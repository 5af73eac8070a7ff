//! What people do to findings and their duplicates by hand: link, reset, set the original, merge,
//! delete, and see why. [`Duplicates`] does all of it over the store.
//!
//! - A duplicate points to an original, never to another duplicate. Where a cluster is larger than one
//!   transaction takes, its original changes first and its other duplicates follow, chunk by chunk;
//!   until then a chain leads to the right original, and every operation on the cluster ends it.
//! - Clusters stay within a product and a scope; there are no loops.
//! - Each transaction also writes the claims of the keys of what it changes, so that an import that
//!   comes at the same time decides again, and one that comes later finds the right original. Whoever
//!   makes something point to an original touches that original, so that nobody deletes it meanwhile.
//! - Any operation may be cut off between two transactions; the same call again does what is left.

mod acceptances;
mod bulk;
mod cluster;
mod delete;
mod explain;
mod held;
mod link;
mod merge;
mod state;
mod tell;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tatami_blobs::BlobError;
use tatami_dedup_rules::{may_be_original, share_a_place};
use tatami_domain::{Finding, FindingId, Note, ProductId, UserId};
use tatami_store::{Change, Commit, Sight, Store, StoreError};

pub use acceptances::{acceptance_change, acceptance_job, begin_end, ending_job, expiring, finish};
pub use bulk::{Done, Listed, remove_below, tidy, work_off, worked_off};
pub use cluster::Clusters;
pub use explain::{Candidate, Explanation};
pub use held::{Held, moves};
pub use merge::{MarkAs, Merge};
pub use state::{as_duplicate, as_original};
pub use tell::{
    About, JobTold, critical_event, is_critical, keep_told, mention, named, tell_of_job,
    title_of_test, turned_critical,
};

/// How often an operation is decided anew when others change the same findings.
const TRIES: u32 = 25;
/// How often a chain that looks broken is looked at again.
const LOOKS: u32 = 4;
/// So many duplicates at most follow their original in one transaction.
const CHUNK: usize = 48;

/// Why an operation is refused.
#[derive(Debug, thiserror::Error)]
pub enum DuplicateError {
    /// A finding and itself.
    #[error("finding {0} cannot be a duplicate of itself: name another one")]
    Itself(FindingId),
    /// The original is a duplicate of the finding.
    #[error(
        "finding {original} is a duplicate of finding {finding} already: to swap them, set the \
         original with POST /api/v2/findings/{finding}/original/{original}/"
    )]
    Loop {
        /// What should become a duplicate.
        finding: FindingId,
        /// Of what.
        original: FindingId,
    },
    /// Duplicates stay within a product.
    #[error(
        "findings {0} and {1} belong to different products: duplicates stay within one product"
    )]
    OtherProduct(FindingId, FindingId),
    /// Duplicates stay within an engagement that is deduplicated alone.
    #[error(
        "findings {0} and {1} are not deduplicated together: the engagement of one of them is \
         deduplicated alone (deduplication_on_engagement)"
    )]
    OtherScope(FindingId, FindingId),
    /// It is marked as a duplicate, and of what is not known.
    #[error("finding {0} is a duplicate of nothing that exists: reset its duplicate status first")]
    Orphan(FindingId),
    /// The store cannot.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The texts cannot be read or written.
    #[error(transparent)]
    Blobs(#[from] BlobError),
}

/// Result of an operation.
pub type Result<T, E = DuplicateError> = std::result::Result<T, E>;

/// The operations, as somebody does them.
#[derive(Debug, Clone, Copy)]
pub struct Duplicates<'a> {
    store: &'a Store,
    by: Option<UserId>,
}

impl<'a> Duplicates<'a> {
    /// Operations over a store; `by` signs the notes about them.
    pub fn new(store: &'a Store, by: Option<UserId>) -> Self {
        Self { store, by }
    }

    /// Who does it.
    pub fn by(&self) -> Option<UserId> {
        self.by
    }

    /// The duplicates of a product, as of now.
    pub async fn clusters(&self, product: ProductId) -> Result<Clusters> {
        let mut clusters = Clusters::default();
        let see = |finding: &Arc<Finding>| clusters.add(finding);
        self.store.visit(Sight::Products(&[product]), see).await?;
        Ok(clusters)
    }

    /// The other findings of its cluster, by ascending id.
    pub async fn others(&self, finding: &Finding) -> Result<Vec<Finding>> {
        let clusters = self.clusters(finding.product).await?;
        let root = clusters.root(finding.id);
        let mut others: Vec<Finding> = (clusters.members(root))
            .filter(|other| other.id != finding.id)
            .cloned()
            .collect();
        if root != finding.id {
            others.extend(self.store.findings([root]).await?);
        }
        others.sort_by_key(|other| other.id);
        Ok(others)
    }

    /// The earliest other original that a finding is a duplicate of by its keys and its endpoints.
    /// `held` are its claims; they have to be written with what is decided.
    pub async fn original_by_keys(
        &self,
        held: &Held,
        finding: &Finding,
    ) -> Result<Option<Finding>> {
        let mut wanted = held.originals();
        wanted.remove(&finding.id);
        let originals = self.store.findings(wanted).await?;
        Ok(earliest_original(finding, originals))
    }

    /// The original at the end of the chain; the finding itself where it's no duplicate.
    async fn root_of(&self, finding: FindingId) -> Result<Finding> {
        for attempt in 0.. {
            pause(attempt).await;
            match self.follow(finding).await {
                // a chain that changes while it is followed looks broken
                Err(DuplicateError::Orphan(_)) if attempt < LOOKS => {}
                other => return other,
            }
        }
        Err(DuplicateError::Orphan(finding))
    }

    async fn follow(&self, finding: FindingId) -> Result<Finding> {
        let mut root = self.store.finding(finding).await?;
        let mut passed = vec![root.id];
        while let Some(next) = root.duplicate_finding {
            if passed.contains(&next) {
                return Err(DuplicateError::Orphan(root.id));
            }
            root = match self.store.finding(next).await {
                Err(error) if error.is_not_found() => return Err(DuplicateError::Orphan(root.id)),
                other => other?,
            };
            passed.push(next);
        }
        if root.flags.duplicate {
            return Err(DuplicateError::Orphan(root.id));
        }
        Ok(root)
    }

    async fn notes(
        &self,
        product: ProductId,
        texts: &[(FindingId, String)],
        now: Timestamp,
    ) -> Result<Vec<(FindingId, Note)>> {
        let owners = texts.iter().map(|(finding, _)| *finding).collect();
        let ids = self.store.note_ids(product, owners).await?;
        let note = |((finding, entry), id): (&(FindingId, String), _)| {
            (*finding, Note::new(id, entry.clone(), self.by, now))
        };
        Ok(texts.iter().zip(ids).map(note).collect())
    }
}

/// A commit of changes that go together and of as many of the others as fit. What is among the first
/// already has changed since the others were looked up; then the commit will not succeed anyway.
fn fitting(
    product: ProductId,
    held: &Held,
    together: &[Change],
    others: &[Change],
    notes: Vec<(FindingId, Note)>,
) -> Commit {
    let mut commit = Commit {
        product,
        changes: Vec::new(),
        claims: Vec::new(),
        notes,
        events: Vec::new(),
        marker: None,
        unique: format!("D{}", uuid::Uuid::new_v4().simple()),
    };
    let id = |change: &Change| match change.sides() {
        (Some(finding), _) | (None, Some(finding)) => Some(finding.id),
        (None, None) => None,
    };
    let others: Vec<Change> = (others.iter())
        .filter(|other| together.iter().all(|change| id(change) != id(other)))
        .cloned()
        .collect();
    let mut n = others.len().min(CHUNK);
    loop {
        commit.changes = [together, &others[..n]].concat();
        commit.claims = held.settled(&commit.changes);
        if n == 0 || commit.items() <= Commit::MAX_ITEMS {
            return commit;
        }
        n /= 2;
    }
}

fn update(old: &Finding, new: Finding) -> Change {
    Change::Update {
        old: Box::new(old.clone()),
        new: Box::new(new),
    }
}

/// Makes a duplicate point to an original.
fn repoint(finding: &Finding, original: FindingId) -> Change {
    let mut new = finding.clone();
    new.duplicate_finding = Some(original);
    update(finding, new)
}

fn earliest_original(
    finding: &Finding,
    originals: impl IntoIterator<Item = Finding>,
) -> Option<Finding> {
    (originals.into_iter())
        .filter(may_be_original)
        .filter(|original| share_a_place(&original.endpoint_places, &finding.endpoint_places))
        .min_by_key(|original| original.id)
}

fn same_product(a: &Finding, b: &Finding) -> Result<()> {
    if a.product == b.product {
        Ok(())
    } else {
        Err(DuplicateError::OtherProduct(a.id, b.id))
    }
}

/// Within one engagement any two may be duplicates, however it was set when they came.
fn same_scope(held: &Held, a: &Finding, b: &Finding) -> Result<()> {
    if a.engagement == b.engagement || held.scope(a.id) == held.scope(b.id) {
        Ok(())
    } else {
        Err(DuplicateError::OtherScope(a.id, b.id))
    }
}

fn contention(finding: FindingId) -> DuplicateError {
    StoreError::Contention(format!("finding {finding}")).into()
}

/// Waits before another try, longer each time; not before the first.
async fn pause(attempt: u32) {
    if attempt == 0 {
        return;
    }
    let most = 10u64 << attempt.min(6);
    let millis = most / 2 + rand::random_range(0..=most / 2);
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

#[cfg(test)]
mod tests {
    use tatami_domain::Flags;

    use super::*;

    #[test]
    fn the_earliest_original_that_is_open_and_at_the_same_place_wins() {
        let at = |id: u64, place: u32, mitigated: bool| Finding {
            id: FindingId(id),
            endpoint_places: vec![place],
            flags: Flags {
                active: !mitigated,
                is_mitigated: mitigated,
                ..Flags::OPEN
            },
            ..Finding::default()
        };
        let new = at(9, 1, false);
        let all = [
            at(4, 1, false),
            at(3, 1, false),
            at(2, 2, false),
            at(1, 1, true),
        ];
        let found = earliest_original(&new, all).map(|original| original.id);
        assert_eq!(found, Some(FindingId(3)));
        assert!(earliest_original(&new, [at(2, 2, false)]).is_none());
    }
}
