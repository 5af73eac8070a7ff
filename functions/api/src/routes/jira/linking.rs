//! Linking issues that are in JIRA to what they are the issues of, and unlinking them.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use tatami_domain::{
    Engagement, EngagementId, Finding, FindingGroup, FindingId, FindingJira, JiraInstance,
    JiraInstanceId, JiraIssue, JiraIssueId, JiraObject, JiraProject, ProductId,
};
use tatami_jira_client::{Issue, IssueFields};
use tatami_jira_connection::{ConnectError, connect};
use tatami_runtime::Services;
use tatami_store::{Change, Committed, Follows, Sight, Store, StoreError};

use super::pushing::{Pushing, work};
use crate::auth::Caller;
use crate::error::{ApiError, Result};
use crate::fields::Object;
use crate::routes::findings::write::{TRIES, commit, signed};

/// So many findings of a group are unlinked in one transaction, each with a note.
const TOGETHER: usize = 48;

/// Something that an issue may be linked to, as it is now.
pub enum Linked {
    /// A finding.
    Finding(Box<Finding>),
    /// A group of findings.
    Group(FindingGroup),
    /// An engagement, whose epic it is.
    Engagement(Box<Engagement>),
}

impl Linked {
    /// What was sent as that.
    pub async fn read(store: &Store, sent: &Object) -> Result<Self> {
        let id = |name: &str| sent.get(name).and_then(Value::as_u64);
        let ids = (id("finding"), id("finding_group"), id("engagement"));
        let (name, id) = match ids {
            (Some(id), None, None) => ("finding", id),
            (None, Some(id), None) => ("finding_group", id),
            (None, None, Some(id)) => ("engagement", id),
            _ => {
                let message =
                    "Say which one of finding, finding_group and engagement it belongs to.";
                return Err(ApiError::field("non_field_errors", message));
            }
        };
        let found = match name {
            "finding" => (store.finding(id.into()).await).map(|f| Self::Finding(Box::new(f))),
            "finding_group" => store.get(id.into()).await.map(Self::Group),
            _ => (store.get(id.into()).await).map(|e| Self::Engagement(Box::new(e))),
        };
        match found {
            Err(error) if error.is_not_found() => {
                let message = format!("Invalid pk \"{id}\": there is no such object.");
                Err(ApiError::field(name, message))
            }
            found => Ok(found?),
        }
    }

    /// Which that is.
    pub fn object(&self) -> JiraObject {
        match self {
            Self::Finding(finding) => JiraObject::Finding(finding.id),
            Self::Group(group) => JiraObject::FindingGroup(group.id),
            Self::Engagement(engagement) => JiraObject::Engagement(engagement.id),
        }
    }

    /// Where it is.
    pub fn place(&self) -> (ProductId, EngagementId) {
        match self {
            Self::Finding(finding) => (finding.product, finding.engagement),
            Self::Group(group) => (group.product, group.engagement),
            Self::Engagement(engagement) => (engagement.product, engagement.id),
        }
    }

    /// The issue that it has.
    pub fn issue(&self) -> Option<JiraIssueId> {
        match self {
            Self::Finding(finding) => finding.jira.issue,
            Self::Group(group) => group.jira_issue,
            Self::Engagement(engagement) => engagement.jira_epic,
        }
    }
}

/// The name of the field that says what an issue belongs to.
pub fn field_of(object: JiraObject) -> &'static str {
    match object {
        JiraObject::Finding(_) => "finding",
        JiraObject::FindingGroup(_) => "finding_group",
        JiraObject::Engagement(_) => "engagement",
    }
}

/// Writes down whose issue it is; one that says so already, and was never set there, is taken.
pub async fn taken(store: &Store, new: JiraIssue) -> Result<JiraIssue> {
    let object = new.object;
    let (issue, made) = store.find_or_create(new).await?;
    if made || issue.object == object {
        return Ok(issue);
    }
    let message = format!("{} is linked to something else already.", issue.jira_key);
    Err(ApiError::field("jira_id", message))
}

