//! How the endpoints of findings are. Where nobody has said anything of an endpoint itself, it is as its
//! finding is; so nothing is stored before somebody does.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{
    EndpointId, EndpointStatus, Finding, FindingId, ProductId, StatusPlace, User, UserId,
};
use tatami_store::{EndpointBook, Sight, Store};

use super::RELATIONSHIPS;
use crate::Api;
use crate::auth::Caller;
use crate::body::Body;
use crate::conditional::{IfMatch, Version, Versioned};
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Mode, Object, Target, read};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::{Cut, Listing, Page, ordering};
use crate::query::Query;
use crate::routes::catalog::{Columns, check_references, id_in_path};
use crate::routes::findings::write::change as change_finding;

const PATH: &str = "/api/v2/endpoint_status";
const NAMES: &[&str] = &[
    "Active",
    "Mitigated",
    "FalsePositive",
    "RiskAccepted",
    "OutOfScope",
];

const FIELDS: &[Field] = &[
    Field::answer("id", Kind::Ref(Target::Unknown)),
    Field::new("date", Kind::Date),
    Field::new("last_modified", Kind::DateTime),
    Field::new("mitigated", Kind::Bool),
    Field::new("mitigated_time", Kind::DateTime).nullable(),
    Field::new("mitigated_by", Kind::Ref(Target::User)).nullable(),
    Field::new("false_positive", Kind::Bool),
    Field::new("out_of_scope", Kind::Bool),
    Field::new("risk_accepted", Kind::Bool),
    Field::new("endpoint", Kind::Ref(Target::Unknown))
        .required()
        .fixed(),
    Field::answer("location_id", Kind::Ref(Target::Unknown)),
    Field::answer("created", Kind::DateTime).nullable(),
    Field::answer("updated", Kind::DateTime).nullable(),
    Field::answer("relationship", Kind::Choice(RELATIONSHIPS)),
    Field::answer("relationship_data", Kind::Other("", false)),
    Field::answer("audit_time", Kind::DateTime).nullable(),
    Field::answer("status", Kind::Choice(NAMES)),
    Field::new("finding", Kind::Ref(Target::Finding))
        .required()
        .fixed(),
    Field::answer("auditor", Kind::Ref(Target::User)).nullable(),
];

const FILTERS: &[Field] = &[
    Field::new("endpoint", Kind::Refs(Target::Unknown)),
    Field::new("finding", Kind::Refs(Target::Finding)),
    Field::new("mitigated", Kind::Bool),
    Field::new("mitigated_by", Kind::Text(0)),
    Field::new("false_positive", Kind::Bool),
    Field::new("out_of_scope", Kind::Bool),
    Field::new("risk_accepted", Kind::Bool),
    Field::new("o", Kind::Texts),
];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let list = Operation::get(PATH, "A page of the endpoints of findings")
        .query(FILTERS.iter().copied())
        .answers(200, Answer::Page("EndpointStatus"));
    routes.add(&list, self::list);
    let create = Operation::post(PATH, "Give a finding an endpoint")
        .body("EndpointStatusRequest")
        .answers(201, Answer::One("EndpointStatus"));
    routes.add(&create, self::create);
    let one = format!("{PATH}/{{id}}");
    let get = Operation::get(&*one, "One of them").answers(200, Answer::One("EndpointStatus"));
    routes.add(&get, self::get);
    let replace = Operation::put(&*one, "Replace one")
        .body("EndpointStatusRequest")
        .answers(200, Answer::One("EndpointStatus"));
    routes.add(&replace, write);
    let change = Operation::patch(&*one, "Change some of its fields")
        .body("PatchedEndpointStatusRequest")
        .answers(200, Answer::One("EndpointStatus"));
    routes.add(&change, write);
    let delete =
        Operation::delete(&*one, "Take the endpoint off the finding").answers(204, Answer::Empty);
    routes.add(&delete, self::delete);
    let preview = Operation::get(
        format!("{one}/delete_preview"),
        "What would be deleted with it",
    )
    .answers(200, Answer::Page("DeletePreview"));
    routes.add(&preview, delete_preview);
    routes.schemas("EndpointStatus", FIELDS);
}

