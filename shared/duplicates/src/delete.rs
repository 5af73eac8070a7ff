//! Deleting a finding; its earliest duplicate takes its place.

use std::collections::HashSet;

use futures::future::BoxFuture;
use futures::{StreamExt as _, TryStreamExt as _};
use tatami_domain::{Finding, FindingId, JiraIssue, JiraIssueId, JiraObject, NoteId, ProductId};
use tatami_store::{Change, Commit, Committed, StoreError};

use crate::{DuplicateError, Duplicates, Held, Result, TRIES, contention, fitting, pause};

/// So many notes fit into the transaction that deletes their finding.
const NOTES: usize = 80;
/// What a transaction has besides findings, notes and claims.
const ITEMS_BESIDE: usize = 3;
/// The notes of how many findings are read side by side.
const PARALLEL: usize = 8;

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
                    self.forget_issues(std::slice::from_ref(&old)).await?;
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

    /// Deletes findings of one product with their notes, as many as fit into a transaction at once.
    /// Where others are duplicates of one of them, the earliest of those becomes the original. Those
    /// that are gone already don't matter.
    pub async fn delete_all(&self, ids: impl IntoIterator<Item = FindingId>) -> Result<()> {
        let ids: HashSet<FindingId> = ids.into_iter().collect();
        let mut attempt = 0;
        while attempt < TRIES {
            pause(attempt).await;
            let mut findings = self.store.findings(ids.iter().copied()).await?;
            let Some(product) = findings.first().map(|finding| finding.product) else {
                return Ok(());
            };
            // As in `delete`: claims and findings are read before the view.
            let mut held = Held::read(self.store, &findings).await?;
            let clusters = self.clusters(product).await?;
            let led = clusters.pointed_at_from_outside(&ids);
            findings.sort_by_key(|finding| (!finding.flags.duplicate, finding.id));
            let (led, alone): (Vec<Finding>, Vec<Finding>) =
                findings.into_iter().partition(|f| led.contains(&f.id));
            if !self.delete_alone(product, alone, &mut held).await? {
                attempt += 1;
                continue;
            }
            for finding in led {
                match self.delete(finding.id).await {
                    Err(DuplicateError::Store(error)) if error.is_not_found() => {}
                    other => other?,
                }
            }
            return Ok(());
        }
        Err(StoreError::Contention(format!("{} findings", ids.len())).into())
    }

    /// Deletes findings of which nothing else is a duplicate; `false` where somebody changed one.
    async fn delete_alone(
        &self,
        product: ProductId,
        findings: Vec<Finding>,
        held: &mut Held,
    ) -> Result<bool> {
        let reads: Vec<_> = (findings.into_iter())
            .map(|old| async move {
                let notes = self.notes_to_go(old.id).await?;
                Ok::<_, DuplicateError>((old, notes))
            })
            .collect();
        // All of them before the first commit, which is a write as they may be: who writes first also begins
        // the entry in the audit log, and nobody goes on with a stream that waits for another writer.
        let read: Vec<(Finding, Vec<NoteId>)> = futures::stream::iter(reads)
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        self.forget_issues(read.iter().map(|(old, _)| old)).await?;
        let mut read = read.into_iter();
        let mut changes = Vec::new();
        let mut items = ITEMS_BESIDE;
        loop {
            let next = read.next();
            let own = (next.as_ref()).map_or(0, |(old, notes)| 1 + notes.len() + old.keys.len());
            if !changes.is_empty() && (next.is_none() || items + own > Commit::MAX_ITEMS) {
                let commit = fitting(product, held, &changes, &[], Vec::new());
                if self.store.commit(&commit).await? == Committed::Conflict {
                    return Ok(false);
                }
                held.written(commit.claims);
                changes.clear();
                items = ITEMS_BESIDE;
            }
            let Some((old, notes)) = next else {
                return Ok(true);
            };
            items += own;
            changes.push(Change::Delete {
                old: Box::new(old),
                notes,
            });
        }
    }

    /// What is known of the issues in JIRA that are those of findings about to go, and of nothing else; before
    /// them, since they alone say which those are.
    fn forget_issues<'f>(
        &self,
        findings: impl IntoIterator<Item = &'f Finding>,
    ) -> BoxFuture<'_, Result<()>> {
        let known = findings
            .into_iter()
            .filter_map(|finding| Some((finding.jira.issue?, finding.id)));
        let known: Vec<(JiraIssueId, FindingId)> = known.collect();
        Box::pin(self.forget_known(known))
    }

    async fn forget_known(&self, known: Vec<(JiraIssueId, FindingId)>) -> Result<()> {
        if known.is_empty() {
            return Ok(());
        }
        let ids = known.iter().map(|(issue, _)| *issue);
        let issues: Vec<JiraIssue> = self.store.get_all(ids).await?;
        for issue in issues {
            let of = |(id, finding): &(JiraIssueId, FindingId)| {
                *id == issue.id && issue.object == JiraObject::Finding(*finding)
            };
            if known.iter().any(of) {
                self.store.forget_jira_issue(issue.id).await?;
            }
        }
        Ok(())
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
