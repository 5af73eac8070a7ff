//! Counts: a base for each product and test, and a delta for each commit since. Each delta also says
//! which blocks changed, so that readers know what of their cache still holds, and what metrics have to
//! know (`days.rs`).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use tatami_domain::{BlockId, ProductId, SeverityCounts, TestId};
use tatami_metrics::Facts;

use crate::db::{
    ABSENT, Item, PRESENT, Table, Transacted, document, number, number_of, read_document, text_of,
};
use crate::keys::CountItem;
use crate::{Change, Commit, Result, Store, StoreError, keys};

/// A fold has at most this many items: each delta is deleted, and brings its tests. One delta always
/// fits, since the findings of its tests did.
const FOLD_ITEMS: usize = Commit::MAX_ITEMS;

/// What one commit changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Delta {
    #[serde(rename = "t")]
    pub test: TestId,
    #[serde(rename = "c", default, skip_serializing_if = "SeverityCounts::is_zero")]
    pub counts: SeverityCounts,
    #[serde(rename = "b")]
    pub blocks: BTreeSet<BlockId>,
    /// Where the commit changed findings of several tests: the others.
    #[serde(rename = "m", default, skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<(TestId, SeverityCounts)>,
    /// How the facts that metrics are made of have changed.
    #[serde(rename = "f", default, skip_serializing_if = "Facts::is_empty")]
    pub facts: Facts,
    /// The UTC day on which it was written; before version 0.4 it wasn't said.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub day: Option<Date>,
}

impl Delta {
    /// What some changes on a day amount to; none for no changes.
    pub fn of(changes: &[Change], day: Date) -> Option<Self> {
        let mut by_test: BTreeMap<TestId, SeverityCounts> = BTreeMap::new();
        let mut blocks = BTreeSet::new();
        let mut facts = Facts::default();
        for change in changes {
            let (old, new) = change.sides();
            if let Some(old) = old {
                by_test.entry(old.test).or_default().remove(old);
                blocks.insert(old.block());
                facts.remove(old);
            }
            if let Some(new) = new {
                by_test.entry(new.test).or_default().add(new);
                blocks.insert(new.block());
                facts.add(new);
            }
        }
        let mut by_test = by_test.into_iter();
        let (test, counts) = by_test.next()?;
        Some(Self {
            test,
            counts,
            blocks,
            more: by_test.collect(),
            facts,
            day: Some(day),
        })
    }

    /// The tests with what has changed in each.
    pub fn by_test(&self) -> impl Iterator<Item = (TestId, SeverityCounts)> {
        std::iter::once((self.test, self.counts)).chain(self.more.iter().copied())
    }

    fn counts(&self) -> SeverityCounts {
        let mut sum = self.counts;
        for (_, counts) in &self.more {
            sum += *counts;
        }
        sum
    }
}

/// What the folded deltas of a product add up to.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Base {
    /// Counts the folds.
    pub fold: u64,
    pub counts: SeverityCounts,
    /// Every block of the product, with the number of folded deltas that touched it.
    pub blocks: BTreeMap<BlockId, u64>,
}

/// Base and deltas of one product.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    pub base: Base,
    pub deltas: HashMap<String, Delta>,
}

impl State {
    /// Every block of the product, ascending.
    pub fn blocks(&self) -> BTreeSet<BlockId> {
        let folded = self.base.blocks.keys();
        folded
            .chain(self.deltas.values().flat_map(|d| &d.blocks))
            .copied()
            .collect()
    }

    /// How often the block was changed in all. Deltas are added and folded but never lost, so an
    /// equal number means that nothing has changed.
    pub fn changes(&self, block: BlockId) -> u64 {
        let folded = self.base.blocks.get(&block).copied().unwrap_or(0);
        let since = self.deltas.values().filter(|d| d.blocks.contains(&block));
        folded + since.count() as u64
    }

    pub fn counts(&self) -> SeverityCounts {
        let mut sum = self.base.counts;
        for delta in self.deltas.values() {
            sum += delta.counts();
        }
        sum
    }
}

#[derive(Serialize, Deserialize, Default)]
struct TestBase {
    c: SeverityCounts,
}

fn read_states(items: &[Item]) -> Result<BTreeMap<ProductId, State>> {
    let mut states: BTreeMap<ProductId, State> = BTreeMap::new();
    for item in items {
        match text_of(item, "sk").and_then(keys::count_item) {
            Some(CountItem::Base(product)) => {
                states.entry(product).or_default().base = read_document(item)?;
            }
            Some(CountItem::Delta(product, id)) => {
                let state = states.entry(product).or_default();
                state.deltas.insert(id.to_owned(), read_document(item)?);
            }
            None => {}
        }
    }
    Ok(states)
}

