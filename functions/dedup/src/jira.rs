//! What of an import is brought into JIRA, where its sender asked for it.

use std::collections::BTreeSet;

use tatami_domain::{
    Finding, FindingGroup, FindingGroupId, FindingId, Import, ImportActions, IssueRule, JiraObject,
    OutboxWork,
};
use tatami_store::{Change, Commit, Committed, Follows, Store, StoreError};

/// So many findings are marked in one transaction.
const MARK: usize = 48;
/// How often they are read again that others change.
const TRIES: u32 = 20;

/// What findings have to be so that this import brings them into JIRA; `None` where it brings none.
pub async fn rule(store: &Store, import: &Import) -> Result<Option<IssueRule>, StoreError> {
    let (true, Some(product), Some(engagement)) = (
        import.options.push_to_jira,
        import.product,
        import.engagement,
    ) else {
        return Ok(None);
    };
    let settings = store.system_settings().await?;
    if !settings.enable_jira {
        return Ok(None);
    }
    let projects = store.jira_projects().await?;
    let project = projects.of(product, engagement);
    Ok(project.map(|_| IssueRule::of(&settings)))
}

/// Asks that the groups of findings that an import has made or opened again be brought into JIRA, each as one
/// issue, and those findings that are in no group by themselves.
pub async fn push_groups(
    store: &Store,
    import: &Import,
    actions: &ImportActions,
) -> Result<(), StoreError> {
    if import.options.group_by.is_none() {
        return Ok(());
    }
    let Some(rule) = rule(store, import).await? else {
        return Ok(());
    };
    let ids: BTreeSet<FindingId> = (actions.created.iter())
        .chain(actions.reactivated.iter())
        .collect();
    let ids: Vec<FindingId> = ids.into_iter().collect();
    let mut done = BTreeSet::new();
    for some in ids.chunks(MARK) {
        let mut findings = store.findings(some.iter().copied()).await?;
        findings.retain(|finding| rule.check(finding).is_ok());
        let groups: BTreeSet<FindingGroupId> = findings.iter().filter_map(|f| f.group).collect();
        let groups: Vec<FindingGroup> = store.get_all(groups).await?;
        for group in &groups {
            if done.insert(group.id) {
                push_group(store, group).await?;
            }
        }
        findings.retain(|finding| !groups.iter().any(|group| finding.group == Some(group.id)));
        mark(store, rule, findings).await?;
    }
    Ok(())
}

async fn push_group(store: &Store, group: &FindingGroup) -> Result<(), StoreError> {
    let marked = store.change_with(group.id, |group: &mut FindingGroup| {
        group.jira_push = true;
        let work = OutboxWork::Jira {
            product: group.product,
            objects: vec![JiraObject::FindingGroup(group.id)],
        };
        Ok::<_, StoreError>(Follows::from(work))
    });
    match marked.await {
        // dissolved meanwhile
        Err(error) if error.is_not_found() => Ok(()),
        marked => marked.map(drop),
    }
}

/// Marks findings that have no issue yet.
async fn mark(
    store: &Store,
    rule: IssueRule,
    mut findings: Vec<Finding>,
) -> Result<(), StoreError> {
    for _ in 0..TRIES {
        findings.retain(|finding| {
            finding.jira.issue.is_none() && !finding.jira.push && rule.check(finding).is_ok()
        });
        let Some(first) = findings.first() else {
            return Ok(());
        };
        let changes = findings.iter().map(|old| {
            let mut new = old.clone();
            new.jira.push = true;
            Change::Update {
                old: Box::new(old.clone()),
                new: Box::new(new),
            }
        });
        let commit = Commit {
            product: first.product,
            changes: changes.collect(),
            claims: Vec::new(),
            notes: Vec::new(),
            events: Vec::new(),
            marker: None,
            unique: format!("J{}.{}.{}", first.id, first.version, findings.len()),
        };
        if store.commit(&commit).await? == Committed::Yes {
            return Ok(());
        }
        findings = store.findings(findings.iter().map(|f| f.id)).await?;
    }
    Err(StoreError::Contention(format!(
        "{} findings for JIRA",
        findings.len()
    )))
}
