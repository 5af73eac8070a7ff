//! A new issue, exactly one for each thing.
//!
//! One process alone is at it (a lease), and looks into the store first, then for an issue with the thing's own
//! label. Before an issue is asked for it's written down that it is: where nobody heard the answer, who comes next
//! knows that there may be one which the search doesn't find yet, and comes later.

use jiff::SignedDuration;
use serde_json::json;
use tatami_domain::{JiraChange, JiraIssue, JiraIssueId, JiraObject, JiraProject};
use tatami_jira_client::{CreateMeta, Created, IssueFields, IssueType, Reference, RemoteLink, jql};

use crate::context::Link;
use crate::error::{JiraFunctionError, Result};
use crate::fields::{Content, Order, digest, once, own_label, what};
use crate::thing::Thing;

/// So long a search may not find an issue that was made.
const LAG: SignedDuration = SignedDuration::from_mins(2);

/// Makes the issue of a thing, or takes the one that there is.
pub(crate) async fn create(
    link: &Link<'_>,
    thing: &Thing,
    project: &JiraProject,
    order: Option<&Order>,
) -> Result<JiraIssue> {
    let store = &link.ctx.store;
    let label = own_label(&store.installation().await?, thing.object);
    let content = Content::of(link.ctx, thing, project, link.instance()).await?;
    let (made, sent) = match find(link, thing, &label).await? {
        Some(found) => (found, String::new()),
        None => (
            make(link, thing, project, &content, &label, order).await?,
            serde_json::to_string(&content.digests())?,
        ),
    };
    let issue = JiraIssue {
        id: JiraIssueId::default(),
        object: thing.object,
        product: thing.product,
        project: Some(project.id),
        instance: link.instance().id,
        jira_id: made.id.clone(),
        jira_key: made.key.clone(),
        created: link.now(),
        changed: None,
        // of one that was there before, whichever side is open has its way
        open: !sent.is_empty(),
        in_progress: false,
        status: String::new(),
        sent,
        error: None,
    };
    let (issue, _) = store.find_or_create(issue).await?;
    if issue.object != thing.object {
        let why = format!("{} is the issue of {}", issue.jira_key, what(issue.object));
        return Err(JiraFunctionError::Impossible(why));
    }
    adorn(link, thing, &issue).await?;
    let text = format!("{} was made for it", issue.jira_key);
    let occasion = format!("created-{}", issue.id);
    link.ctx
        .tell(
            thing,
            JiraChange::Created,
            Some(&issue.jira_key),
            occasion,
            text,
        )
        .await?;
    thing
        .set_issue(link.ctx, Some(issue.id), thing.issue(), None)
        .await?;
    store.end_jira_attempt(thing.object).await?;
    Ok(issue)
}

/// The oldest issue with the label that isn't another thing's.
async fn find(link: &Link<'_>, thing: &Thing, label: &str) -> Result<Option<Created>> {
    let query = format!("labels = {} ORDER BY created ASC", jql::text(label));
    let found = link.jira().search(&query, IssueFields::NAMES, None).await;
    let store = &link.ctx.store;
    for issue in link.heard(found).await?.issues {
        // a copy has the labels of what it was copied from
        let known = store.find_within::<JiraIssue>(link.instance().id.0, &issue.id);
        match known.await? {
            Some(known) if known.object != thing.object => {}
            _ => {
                return Ok(Some(Created {
                    id: issue.id,
                    key: issue.key,
                }));
            }
        }
    }
    Ok(None)
}

