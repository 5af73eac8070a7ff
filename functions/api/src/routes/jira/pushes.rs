//! Orders to bring several things into JIRA at once, and what became of them.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{
    Engagement, Finding, FindingGroup, FindingId, JiraObject, JiraPush, JiraPushResult, OutboxWork,
};
use tatami_store::{Entity as _, Follows, Store};

use super::pushing::Pushing;
use crate::Api;
use crate::auth::Caller;
use crate::body::Body;
use crate::error::{ApiError, Problems, Result};
use crate::fields::{Field, Kind, Mode, Object, Target, read};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::{Listing, Page};
use crate::routes::catalog::{Resource as _, id_in_path};
use crate::routes::findings::bulk::read_filter;
use crate::routes::findings::{filter, selected};

const PATH: &str = "/api/v2/jira_pushes";
const SCHEMA: &str = "JIRAPush";
/// So many things an order names at most: what becomes of them is kept in one document.
const MOST: usize = 1_000;

const REQUEST: &[Field] = &[
    Field::new("findings", Kind::Refs(Target::Finding)),
    Field::new(
        "finding_groups",
        Kind::Refs(Target::Record(FindingGroup::KIND)),
    ),
    Field::new("engagements", Kind::Refs(Target::Engagement)),
    Field::new("priority", Kind::Text(200)).nullable(),
    Field::new("assignee", Kind::Text(200)).nullable(),
    Field::new("comment", Kind::Text(10_000)).nullable(),
];

const FIELDS: &[Field] = &[
    Field::answer("id", Kind::Ref(Target::Unknown)),
    Field::answer("by", Kind::Ref(Target::User)).nullable(),
    Field::answer("created", Kind::DateTime),
    Field::answer("finished", Kind::DateTime).nullable(),
    Field::answer("priority", Kind::Text(0)).nullable(),
    Field::answer("assignee", Kind::Text(0)).nullable(),
    Field::answer("comment", Kind::Text(0)).nullable(),
    Field::answer("results", Kind::Other("JIRAPushResult", true)),
];

const RESULT: &[Field] = &[
    Field::answer(
        "model",
        Kind::Choice(&["finding", "finding_group", "engagement"]),
    ),
    Field::answer("id", Kind::Ref(Target::Unknown)),
    Field::answer("done", Kind::Bool),
    Field::answer("jira_key", Kind::Text(0)).nullable(),
    Field::answer("error", Kind::Text(0)).nullable(),
];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let create = Operation::post(
        PATH,
        "Bring findings, finding groups and engagements into JIRA, or up to date there",
    )
    .body("JIRAPushRequest")
    .answers(202, Answer::One(SCHEMA));
    routes.add(&create, self::create);
    let list = Operation::get(
        PATH,
        "The caller's orders, latest first; all of them for administrators",
    )
    .answers(200, Answer::Page(SCHEMA));
    routes.add(&list, self::list);
    let get = Operation::get(
        format!("{PATH}/{{id}}"),
        "What has become of an order so far",
    )
    .answers(200, Answer::One(SCHEMA));
    routes.add(&get, self::get);
    routes.schemas(SCHEMA, FIELDS);
    routes.schemas("JIRAPushResult", RESULT);
    let mut properties: Object = (REQUEST.iter())
        .map(|field| (field.name.to_owned(), field.schema()))
        .collect();
    properties.insert("filter".into(), filter::schema());
    let schema = json!({"type": "object", "properties": properties});
    routes.schema("JIRAPushRequest", schema);
}

/// What an order wants for each thing.
#[derive(Debug, Default)]
pub struct Order {
    /// A priority in the place of that of the severity.
    pub priority: Option<String>,
    /// An assignee in the place of the project's.
    pub assignee: Option<String>,
    /// A comment on each.
    pub comment: Option<String>,
    /// The name of an epic.
    pub summary: Option<String>,
}

/// Something that is to go into JIRA, or why it may not.
type Item = (JiraObject, Result<(), String>);

/// Gives an order for some things, and says which it is. What may not go there is done with at once.
pub async fn order(
    api: &Api,
    caller: &Caller,
    order: Order,
    items: Vec<Item>,
    now: Timestamp,
) -> Result<JiraPush> {
    let results: Vec<JiraPushResult> = (items.into_iter())
        .map(|(object, may)| JiraPushResult {
            object,
            done: may.is_err(),
            jira_key: None,
            error: may.err(),
        })
        .collect();
    let finished = results.iter().all(|result| result.done).then_some(now);
    let push = JiraPush {
        id: 0.into(),
        by: Some(caller.0.user),
        created: now,
        finished,
        priority: order.priority,
        assignee: order.assignee,
        comment: order.comment,
        summary: order.summary,
        results,
    };
    let follows = |push: &JiraPush| match push.finished {
        Some(_) => Follows::default(),
        None => OutboxWork::JiraPush(push.id).into(),
    };
    Ok(api.services.store.create_with(push, follows).await?)
}

