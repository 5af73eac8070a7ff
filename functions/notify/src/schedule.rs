//! What comes by itself: work that was never sent, messages whose time for another try has come, digests.

use tatami_runtime::Services;

use crate::known::Known;
use crate::{NotifyError, digests, send};

/// So many messages are sent to the queue by one run at most; the next one finds the others.
const MOST: usize = 2_000;

/// A run. What stops one part of it doesn't stop the others.
pub(crate) async fn run(services: &Services) -> Result<(), NotifyError> {
    let swept = services.sweep_outbox().await;
    let again = due(services).await;
    let known = Known::new(services.clone());
    let digests = Box::pin(digests::run(&known)).await;
    swept?;
    again?;
    digests
}

async fn due(services: &Services) -> Result<(), NotifyError> {
    let mut due = services.store.deliveries_due().await?;
    due.truncate(MOST);
    if !due.is_empty() {
        tracing::info!(number = due.len(), "messages are tried again");
    }
    send(services, due).await
}
