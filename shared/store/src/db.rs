//! The calls to DynamoDB, in one place: tables, consistency, unprocessed keys, and what they cost.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConsumedCapacity, KeysAndAttributes, Put, ReturnConsumedCapacity, ReturnValue,
    TransactWriteItem,
};
use futures::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::reason;
use crate::keys::{self, Key};
use crate::{Result, StoreError, Tables, audit};

pub(crate) type Item = HashMap<String, AttributeValue>;

/// Most keys that one `BatchGetItem` takes.
const BATCH_GET: usize = 100;
/// How many calls of one operation run side by side.
const PARALLEL: usize = 8;

/// Which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    Catalog,
    Findings,
    Jobs,
}

/// What was used of DynamoDB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Usage {
    /// Requests sent.
    pub requests: u64,
    /// Read units consumed.
    pub read_units: f64,
    /// Write units consumed.
    pub write_units: f64,
}

#[derive(Debug, Default)]
struct Meter {
    requests: AtomicU64,
    /// In tenths, because reads count in halves.
    reads: AtomicU64,
    writes: AtomicU64,
}

#[derive(Debug, Clone)]
pub(crate) struct Db {
    client: Client,
    tables: Arc<Tables>,
    meter: Arc<Meter>,
}

/// How a transaction ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Transacted {
    Done,
    /// A condition failed or another transaction was in the way: read again and decide again. Says
    /// at which items.
    Conflict(Vec<usize>),
}

/// An update of single attributes.
pub(crate) struct Update<'a> {
    pub expression: &'a str,
    pub condition: Option<&'a str>,
    pub values: Vec<(&'a str, AttributeValue)>,
}

/// The attributes that an expression names by a placeholder, since their names are DynamoDB's own words.
fn reserved(expression: &str) -> Option<HashMap<String, String>> {
    (expression.contains("#ttl")).then(|| HashMap::from([("#ttl".into(), "ttl".into())]))
}

impl Db {
    pub fn new(client: Client, tables: Tables) -> Self {
        Self {
            client,
            tables: Arc::new(tables),
            meter: Arc::default(),
        }
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    pub fn table(&self, table: Table) -> &str {
        match table {
            Table::Catalog => &self.tables.catalog,
            Table::Findings => &self.tables.findings,
            Table::Jobs => &self.tables.jobs,
        }
    }

    pub fn usage(&self) -> Usage {
        Usage {
            requests: self.meter.requests.load(Relaxed),
            read_units: self.meter.reads.load(Relaxed) as f64 / 10.0,
            write_units: self.meter.writes.load(Relaxed) as f64 / 10.0,
        }
    }

    fn read<'c>(&self, used: impl IntoIterator<Item = &'c ConsumedCapacity>) {
        self.meter.requests.fetch_add(1, Relaxed);
        self.meter.reads.fetch_add(tenths(used), Relaxed);
    }

