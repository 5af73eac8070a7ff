//! By what findings are recognised again: settings of the system, of test types and of products.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{
    DedupeLevel, DedupeScope, DedupeSettings, HashField, Product, ProductId, TestType, TestTypeId,
    UserId,
};
use tatami_store::{Store, StoreError};

use super::catalog::id_in_path;
use super::rehash_jobs;
use crate::Api;
use crate::auth::Caller;
use crate::body::Body;
use crate::conditional::{IfMatch, Version, Versioned};
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Mode, Object, Target, read};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::{Listing, Page};

const SYSTEM: &str = "/api/v2/deduplication_settings/system";
const PRODUCT: &str = "/api/v2/deduplication_settings/products/{id}";
const TEST_TYPE: &str = "/api/v2/deduplication_settings/test_types/{id}";
const PREVIEW_SYSTEM: &str = "/api/v2/deduplication_settings/system/preview";
const PREVIEW_PRODUCT: &str = "/api/v2/deduplication_settings/products/{id}/preview";
const PREVIEW_TEST_TYPE: &str = "/api/v2/deduplication_settings/test_types/{id}/preview";

/// How often a change is tried again when others change the same settings.
const TRIES: usize = 10;
const ALGORITHMS: &[&str] = &[
    "legacy",
    "unique_id_from_tool",
    "hash_code",
    "unique_id_from_tool_or_hash_code",
];

/// The fields of a level; null is what it inherits.
const FIELDS: &[Field] = &[
    Field::answer("scope", Kind::Choice(&["system", "test_type", "product"])),
    Field::answer("product", Kind::Ref(Target::Product)).nullable(),
    Field::answer("test_type", Kind::Ref(Target::TestType)).nullable(),
    Field::new("enabled", Kind::Bool).nullable(),
    Field::new("hash_algorithm", Kind::Choice(&["sha256", "md5"])).nullable(),
    Field::new("algorithm", Kind::Choice(ALGORITHMS)).nullable(),
    Field::new("hash_fields", Kind::Texts).nullable(),
    Field::new("allow_null_cwe", Kind::Bool).nullable(),
    Field::new("mode", Kind::Choice(&["automatic", "manual"])).nullable(),
    Field::new(
        "clustering",
        Kind::Choice(&["none", "exact", "hash_and_location"]),
    )
    .nullable(),
    Field::new("false_positive_history", Kind::Bool).nullable(),
    Field::new("code_moves", Kind::Bool).nullable(),
    Field::answer("changed", Kind::DateTime).nullable(),
    Field::answer("changed_by", Kind::Ref(Target::User)).nullable(),
    Field::answer("pending", Kind::Other("", false)).nullable(),
    Field::answer("rehash_job", Kind::Ref(Target::Unknown)).nullable(),
    Field::answer("effective", Kind::Other("", false)),
];

/// Those of the system's settings that clients know under names of their own.
/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let list = Operation::get(
        "/api/v2/deduplication_settings",
        "The levels that have settings of their own",
    )
    .answers(200, Answer::Page("DeduplicationSettings"));
    routes.add(&list, self::list);
    let one = Answer::One("DeduplicationSettings");
    let request = "DeduplicationSettingsRequest";
    let preview = |path| {
        let summary = "What a change would do to findings; nothing is written";
        Operation::post(path, summary)
            .body(format!("Patched{request}"))
            .answers(200, Answer::Object)
    };
    for path in [SYSTEM, PRODUCT, TEST_TYPE] {
        let get = Operation::get(path, "The settings of one level").answers(200, one);
        let put = Operation::put(path, "Replace them; what isn't sent is inherited")
            .body(request)
            .answers(200, one);
        let patch = Operation::patch(path, "Change some of them; null is inherited")
            .body(format!("Patched{request}"))
            .answers(200, one);
        match path {
            SYSTEM => {
                routes.add(&get, get_system);
                routes.add(&put, write_system);
                routes.add(&patch, write_system);
                routes.add(&preview(PREVIEW_SYSTEM), preview_system);
            }
            PRODUCT => {
                routes.add(&get, get_product);
                routes.add(&put, write_product);
                routes.add(&patch, write_product);
                routes.add(&preview(PREVIEW_PRODUCT), preview_product);
            }
            _ => {
                routes.add(&get, get_test_type);
                routes.add(&put, write_test_type);
                routes.add(&patch, write_test_type);
                routes.add(&preview(PREVIEW_TEST_TYPE), preview_test_type);
            }
        }
    }
    routes.schemas("DeduplicationSettings", FIELDS);
}