/// The settings that a linked issue is under: those that were sent, else those of the place.
pub async fn project(store: &Store, sent: &Object, linked: &Linked) -> Result<JiraProject> {
    let (product, engagement) = linked.place();
    let pushing = Pushing::read(store).await?;
    let own = pushing.project(product, engagement);
    let Some(id) = sent.get("jira_project").and_then(Value::as_u64) else {
        return own.map_err(|why| ApiError::field("jira_project", why));
    };
    let wrong = |message: &str| Err(ApiError::field("jira_project", message));
    let said: JiraProject = store.get(id.into()).await?;
    if said.product != Some(product) && said.engagement != Some(engagement) {
        return wrong("This JIRA project is that of another product or engagement.");
    }
    match own {
        Ok(own) if own.id == said.id => Ok(own),
        _ if said.jira_instance.is_none() => wrong("This JIRA project has no instance."),
        _ => Ok(said),
    }
}

/// Id and key of the issue that was sent, as JIRA has them; either is enough. Where JIRA can't be asked both are
/// taken as they were sent: whoever keeps it in step finds out whether there is such an issue.
pub async fn named(
    services: &Services,
    instance: JiraInstanceId,
    sent: &Object,
) -> Result<(String, String)> {
    let text = |name: &str| {
        let text = sent.get(name).and_then(Value::as_str).unwrap_or_default();
        text.trim().to_owned()
    };
    let (id, key) = (text("jira_id"), text("jira_key"));
    let (name, asked) = match (&*id, &*key) {
        ("", "") => return Err(ApiError::field("jira_key", "This field is required.")),
        ("", key) => ("jira_key", key),
        (id, _) => ("jira_id", id),
    };
    if !id.is_empty() {
        check_id(&id)?;
    }
    if !key.is_empty() {
        check_key(&key)?;
    }
    match ask(services, instance, asked).await? {
        Ok(Some(issue)) if !key.is_empty() && issue.key != key => {
            let message = format!("The issue {} is {}, not {key}.", issue.id, issue.key);
            Err(ApiError::field("jira_key", message))
        }
        Ok(Some(issue)) => Ok((issue.id, issue.key)),
        Ok(None) => {
            let message = format!("JIRA has no issue {asked}, or its account may not see it.");
            Err(ApiError::field(name, message))
        }
        Err(_) if !id.is_empty() && !key.is_empty() => Ok((id, key)),
        Err(why) => {
            let message = format!("Send both jira_id and jira_key: JIRA can't be asked ({why}).");
            Err(ApiError::field(name, message))
        }
    }
}

/// What JIRA says of an issue, or why it says nothing.
async fn ask(
    services: &Services,
    instance: JiraInstanceId,
    issue: &str,
) -> Result<Result<Option<Issue>, String>> {
    let instance: JiraInstance = services.store.get(instance).await?;
    let connection = match connect(services, &instance).await {
        Err(ConnectError::Store(error)) => return Err(error.into()),
        Err(error) => return Ok(Err(error.to_string())),
        Ok(connection) => connection,
    };
    let issue = connection.jira.issue(issue, IssueFields::NAMES).await;
    Ok(issue.map_err(|error| error.to_string()))
}

fn check_id(id: &str) -> Result<()> {
    if id.is_empty() || !id.bytes().all(|b| b.is_ascii_digit()) {
        let message = "The id of an issue is a number, such as 10042.";
        return Err(ApiError::field("jira_id", message));
    }
    Ok(())
}

fn check_key(key: &str) -> Result<()> {
    let parts = key.rsplit_once('-');
    let number = parts.map(|(_, number)| number).unwrap_or_default();
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        let message = "The key of an issue is that of its project and a number, such as SEC-42.";
        return Err(ApiError::field("jira_key", message));
    }
    Ok(())
}

