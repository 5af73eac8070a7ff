//! Health, the OpenAPI document, and the page that shows it.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, header};
use serde_json::{Value, json};

use crate::Api;
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind};
use crate::openapi::{Answer, Operation, Routes};
use crate::query::Query;

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let health = Operation::get("/health", "Is it there?");
    routes.add_public(&health, self::health);
    let schema = Operation::get(
        "/api/v2/oa3/schema",
        "This document, as JSON or as YAML; it is in English, whatever `lang` says",
    )
    .query([
        Field::new("format", Kind::Choice(&["json", "yaml"])),
        Field::new("lang", Kind::Text(0)),
    ])
    .answers(200, Answer::Media(&[JSON, YAML]));
    routes.add_public(&schema, self::schema);
    let page = Operation::get(PAGE, "A page that shows this document")
        .answers(200, Answer::Media(&["text/html"]));
    routes.add_public(&page, self::page);
    let file = Operation::get(format!("{PAGE}/{{name}}"), "A file of that page")
        .answers(200, Answer::Media(&["text/css", "text/javascript"]));
    routes.add_public(&file, self::file);
}

async fn health() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

async fn schema(State(api): State<Api>, query: Query, headers: HeaderMap) -> Result<Response> {
    let accept = headers.get(header::ACCEPT);
    let accept = accept
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let as_yaml = match query.get("format") {
        Some("json") => false,
        Some("yaml") => true,
        Some(_) => return Err(ApiError::field("format", "Use json or yaml.")),
        None => accept.contains("yaml"),
    };
    let (kind, text) = if as_yaml {
        (YAML, api.document.yaml()?)
    } else {
        (JSON, api.document.json())
    };
    Ok(([(header::CONTENT_TYPE, kind)], text.to_owned()).into_response())
}

const PAGE: &str = "/api/v2/oa3/swagger-ui";

/// Nothing that isn't ours is loaded or run, and nobody puts the page into theirs.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

macro_rules! asset {
    ($name:literal) => {
        include_bytes!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/assets/swagger-ui/",
            $name
        ))
    };
}

async fn page() -> Response {
    shown("text/html; charset=utf-8", asset!("index.html"))
}

async fn file(Path(name): Path<String>) -> Result<Response> {
    Ok(match name.as_str() {
        "swagger-ui.css" => shown("text/css; charset=utf-8", asset!("swagger-ui.css")),
        "swagger-ui-bundle.js" => shown(SCRIPT, asset!("swagger-ui-bundle.js")),
        "start.js" => shown(SCRIPT, asset!("start.js")),
        _ => return Err(ApiError::not_found()),
    })
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

fn shown(kind: &'static str, bytes: &'static [u8]) -> Response {
    let headers: [(HeaderName, &str); 5] = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "max-age=3600"),
    ];
    (headers, bytes).into_response()
}
