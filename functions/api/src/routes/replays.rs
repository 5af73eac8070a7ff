//! Reading the reports of earlier imports again with today's parser.
//!
//! A replay is an import of its own. It first shows the difference (`apply: false`, the default), and
//! changes findings only when asked to.

use std::collections::{BTreeMap, HashMap};

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_blobs::{BlobError, difference_key};
use tatami_domain::{
    Import, ImportId, ImportKind, ImportOptions, ImportState, ProductId, ReplayOf, Test,
};

use super::catalog::id_in_path;
use crate::Api;
use crate::auth::Caller;
use crate::body::Body;
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Mode, Object, Target, read};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::{Base, Listing, Page};
use crate::view::import::record;

/// So many reports are read again at once; more are asked for product by product.
const MANY: usize = 200;

const REQUEST: &[Field] = &[Field::new("apply", Kind::Bool)];
const REQUEST_MANY: &[Field] = &[
    Field::new("scan_type", Kind::Text(0)).required(),
    Field::new("product", Kind::Ref(Target::Product)).nullable(),
    Field::new("apply", Kind::Bool),
    Field::answer("imports", Kind::Other("Import", true)),
    Field::answer("left_out", Kind::Other("", false)),
];
const DIFFERENCE: &[Field] = &[
    Field::answer("change", Kind::Choice(&["changed", "new", "gone"])),
    Field::answer("finding", Kind::Ref(Target::Unknown)).nullable(),
    Field::answer("title", Kind::Text(0)),
    Field::answer("fields", Kind::Other("", false)),
];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let one = Operation::post(
        "/api/v2/imports/{id}/replay",
        "Read the report again with today's parser",
    )
    .body("ReplayRequest")
    .answers(202, Answer::One("Import"));
    routes.add(&one, replay);
    let many = Operation::post(
        "/api/v2/imports/replay",
        "Read the latest report of every test of a scan type again",
    )
    .body("ReplayManyRequest")
    .answers(202, Answer::One("ReplayMany"));
    routes.add(&many, replay_many);
    let difference = Operation::get(
        "/api/v2/imports/{id}/difference",
        "What a replay changes, or would change, finding by finding",
    )
    .answers(200, Answer::Page("ReplayDifference"));
    routes.add(&difference, self::difference);
    let request = json!({"type": "object", "properties": {"apply": {"type": "boolean"}}});
    routes.schema("ReplayRequest", request);
    routes.schemas("ReplayMany", REQUEST_MANY);
    routes.schemas("ReplayDifference", DIFFERENCE);
}

fn applies(sent: &Object) -> bool {
    sent.get("apply").and_then(Value::as_bool) == Some(true)
}

async fn replay(
    State(api): State<Api>,
    caller: Caller,
    Base(base): Base,
    Path(id): Path<String>,
    Body(body): Body,
) -> Result<(StatusCode, Json<Value>)> {
    let original = api
        .services
        .store
        .import(ImportId(id_in_path(&id)?))
        .await?;
    let place = Place::from(&original);
    caller.require(Permission::Import, place).await?;
    let sent = read(&body, REQUEST, Mode::Create).map_err(ApiError::Fields)?;
    if let Some(reason) = obstacle(&api, &original).await? {
        return Err(ApiError::Detail(StatusCode::BAD_REQUEST, reason));
    }
    let import = start(&api, &caller, &original, applies(&sent)).await?;
    Ok((StatusCode::ACCEPTED, Json(record(&base, &import))))
}