/// A level that exists: who may see and change it, and the name of its test type.
struct Level {
    scope: DedupeScope,
    test_type: Option<String>,
    view: (Permission, Place),
    edit: (Permission, Place),
}

impl Level {
    fn system() -> Self {
        Self {
            scope: DedupeScope::System,
            test_type: None,
            view: (Permission::ViewCommon, Place::Everywhere),
            edit: (Permission::ManageCommon, Place::Everywhere),
        }
    }

    async fn product(store: &Store, id: &str) -> Result<Self> {
        let product: Product = store.get(ProductId(id_in_path(id)?)).await?;
        let place = Place::Product(product.id);
        Ok(Self {
            scope: DedupeScope::Product(product.id),
            view: (Permission::ViewProducts, place),
            edit: (Permission::EditProduct, place),
            ..Self::system()
        })
    }

    async fn test_type(store: &Store, id: &str) -> Result<Self> {
        let kind: TestType = store.get(TestTypeId(id_in_path(id)?)).await?;
        Ok(Self {
            scope: DedupeScope::TestType(kind.id),
            test_type: Some(kind.name),
            ..Self::system()
        })
    }

    async fn show(&self, api: &Api, caller: &Caller) -> Result<Versioned<Json<Value>>> {
        let (permission, place) = self.view;
        caller.require(permission, place).await?;
        let level = api.services.store.dedupe_level(self.scope).await?;
        self.versioned(&api.services.store, &level).await
    }

    async fn versioned(
        &self,
        store: &Store,
        level: &DedupeLevel,
    ) -> Result<Versioned<Json<Value>>> {
        let version = Version::of(&level.version);
        Ok(Versioned(version, self.answer(store, level).await?))
    }

    async fn change(
        &self,
        api: &Api,
        caller: &Caller,
        if_match: &IfMatch,
        body: &Object,
        mode: Mode,
    ) -> Result<Versioned<Json<Value>>> {
        let (permission, place) = self.edit;
        caller.require(permission, place).await?;
        let sent = read(body, FIELDS, mode).map_err(ApiError::Fields)?;
        check(&sent)?;
        let seen = |level: &DedupeLevel| if_match.check(&Version::of(&level.version));
        let level = self
            .write(api, caller.0.user, seen, |old| match mode {
                Mode::Change => changed(old, &sent),
                Mode::Replace | Mode::Create => changed(&DedupeSettings::default(), &sent),
            })
            .await?;
        self.versioned(&api.services.store, &level).await
    }

    /// Settings that decide about duplicates start a job that decides anew about those findings that
    /// are stored; where they make other keys, they count only when every finding has them.
    async fn write(
        &self,
        api: &Api,
        by: UserId,
        check: impl Fn(&DedupeLevel) -> Result<()>,
        change: impl Fn(&DedupeSettings) -> Result<DedupeSettings>,
    ) -> Result<DedupeLevel> {
        let store = &api.services.store;
        let old = store.dedupe_level(self.scope).await?;
        check(&old)?;
        let settings = change(&old.settings)?;
        let starts_job = if settings.same_keys(&old.settings) {
            !settings.same_duplicates(&old.settings)
                && !store.blocks_of(self.scope).await?.is_empty()
        } else {
            true
        };
        if starts_job {
            free(&old)?;
            let kind = self.test_type.as_deref();
            return rehash_jobs::start(api, &old, kind, settings, by).await;
        }
        change_level(store, self.scope, |level| {
            check(level)?;
            let settings = change(&level.settings)?;
            if settings == level.settings {
                return Ok(());
            }
            free(level)?;
            if !settings.same_duplicates(&level.settings) && level.version != old.version {
                return Err(StoreError::Contention("these settings".into()).into());
            }
            level.settings = settings;
            level.test_type.clone_from(&self.test_type);
            level.changed = Timestamp::now();
            level.by = Some(by);
            Ok(())
        })
        .await
    }

