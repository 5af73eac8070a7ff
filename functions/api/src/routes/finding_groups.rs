//! Finding groups: findings of one test that are looked at as one. A finding is in one group at most,
//! and a group that has lost its last finding is removed.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use futures::future::BoxFuture;
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{
    EngagementId, Finding, FindingGroup, FindingGroupId, FindingId, GroupBy, JiraObject, ProductId,
    Test, TestId,
};
use tatami_store::{Entity as _, Follows, Grouping, Sight, Store, StoreError};

use super::catalog::{self, Filter, How, Resource, edit, id_in_path};
use super::jira::pushing::{self, PUSH, Pushing};
use crate::Api;
use crate::auth::Caller;
use crate::body::Body;
use crate::conditional::{IfMatch, Version, Versioned};
use crate::error::{ApiError, Problems, Result};
use crate::fields::{Field, Kind, Mode, Object, Target, read};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::{Listing, Page};
use crate::prefetch;
use crate::query::Query;
use crate::view::group::{FIELDS, STUB, decorate};

/// What PATCH takes.
const CHANGES: &[Field] = &[
    Field::new("name", Kind::Text(FindingGroup::MAX_NAME)),
    Field::new("findings", Kind::Refs(Target::Finding)),
    Field::new("add_findings", Kind::Refs(Target::Finding)),
    Field::new("remove_findings", Kind::Refs(Target::Finding)),
    Field::new(PUSH, Kind::Bool),
];

/// What grouping a test by a mode takes.
const GROUPING: &[Field] = &[
    Field::new("group_by", Kind::Choice(GroupBy::NAMES)).required(),
    Field::new("create_finding_groups_for_all_findings", Kind::Bool),
];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let path = format!("{}/{{id}}", FindingGroup::PATH);
    let list = Operation::get(FindingGroup::PATH, "A page of the list")
        .query(catalog::parameters::<FindingGroup>())
        .answers(200, Answer::Page(FindingGroup::SCHEMA));
    routes.add(&list, self::list);
    let create = Operation::post(FindingGroup::PATH, "Make one of some findings of a test")
        .body("FindingGroupRequest")
        .answers(201, Answer::One(FindingGroup::SCHEMA));
    routes.add(&create, self::create);
    let get = Operation::get(&*path, "One of them").answers(200, Answer::One(FindingGroup::SCHEMA));
    routes.add(&get, self::get);
    let replace = Operation::put(
        &*path,
        "Give one a name and its findings; without findings it is removed (204)",
    )
    .body("FindingGroupRequest")
    .answers(200, Answer::One(FindingGroup::SCHEMA));
    routes.add(&replace, self::replace);
    let change = Operation::patch(
        &*path,
        "Rename one, put findings in or take them out; without findings it is removed (204)",
    )
    .body("FindingGroupChangeRequest")
    .answers(200, Answer::One(FindingGroup::SCHEMA));
    routes.add(&change, self::change);
    let dissolve =
        Operation::delete(path, "Dissolve one; its findings stay").answers(204, Answer::Empty);
    routes.add(&dissolve, self::dissolve);
    let group = Operation::post(
        "/api/v2/tests/{id}/group_findings",
        "Put all findings of a test that are in no group into groups",
    )
    .body("GroupFindingsRequest")
    .answers(200, Answer::One("GroupFindingsResult"));
    routes.add(&group, group_findings);
    routes.schemas(FindingGroup::SCHEMA, FIELDS);
    routes.prefetches(FindingGroup::PATH, FindingGroup::SCHEMA, FIELDS, &[]);
    routes.loads(FindingGroup::KIND, FindingGroup::SCHEMA, load);
    routes.schemas("FindingGroupStub", STUB);
    routes.schemas("FindingGroupChange", CHANGES);
    routes.schemas("GroupFindings", GROUPING);
    let whole = Kind::Integer(0, i64::MAX);
    let result = ["groups_created", "findings_grouped", "findings_skipped"];
    routes.schemas(
        "GroupFindingsResult",
        &result.map(|name| Field::answer(name, whole)),
    );
}

