//! Big reports: a link to PUT them into the bucket without passing through here.

use std::collections::HashMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use tatami_domain::{ImportKind, parse_bool};

use super::scans::{prepare, read_options, record, request_schema};
use crate::Api;
use crate::auth::Caller;
use crate::body::{Body, flattened};
use crate::error::Result;
use crate::fields::{Field, Kind, Target};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::Base;
use crate::view::import::status_url;

/// How long a link is good.
const VALID: Duration = Duration::from_hours(1);

/// Adds the route.
pub fn add(routes: &mut Routes) {
    let upload = Operation::post("/api/v2/uploads", "A link to upload a big report by")
        .body("UploadRequest")
        .may_be_missing()
        .answers(201, Answer::One("Upload"));
    routes.add(&upload, self::upload);
    routes.schema(
        "UploadRequest",
        request_schema([
            ("file_name".to_owned(), json!({"type": "string"})),
            (
                "reimport".to_owned(),
                json!({"type": "boolean", "default": false}),
            ),
        ]),
    );
    let fields = [
        Field::answer("import_id", Kind::Ref(Target::Unknown)),
        Field::answer("method", Kind::Choice(&["PUT"])),
        Field::answer("url", Kind::Text(0)),
        Field::answer("headers", Kind::Other("", false)),
        Field::answer("status_url", Kind::Text(0)),
        Field::answer("expires", Kind::DateTime),
    ];
    routes.schemas("Upload", &fields);
}

async fn upload(
    State(api): State<Api>,
    caller: Caller,
    Base(base): Base,
    Body(body): Body,
) -> Result<(StatusCode, Json<Value>)> {
    let fields = flattened(body);
    let field = |name: &str| {
        let field = fields
            .iter()
            .find(|(n, v)| n == name && !v.trim().is_empty());
        field.map(|(_, value)| value.as_str())
    };
    let (kind, wrong) = match field("reimport").map(parse_bool) {
        None | Some(Some(false)) => (ImportKind::Import, false),
        Some(Some(true)) => (ImportKind::Reimport, false),
        Some(None) => (ImportKind::Import, true),
    };
    let (options, mut problems) = read_options(&api, kind, &fields).await?;
    if wrong {
        problems.add("reimport", "It is not a boolean: use true or false.");
    }
    let file_name = field("file_name").unwrap_or("report");
    let prepared = prepare(&api, &caller, options, problems, None).await?;
    let import = record(&api, &caller, prepared, file_name, 0).await?;
    let metadata = HashMap::from([("import".to_owned(), import.id.to_string())]);
    let link = api
        .services
        .blobs
        .presign_upload(&import.key, metadata, VALID)
        .await?;
    let headers: Map<String, Value> = link
        .headers
        .into_iter()
        .map(|(name, value)| (name, json!(value)))
        .collect();
    let valid = SignedDuration::try_from(VALID).unwrap_or(SignedDuration::ZERO);
    let answer = json!({
        "import_id": import.id,
        "method": "PUT",
        "url": link.url,
        "headers": headers,
        "status_url": status_url(&base, &import),
        "expires": Timestamp::now().checked_add(valid).ok(),
    });
    Ok((StatusCode::CREATED, Json(answer)))
}
