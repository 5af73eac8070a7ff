//! Findings as lists need them: whole blocks, decoded once and kept as long as nothing in them has
//! changed. What has changed is told by the count deltas, so a list never shows old state.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures::{StreamExt as _, TryStreamExt as _};
use tatami_domain::{BlockId, Finding, ProductId, TestId};

use crate::counts::State;
use crate::{Result, Store};

/// How many decoded blocks are kept; a full block takes about 3 MB.
const MAX_BLOCKS: usize = 192;
/// How many blocks are read side by side.
const PARALLEL: usize = 4;
/// More unfolded deltas than this, and the reader folds them.
const FOLD_AT: usize = 64;

/// The findings of one block, by ascending id.
pub type BlockView = Arc<[Arc<Finding>]>;

struct Cached {
    /// How often the block had been changed when it was read.
    changes: u64,
    findings: BlockView,
    used: u64,
}

#[derive(Clone, Default)]
pub(crate) struct Cache {
    blocks: Arc<Mutex<Blocks>>,
}

#[derive(Default)]
struct Blocks {
    clock: u64,
    by_id: HashMap<BlockId, Cached>,
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

impl Cache {
    fn get(&self, block: BlockId, changes: u64) -> Option<BlockView> {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        blocks.clock += 1;
        let now = blocks.clock;
        let cached = blocks
            .by_id
            .get_mut(&block)
            .filter(|c| c.changes == changes)?;
        cached.used = now;
        Some(Arc::clone(&cached.findings))
    }

    fn put(&self, block: BlockId, changes: u64, findings: BlockView) {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        blocks.clock += 1;
        let cached = Cached {
            changes,
            findings,
            used: blocks.clock,
        };
        blocks.by_id.insert(block, cached);
        if blocks.by_id.len() > MAX_BLOCKS {
            let oldest = blocks.by_id.iter().min_by_key(|(_, c)| c.used);
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                blocks.by_id.remove(&oldest);
            }
        }
    }
}

impl Store {
    /// Every finding of some products (`None`: of all), block by block, as of now.
    pub async fn view(&self, products: Option<&[ProductId]>) -> Result<Vec<BlockView>> {
        let states: BTreeMap<ProductId, State> = match products {
            None => self.count_states().await?,
            Some(products) => {
                let reads: Vec<_> = (products.iter().copied())
                    .map(|product| async move { Ok((product, self.count_state(product).await?)) })
                    .collect();
                let reads = futures::stream::iter(reads).buffer_unordered(PARALLEL);
                reads.try_collect().await?
            }
        };
        let mut reads = Vec::new();
        for state in states.values() {
            reads.extend(
                state
                    .blocks()
                    .into_iter()
                    .map(|block| self.block(block, state)),
            );
        }
        let views = futures::stream::iter(reads)
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        for (product, state) in &states {
            if state.deltas.len() > FOLD_AT {
                self.fold_counts(*product).await?;
            }
        }
        Ok(views)
    }

    /// Every finding of one test, block by block, as of now: only the blocks in which the test has any
    /// are read.
    pub async fn view_of_test(&self, product: ProductId, test: TestId) -> Result<Vec<BlockView>> {
        // Blocks are noted before they are written, so the state may lack some, never the blocks.
        let state = self.count_state(product).await?;
        let blocks = self.test_blocks(test).await?;
        let mut views: Vec<BlockView> = futures::stream::iter(blocks)
            .map(|block| self.block(block, &state))
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        for view in &mut views {
            if view.iter().any(|finding| finding.test != test) {
                let own = view.iter().filter(|finding| finding.test == test);
                *view = own.cloned().collect();
            }
        }
        Ok(views)
    }

    async fn block(&self, block: BlockId, state: &State) -> Result<BlockView> {
        let changes = state.changes(block);
        if let Some(findings) = self.view.get(block, changes) {
            return Ok(findings);
        }
        let findings = self.findings_in(&[block]).await?;
        let findings: BlockView = findings.into_iter().map(Arc::new).collect();
        self.view.put(block, changes, Arc::clone(&findings));
        Ok(findings)
    }
}
