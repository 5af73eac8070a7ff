//! Linking, resetting, setting the original.

use jiff::Timestamp;
use tatami_domain::{Finding, FindingId, JiraIssue, JiraObject};
use tatami_store::{Change, Commit, Committed, StoreError};

use crate::state::{as_duplicate, as_original, demoted, promoted, takes_issue};
use crate::{
    CHUNK, DuplicateError, Duplicates, Held, Result, TRIES, contention, fitting, pause, repoint,
    same_product, same_scope, update,
};

impl Duplicates<'_> {
    /// Makes a finding a duplicate of another, or of the original of which that one is a duplicate.
    /// Its own duplicates go with it.
    pub async fn link(&self, finding: FindingId, original: FindingId) -> Result<Finding> {
        if finding == original {
            return Err(DuplicateError::Itself(finding));
        }
        for attempt in 0..TRIES {
            pause(attempt).await;
            let (old, root) = self.linkable(finding, original).await?;
            if old.duplicate_finding == Some(root.id) {
                self.flatten(root.id).await?;
                return Ok(old);
            }
            let clusters = self.clusters(old.product).await?;
            let own: Vec<&Finding> = clusters.pointing_at(finding).take(CHUNK).collect();
            let held = Held::read(self.store, [&old, &root].into_iter().chain(own.clone())).await?;
            same_scope(&held, &old, &root)?;
            let now = Timestamp::now();
            let mut new = as_duplicate(&old, root.id, self.by, now);
            let notes = [
                (
                    old.id,
                    format!("Marked as a duplicate of finding {}.", root.id),
                ),
                (
                    root.id,
                    format!("Finding {} was marked as its duplicate.", old.id),
                ),
            ];
            let commit = fitting(
                old.product,
                &held,
                &[update(&old, new.clone()), Change::touch(&root)],
                &own.iter().map(|f| repoint(f, root.id)).collect::<Vec<_>>(),
                self.notes(old.product, &notes, now).await?,
            );
            if self.store.commit(&commit).await? == Committed::Yes {
                self.flatten(root.id).await?;
                new.version += 1;
                return Ok(new);
            }
        }
        Err(contention(finding))
    }

    /// Could the finding be linked? Says what is wrong where it could not, and changes nothing.
    pub async fn check_link(&self, finding: FindingId, original: FindingId) -> Result<()> {
        if finding == original {
            return Err(DuplicateError::Itself(finding));
        }
        let (old, root) = self.linkable(finding, original).await?;
        let held = Held::read(self.store, [&old, &root]).await?;
        same_scope(&held, &old, &root)
    }

    /// The finding and the original that it would be linked to.
    async fn linkable(
        &self,
        finding: FindingId,
        original: FindingId,
    ) -> Result<(Finding, Finding)> {
        let old = self.store.finding(finding).await?;
        let root = self.root_of(original).await?;
        if root.id == finding {
            return Err(DuplicateError::Loop { finding, original });
        }
        same_product(&old, &root)?;
        Ok((old, root))
    }

    /// Makes a duplicate an original of its own, active again. Nothing happens to what is none.
    pub async fn unlink(&self, finding: FindingId) -> Result<Finding> {
        for attempt in 0..TRIES {
            pause(attempt).await;
            let old = self.store.finding(finding).await?;
            if !old.flags.duplicate {
                return Ok(old);
            }
            let held = Held::read(self.store, [&old]).await?;
            let now = Timestamp::now();
            let mut new = as_original(&old, self.by, now);
            let text = match old.duplicate_finding {
                Some(original) => format!("No longer a duplicate of finding {original}."),
                None => "No longer a duplicate.".to_owned(),
            };
            let commit = fitting(
                old.product,
                &held,
                &[update(&old, new.clone())],
                &[],
                self.notes(old.product, &[(finding, text)], now).await?,
            );
            if self.store.commit(&commit).await? == Committed::Yes {
                new.version += 1;
                return Ok(new);
            }
        }
        Err(contention(finding))
    }

    /// Makes `heir` the original of the whole cluster of a finding, in the state of the one before.
    pub async fn set_original(&self, of: FindingId, heir: FindingId) -> Result<Finding> {
        for attempt in 0..TRIES {
            pause(attempt).await;
            let root = self.root_of(of).await?;
            let next = self.store.finding(heir).await?;
            same_product(&root, &next)?;
            if root.id == heir {
                self.flatten(heir).await?;
                return Ok(next);
            }
            if !next.flags.duplicate {
                self.link(root.id, heir).await?;
                return Ok(self.store.finding(heir).await?);
            }
            same_scope(&Held::read(self.store, [&root, &next]).await?, &root, &next)?;
            if self.swap(&root, &next).await? == Committed::Yes {
                self.flatten(heir).await?;
                return Ok(self.store.finding(heir).await?);
            }
        }
        Err(contention(heir))
    }

    /// Puts a duplicate in the place of an original, which becomes its duplicate; as many of the
    /// others follow as fit.
    pub(crate) async fn swap(&self, root: &Finding, heir: &Finding) -> Result<Committed> {
        let clusters = self.clusters(root.product).await?;
        let others: Vec<&Finding> = (clusters.pointing_at(root.id))
            .filter(|other| other.id != heir.id)
            .take(CHUNK)
            .collect();
        let held = Held::read(self.store, [root, heir].into_iter().chain(others.clone())).await?;
        let now = Timestamp::now();
        let notes = [
            (
                heir.id,
                format!("Became the original in place of finding {}.", root.id),
            ),
            (
                root.id,
                format!("Finding {} became the original in its place.", heir.id),
            ),
        ];
        let together = [
            update(heir, promoted(heir, root, now)),
            update(root, demoted(root, heir, self.by, now)),
        ];
        let others: Vec<Change> = others.iter().map(|f| repoint(f, heir.id)).collect();
        let notes = self.notes(root.product, &notes, now).await?;
        let commit = fitting(root.product, &held, &together, &others, notes);
        let committed = self.store.commit(&commit).await?;
        if committed == Committed::Yes && takes_issue(heir, root) {
            Box::pin(self.hand_over_issue(root, heir)).await?;
        }
        Ok(committed)
    }

    /// The issue of a finding says that it's another's now. Where this comes to no end, whoever keeps JIRA in
    /// step finds it by the finding that has it.
    async fn hand_over_issue(&self, from: &Finding, to: &Finding) -> Result<()> {
        let Some(issue) = from.jira.issue else {
            return Ok(());
        };
        let handed = self.store.change(issue, |issue: &mut JiraIssue| {
            if issue.object == JiraObject::Finding(from.id) {
                issue.object = JiraObject::Finding(to.id);
            }
            Ok::<_, StoreError>(())
        });
        match handed.await {
            Err(error) if error.is_not_found() => Ok(()),
            handed => Ok(handed.map(drop)?),
        }
    }

    /// Lets every duplicate that is behind a chain point to the original itself. When it's done, all
    /// claims of these duplicates have been written since they pointed elsewhere.
    pub async fn flatten(&self, original: FindingId) -> Result<()> {
        let mut root = original;
        let mut attempt = 0;
        while attempt < TRIES {
            pause(attempt).await;
            // where somebody else has made another one the original, it's that
            let now = match self.root_of(root).await {
                Err(DuplicateError::Store(error)) if error.is_not_found() => return Ok(()),
                other => other?,
            };
            root = now.id;
            let clusters = self.clusters(now.product).await?;
            let some: Vec<&Finding> = clusters.chained(root).take(CHUNK).collect();
            if some.is_empty() {
                return Ok(());
            }
            let held = Held::read(self.store, some.iter().copied()).await?;
            let follow: Vec<Change> = some.iter().map(|f| repoint(f, root)).collect();
            let together = [Change::touch(&now)];
            let commit: Commit = fitting(now.product, &held, &together, &follow, Vec::new());
            match self.store.commit(&commit).await? {
                Committed::Yes => attempt = 0,
                Committed::Conflict => attempt += 1,
            }
        }
        Err(contention(root))
    }
}