async fn create(
    State(api): State<Api>,
    caller: Caller,
    Body(body): Body,
) -> Result<(StatusCode, Json<Value>)> {
    let sent = read(&body, REQUEST, Mode::Change).map_err(ApiError::Fields);
    let items = match sent {
        Ok(sent) => named(&api, &caller, &body, &sent)
            .await
            .map(|items| (sent, items)),
        Err(error) => Err(error),
    };
    let (sent, items) = match items {
        Ok(read) => read,
        Err(error) => {
            let anywhere = Place::Somewhere;
            caller.require(Permission::EditFinding, anywhere).await?;
            return Err(error);
        }
    };
    let text = |name: &str| {
        let text = sent.get(name).and_then(Value::as_str);
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let wish = Order {
        priority: text("priority"),
        assignee: text("assignee"),
        comment: text("comment"),
        summary: None,
    };
    let push = order(&api, &caller, wish, items, Timestamp::now()).await?;
    Ok((StatusCode::ACCEPTED, Json(view(&push))))
}

/// What an order names, each once, if the caller may change all of it.
async fn named(api: &Api, caller: &Caller, body: &Object, sent: &Object) -> Result<Vec<Item>> {
    let store = &api.services.store;
    let ids = |name: &str| -> BTreeSet<u64> {
        let ids = sent.get(name).and_then(Value::as_array);
        ids.into_iter()
            .flatten()
            .filter_map(Value::as_u64)
            .collect()
    };
    let (findings, groups) = (ids("findings"), ids("finding_groups"));
    let engagements = ids("engagements");
    let mut problems = Problems::default();
    let mut missing = |name: &str, wanted: &BTreeSet<u64>, found: &BTreeSet<u64>| {
        for id in wanted.difference(found) {
            problems.add(
                name,
                format!("Invalid pk \"{id}\": there is no such object."),
            );
        }
    };
    let mut all: Vec<Finding> = store
        .findings(findings.iter().copied().map(FindingId))
        .await?;
    missing("findings", &findings, &all.iter().map(|f| f.id.0).collect());
    let groups_found: Vec<FindingGroup> = by_ids(store, &groups).await?;
    let found = groups_found.iter().map(|group| group.id.0).collect();
    missing("finding_groups", &groups, &found);
    let engagements_found: Vec<Engagement> = by_ids(store, &engagements).await?;
    let found = engagements_found.iter().map(|one| one.id.0).collect();
    missing("engagements", &engagements, &found);
    problems.into_result()?;
    if let Some(filter) = body.get("filter").filter(|filter| !filter.is_null()) {
        let query = read_filter(filter)?;
        let more = selected(api, caller, &query).await?;
        let more = more
            .iter()
            .filter(|finding| !findings.contains(&finding.id.0));
        all.extend(more.map(|finding| Finding::clone(finding)));
    }
    all.sort_unstable_by_key(|finding| finding.id);
    let n = all.len() + groups_found.len() + engagements_found.len();
    if n == 0 || n > MOST {
        let message = format!("An order is for 1 to {MOST} things; this one is for {n}.");
        return Err(ApiError::field("findings", message));
    }
    let mut places = BTreeSet::new();
    for finding in &all {
        if places.insert((finding.product, finding.engagement)) {
            let place = Place::from(finding);
            caller.require(Permission::EditFinding, place).await?;
        }
    }
    for group in &groups_found {
        caller
            .require(Permission::EditFinding, group.place())
            .await?;
    }
    for engagement in &engagements_found {
        let place = engagement.place();
        caller.require(Permission::EditEngagement, place).await?;
    }
    let pushing = Pushing::read(store).await?;
    let finding = |finding: &Finding| (JiraObject::Finding(finding.id), pushing.check(finding));
    let group = |group: &FindingGroup| {
        let may = pushing.project(group.product, group.engagement);
        (JiraObject::FindingGroup(group.id), may.map(drop))
    };
    let engagement = |one: &Engagement| {
        let may = pushing.project(one.product, one.id);
        let may = may.and_then(|project| {
            let epics = project.enable_engagement_epic_mapping;
            epics.then_some(()).ok_or_else(|| {
                "Engagements have no epics there (enable_engagement_epic_mapping).".to_owned()
            })
        });
        (JiraObject::Engagement(one.id), may)
    };
    let mut items: Vec<Item> = all.iter().map(finding).collect();
    items.extend(groups_found.iter().map(group));
    items.extend(engagements_found.iter().map(engagement));
    Ok(items)
}

async fn by_ids<T: tatami_store::Entity>(store: &Store, ids: &BTreeSet<u64>) -> Result<Vec<T>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    Ok(store.get_all(ids.iter().copied().map(T::Id::from)).await?)
}

fn view(push: &JiraPush) -> Value {
    let result = |result: &JiraPushResult| {
        let (model, id) = match result.object {
            JiraObject::Finding(id) => ("finding", id.0),
            JiraObject::FindingGroup(id) => ("finding_group", id.0),
            JiraObject::Engagement(id) => ("engagement", id.0),
        };
        json!({
            "model": model, "id": id, "done": result.done,
            "jira_key": result.jira_key, "error": result.error,
        })
    };
    json!({
        "id": push.id,
        "by": push.by,
        "created": push.created,
        "finished": push.finished,
        "priority": push.priority,
        "assignee": push.assignee,
        "comment": push.comment,
        "results": push.results.iter().map(result).collect::<Vec<Value>>(),
    })
}

/// May they see whatever was ordered?
async fn sees_all(caller: &Caller) -> Result<bool> {
    let held = caller.held(Place::Everywhere).await?;
    Ok(held.contains(Permission::ManageCommon))
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    listing: Listing,
) -> Result<Json<Page<Value>>> {
    let all = sees_all(&caller).await?;
    let mut pushes: Vec<JiraPush> = api.services.store.list().await?;
    pushes.retain(|push| all || push.by == Some(caller.0.user));
    Ok(Json(listing.cut(pushes.iter().rev().map(view).collect())))
}

async fn get(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>> {
    let push: JiraPush = api.services.store.get(id_in_path(&id)?.into()).await?;
    if push.by != Some(caller.0.user) && !sees_all(&caller).await? {
        return Err(ApiError::not_found());
    }
    Ok(Json(view(&push)))
}
