//! The AWS JSON 1.0 protocol of SQS: `X-Amz-Target: AmazonSQS.<call>`.

use std::collections::HashSet;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{
    MAX_BATCH, MAX_VISIBILITY_S, MAX_WAIT_S, Message, NewMessage, Queues, SqsError, check_range,
    store,
};

/// Answers one call. `host` is the `Host` header: queue URLs point back to where the client asked.
pub(crate) async fn handle(queues: &Queues, target: &str, host: &str, body: &[u8]) -> Response {
    let call = target.strip_prefix("AmazonSQS.").unwrap_or(target);
    match dispatch(queues, call, host, body).await {
        Ok(answer) => json_response(StatusCode::OK, &answer),
        Err(error) => {
            if let SqsError::Db(error) = &error {
                tracing::error!(call, %error, "local SQS call failed");
            }
            let (status, code, query_code) = codes(&error);
            failure(status, code, query_code, &error.to_string())
        }
    }
}

/// An error as SQS writes it; `query_code` is the name that older clients know.
pub(crate) fn failure(status: StatusCode, code: &str, query_code: &str, message: &str) -> Response {
    let body = json!({"__type": format!("com.amazonaws.sqs#{code}"), "message": message});
    let mut response = json_response(status, &body);
    let fault = if status.is_server_error() {
        "Receiver"
    } else {
        "Sender"
    };
    if let Ok(value) = format!("{query_code};{fault}").parse() {
        response.headers_mut().insert("x-amzn-query-error", value);
    }
    response
}

