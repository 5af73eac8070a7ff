//! The audit log: an append-only chain of what requests changed.
//!
//! A request that may change something runs inside [`Record::watch`]. Its first write is preceded by an
//! entry that it has begun, so nothing is changed that the log doesn't know of, and what it writes is
//! noted where it's written, in this crate. At the end the entry goes into the chain, in one transaction
//! with the chain's head; entries of requests that broke off follow when they are old enough.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use tatami_domain::{AuditChange, AuditEntry, UserId};
use tokio::sync::OnceCell;

use crate::db::{
    ABSENT, Db, Item, PRESENT, Table, Transacted, corrupt, key_item, number, number_of,
    read_document, text, text_of, to_json,
};
use crate::keys::Key;
use crate::{Change, Commit, Entity, Result, Store, keys};

/// How many entries lie together: see [`Store::audit_block`].
pub const AUDIT_BLOCK: u64 = keys::CATALOG_BLOCK;

/// An entry whose request began so long ago belongs to one that broke off.
const BROKEN_OFF: SignedDuration = SignedDuration::from_mins(20);
/// How often an entry is tried to be put into the chain while others put theirs.
const TRIES: usize = 8;
/// Most entries that go into the chain at once; each takes two items of a transaction, the head one.
const AT_ONCE: usize = 40;
/// Most bytes of them, well below the 4 MB of a transaction.
const BYTES_AT_ONCE: usize = 2_000_000;
/// An entry larger than this doesn't say which fields changed; an item takes 400 kB.
const MAX_ENTRY: usize = 300_000;

tokio::task_local! {
    static WATCHED: Arc<Watched>;
}

#[derive(Debug)]
struct Watched {
    entry: Mutex<AuditEntry>,
    begun: OnceCell<Key>,
}

impl Watched {
    fn entry(&self) -> AuditEntry {
        let entry = self.entry.lock().unwrap_or_else(PoisonError::into_inner);
        entry.clone()
    }

