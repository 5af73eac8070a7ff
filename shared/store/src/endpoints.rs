//! The endpoints of products.
//!
//! Each product has a book of them, written as a log: an entry adds endpoints, changes some, or tags some,
//! and is put only in the place after the last one that its writer knows. So an import adds all that
//! are new in one small item, two at once never add the same, and a reader that has read the book before
//! asks for nothing but what came since. In which product's book an endpoint is, tells an item written
//! where ids are handed out; an id that was then not used finds nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tatami_domain::{
    Endpoint, EndpointId, EndpointStatus, FindingId, ProductId, StatusPlace, runs,
};
use tokio::sync::Mutex;

use crate::db::{
    ABSENT, Item, Table, corrupt, document, key_item, number, number_of, read_document, text,
    text_of, to_json,
};
use crate::keys::Key;
use crate::{Result, Store, StoreError, audit, keys};

/// Under which name ids of endpoints are handed out.
const ENDPOINT_KIND: &str = "ENDPOINT";

/// How often an entry is tried to be put while others put theirs.
const TRIES: usize = 50;
/// About how many bytes of texts one entry takes; an item takes 400 kB.
const MAX_TEXTS: usize = 100_000;
/// An entry of more bytes is compressed.
const MAX_PLAIN: usize = 700;
/// The longest text that is in a book, in bytes.
const MAX_TEXT: usize = 4_000;
/// How many endpoints one entry tags.
const MAX_TAGGED: usize = 10_000;
/// How many bytes of books are kept.
const MAX_KEPT: u64 = 64 << 20;
/// A book that nobody has asked for so long is let go.
const MAX_IDLE: Duration = Duration::from_mins(15);

/// An endpoint of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointRecord {
    /// Its canonical text, by which it is told from the others of its product.
    pub text: Arc<str>,
    /// Its tags.
    pub tags: Vec<String>,
    /// When it was added.
    pub created: Timestamp,
    /// When it was changed last.
    pub updated: Timestamp,
}

impl EndpointRecord {
    /// Its parts.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint::parse(&self.text).unwrap_or_else(|_| Endpoint {
            host: self.text.to_string(),
            ..Endpoint::default()
        })
    }
}

/// The endpoints of a product.
#[derive(Debug, Clone, Default)]
pub struct EndpointBook {
    /// The place of the next entry.
    next: u64,
    records: BTreeMap<EndpointId, EndpointRecord>,
    ids: HashMap<Arc<str>, EndpointId>,
}

impl EndpointBook {
    /// The endpoint with this id.
    pub fn get(&self, id: EndpointId) -> Option<&EndpointRecord> {
        self.records.get(&id)
    }

    /// The endpoint with this canonical text.
    pub fn find(&self, text: &str) -> Option<EndpointId> {
        self.ids.get(text).copied()
    }

    /// All of them, by ascending id.
    pub fn iter(&self) -> impl Iterator<Item = (EndpointId, &EndpointRecord)> {
        self.records.iter().map(|(id, record)| (*id, record))
    }

    fn read(&mut self, entry: Entry) {
        let time = Timestamp::from_second(entry.time).unwrap_or_default();
        for (id, text) in (entry.first..).zip(entry.texts) {
            self.insert(EndpointId(id), text.into(), Vec::new(), time);
        }
        for Changed { id, text, tags } in entry.changed {
            let old = self.remove(id);
            if let (Some(text), Some(old)) = (text, old) {
                let tags = tags.unwrap_or(old.tags);
                self.insert(id, text.into(), tags, old.created);
                self.touch(id, time);
            }
        }
        if let Some(Tagged { tags, ids }) = entry.tagged {
            for id in ids {
                let Some(record) = self.records.get_mut(&id) else {
                    continue;
                };
                for tag in &tags {
                    if !record.tags.contains(tag) {
                        record.tags.push(tag.clone());
                    }
                }
                self.touch(id, time);
            }
        }
        self.next += 1;
    }

    fn touch(&mut self, id: EndpointId, time: Timestamp) {
        if let Some(record) = self.records.get_mut(&id) {
            record.updated = time;
        }
    }

    fn insert(&mut self, id: EndpointId, text: Arc<str>, tags: Vec<String>, time: Timestamp) {
        self.ids.insert(Arc::clone(&text), id);
        let record = EndpointRecord {
            text,
            tags,
            created: time,
            updated: time,
        };
        self.records.insert(id, record);
    }

    fn remove(&mut self, id: EndpointId) -> Option<EndpointRecord> {
        let record = self.records.remove(&id)?;
        self.ids.remove(&record.text);
        Some(record)
    }

