//! The endpoints of products. What they are in findings is in `status`, the import of what is known of
//! them in `meta`.

mod meta;
mod status;

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv6Addr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{Endpoint, EndpointId, Finding, Product, ProductId};
use tatami_store::{EndpointBook, EndpointChange, EndpointRecord, Sight, Store, StoreError};

use super::catalog::{Filter, How, id_in_path, select};
use super::records::metadata;
use crate::Api;
use crate::auth::{Caller, Visible};
use crate::body::Body;
use crate::conditional::{IfMatch, Version, Versioned};
use crate::error::{ApiError, Problems, Result};
use crate::fields::{Field, Kind, Mode, Object, Target, read};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::{Listing, Page};
use crate::query::Query;

const PATH: &str = "/api/v2/endpoints";
const COUNT: &str = "active_finding_count";
const RELATIONSHIPS: &[&str] = &["owned_by", "used_by", ""];

const FIELDS: &[Field] = &[
    Field::answer("id", Kind::Ref(Target::Unknown)),
    Field::new("protocol", Kind::Text(20)),
    Field::new("userinfo", Kind::Text(500)),
    Field::new("host", Kind::Text(500)).required(),
    Field::new("port", Kind::Integer(0, 65_535)).nullable(),
    Field::new("path", Kind::Text(500)),
    Field::new("query", Kind::Text(1000)),
    Field::new("fragment", Kind::Text(500)),
    Field::new("tags", Kind::Texts),
    Field::answer("location_id", Kind::Ref(Target::Unknown)),
    Field::answer(COUNT, Kind::Integer(0, i64::MAX)),
    Field::answer("created", Kind::DateTime).nullable(),
    Field::answer("updated", Kind::DateTime).nullable(),
    Field::answer("relationship", Kind::Choice(RELATIONSHIPS)),
    Field::answer("relationship_data", Kind::Other("", false)),
    Field::answer("status", Kind::Choice(&["Active", "Mitigated"])),
    Field::new("product", Kind::Ref(Target::Product))
        .required()
        .fixed(),
];

const FILTERS: &[Filter] = &[
    Filter::of("id", How::Ids),
    Filter::on("location_id", "id", How::Ids),
    Filter::of("protocol", How::Exact),
    Filter::of("userinfo", How::Exact),
    Filter::of("host", How::AnyCase),
    Filter::of("port", How::Ids),
    Filter::of("path", How::Exact),
    Filter::of("query", How::Exact),
    Filter::of("fragment", How::Exact),
    Filter::of("product", How::Ids),
    Filter::TAGS[0],
    Filter::TAGS[1],
    Filter::TAGS[2],
    Filter::TAGS[3],
    Filter::TAGS[4],
    Filter::TAGS[5],
];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let list = Operation::get(PATH, "A page of the list")
        .query(FILTERS.iter().map(Filter::parameter))
        .query([Field::new("o", Kind::Texts)])
        .answers(200, Answer::Page("Endpoint"));
    routes.add(&list, self::list);
    let create = Operation::post(PATH, "Make one")
        .body("EndpointRequest")
        .answers(201, Answer::One("Endpoint"));
    routes.add(&create, self::create);
    let one = format!("{PATH}/{{id}}");
    let get = Operation::get(&*one, "One of them").answers(200, Answer::One("Endpoint"));
    routes.add(&get, self::get);
    let replace = Operation::put(&*one, "Replace one")
        .body("EndpointRequest")
        .answers(200, Answer::One("Endpoint"));
    routes.add(&replace, write);
    let change = Operation::patch(&*one, "Change some of its fields")
        .body("PatchedEndpointRequest")
        .answers(200, Answer::One("Endpoint"));
    routes.add(&change, write);
    let delete = Operation::delete(&*one, "Delete one; findings have it no longer")
        .answers(204, Answer::Empty);
    routes.add(&delete, self::delete);
    let preview = Operation::get(
        format!("{one}/delete_preview"),
        "What would be deleted with it",
    )
    .answers(200, Answer::Page("DeletePreview"));
    routes.add(&preview, delete_preview);
    routes.schemas("Endpoint", FIELDS);
    status::add(routes);
    meta::add(routes);
}

/// The products with endpoints that can be seen, of those that a query names; with their books.
async fn books(
    store: &Store,
    visible: &Visible,
    query: &Query,
) -> Result<BTreeMap<ProductId, Arc<EndpointBook>>> {
    let mut products = store.products_with_endpoints().await?;
    let wanted = query.ids("product")?;
    products.retain(|product| wanted.is_empty() || wanted.contains(&product.0));
    // those that are gone take their endpoints with them
    let products: Vec<Product> = store.get_all(products).await?;
    let mut books = BTreeMap::new();
    for product in products {
        if visible.sees(Place::Product(product.id)) {
            books.insert(product.id, store.endpoints(product.id).await?);
        }
    }
    Ok(books)
}

