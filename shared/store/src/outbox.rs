//! The outbox: work for the functions that speak with others. Each entry is written in the transaction of
//! the change that it follows from, is sent to its function's queue afterwards, and stays until that has
//! done it. What was written and never sent, because a process died in between, is found by its age.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::types::TransactWriteItem;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tatami_domain::{
    Event, EventKey, EventKind, Finding, FindingId, JiraObject, OutboxEntry, OutboxWork, ProductId,
};

use crate::db::{ABSENT, Table, Transacted, document, number, read_document};
use crate::jira::JiraProjects;
use crate::{Change, Result, Store, keys};

/// So many entries wait in memory to be sent; more are found in the table.
const PENDING: usize = 10_000;
/// So long events are kept, in seconds: 90 days.
const EVENTS_KEPT_S: i64 = 90 * 24 * 3600;

/// Entries that were written and not sent yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pending(Arc<Mutex<Vec<OutboxEntry>>>);

impl Pending {
    fn add(&self, entries: Vec<OutboxEntry>) {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = PENDING.saturating_sub(pending.len());
        pending.extend(entries.into_iter().take(room));
    }
}

/// What follows from a change, and is written with it.
#[derive(Debug, Clone, Default)]
pub struct Follows {
    /// What there is to tell of it.
    pub events: Vec<Event>,
    /// Work for others.
    pub work: Vec<OutboxWork>,
}

impl From<OutboxWork> for Follows {
    fn from(work: OutboxWork) -> Self {
        Self {
            events: Vec::new(),
            work: vec![work],
        }
    }
}

impl From<Option<Event>> for Follows {
    fn from(event: Option<Event>) -> Self {
        Self {
            events: event.into_iter().collect(),
            work: Vec::new(),
        }
    }
}

/// Where an event is kept.
pub fn key_of_event(event: &Event) -> EventKey {
    EventKey {
        day: event.time.to_zoned(TimeZone::UTC).date(),
        kind: event.kind,
        object: event.object,
        occasion: event.occasion.clone(),
    }
}

/// Do issues in JIRA get a comment about events of this kind?
fn concerns_jira(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::SlaDue | EventKind::RiskAcceptanceExpired | EventKind::RiskAcceptanceExpiring
    )
}

/// The findings among changes, or among those that get notes, whose issues may have to follow, or that may
/// have to get one.
pub(crate) fn for_jira(
    changes: &[Change],
    noted: &BTreeSet<FindingId>,
    projects: &JiraProjects,
) -> Vec<JiraObject> {
    let linked = |finding: Option<&Finding>| finding.is_some_and(|f| !f.jira.is_none());
    let pushed = |finding: Option<&Finding>| {
        finding.is_some_and(|f| {
            f.flags.active && !f.flags.duplicate && projects.pushes_all(f.product, f.engagement)
        })
    };
    (changes.iter().map(Change::sides))
        .filter(|(old, new)| old != new || new.is_some_and(|finding| noted.contains(&finding.id)))
        .filter(|(old, new)| linked(*old) || linked(*new) || pushed(*new))
        .filter_map(|(old, new)| new.or(old))
        .map(|finding| JiraObject::Finding(finding.id))
        .collect()
}

impl Store {
    /// Writes items with events that tell of them, and with work that follows; all or none.
    pub(crate) async fn transact_telling(
        &self,
        mut items: Vec<TransactWriteItem>,
        events: &[Event],
        work: Vec<OutboxWork>,
    ) -> Result<Transacted> {
        let mut all = work;
        for event in events {
            items.push(self.event_in(event)?);
            let key = key_of_event(event);
            if concerns_jira(event.kind) && self.jira_projects_lately().await?.of_any(event.product)
            {
                all.push(OutboxWork::JiraEvent(key.clone()));
            }
            all.push(OutboxWork::Notify(key));
        }
        let entries: Vec<OutboxEntry> = all.into_iter().map(|work| self.entry(work)).collect();
        for entry in &entries {
            let item = document(&keys::outbox(&entry.id), entry)?;
            items.push(self.db.put_in(Table::Jobs, item, Some(ABSENT), vec![])?);
        }
        let done = self.db.transact(items).await?;
        if done == Transacted::Done {
            self.outbox.add(entries);
        }
        Ok(done)
    }

