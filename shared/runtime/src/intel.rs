//! The EPSS scores and the KEV catalogue, read from their object into the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tatami_blobs::{BlobError, StoredIntel};
use tatami_threat_intel::{FormatError, Intel};
use tokio::sync::Mutex;

use crate::Services;

/// The object is looked at once in so long.
const LOOK: SignedDuration = SignedDuration::from_mins(10);
/// The same after a look that failed.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(1);
/// No request waits longer for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why the object could not be read.
#[derive(Debug, thiserror::Error)]
pub enum IntelError {
    /// S3.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// It isn't what was stored.
    #[error(transparent)]
    Damaged(#[from] FormatError),
}

/// What was read last, and when.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    last: Arc<Mutex<Last>>,
    /// Was there a look that has ended?
    looked: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct Last {
    /// When to look again.
    again: Option<Timestamp>,
    tag: Option<String>,
    stored: Option<Timestamp>,
}

impl Services {
    /// Sees to it that what the store knows of the exploitation of vulnerabilities is at most ten minutes
    /// old. Where that cannot be had, it stays what it is, and the log says why.
    pub async fn refresh_intel(&self) {
        let mut last = match self.seen.last.try_lock() {
            Ok(last) => last,
            // somebody is looking, and what is known will do meanwhile
            Err(_) if self.seen.looked.load(Ordering::Acquire) => return,
            Err(_) => self.seen.last.lock().await,
        };
        let now = Timestamp::now();
        if last.again.is_some_and(|again| now < again) {
            return;
        }
        let look = tokio::time::timeout(PATIENCE, self.look_at_intel(&mut last)).await;
        let error = match look {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("it takes longer than {} s", PATIENCE.as_secs())),
        };
        if let Some(error) = &error {
            tracing::error!(%error, "the EPSS scores and the KEV catalogue stay as they are");
        }
        let wait = if error.is_some() { LOOK_AGAIN } else { LOOK };
        last.again = now.checked_add(wait).ok();
        self.seen.looked.store(true, Ordering::Release);
    }

    /// Reads the object again, however long ago it was read; none where there is no object.
    pub async fn reload_intel(&self) -> Result<Option<Arc<Intel>>, IntelError> {
        let mut last = self.seen.last.lock().await;
        let there = self.look_at_intel(&mut last).await?;
        last.again = Timestamp::now().checked_add(LOOK).ok();
        self.seen.looked.store(true, Ordering::Release);
        Ok(there.then(|| self.store.intel()))
    }

    /// When the object was stored that is known; none where none is.
    pub async fn intel_stored(&self) -> Option<Timestamp> {
        self.seen.last.lock().await.stored
    }

    /// Is there an object?
    async fn look_at_intel(&self, last: &mut Last) -> Result<bool, IntelError> {
        match self.blobs.intel(last.tag.as_deref()).await? {
            StoredIntel::Unchanged => Ok(true),
            StoredIntel::Missing => {
                if last.tag.take().is_some() {
                    last.stored = None;
                    self.store.set_intel(Intel::default());
                }
                Ok(false)
            }
            StoredIntel::Changed { bytes, tag, stored } => {
                self.store.set_intel(Intel::from_bytes(&bytes)?);
                last.tag = Some(tag);
                last.stored = Some(stored);
                Ok(true)
            }
        }
    }
}
