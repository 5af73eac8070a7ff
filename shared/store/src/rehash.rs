//! Jobs that give findings new keys. One is under way at a time, so that none undoes another's work.

use aws_sdk_dynamodb::types::TransactWriteItem;
use tatami_domain::{BlockId, DedupeScope, ProductId, RehashJob, RehashJobId};

use crate::db::{
    ABSENT, Item, Table, Transacted, corrupt, document, key_item, number, number_of, read_document,
    text_of,
};
use crate::{Result, Store, StoreError, audit, keys};

const KIND: &str = "REHASH";

fn read_job(item: &Item) -> Result<RehashJob> {
    let mut job: RehashJob = read_document(item)?;
    let id = text_of(item, "sk").and_then(|sk| sk.parse().ok());
    job.id = RehashJobId(id.ok_or_else(|| corrupt(item, "its sort key is no id"))?);
    job.version = number_of(item, "v").unwrap_or(1);
    Ok(job)
}

impl Store {
    /// Makes a job and gives it with its id; `None` where another is under way.
    pub async fn create_rehash_job(&self, mut job: RehashJob) -> Result<Option<RehashJob>> {
        job.id = RehashJobId(self.next_ids(KIND, 1).await?);
        let Some(under_way) = self.under_way(job.id).await? else {
            return Ok(None);
        };
        let mut item = document(&keys::rehash_job(job.id), &job)?;
        item.insert("v".into(), number(1));
        let new = (self.db).put_in(Table::Jobs, item, Some(ABSENT), vec![])?;
        job.version = 1;
        let made = self.db.transact(vec![under_way, new]).await?;
        if made != Transacted::Done {
            return Ok(None);
        }
        audit::note(
            "re-hash job",
            job.id.0,
            None,
            serde_json::to_value(&job).ok(),
        );
        Ok(Some(job))
    }

    /// Makes a job the one that is under way; `false` where another is.
    pub async fn claim_rehash(&self, job: RehashJobId) -> Result<bool> {
        let Some(under_way) = self.under_way(job).await? else {
            return Ok(false);
        };
        let claimed = self.db.transact(vec![under_way]).await?;
        Ok(matches!(claimed, Transacted::Done))
    }

    /// The write that makes a job the one that is under way, if nobody is quicker; `None` where another
    /// is.
    async fn under_way(&self, job: RehashJobId) -> Result<Option<TransactWriteItem>> {
        let key = keys::rehash_active();
        let held = self.db.get(Table::Jobs, &key).await?;
        let held = held.and_then(|item| number_of(&item, "job"));
        if let Some(held) = held.map(RehashJobId).filter(|held| *held != job)
            && self.rehash_job(held).await?.finished.is_none()
        {
            return Ok(None);
        }
        let mut item = key_item(&key);
        item.insert("job".into(), number(job.0));
        let put = match held {
            None => self.db.put_in(Table::Jobs, item, Some(ABSENT), vec![]),
            Some(held) => {
                let held = vec![(":held", number(held))];
                self.db.put_in(Table::Jobs, item, Some("job = :held"), held)
            }
        };
        put.map(Some)
    }

    /// The job with this id.
    pub async fn rehash_job(&self, id: RehashJobId) -> Result<RehashJob> {
        match self.db.get(Table::Jobs, &keys::rehash_job(id)).await? {
            Some(item) => read_job(&item),
            None => Err(StoreError::NotFound {
                kind: "re-hash job",
                id: id.to_string(),
            }),
        }
    }

    /// All jobs, oldest first.
    pub async fn rehash_jobs(&self) -> Result<Vec<RehashJob>> {
        let items = self.db.query(Table::Jobs, keys::REHASH_JOBS, None).await?;
        items.iter().map(read_job).collect()
    }

    /// Writes a job as it was read and changed; `false` where somebody else was quicker.
    pub async fn put_rehash_job(&self, job: &RehashJob) -> Result<bool> {
        let mut item = document(&keys::rehash_job(job.id), job)?;
        item.insert("v".into(), number(job.version + 1));
        let unchanged = vec![(":v", number(job.version))];
        match self
            .db
            .put(Table::Jobs, item, Some("v = :v"), unchanged)
            .await
        {
            Ok(()) => {
                audit::note(
                    "re-hash job",
                    job.id.0,
                    None,
                    serde_json::to_value(job).ok(),
                );
                Ok(true)
            }
            Err(error) if error.is_condition() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The blocks in which findings of a level may lie, ascending. Those of a product are its own.
    pub async fn blocks_of(&self, scope: DedupeScope) -> Result<Vec<(BlockId, ProductId)>> {
        let states = match scope {
            DedupeScope::Product(id) => [(id, self.count_state(id).await?)].into(),
            DedupeScope::System | DedupeScope::TestType(_) => self.count_states().await?,
        };
        let mut blocks: Vec<(BlockId, ProductId)> = (states.iter())
            .flat_map(|(product, state)| state.blocks().into_iter().map(|b| (b, *product)))
            .collect();
        blocks.sort_unstable();
        Ok(blocks)
    }
}
