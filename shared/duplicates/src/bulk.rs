//! The same change to many findings: all or none, where one transaction takes them, else one after the
//! other. Doing it again does what is left.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Range;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tatami_blobs::{Blobs, done_key};
use tatami_domain::{
    BulkChange, BulkOutcome, Event, Finding, FindingGroupId, FindingId, Note, NoteId, Product,
    ProductId, RiskAcceptance, UserId, Work,
};
use tatami_store::{Change, Commit, Committed, FILE_KIND, FINDING_KIND, Store, StoreError};

use crate::tell::{critical_event, mention, turned_critical};
use crate::{Duplicates, Held, Result, TRIES, contention, moves, pause};

/// So many findings at most are changed in one transaction.
const TOGETHER: usize = 96;

/// What became of a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Which.
    pub id: FindingId,
    /// What.
    pub result: BulkOutcome,
    /// Why not, where it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Done {
    fn new(id: FindingId, result: BulkOutcome) -> Self {
        Self {
            id,
            result,
            message: None,
        }
    }
}

/// A change of some findings, as it would be written.
struct Planned {
    commit: Commit,
    done: Vec<Done>,
}

impl Duplicates<'_> {
    /// Changes findings of one product in one transaction, or says that it doesn't take them all, or that
    /// one of them cannot be changed so. Those who are `mentioned` in the note are told of it.
    pub async fn change_together(
        &self,
        ids: &[FindingId],
        change: &BulkChange,
        mentioned: &[UserId],
    ) -> Result<Option<Vec<Done>>> {
        let mut notes = None;
        for attempt in 0..TRIES {
            pause(attempt).await;
            let findings = self.store.findings(ids.iter().copied()).await?;
            let products: BTreeSet<ProductId> = findings.iter().map(|f| f.product).collect();
            let Some(product) = products.first().filter(|_| products.len() == 1) else {
                return Ok(None);
            };
            let notes = match &notes {
                Some(notes) => notes,
                None => notes.insert(self.bulk_notes(&findings, change).await?),
            };
            let mut planned = self.plan(*product, &findings, change, notes).await?;
            planned.commit.events = self.told(&planned.commit, mentioned).await?;
            let fits = planned.commit.items() <= Commit::MAX_ITEMS;
            let refused = |done: &Done| done.result == BulkOutcome::Refused;
            if !fits || findings.len() < ids.len() || planned.done.iter().any(refused) {
                return Ok(None);
            }
            if planned.commit.changes.is_empty()
                || self.store.commit(&planned.commit).await? == Committed::Yes
            {
                return Ok(Some(planned.done));
            }
        }
        Err(StoreError::Contention(format!("{} findings", ids.len())).into())
    }

    /// What there is to tell of changes that are made together.
    async fn told(&self, commit: &Commit, mentioned: &[UserId]) -> Result<Vec<Event>> {
        let now = Timestamp::now();
        let critical = turned_critical(&commit.changes);
        let critical = critical_event(self.store, &critical, None, &commit.unique, now);
        let first = commit.notes.first().and_then(|(id, note)| {
            let sides = commit.changes.iter().map(Change::sides);
            let finding = sides.filter_map(|(_, new)| new).find(|new| new.id == *id)?;
            let by = self.by.unwrap_or_default();
            mention(by, finding, note.id, &note.entry, mentioned, now)
        });
        Ok(critical.await?.into_iter().chain(first).collect())
    }

    /// Ids for the notes that a change leaves, one for each finding.
    pub async fn bulk_notes(
        &self,
        findings: &[Finding],
        change: &BulkChange,
    ) -> Result<HashMap<FindingId, NoteId>> {
        let mut by_product: BTreeMap<ProductId, Vec<FindingId>> = BTreeMap::new();
        for finding in findings.iter().filter(|_| change.note.is_some()) {
            by_product
                .entry(finding.product)
                .or_default()
                .push(finding.id);
        }
        let mut all = HashMap::new();
        for (product, ids) in by_product {
            let notes = self.store.note_ids(product, ids.clone()).await?;
            all.extend(ids.into_iter().zip(notes));
        }
        Ok(all)
    }

    /// Changes or deletes findings, as many at once as a transaction takes. `notes` are the ids of their
    /// notes, the same whenever it's done again. Says in their order what became of each.
    pub async fn change_all(
        &self,
        blobs: &Blobs,
        ids: &[FindingId],
        change: &BulkChange,
        notes: &HashMap<FindingId, NoteId>,
    ) -> Result<Vec<Done>> {
        if change.delete {
            let findings = self.store.findings(ids.iter().copied()).await?;
            let mut by_product: BTreeMap<ProductId, Vec<FindingId>> = BTreeMap::new();
            for finding in &findings {
                by_product
                    .entry(finding.product)
                    .or_default()
                    .push(finding.id);
            }
            for (_, ids) in by_product {
                Box::pin(self.delete_all(ids)).await?;
            }
            tidy(self.store, blobs, &findings).await?;
            let gone = ids.iter().map(|id| Done::new(*id, BulkOutcome::Deleted));
            return Ok(gone.collect());
        }
        let mut all: HashMap<FindingId, Done> = HashMap::with_capacity(ids.len());
        for some in ids.chunks(TOGETHER) {
            for done in Box::pin(self.change_some(some, change, notes)).await? {
                all.insert(done.id, done);
            }
        }
        let done = |id: &FindingId| {
            let known = all.remove(id);
            known.unwrap_or_else(|| Done::new(*id, BulkOutcome::Missing))
        };
        Ok(ids.iter().map(done).collect())
    }

    async fn change_some(
        &self,
        ids: &[FindingId],
        change: &BulkChange,
        notes: &HashMap<FindingId, NoteId>,
    ) -> Result<Vec<Done>> {
        let mut left: Vec<FindingId> = ids.to_vec();
        let mut all = Vec::new();
        let mut attempt = 0;
        let mut most = TOGETHER;
        while !left.is_empty() && attempt < TRIES {
            pause(attempt).await;
            let mut findings = self.store.findings(left.iter().copied()).await?;
            findings.sort_by_key(|finding| (finding.product, finding.id));
            let Some(product) = findings.first().map(|finding| finding.product) else {
                return Ok(all);
            };
            findings.retain(|finding| finding.product == product);
            findings.truncate(most);
            let planned = self.plan(product, &findings, change, notes).await?;
            if planned.commit.items() > Commit::MAX_ITEMS && most > 1 {
                most = (findings.len() / 2).max(1);
                continue;
            }
            if planned.commit.changes.is_empty()
                || self.store.commit(&planned.commit).await? == Committed::Yes
            {
                let done: HashSet<FindingId> = planned.done.iter().map(|done| done.id).collect();
                left.retain(|id| !done.contains(id));
                all.extend(planned.done);
                attempt = 0;
            } else {
                attempt += 1;
            }
        }
        match left.first() {
            Some(id) if attempt >= TRIES => Err(contention(*id)),
            _ => Ok(all),
        }
    }

    /// What a change makes of findings of one product.
    async fn plan(
        &self,
        product: ProductId,
        findings: &[Finding],
        change: &BulkChange,
        notes: &HashMap<FindingId, NoteId>,
    ) -> Result<Planned> {
        let simple = change.flags.risk_accepted == Some(true)
            && self
                .store
                .get::<Product>(product)
                .await
                .is_ok_and(|product| product.enable_simple_risk_acceptance);
        let now = Timestamp::now();
        let mut done = Vec::new();
        let mut changes = Vec::new();
        let mut written = Vec::new();
        let mut moving = Vec::new();
        let closed = self.closed(change).await?;
        for old in findings {
            let applied = if let Some(why) = &closed {
                Err(why.clone())
            } else {
                let applied = change.apply(old, simple, self.by, now);
                applied.map_err(|error| error.to_string())
            };
            let new = match applied {
                Ok(new) => new,
                Err(message) => {
                    done.push(Done {
                        message: Some(message),
                        ..Done::new(old.id, BulkOutcome::Refused)
                    });
                    continue;
                }
            };
            let note = match (&change.note, notes.get(&old.id)) {
                (Some(entry), Some(id)) => Some(Note::new(*id, entry.clone(), self.by, now)),
                _ => None,
            };
            if new == *old {
                let due = self.is_due(old.id, note.as_ref()).await?;
                // a risk acceptance leaves notes only on what it changes
                if !due || change.acceptance.is_some() {
                    let result = match note {
                        // by whoever was stopped before it could say so
                        Some(_) if !due => BulkOutcome::Changed,
                        _ => BulkOutcome::Unchanged,
                    };
                    done.push(Done::new(old.id, result));
                    continue;
                }
            }
            if moves(old, &new) {
                moving.push(old);
            }
            written.extend(note.map(|note| (old.id, note)));
            done.push(Done::new(old.id, BulkOutcome::Changed));
            changes.push(Change::Update {
                old: Box::new(old.clone()),
                new: Box::new(new),
            });
        }
        let held = Held::read(self.store, moving).await?;
        let commit = Commit {
            product,
            claims: held.settled(&changes),
            changes,
            notes: written,
            events: Vec::new(),
            marker: None,
            unique: format!("W{}", uuid::Uuid::new_v4().simple()),
        };
        Ok(Planned { commit, done })
    }

    /// Why the risk acceptance that findings shall come under takes none, where that is so.
    async fn closed(&self, change: &BulkChange) -> Result<Option<String>> {
        let Some(places) = change.acceptance.filter(|places| places.accepts()) else {
            return Ok(None);
        };
        let acceptance: RiskAcceptance = match self.store.get(places.id()).await {
            Err(error) if error.is_not_found() => return Ok(Some(error.to_string())),
            acceptance => acceptance?,
        };
        let taken = acceptance.takes_findings();
        Ok(taken.err().map(|error| error.to_string()))
    }

    /// Has a note still to be written?
    async fn is_due(&self, finding: FindingId, note: Option<&Note>) -> Result<bool> {
        let Some(note) = note else { return Ok(false) };
        let known = self.store.notes(finding).await?;
        Ok(known.iter().all(|own| own.id != note.id))
    }
}

