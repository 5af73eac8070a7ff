use serde::{Deserialize, Serialize};
use tatami_domain::{BlockId, DedupeScope, Finding, FindingId, ProductId};

use crate::db::{
    ABSENT, Item, Table, corrupt, document, number, number_of, read_document, text_of,
};
use crate::{Result, Store, StoreError, keys};

/// The next free ids of a product.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Allocation {
    /// The block that is being filled.
    block: BlockId,
    /// How many of its ids are given out; a full one has none left.
    used: u64,
}

pub(crate) fn read_finding(item: &Item) -> Result<Finding> {
    let mut finding: Finding = read_document(item)?;
    let id = text_of(item, "sk").and_then(|sk| sk.parse().ok());
    finding.id = FindingId(id.ok_or_else(|| corrupt(item, "its sort key is no id"))?);
    finding.version = number_of(item, "v").unwrap_or(1);
    Ok(finding)
}

impl Store {
    /// The finding with this id.
    pub async fn finding(&self, id: FindingId) -> Result<Finding> {
        let item = self.db.get(Table::Findings, &keys::finding(id)).await?;
        let finding = item.as_ref().map(read_finding).transpose()?;
        let mut finding: Vec<Finding> = finding.into_iter().collect();
        self.hide_findings(&mut finding).await?;
        finding.pop().ok_or_else(|| StoreError::NotFound {
            kind: "finding",
            id: id.to_string(),
        })
    }

    /// Those of the findings that exist, in no order.
    pub async fn findings(&self, ids: impl IntoIterator<Item = FindingId>) -> Result<Vec<Finding>> {
        let mut ids: Vec<FindingId> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        let keys = ids.into_iter().map(keys::finding).collect();
        let items = self.db.get_many(Table::Findings, keys).await?;
        let mut findings = items.iter().map(read_finding).collect::<Result<_>>()?;
        self.hide_findings(&mut findings).await?;
        Ok(findings)
    }

    async fn hide_findings(&self, findings: &mut Vec<Finding>) -> Result<()> {
        if !findings.is_empty() {
            let gone = self.gone().await?;
            findings.retain(|finding| !gone.finding(finding));
        }
        Ok(())
    }

    /// Every finding of some blocks, by ascending id, read afresh.
    pub async fn findings_in(&self, blocks: &[BlockId]) -> Result<Vec<Finding>> {
        let partitions = blocks.iter().copied().map(keys::block).collect();
        let items = self.db.query_all(Table::Findings, partitions).await?;
        let findings = items.iter().flatten().map(read_finding);
        let mut findings = findings.collect::<Result<_>>()?;
        self.hide_findings(&mut findings).await?;
        Ok(findings)
    }

    /// Every finding of a block, by ascending id, and about how many bytes of memory they take.
    /// With `late`, as they were a moment ago.
    pub(crate) async fn read_block(
        &self,
        block: BlockId,
        late: bool,
    ) -> Result<(Vec<Finding>, usize)> {
        let partition = keys::block(block);
        let items = if late {
            self.db.query_late(Table::Findings, &partition).await?
        } else {
            self.db.query(Table::Findings, &partition, None).await?
        };
        let mut bytes = 0;
        let mut findings = Vec::with_capacity(items.len());
        for item in items {
            let mut finding = read_finding(&item)?;
            finding.shrink();
            // a document's names and marks make up for what its texts take beside their letters
            bytes += size_of::<Finding>() + text_of(&item, "d").map_or(0, str::len);
            findings.push(finding);
        }
        Ok((findings, bytes))
    }

    /// Gives `n` new finding ids to a product, ascending: what is left of its block, then new ones.
    /// Ids that are then not used stay unused.
    pub async fn allocate(&self, product: ProductId, n: u64) -> Result<Vec<FindingId>> {
        let key = keys::allocation(product);
        let mut fresh: Option<(u64, u64)> = None; // blocks taken from the common counter
        for _ in 0..50 {
            let item = self.db.get(Table::Findings, &key).await?;
            let version = item.as_ref().and_then(|i| number_of(i, "v"));
            let now = match &item {
                Some(item) => read_document(item)?,
                None => Allocation {
                    block: BlockId(0),
                    used: BlockId::SIZE,
                },
            };
            let mut ids: Vec<FindingId> = (now.used..BlockId::SIZE)
                .map(|place| FindingId(now.block.first().0 + place))
                .take(usize::try_from(n).unwrap_or(usize::MAX))
                .collect();
            let missing = n - ids.len() as u64;
            let mut next = Allocation {
                block: now.block,
                used: now.used + ids.len() as u64,
            };
            if missing > 0 {
                let needed = missing.div_ceil(BlockId::SIZE);
                let (first, _) = match fresh.filter(|(_, got)| *got >= needed) {
                    Some(blocks) => blocks,
                    None => (self.next_ids("BLOCK", needed).await?, needed),
                };
                fresh = Some((first, needed));
                let start = BlockId(first).first().0;
                ids.extend((start..start + missing).map(FindingId));
                next = Allocation {
                    block: BlockId(first + needed - 1),
                    used: missing - (needed - 1) * BlockId::SIZE,
                };
            }
            let mut item = document(&key, &next)?;
            item.insert("v".into(), number(version.unwrap_or(0) + 1));
            let written = match version {
                None => {
                    self.db
                        .put(Table::Findings, item, Some(ABSENT), vec![])
                        .await
                }
                Some(v) => {
                    let unchanged = vec![(":v", number(v))];
                    self.db
                        .put(Table::Findings, item, Some("v = :v"), unchanged)
                        .await
                }
            };
            match written {
                Ok(()) => return Ok(ids),
                Err(error) if error.is_condition() => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Contention(format!("product {product}")))
    }

    /// Removes what a product has besides its findings: the ids that it would give next, its counts,
    /// its SLA summary and its endpoints.
    pub async fn forget_product(&self, product: ProductId) -> Result<()> {
        let counts = keys::count_prefix(product);
        let counts = (self.db).query(Table::Findings, &counts.pk, Some(&counts.sk));
        let mut gone: Vec<_> = counts.await?.iter().map(crate::db::key_of).collect();
        gone.extend([keys::allocation(product), keys::sla_summary(product)]);
        for partition in [
            keys::endpoint_log(product),
            keys::endpoint_statuses(product),
            keys::days(product),
        ] {
            let items = self.db.query(Table::Findings, &partition, None).await?;
            gone.extend(items.iter().map(crate::db::key_of));
        }
        self.db.delete_all(Table::Findings, gone).await?;
        let level = keys::dedupe(DedupeScope::Product(product));
        self.db.delete(Table::Catalog, &level).await
    }
}
