//! Issues in JIRA as clients see them.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};
use tatami_domain::{JiraInstance, JiraInstanceId, JiraIssue, JiraIssueId, JiraObject};
use tatami_store::Store;

use crate::error::Result;
use crate::fields::{Field, Kind, Object, Target};
use crate::routes::jira::{Instances, Projects};
use crate::routes::records::Kept as _;

/// The schema's name.
pub const SCHEMA: &str = "JIRAIssue";

/// The fields of an issue. What it is the issue of can be said only once.
pub const FIELDS: &[Field] = &[
    Field::answer("id", Kind::Ref(Target::Unknown)),
    Field::answer("url", Kind::Text(0)),
    Field::new("jira_id", Kind::Text(200)),
    Field::new("jira_key", Kind::Text(200)),
    Field::answer("jira_creation", Kind::DateTime).nullable(),
    Field::answer("jira_change", Kind::DateTime).nullable(),
    Field::new("jira_project", Kind::Ref(Target::Record(Projects::KIND))).nullable(),
    Field::new("finding", Kind::Ref(Target::Finding))
        .nullable()
        .fixed(),
    Field::new("engagement", Kind::Ref(Target::Engagement))
        .nullable()
        .fixed(),
    Field::new("finding_group", Kind::Ref(Target::Record(GROUP)))
        .nullable()
        .fixed(),
    Field::answer("product", Kind::Ref(Target::Product)),
    Field::answer("jira_instance", Kind::Ref(Target::Record(Instances::KIND))),
    Field::answer("status", Kind::Text(0)),
    Field::answer("open", Kind::Bool),
    Field::answer("in_progress", Kind::Bool),
    Field::answer("error", Kind::Text(0)).nullable(),
];

const GROUP: &str = <tatami_domain::FindingGroup as tatami_store::Entity>::KIND;

/// An issue, with where it is.
fn view(issue: &JiraIssue, instance: Option<&JiraInstance>) -> Object {
    let base = instance.map(|instance| instance.url.trim_end_matches('/'));
    let url = base.map(|base| format!("{base}/browse/{}", issue.jira_key));
    let mut view = json!({
        "id": issue.id,
        "url": url.unwrap_or_default(),
        "jira_id": issue.jira_id,
        "jira_key": issue.jira_key,
        "jira_creation": issue.created,
        "jira_change": issue.changed,
        "jira_project": issue.project,
        "finding": null,
        "engagement": null,
        "finding_group": null,
        "product": issue.product,
        "jira_instance": issue.instance,
        "status": issue.status,
        "open": issue.open,
        "in_progress": issue.in_progress,
        "error": issue.error,
    });
    let (name, id) = match issue.object {
        JiraObject::Finding(id) => ("finding", id.0),
        JiraObject::FindingGroup(id) => ("finding_group", id.0),
        JiraObject::Engagement(id) => ("engagement", id.0),
    };
    view[name] = json!(id);
    match view {
        Value::Object(view) => view,
        _ => Object::new(),
    }
}

/// Issues in their order.
pub async fn views(store: &Store, issues: &[JiraIssue]) -> Result<Vec<Object>> {
    let ids: BTreeSet<JiraInstanceId> = issues.iter().map(|issue| issue.instance).collect();
    let instances: Vec<JiraInstance> = store.get_all(ids).await?;
    let of = |issue: &JiraIssue| instances.iter().find(|one| one.id == issue.instance);
    Ok(issues.iter().map(|issue| view(issue, of(issue))).collect())
}

/// Some issues by their ids.
#[derive(Debug, Default)]
pub struct Issues(HashMap<JiraIssueId, (JiraIssue, Object)>);

impl Issues {
    /// Those that are known; none of no ids is read.
    pub async fn load(store: &Store, ids: impl IntoIterator<Item = JiraIssueId>) -> Result<Self> {
        let ids: BTreeSet<JiraIssueId> = ids.into_iter().collect();
        if ids.is_empty() {
            return Ok(Self::default());
        }
        let issues: Vec<JiraIssue> = store.get_all(ids).await?;
        let views = views(store, &issues).await?;
        let by_id = issues.into_iter().zip(views);
        Ok(Self(by_id.map(|one| (one.0.id, one)).collect()))
    }

    /// An issue.
    pub fn get(&self, id: Option<JiraIssueId>) -> Option<&JiraIssue> {
        Some(&self.0.get(&id?)?.0)
    }

    /// An issue as clients see it.
    pub fn view(&self, id: Option<JiraIssueId>) -> Option<&Object> {
        Some(&self.0.get(&id?)?.1)
    }
}
