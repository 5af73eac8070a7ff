//! Which issue in JIRA is whose: the list, linking one that is there, and unlinking it. What becomes of its
//! status and its comments is the jira function's to do.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{
    FindingGroup, FindingGroupId, FindingId, JiraIssue, JiraObject, JiraProject, Product,
};
use tatami_store::{Entity as _, Follows, Store};

use super::linking::{Linked, field_of, forget, named, project, set, taken};
use super::pushing::work;
use crate::Api;
use crate::auth::{Caller, Visible};
use crate::body::Body;
use crate::conditional::{IfMatch, Version, Versioned};
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Mode, Object, read};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::{Listing, Page};
use crate::query::Query;
use crate::routes::catalog::{Filter, How, check_references, id_in_path, select};
use crate::view::jira::{FIELDS, SCHEMA, views};

const PATH: &str = "/api/v2/jira_finding_mappings";

const FILTERS: &[Filter] = &[
    Filter::of("id", How::Ids),
    Filter::of("finding", How::Ids),
    Filter::of("engagement", How::Ids),
    Filter::of("finding_group", How::Ids),
    Filter::of("jira_id", How::Exact),
    Filter::of("jira_key", How::AnyCase),
    Filter::of("product", How::Ids),
    Filter::of("jira_project", How::Ids),
    Filter::of("jira_instance", How::Ids),
    Filter::of("open", How::Bool),
];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let path = format!("{PATH}/{{id}}");
    let list = Operation::get(PATH, "A page of the issues that are linked")
        .query(FILTERS.iter().map(Filter::parameter))
        .query([Field::new("o", Kind::Texts)])
        .answers(200, Answer::Page(SCHEMA));
    routes.add(&list, self::list);
    let link = Operation::post(
        PATH,
        "Link an issue that is in JIRA to a finding, a finding group or an engagement",
    )
    .body("JIRAIssueRequest")
    .answers(201, Answer::One(SCHEMA));
    routes.add(&link, self::link);
    let get = Operation::get(&*path, "One of them").answers(200, Answer::One(SCHEMA));
    routes.add(&get, self::get);
    let replace = Operation::put(&*path, "Link another issue in its place")
        .body("JIRAIssueRequest")
        .answers(200, Answer::One(SCHEMA));
    routes.add(&replace, change);
    let change = Operation::patch(&*path, "Link another issue in its place")
        .body("PatchedJIRAIssueRequest")
        .answers(200, Answer::One(SCHEMA));
    routes.add(&change, self::change);
    let unlink =
        Operation::delete(&*path, "Unlink it; the issue stays in JIRA").answers(204, Answer::Empty);
    routes.add(&unlink, self::unlink);
    let preview = Operation::get(
        format!("{path}/delete_preview"),
        "What would be deleted with it",
    )
    .answers(200, Answer::Page("DeletePreview"));
    routes.add(&preview, self::preview);
    routes.schemas(SCHEMA, FIELDS);
}

/// Where issues are: where what they are the issues of is.
async fn places(store: &Store, issues: &[JiraIssue]) -> Result<Vec<Place>> {
    let findings = issues.iter().filter_map(|issue| match issue.object {
        JiraObject::Finding(id) => Some(id),
        _ => None,
    });
    let groups = issues.iter().filter_map(|issue| match issue.object {
        JiraObject::FindingGroup(id) => Some(id),
        _ => None,
    });
    let findings: HashMap<FindingId, _> = (store.findings(findings).await?.iter())
        .map(|finding| (finding.id, finding.engagement))
        .collect();
    let groups: HashMap<FindingGroupId, _> = (store.get_all(groups).await?.iter())
        .map(|group: &FindingGroup| (group.id, group.engagement))
        .collect();
    let place = |issue: &JiraIssue| {
        let engagement = match issue.object {
            JiraObject::Finding(id) => findings.get(&id).copied(),
            JiraObject::FindingGroup(id) => groups.get(&id).copied(),
            JiraObject::Engagement(id) => Some(id),
        };
        Place::within(Some(issue.product), engagement)
    };
    Ok(issues.iter().map(place).collect())
}