impl Resource for FindingGroup {
    const PATH: &'static str = "/api/v2/finding_groups";
    const SCHEMA: &'static str = "FindingGroup";
    const FIELDS: &'static [Field] = FIELDS;
    const FILTERS: &'static [Filter] = &[
        Filter::of("id", How::Ids),
        Filter::of("test", How::Ids),
        Filter::of("engagement", How::Ids),
        Filter::of("product", How::Ids),
        Filter::of("name", How::Contains),
        Filter {
            name: "name_exact",
            field: "name",
            how: How::Exact,
        },
        Filter::of("creator", How::Ids),
        Filter::of("import", How::Ids),
        Filter::of("created", How::Day),
        Filter::of("updated", How::Day),
    ];
    const PARENT: Option<(&'static str, &'static str)> = Some(("test", Test::KIND));
    const VIEW: Permission = Permission::ViewProducts;
    const ADD: Permission = Permission::EditFinding;
    const EDIT: Permission = Permission::EditFinding;

    fn fresh() -> Self {
        Self::default()
    }

    fn place(&self) -> Place {
        Place::Engagement(self.product, self.engagement)
    }
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    listing: Listing,
) -> Result<Json<Page<Object>>> {
    let (who, query) = (caller.clone(), listing.query.clone());
    let listed = catalog::list::<FindingGroup>(State(api.clone()), who, listing).await?;
    let Json(mut page) = listed;
    decorate(&api, page.results_mut()).await?;
    let results = page.results_mut();
    let along = prefetch::along(&api, &caller, &query, FIELDS, results).await?;
    Ok(Json(page.with_prefetch(along)))
}

async fn get(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<Versioned<Json<Object>>> {
    let group = permitted(&api, &caller, FindingGroup::VIEW, &id).await?;
    let Versioned(version, Json(view)) = versioned(&api, &group).await?;
    let view = catalog::with_prefetch::<FindingGroup>(&api, &caller, &query, view).await?;
    Ok(Versioned(version, Json(view)))
}

/// Reads groups that something points to.
fn load<'a>(
    api: &'a Api,
    caller: &'a Caller,
    ids: Vec<u64>,
) -> BoxFuture<'a, Result<Vec<(u64, Value)>>> {
    Box::pin(async move {
        let groups = prefetch::load::<FindingGroup>(api, caller, ids).await?;
        let (ids, views): (Vec<u64>, Vec<Value>) = groups.into_iter().unzip();
        let mut views: Vec<Object> = (views.into_iter())
            .filter_map(|view| match view {
                Value::Object(view) => Some(view),
                _ => None,
            })
            .collect();
        decorate(api, &mut views).await?;
        Ok(ids
            .into_iter()
            .zip(views.into_iter().map(Value::Object))
            .collect())
    })
}

async fn permitted(
    api: &Api,
    caller: &Caller,
    permission: Permission,
    id: &str,
) -> Result<FindingGroup> {
    let id = FindingGroupId(id_in_path(id)?);
    let group: FindingGroup = api.services.store.get(id).await?;
    caller.require(permission, group.place()).await?;
    Ok(group)
}

async fn versioned(api: &Api, group: &FindingGroup) -> Result<Versioned<Json<Object>>> {
    let mut views = [catalog::view(&api.services.store, group).await?];
    decorate(api, &mut views).await?;
    let [view] = views;
    Ok(Versioned(Version::of(group), Json(view)))
}

async fn create(State(api): State<Api>, caller: Caller, Body(body): Body) -> Result<Response> {
    let store = &api.services.store;
    let sent = match read(&body, FIELDS, Mode::Create) {
        Ok(sent) => sent,
        Err(problems) => {
            caller.require(FindingGroup::ADD, Place::Somewhere).await?;
            return Err(ApiError::Fields(problems));
        }
    };
    let test = TestId(sent["test"].as_u64().unwrap_or_default());
    let test: Test = match store.get(test).await {
        Err(error) if error.is_not_found() => {
            caller.require(FindingGroup::ADD, Place::Somewhere).await?;
            let message = format!("Invalid pk \"{test}\": there is no such object.");
            return Err(ApiError::field("test", message));
        }
        other => other?,
    };
    caller
        .require(FindingGroup::ADD, Place::from(&test))
        .await?;
    let ids = ids(&sent, "findings");
    if ids.is_empty() {
        let message = "A group has one finding at least.";
        return Err(ApiError::field("findings", message));
    }
    let findings = free(store, test.id, None, &[("findings", &ids)]).await?;
    let push = wants_push(&sent);
    if push {
        check_push(store, test.product, test.engagement, &findings).await?;
    }
    let now = Timestamp::now();
    let group = FindingGroup {
        name: sent["name"].as_str().unwrap_or_default().to_owned(),
        test: test.id,
        engagement: test.engagement,
        product: test.product,
        creator: Some(caller.0.user),
        created: now,
        updated: now,
        ..FindingGroup::default()
    };
    let (group, made) = store.find_or_create(group).await?;
    // one that is empty was left behind by somebody who didn't come to an end
    if !made && !members(store, &group).await?.is_empty() {
        return Err(taken(&group.name));
    }
    put(store, &group, &findings).await?;
    if members(store, &group).await?.is_empty() && store.remove_group(group.id, false).await? {
        // somebody put all of them elsewhere meanwhile
        return Err(StoreError::Contention(format!("findings of test {}", test.id)).into());
    }
    if push {
        push_group(store, group.id).await?;
    }
    let view = versioned(&api, &store.get(group.id).await?).await?;
    Ok((StatusCode::CREATED, view).into_response())
}