async fn make(
    link: &Link<'_>,
    thing: &Thing,
    project: &JiraProject,
    content: &Content,
    label: &str,
    order: Option<&Order>,
) -> Result<Created> {
    let store = &link.ctx.store;
    if let Some(tried) = store.jira_attempt(thing.object).await? {
        let left = LAG - link.now().duration_since(tried);
        if left > SignedDuration::ZERO {
            let seconds = u16::try_from(left.as_secs() + 1).unwrap_or(120);
            let why = "an issue may have been made that JIRA doesn't find yet";
            return Err(JiraFunctionError::later(seconds, why));
        }
    }
    let key = project.project_key.as_deref().unwrap_or_default();
    let (issue_type, meta) = meta(link, key, issue_type(thing.object, link, project)).await?;
    let mut wanted = content.issue(key, Reference::Id(issue_type.id));
    if let Some(name) = order.and_then(|order| order.epic_name(thing)) {
        name.clone_into(&mut wanted.summary);
    }
    once(link.ctx, &mut wanted, thing, project, order).await?;
    wanted.labels.push(label.to_owned());
    name_epic(link, &mut wanted);
    let prepared = wanted.fields_for(&meta, link.jira().deployment());
    for dropped in &prepared.dropped {
        tracing::warn!(object = ?thing.object, field = dropped.field, why = dropped.why, "not sent to JIRA");
    }
    if !prepared.missing.is_empty() {
        let why = format!(
            "JIRA demands {} for {} in {key}: set custom_fields of the JIRA project",
            prepared.missing.join(", "),
            issue_type.name
        );
        return Err(JiraFunctionError::Impossible(why));
    }
    store.begin_jira_attempt(thing.object).await?;
    let made = link.jira().create_issue(&prepared.fields).await;
    match link.heard(made).await {
        Ok(made) => Ok(made),
        Err(error) => {
            if error.is_final().is_some() {
                // it was heard that there is none
                store.end_jira_attempt(thing.object).await?;
            }
            Err(error)
        }
    }
}

/// Which kind of issue it becomes.
pub(crate) fn issue_type(object: JiraObject, link: &Link<'_>, project: &JiraProject) -> String {
    let named = match object {
        JiraObject::Engagement(_) => project.epic_issue_type_name.clone(),
        _ => link.instance().default_issue_type.clone(),
    };
    let usual = match object {
        JiraObject::Engagement(_) => "Epic",
        _ => "Bug",
    };
    let named = named.filter(|name| !name.trim().is_empty());
    named.unwrap_or_else(|| usual.to_owned())
}

/// The issue type, and what may be said of its issues.
pub(crate) async fn meta(
    link: &Link<'_>,
    project_key: &str,
    wanted: String,
) -> Result<(IssueType, CreateMeta)> {
    let types = link.jira().create_meta_issue_types(project_key).await;
    let types = link.heard(types).await?;
    let names: Vec<String> = types.iter().map(|t| t.name.clone()).collect();
    let same = |t: &IssueType| t.name.eq_ignore_ascii_case(&wanted);
    let Some(issue_type) = types.into_iter().find(same) else {
        let why = format!(
            "no issue of the type {wanted} can be made in {project_key}: there are {}",
            names.join(", ")
        );
        return Err(JiraFunctionError::Impossible(why));
    };
    let meta = link.jira().create_meta(project_key, &issue_type.id).await;
    let meta = link.heard(meta).await?;
    Ok((issue_type, meta))
}

/// The epic's name lies in the field that the instance names, where it names one.
fn name_epic(link: &Link<'_>, issue: &mut tatami_jira_client::NewIssue) {
    let field = link.instance().epic_name_id;
    if let (true, Some(name)) = (field > 0, &issue.epic_name) {
        let id = format!("customfield_{field}");
        issue.custom.entry(id).or_insert_with(|| json!(name));
        issue.epic_name = None;
    }
}

/// What lets people and machines find back from an issue. An issue without it is one all the same.
async fn adorn(link: &Link<'_>, thing: &Thing, issue: &JiraIssue) -> Result<()> {
    let url = link.ctx.url(thing.object);
    let value = json!({"object": thing.object, "url": url});
    let property = link.jira().set_property(&issue.jira_id, "tatami", &value);
    let property = link.heard(property.await).await;
    let linked = if url.starts_with("http") {
        let back = RemoteLink {
            global_id: format!("tatami-{}", digest(&url)),
            url,
            title: format!("{}: {}", what(thing.object), thing.title),
            summary: None,
            resolved: false,
        };
        link.heard(link.jira().set_remote_link(&issue.jira_id, &back).await)
            .await
    } else {
        Ok(())
    };
    for done in [property, linked] {
        match done {
            Err(JiraFunctionError::Refused(error)) => {
                tracing::warn!(issue = issue.jira_key, %error, "an issue has no link back");
            }
            done => done?,
        }
    }
    Ok(())
}
