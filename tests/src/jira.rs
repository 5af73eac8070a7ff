//! A small JIRA Cloud of our own: one project, issues that live, and whatever can go wrong on the way to it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

/// The account that Tatami signs in with.
pub const OWN: &str = "account-tatami";

/// What goes wrong with one request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// It is answered so, and nothing is done.
    Status(u16, Vec<(&'static str, String)>),
    /// It is done, and the connection breaks before anybody hears.
    Lost,
    /// It is done, and half of the answer arrives.
    Half,
    /// It is done, a little later.
    Slow(Duration),
}

/// An issue.
#[derive(Debug, Clone, Default)]
pub struct FakeIssue {
    /// JIRA's id.
    pub id: u64,
    /// As they were sent.
    pub fields: serde_json::Map<String, Value>,
    /// `To Do`, `In Progress` or `Done`.
    pub status: &'static str,
    /// Why it is done.
    pub resolution: Option<String>,
    /// When that was.
    pub resolved: Option<Timestamp>,
    /// When it last changed.
    pub updated: Timestamp,
    /// Author and text of each comment.
    pub comments: Vec<(String, String, Timestamp)>,
    /// Properties.
    pub properties: BTreeMap<String, Value>,
    /// Links to elsewhere, by their global id.
    pub links: BTreeMap<String, Value>,
}

#[derive(Default)]
struct Inner {
    issues: BTreeMap<u64, FakeIssue>,
    last: u64,
    clock: Timestamp,
    faults: Vec<(Method, &'static str, Fault)>,
    requests: Vec<String>,
    /// Issues from this id on are not found yet.
    unseen: Option<u64>,
    shut: bool,
}

/// The server.
#[derive(Clone)]
pub struct FakeJira {
    /// Its address.
    pub url: String,
    inner: Arc<Mutex<Inner>>,
}

impl FakeJira {
    /// Starts it on 127.0.0.1.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let fake = Self {
            url,
            inner: Arc::default(),
        };
        fake.inner().last = 10_000;
        let router = axum::Router::new()
            .fallback(answer)
            .with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        fake
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the next request of this method, whose path has this in it, go wrong.
    pub fn fail(&self, method: Method, path: &'static str, fault: Fault) {
        self.inner().faults.push((method, path, fault));
    }

    /// The faults that didn't happen yet are none any more.
    pub fn mend(&self) {
        self.inner().faults.clear();
    }

    /// Nobody is let in any more, or everybody is again.
    pub fn shut(&self, shut: bool) {
        self.inner().shut = shut;
    }

    /// New issues aren't found by searches, or all are again.
    pub fn lag(&self, lag: bool) {
        let mut inner = self.inner();
        inner.unseen = lag.then_some(inner.last + 1);
    }

    /// All issues.
    pub fn issues(&self) -> Vec<FakeIssue> {
        self.inner().issues.values().cloned().collect()
    }

    /// The only issue that there is.
    #[track_caller]
    pub fn only(&self) -> FakeIssue {
        let issues = self.issues();
        assert_eq!(issues.len(), 1, "{issues:#?}");
        issues[0].clone()
    }

    /// The requests since the last time, as `GET /issue/10001`.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.inner().requests)
    }

    /// Somebody moves an issue.
    pub fn go(&self, id: u64, status: &'static str, resolution: Option<&str>) {
        let mut inner = self.inner();
        let now = inner.tick();
        let issue = inner.issues.get_mut(&id).expect("the issue");
        issue.go(status, resolution, now);
    }

    /// Somebody comments on an issue.
    pub fn comment(&self, id: u64, author: &str, text: &str) {
        let mut inner = self.inner();
        let now = inner.tick();
        let issue = inner.issues.get_mut(&id).expect("the issue");
        issue.comments.push((author.into(), text.into(), now));
        issue.updated = now;
    }

    /// Somebody deletes an issue.
    pub fn delete(&self, id: u64) {
        self.inner().issues.remove(&id);
    }

    /// Somebody sets a field.
    pub fn set(&self, id: u64, field: &str, value: Value) {
        let mut inner = self.inner();
        let now = inner.tick();
        let issue = inner.issues.get_mut(&id).expect("the issue");
        issue.fields.insert(field.into(), value);
        issue.updated = now;
    }
}

