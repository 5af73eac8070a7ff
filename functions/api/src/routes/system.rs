//! Health and the OpenAPI document.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use http::header;
use serde_json::{Value, json};

use crate::Api;
use crate::openapi::{Operation, Routes};

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    routes.add_public(&Operation::get("/health", "Is it there?"), health);
    let schema = Operation::get("/api/v2/oa3/schema", "This document");
    routes.add_public(&schema, self::schema);
}

async fn health() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

async fn schema(State(api): State<Api>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "application/json")],
        api.document.to_string(),
    )
}
