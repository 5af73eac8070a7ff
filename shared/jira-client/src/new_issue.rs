use std::collections::BTreeSet;

use jiff::civil::Date;
use serde_json::{Map, Value, json};

use crate::{CreateMeta, Deployment, text};

/// Something that JIRA knows by id and by another name: a project by its key, an issue type by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// A number as text.
    Id(String),
    /// The project's key, or the issue type's name.
    Name(String),
}

/// Markdown, and where the whole of it is, for when JIRA takes only a part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RichText {
    /// `CommonMark` with tables and strikethrough.
    pub markdown: String,
    /// The address that the end of a text that was cut points to.
    pub whole: Option<String>,
}

impl RichText {
    /// An ADF document for Cloud, wiki markup for Data Center.
    pub fn for_deployment(&self, deployment: Deployment) -> Value {
        let whole = self.whole.as_deref();
        match deployment {
            Deployment::Cloud => text::adf(&self.markdown, whole),
            Deployment::DataCenter => Value::from(text::wiki(&self.markdown, whole)),
        }
    }
}

/// What is wanted of a new issue.
#[derive(Debug, Clone, PartialEq)]
pub struct NewIssue {
    /// Where it goes.
    pub project: Reference,
    /// What it is.
    pub issue_type: Reference,
    /// One line; what is more than 255 characters is cut.
    pub summary: String,
    /// The description.
    pub description: RichText,
    /// The name of a priority.
    pub priority: Option<String>,
    /// Words; spaces in them become `_`.
    pub labels: Vec<String>,
    /// Names of the project's components.
    pub components: Vec<String>,
    /// When it's due.
    pub due: Option<Date>,
    /// Where it was seen.
    pub environment: Option<RichText>,
    /// Cloud's `accountId`, Data Center's `name`.
    pub assignee: Option<String>,
    /// The key of the epic it belongs to.
    pub parent: Option<String>,
    /// The name of the epic that this is one; Data Center wants it.
    pub epic_name: Option<String>,
    /// Any other fields, by id and as JIRA takes them. They go before those above.
    pub custom: Map<String, Value>,
}

/// Fields as JIRA takes them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prepared {
    /// For [`crate::Jira::create_issue`].
    pub fields: Map<String, Value>,
    /// What was wanted and isn't sent.
    pub dropped: Vec<Dropped>,
    /// Names of the fields that JIRA demands and nobody gave.
    pub missing: Vec<String>,
}

/// A field, or a part of one, that isn't sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// Its id.
    pub field: String,
    /// Why, for people.
    pub why: String,
}

impl NewIssue {
    /// Nothing but what each issue has.
    pub fn new(project: Reference, issue_type: Reference, summary: impl Into<String>) -> Self {
        Self {
            project,
            issue_type,
            summary: summary.into(),
            description: RichText::default(),
            priority: None,
            labels: Vec::new(),
            components: Vec::new(),
            due: None,
            environment: None,
            assignee: None,
            parent: None,
            epic_name: None,
            custom: Map::new(),
        }
    }

    /// The fields to send: those that JIRA offers for this issue type, since one that isn't on the screen makes
    /// it refuse all. Priorities and components that don't exist are left out, too.
    pub fn fields_for(&self, meta: &CreateMeta, deployment: Deployment) -> Prepared {
        let mut prepared = Prepared::default();
        for (id, value) in self.wanted(meta, deployment, &mut prepared.dropped) {
            match meta.fields.get(&id) {
                _ if id == "project" || id == "issuetype" => {
                    prepared.fields.insert(id, value);
                }
                None => prepared.dropped.push(Dropped {
                    why: "JIRA doesn't offer it for this issue type".to_owned(),
                    field: id,
                }),
                Some(_) => {
                    prepared.fields.insert(id, value);
                }
            }
        }
        prepared.missing = meta
            .fields
            .iter()
            .filter(|(_, field)| field.required && !field.has_default_value)
            // JIRA fills this in with its user where it may not be set.
            .filter(|(id, _)| *id != "reporter" && !prepared.fields.contains_key(*id))
            .map(|(_, field)| field.name.clone())
            .collect();
        prepared
    }

    fn wanted(
        &self,
        meta: &CreateMeta,
        deployment: Deployment,
        dropped: &mut Vec<Dropped>,
    ) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut set = |id: &str, value: Value| fields.insert(id.to_owned(), value);
        set("project", self.project.as_json("key"));
        set("issuetype", self.issue_type.as_json("name"));
        set("summary", Value::from(text::summary(&self.summary)));
        if !self.description.markdown.trim().is_empty() {
            set("description", self.description.for_deployment(deployment));
        }
        if let Some(environment) = &self.environment {
            set("environment", environment.for_deployment(deployment));
        }
        if let Some(priority) = &self.priority
            && known(meta, "priority", priority, dropped)
        {
            set("priority", json!({ "name": priority }));
        }
        let labels: BTreeSet<String> = self.labels.iter().filter_map(|l| label(l)).collect();
        if !labels.is_empty() {
            set("labels", json!(labels));
        }
        let mut components = self.components.clone();
        components.retain(|name| known(meta, "components", name, dropped));
        if !components.is_empty() {
            let named = components.iter().map(|name| json!({ "name": name }));
            set("components", named.collect());
        }
        if let Some(due) = self.due {
            set("duedate", Value::from(due.to_string()));
        }
        if let Some(assignee) = &self.assignee {
            let id = match deployment {
                Deployment::Cloud => "accountId",
                Deployment::DataCenter => "name",
            };
            set("assignee", json!({ id: assignee }));
        }
        if let Some(parent) = &self.parent {
            match deployment {
                Deployment::Cloud => set("parent", json!({ "key": parent })),
                Deployment::DataCenter => set(
                    meta.epic_link().unwrap_or("Epic Link"),
                    Value::from(parent.as_str()),
                ),
            };
        }
        // Cloud's epics have done without since their names are their summaries.
        match (&self.epic_name, deployment, meta.epic_name()) {
            (None, ..) | (Some(_), Deployment::Cloud, None) => {}
            (Some(name), _, id) => {
                set(id.unwrap_or("Epic Name"), Value::from(text::summary(name)));
            }
        }
        fields.extend(self.custom.clone());
        fields
    }
}

impl Reference {
    fn as_json(&self, name: &str) -> Value {
        match self {
            Self::Id(id) => json!({ "id": id }),
            Self::Name(value) => json!({ name: value }),
        }
    }
}

/// A label as JIRA takes it, without spaces and of at most 255 characters; `None` for an empty one.
pub fn label(text: &str) -> Option<String> {
    let one_line = text::line(text.trim(), usize::MAX);
    let label: String = one_line
        .chars()
        .map(|c| if c.is_whitespace() { '_' } else { c })
        .take(255)
        .collect();
    (!label.is_empty()).then_some(label)
}

/// Whether the field takes it; where it doesn't, that is noted. Of a field that isn't offered at all the caller tells.
fn known(meta: &CreateMeta, field: &str, name: &str, dropped: &mut Vec<Dropped>) -> bool {
    let allowed = meta.fields.get(field).is_none_or(|f| f.allows(name));
    if !allowed {
        dropped.push(Dropped {
            field: field.to_owned(),
            why: format!("JIRA has no \"{}\" there", text::line(name, 100)),
        });
    }
    allowed
}