impl Store {
    pub(crate) async fn count_state(&self, product: ProductId) -> Result<State> {
        let key = keys::count_prefix(product);
        let items = self
            .db
            .query(Table::Findings, &key.pk, Some(&key.sk))
            .await?;
        Ok(read_states(&items)?.remove(&product).unwrap_or_default())
    }

    /// Of every product that ever had a finding.
    pub(crate) async fn count_states(&self) -> Result<BTreeMap<ProductId, State>> {
        let shards = (0..keys::COUNT_SHARDS).map(keys::count_shard).collect();
        let items = self.db.query_all(Table::Findings, shards).await?;
        read_states(&items.concat())
    }

    /// Numbers of findings of a product.
    pub async fn product_counts(&self, product: ProductId) -> Result<SeverityCounts> {
        let gone = self.gone().await?;
        if gone.product(product) {
            return Ok(SeverityCounts::default());
        }
        let counts = self.count_state(product).await?.counts();
        self.without_gone(product, &gone, &counts).await
    }

    /// Numbers of findings of every product that ever had one.
    pub async fn counts_by_product(&self) -> Result<BTreeMap<ProductId, SeverityCounts>> {
        let gone = self.gone().await?;
        let mut counts = BTreeMap::new();
        for (id, state) in self.count_states().await? {
            if !gone.product(id) {
                let own = self.without_gone(id, &gone, &state.counts()).await?;
                counts.insert(id, own);
            }
        }
        Ok(counts)
    }

    /// Numbers of findings of a product, those of some of its tests left out.
    pub(crate) async fn counts_without(
        &self,
        product: ProductId,
        tests: &HashSet<TestId>,
    ) -> Result<SeverityCounts> {
        for _ in 0..20 {
            let state = self.count_state(product).await?;
            let bases = tests.iter().map(|test| keys::test_counts(*test)).collect();
            let bases = self.db.get_many(Table::Findings, bases).await?;
            let mut sum = state.base.counts;
            let mut folded = 0;
            for item in &bases {
                folded = folded.max(number_of(item, "fold").unwrap_or(0));
                let base: TestBase = read_document(item)?;
                sum -= base.c;
            }
            if folded > state.base.fold {
                continue; // a fold came between the two reads
            }
            let deltas = state.deltas.values().flat_map(Delta::by_test);
            for (_, counts) in deltas.filter(|(of, _)| !tests.contains(of)) {
                sum += counts;
            }
            return Ok(sum);
        }
        Err(StoreError::Contention(format!("product {product}")))
    }

    /// Removes the counts of a test that has no findings any more: those that are on their way into
    /// its base go there first.
    pub(crate) async fn forget_test_counts(&self, product: ProductId, test: TestId) -> Result<()> {
        for attempt in 0..20 {
            let state = self.count_state(product).await?;
            let mut deltas = state.deltas.values().flat_map(Delta::by_test);
            if !deltas.any(|(of, _)| of == test) {
                return self
                    .db
                    .delete(Table::Findings, &keys::test_counts(test))
                    .await;
            }
            self.fold_counts(product).await?;
            tokio::time::sleep(std::time::Duration::from_millis(10 * attempt)).await;
        }
        Err(StoreError::Contention(format!("product {product}")))
    }

    /// Numbers of findings of a test.
    pub async fn test_counts(&self, product: ProductId, test: TestId) -> Result<SeverityCounts> {
        for _ in 0..20 {
            let state = self.count_state(product).await?;
            let item = self
                .db
                .get(Table::Findings, &keys::test_counts(test))
                .await?;
            let folded = item
                .as_ref()
                .and_then(|i| number_of(i, "fold"))
                .unwrap_or(0);
            if folded > state.base.fold {
                continue; // a fold came between the two reads
            }
            let base: Option<TestBase> = item.as_ref().map(read_document).transpose()?;
            let mut sum = base.unwrap_or_default().c;
            let deltas = state.deltas.values().flat_map(Delta::by_test);
            for (_, counts) in deltas.filter(|(of, _)| *of == test) {
                sum += counts;
            }
            return Ok(sum);
        }
        Err(StoreError::Contention(format!("product {product}")))
    }

    /// Moves deltas of a product into its base until few are left. Harmless at any time; where
    /// somebody else folds at the same time, it leaves it to them.
    pub async fn fold_counts(&self, product: ProductId) -> Result<()> {
        loop {
            let state = self.count_state(product).await?;
            if state.deltas.is_empty() || !self.fold_some(product, state).await? {
                return Ok(());
            }
        }
    }