/// Those of some issues that may be seen.
async fn seen(
    store: &Store,
    visible: &Visible,
    mut issues: Vec<JiraIssue>,
) -> Result<Vec<JiraIssue>> {
    let Some(products) = visible.products() else {
        return Ok(issues);
    };
    issues.retain(|issue| products.contains(&issue.product));
    let whole = |issue: &JiraIssue| visible.sees(Place::Product(issue.product));
    let (mut seen, parts): (Vec<JiraIssue>, Vec<JiraIssue>) = issues.into_iter().partition(whole);
    let places = places(store, &parts).await?;
    let parts = parts.into_iter().zip(places);
    seen.extend(
        parts
            .filter(|(_, place)| visible.sees(*place))
            .map(|(issue, _)| issue),
    );
    Ok(seen)
}

/// The issues that a query may mean: as few as it says.
async fn meant(store: &Store, query: &Query) -> Result<Vec<JiraIssue>> {
    let ids = query.ids("id")?;
    if !ids.is_empty() {
        return Ok(store.get_all(ids.into_iter().map(Into::into)).await?);
    }
    let findings = query.ids("finding")?;
    if !findings.is_empty() {
        let findings = store.findings(findings.into_iter().map(FindingId)).await?;
        let issues = findings.iter().filter_map(|finding| finding.jira.issue);
        return Ok(store.get_all(issues).await?);
    }
    match query.ids("product")?[..] {
        [product] => Ok(store.children(Product::KIND, product).await?),
        _ => Ok(store.list().await?),
    }
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    listing: Listing,
) -> Result<Json<Page<Object>>> {
    let store = &api.services.store;
    let visible = caller.visible(Permission::ViewProducts).await?;
    let issues = meant(store, &listing.query).await?;
    let issues = seen(store, &visible, issues).await?;
    let views = views(store, &issues).await?;
    let (links, page) = select(views, FILTERS, FIELDS, &listing)?;
    Ok(Json(Page::new(links, page)))
}

/// The issue of a path, where it may be seen.
async fn permitted(
    api: &Api,
    caller: &Caller,
    permission: Permission,
    id: &str,
) -> Result<JiraIssue> {
    let store = &api.services.store;
    let issue: JiraIssue = store.get(id_in_path(id)?.into()).await?;
    let places = places(store, std::slice::from_ref(&issue)).await?;
    for place in places {
        caller.require(permission, place).await?;
    }
    Ok(issue)
}

/// Who may link and unlink it.
fn to_link(object: JiraObject) -> Permission {
    match object {
        JiraObject::Finding(_) | JiraObject::FindingGroup(_) => Permission::EditFinding,
        JiraObject::Engagement(_) => Permission::EditEngagement,
    }
}

async fn versioned(store: &Store, issue: &JiraIssue) -> Result<Versioned<Json<Object>>> {
    let view = views(store, std::slice::from_ref(issue)).await?.pop();
    let view = view.unwrap_or_default();
    Ok(Versioned(Version::of(issue), Json(view)))
}