impl Inner {
    fn tick(&mut self) -> Timestamp {
        let next = self.clock + Duration::from_millis(1);
        let now = Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap();
        self.clock = now.max(next);
        self.clock
    }
}

impl FakeIssue {
    /// Its key.
    pub fn key(&self) -> String {
        format!("SEC-{}", self.id - 10_000)
    }

    /// A field's text.
    pub fn text(&self, field: &str) -> String {
        let value = &self.fields[field];
        value.as_str().map_or_else(|| plain(value), str::to_owned)
    }

    fn go(&mut self, status: &'static str, resolution: Option<&str>, now: Timestamp) {
        let done = status == "Done";
        self.status = status;
        self.resolution = done.then(|| resolution.unwrap_or("Done").to_owned());
        self.resolved = done.then_some(now);
        self.updated = now;
    }

    fn view(&self) -> Value {
        let mut fields = self.fields.clone();
        fields.insert("status".into(), status(self.status));
        let resolution = self.resolution.as_ref().map(|name| json!({"name": name}));
        fields.insert("resolution".into(), json!(resolution));
        fields.insert("updated".into(), json!(time(self.updated)));
        fields.insert("resolutiondate".into(), json!(self.resolved.map(time)));
        fields.insert("issuetype".into(), json!({"id": "1", "name": "Bug"}));
        json!({"id": self.id.to_string(), "key": self.key(), "fields": fields})
    }
}

/// All texts of an ADF document, and where its links lead to.
pub fn plain(adf: &Value) -> String {
    match adf {
        Value::Object(node) => {
            let mut text = String::new();
            for (name, value) in node {
                if name == "text" || name == "href" {
                    text.push_str(value.as_str().unwrap_or_default());
                    text.push(' ');
                } else {
                    text.push_str(&plain(value));
                }
            }
            text
        }
        Value::Array(nodes) => nodes.iter().map(plain).collect(),
        _ => String::new(),
    }
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3f+0000").to_string()
}

fn status(name: &str) -> Value {
    let key = match name {
        "Done" => "done",
        "In Progress" => "indeterminate",
        _ => "new",
    };
    json!({"name": name, "statusCategory": {"key": key}})
}

fn adf(text: &str) -> Value {
    let words = json!([{"type": "text", "text": text}]);
    json!({"type": "doc", "version": 1, "content": [{"type": "paragraph", "content": words}]})
}

async fn answer(State(fake): State<FakeJira>, method: Method, uri: Uri, body: Bytes) -> Response {
    let path = uri.path().to_owned();
    let path = path.split_once("/rest/api/").map_or("", |(_, rest)| rest);
    let path = path.get(1..).unwrap_or_default().to_owned();
    let fault = {
        let mut inner = fake.inner();
        inner.requests.push(format!("{method} {path}"));
        if inner.shut {
            return reply(401, &json!({"errorMessages": ["not you"]}));
        }
        let hit = (inner.faults.iter())
            .position(|(wanted, part, _)| *wanted == method && path.contains(part));
        hit.map(|at| inner.faults.remove(at).2)
    };
    if let Some(Fault::Status(status, headers)) = &fault {
        let mut response = reply(*status, &json!({"errorMessages": ["so it was told"]}));
        for (name, value) in headers {
            response.headers_mut().insert(*name, value.parse().unwrap());
        }
        return response;
    }
    if let Some(Fault::Slow(time)) = &fault {
        tokio::time::sleep(*time).await;
    }
    let value: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let (status, answer) = done(&fake, &method, &path, &value);
    match fault {
        Some(Fault::Lost) => broken(Vec::new()),
        Some(Fault::Half) => {
            let text = answer.to_string().into_bytes();
            broken(text[..text.len() / 2].to_vec())
        }
        _ => reply(status, &answer),
    }
}

fn reply(status: u16, body: &Value) -> Response {
    let body = if body.is_null() {
        Body::empty()
    } else {
        Body::from(body.to_string())
    };
    Response::builder()
        .status(StatusCode::from_u16(status).unwrap())
        .header("content-type", "application/json")
        .body(body)
        .unwrap()
}

