//! Open or done: what both sides last agreed on, and which of them has changed since.

use jiff::Timestamp;
use serde_json::Map;
use tatami_domain::{
    AcceptanceChange, AcceptanceEvent, Finding, FindingId, FlagChange, Flags, JiraChange,
    JiraIssue, JiraProject, JiraVerdict, RiskAcceptance, User, UserId,
};
use tatami_jira_client::{Issue, IssueFields, Status, Transition};
use tatami_store::StoreError;

use crate::comments::post_once;
use crate::context::Link;
use crate::error::{JiraFunctionError, Result};
use crate::fields::what;
use crate::thing::Thing;

/// How an issue stands, by what was just read of it.
pub(crate) fn is_done(issue: &Issue) -> bool {
    issue.fields.status.as_ref().is_some_and(Status::is_done)
}

fn is_in_progress(issue: &Issue) -> bool {
    let status = issue.fields.status.as_ref();
    let category = status.and_then(|status| status.status_category.as_ref());
    category.is_some_and(|category| category.key == "indeterminate")
}

/// Notes on the mapping what was read.
pub(crate) fn note(next: &mut JiraIssue, issue: &Issue) {
    next.jira_key.clone_from(&issue.key);
    next.changed = next.changed.max(issue.fields.updated);
    next.in_progress = is_in_progress(issue);
    if let Some(status) = &issue.fields.status {
        next.status.clone_from(&status.name);
    }
}

/// Brings both sides together; the one that differs from what they last agreed on wins. `next` is the mapping as it
/// will be. Gives the issue as it is then.
pub(crate) async fn settle(
    link: &Link<'_>,
    thing: &mut Thing,
    project: &JiraProject,
    next: &mut JiraIssue,
    issue: Issue,
) -> Result<Issue> {
    let (ours, theirs) = (thing.is_open(), !is_done(&issue));
    let mut issue = issue;
    if ours != theirs {
        if ours != next.open {
            issue = tell_jira(link, thing, project, next, &issue, ours).await?;
            note(next, &issue);
        } else if thing.is_of_findings() {
            hear(link, thing, next, &issue).await?;
            if let Some(now) = Thing::read(link.ctx, thing.object).await? {
                *thing = now;
            }
        }
    }
    if thing.is_open() != is_done(&issue) {
        next.open = thing.is_open();
    }
    let at_it = next.in_progress;
    let differ = |finding: &&Finding| finding.jira.in_progress != at_it;
    let behind: Vec<FindingId> = (thing.findings.iter().filter(differ))
        .map(|finding| finding.id)
        .collect();
    let set = |finding: &Finding| {
        let mut new = finding.clone();
        new.jira.in_progress = at_it;
        Some(new)
    };
    (link.ctx)
        .change_findings(thing.product, &behind, None, set)
        .await?;
    Ok(issue)
}

/// Takes the issue to where the thing is; gives it as it is there.
async fn tell_jira(
    link: &Link<'_>,
    thing: &Thing,
    project: &JiraProject,
    mapping: &JiraIssue,
    issue: &Issue,
    open: bool,
) -> Result<Issue> {
    let (why, time) = reason(thing, open);
    let second = time.map_or(0, Timestamp::as_second);
    let event = format!("{}-{second}", if open { "reopened" } else { "closed" });
    post_once(link, mapping, &event, thing.object, &why).await?;
    let ways = link.jira().transitions(&mapping.jira_id).await;
    let ways = link.heard(ways).await?;
    let way = choose(link, &ways, open).ok_or_else(|| {
        let names: Vec<&str> = ways.iter().map(|way| way.name.as_str()).collect();
        JiraFunctionError::Impossible(format!(
            "nothing {} {} from {}: there are {}",
            if open { "reopens" } else { "closes" },
            issue.key,
            mapping.status,
            names.join(", ")
        ))
    })?;
    let given = if open {
        &project.reopen_transition_fields
    } else {
        &project.close_transition_fields
    };
    let fields = given.clone().unwrap_or_else(Map::new);
    let wanted = !open && !fields.contains_key("resolution");
    let resolution = if wanted {
        resolution(link, thing, way)
    } else {
        None
    };
    let went = link
        .jira()
        .transition(&mapping.jira_id, &way.id, resolution.as_deref(), &fields);
    link.heard(went.await).await?;
    let there = link
        .jira()
        .issue(&mapping.jira_id, IssueFields::NAMES)
        .await;
    let there = link.heard(there).await?.ok_or_else(|| {
        JiraFunctionError::later(30, "the issue is not there after it was changed")
    })?;
    if is_done(&there) == open {
        let to = there.fields.status.as_ref().map(|s| s.name.as_str());
        return Err(JiraFunctionError::Impossible(format!(
            "{} took {} to {}, which is{} done",
            way.name,
            there.key,
            to.unwrap_or("nowhere"),
            if open { "" } else { " not" }
        )));
    }
    let what = if open {
        JiraChange::Reopened
    } else {
        JiraChange::Closed
    };
    let occasion = format!("{event}-{}", mapping.id);
    link.ctx
        .tell(thing, what, Some(&there.key), occasion, why)
        .await?;
    Ok(there)
}

