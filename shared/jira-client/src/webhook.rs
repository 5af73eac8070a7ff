//! What JIRA sends by itself. Cloud and Data Center differ in what a body has beside the event's name.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::model::null_is_empty;
use crate::{Comment, Issue, User};

/// Something that happened in JIRA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookEvent {
    /// What.
    pub kind: EventKind,
    /// When, by JIRA's clock. Events may come late and out of order.
    pub timestamp: Option<Timestamp>,
    /// Who did it, as far as the body says. Of a comment's event who last wrote it.
    pub user: Option<User>,
    /// The issue. Data Center sends comments without it.
    pub issue: Option<Issue>,
    /// The issue's id, also where only the comment's address says it.
    pub issue_id: Option<String>,
    /// The comment, also one that came with a change of the issue (Data Center).
    pub comment: Option<Comment>,
    /// What changed in the issue.
    pub changes: Vec<Change>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// `jira:issue_created`
    IssueCreated,
    /// `jira:issue_updated`, a transition among others.
    IssueUpdated,
    /// `jira:issue_deleted`
    IssueDeleted,
    /// `comment_created`
    CommentCreated,
    /// `comment_updated`
    CommentUpdated,
    /// Any other, by its name.
    Other(String),
}

/// A field of an issue before and after.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Change {
    /// The field: `status`, `resolution`, or what people call it.
    pub field: String,
    /// The id before.
    #[serde(default)]
    pub from: Option<String>,
    /// What people saw before.
    #[serde(default, rename = "fromString")]
    pub from_text: Option<String>,
    /// The id after.
    #[serde(default)]
    pub to: Option<String>,
    /// What people see now.
    #[serde(default, rename = "toString")]
    pub to_text: Option<String>,
}

/// Why a body isn't an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// No JSON, or of another shape.
    #[error("the body cannot be read: {0}")]
    Unreadable(String),
    /// JIRA says in each body what it is.
    #[error("the body has no \"webhookEvent\": is it JIRA that sends it?")]
    NoEvent,
    /// An event of an issue without one.
    #[error("the body of \"{event}\" has no {missing}: don't exclude bodies in JIRA's webhook")]
    Incomplete {
        /// The event's name.
        event: String,
        /// What it needs.
        missing: &'static str,
    },
}

/// Reads the body of a request that JIRA makes.
pub fn read(body: &[u8]) -> Result<WebhookEvent, WebhookError> {
    // First only what everything has: other events have other shapes under the same names.
    let value: Value = parse(body)?;
    let event = match value.get("webhookEvent").and_then(Value::as_str) {
        Some(event) if !event.is_empty() => crate::error::one_line(event),
        _ => return Err(WebhookError::NoEvent),
    };
    let kind = EventKind::of(&event);
    if let EventKind::Other(_) = kind {
        return Ok(WebhookEvent {
            kind,
            timestamp: value.get("timestamp").and_then(milliseconds),
            user: None,
            issue: None,
            issue_id: None,
            comment: None,
            changes: Vec::new(),
        });
    }
    let raw: Raw = parse(body)?;
    let incomplete = |missing| WebhookError::Incomplete {
        event: event.clone(),
        missing,
    };
    let of_comment = matches!(kind, EventKind::CommentCreated | EventKind::CommentUpdated);
    if of_comment && raw.comment.is_none() {
        return Err(incomplete("comment"));
    }
    let from_address = || issue_of(raw.comment.as_ref()?.address.as_deref()?);
    let issue_id = raw.issue.as_ref().map(|issue| issue.id.clone());
    let issue_id = issue_id.or_else(from_address);
    if issue_id.is_none() {
        return Err(incomplete("issue"));
    }
    let author = raw.comment.as_ref().filter(|_| of_comment).and_then(|c| {
        let editor = c.update_author.as_ref();
        editor.or(c.author.as_ref()).cloned()
    });
    Ok(WebhookEvent {
        kind,
        timestamp: raw.timestamp,
        user: raw.user.or(author),
        issue: raw.issue,
        issue_id,
        comment: raw.comment,
        changes: raw.changelog.items,
    })
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default, deserialize_with = "crate::time::optional")]
    timestamp: Option<Timestamp>,
    user: Option<User>,
    issue: Option<Issue>,
    comment: Option<Comment>,
    #[serde(default, deserialize_with = "null_is_empty")]
    changelog: Changelog,
}

#[derive(Default, Deserialize)]
struct Changelog {
    #[serde(default, deserialize_with = "null_is_empty")]
    items: Vec<Change>,
}

impl EventKind {
    fn of(name: &str) -> Self {
        match name {
            "jira:issue_created" => Self::IssueCreated,
            "jira:issue_updated" => Self::IssueUpdated,
            "jira:issue_deleted" => Self::IssueDeleted,
            "comment_created" => Self::CommentCreated,
            "comment_updated" => Self::CommentUpdated,
            other => Self::Other(other.to_owned()),
        }
    }
}

fn parse<'a, A: Deserialize<'a>>(body: &'a [u8]) -> Result<A, WebhookError> {
    serde_json::from_slice(body)
        .map_err(|e| WebhookError::Unreadable(crate::error::one_line(&e.to_string())))
}

fn milliseconds(value: &Value) -> Option<Timestamp> {
    Timestamp::from_millisecond(value.as_i64()?).ok()
}

/// The id in `https://jira.example.com/rest/api/2/issue/10001/comment/10100`.
fn issue_of(address: &str) -> Option<String> {
    let (_, rest) = address.split_once("/issue/")?;
    let (id, _) = rest.split_once("/comment/")?;
    let is_id = !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
    is_id.then(|| id.to_owned())
}
