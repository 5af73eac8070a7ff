//! What has an issue: a finding, a group of findings, an engagement.

use tatami_domain::{
    Engagement, EngagementId, EngagementStatus, Finding, FindingGroup, FindingId, JiraIssue,
    JiraIssueId, JiraObject, ProductId,
};
use tatami_store::{Entity, Store, StoreError};

use crate::context::Context;
use crate::error::Result;

/// It, as it is now.
pub(crate) struct Thing {
    pub object: JiraObject,
    pub product: ProductId,
    pub engagement: EngagementId,
    /// Title of the finding, or name of the group or engagement.
    pub title: String,
    /// The finding, or those of the group by ascending id.
    pub findings: Vec<Finding>,
    pub group: Option<FindingGroup>,
    /// The engagement whose epic it is.
    pub epic_of: Option<Engagement>,
}

impl Thing {
    /// What has the issue of an object: findings of a group that is in JIRA have the group's.
    pub async fn whose(ctx: &Context, object: JiraObject) -> Result<Option<JiraObject>> {
        let JiraObject::Finding(id) = object else {
            return Ok(Some(object));
        };
        let Some(finding) = there(ctx.store.finding(id).await)? else {
            return Ok(None);
        };
        let Some(group) = finding.group else {
            return Ok(Some(object));
        };
        if let Some(issue) = finding.jira.issue
            && let Some(issue) = get::<JiraIssue>(&ctx.store, issue).await?
            && issue.object == object
        {
            return Ok(Some(object)); // it had one before it came into the group
        }
        let group: Option<FindingGroup> = get(&ctx.store, group).await?;
        let pushed = group.filter(|group| group.jira_issue.is_some() || group.jira_push);
        Ok(Some(pushed.map_or(object, |group| {
            JiraObject::FindingGroup(group.id)
        })))
    }

    /// Reads it; `None` where it's gone.
    pub async fn read(ctx: &Context, object: JiraObject) -> Result<Option<Self>> {
        let store = &ctx.store;
        Ok(match object {
            JiraObject::Finding(id) => there(store.finding(id).await)?.map(|finding| Self {
                object,
                product: finding.product,
                engagement: finding.engagement,
                title: finding.title.clone(),
                findings: vec![finding],
                group: None,
                epic_of: None,
            }),
            JiraObject::FindingGroup(id) => {
                let Some(group) = get::<FindingGroup>(store, id).await? else {
                    return Ok(None);
                };
                let blocks = store.test_blocks(group.test).await?;
                let mut findings = store.findings_in(&blocks).await?;
                findings.retain(|finding| finding.group == Some(id));
                findings.sort_by_key(|finding| finding.id);
                Some(Self {
                    object,
                    product: group.product,
                    engagement: group.engagement,
                    title: group.name.clone(),
                    findings,
                    group: Some(group),
                    epic_of: None,
                })
            }
            JiraObject::Engagement(id) => get::<Engagement>(store, id).await?.map(|own| Self {
                object,
                product: own.product,
                engagement: own.id,
                title: own.name.clone(),
                findings: Vec::new(),
                group: None,
                epic_of: Some(own),
            }),
        })
    }

    /// The issue that it says it has.
    pub fn issue(&self) -> Option<JiraIssueId> {
        match (&self.group, &self.epic_of) {
            (Some(group), _) => group.jira_issue,
            (_, Some(engagement)) => engagement.jira_epic,
            _ => self.findings.first().and_then(|finding| finding.jira.issue),
        }
    }

    /// Did somebody ask that it be brought into JIRA?
    pub fn is_pushed(&self) -> bool {
        let group = self.group.as_ref().is_some_and(|group| group.jira_push);
        group || self.findings.iter().any(|finding| finding.jira.push)
    }

    /// Is there something to do?
    pub fn is_open(&self) -> bool {
        match &self.epic_of {
            Some(own) => own.active && own.status != EngagementStatus::Completed,
            None => self.findings.iter().any(|finding| finding.flags.is_open()),
        }
    }

    pub fn finding_ids(&self) -> Vec<FindingId> {
        self.findings.iter().map(|finding| finding.id).collect()
    }

    /// Findings that are in it.
    pub fn is_of_findings(&self) -> bool {
        self.epic_of.is_none()
    }

    /// Sets its issue, on it and on its findings; whatever asked for one has it then. With `None`, takes it off.
    pub async fn set_issue(
        &self,
        ctx: &Context,
        issue: Option<JiraIssueId>,
        old: Option<JiraIssueId>,
        note: Option<&str>,
    ) -> Result<()> {
        let store = &ctx.store;
        if let Some(group) = &self.group {
            let set = store.change(group.id, |group: &mut FindingGroup| {
                group.jira_issue = issue;
                group.jira_push = false;
                Ok::<_, StoreError>(())
            });
            there(set.await)?;
        }
        if let Some(engagement) = &self.epic_of {
            let set = store.change(engagement.id, |engagement: &mut Engagement| {
                engagement.jira_epic = issue;
                Ok::<_, StoreError>(())
            });
            there(set.await)?;
        }
        let set = |finding: &Finding| {
            let mut new = finding.clone();
            if finding.jira.issue == old || finding.jira.issue == issue {
                new.jira.issue = issue;
                new.jira.in_progress &= issue.is_some();
            }
            new.jira.push = false;
            Some(new)
        };
        ctx.change_findings(self.product, &self.finding_ids(), note, set)
            .await?;
        Ok(())
    }

    /// Whatever asked for an issue asks no more.
    pub async fn clear_push(&self, ctx: &Context) -> Result<()> {
        if let Some(group) = self.group.as_ref().filter(|group| group.jira_push) {
            let clear = ctx.store.change(group.id, |group: &mut FindingGroup| {
                group.jira_push = false;
                Ok::<_, StoreError>(())
            });
            there(clear.await)?;
        }
        let pushed = self.findings.iter().filter(|finding| finding.jira.push);
        let pushed: Vec<FindingId> = pushed.map(|finding| finding.id).collect();
        let clear = |finding: &Finding| {
            let mut new = finding.clone();
            new.jira.push = false;
            Some(new)
        };
        ctx.change_findings(self.product, &pushed, None, clear)
            .await?;
        Ok(())
    }
}

/// What is there, or nothing.
pub(crate) fn there<T>(found: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match found {
        Err(error) if error.is_not_found() => Ok(None),
        found => found.map(Some),
    }
}

/// Something of the catalog, if it's there.
pub(crate) async fn get<T: Entity>(store: &Store, id: T::Id) -> Result<Option<T>, StoreError> {
    there(store.get(id).await)
}
