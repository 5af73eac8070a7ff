//! Resources that are kept as they are sent and mean nothing to Tatami itself: what they are for is up to
//! those who write them. Each is a table of fields and filters; the rest they have in common.

mod announcements;
mod checklists;
mod finding_templates;
mod infrastructure;
mod languages;
pub mod metadata;
mod note_types;
mod presets;
mod regulations;
mod technologies;
mod tools;

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{Product, ProductId};
use tatami_store::{Entity, Store};

use super::catalog::{self, Deletable, Filter, Resource};
use crate::auth::Caller;
use crate::error::Result;
use crate::fields::{Field, Kind, Object};
use crate::openapi::Routes;

pub use infrastructure::CicdInfrastructure;
pub use note_types::NoteType;
pub use presets::EngagementPreset;
pub use regulations::Regulation;
pub use tools::{ApiScanConfiguration, check_configuration};

/// Adds their routes.
pub fn add(routes: &mut Routes) {
    announcements::add(routes);
    checklists::add(routes);
    finding_templates::add(routes);
    infrastructure::add(routes);
    languages::add(routes);
    metadata::add(routes);
    note_types::add(routes);
    presets::add(routes);
    regulations::add(routes);
    technologies::add(routes);
    tools::add(routes);
}

/// The schema of a kind of record that belongs to something else.
pub fn schema_of(kind: &str) -> Option<&'static str> {
    fn of<K: Kept>() -> (&'static str, &'static str) {
        (K::KIND, K::SCHEMA)
    }
    let known = [
        of::<EngagementPreset>(),
        of::<languages::Language>(),
        of::<metadata::Metadata>(),
        of::<technologies::Technology>(),
    ];
    known
        .into_iter()
        .find_map(|(own, schema)| (own == kind).then_some(schema))
}

/// A kind of record.
pub trait Kept: Clone + fmt::Debug + Send + Sync + 'static {
    /// How keys of the store name it.
    const KIND: &'static str;
    /// How messages name it.
    const WORD: &'static str;
    /// Path of the list.
    const PATH: &'static str;
    /// Name of its schema.
    const SCHEMA: &'static str;
    /// All its fields.
    const FIELDS: &'static [Field];
    /// The parameters that lists may be filtered by.
    const FILTERS: &'static [Filter] = &[];
    /// The field that names it.
    const NAME: &'static str;
    /// What counts its changes, for readers who keep what they read.
    const STAMP: Option<&'static str> = None;
    /// Fields of which the audit log says only that they changed.
    const PRIVATE: &'static [&'static str] = &[];
    /// May a name exist only once?
    const UNIQUE: bool = false;
    /// Does it belong to the product in its field `product`? Else to everybody.
    const OF_PRODUCT: bool = false;

    /// Who may see it.
    const VIEW: Permission = if Self::OF_PRODUCT {
        Permission::ViewProducts
    } else {
        Permission::ViewCommon
    };

    /// Who may make one, change it, and delete it.
    const EDIT: Permission = if Self::OF_PRODUCT {
        Permission::EditProduct
    } else {
        Permission::ManageCommon
    };

    /// The fields that aren't empty where nobody says otherwise.
    fn defaults() -> Value {
        json!({})
    }

    /// Kind and id of what it belongs to.
    fn parent(of: &Record<Self>) -> Option<(&'static str, u64)> {
        let product = of.field("product").as_u64().filter(|_| Self::OF_PRODUCT);
        product.map(|product| (Product::KIND, product))
    }

    /// Within what its name exists only once; 0: everywhere.
    fn within(_of: &Record<Self>) -> u64 {
        0
    }

    /// The name that may exist only once, and within what.
    fn unique_name(of: &Record<Self>) -> Option<(u64, &str)> {
        let name = of.field(Self::NAME).as_str().filter(|_| Self::UNIQUE);
        name.map(|name| (Self::within(of), name))
    }

    /// Brings what was sent into the shape that is stored.
    fn amend(_sent: &mut Object) {}

    /// Rules over several fields.
    fn check(_of: &Record<Self>) -> Result<()> {
        Ok(())
    }

    /// Does what follows from its being written; `old` is what it was.
    fn written(
        _of: &Record<Self>,
        _old: Option<&Record<Self>>,
        _store: &Store,
    ) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// Where it is.
    fn place(of: &Record<Self>) -> Place {
        match Self::parent(of) {
            Some((_, product)) => Place::Product(ProductId(product)),
            None => Place::Everywhere,
        }
    }

    /// Fills in what tells where a new one is.
    fn complete(_of: &mut Record<Self>, _store: &Store) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// Who uses it, so that it cannot be deleted.
    fn users(_store: &Store, _id: u64) -> impl Future<Output = Result<Option<String>>> + Send {
        async { Ok(None) }
    }

    /// Adds to the answers what isn't stored.
    fn decorate(_views: &mut [Object]) {}
}