/// How many active findings of these products each endpoint has.
async fn counts(store: &Store, mut products: Vec<ProductId>) -> Result<HashMap<EndpointId, u64>> {
    products.sort_unstable();
    products.dedup();
    let mut counts = HashMap::new();
    let see = |finding: &Arc<Finding>| {
        if finding.flags.active {
            for (_, id) in finding.endpoints_with_places() {
                *counts.entry(id).or_default() += 1;
            }
        }
    };
    if !products.is_empty() {
        store.visit(Sight::Products(&products), see).await?;
    }
    Ok(counts)
}

/// An endpoint as clients see it, without what is counted.
fn view(product: ProductId, id: EndpointId, record: &EndpointRecord) -> Object {
    let endpoint = record.endpoint();
    let text = |text: Option<String>| json!(text.unwrap_or_default());
    let fields = [
        ("id", json!(id)),
        ("protocol", text(endpoint.protocol)),
        ("userinfo", text(endpoint.userinfo)),
        ("host", json!(endpoint.host)),
        ("port", json!(endpoint.port)),
        ("path", text(endpoint.path)),
        ("query", text(endpoint.query)),
        ("fragment", text(endpoint.fragment)),
        ("tags", json!(record.tags)),
        ("location_id", json!(id)),
        ("created", json!(record.created)),
        ("updated", json!(record.updated)),
        ("relationship", json!("")),
        ("relationship_data", json!({})),
        ("product", json!(product)),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), value));
    fields.into_iter().collect()
}

async fn add_counts(store: &Store, views: &mut [Object]) -> Result<()> {
    let product = |view: &Object| view["product"].as_u64().map(ProductId);
    let counts = counts(store, views.iter().filter_map(product).collect()).await?;
    for view in views {
        let id = EndpointId(view["id"].as_u64().unwrap_or_default());
        let count = counts.get(&id).copied().unwrap_or_default();
        let status = if count > 0 { "Active" } else { "Mitigated" };
        view.insert(COUNT.into(), json!(count));
        view.insert("status".into(), json!(status));
    }
    Ok(())
}

fn version(record: &EndpointRecord) -> Version {
    Version::of(&(record.text.as_ref(), &record.tags, record.updated))
}

async fn answer(
    store: &Store,
    product: ProductId,
    id: EndpointId,
    record: &EndpointRecord,
) -> Result<Versioned<Json<Object>>> {
    let mut views = [view(product, id, record)];
    add_counts(store, &mut views).await?;
    let [view] = views;
    Ok(Versioned(version(record), Json(view)))
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    listing: Listing,
) -> Result<Json<Page<Object>>> {
    let store = &api.services.store;
    let visible = caller.visible(Permission::ViewProducts).await?;
    let books = books(store, &visible, &listing.query).await?;
    let mut views: Vec<Object> = (books.iter())
        .flat_map(|(product, book)| book.iter().map(|(id, record)| view(*product, id, record)))
        .collect();
    let columns = listing.query.all("o");
    let counted = |column: &str| [COUNT, "status"].contains(&column.trim_start_matches('-'));
    if columns.into_iter().any(counted) {
        add_counts(store, &mut views).await?;
    }
    let (links, mut page) = select(views, FILTERS, FIELDS, &listing)?;
    add_counts(store, &mut page).await?;
    Ok(Json(Page::new(links, page)))
}

/// The endpoint of a path, where the caller has the permission.
async fn permitted(
    api: &Api,
    caller: &Caller,
    permission: Permission,
    id: &str,
) -> Result<(ProductId, EndpointId, EndpointRecord)> {
    let store = &api.services.store;
    let id = EndpointId(id_in_path(id)?);
    let (product, record) = store.endpoint(id).await?;
    store.get::<Product>(product).await?;
    caller.require(permission, Place::Product(product)).await?;
    Ok((product, id, record))
}

