//! The operations, one method each.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::client::{Call, unreadable};
use crate::meta::{FieldPage, OldMeta, OldType, Page, TypePage};
use crate::model::{CommentPage, null_is_empty};
use crate::new_issue::RichText;
use crate::{
    Comment, Comments, CreateMeta, Created, Deployment, Field, Issue, IssueType, Issues, Jira,
    JiraError, Named, Operation, Project, ServerInfo, Transition, Transport, User,
};

/// How many a page has at most. Some lists give fewer whatever is asked for.
const PAGE: u64 = 100;
/// The most pages that are read for one list: a JIRA that never ends must not be read for ever.
const MAX_PAGES: u32 = 50;

/// A link from an issue to somewhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteLink {
    /// What it's known by: the same again replaces it. At most 255 characters.
    pub global_id: String,
    /// Where it leads.
    pub url: String,
    /// What people see.
    pub title: String,
    /// A little more of it.
    pub summary: Option<String>,
    /// Shown struck through.
    pub resolved: bool,
}

impl<T: Transport> Jira<T> {
    /// What JIRA this is. Both kinds answer in version 2, and without credentials too.
    pub async fn server_info(&self) -> Result<ServerInfo, JiraError> {
        let call = Call::new(Operation::ServerInfo, &[]).version(Deployment::DataCenter.version());
        self.read(call).await
    }

    /// Whose credentials these are.
    pub async fn myself(&self) -> Result<User, JiraError> {
        self.read(Call::new(Operation::Myself, &[])).await
    }

    /// A project by id or key, with its issue types and components.
    pub async fn project(&self, project: &str) -> Result<Project, JiraError> {
        self.read(Call::new(Operation::Project, &[project])).await
    }

    /// All priorities, the most urgent first.
    pub async fn priorities(&self) -> Result<Vec<Named>, JiraError> {
        self.read(Call::new(Operation::Priorities, &[])).await
    }

    /// All fields that issues can have.
    pub async fn fields(&self) -> Result<Vec<Field>, JiraError> {
        self.read(Call::new(Operation::Fields, &[])).await
    }

    /// The issue types that its user may create in a project.
    pub async fn create_meta_issue_types(
        &self,
        project: &str,
    ) -> Result<Vec<IssueType>, JiraError> {
        let segments = [project];
        match self
            .pages::<TypePage>(Operation::CreateMetaIssueTypes, &segments)
            .await
        {
            Err(JiraError::NotFound { .. }) if self.deployment() == Deployment::DataCenter => {
                let types = self.old_create_meta(project, None).await?;
                Ok(types.into_iter().map(|t| t.issue_type).collect())
            }
            answer => answer,
        }
    }

    /// The fields that an issue type takes at creation, as far as its user may set them.
    pub async fn create_meta(
        &self,
        project: &str,
        issue_type_id: &str,
    ) -> Result<CreateMeta, JiraError> {
        let segments = [project, issue_type_id];
        match self
            .pages::<FieldPage>(Operation::CreateMetaFields, &segments)
            .await
        {
            Err(JiraError::NotFound { .. }) if self.deployment() == Deployment::DataCenter => {
                let mut types = self.old_create_meta(project, Some(issue_type_id)).await?;
                types.retain(|t| t.issue_type.id == issue_type_id);
                let found = types.pop().ok_or_else(|| JiraError::NotFound {
                    message: format!("issue type {issue_type_id} in project {project}"),
                })?;
                Ok(CreateMeta {
                    fields: found.fields,
                })
            }
            answer => Ok(answer?.into_iter().collect()),
        }
    }

    /// Makes an issue of fields as [`crate::NewIssue::fields_for`] has them.
    pub async fn create_issue(&self, fields: &Map<String, Value>) -> Result<Created, JiraError> {
        let call = Call::new(Operation::CreateIssue, &[]).body(json!({ "fields": fields }));
        self.read(call).await
    }

    /// An issue by id or key with some of its fields ([`crate::IssueFields::NAMES`]). `None` where there is
    /// none any more, or its user may not see it. An issue that moved is found by its old key, too.
    pub async fn issue(&self, issue: &str, fields: &[&str]) -> Result<Option<Issue>, JiraError> {
        let segments = [issue];
        let call = Call::new(Operation::GetIssue, &segments).query("fields", &fields.join(","));
        found(self.read(call).await)
    }