    async fn preview(&self, api: &Api, caller: &Caller, body: &Object) -> Result<Json<Value>> {
        let (permission, place) = self.edit;
        caller.require(permission, place).await?;
        let sent = read(body, FIELDS, Mode::Change).map_err(ApiError::Fields)?;
        check(&sent)?;
        let level = api.services.store.dedupe_level(self.scope).await?;
        let settings = changed(&level.settings, &sent)?;
        let kind = self.test_type.as_deref();
        Ok(Json(
            rehash_jobs::preview(api, self.scope, kind, settings).await?,
        ))
    }

    /// A level with what counts in effect: for a test type with what its scanner brings along.
    async fn answer(&self, store: &Store, level: &DedupeLevel) -> Result<Json<Value>> {
        let mut view = view(level)?;
        let product = match self.scope {
            DedupeScope::Product(id) => id,
            _ => ProductId::default(),
        };
        let levels = store.dedupe_levels(product).await?;
        let kind = self.test_type.as_deref().unwrap_or_default();
        let scanner = tatami_scanners::by_scan_type(kind);
        let resolved = match scanner {
            Some(scanner) => levels.resolve(&scanner.dedupe, kind),
            None => levels.resolve(&tatami_domain::Dedupe::BY_HAND, kind),
        };
        let mut effective = json!(resolved);
        if self.test_type.is_none() {
            // each scanner has its own, where no level says otherwise
            for (name, said) in [
                ("algorithm", level_says(&levels, |s| s.algorithm.is_some())),
                (
                    "hash_fields",
                    level_says(&levels, |s| s.hash_fields.is_some()),
                ),
                (
                    "allow_null_cwe",
                    level_says(&levels, |s| s.allow_null_cwe.is_some()),
                ),
            ] {
                if !said {
                    effective[name] = Value::Null;
                }
            }
        }
        view["effective"] = effective;
        Ok(Json(view))
    }
}

fn level_says(
    levels: &tatami_domain::DedupeLevels,
    says: impl Fn(&DedupeSettings) -> bool,
) -> bool {
    says(&levels.system) || says(&levels.product)
}

/// Changes a level, again where somebody else was quicker.
pub async fn change_level(
    store: &Store,
    scope: DedupeScope,
    change: impl Fn(&mut DedupeLevel) -> Result<()>,
) -> Result<DedupeLevel> {
    for _ in 0..TRIES {
        let old = store.dedupe_level(scope).await?;
        let mut level = old.clone();
        change(&mut level)?;
        if level == old {
            return Ok(old);
        }
        if store.put_dedupe_level(&level).await? {
            level.version += 1;
            return Ok(level);
        }
    }
    Err(StoreError::Contention("these settings".into()).into())
}

/// A level on which a job works is not changed.
fn free(level: &DedupeLevel) -> Result<()> {
    match level.job {
        None => Ok(()),
        Some(job) => Err(ApiError::Detail(
            StatusCode::CONFLICT,
            format!("Re-hash job {job} works on these settings; wait for it or roll it back."),
        )),
    }
}

/// What fields alone cannot say.
fn check(sent: &Object) -> Result<()> {
    let fields = sent.get("hash_fields").and_then(Value::as_array);
    let known = HashField::ALL.map(HashField::name);
    for field in fields.into_iter().flatten().filter_map(Value::as_str) {
        if !known.contains(&field) {
            let message = format!(
                "\"{field}\" cannot be hashed. Use some of: {}.",
                known.join(", ")
            );
            return Err(ApiError::field("hash_fields", message));
        }
    }
    Ok(())
}

/// Settings with what was sent; null takes a setting back.
fn changed(settings: &DedupeSettings, sent: &Object) -> Result<DedupeSettings> {
    let internal = |e: serde_json::Error| ApiError::Internal(e.to_string());
    let mut document = serde_json::to_value(settings).map_err(internal)?;
    for (name, value) in sent {
        document[name] = value.clone();
    }
    serde_json::from_value(document).map_err(internal)
}