async fn get(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Versioned<Json<Object>>> {
    let (product, id, record) = permitted(&api, &caller, Permission::ViewProducts, &id).await?;
    answer(&api.services.store, product, id, &record).await
}

/// The canonical text of an endpoint with what was sent.
fn merged(old: Endpoint, sent: &Object) -> Result<String> {
    let mut problems = Problems::default();
    let text = |name: &str, old: Option<String>| match sent.get(name) {
        Some(value) => value.as_str().filter(|t| !t.is_empty()).map(str::to_owned),
        None => old,
    };
    let host = text("host", Some(old.host)).unwrap_or_default();
    let separators = |c: char| c.is_whitespace() || "/?#@[]".contains(c);
    if host.is_empty() {
        problems.add("host", "This field is required.");
    } else if host.contains(separators) || (host.contains(':') && host.parse::<Ipv6Addr>().is_err())
    {
        problems.add("host", "Use the name or the address of a host only.");
    }
    let protocol = text("protocol", old.protocol);
    let of_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    if protocol
        .as_ref()
        .is_some_and(|text| !text.chars().all(of_scheme))
    {
        problems.add("protocol", "Use a scheme such as https, without ://.");
    }
    let userinfo = text("userinfo", old.userinfo);
    let ends = |c: char| c.is_whitespace() || "/?#@".contains(c);
    if userinfo.as_ref().is_some_and(|text| text.contains(ends)) {
        problems.add("userinfo", "Percent-encode the characters / ? # @.");
    }
    let port = match sent.get("port") {
        Some(port) => port.as_u64().and_then(|port| u16::try_from(port).ok()),
        None => old.port,
    };
    let path = text("path", old.path).map(|path| path.trim_start_matches('/').to_owned());
    let endpoint = Endpoint {
        protocol,
        userinfo,
        host,
        port,
        path: path.filter(|path| !path.is_empty()),
        query: text("query", old.query),
        fragment: text("fragment", old.fragment),
    };
    problems.into_result()?;
    match Endpoint::parse(&endpoint.to_string()) {
        Ok(endpoint) => Ok(endpoint.to_string()),
        Err(error) => Err(ApiError::field("host", error.to_string())),
    }
}

fn tags_of(sent: &Object) -> Option<Vec<String>> {
    let tags = sent.get("tags")?.as_array()?.iter();
    Some(
        tags.filter_map(|tag| tag.as_str().map(str::to_owned))
            .collect(),
    )
}

fn taken() -> ApiError {
    ApiError::field(
        "non_field_errors",
        "It appears as though an endpoint with this data already exists for this product.",
    )
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
    let product = ProductId(sent["product"].as_u64().unwrap_or_default());
    caller.require(ADD, Place::Product(product)).await?;
    let found: Result<Product, StoreError> = store.get(product).await;
    if found.is_err_and(|error| error.is_not_found()) {
        let message = format!("Invalid pk \"{product}\": there is no such object.");
        return Err(ApiError::field("product", message));
    }
    let text = merged(Endpoint::default(), &sent)?;
    let tags = tags_of(&sent).unwrap_or_default();
    let EndpointChange::Done(id) = store.add_endpoint(product, &text, &tags).await? else {
        return Err(taken());
    };
    let (_, record) = store.endpoint(id).await?;
    let answer = answer(store, product, id, &record).await?;
    Ok((StatusCode::CREATED, answer))
}

async fn write(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
    mode: Mode,
    Body(body): Body,
) -> Result<Versioned<Json<Object>>> {
    let (product, id, old) = permitted(&api, &caller, Permission::EditFinding, &id).await?;
    let wanted = |record: &EndpointRecord| if_match.allows(&version(record));
    if !wanted(&old) {
        return Err(IfMatch::failed());
    }
    let sent = read(&body, FIELDS, mode).map_err(ApiError::Fields)?;
    let text = merged(old.endpoint(), &sent)?;
    let tags = tags_of(&sent);
    let store = &api.services.store;
    let changed = store.change_endpoint(product, id, Some(&text), tags.as_deref(), wanted);
    match changed.await? {
        EndpointChange::Done(_) => {}
        EndpointChange::Taken(_) => return Err(taken()),
        EndpointChange::Gone => return Err(ApiError::not_found()),
        EndpointChange::Unwanted => return Err(IfMatch::failed()),
    }
    let (_, record) = store.endpoint(id).await?;
    answer(store, product, id, &record).await
}

async fn delete(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
) -> Result<StatusCode> {
    let (product, id, _) = permitted(&api, &caller, Permission::DeleteFinding, &id).await?;
    let store = &api.services.store;
    let wanted = |record: &EndpointRecord| if_match.allows(&version(record));
    match store
        .change_endpoint(product, id, None, None, wanted)
        .await?
    {
        EndpointChange::Done(_) => {}
        EndpointChange::Unwanted => return Err(IfMatch::failed()),
        EndpointChange::Gone | EndpointChange::Taken(_) => return Err(ApiError::not_found()),
    }
    let own = metadata::of_endpoint(store, product, id).await?;
    metadata::remove_all(store, own).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn delete_preview(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    listing: Listing,
) -> Result<Json<Page<Value>>> {
    let (product, id, record) = permitted(&api, &caller, Permission::ViewProducts, &id).await?;
    let store = &api.services.store;
    let mut gone = vec![json!({"model": "Endpoint", "id": id, "name": record.text.as_ref()})];
    for metadata in metadata::of_endpoint(store, product, id).await? {
        let name = metadata::pair(&metadata)["name"].clone();
        gone.push(
            json!({"model": "DojoMeta", "id": tatami_store::Entity::id(&metadata), "name": name}),
        );
    }
    let see = |finding: &Arc<Finding>| {
        let own = finding.endpoints_with_places().find(|(_, own)| *own == id);
        if let Some((place, _)) = own {
            let name = format!("{} in {}", record.text, finding.title);
            gone.push(json!({"model": "Endpoint_Status", "id": place.id(), "name": name}));
        }
    };
    store.visit(Sight::Products(&[product]), see).await?;
    Ok(Json(listing.cut(gone)))
}
