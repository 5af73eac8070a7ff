//! What no message told of: changes in JIRA of which no webhook came, issues that were deleted there, findings that
//! should have an issue and have none, work that was never sent.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tatami_domain::{
    Finding, JiraInstance, JiraInstanceId, JiraIssue, JiraObject, OutboxWork, ProductId,
};
use tatami_jira_client::{Issue, JiraError, jql};
use tatami_queue::{JiraMessage, Outgoing};
use tatami_runtime::Services;
use tatami_store::{JiraState, Sight};

use crate::context::{Context, Link};
use crate::error::{JiraFunctionError, Result};
use crate::sync::sync;
use crate::thing::{Thing, get};

/// Changes are asked for from so long before the last time on.
const OVERLAP: SignedDuration = SignedDuration::from_mins(5);
/// After a longer time all that is known is looked at.
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// How often it's tried whether a JIRA lets us in again.
const PROBE: SignedDuration = SignedDuration::from_hours(1);
/// So long one process alone reconciles a JIRA.
const LEASE_S: u32 = 300;
/// So many projects, or issues, are asked for at once.
const TOGETHER: usize = 50;
/// So many objects an entry of the outbox has.
const PIECE: usize = 48;
/// So many pages of changes are read at once; the next time goes on from there.
const PAGES: u32 = 20;

