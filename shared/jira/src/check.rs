use serde::Serialize;
use tatami_jira_client::{IssueFields, JiraError, jql};

use crate::Connection;

/// Something that has to be right for issues to be made, and whether it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// `authentication`, `project`, `issue_type`, `priorities` or `transitions`.
    pub check: &'static str,
    /// Is it?
    pub ok: bool,
    /// What is there, or what is wrong.
    pub message: String,
}

/// Tests a connection, also while its circuit is open. Nothing is written there. Where one signs in nowhere, or
/// there is no such project, nothing more is looked at.
pub async fn check(
    connection: &Connection,
    project_key: Option<&str>,
    issue_type: Option<&str>,
    priorities: &[&str],
) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut note = |check, result: Result<String, String>| {
        let ok = result.is_ok();
        let message = result.unwrap_or_else(|why| why);
        checks.push(Check { check, ok, message });
        ok
    };
    let user = connection.probe().await.map_err(|error| error.to_string());
    let name = |user: tatami_jira_client::User| {
        let name = user.display_name.or(user.name).or(user.account_id);
        format!("signed in as {}", name.unwrap_or_else(|| "somebody".into()))
    };
    if !note("authentication", user.map(name)) {
        return checks;
    }
    note("priorities", has_priorities(connection, priorities).await);
    let Some(key) = project_key.filter(|key| !key.is_empty()) else {
        return checks;
    };
    let project = connection
        .jira
        .project(key)
        .await
        .map_err(|error| error.to_string());
    let named = |project: tatami_jira_client::Project| format!("{}: {}", project.key, project.name);
    if !note("project", project.map(named)) {
        return checks;
    }
    if let Some(name) = issue_type.filter(|name| !name.is_empty()) {
        note("issue_type", has_type(connection, key, name).await);
    }
    note("transitions", has_transitions(connection, key).await);
    checks
}

async fn has_priorities(connection: &Connection, wanted: &[&str]) -> Result<String, String> {
    let there = connection
        .jira
        .priorities()
        .await
        .map_err(|error| error.to_string())?;
    let there: Vec<String> = there.into_iter().map(|priority| priority.name).collect();
    let missing = |name: &&&str| !name.is_empty() && !there.iter().any(|own| own == **name);
    let missing: Vec<&str> = wanted.iter().filter(missing).copied().collect();
    if missing.is_empty() {
        return Ok(format!("JIRA has {}", there.join(", ")));
    }
    Err(format!(
        "JIRA has no priority {}: it has {}",
        missing.join(", "),
        there.join(", ")
    ))
}

async fn has_type(connection: &Connection, project: &str, wanted: &str) -> Result<String, String> {
    let there = connection.jira.create_meta_issue_types(project).await;
    let there: Vec<String> = (there.map_err(|error| error.to_string())?.into_iter())
        .map(|issue_type| issue_type.name)
        .collect();
    if there.iter().any(|name| name == wanted) {
        return Ok(format!("{project} has {wanted}"));
    }
    Err(format!(
        "no issues of the type {wanted} can be made in {project}: there are {}",
        there.join(", ")
    ))
}

/// Which transitions there are shows only an issue.
async fn has_transitions(connection: &Connection, project: &str) -> Result<String, String> {
    let latest = format!("project = {} ORDER BY created DESC", jql::text(project));
    let jira = &connection.jira;
    let found = jira.search(&latest, IssueFields::NAMES, None).await;
    let Some(issue) = found
        .map_err(|error| error.to_string())?
        .issues
        .into_iter()
        .next()
    else {
        return Ok("there is no issue yet to see them on".into());
    };
    let there = jira
        .transitions(&issue.id)
        .await
        .map_err(|error| error.to_string())?;
    let done = issue.fields.status.as_ref();
    let done = done.is_some_and(tatami_jira_client::Status::is_done);
    let instance = &connection.instance;
    let (what, wanted) = if done {
        ("reopens", instance.open_status_key)
    } else {
        ("closes", instance.close_status_key)
    };
    let leads = |transition: &&tatami_jira_client::Transition| match wanted {
        0 => transition
            .to
            .as_ref()
            .is_some_and(|to| to.is_done() != done),
        id => transition.id == id.to_string(),
    };
    if let Some(way) = there.iter().find(leads) {
        let (id, name) = (&way.id, &way.name);
        return Ok(format!(
            "{name} ({id}) {what} an issue such as {}",
            issue.key
        ));
    }
    let names = there.iter().map(|way| format!("{} ({})", way.name, way.id));
    let names: Vec<String> = names.collect();
    Err(format!(
        "nothing {what} {}: there are {}",
        issue.key,
        names.join(", ")
    ))
}
