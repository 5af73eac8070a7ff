//! Jobs: what a request began and the dedup function works off.

use tatami_domain::{Job, JobId};

use crate::db::{
    ABSENT, Item, Table, corrupt, document, number, number_of, read_document, text_of,
};
use crate::{Result, Store, StoreError, keys};

const KIND: &str = "JOB";

fn read_job(item: &Item) -> Result<Job> {
    let mut job: Job = read_document(item)?;
    let id = text_of(item, "sk").and_then(|sk| sk.parse().ok());
    job.id = JobId(id.ok_or_else(|| corrupt(item, "its sort key is no id"))?);
    job.version = number_of(item, "v").unwrap_or(1);
    Ok(job)
}

impl Store {
    /// Makes a job and gives it with its id.
    pub async fn create_job(&self, mut job: Job) -> Result<Job> {
        job.id = JobId(self.next_ids(KIND, 1).await?);
        job.version = 1;
        let mut item = document(&keys::job(job.id), &job)?;
        item.insert("v".into(), number(1));
        self.db.put(Table::Jobs, item, Some(ABSENT), vec![]).await?;
        Ok(job)
    }

    /// Takes an id for a job that is made later, by [`Store::create_reserved_job`].
    pub async fn reserve_job(&self) -> Result<JobId> {
        Ok(JobId(self.next_ids(KIND, 1).await?))
    }

    /// Makes a job under its reserved id; where that was done before, gives the one there is.
    pub async fn create_reserved_job(&self, mut job: Job) -> Result<Job> {
        job.version = 1;
        let mut item = document(&keys::job(job.id), &job)?;
        item.insert("v".into(), number(1));
        match self.db.put(Table::Jobs, item, Some(ABSENT), vec![]).await {
            Ok(()) => Ok(job),
            Err(error) if error.is_condition() => self.job(job.id).await,
            Err(error) => Err(error),
        }
    }

    /// The job with this id.
    pub async fn job(&self, id: JobId) -> Result<Job> {
        match self.db.get(Table::Jobs, &keys::job(id)).await? {
            Some(item) => read_job(&item),
            None => Err(StoreError::NotFound {
                kind: "job",
                id: id.to_string(),
            }),
        }
    }

    /// All jobs, oldest first.
    pub async fn jobs(&self) -> Result<Vec<Job>> {
        let last = self.last_id(KIND).await?;
        let partitions = keys::entity_blocks(last).map(keys::jobs).collect();
        let items = self.db.query_all(Table::Jobs, partitions).await?;
        items.iter().flatten().map(read_job).collect()
    }

    /// Writes a job as it was read and changed; `false` where somebody else was quicker.
    pub async fn put_job(&self, job: &Job) -> Result<bool> {
        let mut item = document(&keys::job(job.id), job)?;
        item.insert("v".into(), number(job.version + 1));
        let unchanged = vec![(":v", number(job.version))];
        let put = self.db.put(Table::Jobs, item, Some("v = :v"), unchanged);
        match put.await {
            Ok(()) => Ok(true),
            Err(error) if error.is_condition() => Ok(false),
            Err(error) => Err(error),
        }
    }
}
