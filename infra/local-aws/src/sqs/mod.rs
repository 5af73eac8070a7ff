//! The queues: an SQS of our own on SQLite, standard queues only.
//!
//! [`Queues`] is the in-process interface; `wire` puts it on HTTP. What a call answered is committed,
//! so messages in flight survive a killed process and come back after their visibility timeout.

mod store;
mod wire;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::db::{Db, DbError};

pub use store::{Counts, Message, NewMessage, Queue, QueueSettings, RedrivePolicy};
pub(crate) use store::{SCHEMA, send as send_in_transaction};
pub(crate) use wire::{failure as wire_failure, handle};

/// The account in ARNs and queue URLs.
pub(crate) const ACCOUNT: &str = "000000000000";
/// Most bytes of a message, and of all messages of a batch.
const MAX_BYTES: usize = 1024 * 1024;
const MAX_BATCH: usize = 10;
const MAX_WAIT_S: i64 = 20;
const MAX_VISIBILITY_S: i64 = 12 * 60 * 60;

/// What SQS refuses, with the names that it uses on the wire.
#[derive(Debug, thiserror::Error)]
pub enum SqsError {
    /// No queue of that name.
    #[error("the specified queue does not exist")]
    QueueDoesNotExist,
    /// A queue of that name exists with other attributes.
    #[error("a queue already exists with the same name and a different value for attribute(s)")]
    QueueNameExists,
    /// The receipt handle is not one of ours.
    #[error("the input receipt handle is invalid")]
    ReceiptHandleIsInvalid,
    /// The message is deleted, or visible again.
    #[error("the message referred to is not in flight")]
    MessageNotInflight,
    /// A parameter is out of range.
    #[error("{0}")]
    InvalidParameterValue(String),
    /// An attribute that this endpoint does not know.
    #[error("unknown attribute {0}")]
    InvalidAttributeName(String),
    /// A required parameter is absent.
    #[error("the request must contain the parameter {0}")]
    MissingParameter(&'static str),
    /// A batch without entries.
    #[error("there should be at least one entry in the request")]
    EmptyBatchRequest,
    /// A batch of more than ten entries.
    #[error("maximum number of entries per request are {MAX_BATCH}")]
    TooManyEntriesInBatchRequest,
    /// Two entries of a batch have the same id.
    #[error("two or more batch entries in the request have the same id")]
    BatchEntryIdsNotDistinct,
    /// The messages of a batch are too long together.
    #[error("batch requests cannot be longer than {MAX_BYTES} bytes")]
    BatchRequestTooLong,
    /// The resource of a message move task is missing.
    #[error("one or more specified resources don't exist")]
    ResourceNotFound,
    /// A call of SQS that this endpoint does not have.
    #[error("{0} is not supported by the local SQS")]
    UnsupportedOperation(String),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<rusqlite::Error> for SqsError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}

/// The queues of a data directory.
#[derive(Debug, Clone)]
pub struct Queues {
    db: Db,
    region: Arc<str>,
    /// Wakes the long polls of a queue.
    wakers: Arc<Mutex<HashMap<String, Arc<Notify>>>>,
}

impl Queues {
    pub(crate) fn new(db: Db, region: &str) -> Self {
        Self {
            db,
            region: region.into(),
            wakers: Arc::default(),
        }
    }

    /// The ARN of a queue, whether it exists or not.
    pub fn arn(&self, queue: &str) -> String {
        format!("arn:aws:sqs:{}:{ACCOUNT}:{queue}", self.region)
    }

    /// Creates a queue, or gives an existing one these settings.
    pub async fn ensure(&self, queue: &str, settings: QueueSettings) -> Result<(), SqsError> {
        let queue = queue.to_owned();
        self.db
            .run(move |db| store::ensure(db, &queue, &settings, now_ms()))
            .await
    }

    /// Creates a queue; one that exists must have the same settings.
    pub async fn create(
        &self,
        queue: &str,
        attributes: Map<String, Value>,
    ) -> Result<(), SqsError> {
        let queue = queue.to_owned();
        self.db
            .run(move |db| {
                let settings = QueueSettings::default().with(&attributes)?;
                match store::find(db, &queue) {
                    Ok(found) if found.settings.clone().with(&attributes)? == found.settings => {
                        Ok(())
                    }
                    Ok(_) => Err(SqsError::QueueNameExists),
                    Err(SqsError::QueueDoesNotExist) => {
                        store::ensure(db, &queue, &settings, now_ms())
                    }
                    Err(error) => Err(error),
                }
            })
            .await
    }

    /// Changes the given attributes of a queue, named and written as SQS does.
    pub async fn set_attributes(
        &self,
        queue: &str,
        attributes: Map<String, Value>,
    ) -> Result<(), SqsError> {
        let queue = queue.to_owned();
        self.db
            .run(move |db| {
                let settings = store::find(db, &queue)?.settings.with(&attributes)?;
                store::ensure(db, &queue, &settings, now_ms())
            })
            .await
    }

    /// The queue and how many messages it has.
    pub async fn describe(&self, queue: &str) -> Result<(Queue, Counts), SqsError> {
        let queue = queue.to_owned();
        self.db
            .run(move |db| {
                let queue = store::find(db, &queue)?;
                let counts = store::count(db, &queue, now_ms())?;
                Ok((queue, counts))
            })
            .await
    }

