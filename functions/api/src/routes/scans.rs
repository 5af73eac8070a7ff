//! Reports in: import-scan and reimport-scan.
//!
//! The report goes into the uploads bucket like any other; its event starts the pipeline, and the
//! answer waits for it as long as clients and gateways do.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use bytes::Bytes;
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{
    Finding, GroupBy, Import, ImportActions, ImportId, ImportKind, ImportOptions, ImportState,
    Severity, SeverityCounts, Test, TestId, TestType, User,
};
use tatami_scanners::Report;
use tatami_store::{Missing, Sight, Target};
use tokio::time::{Instant, sleep};

use super::records::check_configuration;
use crate::Api;
use crate::auth::Caller;
use crate::body::{Upload, too_large};
use crate::error::{ApiError, Problems, Result};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::Base;
use crate::query::today;
use crate::view::import::{imported, refused, status_url};

/// API Gateway gives up after 30 s.
const WAIT: Duration = Duration::from_secs(25);
/// The first pause between two looks at the import, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(250));

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let import = Operation::post(
        "/api/v2/import-scan",
        "Import a report into a test of its own",
    )
    .multipart("ImportScanRequest")
    .may_be_missing()
    .answers(201, Answer::One("ImportScan"));
    routes.add(&import, import_scan);
    let reimport = Operation::post("/api/v2/reimport-scan", "Hold a report against a test")
        .multipart("ReImportScanRequest")
        .may_be_missing()
        .answers(201, Answer::One("ImportScan"));
    routes.add(&reimport, reimport_scan);
    let file = || {
        (
            "file".to_owned(),
            json!({"type": "string", "format": "binary"}),
        )
    };
    routes.schema("ImportScanRequest", request_schema([file()]));
    routes.schema("ReImportScanRequest", request_schema([file()]));
    routes.schema("ImportScan", answer_schema());
}

/// The schema of the fields of an import, and others.
pub fn request_schema(others: impl IntoIterator<Item = (String, Value)>) -> Value {
    let property = |name: &'static str| {
        let schema = match name {
            "product" | "engagement" | "test" | "lead" => json!({"type": "integer"}),
            "api_scan_configuration" => json!({"type": "integer", "nullable": true}),
            "tags" => json!({"type": "array", "items": {"type": "string"}}),
            "minimum_severity" => {
                json!({"type": "string", "enum": Severity::ALL.map(Severity::name)})
            }
            "scan_type" => {
                let names: Vec<&str> = tatami_scanners::all().map(|s| s.scan_type).collect();
                json!({"type": "string", "enum": names})
            }
            "scan_date" | "engagement_end_date" => json!({"type": "string", "format": "date"}),
            "auto_create_context"
            | "active"
            | "verified"
            | "apply_tags_to_findings"
            | "apply_tags_to_endpoints"
            | "close_old_findings"
            | "close_old_findings_product_scope"
            | "do_not_reactivate"
            | "deduplication_on_engagement"
            | "push_to_jira" => json!({"type": "boolean"}),
            "create_finding_groups_for_all_findings" => {
                json!({"type": "boolean", "default": true})
            }
            "group_by" => json!({"type": "string", "enum": GroupBy::NAMES}),
            "deduplication_execution_mode" => {
                json!({"type": "string", "enum": ImportOptions::EXECUTION_MODES})
            }
            _ => json!({"type": "string"}),
        };
        (name.to_owned(), schema)
    };
    let properties: serde_json::Map<String, Value> = ImportOptions::FIELDS
        .iter()
        .map(|name| property(name))
        .chain(others)
        .collect();
    json!({"type": "object", "properties": properties})
}

fn answer_schema() -> Value {
    let whole = json!({"type": "integer"});
    let of_answer = json!({
        "test_id": whole, "engagement_id": whole, "product_id": whole, "product_type_id": whole,
        "import_id": whole,
        "scan_type": {"type": "string"},
        "deduplication_complete": {"type": "boolean"},
        "pro": {"type": "array", "items": {"type": "string"}},
        "statistics": {"type": "object"},
        "counts": {"type": "object"},
        "warnings": {"type": "array", "items": {"type": "object"}},
        "status_url": {"type": "string", "format": "uri"},
    });
    let others = of_answer.as_object().cloned().unwrap_or_default();
    let mut schema = request_schema(others);
    schema["required"] = json!([
        "test",
        "test_id",
        "engagement_id",
        "product_id",
        "product_type_id",
        "scan_type",
        "statistics",
        "deduplication_complete",
        "pro"
    ]);
    schema["additionalProperties"] = json!(true);
    schema
}

async fn import_scan(
    State(api): State<Api>,
    caller: Caller,
    base: Base,
    upload: Upload,
) -> Result<(StatusCode, Json<Value>)> {
    scan(&api, &caller, &base.0, ImportKind::Import, upload).await
}

async fn reimport_scan(
    State(api): State<Api>,
    caller: Caller,
    base: Base,
    upload: Upload,
) -> Result<(StatusCode, Json<Value>)> {
    scan(&api, &caller, &base.0, ImportKind::Reimport, upload).await
}

