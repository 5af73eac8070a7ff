//! DynamoDB: the engine of `dynoxide-rs`, called in process.
//!
//! `dynoxide` also has an HTTP server, but that would be one more hop and an open port that checks no
//! signature. Its engine blocks, so calls run on blocking threads, as many at once as there are cores:
//! one at a time holds the database, another can parse or write its JSON meanwhile.

use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use dynoxide::{Database, DynoxideError};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use crate::Error;

/// The tables of a data directory.
#[derive(Clone)]
pub(crate) struct Tables {
    database: Database,
    turns: Arc<Semaphore>,
}

impl Tables {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let failed = |error: DynoxideError| Error::DynamoDb(error.to_string());
        let database = Database::new(&path.to_string_lossy()).map_err(failed)?;
        // Leaves SQLite with `synchronous = NORMAL`, which in WAL mode survives a killed process
        // and spares a disk flush for each write, and with a page cache of 2 MB.
        database.disable_bulk_loading().map_err(failed)?;
        let cores = std::thread::available_parallelism().map_or(2, Into::into);
        Ok(Self {
            database,
            turns: Arc::new(Semaphore::new(cores)),
        })
    }

    /// Answers one call: `target` is the `X-Amz-Target` header.
    pub(crate) async fn handle(&self, target: &str, body: Bytes) -> Response {
        let Ok(turn) = Arc::clone(&self.turns).acquire_owned().await else {
            return respond(StatusCode::SERVICE_UNAVAILABLE, String::new());
        };
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let database = self.database.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let answer = dispatch(&database, &operation, &body);
            drop(turn);
            answer
        })
        .await;
        match answer {
            Ok(Ok(json)) => respond(StatusCode::OK, json),
            Ok(Err(error)) => {
                let status = StatusCode::from_u16(error.status_code());
                if error.status_code() >= 500 {
                    tracing::error!(target, %error, "local DynamoDB call failed");
                }
                respond(status.unwrap_or(StatusCode::BAD_REQUEST), error.to_json())
            }
            Err(error) => {
                tracing::error!(target, %error, "local DynamoDB call panicked");
                let error = DynoxideError::InternalServerError("internal failure".into());
                respond(StatusCode::INTERNAL_SERVER_ERROR, error.to_json())
            }
        }
    }

    /// Deletes the items that are past their time to live.
    pub(crate) async fn sweep(&self) {
        let database = self.database.clone();
        match tokio::task::spawn_blocking(move || database.sweep_ttl()).await {
            Ok(Ok(0)) | Err(_) => {}
            Ok(Ok(deleted)) => tracing::debug!(deleted, "expired items deleted"),
            Ok(Err(error)) => tracing::warn!(%error, "expired items could not be deleted"),
        }
    }
}

/// An error of DynamoDB's front door.
pub(crate) fn failure(code: &str, message: &str) -> Response {
    let body = serde_json::json!({
        "__type": format!("com.amazon.coral.service#{code}"),
        "message": message,
    });
    respond(StatusCode::BAD_REQUEST, body.to_string())
}

fn respond(status: StatusCode, json: String) -> Response {
    let mut response = Response::new(Body::from(json));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        "content-type",
        HeaderValue::from_static("application/x-amz-json-1.0"),
    );
    if let Ok(id) = HeaderValue::from_str(&uuid::Uuid::new_v4().simple().to_string()) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

type Answer = Result<String, DynoxideError>;

fn dispatch(db: &Database, operation: &str, body: &[u8]) -> Answer {
    match operation {
        "BatchExecuteStatement" => call(body, |request| db.batch_execute_statement(request)),
        "BatchGetItem" => call(body, |request| db.batch_get_item(request)),
        "BatchWriteItem" => call(body, |request| db.batch_write_item(request)),
        "CreateTable" => call(body, |request| db.create_table(request)),
        "DeleteItem" => call(body, |request| db.delete_item(request)),
        "DeleteTable" => call(body, |request| db.delete_table(request)),
        "DescribeStream" => call(body, |request| db.describe_stream(request)),
        "DescribeTable" => call(body, |request| db.describe_table(request)),
        "DescribeTimeToLive" => call(body, |request| db.describe_time_to_live(request)),
        "ExecuteStatement" => call(body, |request| db.execute_statement(request)),
        "ExecuteTransaction" => call(body, |request| db.execute_transaction(request)),
        "GetItem" => call(body, |request| db.get_item(request)),
        "GetRecords" => call(body, |request| db.get_records(request)),
        "GetShardIterator" => call(body, |request| db.get_shard_iterator(request)),
        "ListStreams" => call(body, |request| db.list_streams(request)),
        "ListTables" => call(body, |request| db.list_tables(request)),
        "ListTagsOfResource" => call(body, |request| db.list_tags_of_resource(request)),
        "PutItem" => call(body, |request| db.put_item(request)),
        "Query" => call(body, |request| db.query(request)),
        "Scan" => call(body, |request| db.scan(request)),
        "TagResource" => call(body, |request| db.tag_resource(request)),
        "TransactGetItems" => call(body, |request| db.transact_get_items(request)),
        "TransactWriteItems" => call(body, |request| db.transact_write_items(request)),
        "UntagResource" => call(body, |request| db.untag_resource(request)),
        "UpdateItem" => call(body, |request| db.update_item(request)),
        "UpdateTable" => call(body, |request| db.update_table(request)),
        "UpdateTimeToLive" => call(body, |request| db.update_time_to_live(request)),
        _ => Err(DynoxideError::ValidationException(format!(
            "operation {operation} is not supported by the local DynamoDB"
        ))),
    }
}

fn call<Request: DeserializeOwned, Reply: Serialize>(
    body: &[u8],
    operation: impl FnOnce(Request) -> Result<Reply, DynoxideError>,
) -> Answer {
    let request = serde_json::from_slice(body).map_err(|error| refusal(&error))?;
    let reply = operation(request)?;
    serde_json::to_string(&reply)
        .map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// `dynoxide` marks in the message of a parse failure which error DynamoDB would give.
fn refusal(error: &serde_json::Error) -> DynoxideError {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    let mut parts = message.splitn(2, ':');
    match (parts.next(), parts.next()) {
        (Some(mark), Some(text)) if mark.starts_with("VALIDATION") => {
            DynoxideError::ValidationException(text.to_owned())
        }
        (Some(mark), Some(text)) if mark.starts_with("SERIALIZATION") => {
            DynoxideError::SerializationException(text.to_owned())
        }
        _ if error.is_data() => DynoxideError::ValidationException(message.to_owned()),
        _ => DynoxideError::SerializationException(message.to_owned()),
    }
}