/// What a level says, with null for what it inherits.
pub fn said(settings: &DedupeSettings) -> Result<Object> {
    let internal = |e: serde_json::Error| ApiError::Internal(e.to_string());
    let said = serde_json::to_value(settings).map_err(internal)?;
    let fields = FIELDS.iter().filter(|field| !field.read_only);
    Ok(fields
        .map(|field| (field.name.to_owned(), said[field.name].clone()))
        .collect())
}

/// A level as clients see it.
fn view(level: &DedupeLevel) -> Result<Value> {
    let (scope, product, test_type) = match level.scope {
        DedupeScope::System => ("system", None, None),
        DedupeScope::Product(id) => ("product", Some(id), None),
        DedupeScope::TestType(id) => ("test_type", None, Some(id)),
    };
    let mut view = json!({"scope": scope, "product": product, "test_type": test_type});
    for (name, value) in said(&level.settings)? {
        view[name] = value;
    }
    view["pending"] = json!(level.pending.as_ref().map(said).transpose()?);
    view["rehash_job"] = json!(level.job);
    let set = level.version > 0;
    view["changed"] = json!(set.then_some(level.changed));
    view["changed_by"] = json!(level.by);
    Ok(view)
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    listing: Listing,
) -> Result<Json<Page<Value>>> {
    let visible = caller.visible(Permission::ViewProducts).await?;
    let store = &api.services.store;
    let mut views = Vec::new();
    for level in store.dedupe_level_list().await? {
        if let DedupeScope::Product(id) = level.scope
            && !visible.sees(Place::Product(id))
        {
            continue;
        }
        let known = Level {
            scope: level.scope,
            test_type: level.test_type.clone(),
            ..Level::system()
        };
        views.push(known.answer(store, &level).await?.0);
    }
    Ok(Json(listing.cut(views)))
}

async fn get_system(State(api): State<Api>, caller: Caller) -> Result<Versioned<Json<Value>>> {
    Level::system().show(&api, &caller).await
}

async fn write_system(
    State(api): State<Api>,
    caller: Caller,
    if_match: IfMatch,
    mode: Mode,
    Body(body): Body,
) -> Result<Versioned<Json<Value>>> {
    let level = Level::system();
    level.change(&api, &caller, &if_match, &body, mode).await
}

async fn get_product(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Versioned<Json<Value>>> {
    let level = Level::product(&api.services.store, &id).await?;
    level.show(&api, &caller).await
}

async fn write_product(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
    mode: Mode,
    Body(body): Body,
) -> Result<Versioned<Json<Value>>> {
    let level = Level::product(&api.services.store, &id).await?;
    level.change(&api, &caller, &if_match, &body, mode).await
}

async fn get_test_type(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Versioned<Json<Value>>> {
    let level = Level::test_type(&api.services.store, &id).await?;
    level.show(&api, &caller).await
}

async fn write_test_type(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
    mode: Mode,
    Body(body): Body,
) -> Result<Versioned<Json<Value>>> {
    let level = Level::test_type(&api.services.store, &id).await?;
    level.change(&api, &caller, &if_match, &body, mode).await
}

async fn preview_system(
    State(api): State<Api>,
    caller: Caller,
    Body(body): Body,
) -> Result<Json<Value>> {
    Level::system().preview(&api, &caller, &body).await
}

async fn preview_product(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Body(body): Body,
) -> Result<Json<Value>> {
    let level = Level::product(&api.services.store, &id).await?;
    level.preview(&api, &caller, &body).await
}

async fn preview_test_type(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Body(body): Body,
) -> Result<Json<Value>> {
    let level = Level::test_type(&api.services.store, &id).await?;
    level.preview(&api, &caller, &body).await
}

/// Changes what the system's settings say under the names that clients know; what isn't said stays.
pub async fn change_system(
    api: &Api,
    by: UserId,
    enabled: Option<bool>,
    false_positive_history: Option<bool>,
    check: impl Fn(&DedupeLevel) -> Result<()>,
) -> Result<()> {
    let change = |old: &DedupeSettings| {
        Ok(DedupeSettings {
            enabled: enabled.or(old.enabled),
            false_positive_history: false_positive_history.or(old.false_positive_history),
            ..old.clone()
        })
    };
    Level::system().write(api, by, check, change).await?;
    Ok(())
}
