//! One thing and its issue: whatever happened to either, this brings them together.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tatami_domain::{
    Finding, FindingId, JiraChange, JiraInstance, JiraIssue, JiraObject, JiraProject,
};
use tatami_jira_client::{Deployment, Issue, IssueFields, JiraError, Reference};
use tatami_store::StoreError;

use crate::comments::{post_once, send_out, take_in};
use crate::context::{Context, Link, mark};
use crate::create::{create, issue_type, meta};
use crate::error::{JiraFunctionError, Result};
use crate::fields::{Content, Order, digest};
use crate::status::{note, settle};
use crate::thing::{Thing, get, there};

/// So long one process alone is at a thing; longer than all its calls take but in the worst case.
const LEASE_S: u32 = 180;
/// So many seconds later somebody comes again who finds another at it.
const BUSY_S: u16 = 10;

/// What became of it: the key of its issue, if it has one; or why JIRA doesn't have it as it is.
pub(crate) type Outcome = std::result::Result<Option<String>, String>;

/// Brings an object and its issue together. What it was ordered to be counts beside what it is.
pub(crate) async fn sync(
    ctx: &Context,
    object: JiraObject,
    order: Option<&Order>,
) -> Result<Outcome> {
    let Some(object) = Thing::whose(ctx, object).await? else {
        return Ok(Err("it is not there any more".into()));
    };
    let name = format!("jira/object/{}", mark(object));
    let Some(lease) = ctx.store.lease(&name, LEASE_S).await? else {
        return Err(JiraFunctionError::later(
            BUSY_S,
            "another is at the same issue",
        ));
    };
    let done = Box::pin(alone(ctx, object, order)).await;
    let released = ctx.store.release(lease).await;
    let done = done?;
    released?;
    Ok(done)
}

async fn alone(ctx: &Context, object: JiraObject, order: Option<&Order>) -> Result<Outcome> {
    let Some(mut thing) = Thing::read(ctx, object).await? else {
        return Ok(Err("it is not there any more".into()));
    };
    let known = mapping(ctx, &thing).await?;
    let Some((project, instance)) = settings(ctx, &thing, known.as_ref()).await? else {
        return Ok(Err("nothing of its product goes into JIRA".into()));
    };
    let done = match ctx.link(&instance).await {
        Err(error) => Err(error),
        Ok(link) => match &known {
            None => first(&link, &mut thing, &project, order).await,
            Some(known) => follow(&link, &mut thing, &project, known, order).await,
        },
    };
    match done {
        Ok(key) => Ok(Ok(key)),
        Err(error) => failed(ctx, &thing, known.as_ref(), error).await.map(Err),
    }
}

/// The issue that a thing has. One that names a finding in whose place this one came is taken over; one that is
/// forgotten, or another's, is taken off.
async fn mapping(ctx: &Context, thing: &Thing) -> Result<Option<JiraIssue>> {
    let Some(id) = thing.issue() else {
        return Ok(None);
    };
    let known: Option<JiraIssue> = get(&ctx.store, id).await?;
    match known {
        Some(known) if known.object == thing.object => return Ok(Some(known)),
        Some(known) => {
            let heir = matches!(thing.object, JiraObject::Finding(_));
            if let (true, JiraObject::Finding(other)) = (heir, known.object)
                && there(ctx.store.finding(other).await)?.is_none()
            {
                let object = thing.object;
                let taken = ctx.store.change(id, |issue: &mut JiraIssue| {
                    issue.object = object;
                    Ok::<_, StoreError>(())
                });
                return Ok(Some(taken.await?));
            }
        }
        None => {}
    }
    let pushed = thing.is_pushed();
    let off = |finding: &Finding| {
        let mut new = finding.clone();
        if new.jira.issue == Some(id) {
            new.jira.issue = None;
            new.jira.in_progress = false;
            new.jira.push |= pushed;
        }
        Some(new)
    };
    if thing.group.is_some() || thing.epic_of.is_some() {
        // its findings have it from it
        thing.set_issue(ctx, None, Some(id), None).await?;
    } else {
        ctx.change_findings(thing.product, &thing.finding_ids(), None, off)
            .await?;
    }
    Ok(None)
}

/// What counts for a thing, and the JIRA that it is in or goes to.
async fn settings(
    ctx: &Context,
    thing: &Thing,
    known: Option<&JiraIssue>,
) -> Result<Option<(JiraProject, JiraInstance)>> {
    let Some(mut project) = ctx.project(thing.product, thing.engagement) else {
        return Ok(None);
    };
    let mut instance = project.jira_instance;
    if let Some(known) = known.filter(|known| Some(known.instance) != instance) {
        // it stays where it was made, under what counted for it then
        instance = Some(known.instance);
        if let Some(id) = known.project
            && let Some(then) = get::<JiraProject>(&ctx.store, id).await?
        {
            project = then;
        }
    }
    let Some(instance) = instance else {
        return Ok(None);
    };
    let instance: Option<JiraInstance> = get(&ctx.store, instance).await?;
    Ok(instance.map(|instance| (project, instance)))
}