fn view(place: StatusPlace, status: &EndpointStatus, created: Timestamp) -> Object {
    let fields = [
        ("id", json!(place.id())),
        ("date", json!(status.date)),
        ("last_modified", json!(status.last_modified)),
        ("mitigated", json!(status.mitigated)),
        ("mitigated_time", json!(status.mitigated_time)),
        ("mitigated_by", json!(status.mitigated_by)),
        ("false_positive", json!(status.false_positive)),
        ("out_of_scope", json!(status.out_of_scope)),
        ("risk_accepted", json!(status.risk_accepted)),
        ("endpoint", json!(status.endpoint)),
        ("location_id", json!(status.endpoint)),
        ("created", json!(created)),
        ("updated", json!(status.last_modified)),
        ("relationship", json!("")),
        ("relationship_data", json!({})),
        ("audit_time", json!(status.mitigated_time)),
        ("status", json!(status.name())),
        ("finding", json!(status.finding)),
        ("auditor", json!(status.mitigated_by)),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), value));
    fields.into_iter().collect()
}

type Pass<'q> = Box<dyn Fn(&EndpointStatus) -> bool + Send + Sync + 'q>;

async fn filters<'q>(store: &Store, query: &'q Query) -> Result<Vec<Pass<'q>>> {
    type Flag = fn(&EndpointStatus) -> bool;
    let mut filters: Vec<Pass<'q>> = Vec::new();
    let flags: [(&str, Flag); 4] = [
        ("mitigated", |status| status.mitigated),
        ("false_positive", |status| status.false_positive),
        ("out_of_scope", |status| status.out_of_scope),
        ("risk_accepted", |status| status.risk_accepted),
    ];
    for (name, flag) in flags {
        if let Some(wanted) = query.boolean(name)? {
            filters.push(Box::new(move |status| flag(status) == wanted));
        }
    }
    let endpoints = query.ids("endpoint")?;
    if !endpoints.is_empty() {
        filters.push(Box::new(move |status| {
            endpoints.contains(&status.endpoint.0)
        }));
    }
    if let Some(who) = query.get("mitigated_by").map(str::trim) {
        // by id or by name
        let by = match who.parse() {
            Ok(id) => Some(UserId(id)),
            Err(_) => store.find::<User>(who).await?.map(|user| user.id),
        };
        filters.push(Box::new(move |status| {
            by.is_some() && status.mitigated_by == by
        }));
    }
    Ok(filters)
}

/// What there is of a product: its endpoints, and what people said of them.
struct Known {
    book: Arc<EndpointBook>,
    said: HashMap<StatusPlace, EndpointStatus>,
}

impl Known {
    async fn load(store: &Store, product: ProductId) -> Result<Self> {
        let (book, said) =
            tokio::try_join!(store.endpoints(product), store.endpoint_statuses(product))?;
        Ok(Self { book, said })
    }

    /// The endpoints of a finding with how they are, without those that were deleted.
    fn of<'k>(
        &'k self,
        finding: &'k Finding,
    ) -> impl Iterator<Item = (StatusPlace, EndpointStatus)> + 'k {
        let places = finding.endpoints_with_places();
        let there = places.filter(|(_, id)| self.book.get(*id).is_some());
        there.map(|(place, id)| {
            // what was said of another that had this place doesn't count
            let said = self.said.get(&place).filter(|said| said.endpoint == id);
            let status = said.cloned();
            (
                place,
                status.unwrap_or_else(|| EndpointStatus::of(finding, id)),
            )
        })
    }
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    listing: Listing,
) -> Result<Json<Page<Object>>> {
    let store = &api.services.store;
    let query = &listing.query;
    let visible = caller.visible(Permission::ViewProducts).await?;
    let mut products = store.products_with_endpoints().await?;
    if let Some(seen) = visible.products() {
        products.retain(|product| seen.contains(product));
    }
    let findings: Vec<FindingId> = query.ids("finding")?.into_iter().map(FindingId).collect();
    let some = store.findings(findings.iter().copied()).await?;
    if !findings.is_empty() {
        products.retain(|product| some.iter().any(|finding| finding.product == *product));
    }
    let mut known = BTreeMap::new();
    for product in &products {
        known.insert(*product, Known::load(store, *product).await?);
    }
    let filters = filters(store, query).await?;
    let shown = |name: &str| FIELDS.iter().any(|field| field.name == name);
    let columns = ordering(query, shown)?;
    let columns = Columns(columns);
    let mut cut = Cut::new(&listing, &columns)?;
    let mut see = |finding: &Finding| {
        let Some(known) = known.get(&finding.product) else {
            return;
        };
        if !visible.sees(Place::from(finding)) {
            return;
        }
        for (place, status) in known.of(finding) {
            if filters.iter().all(|pass| pass(&status)) {
                cut.push(view(place, &status, finding.created));
            }
        }
    };
    if findings.is_empty() {
        if !products.is_empty() {
            let sight = Sight::Products(&products);
            store.visit(sight, |finding| see(finding)).await?;
        }
    } else {
        some.iter().for_each(&mut see);
    }
    let (links, page) = cut.page();
    Ok(Json(Page::new(links, page)))
}