    /// The names of all queues that start with `prefix`.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>, SqsError> {
        let prefix = prefix.to_owned();
        self.db.run(move |db| store::list(db, &prefix)).await
    }

    /// Deletes a queue and its messages.
    pub async fn delete_queue(&self, queue: &str) -> Result<(), SqsError> {
        let queue = queue.to_owned();
        self.db.run(move |db| store::delete_queue(db, &queue)).await
    }

    /// Deletes all messages of a queue.
    pub async fn purge(&self, queue: &str) -> Result<(), SqsError> {
        let queue = queue.to_owned();
        self.db.run(move |db| store::purge(db, &queue)).await
    }

    /// Sends messages in one transaction and returns their ids.
    pub async fn send(
        &self,
        queue: &str,
        messages: Vec<NewMessage>,
    ) -> Result<Vec<String>, SqsError> {
        let name = queue.to_owned();
        let ids = self
            .db
            .run(move |db| store::send(db, &name, &messages, now_ms()))
            .await?;
        self.wake(queue);
        Ok(ids)
    }

    /// Receives up to ten messages, waiting for the first one up to `wait` (by default as long as
    /// the queue says).
    pub async fn receive(
        &self,
        queue: &str,
        limit: usize,
        visibility: Option<Duration>,
        wait: Option<Duration>,
    ) -> Result<Vec<Message>, SqsError> {
        let started = Instant::now();
        let waker = self.waker(queue);
        loop {
            let mut woken = std::pin::pin!(waker.notified());
            // Listen before looking, so that no message can slip in between.
            woken.as_mut().enable();
            let name = queue.to_owned();
            let received = self
                .db
                .run(move |db| store::receive(db, &name, limit, visibility, now_ms()))
                .await?;
            let wait = wait.unwrap_or(received.default_wait);
            let left = wait.saturating_sub(started.elapsed());
            if let Some(dead_letters) = received.moved_to {
                self.wake(&dead_letters);
            }
            if !received.messages.is_empty() || left.is_zero() {
                return Ok(received.messages);
            }
            let sleep = received.next_due.map_or(left, |due| left.min(due));
            tokio::select! {
                () = woken => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    /// Deletes messages by receipt handle; each has its own outcome.
    pub async fn delete(
        &self,
        queue: &str,
        handles: Vec<String>,
    ) -> Result<Vec<Result<(), SqsError>>, SqsError> {
        let queue = queue.to_owned();
        self.db
            .run(move |db| {
                let queue = store::find(db, &queue)?;
                Ok(handles
                    .iter()
                    .map(|handle| store::delete(db, &queue, handle))
                    .collect())
            })
            .await
    }

    /// Sets when messages in flight become visible again, counted from now.
    pub async fn change_visibility(
        &self,
        queue: &str,
        changes: Vec<(String, i64)>,
    ) -> Result<Vec<Result<(), SqsError>>, SqsError> {
        let name = queue.to_owned();
        let outcomes = self
            .db
            .run(move |db| {
                let queue = store::find(db, &name)?;
                Ok::<_, SqsError>(
                    changes
                        .iter()
                        .map(|(handle, seconds)| {
                            check_range("VisibilityTimeout", *seconds, 0, MAX_VISIBILITY_S)?;
                            store::change_visibility(db, &queue, handle, *seconds, now_ms())
                        })
                        .collect(),
                )
            })
            .await?;
        self.wake(queue);
        Ok(outcomes)
    }

    /// Moves the waiting messages of a dead-letter queue to where they came from, or to
    /// `destination`, as new messages. Returns how many.
    pub async fn redrive(
        &self,
        dead_letters: &str,
        destination: Option<String>,
    ) -> Result<usize, SqsError> {
        let dead_letters = dead_letters.to_owned();
        let moved = self
            .db
            .run(move |db| store::redrive(db, &dead_letters, destination.as_deref(), now_ms()))
            .await?;
        self.wake_all();
        Ok(moved)
    }

    /// Makes every message in flight visible again. For the start: nobody of the last run still
    /// works on one.
    pub(crate) async fn release_all(&self) -> Result<usize, SqsError> {
        self.db.run(|db| store::release_all(db, now_ms())).await
    }

    /// Deletes the messages that are past their retention period.
    pub(crate) async fn sweep(&self) -> Result<usize, SqsError> {
        self.db.run(|db| store::sweep(db, now_ms())).await
    }

    /// Wakes the receivers that wait on a queue.
    pub(crate) fn wake(&self, queue: &str) {
        if let Some(waker) = self.lock_wakers().get(queue) {
            waker.notify_waiters();
        }
    }

    fn wake_all(&self) {
        for waker in self.lock_wakers().values() {
            waker.notify_waiters();
        }
    }

    fn waker(&self, queue: &str) -> Arc<Notify> {
        Arc::clone(self.lock_wakers().entry(queue.to_owned()).or_default())
    }

    fn lock_wakers(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Notify>>> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check_range(name: &str, value: i64, low: i64, high: i64) -> Result<i64, SqsError> {
    if (low..=high).contains(&value) {
        Ok(value)
    } else {
        Err(SqsError::InvalidParameterValue(format!(
            "value {value} for parameter {name} is invalid, must be between {low} and {high}"
        )))
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