/// Is the group to be brought into JIRA?
fn wants_push(sent: &Object) -> bool {
    sent.get(PUSH).and_then(Value::as_bool) == Some(true)
}

/// Fails where a group of these findings may have no issue.
async fn check_push<'f>(
    store: &Store,
    product: ProductId,
    engagement: EngagementId,
    findings: impl IntoIterator<Item = &'f Finding>,
) -> Result<()> {
    let pushing = Pushing::read(store).await?;
    let project = pushing.project(product, engagement);
    project.map_err(pushing::refused)?;
    let mut why = None;
    for finding in findings {
        match pushing.check(finding) {
            Ok(()) => return Ok(()),
            Err(not) => why = Some(not),
        }
    }
    let why = why.unwrap_or_else(|| "It has no findings.".to_owned());
    Err(pushing::refused(why))
}

/// Asks that a group be brought into JIRA as one issue.
async fn push_group(store: &Store, id: FindingGroupId) -> Result<()> {
    let asked = store.change_with(id, |group: &mut FindingGroup| {
        group.jira_push = true;
        let work = pushing::work(group.product, JiraObject::FindingGroup(id));
        Ok::<_, ApiError>(Follows::from(work))
    });
    asked.await.map(drop)
}

fn taken(name: &str) -> ApiError {
    ApiError::field(
        "name",
        format!("The test has a finding group named \"{name}\" already."),
    )
}

async fn put(store: &Store, group: &FindingGroup, findings: &[Finding]) -> Result<()> {
    if findings.is_empty() || store.put_into_group(group, findings).await? {
        return Ok(());
    }
    Err(StoreError::Contention(format!("finding group {}", group.id)).into())
}

async fn replace(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
    Body(body): Body,
) -> Result<Response> {
    let group = permitted(&api, &caller, FindingGroup::EDIT, &id).await?;
    if_match.check(&Version::of(&group))?;
    let sent = read(&body, FIELDS, Mode::Replace).map_err(ApiError::Fields)?;
    write(&api, group, &if_match, &sent).await
}

async fn change(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
    Body(body): Body,
) -> Result<Response> {
    let group = permitted(&api, &caller, FindingGroup::EDIT, &id).await?;
    if_match.check(&Version::of(&group))?;
    let mut sent = read(&body, CHANGES, Mode::Change).map_err(ApiError::Fields)?;
    if sent.get("name").and_then(Value::as_str) == Some("") {
        return Err(ApiError::field("name", "This field may not be blank."));
    }
    // null is taken for nothing
    sent.retain(|_, value| !value.is_null());
    write(&api, group, &if_match, &sent).await
}