    /// Sets fields, which must be on the issue's edit screen.
    pub async fn update_issue(
        &self,
        issue: &str,
        fields: &Map<String, Value>,
    ) -> Result<(), JiraError> {
        let segments = [issue];
        let call = Call::new(Operation::UpdateIssue, &segments).body(json!({ "fields": fields }));
        self.send(call).await.map(drop)
    }

    /// Where an issue may go from where it is, and which fields each way takes.
    pub async fn transitions(&self, issue: &str) -> Result<Vec<Transition>, JiraError> {
        let segments = [issue];
        let call =
            Call::new(Operation::Transitions, &segments).query("expand", "transitions.fields");
        let answer: Transitions = self.read(call).await?;
        Ok(answer.transitions)
    }

    /// Takes an issue there. Fields, the resolution among them, must be on the transition's screen.
    pub async fn transition(
        &self,
        issue: &str,
        transition_id: &str,
        resolution: Option<&str>,
        fields: &Map<String, Value>,
    ) -> Result<(), JiraError> {
        let mut fields = fields.clone();
        if let Some(name) = resolution {
            fields.insert("resolution".to_owned(), json!({ "name": name }));
        }
        let mut body = json!({ "transition": { "id": transition_id } });
        if !fields.is_empty() {
            body["fields"] = Value::Object(fields);
        }
        let segments = [issue];
        let call = Call::new(Operation::DoTransition, &segments).body(body);
        self.send(call).await.map(drop)
    }

    /// Comments, oldest first, from a place on.
    pub async fn comments(&self, issue: &str, start: u64) -> Result<Comments, JiraError> {
        let segments = [issue];
        let call = Call::new(Operation::Comments, &segments)
            .query("startAt", &start)
            .query("maxResults", &PAGE)
            .query("orderBy", "created");
        let page: CommentPage = self.read(call).await?;
        let end = start + page.comments.len() as u64;
        let more = !page.comments.is_empty() && end < page.total;
        Ok(Comments {
            comments: page.comments,
            next: more.then_some(end),
        })
    }

    /// Adds a comment.
    pub async fn add_comment(&self, issue: &str, text: &RichText) -> Result<Comment, JiraError> {
        let segments = [issue];
        let call = Call::new(Operation::AddComment, &segments)
            .body(json!({ "body": text.for_deployment(self.deployment()) }));
        self.read(call).await
    }

    /// Replaces what a comment says.
    pub async fn update_comment(
        &self,
        issue: &str,
        comment_id: &str,
        text: &RichText,
    ) -> Result<Comment, JiraError> {
        let segments = [issue, comment_id];
        let call = Call::new(Operation::UpdateComment, &segments)
            .body(json!({ "body": text.for_deployment(self.deployment()) }));
        self.read(call).await
    }

    /// A value kept with an issue; `None` where neither or only the issue is there.
    pub async fn property(&self, issue: &str, key: &str) -> Result<Option<Value>, JiraError> {
        let segments = [issue, key];
        let call = Call::new(Operation::GetProperty, &segments);
        let answer: Option<Property> = found(self.read(call).await)?;
        Ok(answer.map(|property| property.value))
    }

    /// Keeps a value with an issue. JIRA takes 32,768 characters of JSON, and keys of 255.
    pub async fn set_property(
        &self,
        issue: &str,
        key: &str,
        value: &Value,
    ) -> Result<(), JiraError> {
        let segments = [issue, key];
        let call = Call::new(Operation::SetProperty, &segments).body(value.clone());
        self.send(call).await.map(drop)
    }

    /// Adds or replaces a link to somewhere else.
    pub async fn set_remote_link(&self, issue: &str, link: &RemoteLink) -> Result<(), JiraError> {
        let mut object = json!({
            "url": link.url,
            "title": crate::text::summary(&link.title),
            "status": { "resolved": link.resolved },
        });
        if let Some(summary) = &link.summary {
            object["summary"] = Value::from(crate::text::summary(summary));
        }
        let body = json!({
            "globalId": link.global_id,
            "application": { "type": "tatami", "name": "Tatami" },
            "object": object,
        });
        let segments = [issue];
        let call = Call::new(Operation::SetRemoteLink, &segments).body(body);
        self.send(call).await.map(drop)
    }