/// An endpoint of a finding with how it is.
struct Found {
    finding: Finding,
    place: StatusPlace,
    status: EndpointStatus,
}

impl Found {
    fn version(&self) -> Version {
        Version::of(&self.status)
    }

    fn answer(&self) -> Versioned<Json<Object>> {
        let view = view(self.place, &self.status, self.finding.created);
        Versioned(self.version(), Json(view))
    }
}

/// The one of a path, where the caller has the permission.
async fn permitted(api: &Api, caller: &Caller, permission: Permission, id: &str) -> Result<Found> {
    let store = &api.services.store;
    let wanted = StatusPlace::of_id(id_in_path(id)?);
    let finding = store.finding(wanted.finding).await?;
    caller.require(permission, Place::from(&finding)).await?;
    let known = Known::load(store, finding.product).await?;
    let found = known.of(&finding).find(|(place, _)| *place == wanted);
    let (place, status) = found.ok_or_else(ApiError::not_found)?;
    Ok(Found {
        finding,
        place,
        status,
    })
}

async fn get(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Versioned<Json<Object>>> {
    let found = permitted(&api, &caller, Permission::ViewProducts, &id).await?;
    Ok(found.answer())
}

/// Those of a finding, by their ids.
fn ids(finding: &Finding) -> Vec<EndpointId> {
    finding.endpoints_with_places().map(|(_, id)| id).collect()
}

/// Gives a finding these endpoints and no others.
async fn set_endpoints(
    api: &Api,
    caller: &Caller,
    finding: Finding,
    ids: &[EndpointId],
) -> Result<Finding> {
    let sent = Object::from_iter([("endpoints".to_owned(), json!(ids))]);
    change_finding(api, caller.0.user, finding, &sent, None).await
}

async fn create(
    State(api): State<Api>,
    caller: Caller,
    Body(body): Body,
) -> Result<(StatusCode, Versioned<Json<Object>>)> {
    const ADD: Permission = Permission::EditFinding;
    let store = &api.services.store;
    let sent = match read(&body, FIELDS, Mode::Create) {
        Ok(sent) => sent,
        Err(problems) => {
            // whoever may make none at all learns nothing of the fields
            caller.require(ADD, Place::Somewhere).await?;
            return Err(ApiError::Fields(problems));
        }
    };
    let id = |name: &str| sent[name].as_u64().unwrap_or_default();
    let finding = match store.finding(FindingId(id("finding"))).await {
        Err(error) if error.is_not_found() => {
            caller.require(ADD, Place::Somewhere).await?;
            let message = format!("Invalid pk \"{}\": there is no such object.", id("finding"));
            return Err(ApiError::field("finding", message));
        }
        found => found?,
    };
    caller.require(ADD, Place::from(&finding)).await?;
    check_references(store, FIELDS, &sent).await?;
    let endpoint = EndpointId(id("endpoint"));
    let mut all = ids(&finding);
    if all.contains(&endpoint) {
        return Err(ApiError::field(
            "non_field_errors",
            "This endpoint finding relation already exists.",
        ));
    }
    all.push(endpoint);
    let added = set_endpoints(&api, &caller, finding, &all).await;
    let finding = added.map_err(|error| match error {
        ApiError::Fields(problems) => ApiError::Fields(problems.renamed("endpoints", "endpoint")),
        other => other,
    })?;
    let place = finding
        .endpoints_with_places()
        .find(|(_, id)| *id == endpoint);
    let (place, _) = place.ok_or_else(ApiError::not_found)?;
    let found = Found {
        status: EndpointStatus::of(&finding, endpoint),
        finding,
        place,
    };
    let found = say(&api, &caller, found, &IfMatch::default(), &sent).await?;
    Ok((StatusCode::CREATED, found.answer()))
}

async fn write(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
    mode: Mode,
    Body(body): Body,
) -> Result<Versioned<Json<Object>>> {
    let found = permitted(&api, &caller, Permission::EditFinding, &id).await?;
    if_match.check(&found.version())?;
    let sent = read(&body, FIELDS, mode).map_err(ApiError::Fields)?;
    check_references(&api.services.store, FIELDS, &sent).await?;
    Ok(say(&api, &caller, found, &if_match, &sent).await?.answer())
}

/// Keeps what was sent of an endpoint.
async fn say(
    api: &Api,
    caller: &Caller,
    mut found: Found,
    if_match: &IfMatch,
    sent: &Object,
) -> Result<Found> {
    let says = |field: &&Field| !field.fixed && sent.contains_key(field.name);
    if !FIELDS.iter().any(|field| says(&field)) {
        return Ok(found);
    }
    let now = Timestamp::now();
    let by = caller.0.user;
    let product = found.finding.product;
    let change =
        api.services
            .store
            .change_endpoint_status(product, found.place, &found.status, |status| {
                if_match.check(&Version::of(status))?;
                apply(status, sent, by, now);
                Ok::<_, ApiError>(())
            });
    found.status = change.await?;
    Ok(found)
}

fn typed<T: DeserializeOwned>(sent: &Object, name: &str) -> Option<T> {
    serde_json::from_value(sent.get(name)?.clone()).ok()
}

fn apply(status: &mut EndpointStatus, sent: &Object, by: UserId, now: Timestamp) {
    let flag = |name: &str, old: bool| typed(sent, name).unwrap_or(old);
    let mitigated = flag("mitigated", status.mitigated);
    if mitigated != status.mitigated {
        status.mitigated = mitigated;
        status.mitigated_time = mitigated.then_some(now);
        status.mitigated_by = mitigated.then_some(by);
    }
    status.false_positive = flag("false_positive", status.false_positive);
    status.out_of_scope = flag("out_of_scope", status.out_of_scope);
    status.risk_accepted = flag("risk_accepted", status.risk_accepted);
    status.date = typed(sent, "date").unwrap_or(status.date);
    status.last_modified = typed(sent, "last_modified").unwrap_or(now);
    if sent.contains_key("mitigated_time") {
        status.mitigated_time = typed(sent, "mitigated_time");
    }
    if sent.contains_key("mitigated_by") {
        status.mitigated_by = typed(sent, "mitigated_by");
    }
}

async fn delete(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
) -> Result<StatusCode> {
    let found = permitted(&api, &caller, Permission::EditFinding, &id).await?;
    if_match.check(&found.version())?;
    let mut left = ids(&found.finding);
    left.retain(|id| *id != found.status.endpoint);
    let finding = set_endpoints(&api, &caller, found.finding, &left).await?;
    let store = &api.services.store;
    store
        .forget_endpoint_statuses(finding.product, finding.id, Some(found.place))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn delete_preview(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    listing: Listing,
) -> Result<Json<Page<Value>>> {
    let found = permitted(&api, &caller, Permission::ViewProducts, &id).await?;
    let name = format!(
        "Endpoint {} in {}",
        found.status.endpoint, found.finding.title
    );
    let gone = json!({"model": "Endpoint_Status", "id": found.place.id(), "name": name});
    Ok(Json(listing.cut(vec![gone])))
}
