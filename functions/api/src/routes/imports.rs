//! The records of imports.

use axum::Json;
use axum::extract::{Path, State};
use serde_json::Value;
use tatami_auth::{Permission, Place};
use tatami_domain::{ImportId, Test};

use super::catalog::id_in_path;
use crate::Api;
use crate::auth::Caller;
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Target};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::{Base, Listing, Page};
use crate::view::import::{FIELDS, record};

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let list = Operation::get("/api/v2/imports", "The imports of a test, latest first")
        .query([Field::new("test", Kind::Ref(Target::Test)).required()])
        .answers(200, Answer::Page("Import"));
    routes.add(&list, self::list);
    let get = Operation::get(
        "/api/v2/imports/{id}",
        "How far an import is, and how it went",
    )
    .answers(200, Answer::One("Import"));
    routes.add(&get, self::get);
    routes.schemas("Import", FIELDS);
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    Base(base): Base,
    listing: Listing,
) -> Result<Json<Page<Value>>> {
    let store = &api.services.store;
    let [test] = listing.query.ids("test")?[..] else {
        caller.require(Permission::ViewProducts, Place::Everywhere)?;
        return Err(ApiError::field("test", "Name one test by its id."));
    };
    let test: Test = store.get(test.into()).await?;
    caller.require(Permission::ViewProducts, Place::Product(test.product))?;
    let mut imports = store.imports_of(test.id).await?;
    imports.reverse();
    Ok(Json(listing.cut(
        imports.iter().map(|import| record(&base, import)).collect(),
    )))
}

async fn get(
    State(api): State<Api>,
    caller: Caller,
    Base(base): Base,
    Path(id): Path<String>,
) -> Result<Json<Value>> {
    let import = api
        .services
        .store
        .import(ImportId(id_in_path(&id)?))
        .await?;
    let place = import.product.map_or(Place::Everywhere, Place::Product);
    caller.require(Permission::ViewProducts, place)?;
    Ok(Json(record(&base, &import)))
}
