//! What is known of endpoints, from a table.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{Endpoint, EndpointId, Product, ProductId, parse_bool};
use tatami_store::Store;

use crate::Api;
use crate::auth::Caller;
use crate::body::Upload;
use crate::error::{ApiError, Result};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::Base;
use crate::routes::records::metadata;

/// The column that says of which host a row speaks.
const HOST: &str = "hostname";
/// The longest name and value of metadata, in characters.
const MAX_NAME: usize = 120;
const MAX_VALUE: usize = 300;

/// Adds the route.
pub fn add(routes: &mut Routes) {
    let import = Operation::post(
        "/api/v2/endpoint_meta_import",
        "Tags and metadata of the endpoints of a product from a CSV file with a column `hostname`",
    )
    .multipart("EndpointMetaImporterRequest")
    .answers(201, Answer::One("EndpointMetaImporter"));
    routes.add(&import, self::import);
    let flag = |default: bool| json!({"type": "boolean", "default": default});
    let fields = |file: Value| {
        json!({
            "file": file,
            "create_endpoints": flag(true),
            "create_tags": flag(true),
            "create_dojo_meta": flag(false),
            "product_name": {"type": "string"},
            "product": {"type": "integer"},
        })
    };
    let file = json!({"type": "string", "format": "binary"});
    routes.schema(
        "EndpointMetaImporterRequest",
        json!({"type": "object", "required": ["file"], "properties": fields(file)}),
    );
    let mut answered = fields(json!({"type": "string"}));
    answered["product_id"] = json!({"type": "integer", "readOnly": true});
    routes.schema(
        "EndpointMetaImporter",
        json!({"type": "object", "required": ["file", "product_id"], "properties": answered}),
    );
}

/// What was sent beside the file.
#[derive(Debug, Clone)]
struct Asked {
    create_endpoints: bool,
    create_tags: bool,
    create_dojo_meta: bool,
    product: Option<String>,
    product_name: Option<String>,
}

impl Asked {
    fn read(fields: &[(String, String)]) -> Result<Self> {
        let text = |name: &str| {
            let field = fields.iter().find(|(own, _)| own == name);
            let text = field.map(|(_, value)| value.trim().to_owned());
            text.filter(|text| !text.is_empty())
        };
        let flag = |name: &str, unsaid: bool| match text(name) {
            None => Ok(unsaid),
            Some(text) => parse_bool(&text).ok_or_else(|| {
                ApiError::field(
                    name,
                    format!("\"{text}\" is not a boolean: use true or false"),
                )
            }),
        };
        Ok(Self {
            create_endpoints: flag("create_endpoints", true)?,
            create_tags: flag("create_tags", true)?,
            create_dojo_meta: flag("create_dojo_meta", false)?,
            product: text("product"),
            product_name: text("product_name"),
        })
    }

    async fn find_product(&self, store: &Store) -> Result<Product> {
        match (&self.product, &self.product_name) {
            (Some(text), _) => {
                let wrong = || ApiError::field("product", format!("Invalid pk \"{text}\"."));
                let id = ProductId(text.parse().map_err(|_| wrong())?);
                match store.get(id).await {
                    Err(error) if error.is_not_found() => Err(wrong()),
                    found => Ok(found?),
                }
            }
            (None, Some(name)) => store.find(name).await?.ok_or_else(|| {
                ApiError::field("product_name", format!("There is no product \"{name}\"."))
            }),
            (None, None) => Err(ApiError::field(
                "product",
                "Say which: product or product_name.",
            )),
        }
    }
}

/// What the table says of each host: columns and values.
fn read_table(file: &Bytes) -> Result<BTreeMap<String, Vec<(String, String)>>> {
    let refused = |what: String| {
        ApiError::field(
            "file",
            format!(
                "{what}; send a CSV file whose first line names the columns, {HOST} among them"
            ),
        )
    };
    let bytes = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    let mut table = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(bytes);
    let columns = table
        .headers()
        .map_err(|error| refused(error.to_string()))?;
    let columns: Vec<String> = columns.iter().map(str::to_owned).collect();
    let Some(of_host) = columns.iter().position(|column| column == HOST) else {
        return Err(refused(format!("The column {HOST} is missing")));
    };
    let mut hosts: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for row in table.records() {
        let row = row.map_err(|error| refused(error.to_string()))?;
        let line = row.position().map_or(0, csv::Position::line);
        let host = row.get(of_host).unwrap_or_default();
        if host.is_empty() {
            continue;
        }
        let endpoint = Endpoint::parse(host);
        let endpoint = endpoint.map_err(|error| refused(format!("Line {line}: {error}")))?;
        let values = hosts.entry(endpoint.host).or_default();
        for (column, value) in columns.iter().zip(&row) {
            let long = column.chars().count() > MAX_NAME || value.chars().count() > MAX_VALUE;
            if long {
                let what = format!(
                    "Line {line}: a column takes {MAX_NAME} characters and a value {MAX_VALUE}"
                );
                return Err(refused(what));
            }
            let pair = (column.clone(), value.to_owned());
            if column != HOST && !value.is_empty() && !values.contains(&pair) {
                values.push(pair);
            }
        }
    }
    Ok(hosts)
}

async fn import(
    State(api): State<Api>,
    caller: Caller,
    Base(_): Base,
    upload: Upload,
) -> Result<(StatusCode, Json<Value>)> {
    const EDIT: Permission = Permission::EditProduct;
    let store = &api.services.store;
    let asked = Asked::read(&upload.fields)?;
    let product = match asked.find_product(store).await {
        Ok(product) => product.id,
        Err(refused) => {
            caller.require(EDIT, Place::Somewhere).await?;
            return Err(refused);
        }
    };
    caller.require(EDIT, Place::Product(product)).await?;
    let Some((name, file)) = upload.file else {
        return Err(ApiError::field("file", "No file was submitted."));
    };
    let hosts = read_table(&file)?;
    if asked.create_endpoints {
        let book = store.endpoints(product).await?;
        let known: Vec<String> = book.iter().map(|(_, of)| of.endpoint().host).collect();
        let new: Vec<String> = (hosts.keys())
            .filter(|host| !known.contains(host))
            .map(|host| Endpoint::from_parts(host, None, None).to_string())
            .collect();
        store.endpoints_of(product, &new).await?;
    }
    let book = store.endpoints(product).await?;
    let mut of_host: BTreeMap<String, Vec<EndpointId>> = BTreeMap::new();
    for (id, record) in book.iter() {
        of_host.entry(record.endpoint().host).or_default().push(id);
    }
    for (host, values) in &hosts {
        let ids = of_host.get(host).map(Vec::as_slice).unwrap_or_default();
        if asked.create_tags && !values.is_empty() {
            let tags: Vec<String> = values.iter().map(|(k, v)| format!("{k}:{v}")).collect();
            store.tag_endpoints(product, ids, &tags).await?;
        }
        if asked.create_dojo_meta {
            for id in ids {
                for (name, value) in values {
                    metadata::set_of_endpoint(store, product, *id, name, value).await?;
                }
            }
        }
    }
    let answer = json!({
        "file": name,
        "create_endpoints": asked.create_endpoints,
        "create_tags": asked.create_tags,
        "create_dojo_meta": asked.create_dojo_meta,
        "product": product,
        "product_id": product,
    });
    Ok((StatusCode::CREATED, Json(answer)))
}