/// An answer that ends in the middle.
fn broken(bytes: Vec<u8>) -> Response {
    let ends = futures::stream::iter([
        Ok(Bytes::from(bytes)),
        Err(std::io::Error::other("the line is cut")),
    ]);
    Response::new(Body::from_stream(ends))
}

fn done(fake: &FakeJira, method: &Method, path: &str, body: &Value) -> (u16, Value) {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let mut inner = fake.inner();
    let missing = || (404, json!({"errorMessages": ["Issue does not exist"]}));
    match (method.as_str(), segments.as_slice()) {
        ("GET", ["serverInfo"]) => (200, json!({"deploymentType": "Cloud", "version": "1001"})),
        ("GET", ["myself"]) => (200, json!({"accountId": OWN, "displayName": "Tatami"})),
        ("GET", ["project", "SEC"]) => (200, json!({"id": "1", "key": "SEC", "name": "Security"})),
        ("GET", ["priority"]) => {
            let names = ["Highest", "High", "Medium", "Low", "Lowest"];
            (200, json!(names.map(|name| json!({"name": name}))))
        }
        ("GET", ["issue", "createmeta", "SEC", "issuetypes"]) => {
            let types = json!([{"id": "1", "name": "Bug"}, {"id": "2", "name": "Epic"}]);
            (200, json!({"issueTypes": types, "total": 2}))
        }
        ("GET", ["issue", "createmeta", "SEC", "issuetypes", _]) => (200, createmeta()),
        ("POST", ["issue"]) => create(&mut inner, body),
        ("POST", ["search", "jql"]) => search(&inner, body["jql"].as_str().unwrap_or_default()),
        (_, ["issue", id, rest @ ..]) => {
            let id = id.strip_prefix("SEC-").map_or_else(
                || id.parse().unwrap_or(0),
                |n| n.parse::<u64>().unwrap_or(0) + 10_000,
            );
            let now = inner.tick();
            let Some(issue) = inner.issues.get_mut(&id) else {
                return missing();
            };
            of_issue(issue, method, rest, body, now)
        }
        _ => (404, json!({"errorMessages": [format!("{method} {path}")]})),
    }
}

fn createmeta() -> Value {
    let names = [
        "summary",
        "description",
        "priority",
        "labels",
        "duedate",
        "environment",
        "assignee",
        "parent",
        "components",
        "customfield_10050",
    ];
    let fields = names.map(|name| match name {
        "priority" => {
            let names = ["Highest", "High", "Medium", "Low", "Lowest"];
            let allowed = names.map(|name| json!({"name": name}));
            json!({"fieldId": name, "name": name, "allowedValues": allowed})
        }
        _ => json!({"fieldId": name, "name": name}),
    });
    json!({"fields": fields, "total": names.len()})
}

fn create(inner: &mut Inner, body: &Value) -> (u16, Value) {
    let fields = body["fields"].as_object().cloned().unwrap_or_default();
    if body["fields"]["summary"]
        .as_str()
        .unwrap_or_default()
        .contains("unspeakable")
    {
        let wrong = json!({"errorMessages": [], "errors": {"summary": "so it isn't"}});
        return (400, wrong);
    }
    inner.last += 1;
    let issue = FakeIssue {
        id: inner.last,
        fields,
        status: "To Do",
        updated: inner.tick(),
        ..FakeIssue::default()
    };
    let made = json!({"id": issue.id.to_string(), "key": issue.key()});
    inner.issues.insert(issue.id, issue);
    (201, made)
}