    /// About how many bytes it takes.
    fn bytes(&self) -> u32 {
        let each = size_of::<EndpointRecord>() + 64;
        let texts: usize = self.records.values().map(|record| record.text.len()).sum();
        u32::try_from(self.records.len() * each + texts).unwrap_or(u32::MAX)
    }
}

/// What one writer did.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Entry {
    /// When, in seconds.
    #[serde(rename = "t")]
    time: i64,
    /// The id of the first that was added; the others follow.
    #[serde(rename = "f", default, skip_serializing_if = "is_zero")]
    first: u64,
    /// Those that were added.
    #[serde(rename = "e", default, skip_serializing_if = "Vec::is_empty")]
    texts: Vec<String>,
    #[serde(rename = "c", default, skip_serializing_if = "Vec::is_empty")]
    changed: Vec<Changed>,
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    tagged: Option<Tagged>,
}

/// What became of an endpoint; without a text it is removed, without tags it keeps its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Changed {
    #[serde(rename = "i")]
    id: EndpointId,
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<String>>,
}

/// Tags that endpoints got besides their own.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Tagged {
    #[serde(rename = "g")]
    tags: Vec<String>,
    #[serde(rename = "i", with = "runs")]
    ids: Vec<EndpointId>,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Whose endpoints got ids at once.
#[derive(Debug, Serialize, Deserialize)]
struct Owner {
    #[serde(rename = "p")]
    product: ProductId,
    #[serde(rename = "n")]
    count: u64,
}

/// A book that is kept, and about how many bytes it took when it was last read.
#[derive(Default)]
struct Kept {
    book: Mutex<Arc<EndpointBook>>,
    bytes: AtomicU32,
}

/// The books that were read before.
#[derive(Clone)]
pub(crate) struct Books(moka::sync::Cache<ProductId, Arc<Kept>>);

impl fmt::Debug for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Books").finish_non_exhaustive()
    }
}

impl Default for Books {
    fn default() -> Self {
        let books = moka::sync::Cache::builder()
            .max_capacity(MAX_KEPT)
            .weigher(|_, kept: &Arc<Kept>| kept.bytes.load(Relaxed).max(1_000))
            .time_to_idle(MAX_IDLE)
            .build();
        Self(books)
    }
}

/// Why an endpoint cannot be as somebody wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointChange {
    /// It is.
    Done(EndpointId),
    /// The product has this one already, with the same text.
    Taken(EndpointId),
    /// It is gone.
    Gone,
    /// It isn't as it was wanted to be before.
    Unwanted,
}

impl Store {
    /// The endpoints of a product, as of now.
    pub async fn endpoints(&self, product: ProductId) -> Result<Arc<EndpointBook>> {
        let kept = self.books.0.get_with(product, Arc::default);
        let mut book = kept.book.lock().await;
        let partition = keys::endpoint_log(product);
        let items = match book.next {
            0 => self.db.query(Table::Findings, &partition, None).await?,
            next => {
                let last = keys::endpoint_entry(product, next - 1);
                self.db
                    .query_after(Table::Findings, &partition, &last.sk)
                    .await?
            }
        };
        if !items.is_empty() {
            let own = Arc::make_mut(&mut book);
            for item in &items {
                own.read(read_entry(item)?);
            }
            kept.bytes.store(own.bytes(), Relaxed);
            // so that it is weighed again
            self.books.0.insert(product, Arc::clone(&kept));
        }
        Ok(Arc::clone(&book))
    }

