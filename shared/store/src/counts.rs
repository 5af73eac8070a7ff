//! Counts: a base for each product and test, and a delta for each commit since. Each delta also says
//! which blocks changed, so that readers know what of their cache still holds.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use tatami_domain::{BlockId, Finding, ProductId, SeverityCounts, TestId};

use crate::db::{
    ABSENT, Item, PRESENT, Table, Transacted, document, number, number_of, read_document, text_of,
};
use crate::keys::CountItem;
use crate::{Result, Store, StoreError, keys};

/// So many deltas go into one fold: each is deleted, and may bring a test of its own.
const FOLD: usize = 40;

/// What one commit changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Delta {
    #[serde(rename = "t")]
    pub test: TestId,
    #[serde(rename = "c", default, skip_serializing_if = "SeverityCounts::is_zero")]
    pub counts: SeverityCounts,
    #[serde(rename = "b")]
    pub blocks: BTreeSet<BlockId>,
}

impl Delta {
    pub fn new(test: TestId) -> Self {
        Self {
            test,
            counts: SeverityCounts::default(),
            blocks: BTreeSet::new(),
        }
    }

    pub fn add(&mut self, old: Option<&Finding>, new: &Finding) {
        if let Some(old) = old {
            self.counts.remove(old);
        }
        self.counts.add(new);
        self.blocks.insert(new.block());
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

    fn counts(&self) -> SeverityCounts {
        let mut sum = self.base.counts;
        for delta in self.deltas.values() {
            sum += delta.counts;
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
        Ok(self.count_state(product).await?.counts())
    }

    /// Numbers of findings of every product that ever had one.
    pub async fn counts_by_product(&self) -> Result<BTreeMap<ProductId, SeverityCounts>> {
        let states = self.count_states().await?.into_iter();
        Ok(states.map(|(id, state)| (id, state.counts())).collect())
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
            for delta in state.deltas.values().filter(|d| d.test == test) {
                sum += delta.counts;
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
        let mut items = Vec::new();
        for (id, delta) in deltas.into_iter().take(FOLD) {
            base.counts += delta.counts;
            for block in delta.blocks {
                *base.blocks.entry(block).or_default() += 1;
            }
            *by_test.entry(delta.test).or_default() += delta.counts;
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
        let mut item = document(&keys::count_base(product), &base)?;
        item.insert("fold".into(), number(base.fold));
        items.push(self.put_fold(item, Some(before).filter(|n| *n > 0))?);
        Ok(self.db.transact(items).await? == Transacted::Done)
    }

    fn put_fold(
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
