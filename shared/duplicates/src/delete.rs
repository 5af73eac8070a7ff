//! Deleting a finding; its earliest duplicate takes its place.

use tatami_domain::{Finding, FindingId, NoteId};
use tatami_store::{Change, Committed};

use crate::{Duplicates, Held, Result, TRIES, contention, fitting, pause};

/// So many notes fit into the transaction that deletes their finding.
const NOTES: usize = 80;

impl Duplicates<'_> {
    /// Deletes a finding with its notes. Where it has duplicates, the earliest of them becomes the
    /// original of the others, in its state.
    pub async fn delete(&self, finding: FindingId) -> Result<()> {
        self.delete_if(finding, |_| true).await.map(drop)
    }

    /// The same, if the finding still is as wanted when it goes; says whether it was.
    pub async fn delete_if(
        &self,
        finding: FindingId,
        wanted: impl Fn(&Finding) -> bool,
    ) -> Result<bool> {
        let mut attempt = 0;
        // once it has given its place to a duplicate, it is as this has written it
        let mut begun = false;
        while attempt < TRIES {
            pause(attempt).await;
            let old = self.store.finding(finding).await?;
            if !begun && !wanted(&old) {
                return Ok(false);
            }
            // Both are read before the view: whoever makes something a duplicate of this finding from
            // now on writes one of its claims or the finding itself.
            let held = Held::read(self.store, [&old]).await?;
            let clusters = self.clusters(old.product).await?;
            let heir = clusters.pointing_at(finding).map(|f| f.id).min();
            let committed = match (heir, old.duplicate_finding) {
                (None, _) => {
                    let gone = Change::Delete {
                        old: Box::new(old.clone()),
                        notes: self.notes_to_go(finding).await?,
                    };
                    let commit = fitting(old.product, &held, &[gone], &[], Vec::new());
                    let committed = self.store.commit(&commit).await?;
                    if committed == Committed::Yes {
                        tracing::info!(%finding, product = %old.product, by = ?self.by, "deleted");
                        return Ok(true);
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
                        let swapped = self.swap(&old, heir).await?;
                        begun |= swapped == Committed::Yes;
                        swapped
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

    /// The notes that go with a finding in one transaction; the first ones of more go ahead.
    async fn notes_to_go(&self, finding: FindingId) -> Result<Vec<NoteId>> {
        let notes = self.store.notes(finding).await?;
        let mut ids: Vec<NoteId> = notes.iter().map(|note| note.id).collect();
        let last = ids.split_off(ids.len().saturating_sub(NOTES));
        for id in ids {
            self.store.remove_note(finding, id).await?;
        }
        Ok(last)
    }
}
