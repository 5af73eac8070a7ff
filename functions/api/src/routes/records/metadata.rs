//! What people note of products and findings: a value under a name, each name once.

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{EndpointId, Finding, FindingId, Product, ProductId};
use tatami_store::{Entity as _, FINDING_KIND, Store};

use super::{Kept, Record, add_kind};
use crate::Api;
use crate::auth::Caller;
use crate::body::Body;
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Mode, Object, Target, read};
use crate::openapi::{Answer, Operation, Routes};
use crate::query::Query;
use crate::routes::catalog::{Filter, How, Resource as _, check_references, id_in_path};

/// Under which name the product is stored that the finding or the endpoint belongs to.
const PRODUCT_OF_OWNER: &str = "finding__product";
/// Names of endpoints' metadata count apart from those of products and findings, whose numbers are smaller.
const OF_ENDPOINTS: u64 = 1 << 50;

const NAME: Field = Field::new("name", Kind::Text(120)).required();
const VALUE: Field = Field::new("value", Kind::Text(300)).required();
/// Where clients don't say of what, the path does.
const PAIR: &[Field] = &[NAME, VALUE];
const BATCH: &[Field] = &[
    Field::answer("id", Kind::Ref(Target::Unknown)),
    Field::new("product", Kind::Ref(Target::Product)).nullable(),
    Field::new("finding", Kind::Ref(Target::Finding)).nullable(),
    Field::answer("metadata", Kind::Other("Metadata", true)),
];

/// Adds their routes.
pub fn add(routes: &mut Routes) {
    add_kind::<Metadata>(routes);
    routes.schemas("Metadata", PAIR);
    routes.schemas("MetaMain", BATCH);
    routes.schema(
        "MetaMainRequest",
        json!({"type": "object", "required": ["metadata"], "properties": {
            "product": {"type": "integer", "nullable": true},
            "finding": {"type": "integer", "nullable": true},
            "metadata": {
                "type": "array",
                "items": {"$ref": "#/components/schemas/MetadataRequest"},
            },
        }}),
    );
    let path = "/api/v2/metadata/batch";
    for batch in [
        Operation::post(path, "Several of one product or finding, new or not"),
        Operation::patch(path, "Several of one product or finding, new or not"),
    ] {
        let batch = batch
            .body("MetaMainRequest")
            .answers(200, Answer::One("MetaMain"));
        routes.add(&batch, self::batch);
    }
    let path = "/api/v2/findings/{id}/metadata";
    let list = Operation::get(path, "Its metadata").answers(200, Answer::List("Metadata"));
    routes.add(&list, of_finding);
    let one = || Answer::One("Metadata");
    let add = Operation::post(path, "Add a value under a new name")
        .body("MetadataRequest")
        .answers(200, one());
    routes.add(&add, add_to_finding);
    let change = Operation::put(path, "Change the value under a name")
        .body("MetadataRequest")
        .answers(200, one());
    routes.add(&change, change_of_finding);
    let remove = Operation::delete(path, "Remove the value under a name")
        .query([Field::new("name", Kind::Text(0)).required()])
        .answers(200, Answer::Object);
    routes.add(&remove, remove_from_finding);
}

/// A value under a name.
#[derive(Debug, Clone)]
pub struct Metadata;