/// Why the issue follows, and since when that is so.
fn reason(thing: &Thing, open: bool) -> (String, Option<Timestamp>) {
    let last = (thing.findings.iter())
        .filter_map(|finding| finding.last_status_update)
        .max();
    let name = what(thing.object);
    let why = match (open, &thing.epic_of, thing.findings.as_slice()) {
        (true, Some(_), _) => "is open again".to_owned(),
        (false, Some(_), _) => "was closed".to_owned(),
        (true, None, _) => "is active again".to_owned(),
        (false, None, [one]) if one.flags.duplicate => "is a duplicate of another one".to_owned(),
        (false, None, [one]) if one.flags.false_p => "is a false positive".to_owned(),
        (false, None, [one]) if one.flags.out_of_scope => "is out of scope".to_owned(),
        (false, None, [one]) if one.flags.risk_accepted => "has its risk accepted".to_owned(),
        (false, None, [one]) if one.flags.is_mitigated => "was mitigated".to_owned(),
        (false, None, [_]) => "is not active any more".to_owned(),
        (false, None, _) => "has no active findings any more".to_owned(),
    };
    let last = last.or(thing.epic_of.as_ref().map(|own| own.updated));
    (format!("{name} {why}."), last)
}

/// The way that the instance names, or else the first that leads there.
fn choose<'w>(link: &Link<'_>, ways: &'w [Transition], open: bool) -> Option<&'w Transition> {
    let named = if open {
        link.instance().open_status_key
    } else {
        link.instance().close_status_key
    };
    let leads = |way: &&Transition| way.to.as_ref().is_some_and(|to| to.is_done() != open);
    let named = ways
        .iter()
        .find(|way| named > 0 && way.id == named.to_string());
    named.or_else(|| ways.iter().find(leads))
}

/// A resolution that says why, where the transition asks for one.
fn resolution(link: &Link<'_>, thing: &Thing, way: &Transition) -> Option<String> {
    let field = way.fields.get("resolution")?;
    let instance = link.instance();
    let all = |is: fn(Flags) -> bool| {
        !thing.findings.is_empty() && thing.findings.iter().all(|finding| is(finding.flags))
    };
    let names = |list: &Option<String>| -> Vec<String> {
        let list = list.as_deref().unwrap_or_default().split(',');
        list.map(|name| name.trim().to_owned()).collect()
    };
    let mut wanted = if all(|flags| flags.false_p) {
        names(&instance.false_positive_mapping_resolution)
    } else if all(|flags| flags.risk_accepted) {
        names(&instance.accepted_mapping_resolution)
    } else {
        Vec::new()
    };
    wanted.extend(["Fixed", "Done", "Resolved"].map(str::to_owned));
    wanted.retain(|name| !name.is_empty());
    let listed = !field.allowed_values.is_empty();
    let fits = wanted.into_iter().find(|name| listed && field.allows(name));
    fits.or_else(|| field.allowed_values.first()?.name.clone())
}

/// Lets the findings follow what people did in JIRA.
async fn hear(link: &Link<'_>, thing: &Thing, mapping: &JiraIssue, issue: &Issue) -> Result<()> {
    let key = &issue.key;
    let status = issue.fields.status.as_ref().map(|s| s.name.as_str());
    let mut how = status.unwrap_or_default().to_owned();
    let resolution = issue.fields.resolution.as_ref().map(|r| r.name.as_str());
    if let Some(resolution) = resolution {
        how = format!("{how}, {resolution}");
    }
    let updated = issue.fields.updated.map_or(0, Timestamp::as_millisecond);
    let told = |what, text: &str| {
        let occasion = format!("in-{}-{updated}", mapping.id);
        link.ctx
            .tell(thing, what, Some(key), occasion, text.to_owned())
    };
    if !is_done(issue) {
        let text = format!("Reopened in JIRA ({key}: {how}).");
        if thing
            .findings
            .iter()
            .any(|finding| reopened(finding, link.now()).is_some())
        {
            told(JiraChange::Reopened, &text).await?;
        }
        let now = link.now();
        let change = |finding: &Finding| reopened(finding, now);
        (link.ctx)
            .change_findings(thing.product, &thing.finding_ids(), Some(&text), change)
            .await?;
        return Ok(());
    }
    let verdict = link.instance().verdict(resolution);
    let at = issue.fields.resolution_date.unwrap_or_else(|| link.now());
    match verdict {
        JiraVerdict::FalsePositive => {
            let text = format!("False positive by JIRA ({key}: {how}).");
            told(JiraChange::Closed, &text).await?;
            close(link, thing, &text, at, |flags| {
                let change = FlagChange {
                    false_p: Some(true),
                    ..FlagChange::default()
                };
                flags.changed(&change, false).unwrap_or(flags)
            })
            .await
        }
        JiraVerdict::RiskAccepted => {
            let text = format!("Risk accepted in JIRA ({key}: {how}).");
            told(JiraChange::Closed, &text).await?;
            accept(link, thing, key, &text, at).await
        }
        JiraVerdict::Mitigated => {
            let text = format!("Mitigated in JIRA ({key}: {how}).");
            told(JiraChange::Closed, &text).await?;
            close(link, thing, &text, at, mitigated).await
        }
    }
}

