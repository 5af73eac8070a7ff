//! JIRA as the API has it: nothing here speaks with one. What the jira function makes of it is tried with the whole
//! system.

mod instances;
mod issues;
mod projects;
mod pushes;
mod pushing;
mod settings;
mod webhook;

use http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tatami_domain::{JiraObject, OutboxWork};

use crate::app::{Answer, TestApp};

/// What an instance is made of.
fn description(url: &str) -> Value {
    json!({
        "configuration_name": "Ours", "url": url, "username": "bot@example.com", "password": "hunter2",
        "default_issue_type": "Bug", "epic_name_id": 10011, "open_status_key": 11, "close_status_key": 31,
        "info_mapping_severity": "Lowest", "low_mapping_severity": "Low",
        "medium_mapping_severity": "Medium", "high_mapping_severity": "High",
        "critical_mapping_severity": "Highest",
    })
}

/// An instance at an address that nobody is ever called at.
async fn instance(app: &TestApp) -> u64 {
    let body = description("https://192.0.2.7");
    made(app.post("jira_instances/", body).await)
}

/// The id of what was made.
fn made((status, answer): Answer) -> u64 {
    assert_eq!(status, 201, "{answer}");
    answer["id"].as_u64().unwrap()
}

/// A JIRA project of a product or an engagement.
async fn project(app: &TestApp, instance: u64, place: (&str, u64), more: Value) -> u64 {
    let mut body = json!({"jira_instance": instance, "project_key": "SEC", place.0: place.1});
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    made(app.post("jira_projects/", body).await)
}

/// A product with a JIRA project: product, engagement, test, and the project.
async fn connected(app: &TestApp, more: Value) -> [u64; 4] {
    let [product, engagement, test] = app.tree().await;
    let instance = instance(app).await;
    let project = project(app, instance, ("product", product), more).await;
    [product, engagement, test, project]
}

/// What waits for the jira function, oldest first.
async fn work(app: &TestApp) -> Vec<OutboxWork> {
    let entries = app.services.store.outbox(SignedDuration::ZERO).await;
    let entries = entries.unwrap().into_iter().map(|entry| entry.work);
    entries
        .filter(|work| !matches!(work, OutboxWork::Notify(_)))
        .collect()
}

/// The findings among that.
async fn findings_at_work(app: &TestApp) -> Vec<u64> {
    let mut ids = Vec::new();
    for work in work(app).await {
        if let OutboxWork::Jira { objects, .. } = work {
            ids.extend(objects.iter().filter_map(|object| match object {
                JiraObject::Finding(id) => Some(id.0),
                _ => None,
            }));
        }
    }
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Links an issue to something by its number.
async fn link(app: &TestApp, number: u64, object: (&str, u64)) -> Answer {
    let body = json!({
        "jira_id": format!("100{number}"), "jira_key": format!("SEC-{number}"), object.0: object.1,
    });
    app.post("jira_finding_mappings/", body).await
}

async fn get(app: &TestApp, path: &str) -> Value {
    let (status, answer) = app.get(path).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

async fn delete(app: &TestApp, path: &str) -> u16 {
    app.call(Method::DELETE, path, None).await.0.as_u16()
}

fn ids(page: &Value) -> Vec<u64> {
    let results = page["results"].as_array().unwrap().iter();
    results.map(|one| one["id"].as_u64().unwrap()).collect()
}

async fn notes(app: &TestApp, finding: u64) -> Vec<String> {
    let notes = get(app, &format!("findings/{finding}/notes/")).await;
    let notes = notes["notes"].as_array().unwrap().iter();
    notes
        .map(|note| note["entry"].as_str().unwrap().to_owned())
        .collect()
}

/// The token of a new user with a role somewhere.
async fn member(app: &TestApp, name: &str, place: (&str, u64), role: u64) -> String {
    let user = json!({"username": name, "email": format!("{name}@b.example")});
    let (_, user) = app.post("users/", user).await;
    let (level, id) = place;
    let membership = json!({"user": user["id"], level: id, "role": role});
    let (status, answer) = app.post(&format!("{level}_members/"), membership).await;
    assert_eq!(status, 201, "{answer}");
    let token = json!({"user": user["id"], "name": "t"});
    let (_, token) = app.post("tokens/", token).await;
    token["token"].as_str().unwrap().to_owned()
}

async fn by(app: &TestApp, token: &str, method: Method, path: &str, body: Value) -> Answer {
    let request = http::Request::builder()
        .method(method)
        .uri(format!("/api/v2/{path}"))
        .header("host", "tatami.test")
        .header("authorization", format!("Token {token}"))
        .header("content-type", "application/json")
        .body(axum::body::Body::from(body.to_string()))
        .unwrap();
    app.send(request).await
}