    /// A page of the issues that match. Cloud wants JQL that leaves something out (`project = SEC`).
    /// `page` is what the page before had as `next`.
    pub async fn search(
        &self,
        jql: &str,
        fields: &[&str],
        page: Option<&str>,
    ) -> Result<Issues, JiraError> {
        let mut body = json!({ "jql": jql, "fields": fields, "maxResults": PAGE });
        match self.deployment() {
            Deployment::Cloud => {
                let what = Operation::SearchByToken;
                if let Some(token) = page {
                    body["nextPageToken"] = Value::from(token);
                }
                let found: ByToken = self.read(Call::new(what, &[]).body(body)).await?;
                let next = found
                    .next_page_token
                    .filter(|_| found.is_last != Some(true));
                if next.is_some() && next.as_deref() == page {
                    return Err(unreadable(what, "the next page is the same page again"));
                }
                Ok(Issues {
                    issues: found.issues,
                    next,
                })
            }
            Deployment::DataCenter => {
                let what = Operation::SearchByPlace;
                let start: u64 = match page {
                    Some(place) => place
                        .parse()
                        .map_err(|_| unreadable(what, format!("\"{place}\" is no place in it")))?,
                    None => 0,
                };
                body["startAt"] = Value::from(start);
                let found: ByPlace = self.read(Call::new(what, &[]).body(body)).await?;
                let end = start.saturating_add(found.issues.len() as u64);
                let more = !found.issues.is_empty() && end < found.total;
                Ok(Issues {
                    issues: found.issues,
                    next: more.then(|| end.to_string()),
                })
            }
        }
    }

    /// Users who can be assigned issues of a project, by a part of their name or mail address. On Data Center
    /// by the beginning of their login, name or address.
    pub async fn assignable_users(
        &self,
        project: &str,
        query: &str,
    ) -> Result<Vec<User>, JiraError> {
        let by = match self.deployment() {
            Deployment::Cloud => "query",
            Deployment::DataCenter => "username",
        };
        let call = Call::new(Operation::AssignableUsers, &[])
            .query("project", project)
            .query(by, query)
            .query("maxResults", &PAGE);
        self.read(call).await
    }

    /// All pages of a list.
    async fn pages<P>(
        &self,
        operation: Operation,
        segments: &[&str],
    ) -> Result<Vec<P::Item>, JiraError>
    where
        P: Page + serde::de::DeserializeOwned,
    {
        let mut all = Vec::new();
        for _ in 0..MAX_PAGES {
            let call = Call::new(operation, segments)
                .query("startAt", &all.len())
                .query("maxResults", &PAGE);
            let page: P = self.read(call).await?;
            let (items, total) = page
                .take()
                .ok_or_else(|| unreadable(operation, "it has no list"))?;
            let ended = items.is_empty();
            all.extend(items);
            if ended || total.is_none_or(|total| all.len() as u64 >= total) {
                return Ok(all);
            }
        }
        Err(unreadable(
            operation,
            format!("it has more than {MAX_PAGES} pages"),
        ))
    }

    /// What servers before 8.4 have. They answer with an empty list where others say 404.
    async fn old_create_meta(
        &self,
        project: &str,
        issue_type_id: Option<&str>,
    ) -> Result<Vec<OldType>, JiraError> {
        let is_id = project.bytes().all(|b| b.is_ascii_digit());
        let by = if is_id { "projectIds" } else { "projectKeys" };
        let mut call = Call::new(Operation::OldCreateMeta, &[]).query(by, project);
        if let Some(id) = issue_type_id {
            call = call
                .query("issuetypeIds", id)
                .query("expand", "projects.issuetypes.fields");
        }
        let mut answer: OldMeta = self.read(call).await?;
        let found = answer.projects.pop().ok_or_else(|| JiraError::NotFound {
            message: format!("project {project}, or its user may not create issues there"),
        })?;
        Ok(found.issue_types)
    }
}

#[derive(Deserialize)]
struct Transitions {
    #[serde(default, deserialize_with = "null_is_empty")]
    transitions: Vec<Transition>,
}

#[derive(Deserialize)]
struct Property {
    #[serde(default)]
    value: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ByToken {
    issues: Vec<Issue>,
    next_page_token: Option<String>,
    is_last: Option<bool>,
}

#[derive(Deserialize)]
struct ByPlace {
    issues: Vec<Issue>,
    #[serde(default)]
    total: u64,
}

/// 404 is an answer, too.
fn found<A>(answer: Result<A, JiraError>) -> Result<Option<A>, JiraError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(JiraError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