/// A finding of a job, and the id of the note that it gets.
pub type Listed = (FindingId, Option<NoteId>);

/// Works off some of the findings of a job, and keeps what became of them. Each piece of the list is kept by
/// where it begins.
pub async fn work_off(
    duplicates: &Duplicates<'_>,
    blobs: &Blobs,
    work: &Work,
    listed: &[Listed],
    some: Range<usize>,
) -> Result<Vec<Done>> {
    let Work::Bulk { change, list } = work else {
        return Ok(Vec::new());
    };
    let start = some.start;
    let listed = listed.get(some).unwrap_or_default();
    let ids: Vec<FindingId> = listed.iter().map(|(id, _)| *id).collect();
    let notes = listed.iter().filter_map(|(id, note)| Some((*id, (*note)?)));
    let done = duplicates
        .change_all(blobs, &ids, change, &notes.collect())
        .await?;
    blobs.put_json(&done_key(list, start), &done).await?;
    Ok(done)
}

/// What became of the first so many findings of a job, in their order.
pub async fn worked_off(blobs: &Blobs, list: &str, done: usize) -> Result<Vec<Done>> {
    let mut all: Vec<Done> = Vec::new();
    while all.len() < done {
        let some: Vec<Done> = blobs.json(&done_key(list, all.len())).await?;
        if some.is_empty() {
            break;
        }
        all.extend(some);
    }
    Ok(all)
}

/// Removes what deleted findings leave behind: what lies below them, their own texts, and groups of which
/// they were the last.
pub async fn tidy(store: &Store, blobs: &Blobs, deleted: &[Finding]) -> Result<()> {
    for finding in deleted {
        remove_below(store, blobs, finding).await?;
    }
    let groups: BTreeSet<FindingGroupId> = deleted.iter().filter_map(|f| f.group).collect();
    for group in groups {
        store.remove_group(group, false).await?;
    }
    Ok(())
}

/// Removes what lies below a finding, and its own texts.
pub async fn remove_below(store: &Store, blobs: &Blobs, finding: &Finding) -> Result<()> {
    if !finding.endpoint_ids.is_empty() {
        store
            .forget_endpoint_statuses(finding.product, finding.id, None)
            .await?;
    }
    for (kind, id) in store.below(FINDING_KIND, finding.id.0).await? {
        if kind == FILE_KIND {
            blobs.remove_attachment(id.into()).await?;
        }
        store.cut(&kind, id).await?;
        store.unlink(FINDING_KIND, finding.id.0, &kind, id).await?;
    }
    if let Some(texts) = &finding.texts {
        blobs.remove_own_texts(texts).await?;
    }
    Ok(())
}