/// Makes the first issue of a thing, where it's to have one.
async fn first(
    link: &Link<'_>,
    thing: &mut Thing,
    project: &JiraProject,
    order: Option<&Order>,
) -> Result<Option<String>> {
    let ctx = link.ctx;
    let asked = order.is_some() || thing.is_pushed();
    if thing.is_of_findings() {
        let rule = ctx.rule();
        let may = |finding: &Finding| rule.check(finding);
        let any = thing.findings.iter().any(|finding| may(finding).is_ok());
        if !any && asked {
            let why = thing.findings.iter().find_map(|finding| may(finding).err());
            let why = why.map_or_else(|| "the group is empty".into(), |why| why.to_string());
            return Err(JiraFunctionError::Impossible(why));
        }
        if !any || !(asked || project.push_all_issues) {
            return Ok(None);
        }
    } else if !(asked || project.enable_engagement_epic_mapping && thing.is_open()) {
        return Ok(None);
    }
    let made = create(link, thing, project, order).await?;
    // it may have been there before, and done
    let Some(mut now) = Thing::read(ctx, thing.object).await? else {
        return Ok(Some(made.jira_key));
    };
    std::mem::swap(thing, &mut now);
    follow(link, thing, project, &made, order).await
}

/// Brings a thing and the issue that it has together.
async fn follow(
    link: &Link<'_>,
    thing: &mut Thing,
    project: &JiraProject,
    known: &JiraIssue,
    order: Option<&Order>,
) -> Result<Option<String>> {
    let read = link.jira().issue(&known.jira_id, IssueFields::NAMES).await;
    let Some(mut issue) = link.heard(read).await? else {
        unlink(link, thing, known).await?;
        return Ok(None);
    };
    let mut next = known.clone();
    next.error = None;
    adopt(link.ctx, thing, known).await?;
    let pushed = thing.is_pushed();
    // an answer from before what is known says nothing new
    let stale = known.changed.is_some() && issue.fields.updated < known.changed;
    if !stale {
        note(&mut next, &issue);
        if issue.fields.updated != known.changed {
            take_in(link, thing, &next).await?;
        }
        issue = settle(link, thing, project, &mut next, issue).await?;
        // whatever fails from here on, both sides agree on this
        save(link.ctx, known, &next).await?;
    }
    let known = next.clone();
    let in_step = link.instance().finding_jira_sync || project.push_all_issues;
    let wanted = pushed || order.is_some() || (thing.is_open() && in_step);
    if wanted || (thing.epic_of.is_some() && thing.is_open()) {
        update(link, thing, project, &mut next, &issue, order).await?;
    }
    if project.push_notes && thing.is_of_findings() {
        send_out(link, thing, &next).await?;
    }
    if let Some(order) = order {
        comment(link, thing, &next, order).await?;
    }
    save(link.ctx, &known, &next).await?;
    if pushed {
        thing.clear_push(link.ctx).await?;
    }
    Ok(Some(next.jira_key))
}

/// Keeps what is known of an issue, if that is something else now.
async fn save(ctx: &Context, known: &JiraIssue, next: &JiraIssue) -> Result<()> {
    if next == known {
        return Ok(());
    }
    let saved = ctx.store.change(known.id, |issue: &mut JiraIssue| {
        let (object, id) = (issue.object, issue.id);
        *issue = next.clone();
        (issue.object, issue.id) = (object, id);
        Ok::<_, StoreError>(())
    });
    there(saved.await)?;
    Ok(())
}

/// Findings that came into the group have its issue.
async fn adopt(ctx: &Context, thing: &mut Thing, known: &JiraIssue) -> Result<()> {
    if thing.group.is_none() {
        return Ok(());
    }
    let without = |finding: &&Finding| finding.jira.issue.is_none();
    let new: Vec<FindingId> = (thing.findings.iter().filter(without))
        .map(|finding| finding.id)
        .collect();
    if new.is_empty() {
        return Ok(());
    }
    let id = known.id;
    let set = |finding: &Finding| {
        let mut new = finding.clone();
        new.jira.issue = new.jira.issue.or(Some(id));
        Some(new)
    };
    ctx.change_findings(thing.product, &new, None, set).await?;
    if let Some(now) = Thing::read(ctx, thing.object).await? {
        *thing = now;
    }
    Ok(())
}

/// The issue was deleted in JIRA.
async fn unlink(link: &Link<'_>, thing: &Thing, known: &JiraIssue) -> Result<()> {
    let key = &known.jira_key;
    let text = format!("{key} is not in JIRA any more, or its user may not see it: unlinked.");
    let occasion = format!("unlinked-{}", known.id);
    (link.ctx)
        .tell(
            thing,
            JiraChange::Unlinked,
            Some(key),
            occasion,
            text.clone(),
        )
        .await?;
    thing
        .set_issue(link.ctx, None, Some(known.id), Some(&text))
        .await?;
    Ok(link.ctx.store.forget_jira_issue(known.id).await?)
}