/// The schedule: what fails of one JIRA keeps no other.
pub(crate) async fn scheduled(services: &Services) -> Result<()> {
    services.sweep_outbox().await?;
    let instances: Vec<JiraInstance> = services.store.list().await?;
    if instances.is_empty() {
        return Ok(());
    }
    let mut failed = None;
    for one in instances {
        match Box::pin(instance(services, one.id)).await {
            Ok(()) => {}
            Err(JiraFunctionError::Later { why, .. } | JiraFunctionError::Shut(why)) => {
                tracing::warn!(instance = %one.id, why, "not reconciled");
            }
            Err(error) => {
                tracing::error!(instance = %one.id, %error, "reconciling failed");
                failed = failed.or(Some(error));
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Looks at one JIRA.
pub(crate) async fn instance(services: &Services, id: JiraInstanceId) -> Result<()> {
    let ctx = Context::read(services).await?;
    let Some(instance) = get::<JiraInstance>(&ctx.store, id).await? else {
        return Ok(());
    };
    if !ctx.settings.enable_jira {
        return Ok(());
    }
    let lease = format!("jira/reconcile/{id}");
    let Some(lease) = ctx.store.lease(&lease, LEASE_S).await? else {
        return Ok(()); // another is at it
    };
    let done = Box::pin(alone(&ctx, &instance)).await;
    ctx.store.release(lease).await?;
    done
}

async fn alone(ctx: &Context, instance: &JiraInstance) -> Result<()> {
    let now = ctx.store.now();
    let state = ctx.store.jira_state(instance.id).await?;
    let issues: Vec<JiraIssue> = ctx.store.list().await?;
    let issues = issues.into_iter().filter(|one| one.instance == instance.id);
    let issues: HashMap<String, JiraIssue> =
        issues.map(|issue| (issue.jira_id.clone(), issue)).collect();
    let mut keys = BTreeSet::new();
    let mut products = BTreeSet::new();
    for project in ctx.projects.iter() {
        if let Some(product) = product_of(ctx, project).await?
            && project.enabled
        {
            products.insert(product);
        }
        if project.jira_instance == Some(instance.id) {
            keys.extend(project.project_key.clone());
        }
    }
    if issues.is_empty() && keys.is_empty() {
        return Ok(()); // nobody uses it
    }
    // where an issue is now, it may have been moved to
    let own = |issue: &JiraIssue| Some(issue.jira_key.rsplit_once('-')?.0.to_owned());
    keys.extend(issues.values().filter_map(own));
    keys.remove("");
    let mut full = state.swept.is_none_or(|swept| now - DAY >= swept);
    if let Some((since, why)) = &state.refused
        && now - PROBE < state.tried.unwrap_or(*since)
    {
        return Err(JiraFunctionError::Shut(why.clone()));
    }
    let link = ctx.link(instance).await?;
    // somebody may have closed the circuit by hand, perhaps for another account
    if state.refused.is_some() || state.tried.is_some() {
        link.heard(link.connection.probe().await).await?;
        full = true;
    }
    let from = state.reconciled.unwrap_or(now - DAY) - OVERLAP;
    let up_to = changed(&link, &keys, &issues, from, now).await?;
    (ctx.store)
        .change_jira_state(instance.id, |state: &mut JiraState| {
            state.reconciled = Some(up_to);
        })
        .await?;
    if full {
        missing(&link, &issues).await?;
        unpushed(ctx, instance.id, &products).await?;
        (ctx.store)
            .change_jira_state(instance.id, |state: &mut JiraState| {
                state.swept = Some(now);
            })
            .await?;
    }
    Ok(())
}

async fn product_of(
    ctx: &Context,
    project: &tatami_domain::JiraProject,
) -> Result<Option<ProductId>> {
    if project.product.is_some() {
        return Ok(project.product);
    }
    let Some(engagement) = project.engagement else {
        return Ok(None);
    };
    let engagement: Option<tatami_domain::Engagement> = get(&ctx.store, engagement).await?;
    Ok(engagement.map(|engagement| engagement.product))
}

/// Sends for the known issues that have changed there since; gives the time up to which that is done.
async fn changed(
    link: &Link<'_>,
    keys: &BTreeSet<String>,
    issues: &HashMap<String, JiraIssue>,
    from: Timestamp,
    now: Timestamp,
) -> Result<Timestamp> {
    // JIRA reckons from its own clock, in its own time zone
    let minutes = (now.duration_since(from).as_secs() / 60).clamp(1, 60 * 24 * 7) + 1;
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let mut up_to = now;
    for some in keys.chunks(TOGETHER) {
        let reached = match since(link, some, minutes, issues).await {
            // one project that isn't there fails all
            Err(JiraFunctionError::Refused(JiraError::Invalid { .. })) if some.len() > 1 => {
                let mut reached = None;
                for key in some {
                    let one = since(link, &[key], minutes, issues).await;
                    reached = passed_over(key, one)?.into_iter().chain(reached).min();
                }
                reached
            }
            Err(error) if some.len() == 1 => passed_over(some.concat().as_str(), Err(error))?,
            done => done?,
        };
        up_to = reached.into_iter().chain([up_to]).min().unwrap_or(up_to);
    }
    Ok(up_to)
}

fn passed_over(key: &str, done: Result<Option<Timestamp>>) -> Result<Option<Timestamp>> {
    match done {
        Err(JiraFunctionError::Refused(error)) => {
            tracing::warn!(project = key, %error, "a project is not looked at");
            Ok(None)
        }
        done => done,
    }
}

/// The same for some projects; where there was more than is read at once, how far that went.
async fn since(
    link: &Link<'_>,
    keys: &[&str],
    minutes: i64,
    issues: &HashMap<String, JiraIssue>,
) -> Result<Option<Timestamp>> {
    let query = format!(
        "project in {} AND updated >= -{minutes}m ORDER BY updated ASC",
        jql::list(keys.iter().copied())
    );
    let mut page = None;
    let mut last = None;
    for _ in 0..PAGES {
        let found = link
            .jira()
            .search(&query, &["updated", "status"], page.as_deref())
            .await;
        let found = link.heard(found).await?;
        let news = found.issues.iter().filter(|issue| is_news(issue, issues));
        send(link, news.map(|issue| issue.id.clone())).await?;
        last = found.issues.last().and_then(|issue| issue.fields.updated);
        page = found.next;
        if page.is_none() {
            return Ok(None);
        }
    }
    Ok(last)
}

fn is_news(issue: &Issue, issues: &HashMap<String, JiraIssue>) -> bool {
    let known = issues.get(&issue.id);
    known.is_some_and(|known| known.changed.is_none() || issue.fields.updated > known.changed)
}

/// Sends messages that these issues are to be looked at.
async fn send(link: &Link<'_>, issues: impl Iterator<Item = String>) -> Result<()> {
    let mut messages = Vec::new();
    for jira_id in issues {
        let instance = Some(link.instance().id);
        let message = JiraMessage::Changed { jira_id, instance };
        let body = tatami_queue::write(&message)?;
        messages.push(Outgoing { body, import: None });
    }
    Ok(link.ctx.services.jira.send(messages).await?)
}

/// Looks at every known issue: those that a search doesn't find, and those with an
/// error, are read one by one.
async fn missing(link: &Link<'_>, issues: &HashMap<String, JiraIssue>) -> Result<()> {
    let mut ids: Vec<&str> = issues.keys().map(String::as_str).collect();
    ids.sort_unstable();
    for some in ids.chunks(TOGETHER) {
        let query = format!("id in ({}) ORDER BY id ASC", some.join(", "));
        let mut there: HashSet<String> = HashSet::new();
        let mut news = Vec::new();
        let mut page = None;
        loop {
            let found = link
                .jira()
                .search(&query, &["updated", "status"], page.as_deref())
                .await;
            let found = match link.heard(found).await {
                // JIRA refuses a list with an issue that isn't there
                Err(JiraFunctionError::Refused(JiraError::Invalid { .. })) => break,
                found => found?,
            };
            let changed = found.issues.iter().filter(|issue| is_news(issue, issues));
            news.extend(changed.map(|issue| issue.id.clone()));
            there.extend(found.issues.into_iter().map(|issue| issue.id));
            page = found.next;
            if page.is_none() {
                break;
            }
        }
        let failed = |id: &str| issues.get(id).is_some_and(|one| one.error.is_some());
        let others = (some.iter()).filter(|id| !there.contains(**id) || failed(id));
        news.extend(others.map(|id| (*id).to_owned()));
        send(link, news.into_iter()).await?;
    }
    Ok(())
}

/// Puts findings into the outbox that should have an issue and have none, or that wait for one.
async fn unpushed(
    ctx: &Context,
    instance: JiraInstanceId,
    products: &BTreeSet<ProductId>,
) -> Result<()> {
    for product in products {
        let mut objects: BTreeSet<JiraObject> = BTreeSet::new();
        let see = |finding: &Arc<Finding>| {
            if wants(ctx, instance, finding) {
                objects.insert(JiraObject::Finding(finding.id));
            }
        };
        ctx.store.skim(Sight::Products(&[*product]), see).await?;
        let objects: Vec<JiraObject> = objects.into_iter().collect();
        let work = objects.chunks(PIECE).map(|objects| OutboxWork::Jira {
            product: *product,
            objects: objects.to_vec(),
        });
        ctx.store.add_to_outbox(work.collect()).await?;
    }
    Ok(())
}

fn wants(ctx: &Context, instance: JiraInstanceId, finding: &Finding) -> bool {
    let Some(project) = ctx.project(finding.product, finding.engagement) else {
        return false;
    };
    let may = || ctx.rule().check(finding).is_ok();
    let without = finding.jira.issue.is_none() && project.push_all_issues && may();
    project.jira_instance == Some(instance) && (finding.jira.push || without)
}

/// Looks at an issue that is known; one whose object is gone is forgotten.
pub(crate) async fn known(ctx: &Context, known: &JiraIssue) -> Result<()> {
    if Thing::read(ctx, known.object).await?.is_some() {
        sync(ctx, known.object, None).await?.ok();
        return Ok(());
    }
    if heir(ctx, known).await? {
        return Ok(());
    }
    Ok(ctx.store.forget_jira_issue(known.id).await?)
}

/// An original that was deleted may have left its issue to the finding that took its place.
async fn heir(ctx: &Context, known: &JiraIssue) -> Result<bool> {
    let JiraObject::Finding(_) = known.object else {
        return Ok(false);
    };
    let mut heir = None;
    let see = |finding: &Arc<Finding>| {
        if finding.jira.issue == Some(known.id) {
            heir = Some(finding.id);
        }
    };
    let sight = [known.product];
    ctx.store.sweep(Sight::Products(&sight), see).await?;
    if let Some(heir) = heir {
        sync(ctx, JiraObject::Finding(heir), None).await?.ok();
    }
    Ok(heir.is_some())
}