fn search(inner: &Inner, jql: &str) -> (u16, Value) {
    let quoted = |word: &str| {
        let rest = jql.split_once(word)?.1;
        rest.split('"').nth(1).map(str::to_owned)
    };
    let seen = |issue: &&FakeIssue| inner.unseen.is_none_or(|from| issue.id < from);
    let found: Vec<&FakeIssue> = if let Some(label) = quoted("labels = ") {
        let labelled = |issue: &&FakeIssue| {
            let labels = issue.fields.get("labels").and_then(Value::as_array);
            labels.is_some_and(|labels| labels.iter().any(|own| *own == label.as_str()))
        };
        let issues = inner.issues.values().filter(seen);
        issues.filter(labelled).collect()
    } else if let Some((_, ids)) = jql.split_once("id in (") {
        let ids = ids.split(')').next().unwrap_or_default();
        let ids: Vec<u64> = ids.split(", ").map(|id| id.parse().unwrap()).collect();
        if ids.iter().any(|id| !inner.issues.contains_key(id)) {
            return (400, json!({"errorMessages": ["an issue doesn't exist"]}));
        }
        inner
            .issues
            .values()
            .filter(|i| ids.contains(&i.id))
            .collect()
    } else if jql.starts_with("project = ") {
        inner.issues.values().rev().filter(seen).collect()
    } else if jql.contains("project in (") {
        if jql.contains("\"GONE\"") {
            return (400, json!({"errorMessages": ["no project GONE"]}));
        }
        let minutes = jql.split_once(">= -").unwrap().1.split('m').next().unwrap();
        let minutes: u64 = minutes.parse().unwrap();
        let from = Timestamp::now() - Duration::from_secs(minutes * 60);
        let mut all: Vec<&FakeIssue> = inner.issues.values().collect();
        all.retain(|issue| issue.updated >= from);
        all.sort_by_key(|issue| issue.updated);
        all
    } else {
        return (400, json!({"errorMessages": [jql]}));
    };
    let issues: Vec<Value> = found.into_iter().map(FakeIssue::view).collect();
    (200, json!({"issues": issues, "isLast": true}))
}

fn of_issue(
    issue: &mut FakeIssue,
    method: &Method,
    rest: &[&str],
    body: &Value,
    now: Timestamp,
) -> (u16, Value) {
    match (method.as_str(), rest) {
        ("GET", []) => (200, issue.view()),
        ("PUT", []) => {
            issue
                .fields
                .extend(body["fields"].as_object().cloned().unwrap_or_default());
            issue.updated = now;
            (204, Value::Null)
        }
        ("GET", ["transitions"]) => {
            let names = ["Done", "Fixed", "Won't Fix", "Invalid"];
            let allowed = names.map(|name| json!({"name": name}));
            let screen = json!({"resolution": {"name": "Resolution", "allowedValues": allowed}});
            let ways = json!([
                {"id": "11", "name": "Back", "to": status("To Do")},
                {"id": "21", "name": "Start", "to": status("In Progress")},
                {"id": "31", "name": "Finish", "to": status("Done"), "fields": screen},
            ]);
            (200, json!({"transitions": ways}))
        }
        ("POST", ["transitions"]) => {
            let to = match body["transition"]["id"].as_str() {
                Some("11") => "To Do",
                Some("21") => "In Progress",
                _ => "Done",
            };
            issue.go(to, body["fields"]["resolution"]["name"].as_str(), now);
            (204, Value::Null)
        }
        ("GET", ["comment"]) => {
            let all: Vec<Value> = (issue.comments.iter().enumerate())
                .map(|(n, (author, text, at))| {
                    let body = serde_json::from_str(text).unwrap_or_else(|_| adf(text));
                    json!({"id": format!("{}{n:03}", issue.id), "body": body, "created": time(*at),
                           "author": {"accountId": author, "displayName": author}})
                })
                .collect();
            (
                200,
                json!({"comments": all, "total": all.len(), "startAt": 0}),
            )
        }
        ("POST", ["comment"]) => {
            let text = body["body"].to_string();
            issue.comments.push((OWN.into(), text, now));
            issue.updated = now;
            (
                201,
                json!({"id": format!("{}{:03}", issue.id, issue.comments.len() - 1)}),
            )
        }
        ("PUT", ["properties", name]) => {
            issue.properties.insert((*name).to_owned(), body.clone());
            (201, Value::Null)
        }
        ("POST", ["remotelink"]) => {
            let id = body["globalId"].as_str().unwrap_or_default().to_owned();
            issue.links.insert(id, body.clone());
            (201, json!({"id": 1}))
        }
        _ => (
            404,
            json!({"errorMessages": [format!("{method} {rest:?}")]}),
        ),
    }
}
