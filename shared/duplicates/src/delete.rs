//! Deleting a finding; its earliest duplicate takes its place.

use tatami_domain::FindingId;
use tatami_store::{Change, Committed};

use crate::{Duplicates, Held, Result, TRIES, contention, fitting, pause};

impl Duplicates<'_> {
    /// Deletes a finding with its notes. Where it has duplicates, the earliest of them becomes the
    /// original of the others, in its state.
    pub async fn delete(&self, finding: FindingId) -> Result<()> {
        let mut attempt = 0;
        while attempt < TRIES {
            pause(attempt).await;
            let old = match self.store.finding(finding).await {
                Err(error) if error.is_not_found() => {
                    // left over from a deletion that was cut off
                    self.store.remove_notes(finding).await?;
                    return Err(error.into());
                }
                other => other?,
            };
            // Both are read before the view: whoever makes something a duplicate of this finding from
            // now on writes one of its claims or the finding itself.
            let held = Held::read(self.store, [&old]).await?;
            let clusters = self.clusters(old.product).await?;
            let heir = clusters.pointing_at(finding).map(|f| f.id).min();
            let committed = match (heir, old.duplicate_finding) {
                (None, _) => {
                    let gone = [Change::Delete(Box::new(old.clone()))];
                    let commit = fitting(old.product, &held, &gone, &[], Vec::new());
                    let committed = self.store.commit(&commit).await?;
                    if committed == Committed::Yes {
                        self.store.remove_notes(finding).await?;
                        tracing::info!(%finding, product = %old.product, by = ?self.by, "deleted");
                        return Ok(());
                    }
                    committed
                }
                // its place is taken already; the others haven't all followed yet
                (Some(_), Some(original)) => {
                    self.flatten(original).await?;
                    Committed::Conflict
                }
                (Some(heir), None) => match &self.store.findings([heir]).await?[..] {
                    [heir] if heir.duplicate_finding == Some(finding) => {
                        self.swap(&old, heir).await?
                    }
                    _ => Committed::Conflict,
                },
            };
            if committed == Committed::Conflict {
                attempt += 1;
            }
        }
        Err(contention(finding))
    }
}
