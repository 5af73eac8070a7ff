//! The wire between a function and AWS: counts what goes over it, and goes wrong where a test says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use axum::http::HeaderValue;
use axum::http::header::HOST;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tatami_local_aws::LocalAws;
use tokio::sync::Notify;

/// When a function dies at a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Death {
    /// Nothing was sent.
    Before,
    /// It was done, and nobody heard.
    After,
}

/// Where a function died: its how manyth write (from 0), and which.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Writes before this one.
    pub nth: u64,
    /// Such as `TransactWriteItems` or `s3 PUT`.
    pub call: String,
    /// Before or after.
    pub death: Death,
}

/// The way from the SDK's clients to the local AWS. Clones share everything.
#[derive(Clone)]
pub struct Wire {
    aws: Arc<LocalAws>,
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    calls: BTreeMap<String, u64>,
    writes: u64,
    death: Option<(u64, Death)>,
    died: Option<Place>,
    trouble: Option<Trouble>,
    poison: Option<String>,
    /// Before which write, and the gate that stands there.
    gate: Option<(u64, Gate)>,
}

/// Where a function stops until a test lets it go on.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    reached: Arc<Notify>,
    open: Arc<Notify>,
}

impl Gate {
    /// Waits until a function stands before it.
    pub async fn reached(&self) {
        self.reached.notified().await;
    }

    /// Lets it go on.
    pub fn open(&self) {
        self.open.notify_one();
    }
}

/// AWS on a bad day.
#[derive(Debug)]
struct Trouble {
    rng: StdRng,
    /// Which share of the calls fails.
    share: f64,
    count: u64,
}

enum Verdict {
    Send,
    /// Send it once the gate is open.
    Wait(Gate),
    SendAndDie,
    Dead,
    Answer(Box<HttpResponse>),
    /// Send it, and say of some of it that it wasn't done.
    Part,
}

impl Wire {
    /// A wire to `aws`.
    pub fn new(aws: Arc<LocalAws>) -> Self {
        Self {
            aws,
            state: Arc::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever calls from now on is alive, until its write number `nth` (from 0).
    pub fn die_at(&self, nth: u64, death: Death) {
        let mut state = self.state();
        state.writes = 0;
        state.died = None;
        state.death = Some((nth, death));
    }

    /// Whoever calls from now on lives. Says where the last one died.
    pub fn live(&self) -> Option<Place> {
        let mut state = self.state();
        state.writes = 0;
        state.death = None;
        state.died.take()
    }

    /// Puts a gate before the `nth` write (from 0) of those to come.
    pub fn gate_at(&self, nth: u64) -> Gate {
        let gate = Gate::default();
        let mut state = self.state();
        state.writes = 0;
        state.gate = Some((nth, gate.clone()));
        gate
    }

    /// From now on so many of the calls are throttled or done by half.
    pub fn trouble(&self, seed: u64, share: f64) {
        self.state().trouble = Some(Trouble {
            rng: StdRng::seed_from_u64(seed),
            share,
            count: 0,
        });
    }

    /// All is well again. Says how often it wasn't.
    pub fn calm(&self) -> u64 {
        self.state().trouble.take().map_or(0, |t| t.count)
    }

    /// DynamoDB refuses transactions that contain this text; `None`: no more.
    pub fn poison(&self, text: Option<&str>) {
        self.state().poison = text.map(str::to_owned);
    }

    /// How many calls of each kind there were since the last time.
    pub fn take_calls(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut self.state().calls)
    }

    fn judge(&self, call: &str, request: &HttpRequest) -> Verdict {
        let mut state = self.state();
        *state.calls.entry(call.to_owned()).or_default() += 1;
        if state.died.is_some() {
            return Verdict::Dead;
        }
        let body = request.body().bytes().unwrap_or_default();
        if let Some(poison) = &state.poison
            && call == "TransactWriteItems"
            && contains(body, poison.as_bytes())
        {
            return Verdict::Answer(refusal("ValidationException", "poison", None));
        }
        if is_write(call) {
            let nth = state.writes;
            state.writes += 1;
            if let Some((_, gate)) = state.gate.take_if(|(at, _)| *at == nth) {
                return Verdict::Wait(gate);
            }
            if let Some((at, death)) = state.death
                && at == nth
            {
                state.died = Some(Place {
                    nth,
                    call: call.to_owned(),
                    death,
                });
                return match death {
                    Death::Before => Verdict::Dead,
                    Death::After => Verdict::SendAndDie,
                };
            }
        }
        let Some(trouble) = &mut state.trouble else {
            return Verdict::Send;
        };
        if !trouble.rng.random_bool(trouble.share) {
            return Verdict::Send;
        }
        trouble.count += 1;
        trouble.verdict(call, body)
    }
}

impl Trouble {
    fn verdict(&mut self, call: &str, body: &[u8]) -> Verdict {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let half = self.rng.random_bool(0.5);
        match call {
            "TransactWriteItems" if half => {
                let items = body["TransactItems"].as_array().map_or(1, Vec::len);
                let codes = [
                    "ThrottlingError",
                    "ProvisionedThroughputExceeded",
                    "TransactionConflict",
                ];
                let mut reasons = vec![json!({"Code": "None"}); items];
                reasons[self.rng.random_range(0..items)] = json!({"Code": codes[self.rng.random_range(0..codes.len())], "Message": "busy"});
                Verdict::Answer(refusal(
                    "TransactionCanceledException",
                    "Transaction cancelled, please refer to the cancellation reasons",
                    Some(reasons),
                ))
            }
            "BatchGetItem" | "SendMessageBatch" if half => Verdict::Part,
            "SendMessageBatch" => {
                let failed: Vec<Value> = (body["Entries"].as_array().into_iter().flatten())
                    .map(|entry| json!({"Id": entry["Id"], "Code": "InternalError", "SenderFault": false}))
                    .collect();
                let answer = json!({"Successful": [], "Failed": failed});
                Verdict::Answer(response(200, &answer))
            }
            call if call.starts_with("s3 ") => Verdict::Answer(slow_down()),
            _ if half => Verdict::Answer(refusal("ThrottlingException", "Rate exceeded", None)),
            _ => Verdict::Answer(refusal(
                "ProvisionedThroughputExceededException",
                "The level of configured provisioned throughput for the table was exceeded",
                None,
            )),
        }
    }
}

impl HttpClient for Wire {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let call = name_of(&request);
        let gone = || ConnectorError::other("the process is gone".into(), None);
        let verdict = self.judge(&call, &request);
        let aws = Arc::clone(&self.aws);
        match verdict {
            Verdict::Send => HttpConnectorFuture::new(async move { send(&aws, request).await }),
            Verdict::Wait(gate) => HttpConnectorFuture::new(async move {
                gate.reached.notify_one();
                gate.open.notified().await;
                send(&aws, request).await
            }),
            Verdict::Dead => HttpConnectorFuture::ready(Err(gone())),
            Verdict::Answer(answer) => HttpConnectorFuture::ready(Ok(*answer)),
            Verdict::SendAndDie => HttpConnectorFuture::new(async move {
                send(&aws, request).await?;
                Err(gone())
            }),
            Verdict::Part => HttpConnectorFuture::new(async move {
                let answer = send(&aws, request).await?;
                Ok(by_half(&call, &answer))
            }),
        }
    }
}