    fn change(&self, change: impl FnOnce(&mut AuditEntry)) {
        change(&mut self.entry.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The record of one request while it runs.
#[derive(Debug)]
pub struct Record(Arc<Watched>);

/// Where the chain ends.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct AuditHead {
    /// How many entries there are.
    pub count: u64,
    /// Hex SHA-256 of the last one's text; empty where there is none.
    pub sha256: String,
}

/// An entry that doesn't follow from the one before: something was changed, taken out or put in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the audit log is broken at entry {id}: {why}")]
pub struct Broken {
    /// The first entry that's wrong.
    pub id: u64,
    /// What is wrong about it.
    pub why: String,
}

impl AuditHead {
    /// Goes on by one entry, which must follow from the ones before.
    pub fn follow(&mut self, text: &str) -> Result<AuditEntry, Broken> {
        let id = self.count + 1;
        let broken = |why: String| Broken { id, why };
        let entry: AuditEntry =
            serde_json::from_str(text).map_err(|e| broken(format!("it can't be read: {e}")))?;
        if entry.id != id {
            return Err(broken(format!("number {} stands in its place", entry.id)));
        }
        if entry.previous != self.sha256 {
            let why = format!(
                "it names {} as the SHA-256 of the entry before, which is {}",
                entry.previous, self.sha256
            );
            return Err(broken(why));
        }
        self.count = id;
        self.sha256 = digest(text);
        Ok(entry)
    }
}

impl Record {
    /// Of a request that this entry describes, as far as that's known now.
    pub fn new(entry: AuditEntry) -> Self {
        Self(Arc::new(Watched {
            entry: Mutex::new(entry),
            begun: OnceCell::new(),
        }))
    }

    /// Runs what the request does, and notes what it changes.
    pub async fn watch<T>(&self, work: impl Future<Output = T>) -> T {
        WATCHED.scope(Arc::clone(&self.0), work).await
    }

    /// Has anything been written?
    pub fn has_begun(&self) -> bool {
        self.0.begun.initialized()
    }
}

/// Says who it is that signs in by the request that runs now.
pub fn acted_by(user: UserId, username: &str) {
    let _ = WATCHED.try_with(|watched| {
        watched.change(|entry| {
            entry.user = Some(user);
            entry.username = Some(username.to_owned());
        });
    });
}

/// To be called before each write.
pub(crate) async fn begin(db: &Db) -> Result<()> {
    let Ok(watched) = WATCHED.try_with(Arc::clone) else {
        return Ok(());
    };
    let write = || async {
        let entry = watched.entry();
        let key = keys::audit_open(entry.time, &entry.request_id);
        let item = crate::db::document(&key, &entry)?;
        db.put_unseen(Table::Catalog, item, None, vec![]).await?;
        Ok(key)
    };
    watched.begun.get_or_try_init(write).await.map(drop)
}

/// Is anybody to be told of changes?
pub(crate) fn is_watching() -> bool {
    WATCHED.try_with(|_| ()).is_ok()
}

/// Notes what became of a thing.
pub(crate) fn note(object: &str, id: u64, before: Option<Value>, after: Option<Value>) {
    note_but(object, id, || (before, after), &[]);
}

/// Notes what became of an entity.
pub(crate) fn note_entity<T: Entity>(before: Option<&T>, after: Option<&T>) {
    let Some(id) = after.or(before).map(|entity| entity.id().into()) else {
        return;
    };
    let value = |entity: &T| serde_json::to_value(entity).ok();
    let sides = || (before.and_then(value), after.and_then(value));
    note_but(T::WORD, id, sides, T::PRIVATE);
}

/// Notes what became of findings.
pub(crate) fn note_commit(commit: &Commit) {
    let fields = |finding: &tatami_domain::Finding| Value::Object(finding.audited());
    for change in &commit.changes {
        let sides = || match change {
            Change::Create(new) => (None, Some(fields(new))),
            Change::Update { old, new } => (Some(fields(old)), Some(fields(new))),
            Change::Delete { old, .. } => (Some(fields(old)), None),
        };
        let (old, new) = change.sides();
        let id = new.or(old).map_or(0, |finding| finding.id.0);
        note_but("finding", id, sides, &[]);
    }
    for (finding, entry) in &commit.notes {
        let fields = || (None, note_fields(*finding, entry));
        note_but("note", entry.id.0, fields, &[]);
    }
}

/// A note with what it's about.
pub(crate) fn note_fields(
    of: impl Into<tatami_domain::Owner>,
    note: &tatami_domain::Note,
) -> Option<Value> {
    let mut fields = serde_json::to_value(note).ok()?;
    fields["of"] = serde_json::to_value(of.into()).ok()?;
    Some(fields)
}

pub(crate) fn note_but(
    object: &str,
    id: u64,
    sides: impl FnOnce() -> (Option<Value>, Option<Value>),
    private: &[&str],
) {
    let _ = WATCHED.try_with(|watched| {
        let (before, after) = sides();
        let [before, after] = [before, after].map(|side| side.map(as_object));
        let change = AuditChange::new(object, id, before, after, private);
        watched.change(|entry| entry.changes.extend(change));
    });
}

fn as_object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => Map::from_iter([("value".to_owned(), other)]),
    }
}

