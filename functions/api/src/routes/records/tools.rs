//! The tools that products are scanned with: their kinds, how they are reached, and what of them belongs
//! to which product.

use serde_json::Value;
use tatami_auth::Permission;
use tatami_domain::ProductId;
use tatami_store::Store;

use super::{Kept, Record, add_kind, count};
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Object, Target};
use crate::openapi::Routes;
use crate::routes::catalog::{Filter, How};

/// Adds their routes.
pub fn add(routes: &mut Routes) {
    add_kind::<ToolType>(routes);
    add_kind::<ToolConfiguration>(routes);
    add_kind::<ToolProductSettings>(routes);
    add_kind::<ApiScanConfiguration>(routes);
}

/// A kind of tool.
#[derive(Debug, Clone)]
pub struct ToolType;

impl Kept for ToolType {
    const KIND: &'static str = "TOOLTYPE";
    const WORD: &'static str = "tool type";
    const PATH: &'static str = "/api/v2/tool_types";
    const SCHEMA: &'static str = "ToolType";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("name", Kind::Text(200)).required(),
        Field::new("description", Kind::Text(2000)).nullable(),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter::of("id", How::Ids),
        Filter::of("name", How::Exact),
        Filter::of("description", How::Exact),
    ];
    const NAME: &'static str = "name";

    async fn users(store: &Store, id: u64) -> Result<Option<String>> {
        let users = count::<ToolConfiguration>(store, "tool_type", id).await?;
        Ok((users > 0).then(|| format!("{users} tool configurations")))
    }
}

const AUTHENTICATIONS: &[&str] = &["API", "Password", "SSH"];

/// Where a tool is and how one signs in there. Whoever may edit a product may name it in what belongs to the
/// product; what is in it is for administrators.
#[derive(Debug, Clone)]
pub struct ToolConfiguration;

impl Kept for ToolConfiguration {
    const KIND: &'static str = "TOOLCONFIG";
    const WORD: &'static str = "tool configuration";
    const PATH: &'static str = "/api/v2/tool_configurations";
    const SCHEMA: &'static str = "ToolConfiguration";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("name", Kind::Text(200)).required(),
        Field::new("description", Kind::Text(2000)).nullable(),
        Field::new("url", Kind::Text(2000)).nullable(),
        Field::new("authentication_type", Kind::OptionalChoice(AUTHENTICATIONS)).nullable(),
        Field::new("extras", Kind::Text(255)).nullable(),
        Field::new("username", Kind::Text(200)).nullable(),
        Field::new("password", Kind::Secret(900))
            .nullable()
            .write_only(),
        Field::new("auth_title", Kind::Text(200)).nullable(),
        Field::new("ssh", Kind::Secret(9000))
            .nullable()
            .write_only(),
        Field::new("api_key", Kind::Secret(900))
            .nullable()
            .write_only(),
        Field::new("tool_type", Kind::Ref(Target::Record(ToolType::KIND))).required(),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter::of("id", How::Ids),
        Filter::of("name", How::Exact),
        Filter::of("tool_type", How::Ids),
        Filter::of("url", How::Exact),
        Filter::of("authentication_type", How::Exact),
    ];
    const NAME: &'static str = "name";
    const VIEW: Permission = Permission::ManageCommon;
    const PRIVATE: &'static [&'static str] = &["password", "ssh", "api_key"];

    async fn users(store: &Store, id: u64) -> Result<Option<String>> {
        const FIELD: &str = "tool_configuration";
        let settings = count::<ToolProductSettings>(store, FIELD, id).await?;
        let scans = count::<ApiScanConfiguration>(store, FIELD, id).await?;
        let users = settings + scans;
        Ok((users > 0).then(|| format!("{users} settings of products")))
    }
}

const CONFIGURATION: Kind = Kind::Ref(Target::Record(ToolConfiguration::KIND));

/// What a tool knows a product as.
#[derive(Debug, Clone)]
pub struct ToolProductSettings;

impl Kept for ToolProductSettings {
    const KIND: &'static str = "TOOLSETTINGS";
    const WORD: &'static str = "tool product settings";
    const PATH: &'static str = "/api/v2/tool_product_settings";
    const SCHEMA: &'static str = "ToolProductSettings";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("setting_url", Kind::Text(2000)).required(),
        Field::new("product", Kind::Ref(Target::Product))
            .required()
            .fixed(),
        Field::new("name", Kind::Text(200)).required(),
        Field::new("description", Kind::Text(2000)).nullable(),
        Field::new("url", Kind::Text(2000)).nullable(),
        Field::new("tool_project_id", Kind::Text(200)).nullable(),
        Field::new("tool_configuration", CONFIGURATION).required(),
        Field::answer("notes", Kind::Refs(Target::Unknown)),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter::of("id", How::Ids),
        Filter::of("name", How::Exact),
        Filter::of("product", How::Ids),
        Filter::of("tool_configuration", How::Ids),
        Filter::of("tool_project_id", How::Exact),
        Filter::of("url", How::Exact),
    ];
    const NAME: &'static str = "name";
    const OF_PRODUCT: bool = true;

    /// Two names of one thing; of both, `url` counts.
    fn amend(sent: &mut Object) {
        let names = ["url", "setting_url"];
        let value = names.iter().find_map(|name| sent.get(*name)?.as_str());
        if let Some(value) = value.map(Value::from) {
            for name in names {
                sent.insert(name.to_owned(), value.clone());
            }
        }
    }
}

/// Fails where an API scan configuration isn't there or is another product's.
pub async fn check_configuration(
    store: &Store,
    configuration: Option<u64>,
    product: ProductId,
) -> Result<()> {
    let Some(id) = configuration else {
        return Ok(());
    };
    let wrong = |message: String| Err(ApiError::field("api_scan_configuration", message));
    match store.get::<Record<ApiScanConfiguration>>(id).await {
        Ok(found) if found.field("product").as_u64() == Some(product.0) => Ok(()),
        Ok(_) => wrong(format!(
            "Configuration {id} belongs to another product than {product}."
        )),
        Err(error) if error.is_not_found() => {
            wrong(format!("Invalid pk \"{id}\": there is no such object."))
        }
        Err(error) => Err(error.into()),
    }
}

/// How the findings of a product are fetched from a tool.
#[derive(Debug, Clone)]
pub struct ApiScanConfiguration;

impl Kept for ApiScanConfiguration {
    const KIND: &'static str = "APISCAN";
    const WORD: &'static str = "API scan configuration";
    const PATH: &'static str = "/api/v2/product_api_scan_configurations";
    const SCHEMA: &'static str = "ProductAPIScanConfiguration";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("product", Kind::Ref(Target::Product))
            .required()
            .fixed(),
        Field::new("service_key_1", Kind::Text(200)).nullable(),
        Field::new("service_key_2", Kind::Text(200)).nullable(),
        Field::new("service_key_3", Kind::Text(200)).nullable(),
        Field::new("tool_configuration", CONFIGURATION).required(),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter::of("id", How::Ids),
        Filter::of("product", How::Ids),
        Filter::of("tool_configuration", How::Ids),
        Filter::of("service_key_1", How::Exact),
        Filter::of("service_key_2", How::Exact),
        Filter::of("service_key_3", How::Exact),
    ];
    const NAME: &'static str = "service_key_1";
    const OF_PRODUCT: bool = true;
}