/// Hands a request over and brings the answer back.
async fn send(aws: &Arc<LocalAws>, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let broken =
        |error: Box<dyn std::error::Error + Send + Sync>| ConnectorError::other(error, None);
    let request = request.try_into_http1x().map_err(|e| broken(e.into()))?;
    let (mut parts, body) = request.into_parts();
    let host = parts
        .uri
        .authority()
        .map(|host| HeaderValue::from_str(host.as_str()));
    if let Some(Ok(host)) = host {
        parts.headers.insert(HOST, host);
    }
    let body = ByteStream::new(body)
        .collect()
        .await
        .map_err(|e| broken(e.into()))?;
    let request = axum::http::Request::from_parts(parts, body.into_bytes());
    // in a task of its own, as at a server: whoever asked may not look for the answer for a while
    let aws = Arc::clone(aws);
    let answer = tokio::spawn(async move { aws.answer(request).await });
    let answer = answer
        .await
        .map_err(|e| ConnectorError::other(e.into(), None))?;
    let (parts, body) = answer.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX)
        .await
        .map_err(|e| broken(e.into()))?;
    let status = parts
        .status
        .as_u16()
        .try_into()
        .map_err(|e| broken(Box::new(e)))?;
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    for (name, value) in &parts.headers {
        if let Ok(value) = value.to_str() {
            response
                .headers_mut()
                .insert(name.as_str().to_owned(), value.to_owned());
        }
    }
    Ok(response)
}

/// The operation of DynamoDB or SQS, else the method of S3.
fn name_of(request: &HttpRequest) -> String {
    match request.headers().get("x-amz-target") {
        Some(target) => target.rsplit('.').next().unwrap_or_default().to_owned(),
        None => format!("s3 {}", request.method()),
    }
}

fn is_write(call: &str) -> bool {
    matches!(
        call,
        "PutItem"
            | "UpdateItem"
            | "DeleteItem"
            | "TransactWriteItems"
            | "BatchWriteItem"
            | "SendMessage"
            | "SendMessageBatch"
            | "s3 PUT"
            | "s3 POST"
            | "s3 DELETE"
    )
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn response(status: u16, body: &Value) -> Box<HttpResponse> {
    let status = status.try_into().expect("a status");
    Box::new(HttpResponse::new(status, SdkBody::from(body.to_string())))
}

fn refusal(code: &str, message: &str, reasons: Option<Vec<Value>>) -> Box<HttpResponse> {
    let mut body = json!({"__type": format!("com.amazonaws#{code}"), "message": message});
    if let Some(reasons) = reasons {
        body["CancellationReasons"] = reasons.into();
    }
    response(400, &body)
}

fn slow_down() -> Box<HttpResponse> {
    let body = "<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>";
    let status = 503.try_into().expect("a status");
    Box::new(HttpResponse::new(status, SdkBody::from(body)))
}

/// Takes the second half of what was done out of an answer, as left undone.
fn by_half(call: &str, answer: &HttpResponse) -> HttpResponse {
    let status = answer.status();
    let bytes = answer.body().bytes().unwrap_or_default();
    let mut body: Value = serde_json::from_slice(bytes).unwrap_or_default();
    if call == "BatchGetItem" {
        let mut left = json!({});
        for (table, items) in body["Responses"].as_object_mut().into_iter().flatten() {
            let items = items.as_array_mut().expect("items");
            let keys: Vec<Value> = (items.drain(items.len() / 2..))
                .map(|item| json!({"pk": item["pk"], "sk": item["sk"]}))
                .collect();
            if !keys.is_empty() {
                left[table] = json!({"Keys": keys, "ConsistentRead": true});
            }
        }
        body["UnprocessedKeys"] = left;
    } else if let Some(sent) = body["Successful"].as_array_mut() {
        let failed: Vec<Value> = (sent.drain(sent.len() / 2..))
            .map(|entry| json!({"Id": entry["Id"], "Code": "InternalError", "SenderFault": false}))
            .collect();
        body["Failed"] = failed.into();
    }
    HttpResponse::new(status, SdkBody::from(body.to_string()))
}