    async fn fold_some(&self, product: ProductId, state: State) -> Result<bool> {
        let State { mut base, deltas } = state;
        let before = base.fold;
        base.fold += 1;
        let mut by_test: BTreeMap<TestId, SeverityCounts> = BTreeMap::new();
        let mut by_day: BTreeMap<Date, Facts> = BTreeMap::new();
        let mut items = Vec::new();
        for (id, delta) in deltas {
            let more = delta.by_test().filter(|(t, _)| !by_test.contains_key(t));
            let own = by_test.len() + by_day.len() + more.count() + 3;
            if items.len() + own > FOLD_ITEMS {
                continue;
            }
            if let Some(day) = delta.day {
                by_day.entry(day).or_default().merge(&delta.facts);
            }
            base.counts += delta.counts();
            for (test, counts) in delta.by_test() {
                *by_test.entry(test).or_default() += counts;
            }
            for block in delta.blocks {
                *base.blocks.entry(block).or_default() += 1;
            }
            let key = keys::count_delta(product, &id);
            items.push(self.db.delete_in(Table::Findings, &key, PRESENT, vec![])?);
        }
        let tests = by_test
            .keys()
            .map(|test| keys::test_counts(*test))
            .collect();
        let mut bases: HashMap<String, (u64, TestBase)> = HashMap::new();
        for item in self.db.get_many(Table::Findings, tests).await? {
            if let Some(pk) = text_of(&item, "pk") {
                let fold = number_of(&item, "fold").unwrap_or(0);
                bases.insert(pk.to_owned(), (fold, read_document(&item)?));
            }
        }
        for (test, counts) in by_test {
            let key = keys::test_counts(test);
            let found = bases.remove(&key.pk);
            let known = found.as_ref().map(|(fold, _)| *fold);
            let mut sum = found.unwrap_or_default().1;
            sum.c += counts;
            let mut item = document(&key, &sum)?;
            item.insert("fold".into(), number(base.fold));
            items.push(self.put_fold(item, known)?);
        }
        for (day, facts) in by_day {
            items.extend(self.day_in(product, day, facts, base.fold).await?);
        }
        let mut item = document(&keys::count_base(product), &base)?;
        item.insert("fold".into(), number(base.fold));
        items.push(self.put_fold(item, Some(before).filter(|n| *n > 0))?);
        Ok(self.db.transact(items).await? == Transacted::Done)
    }

    pub(crate) fn put_fold(
        &self,
        item: Item,
        before: Option<u64>,
    ) -> Result<aws_sdk_dynamodb::types::TransactWriteItem> {
        match before {
            None => self.db.put_in(Table::Findings, item, Some(ABSENT), vec![]),
            Some(n) => {
                let unchanged = vec![(":n", number(n))];
                self.db
                    .put_in(Table::Findings, item, Some("fold = :n"), unchanged)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tatami_domain::{Finding, FindingId, Flags};

    use super::*;

    fn finding(id: u64, test: u64) -> Box<Finding> {
        Box::new(Finding {
            id: FindingId(id),
            test: TestId(test),
            flags: Flags::OPEN,
            ..Finding::default()
        })
    }

    #[test]
    fn a_delta_names_every_test_and_block_that_changed_and_a_deletion_counts_backwards() {
        let mut closed = finding(2, 7);
        closed.flags.active = false;
        let changes = [
            Change::Create(finding(1, 7)),
            Change::Update {
                old: finding(2, 7),
                new: closed,
            },
            Change::Delete {
                old: finding(5000, 9),
                notes: Vec::new(),
            },
        ];
        let day = jiff::civil::date(2026, 1, 31);
        let delta = Delta::of(&changes, day).unwrap();
        let total = |test: u64| {
            let counts = delta.by_test().find(|(t, _)| t.0 == test).unwrap().1;
            (counts.total().total, counts.total().active)
        };
        assert_eq!((total(7), total(9)), ((1, 0), (-1, -1)));
        assert_eq!(delta.counts().total().total, 0);
        assert!(delta.blocks.contains(&FindingId(5000).block()));
        let stored = serde_json::to_string(&delta).unwrap();
        let read: Delta = serde_json::from_str(&stored).unwrap();
        assert_eq!(read.by_test().count(), 2);
        assert!(Delta::of(&[], day).is_none());
        assert_eq!((read.facts, read.day), (delta.facts, Some(day)));
    }

    /// As version 0.1 wrote it.
    #[test]
    fn a_delta_of_one_test_is_read_as_it_was_stored() {
        let read: Delta = serde_json::from_str(r#"{"t":3,"b":[1,2]}"#).unwrap();
        assert_eq!(read.by_test().map(|(t, _)| t.0).collect::<Vec<_>>(), [3]);
        assert_eq!(read.blocks.len(), 2);
        assert_eq!((read.facts.len(), read.day), (0, None));
    }
}
