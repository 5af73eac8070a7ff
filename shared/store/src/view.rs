//! Findings as lists need them: whole blocks, decoded once and kept as long as nothing in them has
//! changed. What has changed is told by the count deltas, so a list never shows old state.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use tatami_domain::{BlockId, Finding, ProductId, TestId};

use crate::counts::State;
use crate::{Result, Store};

/// How many bytes of decoded blocks are kept; 100,000 findings take about 160 MB.
const MAX_BYTES: u64 = 256 << 20;
/// What no list has asked for so long is let go.
const MAX_IDLE: Duration = Duration::from_mins(15);
/// How many blocks are read side by side.
const PARALLEL: usize = 4;
/// More unfolded deltas than this, and the reader folds them.
const FOLD_AT: usize = 64;

/// The findings of one block, by ascending id.
type BlockView = Arc<[Arc<Finding>]>;

/// What a reader looks at.
#[derive(Debug, Clone, Copy)]
pub enum Sight<'a> {
    /// Everything.
    All,
    /// Some products.
    Products(&'a [ProductId]),
    /// One test of a product.
    Test(ProductId, TestId),
}

#[derive(Clone)]
struct Cached {
    /// How often the block had been changed when it was read.
    changes: u64,
    findings: BlockView,
    bytes: u32,
}

#[derive(Clone)]
pub(crate) struct Cache {
    blocks: moka::sync::Cache<BlockId, Cached>,
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

impl Default for Cache {
    fn default() -> Self {
        let blocks = moka::sync::Cache::builder()
            .max_capacity(MAX_BYTES)
            .weigher(|_, block: &Cached| block.bytes)
            .time_to_idle(MAX_IDLE)
            .build();
        Self { blocks }
    }
}

impl Cache {
    fn get(&self, block: BlockId, changes: u64) -> Option<BlockView> {
        let cached = self.blocks.get(&block)?;
        (cached.changes == changes).then_some(cached.findings)
    }

    fn put(&self, block: BlockId, changes: u64, findings: BlockView, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let cached = Cached {
            changes,
            findings,
            bytes,
        };
        self.blocks.insert(block, cached);
    }
}
/// Whether what was read is kept for the next reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    Yes,
    No,
    /// No; and what was written a moment ago needn't be seen.
    NoAndLate,
}

impl Store {
    /// Shows every finding of a part of the store as of now, block by block. What is read is kept,
    /// for those who look again and again.
    pub async fn visit(
        &self,
        sight: Sight<'_>,
        see: impl FnMut(&Arc<Finding>) + Send,
    ) -> Result<()> {
        self.look(sight, Keep::Yes, see).await
    }

    /// As [`Store::visit`], for those who look once: nothing is kept that wasn't before.
    pub async fn sweep(
        &self,
        sight: Sight<'_>,
        see: impl FnMut(&Arc<Finding>) + Send,
    ) -> Result<()> {
        self.look(sight, Keep::No, see).await
    }

    /// As [`Store::sweep`], at half the price: what was written a moment ago may not be seen.
    pub async fn skim(
        &self,
        sight: Sight<'_>,
        see: impl FnMut(&Arc<Finding>) + Send,
    ) -> Result<()> {
        self.look(sight, Keep::NoAndLate, see).await
    }

    async fn look(
        &self,
        sight: Sight<'_>,
        keep: Keep,
        mut see: impl FnMut(&Arc<Finding>) + Send,
    ) -> Result<()> {
        let gone = self.gone().await?;
        let mut states: BTreeMap<ProductId, State> = match sight {
            Sight::All => self.count_states().await?,
            Sight::Products(products) => {
                let reads: Vec<_> = (products.iter().copied())
                    .map(|product| async move { Ok((product, self.count_state(product).await?)) })
                    .collect();
                let reads = futures::stream::iter(reads).buffer_unordered(PARALLEL);
                reads.try_collect().await?
            }
            Sight::Test(product, _) => {
                BTreeMap::from([(product, self.count_state(product).await?)])
            }
        };
        states.retain(|product, _| !gone.product(*product));
        // A test's blocks are noted before they are written, so the state may lack some, never the
        // blocks.
        let (test, own) = match sight {
            Sight::Test(_, test) => (Some(test), Some(self.test_blocks(test).await?)),
            Sight::All | Sight::Products(_) => (None, None),
        };
        let mut reads = Vec::new();
        for state in states.values() {
            let blocks = match &own {
                Some(blocks) => blocks.clone(),
                None => state.blocks().into_iter().collect(),
            };
            reads.extend((blocks.into_iter()).map(|block| self.block(block, state, keep)));
        }
        let mut views = futures::stream::iter(reads).buffered(PARALLEL);
        while let Some(view) = views.try_next().await? {
            let findings = view.iter();
            let wanted = |finding: &Finding| {
                test.is_none_or(|test| finding.test == test) && !gone.finding(finding)
            };
            (findings.filter(|finding| wanted(finding))).for_each(&mut see);
        }
        drop(views);
        if test.is_none() {
            for (product, state) in &states {
                if state.deltas.len() > FOLD_AT {
                    self.fold_counts(*product).await?;
                }
            }
        }
        Ok(())
    }

    async fn block(&self, block: BlockId, state: &State, keep: Keep) -> Result<BlockView> {
        let changes = state.changes(block);
        if let Some(findings) = self.view.get(block, changes) {
            return Ok(findings);
        }
        let (findings, bytes) = self.read_block(block, keep == Keep::NoAndLate).await?;
        let findings: BlockView = findings.into_iter().map(Arc::new).collect();
        if keep == Keep::Yes {
            self.view.put(block, changes, Arc::clone(&findings), bytes);
        }
        Ok(findings)
    }
}