async fn write(
    api: &Api,
    group: FindingGroup,
    if_match: &IfMatch,
    sent: &Object,
) -> Result<Response> {
    let store = &api.services.store;
    let inside = members(store, &group).await?;
    let is_inside = |id: &FindingId| inside.iter().any(|finding| finding.id == *id);
    let mut add = ids(sent, "add_findings");
    let mut remove = ids(sent, "remove_findings");
    if let Some(absent) = remove.iter().find(|id| !is_inside(id)) {
        let message = format!("Finding {absent} is not in this group.");
        return Err(ApiError::field("remove_findings", message));
    }
    if let Some(both) = add.iter().find(|id| remove.contains(id)) {
        let message = format!("Finding {both} is to be put in and taken out.");
        return Err(ApiError::field("remove_findings", message));
    }
    add.retain(|id| !is_inside(id));
    let mut whole = BTreeSet::new();
    if sent.contains_key("findings") {
        whole = ids(sent, "findings");
        let gone = inside.iter().map(|finding| finding.id);
        remove.extend(gone.filter(|id| !whole.contains(id) && !add.contains(id)));
        whole.retain(|id| !is_inside(id) && !remove.contains(id));
    }
    let asked = [("findings", &whole), ("add_findings", &add)];
    let new = free(store, group.test, Some(group.id), &asked).await?;
    let push = wants_push(sent);
    if push {
        let stay = inside
            .iter()
            .filter(|finding| !remove.contains(&finding.id));
        let all = stay.chain(&new);
        check_push(store, group.product, group.engagement, all).await?;
    }
    // Whoever says what it writes over writes the group first, so that of two at once one is refused.
    let name = sent.get("name").and_then(Value::as_str);
    if name.is_some() || if_match.is_set() {
        let renamed = edit::<FindingGroup>(store, group.id, |group| {
            if_match.check(&Version::of(group))?;
            let new = name.filter(|name| *name != group.name);
            if let Some(name) = new {
                name.clone_into(&mut group.name);
            }
            if new.is_some() || if_match.is_set() {
                group.updated = Timestamp::now();
            }
            Ok(())
        });
        renamed.await?;
    }
    put(store, &group, &new).await?;
    let gone: Vec<Finding> = (inside.into_iter())
        .filter(|finding| remove.contains(&finding.id))
        .collect();
    if !gone.is_empty() {
        store
            .take_out_of_groups(group.product, group.test, &gone)
            .await?;
        if store.remove_group(group.id, false).await? {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
    }
    if push {
        push_group(store, group.id).await?;
    }
    let group: FindingGroup = store.get(group.id).await?;
    Ok(versioned(api, &group).await?.into_response())
}

async fn dissolve(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
) -> Result<StatusCode> {
    let group = permitted(&api, &caller, FindingGroup::EDIT, &id).await?;
    let wanted = |group: &FindingGroup| if_match.check(&Version::of(group));
    let store = &api.services.store;
    store.remove_group_if(group.id, true, wanted).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn group_findings(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Body(body): Body,
) -> Result<Json<Value>> {
    let store = &api.services.store;
    let test: Test = store.get(TestId(id_in_path(&id)?)).await?;
    caller.require(FindingGroup::ADD, test.place()).await?;
    let sent = read(&body, GROUPING, Mode::Create).map_err(ApiError::Fields)?;
    let by = sent["group_by"].as_str().and_then(GroupBy::parse);
    let by = by.ok_or_else(|| ApiError::field("group_by", "This field is required."))?;
    let singles = sent.get("create_finding_groups_for_all_findings");
    let grouping = Grouping {
        test: &test,
        by,
        singles: singles.and_then(Value::as_bool).unwrap_or(true),
        findings: None,
        creator: Some(caller.0.user),
        import: None,
    };
    let done = store.group_findings(&grouping).await?;
    Ok(Json(json!({
        "groups_created": done.created,
        "findings_grouped": done.findings,
        "findings_skipped": done.skipped,
    })))
}

/// The ids that were sent under a name.
fn ids(sent: &Object, name: &str) -> BTreeSet<FindingId> {
    let ids = sent.get(name).and_then(Value::as_array);
    let ids = ids.into_iter().flatten().filter_map(Value::as_u64);
    ids.map(FindingId).collect()
}

/// The findings of a group, as they are stored now.
async fn members(store: &Store, group: &FindingGroup) -> Result<Vec<Finding>> {
    let mut members = Vec::new();
    let see = |finding: &Arc<Finding>| {
        if finding.group == Some(group.id) {
            members.push(Finding::clone(finding));
        }
    };
    let all = Sight::Test(group.product, group.test);
    store.visit(all, see).await?;
    Ok(members)
}

/// The findings with the ids that were sent under some names, if all of them are the test's and in no
/// other group.
async fn free(
    store: &Store,
    test: TestId,
    group: Option<FindingGroupId>,
    asked: &[(&str, &BTreeSet<FindingId>)],
) -> Result<Vec<Finding>> {
    let all = asked.iter().flat_map(|(_, ids)| ids.iter().copied());
    let findings = store.findings(all).await?;
    let others = findings.iter().filter_map(|finding| finding.group);
    let others: Vec<FindingGroup> = store.get_all(others).await?;
    let mut problems = Problems::default();
    for (name, id) in asked
        .iter()
        .flat_map(|(name, ids)| ids.iter().map(move |id| (name, id)))
    {
        let Some(finding) = findings.iter().find(|finding| finding.id == *id) else {
            problems.add(
                name,
                format!("Invalid pk \"{id}\": there is no such object."),
            );
            continue;
        };
        let other = (others.iter())
            .find(|other| finding.group == Some(other.id) && Some(other.id) != group);
        if finding.test != test {
            let theirs = finding.test;
            problems.add(
                name,
                format!("Finding {id} belongs to test {theirs}, the group to test {test}."),
            );
        } else if let Some(other) = other {
            problems.add(
                name,
                format!(
                    "Finding {id} is in finding group {} (\"{}\") already; take it out first.",
                    other.id, other.name
                ),
            );
        }
    }
    problems.into_result()?;
    Ok(findings)
}