/// Sets an issue on what it is the issue of; `false` where that has another one.
pub async fn set(store: &Store, issue: &JiraIssue) -> Result<bool> {
    let id = issue.id;
    match issue.object {
        JiraObject::Finding(finding) => {
            for _ in 0..TRIES {
                let old = store.finding(finding).await?;
                match old.jira.issue {
                    Some(own) if own == id => return Ok(true),
                    Some(own) if store.get::<JiraIssue>(own).await.is_ok() => return Ok(false),
                    _ => {}
                }
                let mut new = old.clone();
                new.jira.issue = Some(id);
                let change = Change::Update {
                    old: Box::new(old.clone()),
                    new: Box::new(new),
                };
                if store.commit(&commit(&old, vec![change])).await? == Committed::Yes {
                    return Ok(true);
                }
            }
            Err(StoreError::Contention(format!("finding {finding}")).into())
        }
        JiraObject::FindingGroup(group) => {
            let set = store.change_with(group, |group: &mut FindingGroup| {
                group.jira_issue.get_or_insert(id);
                let work = work(group.product, issue.object);
                Ok::<_, StoreError>(Follows::from(work))
            });
            Ok(set.await?.jira_issue == Some(id))
        }
        JiraObject::Engagement(engagement) => {
            let set = store.change_with(engagement, |engagement: &mut Engagement| {
                engagement.jira_epic.get_or_insert(id);
                let work = work(engagement.product, issue.object);
                Ok::<_, StoreError>(Follows::from(work))
            });
            Ok(set.await?.jira_epic == Some(id))
        }
    }
}

/// Takes an issue off what it is the issue of, with notes that say who did it, and forgets it.
pub async fn forget(store: &Store, caller: &Caller, issue: &JiraIssue) -> Result<()> {
    match issue.object {
        JiraObject::Finding(finding) => {
            clear(store, caller, issue, BTreeSet::from([finding])).await?;
        }
        JiraObject::FindingGroup(group) => {
            let changed = store.change(group, |group: &mut FindingGroup| {
                if group.jira_issue == Some(issue.id) {
                    group.jira_issue = None;
                    group.jira_push = false;
                }
                Ok::<_, StoreError>(())
            });
            match changed.await {
                Err(error) if error.is_not_found() => {}
                group => {
                    let group = group?;
                    let mut members = BTreeSet::new();
                    let see = |finding: &Arc<Finding>| {
                        if finding.jira.issue == Some(issue.id) {
                            members.insert(finding.id);
                        }
                    };
                    store
                        .visit(Sight::Test(group.product, group.test), see)
                        .await?;
                    clear(store, caller, issue, members).await?;
                }
            }
        }
        JiraObject::Engagement(engagement) => {
            let changed = store.change(engagement, |engagement: &mut Engagement| {
                if engagement.jira_epic == Some(issue.id) {
                    engagement.jira_epic = None;
                }
                Ok::<_, StoreError>(())
            });
            match changed.await {
                Err(error) if error.is_not_found() => {}
                changed => drop(changed?),
            }
        }
    }
    Ok(store.forget_jira_issue(issue.id).await?)
}

/// Findings that have this issue have none, and a note says so.
async fn clear(
    store: &Store,
    caller: &Caller,
    issue: &JiraIssue,
    findings: BTreeSet<FindingId>,
) -> Result<()> {
    let by = caller.0.user;
    let entry = format!(
        "{} unlinked from JIRA: {}.",
        issue.jira_key, caller.0.username
    );
    let findings: Vec<FindingId> = findings.into_iter().collect();
    for some in findings.chunks(TOGETHER) {
        let mut tries = 0;
        loop {
            let mut left = store.findings(some.iter().copied()).await?;
            left.retain(|finding| finding.jira.issue == Some(issue.id));
            let Some(first) = left.first() else { break };
            let changes = left.iter().map(|old| {
                let mut new = old.clone();
                new.jira = FindingJira::default();
                Change::Update {
                    old: Box::new(old.clone()),
                    new: Box::new(new),
                }
            });
            let mut commit = commit(first, changes.collect());
            let notes = left.iter().map(|finding| (finding.id, &entry)).collect();
            commit.notes = signed(store, commit.product, by, notes, Timestamp::now()).await?;
            if store.commit(&commit).await? == Committed::Yes {
                break;
            }
            tries += 1;
            if tries == TRIES {
                let what = format!("findings of {}", issue.jira_key);
                return Err(StoreError::Contention(what).into());
            }
        }
    }
    Ok(())
}