/// Sends the fields that are not as they were last sent.
async fn update(
    link: &Link<'_>,
    thing: &Thing,
    project: &JiraProject,
    next: &mut JiraIssue,
    issue: &Issue,
    order: Option<&Order>,
) -> Result<()> {
    let content = Content::of(link.ctx, thing, project, link.instance()).await?;
    let digests = content.digests();
    let sent: BTreeMap<String, String> = serde_json::from_str(&next.sent).unwrap_or_default();
    let differs = |name: &&String| sent.get(*name) != digests.get(*name);
    let mut changed: Vec<&str> = (digests.keys().filter(differs))
        .map(String::as_str)
        .collect();
    let assignee = order.and_then(|order| order.assignee.as_deref());
    let priority = order.and_then(|order| order.priority.clone());
    let name = order.and_then(|order| order.epic_name(thing));
    if changed.is_empty() && assignee.is_none() && priority.is_none() && name.is_none() {
        return Ok(());
    }
    let key = issue
        .key
        .rsplit_once('-')
        .map_or("", |(project, _)| project);
    let wanted = issue_type(thing.object, link, project);
    let wanted = (issue.fields.issue_type.as_ref()).map_or(wanted, |own| own.name.clone());
    let (own, meta) = meta(link, key, wanted).await?;
    let mut said = content.issue(key, Reference::Id(own.id));
    // words that people added stay
    said.labels.extend(issue.fields.labels.iter().cloned());
    if let Some(priority) = priority {
        // until the severity changes
        said.priority = Some(priority);
        changed.push("priority");
    }
    if let Some(name) = name {
        name.clone_into(&mut said.summary);
        changed.push("summary");
    }
    let prepared = said.fields_for(&meta, link.jira().deployment());
    let mut fields: Map<String, Value> = (prepared.fields.into_iter())
        .filter(|(name, _)| changed.contains(&name.as_str()))
        .collect();
    if let Some(assignee) = assignee {
        let id = match link.jira().deployment() {
            Deployment::Cloud => "accountId",
            Deployment::DataCenter => "name",
        };
        fields.insert("assignee".into(), json!({ id: assignee }));
    }
    put(link, next, fields).await?;
    next.sent = serde_json::to_string(&digests)?;
    Ok(())
}

/// Sets fields; those that JIRA names as wrong are left out then, since its edit screen may have less than the one
/// for new issues.
async fn put(link: &Link<'_>, next: &JiraIssue, mut fields: Map<String, Value>) -> Result<()> {
    while !fields.is_empty() {
        let done = link.jira().update_issue(&next.jira_id, &fields).await;
        match link.heard(done).await {
            Err(JiraFunctionError::Refused(JiraError::Invalid {
                messages,
                fields: wrong,
            })) if wrong.keys().any(|name| fields.contains_key(name)) => {
                let _ = messages;
                for (name, why) in wrong {
                    if fields.remove(&name).is_some() {
                        tracing::warn!(
                            issue = next.jira_key,
                            field = name,
                            why,
                            "not changed in JIRA"
                        );
                    }
                }
            }
            done => return done,
        }
    }
    Ok(())
}

/// The comment of an order.
async fn comment(link: &Link<'_>, thing: &Thing, issue: &JiraIssue, order: &Order) -> Result<()> {
    let Some(template) = order.comment.as_deref() else {
        return Ok(());
    };
    let worst = thing.findings.iter().map(|finding| finding.severity).min();
    let id = mark(thing.object);
    let text = template
        .replace("{severity}", worst.map_or("", |severity| severity.name()))
        .replace(
            "{id}",
            id.trim_start_matches(|c: char| c.is_ascii_alphabetic()),
        )
        .replace("{url}", &link.ctx.url(thing.object))
        .replace("{title}", &thing.title);
    post_once(link, issue, &order.name, thing.object, &text).await
}

/// Writes down an error that no further try mends, and tells of it; others are the caller's.
async fn failed(
    ctx: &Context,
    thing: &Thing,
    known: Option<&JiraIssue>,
    error: JiraFunctionError,
) -> Result<String> {
    let Some(why) = error.is_final() else {
        return Err(error);
    };
    if let Some(known) = known.filter(|known| known.error.as_ref() != Some(&why)) {
        let text = why.clone();
        let noted = ctx.store.change(known.id, |issue: &mut JiraIssue| {
            issue.error = Some(text.clone());
            Ok::<_, StoreError>(())
        });
        there(noted.await)?;
    }
    // of a JIRA that lets nobody in it was told once, and what was asked for is done when it does
    if matches!(error, JiraFunctionError::Shut(_)) {
        return Ok(why);
    }
    tracing::warn!(object = ?thing.object, why, "not in step with JIRA");
    let today = ctx.store.now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let occasion = format!("failed-{}-{today}", digest(&why));
    let key = known.map(|known| known.jira_key.as_str());
    ctx.tell(thing, JiraChange::Failed, key, occasion, why.clone())
        .await?;
    thing.clear_push(ctx).await?;
    Ok(why)
}