fn mitigated(flags: Flags) -> Flags {
    Flags {
        active: false,
        is_mitigated: true,
        ..flags
    }
}

/// A closed finding as it is open again; duplicates and what is out of scope stay so.
fn reopened(finding: &Finding, now: Timestamp) -> Option<Finding> {
    let flags = finding.flags;
    if flags.active || flags.duplicate || flags.out_of_scope {
        return None;
    }
    let mut new = finding.clone();
    let open = Flags {
        active: true,
        is_mitigated: false,
        false_p: false,
        risk_accepted: false,
        ..flags
    };
    new.set_flags(open, None, now);
    Some(new)
}

async fn close(
    link: &Link<'_>,
    thing: &Thing,
    text: &str,
    at: Timestamp,
    closed: impl Fn(Flags) -> Flags + Send + Sync,
) -> Result<()> {
    let now = link.now();
    let change = |finding: &Finding| {
        finding.flags.is_open().then(|| {
            let mut new = finding.clone();
            new.set_flags(closed(finding.flags), None, now);
            if new.flags.is_mitigated {
                new.mitigated = Some(at);
            }
            new
        })
    };
    (link.ctx)
        .change_findings(thing.product, &thing.finding_ids(), Some(text), change)
        .await?;
    Ok(())
}

/// Accepts the risk: with a record where the product has those, else simply, else the findings are mitigated.
async fn accept(
    link: &Link<'_>,
    thing: &Thing,
    key: &str,
    text: &str,
    at: Timestamp,
) -> Result<()> {
    let product = link.ctx.product(thing.product).await?;
    if product.enable_full_risk_acceptance {
        let acceptance = record(link, thing, key, text).await?;
        let (now, id) = (link.now(), acceptance.id);
        let change = |finding: &Finding| {
            let mut new = finding.clone();
            let open = finding.flags.is_open();
            let taken = open
                && AcceptanceChange::Accept(id)
                    .apply(&mut new, None, now)
                    .is_ok();
            taken.then_some(new)
        };
        (link.ctx)
            .change_findings(thing.product, &thing.finding_ids(), Some(text), change)
            .await?;
        return Ok(());
    }
    if product.enable_simple_risk_acceptance {
        let accepted = |flags| Flags {
            active: false,
            risk_accepted: true,
            ..flags
        };
        return close(link, thing, text, at, accepted).await;
    }
    let text = format!(
        "{text} {} takes no risk acceptances: it counts as mitigated.",
        product.name
    );
    close(link, thing, &text, at, mitigated).await
}

/// The acceptance that follows from an issue; the one that was made before it was cut off, where there is one.
async fn record(link: &Link<'_>, thing: &Thing, key: &str, text: &str) -> Result<RiskAcceptance> {
    let store = &link.ctx.store;
    let name = format!("Accepted in JIRA: {key}");
    let known = store.acceptances_of(thing.product).await?;
    let same = |one: &RiskAcceptance| one.name == name && one.takes_findings().is_ok();
    if let Some(known) = known.into_iter().find(same) {
        return Ok(known);
    }
    let now = link.now();
    let owner = owner(link, thing).await?;
    let days = link.ctx.settings.risk_acceptance_form_default_days;
    let days = days.filter(|days| *days > 0);
    let mut acceptance = RiskAcceptance::new(owner, days, now);
    acceptance.name = name;
    acceptance.product = thing.product;
    acceptance.engagement = Some(thing.engagement);
    let link_there = link.jira().browse_url(key);
    acceptance.decision_details = Some(format!("{text} See {link_there}"));
    acceptance.accepted_by = Some("JIRA".into());
    acceptance.note(AcceptanceEvent::Created, None, now, "");
    Ok(store.create(acceptance).await?)
}

/// Who leads the engagement, or else the first admin.
async fn owner(link: &Link<'_>, thing: &Thing) -> Result<UserId, StoreError> {
    let store = &link.ctx.store;
    let engagement: tatami_domain::Engagement = store.get(thing.engagement).await?;
    if let Some(lead) = engagement.lead {
        return Ok(lead);
    }
    let users: Vec<User> = store.list().await?;
    let admin = users
        .iter()
        .find(|user| user.is_superuser && user.is_active);
    Ok(admin.map(|user| user.id).unwrap_or_default())
}