fn json_response(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        "content-type",
        http::HeaderValue::from_static("application/x-amz-json-1.0"),
    );
    if let Ok(id) = uuid::Uuid::new_v4().to_string().parse() {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

fn codes(error: &SqsError) -> (StatusCode, &'static str, &'static str) {
    let (code, query_code) = match error {
        SqsError::QueueDoesNotExist => (
            "QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue",
        ),
        SqsError::QueueNameExists => ("QueueNameExists", "QueueAlreadyExists"),
        SqsError::ReceiptHandleIsInvalid => ("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid"),
        SqsError::MessageNotInflight => (
            "MessageNotInflight",
            "AWS.SimpleQueueService.MessageNotInflight",
        ),
        SqsError::InvalidParameterValue(_) => ("InvalidParameterValue", "InvalidParameterValue"),
        SqsError::InvalidAttributeName(_) => ("InvalidAttributeName", "InvalidAttributeName"),
        SqsError::MissingParameter(_) => ("MissingParameter", "MissingParameter"),
        SqsError::EmptyBatchRequest => (
            "EmptyBatchRequest",
            "AWS.SimpleQueueService.EmptyBatchRequest",
        ),
        SqsError::TooManyEntriesInBatchRequest => (
            "TooManyEntriesInBatchRequest",
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
        ),
        SqsError::BatchEntryIdsNotDistinct => (
            "BatchEntryIdsNotDistinct",
            "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
        ),
        SqsError::BatchRequestTooLong => (
            "BatchRequestTooLong",
            "AWS.SimpleQueueService.BatchRequestTooLong",
        ),
        SqsError::ResourceNotFound => ("ResourceNotFoundException", "ResourceNotFoundException"),
        SqsError::UnsupportedOperation(_) => (
            "UnsupportedOperation",
            "AWS.SimpleQueueService.UnsupportedOperation",
        ),
        SqsError::Db(_) => {
            return (
                StatusCode::INTERNAL_SERVER_ERROR,
                "InternalError",
                "InternalError",
            );
        }
    };
    (StatusCode::BAD_REQUEST, code, query_code)
}

async fn dispatch(queues: &Queues, call: &str, host: &str, body: &[u8]) -> Result<Value, SqsError> {
    match call {
        "SendMessage" => send_message(queues, parse(body)?).await,
        "SendMessageBatch" => send_batch(queues, parse(body)?).await,
        "ReceiveMessage" => receive(queues, parse(body)?).await,
        "DeleteMessage" => {
            let OneHandle {
                queue_url,
                receipt_handle,
            } = parse(body)?;
            let outcomes = queues
                .delete(queue_of_url(&queue_url), vec![receipt_handle])
                .await?;
            outcomes.into_iter().collect::<Result<(), _>>()?;
            Ok(json!({}))
        }
        "DeleteMessageBatch" => {
            let Batch { queue_url, entries }: Batch<DeleteEntry> = parse(body)?;
            let ids = batch_ids(entries.iter().map(|entry| &entry.id))?;
            let handles = entries
                .into_iter()
                .map(|entry| entry.receipt_handle)
                .collect();
            let outcomes = queues.delete(queue_of_url(&queue_url), handles).await?;
            Ok(batch_answer(ids, outcomes))
        }
        "ChangeMessageVisibility" => {
            let ChangeVisibility {
                queue_url,
                receipt_handle,
                visibility_timeout,
            } = parse(body)?;
            let changes = vec![(receipt_handle, visibility_timeout)];
            let outcomes = queues
                .change_visibility(queue_of_url(&queue_url), changes)
                .await?;
            outcomes.into_iter().collect::<Result<(), _>>()?;
            Ok(json!({}))
        }
        "ChangeMessageVisibilityBatch" => {
            let Batch { queue_url, entries }: Batch<ChangeEntry> = parse(body)?;
            let ids = batch_ids(entries.iter().map(|entry| &entry.id))?;
            let changes = entries
                .into_iter()
                .map(|entry| (entry.receipt_handle, entry.visibility_timeout))
                .collect();
            let outcomes = queues
                .change_visibility(queue_of_url(&queue_url), changes)
                .await?;
            Ok(batch_answer(ids, outcomes))
        }
        _ => dispatch_queue(queues, call, host, body).await,
    }
}

/// The calls about whole queues.
async fn dispatch_queue(
    queues: &Queues,
    call: &str,
    host: &str,
    body: &[u8],
) -> Result<Value, SqsError> {
    match call {
        "CreateQueue" => {
            let CreateQueue {
                queue_name,
                attributes,
            } = parse(body)?;
            queues.create(&queue_name, attributes).await?;
            Ok(json!({"QueueUrl": store::url(host, &queue_name)}))
        }
        "GetQueueUrl" => {
            let CreateQueue { queue_name, .. } = parse(body)?;
            queues.describe(&queue_name).await?;
            Ok(json!({"QueueUrl": store::url(host, &queue_name)}))
        }
        "ListQueues" => {
            let ListQueues { queue_name_prefix } = parse(body)?;
            let names = queues.list(&queue_name_prefix).await?;
            let urls: Vec<_> = names.iter().map(|name| store::url(host, name)).collect();
            Ok(json!({"QueueUrls": urls}))
        }
        "GetQueueAttributes" => {
            let OneQueue {
                queue_url,
                attribute_names,
                ..
            } = parse(body)?;
            let (queue, counts) = queues.describe(queue_of_url(&queue_url)).await?;
            let mut attributes = store::attributes(&queue, counts, |name| queues.arn(name));
            attributes.retain(|name, _| wanted(&attribute_names, name));
            Ok(json!({"Attributes": attributes}))
        }
        "SetQueueAttributes" => {
            let OneQueue {
                queue_url,
                attributes,
                ..
            } = parse(body)?;
            queues
                .set_attributes(queue_of_url(&queue_url), attributes)
                .await?;
            Ok(json!({}))
        }
        "PurgeQueue" => {
            let OneQueue { queue_url, .. } = parse(body)?;
            queues.purge(queue_of_url(&queue_url)).await?;
            Ok(json!({}))
        }
        "DeleteQueue" => {
            let OneQueue { queue_url, .. } = parse(body)?;
            queues.delete_queue(queue_of_url(&queue_url)).await?;
            Ok(json!({}))
        }
        "StartMessageMoveTask" => {
            let MoveTask {
                source_arn,
                destination_arn,
            } = parse(body)?;
            let source = store::queue_of_arn(&source_arn)?;
            let to = destination_arn
                .as_deref()
                .map(store::queue_of_arn)
                .transpose()?;
            queues.redrive(source, to.map(str::to_owned)).await?;
            // The move is done by now; the handle only satisfies the client.
            Ok(json!({"TaskHandle": BASE64.encode(source_arn)}))
        }
        _ => Err(SqsError::UnsupportedOperation(call.to_owned())),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateQueue {
    queue_name: String,
    #[serde(default)]
    attributes: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListQueues {
    #[serde(default)]
    queue_name_prefix: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OneQueue {
    queue_url: String,
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    attributes: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OneHandle {
    queue_url: String,
    receipt_handle: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ChangeVisibility {
    queue_url: String,
    receipt_handle: String,
    visibility_timeout: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MoveTask {
    source_arn: String,
    destination_arn: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Batch<E> {
    queue_url: String,
    entries: Vec<E>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteEntry {
    id: String,
    receipt_handle: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ChangeEntry {
    id: String,
    receipt_handle: String,
    visibility_timeout: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessage {
    queue_url: String,
    #[serde(flatten)]
    content: Content,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendEntry {
    id: String,
    #[serde(flatten)]
    content: Content,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Content {
    message_body: String,
    delay_seconds: Option<i64>,
    message_attributes: Option<Map<String, Value>>,
    #[serde(default)]
    message_system_attributes: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ReceiveMessage {
    queue_url: String,
    max_number_of_messages: Option<i64>,
    visibility_timeout: Option<i64>,
    wait_time_seconds: Option<i64>,
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
    #[serde(default)]
    message_attribute_names: Vec<String>,
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, SqsError> {
    serde_json::from_slice(body)
        .map_err(|error| SqsError::InvalidParameterValue(format!("invalid request: {error}")))
}

fn queue_of_url(url: &str) -> &str {
    url.trim_end_matches('/').rsplit('/').next().unwrap_or(url)
}

fn wanted(names: &[String], name: &str) -> bool {
    names.iter().any(|wanted| wanted == "All" || wanted == name)
}

impl Content {
    fn checked(self) -> Result<NewMessage, SqsError> {
        if self.message_body.is_empty() {
            return Err(SqsError::MissingParameter("MessageBody"));
        }
        let delay_s = self
            .delay_seconds
            .map(|seconds| check_range("DelaySeconds", seconds, 0, 15 * 60))
            .transpose()?;
        if self
            .message_attributes
            .as_ref()
            .is_some_and(|attributes| attributes.len() > MAX_BATCH)
        {
            return Err(SqsError::InvalidParameterValue(
                "number of message attributes exceeds the allowed maximum of 10".into(),
            ));
        }
        let trace = self.message_system_attributes.get("AWSTraceHeader");
        Ok(NewMessage {
            body: self.message_body,
            delay_s,
            attributes: self
                .message_attributes
                .filter(|attributes| !attributes.is_empty()),
            trace: trace
                .and_then(|trace| trace["StringValue"].as_str())
                .map(str::to_owned),
        })
    }
}

/// The digests that clients check, for a message that was sent or received.
fn digests(
    answer: &mut Map<String, Value>,
    body_key: &str,
    body: &str,
    attributes: Option<&Map<String, Value>>,
) {
    answer.insert(body_key.into(), json!(format!("{:x}", md5::compute(body))));
    if let Some(attributes) = attributes.filter(|attributes| !attributes.is_empty()) {
        answer.insert(
            "MD5OfMessageAttributes".into(),
            json!(attributes_md5(attributes)),
        );
    }
}

/// Names sorted; each name, type and value goes in with its length, the value after a type byte.
fn attributes_md5(attributes: &Map<String, Value>) -> String {
    let mut sorted: Vec<_> = attributes.iter().collect();
    sorted.sort_by_key(|(name, _)| *name);
    let mut digest = md5::Context::new();
    let add = |digest: &mut md5::Context, bytes: &[u8]| {
        digest.consume(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        digest.consume(bytes);
    };
    for (name, value) in sorted {
        let field = |key| value[key].as_str().unwrap_or_default();
        add(&mut digest, name.as_bytes());
        add(&mut digest, field("DataType").as_bytes());
        if field("DataType").starts_with("Binary") {
            digest.consume([2]);
            add(
                &mut digest,
                &BASE64.decode(field("BinaryValue")).unwrap_or_default(),
            );
        } else {
            digest.consume([1]);
            add(&mut digest, field("StringValue").as_bytes());
        }
    }
    format!("{:x}", digest.compute())
}

async fn send_message(queues: &Queues, request: SendMessage) -> Result<Value, SqsError> {
    let message = request.content.checked()?;
    let mut answer = Map::new();
    digests(
        &mut answer,
        "MD5OfMessageBody",
        &message.body,
        message.attributes.as_ref(),
    );
    let ids = queues.send(queue_of_url(&request.queue_url), vec![message]).await.map_err(
        // What is too long for a batch is too long alone.
        |error| match error {
            SqsError::BatchRequestTooLong => SqsError::InvalidParameterValue(
                "one or more parameters are invalid: message must be shorter than 1048576 bytes".into(),
            ),
            error => error,
        },
    )?;
    answer.insert("MessageId".into(), json!(ids.first()));
    Ok(Value::Object(answer))
}

async fn send_batch(queues: &Queues, request: Batch<SendEntry>) -> Result<Value, SqsError> {
    let ids = batch_ids(request.entries.iter().map(|entry| &entry.id))?;
    let mut answers = Vec::new();
    let mut failed = Vec::new();
    let mut messages = Vec::new();
    for (id, entry) in ids.into_iter().zip(request.entries) {
        match entry.content.checked() {
            Ok(message) => {
                let mut answer = Map::from_iter([("Id".to_owned(), json!(id))]);
                digests(
                    &mut answer,
                    "MD5OfMessageBody",
                    &message.body,
                    message.attributes.as_ref(),
                );
                answers.push(answer);
                messages.push(message);
            }
            Err(error) => failed.push(failed_entry(&id, &error)),
        }
    }
    let message_ids = queues
        .send(queue_of_url(&request.queue_url), messages)
        .await?;
    for (answer, message_id) in answers.iter_mut().zip(message_ids) {
        answer.insert("MessageId".into(), json!(message_id));
    }
    Ok(json!({"Successful": answers, "Failed": failed}))
}

fn batch_ids<'a>(ids: impl Iterator<Item = &'a String>) -> Result<Vec<String>, SqsError> {
    let ids: Vec<String> = ids.cloned().collect();
    if ids.is_empty() {
        return Err(SqsError::EmptyBatchRequest);
    }
    if ids.len() > MAX_BATCH {
        return Err(SqsError::TooManyEntriesInBatchRequest);
    }
    if ids.iter().collect::<HashSet<_>>().len() < ids.len() {
        return Err(SqsError::BatchEntryIdsNotDistinct);
    }
    Ok(ids)
}

fn batch_answer(ids: Vec<String>, outcomes: Vec<Result<(), SqsError>>) -> Value {
    let mut successful = Vec::new();
    let mut failed = Vec::new();
    for (id, outcome) in ids.into_iter().zip(outcomes) {
        match outcome {
            Ok(()) => successful.push(json!({"Id": id})),
            Err(error) => failed.push(failed_entry(&id, &error)),
        }
    }
    json!({"Successful": successful, "Failed": failed})
}

fn failed_entry(id: &str, error: &SqsError) -> Value {
    let (status, code, _) = codes(error);
    json!({
        "Id": id,
        "Code": code,
        "Message": error.to_string(),
        "SenderFault": status.is_client_error(),
    })
}

async fn receive(queues: &Queues, request: ReceiveMessage) -> Result<Value, SqsError> {
    let duration = |name, value: Option<i64>, high| -> Result<Option<Duration>, SqsError> {
        value
            .map(|seconds| {
                let seconds = check_range(name, seconds, 0, high)?;
                Ok(Duration::from_secs(
                    u64::try_from(seconds).unwrap_or_default(),
                ))
            })
            .transpose()
    };
    let visibility = duration(
        "VisibilityTimeout",
        request.visibility_timeout,
        MAX_VISIBILITY_S,
    )?;
    let wait = duration("WaitTimeSeconds", request.wait_time_seconds, MAX_WAIT_S)?;
    let limit = request.max_number_of_messages.unwrap_or(1);
    let limit = check_range("MaxNumberOfMessages", limit, 1, 10)?;
    let limit = usize::try_from(limit).unwrap_or(1);
    let messages = queues
        .receive(queue_of_url(&request.queue_url), limit, visibility, wait)
        .await?;
    let mut system_names = request.attribute_names;
    system_names.extend(request.message_system_attribute_names);
    let messages: Vec<Value> = messages
        .into_iter()
        .map(|message| {
            received(
                message,
                &system_names,
                &request.message_attribute_names,
                |name| queues.arn(name),
            )
        })
        .collect();
    // SQS leaves the list out when there is nothing.
    Ok(if messages.is_empty() {
        json!({})
    } else {
        json!({"Messages": messages})
    })
}

fn received(
    message: Message,
    system_names: &[String],
    attribute_names: &[String],
    arn: impl Fn(&str) -> String,
) -> Value {
    let attributes: Option<Map<String, Value>> = message.attributes.map(|mut attributes| {
        attributes.retain(|name, _| {
            attribute_names
                .iter()
                .any(|wanted| match wanted.strip_suffix(".*") {
                    Some(prefix) => name.starts_with(prefix),
                    None => wanted == "All" || wanted == name,
                })
        });
        attributes
    });
    let mut system = Map::new();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value
            && wanted(system_names, name)
        {
            system.insert(name.to_owned(), json!(value));
        }
    };
    add(
        "ApproximateReceiveCount",
        Some(message.receives.to_string()),
    );
    add(
        "ApproximateFirstReceiveTimestamp",
        Some(message.first_received_ms.to_string()),
    );
    add("SentTimestamp", Some(message.sent_ms.to_string()));
    add("SenderId", Some("AIDATATAMILOCAL".into()));
    add("AWSTraceHeader", message.trace);
    add(
        "DeadLetterQueueSourceArn",
        message.source.as_deref().map(arn),
    );

    let mut answer = Map::new();
    digests(&mut answer, "MD5OfBody", &message.body, attributes.as_ref());
    answer.insert("MessageId".into(), json!(message.message_id));
    answer.insert("ReceiptHandle".into(), json!(message.receipt_handle));
    answer.insert("Body".into(), json!(message.body));
    if !system.is_empty() {
        answer.insert("Attributes".into(), Value::Object(system));
    }
    if let Some(attributes) = attributes.filter(|attributes| !attributes.is_empty()) {
        answer.insert("MessageAttributes".into(), Value::Object(attributes));
    }
    Value::Object(answer)
}
