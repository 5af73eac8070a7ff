//! Sending what was put into the outbox to the functions that do it.

use jiff::SignedDuration;
use tatami_domain::{OutboxEntry, OutboxWork};
use tatami_queue::{JiraMessage, NotifyMessage, Outgoing, SendError};
use tatami_store::StoreError;

use crate::Services;

/// What has waited so long was never sent, or failed and lies in a dead-letter queue.
const LOST: SignedDuration = SignedDuration::from_mins(15);

/// Why the outbox could not be sent.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// DynamoDB.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// SQS.
    #[error(transparent)]
    Send(#[from] SendError),
    /// A message that cannot be written.
    #[error("a message cannot be written: {0}")]
    Json(#[from] serde_json::Error),
}

impl Services {
    /// Sends what this process has put into the outbox. Where that fails it's only later: whoever sweeps
    /// the outbox finds it.
    pub async fn relay(&self) {
        let entries = self.store.take_outbox();
        if entries.is_empty() {
            return;
        }
        let number = entries.len();
        if let Err(error) = self.send_work(entries).await {
            tracing::warn!(%error, number, "work stays in the outbox until it is swept");
        }
    }

    /// Sends what has waited in the outbox too long; how much that was.
    pub async fn sweep_outbox(&self) -> Result<usize, RelayError> {
        self.sweep_outbox_after(LOST).await
    }

    /// The same for what has waited for so long.
    pub async fn sweep_outbox_after(&self, waited: SignedDuration) -> Result<usize, RelayError> {
        let entries = self.store.outbox(waited).await?;
        let number = entries.len();
        self.send_work(entries).await?;
        Ok(number)
    }

    async fn send_work(&self, entries: Vec<OutboxEntry>) -> Result<(), RelayError> {
        let (mut jira, mut notify) = (Vec::new(), Vec::new());
        for entry in entries {
            let (queue, body) = match &entry.work {
                OutboxWork::Jira { .. } | OutboxWork::JiraPush(_) | OutboxWork::JiraEvent(_) => {
                    (&mut jira, tatami_queue::write(&JiraMessage::Work(entry))?)
                }
                OutboxWork::Notify(_) => {
                    let message = NotifyMessage::Work(entry);
                    (&mut notify, tatami_queue::write(&message)?)
                }
            };
            queue.push(Outgoing { body, import: None });
        }
        let (jira, notify) = tokio::join!(self.jira.send(jira), self.notify.send(notify));
        jira?;
        notify?;
        Ok(())
    }
}