/// Hex SHA-256 of an entry's text.
fn digest(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// An entry without what would make it too large.
fn fitting(mut entry: AuditEntry) -> AuditEntry {
    let size = |entry: &AuditEntry| serde_json::to_vec(entry).map_or(0, |bytes| bytes.len());
    if size(&entry) > MAX_ENTRY {
        for change in &mut entry.changes {
            change.fields.clear();
        }
    }
    // some thousands of things: the first of them
    while size(&entry) > MAX_ENTRY {
        entry.changes.truncate(entry.changes.len() / 2);
    }
    entry
}

/// What is waiting to go into the chain.
struct Waiting {
    key: Key,
    entry: AuditEntry,
    /// Is there an item of it?
    open: bool,
}

impl Store {
    /// Ends the record of a request that was answered with this status. Nothing is kept of one that
    /// changed nothing.
    pub async fn end_record(&self, record: Record, status: u16) -> Result<()> {
        let Some(key) = record.0.begun.get() else {
            return Ok(());
        };
        let mut entry = record.0.entry();
        if entry.changes.is_empty() && status >= 400 {
            return self.db.delete(Table::Catalog, key).await;
        }
        entry.status = Some(status);
        let entry = fitting(entry);
        for n in 0..TRIES {
            if self.chain(Some((key, &entry))).await? {
                return Ok(());
            }
            pause(n).await;
        }
        // whoever comes next takes it along
        let item = crate::db::document(key, &entry)?;
        self.db.put_unseen(Table::Catalog, item, None, vec![]).await
    }

    /// Puts everything into the chain that has ended or broken off, so that a reader sees it.
    pub async fn complete_audit(&self) -> Result<()> {
        for n in 0..TRIES {
            if self.chain(None).await? {
                return Ok(());
            }
            pause(n).await;
        }
        Ok(())
    }

    /// Appends an entry, and those that wait. `false` where somebody else was quicker, or there is more
    /// to do.
    async fn chain(&self, own: Option<(&Key, &AuditEntry)>) -> Result<bool> {
        let items = self.db.query(Table::Catalog, keys::AUDIT_OPEN, None);
        let (head, mut waiting) = opened(items.await?)?;
        if let Some((key, entry)) = own {
            let open = waiting.iter().position(|w| w.key == *key);
            let open = open.map(|at| waiting.remove(at)).is_some();
            let own = Waiting {
                key: key.clone(),
                entry: entry.clone(),
                open,
            };
            waiting.insert(0, own);
        }
        let ended = |w: &Waiting| w.entry.status.is_some() || is_broken_off(&w.entry);
        waiting.retain(ended);
        if waiting.is_empty() {
            return Ok(true);
        }
        let all = waiting.len();
        let mut items = Vec::new();
        let (mut count, mut previous) = (head.count, head.sha256.clone());
        let mut bytes = 0;
        for Waiting { key, entry, open } in waiting.into_iter().take(AT_ONCE) {
            count += 1;
            let entry = AuditEntry {
                id: count,
                previous,
                ..entry
            };
            let at = keys::audit_entry(count);
            let document = to_json(&at, &entry)?;
            previous = digest(&document);
            bytes += document.len();
            let mut item = key_item(&at);
            item.insert("d".into(), text(document));
            items.push(self.db.put_in(Table::Catalog, item, Some(ABSENT), vec![])?);
            if open {
                items.push((self.db).delete_in(Table::Catalog, &key, PRESENT, vec![])?);
            }
            if bytes > BYTES_AT_ONCE {
                break;
            }
        }
        let done = count - head.count == all as u64;
        let mut item = key_item(&keys::audit_head());
        item.insert("n".into(), number(count));
        item.insert("d".into(), text(previous));
        let put = match head.count {
            0 => self.db.put_in(Table::Catalog, item, Some(ABSENT), vec![])?,
            n => {
                let unchanged = vec![(":n", number(n))];
                (self.db).put_in(Table::Catalog, item, Some("n = :n"), unchanged)?
            }
        };
        items.push(put);
        let chained = self.db.transact(items).await? == Transacted::Done;
        // the own entry is the first, so it's in the chain even where others are left
        Ok(chained && (done || own.is_some()))
    }

    /// Where the chain ends.
    pub async fn audit_head(&self) -> Result<AuditHead> {
        let item = self.db.get(Table::Catalog, &keys::audit_head()).await?;
        let (head, _) = opened(item.into_iter().collect())?;
        Ok(head)
    }

    /// The texts of the entries with the ids `block * AUDIT_BLOCK` and up, in their order.
    pub async fn audit_block(&self, block: u64) -> Result<Vec<String>> {
        let pk = keys::audit_block(block);
        let items = self.db.query(Table::Catalog, &pk, None).await?;
        let document = |item: &Item| text_of(item, "d").unwrap_or_default().to_owned();
        Ok(items.iter().map(document).collect())
    }

    /// The text of one entry; none where there is no such.
    pub async fn audit_entry(&self, id: u64) -> Result<Option<String>> {
        let item = self.db.get(Table::Catalog, &keys::audit_entry(id)).await?;
        Ok(item.and_then(|item| text_of(&item, "d").map(str::to_owned)))
    }
}

/// The chain's head, and what isn't in the chain yet.
fn opened(items: Vec<Item>) -> Result<(AuditHead, Vec<Waiting>)> {
    let head_key = keys::audit_head();
    let mut head = AuditHead::default();
    let mut waiting = Vec::new();
    for item in items {
        let sk = text_of(&item, "sk").unwrap_or_default();
        if sk == head_key.sk {
            head.count = number_of(&item, "n").ok_or_else(|| corrupt(&item, "no count"))?;
            text_of(&item, "d")
                .unwrap_or_default()
                .clone_into(&mut head.sha256);
            continue;
        }
        waiting.push(Waiting {
            key: Key {
                pk: keys::AUDIT_OPEN.into(),
                sk: sk.to_owned(),
            },
            entry: read_document(&item)?,
            open: true,
        });
    }
    Ok((head, waiting))
}

fn is_broken_off(entry: &AuditEntry) -> bool {
    Timestamp::now().duration_since(entry.time) > BROKEN_OFF
}

/// Lets others finish; who waits together doesn't go on together.
async fn pause(n: usize) {
    let most = 10 << n.min(5);
    let pause = rand::random_range(1..=most);
    tokio::time::sleep(Duration::from_millis(pause)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> Vec<String> {
        let mut head = AuditHead::default();
        let mut texts = Vec::new();
        for n in 1..=5 {
            let entry = AuditEntry {
                id: n,
                path: format!("/api/v2/findings/{n}"),
                previous: head.sha256.clone(),
                ..AuditEntry::default()
            };
            let text = serde_json::to_string(&entry).unwrap();
            head.follow(&text).unwrap();
            texts.push(text);
        }
        texts
    }

    fn broken_at(texts: &[String]) -> Option<u64> {
        let mut head = AuditHead::default();
        let found = texts.iter().find_map(|text| head.follow(text).err());
        found.map(|broken| broken.id)
    }

    #[test]
    fn what_is_changed_taken_out_or_put_in_is_found() {
        let whole = texts();
        assert_eq!(broken_at(&whole), None);
        let mut changed = whole.clone();
        changed[1] = changed[1].replace("findings/2", "findings/9");
        assert_eq!(broken_at(&changed), Some(3));
        let mut out = whole.clone();
        out.remove(2);
        assert_eq!(broken_at(&out), Some(3));
        let mut twice = whole.clone();
        twice.insert(3, whole[2].clone());
        assert_eq!(broken_at(&twice), Some(4));
        let mut unread = whole;
        unread[4] = "{".into();
        assert_eq!(broken_at(&unread), Some(5));
    }

    #[test]
    fn an_entry_always_fits_into_an_item() {
        let change = AuditChange {
            object: "finding".into(),
            object_id: 1,
            action: tatami_domain::AuditAction::Changed,
            fields: Map::from_iter([("title".to_owned(), Value::from("x".repeat(900)))]),
        };
        for n in [10, 1000, 10_000] {
            let entry = AuditEntry {
                changes: vec![change.clone(); n],
                ..AuditEntry::default()
            };
            let fitting = fitting(entry);
            assert!(serde_json::to_vec(&fitting).unwrap().len() <= MAX_ENTRY);
            assert!(!fitting.changes.is_empty());
            assert_eq!(fitting.changes.len() == n, n <= 1000);
        }
    }
}