/// A record of a kind.
#[derive(Debug)]
pub struct Record<K> {
    id: u64,
    document: Object,
    kind: PhantomData<fn() -> K>,
}

impl<K> Record<K> {
    /// A new one with these fields.
    pub fn new(document: Object) -> Self {
        Self {
            id: 0,
            document,
            kind: PhantomData,
        }
    }

    /// One of its fields; null where it has none.
    pub fn field(&self, name: &str) -> &Value {
        self.document.get(name).unwrap_or(&Value::Null)
    }

    /// Sets one of its fields.
    pub fn set(&mut self, name: &str, value: Value) {
        self.document.insert(name.to_owned(), value);
    }
}

impl<K> Clone for Record<K> {
    fn clone(&self) -> Self {
        Self {
            id: self.id,
            ..Self::new(self.document.clone())
        }
    }
}

impl<K> Serialize for Record<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.document.serialize(serializer)
    }
}

impl<'de, K> Deserialize<'de> for Record<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        Object::deserialize(deserializer).map(Self::new)
    }
}

impl<K: Kept> Entity for Record<K> {
    type Id = u64;
    const KIND: &'static str = K::KIND;
    const WORD: &'static str = K::WORD;
    const PRIVATE: &'static [&'static str] = K::PRIVATE;

    fn id(&self) -> u64 {
        self.id
    }

    fn set_id(&mut self, id: u64) {
        self.id = id;
    }

    fn parent(&self) -> Option<(&'static str, u64)> {
        K::parent(self)
    }

    fn unique_name(&self) -> Option<(u64, &str)> {
        K::unique_name(self)
    }

    fn stamp(_: Option<&Self>, _: Option<&Self>) -> Option<&'static str> {
        K::STAMP
    }
}

impl<K: Kept> Resource for Record<K> {
    const PATH: &'static str = K::PATH;
    const SCHEMA: &'static str = K::SCHEMA;
    const FIELDS: &'static [Field] = K::FIELDS;
    const FILTERS: &'static [Filter] = K::FILTERS;
    const PARENT: Option<(&'static str, &'static str)> = if K::OF_PRODUCT {
        Some(("product", Product::KIND))
    } else {
        None
    };
    const VIEW: Permission = K::VIEW;
    const ADD: Permission = K::EDIT;
    const EDIT: Permission = K::EDIT;

    fn fresh() -> Self {
        let empty = |field: &Field| match field.kind {
            _ if field.nullable => Value::Null,
            Kind::Bool => json!(false),
            Kind::Text(_) | Kind::Uri(_) => json!(""),
            Kind::Texts | Kind::Refs(_) => json!([]),
            _ => Value::Null,
        };
        let stored = K::FIELDS.iter().filter(|field| field.name != "id");
        let mut document: Object = stored
            .map(|field| (field.name.to_owned(), empty(field)))
            .collect();
        if let Value::Object(defaults) = K::defaults() {
            document.extend(defaults);
        }
        Self::new(document)
    }

    fn amend(sent: &mut Object) {
        K::amend(sent);
    }

    fn place(&self) -> Place {
        K::place(self)
    }

    fn check(&self, _: Option<&Self>) -> Result<()> {
        K::check(self)
    }

    async fn apply(&self, _: &Caller, store: &Store, _: &Object, old: Option<&Self>) -> Result<()> {
        K::written(self, old, store).await
    }

    async fn complete(&mut self, store: &Store) -> Result<()> {
        K::complete(self, store).await
    }

    async fn decorate(_: &Store, views: &mut [Object]) -> Result<()> {
        K::decorate(views);
        Ok(())
    }
}

impl<K: Kept> Deletable for Record<K> {
    fn name(&self) -> String {
        self.field(K::NAME).as_str().unwrap_or_default().to_owned()
    }

    async fn users(&self, store: &Store) -> Result<Option<String>> {
        K::users(store, self.id).await
    }
}

/// Adds the routes of a kind.
pub fn add_kind<K: Kept>(routes: &mut Routes) {
    catalog::add::<Record<K>>(routes);
    catalog::add_delete::<Record<K>>(routes);
}

/// Adds the routes of a kind once more, under its second name.
pub fn add_also<K: Kept>(routes: &mut Routes, path: &'static str) {
    catalog::add_under::<Record<K>>(routes, path);
    catalog::add_delete_under::<Record<K>>(routes, path);
}

/// How many records of a kind have an id in a field.
pub async fn count<K: Kept>(store: &Store, field: &str, id: u64) -> Result<usize> {
    let all: Vec<Record<K>> = store.list().await?;
    let users = all
        .iter()
        .filter(|one| one.field(field).as_u64() == Some(id));
    Ok(users.count())
}
