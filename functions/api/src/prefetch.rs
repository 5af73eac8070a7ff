//! `prefetch=`: the things that fields of an answer point to, sent along with it.
//!
//! Which those are, the tables of fields say: a field with an id or ids of a kind that somebody has
//! registered a loader for. Names that aren't such fields are ignored, and what the caller may not see is
//! left out.

use std::collections::{BTreeSet, HashMap};

use futures::future::BoxFuture;
use serde_json::{Value, json};
use tatami_auth::Permission;
use tatami_domain::{
    DevelopmentEnvironment, Engagement, Product, ProductType, Test, TestType, User,
};
use tatami_store::{Entity, FINDING_KIND};

use crate::Api;
use crate::auth::{Caller, Visible};
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Object, Target};
use crate::query::Query;
use crate::routes::catalog::{Resource, views};
use crate::view::note::author;

/// The parameter, and the property of answers.
pub const NAME: &str = "prefetch";

/// Reads those of some ids that the caller may see, as clients see them.
pub type Load =
    for<'a> fn(&'a Api, &'a Caller, Vec<u64>) -> BoxFuture<'a, Result<Vec<(u64, Value)>>>;

/// How things of a kind are read, and the schema they have then.
#[derive(Clone, Copy)]
pub struct Loader {
    /// The name of the schema.
    pub schema: &'static str,
    /// How.
    pub load: Load,
}

/// Loaders by the kinds that keys have.
pub type Loaders = HashMap<&'static str, Loader>;

impl Target {
    /// The kind that keys of the store have for it.
    pub fn kind(self) -> Option<&'static str> {
        match self {
            Self::ProductType => Some(ProductType::KIND),
            Self::Product => Some(Product::KIND),
            Self::Engagement => Some(Engagement::KIND),
            Self::Test => Some(Test::KIND),
            Self::TestType => Some(TestType::KIND),
            Self::Environment => Some(DevelopmentEnvironment::KIND),
            Self::User => Some(User::KIND),
            Self::Finding => Some(FINDING_KIND),
            Self::Record(kind) => Some(kind),
            Self::Unknown => None,
        }
    }
}

/// The fields that point to something which has a loader.
pub fn pointers<'l>(
    fields: &'l [Field],
    loaders: &'l Loaders,
) -> impl Iterator<Item = (&'static str, &'l Loader)> {
    fields.iter().filter_map(|field| {
        let (Kind::Ref(target) | Kind::Refs(target)) = field.kind else {
            return None;
        };
        let answered = !field.write_only;
        let loader = loaders.get(target.kind()?).filter(|_| answered)?;
        Some((field.name, loader))
    })
}

/// Does the query ask for this field?
pub fn asks(query: &Query, field: &str) -> bool {
    query.all(NAME).contains(&field)
}

/// What the fields of some answers point to, as far as it is asked for; none where nothing is.
pub async fn along(
    api: &Api,
    caller: &Caller,
    query: &Query,
    fields: &[Field],
    views: &[Object],
) -> Result<Option<Object>> {
    if query.get(NAME).is_none() {
        return Ok(None);
    }
    let mut found = Object::new();
    for (name, loader) in pointers(fields, &api.loaders) {
        if !asks(query, name) {
            continue;
        }
        let ids: BTreeSet<u64> = (views.iter())
            .filter_map(|view| view.get(name))
            .flat_map(|value| match value {
                Value::Array(ids) => ids.iter().filter_map(Value::as_u64).collect(),
                one => one.as_u64().into_iter().collect::<Vec<u64>>(),
            })
            .collect();
        let things = if ids.is_empty() {
            Vec::new()
        } else {
            (loader.load)(api, caller, ids.into_iter().collect()).await?
        };
        found.insert(name.to_owned(), by_id(things));
    }
    Ok(Some(found))
}

/// Things under their ids.
pub fn by_id(things: impl IntoIterator<Item = (u64, Value)>) -> Value {
    let things = things.into_iter();
    Value::Object(things.map(|(id, view)| (id.to_string(), view)).collect())
}

/// Those places that the caller may see; none where it may see nothing at all.
pub async fn visible(caller: &Caller, permission: Permission) -> Result<Option<Visible>> {
    match caller.visible(permission).await {
        Ok(visible) => Ok(Some(visible)),
        Err(ApiError::Detail(status, _)) if status == http::StatusCode::FORBIDDEN => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads things of a resource.
pub fn load<'a, T: Resource>(
    api: &'a Api,
    caller: &'a Caller,
    ids: Vec<u64>,
) -> BoxFuture<'a, Result<Vec<(u64, Value)>>> {
    Box::pin(async move {
        let Some(visible) = visible(caller, T::VIEW).await? else {
            return Ok(Vec::new());
        };
        let store = &api.services.store;
        let mut found: Vec<T> = store.get_all(ids.into_iter().map(Into::into)).await?;
        found.retain(|entity| entity.is_one() && visible.sees(entity.place()));
        let ids: Vec<u64> = found.iter().map(|entity| entity.id().into()).collect();
        let views = views(store, &found).await?;
        Ok(ids
            .into_iter()
            .zip(views.into_iter().map(Value::Object))
            .collect())
    })
}

/// Reads users: their names, as notes have them too. Whoever may look at users sees the same here.
pub fn load_users<'a>(
    api: &'a Api,
    _: &'a Caller,
    ids: Vec<u64>,
) -> BoxFuture<'a, Result<Vec<(u64, Value)>>> {
    Box::pin(async move {
        let ids = ids.into_iter().map(Into::into);
        let users: Vec<User> = api.services.store.get_all(ids).await?;
        Ok(users.iter().map(|user| (user.id.0, author(user))).collect())
    })
}

/// The property of answers with these fields, each of a schema.
pub fn schema<'f>(fields: impl IntoIterator<Item = (&'f str, &'f str)>) -> Value {
    let property = |(name, schema): (&str, &str)| {
        let reference = json!({"$ref": format!("#/components/schemas/{schema}")});
        let things = json!({"type": "object", "additionalProperties": reference});
        (name.to_owned(), things)
    };
    let properties: Object = fields.into_iter().map(property).collect();
    json!({"type": "object", "readOnly": true, "properties": properties})
}