    fn wrote<'c>(&self, used: impl IntoIterator<Item = &'c ConsumedCapacity>) {
        self.meter.requests.fetch_add(1, Relaxed);
        self.meter.writes.fetch_add(tenths(used), Relaxed);
    }

    /// Reads one item, consistently.
    pub async fn get(&self, table: Table, key: &Key) -> Result<Option<Item>> {
        let answer = self
            .client
            .get_item()
            .table_name(self.table(table))
            .set_key(Some(key_item(key)))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|e| StoreError::from_sdk("GetItem", e))?;
        self.read(answer.consumed_capacity());
        Ok(answer.item)
    }

    /// Reads many items, consistently, in no order. Keys must differ from each other.
    pub async fn get_many(&self, table: Table, keys: Vec<Key>) -> Result<Vec<Item>> {
        let calls = keys
            .chunks(BATCH_GET)
            .map(|some| some.iter().map(key_item).collect::<Vec<_>>())
            .collect::<Vec<_>>();
        let mut answers = futures::stream::iter(calls)
            .map(|keys| self.get_batch(table, keys))
            .buffer_unordered(PARALLEL);
        let mut items = Vec::with_capacity(keys.len());
        while let Some(answer) = answers.next().await {
            items.extend(answer?);
        }
        Ok(items)
    }

    async fn get_batch(&self, table: Table, mut keys: Vec<Item>) -> Result<Vec<Item>> {
        let mut items = Vec::with_capacity(keys.len());
        let mut pause = Duration::from_millis(20);
        for _ in 0..10 {
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(std::mem::take(&mut keys)))
                .consistent_read(true)
                .build()
                .map_err(|e| StoreError::Call {
                    call: "BatchGetItem",
                    reason: e.to_string(),
                })?;
            let answer = self
                .client
                .batch_get_item()
                .request_items(self.table(table), wanted)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|e| StoreError::from_sdk("BatchGetItem", e))?;
            self.read(answer.consumed_capacity());
            items.extend(
                answer
                    .responses
                    .into_iter()
                    .flat_map(HashMap::into_values)
                    .flatten(),
            );
            keys = (answer.unprocessed_keys.into_iter())
                .flat_map(HashMap::into_values)
                .flat_map(|left| left.keys)
                .collect();
            if keys.is_empty() {
                return Ok(items);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
        Err(StoreError::Contention("the table".into()))
    }

    /// Reads a partition, or those of its items whose sort key starts with `prefix`, in order of the
    /// sort key, consistently.
    pub async fn query(&self, table: Table, pk: &str, prefix: Option<&str>) -> Result<Vec<Item>> {
        match prefix {
            Some(prefix) => {
                let condition = "pk = :pk AND begins_with(sk, :sk)";
                self.query_where(table, pk, condition, Some(prefix), true)
                    .await
            }
            None => self.query_where(table, pk, "pk = :pk", None, true).await,
        }
    }

    /// Reads a partition as it was a moment ago, which costs half as much.
    pub async fn query_late(&self, table: Table, pk: &str) -> Result<Vec<Item>> {
        self.query_where(table, pk, "pk = :pk", None, false).await
    }

    /// Reads the items of a partition whose sort keys come after `sk`, in their order, consistently.
    pub async fn query_after(&self, table: Table, pk: &str, sk: &str) -> Result<Vec<Item>> {
        let condition = "pk = :pk AND sk > :sk";
        self.query_where(table, pk, condition, Some(sk), true).await
    }

    async fn query_where(
        &self,
        table: Table,
        pk: &str,
        condition: &str,
        sk: Option<&str>,
        consistent: bool,
    ) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let mut call = self
                .client
                .query()
                .table_name(self.table(table))
                .consistent_read(consistent)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .set_exclusive_start_key(start)
                .key_condition_expression(condition)
                .expression_attribute_values(":pk", text(pk));
            if let Some(sk) = sk {
                call = call.expression_attribute_values(":sk", text(sk));
            }
            let answer = call
                .send()
                .await
                .map_err(|e| StoreError::from_sdk("Query", e))?;
            self.read(answer.consumed_capacity());
            items.extend(answer.items.unwrap_or_default());
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(items);
            }
        }
    }

    /// Reads several partitions side by side; gives them in the order asked for.
    pub async fn query_all(&self, table: Table, partitions: Vec<String>) -> Result<Vec<Vec<Item>>> {
        let calls: Vec<_> = (partitions.into_iter())
            .map(|pk| async move { self.query(table, &pk, None).await })
            .collect();
        futures::stream::iter(calls)
            .buffered(PARALLEL)
            .try_collect()
            .await
    }

    /// Writes one item, on a condition where there is one.
    pub async fn put(
        &self,
        table: Table,
        item: Item,
        condition: Option<&str>,
        values: Vec<(&str, AttributeValue)>,
    ) -> Result<()> {
        audit::begin(self).await?;
        self.put_unseen(table, item, condition, values).await
    }

    /// The same, of what the audit log itself writes.
    pub async fn put_unseen(
        &self,
        table: Table,
        item: Item,
        condition: Option<&str>,
        values: Vec<(&str, AttributeValue)>,
    ) -> Result<()> {
        let answer = self
            .client
            .put_item()
            .table_name(self.table(table))
            .set_item(Some(item))
            .set_condition_expression(condition.map(str::to_owned))
            .set_expression_attribute_values(named(values))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|e| StoreError::from_sdk("PutItem", e))?;
        self.wrote(answer.consumed_capacity());
        Ok(())
    }

    /// Changes attributes of one item (made where absent) and gives the whole item back.
    pub async fn update(&self, table: Table, key: &Key, update: Update<'_>) -> Result<Item> {
        audit::begin(self).await?;
        let answer = self
            .client
            .update_item()
            .table_name(self.table(table))
            .set_key(Some(key_item(key)))
            .update_expression(update.expression)
            .set_condition_expression(update.condition.map(str::to_owned))
            .set_expression_attribute_names(reserved(update.expression))
            .set_expression_attribute_values(named(update.values))
            .return_values(ReturnValue::AllNew)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|e| StoreError::from_sdk("UpdateItem", e))?;
        self.wrote(answer.consumed_capacity());
        Ok(answer.attributes.unwrap_or_default())
    }

    /// Like [`Db::update`], for expressions that speak of the attribute `state` as `#s`.
    pub async fn update_state(&self, table: Table, key: &Key, update: Update<'_>) -> Result<()> {
        audit::begin(self).await?;
        let answer = self
            .client
            .update_item()
            .table_name(self.table(table))
            .set_key(Some(key_item(key)))
            .update_expression(update.expression)
            .set_condition_expression(update.condition.map(str::to_owned))
            .expression_attribute_names("#s", "state")
            .set_expression_attribute_values(named(update.values))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|e| StoreError::from_sdk("UpdateItem", e))?;
        self.wrote(answer.consumed_capacity());
        Ok(())
    }

    /// Deletes one item; nothing happens where there is none.
    pub async fn delete(&self, table: Table, key: &Key) -> Result<()> {
        audit::begin(self).await?;
        let answer = self
            .client
            .delete_item()
            .table_name(self.table(table))
            .set_key(Some(key_item(key)))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|e| StoreError::from_sdk("DeleteItem", e))?;
        self.wrote(answer.consumed_capacity());
        Ok(())
    }

    /// Writes all items or none.
    pub async fn transact(&self, items: Vec<TransactWriteItem>) -> Result<Transacted> {
        audit::begin(self).await?;
        let sent = self
            .client
            .transact_write_items()
            .set_transact_items(Some(items))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        let error = match sent {
            Ok(answer) => {
                self.wrote(answer.consumed_capacity());
                return Ok(Transacted::Done);
            }
            Err(error) => error,
        };
        self.meter.requests.fetch_add(1, Relaxed);
        let Some(service) = error.as_service_error() else {
            return Err(StoreError::from_sdk("TransactWriteItems", error));
        };
        if service.code() == Some("TransactionInProgressException") {
            return Ok(Transacted::Conflict(Vec::new()));
        }
        if let aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(why) = service {
            let failed: Vec<usize> = (why.cancellation_reasons().iter().enumerate())
                .filter(|(_, r)| !matches!(r.code(), None | Some("None")))
                .map(|(n, _)| n)
                .collect();
            let retriable = why.cancellation_reasons().iter().all(|r| {
                matches!(
                    r.code(),
                    None | Some(
                        "None"
                            | "ConditionalCheckFailed"
                            | "TransactionConflict"
                            | "ThrottlingError"
                            | "ProvisionedThroughputExceeded"
                    )
                )
            });
            if retriable && !failed.is_empty() {
                return Ok(Transacted::Conflict(failed));
            }
        }
        Err(StoreError::Call {
            call: "TransactWriteItems",
            reason: reason(error),
        })
    }

    /// A put inside a transaction.
    pub fn put_in(
        &self,
        table: Table,
        item: Item,
        condition: Option<&str>,
        values: Vec<(&str, AttributeValue)>,
    ) -> Result<TransactWriteItem> {
        let put = Put::builder()
            .table_name(self.table(table))
            .set_item(Some(item))
            .set_condition_expression(condition.map(str::to_owned))
            .set_expression_attribute_values(named(values))
            .build()
            .map_err(|e| StoreError::Call {
                call: "TransactWriteItems",
                reason: e.to_string(),
            })?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// One more inside a transaction, in the attribute `n`; the item is made where absent.
    pub fn count_in(&self, table: Table, key: &Key) -> Result<TransactWriteItem> {
        let update = aws_sdk_dynamodb::types::Update::builder()
            .table_name(self.table(table))
            .set_key(Some(key_item(key)))
            .update_expression("ADD n :one")
            .expression_attribute_values(":one", number(1))
            .build()
            .map_err(|e| StoreError::Call {
                call: "TransactWriteItems",
                reason: e.to_string(),
            })?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// A delete inside a transaction, on a condition.
    pub fn delete_in(
        &self,
        table: Table,
        key: &Key,
        condition: &str,
        values: Vec<(&str, AttributeValue)>,
    ) -> Result<TransactWriteItem> {
        let delete = aws_sdk_dynamodb::types::Delete::builder()
            .table_name(self.table(table))
            .set_key(Some(key_item(key)))
            .condition_expression(condition)
            .set_expression_attribute_values(named(values))
            .build()
            .map_err(|e| StoreError::Call {
                call: "TransactWriteItems",
                reason: e.to_string(),
            })?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }
}

impl Db {
    /// A condition on an item that a transaction doesn't write.
    pub fn check_in(&self, table: Table, key: &Key, condition: &str) -> Result<TransactWriteItem> {
        let check = aws_sdk_dynamodb::types::ConditionCheck::builder()
            .table_name(self.table(table))
            .set_key(Some(key_item(key)))
            .condition_expression(condition)
            .build()
            .map_err(|e| StoreError::Call {
                call: "TransactWriteItems",
                reason: e.to_string(),
            })?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    /// Deletes items, in no order; those that aren't there don't matter.
    pub async fn delete_all(&self, table: Table, keys: Vec<Key>) -> Result<()> {
        let calls: Vec<_> = (keys.iter())
            .map(|key| async move { self.delete(table, key).await })
            .collect();
        futures::stream::iter(calls)
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await
    }
}

/// The key under which an item was read.
pub(crate) fn key_of(item: &Item) -> Key {
    keys::same(
        text_of(item, "pk").unwrap_or_default(),
        text_of(item, "sk").unwrap_or_default(),
    )
}

/// The condition under which an item is there.
pub(crate) const PRESENT: &str = "attribute_exists(pk)";
/// The attribute of something that takes nothing more in.
pub(crate) const CLOSED: &str = "x";
/// The condition under which something is there and takes more in.
pub(crate) const OPEN: &str = "attribute_exists(pk) AND attribute_not_exists(x)";
/// The condition under which an item is new.
pub(crate) const ABSENT: &str = "attribute_not_exists(pk)";

fn tenths<'c>(used: impl IntoIterator<Item = &'c ConsumedCapacity>) -> u64 {
    let units: f64 = used
        .into_iter()
        .filter_map(ConsumedCapacity::capacity_units)
        .sum();
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small and positive"
    )]
    {
        (units * 10.0).round() as u64
    }
}