    /// Puts an entry after those that `book` has; `false` where somebody else was quicker.
    async fn put_entry(
        &self,
        product: ProductId,
        book: &EndpointBook,
        mut entry: Entry,
    ) -> Result<bool> {
        entry.time = Timestamp::now().as_second();
        let item = entry_item(&keys::endpoint_entry(product, book.next), &entry)?;
        let put = self.db.put(Table::Findings, item, Some(ABSENT), vec![]);
        match put.await {
            Ok(()) => Ok(true),
            Err(error) if error.is_condition() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Hands out ids for new endpoints of a product.
    async fn endpoint_ids(&self, product: ProductId, n: u64) -> Result<Range<u64>> {
        let first = self.next_ids(ENDPOINT_KIND, n).await?;
        for run in keys::id_runs(first, first + n) {
            let owner = Owner {
                product,
                count: run.end - run.start,
            };
            let item = document(&keys::endpoint_owner(run.start), &owner)?;
            self.db.put(Table::Findings, item, None, vec![]).await?;
        }
        Ok(first..first + n)
    }

    /// The ids of endpoints with these canonical texts in a product, in their order; those that it hasn't got
    /// are added. Texts that are longer than any address have none.
    pub async fn endpoints_of<T: AsRef<str> + Sync>(
        &self,
        product: ProductId,
        texts: &[T],
    ) -> Result<Vec<Option<EndpointId>>> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let mut spare = 0..0;
        for _ in 0..TRIES + texts.len() {
            let book = self.endpoints(product).await?;
            let mut seen = HashSet::new();
            let mut bytes = 0;
            let some: Vec<String> = (texts.iter().map(AsRef::as_ref))
                .filter(|text: &&str| text.len() <= MAX_TEXT && book.find(text).is_none())
                .filter(|text| seen.insert(*text))
                .take_while(|text| {
                    let fits = bytes < MAX_TEXTS;
                    bytes += text.len() + 3;
                    fits
                })
                .map(str::to_owned)
                .collect();
            if some.is_empty() {
                return Ok(texts.iter().map(|text| book.find(text.as_ref())).collect());
            }
            let wanted = some.len() as u64;
            if spare.end - spare.start < wanted {
                spare = self.endpoint_ids(product, wanted).await?;
            }
            let entry = Entry {
                first: spare.start,
                texts: some,
                ..Entry::default()
            };
            let added = entry.texts.clone();
            if self.put_entry(product, &book, entry).await? {
                for (id, text) in (spare.start..).zip(added) {
                    let after = json!({"product": product, "url": text});
                    audit::note("endpoint", id, None, Some(after));
                }
                spare.start += wanted;
            }
        }
        Err(contention(product))
    }

    /// Adds an endpoint with its tags, unless the product has it already.
    pub async fn add_endpoint(
        &self,
        product: ProductId,
        endpoint: &str,
        tags: &[String],
    ) -> Result<EndpointChange> {
        let ids = self.endpoint_ids(product, 1).await?;
        for _ in 0..TRIES {
            let book = self.endpoints(product).await?;
            if let Some(taken) = book.find(endpoint) {
                return Ok(EndpointChange::Taken(taken));
            }
            let id = EndpointId(ids.start);
            let entry = Entry {
                first: id.0,
                texts: vec![endpoint.to_owned()],
                tagged: (!tags.is_empty()).then(|| Tagged {
                    tags: tags.to_vec(),
                    ids: vec![id],
                }),
                ..Entry::default()
            };
            if self.put_entry(product, &book, entry).await? {
                let after = json!({"product": product, "url": endpoint, "tags": tags});
                audit::note("endpoint", id.0, None, Some(after));
                return Ok(EndpointChange::Done(id));
            }
        }
        Err(contention(product))
    }

    /// Changes an endpoint that is as `wanted` says; `None` instead of a text removes it.
    pub async fn change_endpoint(
        &self,
        product: ProductId,
        id: EndpointId,
        endpoint: Option<&str>,
        tags: Option<&[String]>,
        wanted: impl Fn(&EndpointRecord) -> bool,
    ) -> Result<EndpointChange> {
        for _ in 0..TRIES {
            let book = self.endpoints(product).await?;
            let Some(old) = book.get(id) else {
                return Ok(EndpointChange::Gone);
            };
            if !wanted(old) {
                return Ok(EndpointChange::Unwanted);
            }
            let taken = endpoint.and_then(|text| book.find(text));
            if let Some(taken) = taken.filter(|taken| *taken != id) {
                return Ok(EndpointChange::Taken(taken));
            }
            let changed = Changed {
                id,
                text: endpoint.map(str::to_owned),
                tags: tags.map(<[String]>::to_vec),
            };
            let entry = Entry {
                changed: vec![changed],
                ..Entry::default()
            };
            if self.put_entry(product, &book, entry).await? {
                let side = |text: &str, tags: &[String]| {
                    Some(json!({"product": product, "url": text, "tags": tags}))
                };
                let after = endpoint.and_then(|text| side(text, tags.unwrap_or(&old.tags)));
                audit::note("endpoint", id.0, side(&old.text, &old.tags), after);
                return Ok(EndpointChange::Done(id));
            }
        }
        Err(contention(product))
    }

    /// Gives endpoints of a product these tags besides their own.
    pub async fn tag_endpoints(
        &self,
        product: ProductId,
        ids: &[EndpointId],
        tags: &[String],
    ) -> Result<()> {
        for some in ids.chunks(MAX_TAGGED) {
            let mut tries = 0..TRIES;
            loop {
                let book = self.endpoints(product).await?;
                let lacks = |id: &EndpointId| {
                    let record = book.get(*id);
                    record.is_some_and(|r| tags.iter().any(|tag| !r.tags.contains(tag)))
                };
                let mut lacking: Vec<EndpointId> = some.iter().copied().filter(lacks).collect();
                lacking.sort_unstable();
                lacking.dedup();
                if lacking.is_empty() {
                    break;
                }
                let entry = Entry {
                    tagged: Some(Tagged {
                        tags: tags.to_vec(),
                        ids: lacking,
                    }),
                    ..Entry::default()
                };
                if self.put_entry(product, &book, entry).await? {
                    break;
                }
                if tries.next().is_none() {
                    return Err(contention(product));
                }
            }
        }
        Ok(())
    }

    /// The product that an endpoint belongs to; it may be gone.
    pub async fn product_of_endpoint(&self, id: EndpointId) -> Result<Option<ProductId>> {
        let partition = keys::endpoint_owners(keys::id_block(id.0));
        for item in &self.db.query(Table::Findings, &partition, None).await? {
            let (first, owner) = read_owner(item)?;
            if (first..first + owner.count).contains(&id.0) {
                return Ok(Some(owner.product));
            }
        }
        Ok(None)
    }

    /// The endpoint with this id, and its product.
    pub async fn endpoint(&self, id: EndpointId) -> Result<(ProductId, EndpointRecord)> {
        if let Some(product) = self.product_of_endpoint(id).await?
            && let Some(record) = self.endpoints(product).await?.get(id)
        {
            return Ok((product, record.clone()));
        }
        Err(StoreError::NotFound {
            kind: "endpoint",
            id: id.to_string(),
        })
    }

    /// The products that have endpoints, or had some.
    pub async fn products_with_endpoints(&self) -> Result<Vec<ProductId>> {
        let last = self.last_id(ENDPOINT_KIND).await?;
        let partitions = keys::entity_blocks(last).map(keys::endpoint_owners);
        let items = self.db.query_all(Table::Findings, partitions.collect());
        let mut products = Vec::new();
        for item in items.await?.iter().flatten() {
            products.push(read_owner(item)?.1.product);
        }
        products.sort_unstable();
        products.dedup();
        Ok(products)
    }

    /// What people said about endpoints of findings of a product.
    pub async fn endpoint_statuses(
        &self,
        product: ProductId,
    ) -> Result<HashMap<StatusPlace, EndpointStatus>> {
        let partition = keys::endpoint_statuses(product);
        let items = self.db.query(Table::Findings, &partition, None).await?;
        items.iter().map(read_status).collect()
    }

    /// What people said about one of them.
    pub async fn endpoint_status(
        &self,
        product: ProductId,
        place: StatusPlace,
    ) -> Result<Option<EndpointStatus>> {
        let key = keys::endpoint_status(product, place);
        let item = self.db.get(Table::Findings, &key).await?;
        Ok(item.as_ref().map(read_status).transpose()?.map(|of| of.1))
    }

    /// Changes what is said about one of them; `fresh` is what it is where nobody has said anything.
    pub async fn change_endpoint_status<E: From<StoreError>>(
        &self,
        product: ProductId,
        place: StatusPlace,
        fresh: &EndpointStatus,
        change: impl Fn(&mut EndpointStatus) -> Result<(), E>,
    ) -> Result<EndpointStatus, E> {
        let key = keys::endpoint_status(product, place);
        for _ in 0..TRIES {
            let item = self.db.get(Table::Findings, &key).await?;
            let before = match &item {
                // what was said of another that had this place doesn't count
                Some(item) => Some(read_document::<EndpointStatus>(item)?)
                    .filter(|said| said.endpoint == fresh.endpoint),
                None => None,
            };
            let before = before.unwrap_or_else(|| fresh.clone());
            let mut status = before.clone();
            change(&mut status)?;
            let version = item.as_ref().and_then(|item| number_of(item, "v"));
            let mut new = document(&key, &status)?;
            new.insert("v".into(), number(version.unwrap_or(0) + 1));
            let put = match version {
                Some(v) => {
                    let unchanged = vec![(":v", number(v))];
                    self.db
                        .put(Table::Findings, new, Some("v = :v"), unchanged)
                        .await
                }
                None => {
                    self.db
                        .put(Table::Findings, new, Some(ABSENT), vec![])
                        .await
                }
            };
            match put {
                Ok(()) => {
                    let side = |status| serde_json::to_value(status).ok();
                    audit::note("endpoint status", place.id(), side(&before), side(&status));
                    return Ok(status);
                }
                Err(error) if error.is_condition() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(contention(product).into())
    }

    /// Forgets what people said about endpoints of a finding; about one of them where its place is given.
    pub async fn forget_endpoint_statuses(
        &self,
        product: ProductId,
        finding: FindingId,
        place: Option<StatusPlace>,
    ) -> Result<()> {
        let partition = keys::endpoint_statuses(product);
        let prefix = keys::endpoint_statuses_of(finding);
        let items = self
            .db
            .query(Table::Findings, &partition, Some(&prefix))
            .await?;
        for item in &items {
            let (own, _) = read_status(item)?;
            if place.is_none_or(|place| place == own) {
                let key = keys::endpoint_status(product, own);
                self.db.delete(Table::Findings, &key).await?;
            }
        }
        Ok(())
    }
}

/// An entry's item. Addresses of one product have much in common, so that many take a tenth of the room when
/// they are compressed.
fn entry_item(key: &Key, entry: &Entry) -> Result<Item> {
    let json = to_json(key, entry)?;
    let mut item = key_item(key);
    if json.len() <= MAX_PLAIN {
        item.insert("d".into(), text(json));
        return Ok(item);
    }
    let compressed = zstd::bulk::compress(json.as_bytes(), zstd::DEFAULT_COMPRESSION_LEVEL);
    let compressed = compressed.map_err(|error| corrupt(&item, error))?;
    item.insert("z".into(), AttributeValue::B(Blob::new(compressed)));
    Ok(item)
}

fn read_entry(item: &Item) -> Result<Entry> {
    let Some(compressed) = item.get("z").and_then(|z| z.as_b().ok()) else {
        return read_document(item);
    };
    let json = zstd::decode_all(compressed.as_ref()).map_err(|error| corrupt(item, error))?;
    serde_json::from_slice(&json).map_err(|error| corrupt(item, error))
}

fn contention(product: ProductId) -> StoreError {
    StoreError::Contention(format!("the endpoints of product {product}"))
}

fn read_owner(item: &Item) -> Result<(u64, Owner)> {
    let first = text_of(item, "sk").and_then(|sk| sk.parse().ok());
    let first = first.ok_or_else(|| corrupt(item, "its sort key is no id"))?;
    Ok((first, read_document(item)?))
}

fn read_status(item: &Item) -> Result<(StatusPlace, EndpointStatus)> {
    let place = text_of(item, "sk").and_then(keys::status_place);
    let place = place.ok_or_else(|| corrupt(item, "its sort key is no place"))?;
    Ok((place, read_document(item)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(json: &str) -> Entry {
        serde_json::from_str(json).unwrap()
    }

    /// As version 0.1 wrote it.
    const LOG: [&str; 5] = [
        r#"{"t":1,"f":7,"e":["https://a.example","https://b.example"]}"#,
        r#"{"t":2,"g":{"g":["x"],"i":[7,2]}}"#,
        r#"{"t":3,"c":[{"i":7,"e":"https://c.example"}]}"#,
        r#"{"t":4,"c":[{"i":8}]}"#,
        r#"{"t":5,"f":9,"e":["https://b.example"],"g":{"g":["y"],"i":[9,1]}}"#,
    ];

    #[test]
    fn many_endpoints_take_little_room() {
        let texts = (0..1000).map(|n| format!("https://shop.example/catalogue/{n}?item={n}"));
        let entry = Entry {
            first: 7,
            texts: texts.collect(),
            ..Entry::default()
        };
        let item = entry_item(&keys::endpoint_entry(ProductId(1), 0), &entry).unwrap();
        let bytes = item["z"].as_b().unwrap().as_ref().len();
        assert!(bytes < 12_000, "{bytes}");
        assert_eq!(read_entry(&item).unwrap().texts, entry.texts);
    }

    #[test]
    fn a_book_is_what_its_log_says() {
        let mut book = EndpointBook::default();
        for text in LOG {
            let read = entry(text);
            assert_eq!(serde_json::to_string(&read).unwrap(), text);
            book.read(read);
        }
        assert_eq!(book.next, 5);
        let of = |text| book.find(text).map(|id| id.0);
        assert_eq!(of("https://a.example"), None, "it has another text now");
        assert_eq!(of("https://c.example"), Some(7));
        assert_eq!(of("https://b.example"), Some(9), "made anew");
        assert_eq!(book.get(EndpointId(8)), None);
        let changed = book.get(EndpointId(7)).unwrap();
        assert_eq!(
            (changed.created.as_second(), changed.updated.as_second()),
            (1, 3)
        );
        assert_eq!(changed.tags, ["x"]);
        assert_eq!(changed.endpoint().host, "c.example");
        let ids: Vec<u64> = book.iter().map(|(id, _)| id.0).collect();
        assert_eq!(ids, [7, 9]);
        assert!(book.bytes() > 100);
    }
}