async fn scan(
    api: &Api,
    caller: &Caller,
    base: &str,
    kind: ImportKind,
    upload: Upload,
) -> Result<(StatusCode, Json<Value>)> {
    let Upload { file, fields } = upload;
    let (options, mut problems) = read_options(api, kind, &fields).await?;
    match &file {
        None => problems.add("file", "No file was submitted."),
        Some((_, bytes)) if bytes.trim_ascii().is_empty() => {
            problems.add("file", "The submitted file is empty.");
        }
        Some((_, bytes)) if bytes.len() as u64 > api.services.settings.max_report_bytes => {
            return Err(too_large());
        }
        Some(_) => {}
    }
    let prepared = prepare(api, caller, options, problems, file.as_ref()).await?;
    let (name, bytes) = file.ok_or_else(|| ApiError::field("file", "No file was submitted."))?;
    let size = bytes.len() as u64;
    let import = record(api, caller, prepared, &name, size).await?;
    let metadata = HashMap::from([("import".to_owned(), import.id.to_string())]);
    api.services
        .blobs
        .put_upload(&import.key, bytes, metadata)
        .await?;
    answer(api, base, import.id).await
}

/// The options that the fields say, and what is wrong with them.
pub async fn read_options(
    api: &Api,
    kind: ImportKind,
    fields: &[(String, String)],
) -> Result<(ImportOptions, Problems)> {
    let mut options = ImportOptions {
        kind,
        ..ImportOptions::default()
    };
    let mut problems = Problems::default();
    for (name, value) in fields {
        if let Err(error) = options.set(name, value) {
            problems.add(&error.field, error.message);
        }
    }
    if let Some(name) = &options.scan_type {
        match tatami_scanners::by_scan_type(name) {
            Some(scanner) => options.scan_type = Some(scanner.scan_type.to_owned()),
            None => problems.add("scan_type", format!("\"{name}\" is not a valid choice.")),
        }
    }
    if options.scan_date.is_some_and(|date| date > today()) {
        problems.add("scan_date", "The scan date is in the future.");
    }
    if let Some(lead) = options.lead {
        match api.services.store.get::<User>(lead).await {
            Ok(_) => {}
            Err(error) if error.is_not_found() => {
                problems.add(
                    "lead",
                    format!("Invalid pk \"{lead}\": there is no such object."),
                );
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok((options, problems))
}

/// Options with their target's ids, and the target.
pub struct Prepared {
    options: ImportOptions,
    target: Target,
}

/// Finds the target and checks the permission. Where something else is wrong, nothing is made.
pub async fn prepare(
    api: &Api,
    caller: &Caller,
    mut options: ImportOptions,
    problems: Problems,
    file: Option<&(String, Bytes)>,
) -> Result<Prepared> {
    let store = &api.services.store;
    if !problems.is_empty() {
        // An error of the target comes first, unless the target is still to be made.
        if !options.auto_create_context {
            let target = store.resolve_target(&options).await?;
            caller
                .require(Permission::Import, target_place(&target))
                .await?;
        }
        caller.require(Permission::Import, Place::Somewhere).await?;
        return Err(ApiError::Fields(problems));
    }
    if options.auto_create_context {
        caller.require(Permission::Import, Place::Somewhere).await?;
        permit_making(api, caller, &options).await?;
    }
    let target = store.resolve_target(&options).await?;
    caller
        .require(Permission::Import, target_place(&target))
        .await?;
    check_configuration(store, options.api_scan_configuration, target.product.id).await?;
    if let Some(test) = &target.test
        && options.scan_type.is_none()
    {
        options.scan_type = scan_type_of(api, test).await?;
    }
    if target.test.is_none() && options.kind == ImportKind::Reimport && !options.auto_create_context
    {
        options.test = Some(test_of(api, &options, &target, file).await?);
    }
    options.product = Some(target.product.id);
    options.engagement = Some(target.engagement.id);
    options.test = options.test.or(target.test.as_ref().map(|test| test.id));
    Ok(Prepared { options, target })
}

/// Where the findings of an import go.
fn target_place(target: &Target) -> Place {
    Place::Engagement(target.product.id, target.engagement.id)
}

/// May the caller make what isn't there yet?
async fn permit_making(api: &Api, caller: &Caller, options: &ImportOptions) -> Result<()> {
    let (permission, place) = match api.services.store.missing_of_target(options).await? {
        Missing::Nothing => return Ok(()),
        Missing::ProductType => (Permission::AddProductType, Place::Everywhere),
        Missing::Product(of) => (Permission::AddProduct, Place::ProductType(of)),
        Missing::Engagement(of) => (Permission::EditEngagement, Place::Product(of)),
    };
    caller.require(permission, place).await
}

/// The scan type of a test, where a scanner has it.
async fn scan_type_of(api: &Api, test: &Test) -> Result<Option<String>> {
    let known = |name: &str| tatami_scanners::by_scan_type(name).map(|s| s.scan_type.to_owned());
    if let Some(name) = test.scan_type.as_deref().and_then(known) {
        return Ok(Some(name));
    }
    match api.services.store.get::<TestType>(test.test_type).await {
        Ok(test_type) => Ok(known(&test_type.name)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The test that a re-import goes into where only its engagement is named.
async fn test_of(
    api: &Api,
    options: &ImportOptions,
    target: &Target,
    file: Option<&(String, Bytes)>,
) -> Result<TestId> {
    let scan_type = match (&options.scan_type, file) {
        (Some(name), _) => name.clone(),
        (None, Some((name, bytes))) => {
            let scanner = tatami_scanners::detect(&Report::from_bytes(name, bytes));
            let scanner = scanner.map_err(|e| ApiError::field("file", e.to_string()))?;
            scanner.scan_type.to_owned()
        }
        (None, None) => return Err(ApiError::field("scan_type", "This field is required.")),
    };
    let title = options.test_title.as_deref();
    let tests = api.services.store.tests_of(target.engagement.id).await?;
    let mut found = None;
    for test in tests.iter().rev() {
        let titled = title.is_none_or(|title| test.title.as_deref().unwrap_or_default() == title);
        if titled && scan_type_of(api, test).await?.as_ref() == Some(&scan_type) {
            found = Some(test.id);
            break;
        }
    }
    found.ok_or_else(|| {
        ApiError::Detail(
            StatusCode::NOT_FOUND,
            format!(
                "Engagement {} has no such test of {scan_type}; create it, or set \
                 auto_create_context to true",
                target.engagement.id
            ),
        )
    })
}

/// Makes the record of an import whose report will lie under the record's key.
pub async fn record(
    api: &Api,
    caller: &Caller,
    prepared: Prepared,
    file_name: &str,
    size: u64,
) -> Result<Import> {
    let Prepared { options, target } = prepared;
    let store = &api.services.store;
    let import = Import {
        bucket: api.services.blobs.uploads_bucket().to_owned(),
        size,
        by: Some(caller.0.user),
        created: Timestamp::now(),
        scan_type: options.scan_type.clone(),
        product_type: Some(target.product.prod_type),
        product: options.product,
        engagement: options.engagement,
        test: options.test,
        options,
        ..Import::default()
    };
    let key = |id| format!("imports/{id}/{}", safe(file_name));
    Ok(store.create_import_at(import, key).await?)
}

/// A file name for a key: without folders and without what needs quoting anywhere.
fn safe(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' => c,
        _ => '_',
    };
    let name: String = last.chars().take(100).map(plain).collect();
    match name.trim_matches('.') {
        "" => "report".to_owned(),
        name => name.to_owned(),
    }
}

/// Waits for an import and answers with how it went.
async fn answer(api: &Api, base: &str, id: ImportId) -> Result<(StatusCode, Json<Value>)> {
    let deadline = Instant::now() + WAIT;
    let mut pause = PAUSE.0;
    loop {
        sleep(pause).await;
        let import = api.services.store.import(id).await?;
        match import.state {
            ImportState::Done => {
                let delta = match import.options.kind {
                    ImportKind::Import | ImportKind::Replay => None,
                    ImportKind::Reimport => Some(delta(api, &import).await?),
                };
                return Ok((
                    StatusCode::CREATED,
                    Json(imported(base, &import, delta.as_ref())),
                ));
            }
            ImportState::Failed => {
                return Err(ApiError::Body(
                    StatusCode::BAD_REQUEST,
                    refused(base, &import),
                ));
            }
            _ if Instant::now() >= deadline => {
                let body = json!({"import_id": id, "status_url": status_url(base, &import)});
                return Ok((StatusCode::ACCEPTED, Json(body)));
            }
            _ => pause = (pause * 3 / 2).min(PAUSE.1),
        }
    }
}

/// What a re-import created, closed, reactivated and left, by severity and flags.
async fn delta(api: &Api, import: &Import) -> Result<[SeverityCounts; 4]> {
    let (Some(product), Some(test)) = (import.product, import.test) else {
        return Ok(<[SeverityCounts; 4]>::default());
    };
    let actions: ImportActions = api.services.store.import_actions(import.id).await?;
    let sets = [
        &actions.created,
        &actions.closed,
        &actions.reactivated,
        &actions.untouched,
    ];
    let mut counts = [SeverityCounts::default(); 4];
    let see = |finding: &Arc<Finding>| {
        for (set, counts) in sets.iter().zip(&mut counts) {
            if set.contains(finding.id) {
                counts.add(finding);
            }
        }
    };
    let all = Sight::Test(product, test);
    api.services.store.sweep(all, see).await?;
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_safe_in_keys() {
        for (name, wanted) in [
            ("report.json", "report.json"),
            ("../../etc/pass wd", "pass_wd"),
            (r"C:\scans\Bericht Ä.xml", "Bericht__.xml"),
            ("..", "report"),
            ("", "report"),
        ] {
            assert_eq!(safe(name), wanted);
        }
    }

    #[test]
    fn the_schema_has_every_field_of_an_import() {
        let schema = request_schema([]);
        for name in ImportOptions::FIELDS {
            assert!(schema["properties"][name].is_object(), "{name}");
        }
    }
}