fn named(values: Vec<(&str, AttributeValue)>) -> Option<Item> {
    if values.is_empty() {
        return None;
    }
    Some(values.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
}

pub(crate) fn key_item(key: &Key) -> Item {
    HashMap::from([
        ("pk".to_owned(), text(&key.pk)),
        ("sk".to_owned(), text(&key.sk)),
    ])
}

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// An item with a JSON document.
pub(crate) fn document<T: Serialize>(key: &Key, document: &T) -> Result<Item> {
    let json = to_json(key, document)?;
    let mut item = key_item(key);
    item.insert("d".into(), AttributeValue::S(json));
    Ok(item)
}

pub(crate) fn to_json<T: Serialize>(key: &Key, document: &T) -> Result<String> {
    serde_json::to_string(document).map_err(|e| StoreError::Corrupt {
        pk: key.pk.clone(),
        sk: key.sk.clone(),
        reason: e.to_string(),
    })
}

/// The JSON document of an item.
pub(crate) fn read_document<T: DeserializeOwned>(item: &Item) -> Result<T> {
    let json = item.get("d").and_then(|v| v.as_s().ok());
    serde_json::from_str(json.map_or("null", String::as_str)).map_err(|e| corrupt(item, e))
}

pub(crate) fn corrupt(item: &Item, reason: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt {
        pk: text_of(item, "pk").unwrap_or_default().to_owned(),
        sk: text_of(item, "sk").unwrap_or_default().to_owned(),
        reason: reason.to_string(),
    }
}

pub(crate) fn text_of<'i>(item: &'i Item, name: &str) -> Option<&'i str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

pub(crate) fn number_of(item: &Item, name: &str) -> Option<u64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

pub(crate) fn numbers_of(item: &Item, name: &str) -> Vec<u64> {
    let set = item.get(name).and_then(|v| v.as_ns().ok());
    set.into_iter()
        .flatten()
        .filter_map(|n| n.parse().ok())
        .collect()
}