async fn get(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Versioned<Json<Object>>> {
    let issue = permitted(&api, &caller, Permission::ViewProducts, &id).await?;
    versioned(&api.services.store, &issue).await
}

async fn link(
    State(api): State<Api>,
    caller: Caller,
    Body(body): Body,
) -> Result<(StatusCode, Versioned<Json<Object>>)> {
    let store = &api.services.store;
    let sent = match read(&body, FIELDS, Mode::Create) {
        Ok(sent) => sent,
        Err(problems) => {
            let anywhere = Place::Somewhere;
            caller.require(Permission::EditFinding, anywhere).await?;
            return Err(ApiError::Fields(problems));
        }
    };
    let linked = match Linked::read(store, &sent).await {
        Ok(linked) => linked,
        Err(error) => {
            let anywhere = Place::Somewhere;
            caller.require(Permission::EditFinding, anywhere).await?;
            return Err(error);
        }
    };
    let (product, engagement) = linked.place();
    let place = Place::Engagement(product, engagement);
    caller.require(to_link(linked.object()), place).await?;
    check_references(store, FIELDS, &sent).await?;
    let project = project(store, &sent, &linked).await?;
    let instance = project.jira_instance.unwrap_or_default();
    let (jira_id, jira_key) = named(&api.services, instance, &sent).await?;
    let new = JiraIssue {
        id: 0.into(),
        object: linked.object(),
        product,
        project: Some(project.id),
        instance,
        jira_id,
        jira_key,
        created: Timestamp::now(),
        changed: None,
        // whichever side is open then counts as the one that has changed
        open: false,
        in_progress: false,
        status: String::new(),
        sent: String::new(),
        error: None,
    };
    if let Some(issue) = linked.issue()
        && let Ok(known) = store.get::<JiraIssue>(issue).await
    {
        let message = format!(
            "It is linked to {} already: unlink that first.",
            known.jira_key
        );
        return Err(ApiError::field(field_of(new.object), message));
    }
    let issue = taken(store, new).await?;
    if !set(store, &issue).await? {
        store.forget_jira_issue(issue.id).await?;
        let message = "It was linked to another issue meanwhile.";
        return Err(ApiError::field(field_of(issue.object), message));
    }
    Ok((StatusCode::CREATED, versioned(store, &issue).await?))
}

async fn change(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
    mode: Mode,
    Body(body): Body,
) -> Result<Versioned<Json<Object>>> {
    let store = &api.services.store;
    let old = permitted(&api, &caller, Permission::ViewProducts, &id).await?;
    let [place] = places(store, std::slice::from_ref(&old)).await?[..] else {
        return Err(ApiError::not_found());
    };
    caller.require(to_link(old.object), place).await?;
    if_match.check(&Version::of(&old))?;
    let sent = read(&body, FIELDS, mode).map_err(ApiError::Fields)?;
    check_references(store, FIELDS, &sent).await?;
    let project: Option<JiraProject> = match sent.get("jira_project").and_then(Value::as_u64) {
        Some(id) => Some(store.get(id.into()).await?),
        None => None,
    };
    if let Some(project) = &project {
        let engagement = match place {
            Place::Engagement(_, engagement) => Some(engagement),
            _ => None,
        };
        let own = project.product == Some(old.product)
            || (engagement.is_some() && project.engagement == engagement);
        if !own || project.jira_instance.is_some_and(|id| id != old.instance) {
            let message = "This JIRA project is that of another product, engagement or instance.";
            return Err(ApiError::field("jira_project", message));
        }
    }
    let differs = |name: &str, known: &str| {
        let text = sent.get(name).and_then(Value::as_str).map(str::trim);
        text.is_some_and(|text| !text.is_empty() && text != known)
    };
    let another = differs("jira_id", &old.jira_id) || differs("jira_key", &old.jira_key);
    let another = if another {
        Some(named(&api.services, old.instance, &sent).await?)
    } else {
        None
    };
    let changed = store.change_with(old.id, |issue: &mut JiraIssue| {
        if_match.check(&Version::of(issue))?;
        if let Some(project) = &project {
            issue.project = Some(project.id);
        }
        let Some((id, key)) = &another else {
            return Ok(Follows::default());
        };
        issue.jira_id.clone_from(id);
        issue.jira_key.clone_from(key);
        // of the other issue nothing is known yet
        issue.changed = None;
        issue.open = false;
        issue.in_progress = false;
        issue.status = String::new();
        issue.sent = String::new();
        issue.error = None;
        Ok::<_, ApiError>(Follows::from(work(issue.product, issue.object)))
    });
    versioned(store, &changed.await?).await
}

async fn unlink(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
) -> Result<StatusCode> {
    let store = &api.services.store;
    let issue = permitted(&api, &caller, Permission::ViewProducts, &id).await?;
    for place in places(store, std::slice::from_ref(&issue)).await? {
        caller.require(to_link(issue.object), place).await?;
    }
    if_match.check(&Version::of(&issue))?;
    forget(store, &caller, &issue).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn preview(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    listing: Listing,
) -> Result<Json<Page<Value>>> {
    let issue = permitted(&api, &caller, Permission::ViewProducts, &id).await?;
    let gone = json!({"model": SCHEMA, "id": issue.id, "name": issue.jira_key});
    Ok(Json(listing.cut(vec![gone])))
}