impl Kept for Metadata {
    const KIND: &'static str = "METADATA";
    const WORD: &'static str = "metadata";
    const PATH: &'static str = "/api/v2/metadata";
    const SCHEMA: &'static str = "Meta";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("product", Kind::Ref(Target::Product))
            .nullable()
            .fixed(),
        Field::new("finding", Kind::Ref(Target::Finding))
            .nullable()
            .fixed(),
        Field::new("endpoint", Kind::Ref(Target::Unknown))
            .nullable()
            .fixed(),
        Field::answer("location", Kind::Ref(Target::Unknown)).nullable(),
        NAME,
        VALUE,
    ];
    const FILTERS: &'static [Filter] = &[
        Filter::of("id", How::Ids),
        Filter::of("product", How::Ids),
        Filter::of("finding", How::Ids),
        Filter::of("endpoint", How::Ids),
        Filter::of("location", How::Ids),
        Filter::of("name", How::Exact),
        Filter::of("value", How::Exact),
        Filter {
            name: "name_case_insensitive",
            field: "name",
            how: How::AnyCase,
        },
        Filter {
            name: "value_case_insensitive",
            field: "value",
            how: How::AnyCase,
        },
    ];
    const NAME: &'static str = "name";
    const UNIQUE: bool = true;
    const OF_PRODUCT: bool = true;

    fn parent(of: &Record<Self>) -> Option<(&'static str, u64)> {
        let id = |field| of.field(field).as_u64();
        match (id("product"), id("finding"), id("endpoint")) {
            (Some(product), ..) => Some((Product::KIND, product)),
            (None, Some(finding), _) => Some((FINDING_KIND, finding)),
            // endpoints have no items of their own to lie below
            (None, None, Some(_)) => Some((Product::KIND, id(PRODUCT_OF_OWNER)?)),
            (None, None, None) => None,
        }
    }

    /// Names count once for each product, each finding and each endpoint.
    fn within(of: &Record<Self>) -> u64 {
        let id = |field| of.field(field).as_u64();
        match (id("product"), id("finding"), id("endpoint")) {
            (Some(product), ..) => product * 2,
            (None, Some(finding), _) => finding * 2 + 1,
            (None, None, Some(endpoint)) => OF_ENDPOINTS + endpoint,
            (None, None, None) => 0,
        }
    }

    fn place(of: &Record<Self>) -> Place {
        let product = match of.field("product").as_u64() {
            Some(product) => Some(product),
            None => of.field(PRODUCT_OF_OWNER).as_u64(),
        };
        product.map_or(Place::Everywhere, |id| Place::Product(ProductId(id)))
    }

    async fn complete(of: &mut Record<Self>, store: &Store) -> Result<()> {
        let id = |field| of.field(field).as_u64();
        let (field, id, product) = match (id("product"), id("finding"), id("endpoint")) {
            (Some(_), None, None) => return Ok(()),
            (None, Some(finding), None) => {
                let found = store.finding(FindingId(finding)).await;
                ("finding", finding, found.map(|finding| finding.product))
            }
            (None, None, Some(endpoint)) => {
                let found = store.endpoint(EndpointId(endpoint)).await;
                ("endpoint", endpoint, found.map(|(product, _)| product))
            }
            _ => return Err(one_owner()),
        };
        match product {
            Ok(product) => {
                of.set(PRODUCT_OF_OWNER, json!(product));
                Ok(())
            }
            Err(error) if error.is_not_found() => Err(ApiError::field(
                field,
                format!("Invalid pk \"{id}\": there is no such object."),
            )),
            Err(error) => Err(error.into()),
        }
    }

    fn decorate(views: &mut [Object]) {
        for view in views {
            view.remove(PRODUCT_OF_OWNER);
        }
    }
}

/// The metadata of a product or a finding, by their names.
pub async fn of(store: &Store, kind: &str, id: u64) -> Result<Vec<Record<Metadata>>> {
    let mut all: Vec<Record<Metadata>> = store.children(kind, id).await?;
    all.retain(|metadata| metadata.field("endpoint").is_null());
    all.sort_by(|a, b| a.field("name").as_str().cmp(&b.field("name").as_str()));
    Ok(all)
}

/// The metadata of an endpoint of a product.
pub async fn of_endpoint(
    store: &Store,
    product: ProductId,
    endpoint: EndpointId,
) -> Result<Vec<Record<Metadata>>> {
    let mut all: Vec<Record<Metadata>> = store.children(Product::KIND, product.0).await?;
    all.retain(|metadata| metadata.field("endpoint").as_u64() == Some(endpoint.0));
    Ok(all)
}

/// Name and value alone.
pub fn pair(metadata: &Record<Metadata>) -> Value {
    json!({"name": metadata.field("name"), "value": metadata.field("value")})
}

fn new(owner: (&str, u64), product: Option<ProductId>, sent: &Object) -> Record<Metadata> {
    let mut new = Record::<Metadata>::fresh();
    new.set(owner.0, json!(owner.1));
    if let Some(product) = product {
        new.set(PRODUCT_OF_OWNER, json!(product));
    }
    for (name, value) in sent {
        new.set(name, value.clone());
    }
    new
}

async fn set_value(store: &Store, id: u64, value: &Value) -> Result<Record<Metadata>> {
    let change = |metadata: &mut Record<Metadata>| {
        metadata.set("value", value.clone());
        Ok::<_, ApiError>(())
    };
    store.change(id, change).await
}

fn same_name(metadata: &Record<Metadata>, name: &Value) -> bool {
    let folded = |name: &Value| name.as_str().unwrap_or_default().trim().to_lowercase();
    folded(metadata.field("name")) == folded(name)
}