    fn entry(&self, work: OutboxWork) -> OutboxEntry {
        let at = self.now().as_millisecond();
        OutboxEntry {
            id: keys::outbox_id(at, rand::random()),
            work,
        }
    }

    /// Tells of an event; `false` where that was done before.
    pub async fn tell(&self, event: &Event) -> Result<bool> {
        let events = std::slice::from_ref(event);
        loop {
            if self.transact_telling(vec![], events, vec![]).await? == Transacted::Done {
                return Ok(true);
            }
            if self.event(&key_of_event(event)).await?.is_some() {
                return Ok(false);
            }
        }
    }

    /// Puts work into the outbox that follows from no write.
    pub async fn add_to_outbox(&self, work: Vec<OutboxWork>) -> Result<()> {
        for some in work.chunks(crate::Commit::MAX_ITEMS) {
            while self.transact_telling(vec![], &[], some.to_vec()).await? != Transacted::Done {}
        }
        Ok(())
    }

    /// The event of a key.
    pub async fn event(&self, key: &EventKey) -> Result<Option<Event>> {
        let key = keys::event(key.day, key.kind.name(), key.object, &key.occasion);
        let item = self.db.get(Table::Jobs, &key).await?;
        item.as_ref().map(read_document).transpose()
    }

    /// The write of an event; a second one of the same occasion fails.
    fn event_in(&self, event: &Event) -> Result<TransactWriteItem> {
        let day = event.time.to_zoned(TimeZone::UTC).date();
        let key = keys::event(day, event.kind.name(), event.object, &event.occasion);
        let mut item = document(&key, event)?;
        let end = u64::try_from(event.time.as_second() + EVENTS_KEPT_S).unwrap_or(0);
        item.insert("ttl".into(), number(end));
        self.db.put_in(Table::Jobs, item, Some(ABSENT), vec![])
    }

    /// Takes what was written and not sent yet by this process.
    pub fn take_outbox(&self) -> Vec<OutboxEntry> {
        let mut pending = self.outbox.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *pending)
    }

    /// What has waited in the outbox for so long, oldest first: it was never sent, or is not done.
    pub async fn outbox(&self, waited: SignedDuration) -> Result<Vec<OutboxEntry>> {
        let before = keys::outbox_id((self.now() - waited).as_millisecond(), u64::MAX);
        let partitions = keys::outbox_partitions();
        let mut entries: Vec<OutboxEntry> = Vec::new();
        for items in self.db.query_all(Table::Jobs, partitions).await? {
            let read: Result<Vec<OutboxEntry>> = items.iter().map(read_document).collect();
            entries.extend(read?.into_iter().filter(|entry| entry.id <= before));
        }
        entries.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        Ok(entries)
    }

    /// Work is done.
    pub async fn done(&self, entry: &OutboxEntry) -> Result<()> {
        self.db.delete(Table::Jobs, &keys::outbox(&entry.id)).await
    }

    /// For how long work has waited.
    pub fn waited(&self, entry: &OutboxEntry) -> SignedDuration {
        let at = keys::outbox_time(&entry.id);
        let at = at.and_then(|at| Timestamp::from_millisecond(at).ok());
        at.map_or(SignedDuration::ZERO, |at| self.now().duration_since(at))
    }

    /// Is this work still to be done?
    pub async fn is_waiting(&self, entry: &OutboxEntry) -> Result<bool> {
        let found = self.db.get(Table::Jobs, &keys::outbox(&entry.id)).await?;
        Ok(found.is_some())
    }

    /// The time by this store's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// The work that follows from changes of findings of a product.
pub(crate) fn work_of(
    product: ProductId,
    changes: &[Change],
    noted: &BTreeSet<FindingId>,
    projects: &JiraProjects,
) -> Option<OutboxWork> {
    let objects = for_jira(changes, noted, projects);
    (!objects.is_empty()).then_some(OutboxWork::Jira { product, objects })
}
