//! Issues get a comment when their findings come due, and when a risk acceptance of theirs ends; once for each event.

use std::collections::BTreeMap;

use tatami_domain::{
    EventData, EventKey, Finding, FindingId, JiraInstance, JiraIssue, JiraIssueId, JiraProject,
    RiskAcceptance, RiskAcceptanceId,
};

use crate::comments::post_once;
use crate::context::Context;
use crate::error::{JiraFunctionError, Result};
use crate::thing::get;

/// Which projects want a comment.
type Wanted = fn(&JiraProject, &JiraInstance) -> bool;

/// Comments what an event tells.
pub(crate) async fn told(ctx: &Context, key: &EventKey) -> Result<()> {
    let Some(event) = ctx.store.event(key).await? else {
        return Ok(());
    };
    let (lines, wanted): (BTreeMap<FindingId, String>, Wanted) = match event.read()? {
        EventData::SlaDue(due) => {
            let parts = [due.due_soon, due.due_today, due.breached];
            let named = parts.into_iter().flat_map(|part| part.findings);
            let lines = named.map(|due| {
                let when = match due.days_remaining {
                    ..=-1 => format!("was due {} ago", days(-due.days_remaining)),
                    0 => "is due today".to_owned(),
                    left => format!("is due in {}", days(left)),
                };
                (due.id, format!("Finding {} {when}.", due.id))
            });
            (lines.collect(), |project, instance| {
                project.product_jira_sla_notification || instance.global_jira_sla_notification
            })
        }
        EventData::RiskAcceptanceExpired(expired) => {
            let after = if expired.reactivated {
                " The finding is active again."
            } else {
                ""
            };
            let text = format!(
                "The risk acceptance \"{}\" has expired.{after}",
                expired.name
            );
            (under(ctx, event.object.into(), &text).await?, expiring)
        }
        EventData::RiskAcceptanceExpiring(soon) => {
            let day = soon
                .expiration_date
                .map(|at| format!(" on {:.10}", at.to_string()));
            let text = format!(
                "The risk acceptance \"{}\" expires{}.",
                soon.name,
                day.unwrap_or_default()
            );
            (under(ctx, event.object.into(), &text).await?, expiring)
        }
        _ => return Ok(()),
    };
    let mut by_issue: BTreeMap<JiraIssueId, Vec<(Finding, String)>> = BTreeMap::new();
    for finding in ctx.store.findings(lines.keys().copied()).await? {
        let line = lines.get(&finding.id).cloned();
        if let (Some(issue), Some(line)) = (finding.jira.issue, line) {
            by_issue.entry(issue).or_default().push((finding, line));
        }
    }
    let name = format!("{}-{}", key.kind.name(), key.occasion);
    let mut failed = None;
    for (issue, findings) in by_issue {
        match one(ctx, issue, &findings, &name, wanted).await {
            Err(error) if error.is_final().is_some() => {
                tracing::warn!(%issue, %error, "an issue gets no comment");
            }
            Err(error @ JiraFunctionError::Later { .. }) => failed = failed.or(Some(error)),
            done => done?,
        }
    }
    failed.map_or(Ok(()), Err)
}

fn expiring(project: &JiraProject, _: &JiraInstance) -> bool {
    project.risk_acceptance_expiration_notification
}

fn days(n: i64) -> String {
    if n == 1 {
        "1 day".into()
    } else {
        format!("{n} days")
    }
}

async fn under(
    ctx: &Context,
    id: RiskAcceptanceId,
    text: &str,
) -> Result<BTreeMap<FindingId, String>> {
    let Some(acceptance) = get::<RiskAcceptance>(&ctx.store, id).await? else {
        return Ok(BTreeMap::new());
    };
    let findings = ctx.store.findings_under(&acceptance).await?;
    let lines = findings.iter().map(|f| (f.id, text.to_owned()));
    Ok(lines.collect())
}

async fn one(
    ctx: &Context,
    issue: JiraIssueId,
    findings: &[(Finding, String)],
    name: &str,
    wanted: Wanted,
) -> Result<()> {
    let Some(issue) = get::<JiraIssue>(&ctx.store, issue).await? else {
        return Ok(());
    };
    let Some((first, _)) = findings.first() else {
        return Ok(());
    };
    let Some(project) = ctx.project(first.product, first.engagement) else {
        return Ok(());
    };
    let Some(instance) = get::<JiraInstance>(&ctx.store, issue.instance).await? else {
        return Ok(());
    };
    if !wanted(&project, &instance) {
        return Ok(());
    }
    let mut lines: Vec<&str> = findings.iter().map(|(_, line)| line.as_str()).collect();
    lines.dedup();
    let link = ctx.link(&instance).await?;
    post_once(&link, &issue, name, issue.object, &lines.join("\n\n")).await
}