async fn batch(State(api): State<Api>, caller: Caller, Body(body): Body) -> Result<Json<Value>> {
    let store = &api.services.store;
    let sent = read(&body, BATCH, Mode::Change).map_err(ApiError::Fields)?;
    check_references(store, BATCH, &sent).await?;
    let id = |field: &str| sent.get(field).and_then(Value::as_u64);
    let (owner, product) = match (id("product"), id("finding")) {
        (Some(product), None) => (("product", product), ProductId(product)),
        (None, Some(finding)) => {
            let found = store.finding(FindingId(finding)).await?;
            (("finding", finding), found.product)
        }
        _ => {
            return Err(one_owner());
        }
    };
    let is_product = owner.0 == "product";
    let permission = if is_product {
        Permission::EditProduct
    } else {
        Permission::EditFinding
    };
    caller.require(permission, Place::Product(product)).await?;
    let Some(Value::Array(pairs)) = body.get("metadata") else {
        return Err(ApiError::field(
            "metadata",
            "Send a list of names and values.",
        ));
    };
    let mut read_pairs = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let Value::Object(pair) = pair else {
            return Err(ApiError::field(
                "metadata",
                "Each is an object of name and value.",
            ));
        };
        read_pairs.push(read(pair, PAIR, Mode::Create).map_err(ApiError::Fields)?);
    }
    let kind = if is_product {
        Product::KIND
    } else {
        FINDING_KIND
    };
    let known = of(store, kind, owner.1).await?;
    for sent in &read_pairs {
        let old = known
            .iter()
            .find(|metadata| same_name(metadata, &sent["name"]));
        if let Some(old) = old {
            set_value(store, old.id(), &sent["value"]).await?;
        } else {
            let product = (!is_product).then_some(product);
            store.create(new(owner, product, sent)).await?;
        }
    }
    let all: Vec<Value> = of(store, kind, owner.1).await?.iter().map(pair).collect();
    let mut answer = json!({"id": owner.1, "product": null, "finding": null, "metadata": all});
    answer[owner.0] = json!(owner.1);
    Ok(Json(answer))
}

async fn finding(
    api: &Api,
    caller: &Caller,
    permission: Permission,
    id: &str,
) -> Result<(Finding, Vec<Record<Metadata>>)> {
    let store = &api.services.store;
    let finding = store.finding(FindingId(id_in_path(id)?)).await?;
    caller.require(permission, Place::from(&finding)).await?;
    let metadata = of(store, FINDING_KIND, finding.id.0).await?;
    Ok((finding, metadata))
}

async fn of_finding(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>> {
    let (_, metadata) = finding(&api, &caller, Permission::ViewProducts, &id).await?;
    Ok(Json(metadata.iter().map(pair).collect()))
}

async fn add_to_finding(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Body(body): Body,
) -> Result<Json<Value>> {
    let (finding, _) = finding(&api, &caller, Permission::EditFinding, &id).await?;
    let sent = read(&body, PAIR, Mode::Create).map_err(ApiError::Fields)?;
    let new = new(("finding", finding.id.0), Some(finding.product), &sent);
    let made = api.services.store.create(new).await?;
    Ok(Json(pair(&made)))
}

async fn change_of_finding(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Body(body): Body,
) -> Result<Json<Value>> {
    let (_, metadata) = finding(&api, &caller, Permission::EditFinding, &id).await?;
    let sent = read(&body, PAIR, Mode::Create).map_err(ApiError::Fields)?;
    let old = metadata.iter().find(|m| same_name(m, &sent["name"]));
    let old = old.ok_or_else(ApiError::not_found)?;
    let changed = set_value(&api.services.store, old.id(), &sent["value"]).await?;
    Ok(Json(pair(&changed)))
}

async fn remove_from_finding(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<Json<Value>> {
    let (_, metadata) = finding(&api, &caller, Permission::EditFinding, &id).await?;
    let Some(name) = query.get("name") else {
        return Err(ApiError::field("name", "Say which: ?name=..."));
    };
    let old = metadata.iter().find(|m| same_name(m, &json!(name)));
    let old = old.ok_or_else(ApiError::not_found)?;
    api.services
        .store
        .delete::<Record<Metadata>>(old.id())
        .await?;
    Ok(Json(json!({"success": "Metadata deleted"})))
}

fn one_owner() -> ApiError {
    ApiError::field(
        "non_field_errors",
        "Metadata belong to one product, finding or endpoint: send one of them.",
    )
}

/// Sets a value of an endpoint of a product, whether it is there or not.
pub async fn set_of_endpoint(
    store: &Store,
    product: ProductId,
    endpoint: EndpointId,
    name: &str,
    value: &str,
) -> Result<()> {
    let known = of_endpoint(store, product, endpoint).await?;
    let (name, value) = (json!(name), json!(value));
    if let Some(old) = known.iter().find(|metadata| same_name(metadata, &name)) {
        set_value(store, old.id(), &value).await?;
    } else {
        let sent = Object::from_iter([("name".into(), name), ("value".into(), value)]);
        let new = new(("endpoint", endpoint.0), Some(product), &sent);
        store.create(new).await?;
    }
    Ok(())
}

/// Removes metadata of something that is gone.
pub async fn remove_all(store: &Store, gone: Vec<Record<Metadata>>) -> Result<()> {
    for metadata in gone {
        store.delete::<Record<Metadata>>(metadata.id()).await?;
    }
    Ok(())
}