async fn replay_many(
    State(api): State<Api>,
    caller: Caller,
    Base(base): Base,
    Body(body): Body,
) -> Result<(StatusCode, Json<Value>)> {
    let sent = read(&body, REQUEST_MANY, Mode::Create).map_err(ApiError::Fields)?;
    let store = &api.services.store;
    let product: Option<ProductId> = sent.get("product").and_then(Value::as_u64).map(Into::into);
    caller
        .require(
            Permission::Import,
            product.map_or(Place::Everywhere, Place::Product),
        )
        .await?;
    let name = sent.get("scan_type").and_then(Value::as_str);
    let scanner = name.and_then(tatami_scanners::by_scan_type);
    let Some(scanner) = scanner else {
        let name = name.unwrap_or_default();
        return Err(ApiError::field(
            "scan_type",
            format!("\"{name}\" is not a valid choice."),
        ));
    };
    let mut originals = Vec::new();
    for test in store.list::<Test>().await? {
        let of_type = test.scan_type.as_deref() == Some(scanner.scan_type);
        if !of_type || product.is_some_and(|product| test.product != product) {
            continue;
        }
        let imports = store.imports_of(test.id).await?;
        let latest = imports.into_iter().rev().find(|import| {
            let replay = import.options.kind == ImportKind::Replay;
            import.state == ImportState::Done && !replay && !import.by_hand
        });
        originals.extend(latest);
        if originals.len() > MANY {
            return Err(ApiError::field(
                "scan_type",
                format!("More than {MANY} tests hold such reports; name one product at a time."),
            ));
        }
    }
    let mut started = Vec::new();
    let mut left_out = BTreeMap::new();
    for original in originals {
        if let Some(reason) = obstacle(&api, &original).await? {
            left_out.insert(original.id.to_string(), reason);
        } else {
            let import = start(&api, &caller, &original, applies(&sent)).await?;
            started.push(record(&base, &import));
        }
    }
    let answer = json!({
        "scan_type": scanner.scan_type,
        "product": product,
        "apply": applies(&sent),
        "imports": started,
        "left_out": left_out,
    });
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

/// Why an import's report cannot be read again; `None` where it can.
async fn obstacle(api: &Api, original: &Import) -> Result<Option<String>> {
    let id = original.id;
    if original.options.kind == ImportKind::Replay {
        return Ok(Some(format!(
            "Import {id} is a replay itself; replay the import it reads."
        )));
    }
    if original.by_hand {
        return Ok(Some(format!(
            "Import {id} was only noted by hand and has no report."
        )));
    }
    let Some(test) = original
        .test
        .filter(|_| original.state == ImportState::Done)
    else {
        return Ok(Some(format!(
            "Import {id} is {}; only one that is done can be read again.",
            original.state.name()
        )));
    };
    let store = &api.services.store;
    let later = store.imports_after(test, original.sequence).await?;
    let newer = later.iter().rev().find(|other| {
        other.options.kind == ImportKind::Reimport && other.state != ImportState::Failed
    });
    if let Some(newer) = newer {
        return Ok(Some(format!(
            "Import {id} is not the latest of test {test}; replay import {}.",
            newer.id
        )));
    }
    match api
        .services
        .blobs
        .open(&original.bucket, &original.key)
        .await
    {
        Ok(_) => Ok(None),
        Err(BlobError::NotFound { .. }) => Ok(Some(format!(
            "The raw report of import {id} is gone from s3://{}/{}.",
            original.bucket, original.key
        ))),
        Err(error) => Err(error.into()),
    }
}

/// Makes the import of a replay and tells the parser by an upload of its own.
async fn start(api: &Api, caller: &Caller, original: &Import, apply: bool) -> Result<Import> {
    let services = &api.services;
    let import = Import {
        bucket: services.blobs.uploads_bucket().to_owned(),
        size: original.size,
        by: Some(caller.0.user),
        created: Timestamp::now(),
        scan_type: original.scan_type.clone(),
        product_type: original.product_type,
        product: original.product,
        engagement: original.engagement,
        test: original.test,
        scan_date: original.scan_date,
        options: ImportOptions {
            kind: ImportKind::Replay,
            scan_type: original.scan_type.clone(),
            test: original.test,
            auto_create_context: false,
            ..original.options.clone()
        },
        replay: Some(ReplayOf {
            import: original.id,
            apply,
            counts: None,
        }),
        ..Import::default()
    };
    let key = |id| format!("replays/{id}");
    let import = services.store.create_import_at(import, key).await?;
    let metadata = HashMap::from([("import".to_owned(), import.id.to_string())]);
    let order = format!("replay of import {}", original.id);
    services
        .blobs
        .put_upload(&import.key, order.into_bytes(), metadata)
        .await?;
    Ok(import)
}

async fn difference(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    listing: Listing,
) -> Result<Json<Page<Value>>> {
    let import = api
        .services
        .store
        .import(ImportId(id_in_path(&id)?))
        .await?;
    let place = Place::from(&import);
    caller.require(Permission::ViewProducts, place).await?;
    if import.replay.and_then(|replay| replay.counts).is_none() {
        return Err(ApiError::Detail(
            StatusCode::NOT_FOUND,
            format!("Import {id} has no difference: it is no replay, or not read yet."),
        ));
    }
    let differences: Vec<Value> = api.services.blobs.json(&difference_key(import.id)).await?;
    Ok(Json(listing.cut(differences)))
}
