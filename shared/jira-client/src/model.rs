//! Answers, with the fields that Tatami looks at. What JIRA leaves out or has as null is `None` or empty.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::text;

/// What JIRA this is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerInfo {
    /// Its address as its administrator set it.
    pub base_url: Option<String>,
    /// `9.12.1`.
    pub version: Option<String>,
    /// `Cloud` or `Server`.
    pub deployment_type: Option<String>,
    /// Its name.
    pub server_title: Option<String>,
}

/// A user, of whom JIRA may show only a part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct User {
    /// Cloud's id.
    pub account_id: Option<String>,
    /// The login on Data Center.
    pub name: Option<String>,
    /// Data Center's id, which stays where the login changes.
    pub key: Option<String>,
    /// What people see.
    pub display_name: Option<String>,
    /// Where the user shows it.
    pub email_address: Option<String>,
    /// Whether they may log in.
    pub active: Option<bool>,
}

impl User {
    /// What JIRA takes for an assignee: `accountId` on Cloud, `name` on Data Center.
    pub fn id(&self) -> Option<&str> {
        self.account_id.as_deref().or(self.name.as_deref())
    }

    /// Whether both are one user. Users of whom nothing is shown are nobody's equal.
    pub fn is(&self, other: &Self) -> bool {
        let same = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
        same(&self.account_id, &other.account_id)
            || same(&self.key, &other.key)
            || same(&self.name, &other.name)
    }
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Project {
    /// A number as text.
    pub id: String,
    /// `SEC`.
    pub key: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// What its issues can be.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub issue_types: Vec<IssueType>,
    /// Its components.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub components: Vec<Named>,
}

/// What an issue can be: a bug, a task, an epic.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct IssueType {
    /// A number as text.
    pub id: String,
    /// `Bug`.
    pub name: String,
    /// Whether it needs another issue above it.
    #[serde(default)]
    pub subtask: bool,
}

/// Something with an id and a name: a priority, a resolution, a component.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Named {
    /// A number as text.
    pub id: Option<String>,
    /// What people see.
    pub name: String,
}

/// A field that issues can have.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Field {
    /// `summary`, or `customfield_10011`.
    pub id: String,
    /// What people see, which they may change.
    pub name: String,
    /// Whether it isn't one of JIRA's first fields.
    #[serde(default)]
    pub custom: bool,
    /// Its type.
    pub schema: Option<crate::FieldSchema>,
}

/// A new issue.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Created {
    /// A number as text, which stays when the issue moves to another project.
    pub id: String,
    /// `SEC-12`.
    pub key: String,
}

/// An issue.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Issue {
    /// A number as text, which stays when the issue moves to another project.
    pub id: String,
    /// `SEC-12`.
    pub key: String,
    /// Those that were asked for.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub fields: IssueFields,
}

/// Fields of an issue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct IssueFields {
    /// One line.
    pub summary: Option<String>,
    /// Where it stands.
    pub status: Option<Status>,
    /// Why it is done.
    pub resolution: Option<Named>,
    /// When anything of it last changed.
    #[serde(deserialize_with = "crate::time::optional")]
    pub updated: Option<Timestamp>,
    /// When it was resolved.
    #[serde(rename = "resolutiondate", deserialize_with = "crate::time::optional")]
    pub resolution_date: Option<Timestamp>,
    /// How urgent it is.
    pub priority: Option<Named>,
    /// Who works on it.
    pub assignee: Option<User>,
    /// What it is.
    #[serde(rename = "issuetype")]
    pub issue_type: Option<IssueType>,
    /// Words on it.
    #[serde(deserialize_with = "null_is_empty")]
    pub labels: Vec<String>,
    /// Some of its comments.
    pub comment: Option<CommentPage>,
}

impl IssueFields {
    /// What to ask for to have them all, but for the comments.
    pub const NAMES: &[&str] = &[
        "summary",
        "status",
        "resolution",
        "updated",
        "resolutiondate",
        "priority",
        "assignee",
        "issuetype",
        "labels",
    ];
}

/// A step of a workflow.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// A number as text.
    pub id: Option<String>,
    /// What people see.
    pub name: String,
    /// What kind of step it is.
    pub status_category: Option<StatusCategory>,
}

impl Status {
    /// Whether work has ended in it, whatever it is called.
    pub fn is_done(&self) -> bool {
        let key = self.status_category.as_ref().map(|c| c.key.as_str());
        key == Some("done")
    }
}

/// A kind of status.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StatusCategory {
    /// `new`, `indeterminate`, `done` or `undefined`.
    pub key: String,
}

/// A way from one status to the next.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Transition {
    /// A number as text, which differs between workflows.
    pub id: String,
    /// What people see.
    pub name: String,
    /// Where it leads.
    pub to: Option<Status>,
    /// What it takes on the way, by id of the field.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub fields: std::collections::BTreeMap<String, crate::FieldMeta>,
}

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Comment {
    /// A number as text.
    pub id: String,
    /// Nobody for an anonymous one.
    #[serde(default)]
    pub author: Option<User>,
    /// Who changed it last, at first the author.
    #[serde(default)]
    pub update_author: Option<User>,
    /// What it says.
    #[serde(default)]
    pub body: Body,
    /// When it was written.
    #[serde(default, deserialize_with = "crate::time::optional")]
    pub created: Option<Timestamp>,
    /// When it was last changed.
    #[serde(default, deserialize_with = "crate::time::optional")]
    pub updated: Option<Timestamp>,
    /// Its own address in the API.
    #[serde(default, rename = "self")]
    pub address: Option<String>,
}

/// Rich text as JIRA has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Body {
    /// Wiki markup of version 2, also in the webhooks of Cloud.
    Text(String),
    /// An ADF document of version 3, or null.
    Adf(Value),
}

impl Default for Body {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl Body {
    /// As text for a note: ADF becomes simple Markdown, wiki markup stays as it is.
    pub fn to_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Adf(document) => text::from_adf(document),
        }
    }
}

/// Comments as a page has them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CommentPage {
    /// Oldest first.
    #[serde(deserialize_with = "null_is_empty")]
    pub comments: Vec<Comment>,
    /// The place of the first.
    pub start_at: u64,
    /// How many the issue has.
    pub total: u64,
}

/// Comments of an issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comments {
    /// Oldest first.
    pub comments: Vec<Comment>,
    /// Where to go on, if there are more.
    pub next: Option<u64>,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issues {
    /// In the order of the JQL.
    pub issues: Vec<Issue>,
    /// What to ask for the next page with, if there is one. It holds for the same JQL only.
    pub next: Option<String>,
}

/// JIRA has null where others have nothing.
pub(crate) fn null_is_empty<'de, D, A>(deserializer: D) -> Result<A, D::Error>
where
    D: Deserializer<'de>,
    A: Default + Deserialize<'de>,
{
    Ok(Option::<A>::deserialize(deserializer)?.unwrap_or_default())
}
