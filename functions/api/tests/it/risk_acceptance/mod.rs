//! Risk acceptances. What the daily run does with them is tried with the whole system.

mod attached;
mod changing;
mod ending;
mod lists;
mod making;
mod many;
mod rights;

use axum::body::Body;
use http::{Method, Request};
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use serde_json::{Value, json};

use crate::app::{Answer, TestApp};

const LIST: &str = "risk_acceptance/";

/// The start of the day so many days from now, as answers have it.
fn in_days(days: i32) -> String {
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    format!("{}T00:00:00Z", today.checked_add(days.days()).unwrap())
}

async fn by(app: &TestApp, token: &str, method: Method, path: &str, body: Value) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(format!("/api/v2/{path}"))
        .header("host", "tatami.test")
        .header("authorization", format!("Token {token}"))
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap();
    app.send(request).await
}

/// The token of a new user with a role somewhere.
async fn member(app: &TestApp, name: &str, place: (&str, u64), role: u64) -> String {
    let user = json!({"username": name, "email": format!("{name}@b.example")});
    let (_, user) = app.post("users/", user).await;
    let (level, id) = place;
    let membership = json!({"user": user["id"], level: id, "role": role});
    let (status, answer) = app.post(&format!("{level}_members/"), membership).await;
    assert_eq!(status, 201, "{answer}");
    let (_, token) = app
        .post("tokens/", json!({"user": user["id"], "name": "t"}))
        .await;
    token["token"].as_str().unwrap().to_owned()
}

async fn findings(app: &TestApp, test: u64, n: usize) -> Vec<u64> {
    let mut ids = Vec::new();
    for n in 0..n {
        let more = json!({
            "title": format!("finding {n}"), "line": n,
            "vulnerability_ids": [{"vulnerability_id": format!("CVE-2026-{n}")}],
        });
        ids.push(app.finding(test, more).await);
    }
    ids
}

/// A test in a new engagement of a product.
async fn test_in(app: &TestApp, product: &Value) -> u64 {
    let engagement = json!({
        "name": "Aside", "product": product,
        "target_start": "2026-01-01", "target_end": "2026-12-31",
    });
    let (_, engagement) = app.post("engagements/", engagement).await;
    let test = json!({
        "engagement": engagement["id"], "test_type": 1, "environment": 1,
        "target_start": "2026-01-01", "target_end": "2026-01-02T10:00:00Z",
    });
    let (status, test) = app.post("tests/", test).await;
    assert_eq!(status, 201, "{test}");
    test["id"].as_u64().unwrap()
}

/// A finding of another product.
async fn foreign(app: &TestApp) -> u64 {
    let other = json!({"name": "Other", "description": "d", "prod_type": 1});
    let (_, other) = app.post("products/", other).await;
    let test = test_in(app, &other["id"]).await;
    app.finding(test, json!({})).await
}

async fn accept(app: &TestApp, name: &str, findings: &[u64]) -> Value {
    let body = json!({"name": name, "owner": 1, "accepted_findings": findings});
    let (status, made) = app.post(LIST, body).await;
    assert_eq!(status, 201, "{made}");
    made
}

async fn get(app: &TestApp, path: &str) -> Value {
    let (status, answer) = app.get(path).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

/// `active`, `risk_accepted`, and the acceptance of a finding.
async fn stands(app: &TestApp, finding: u64) -> (bool, bool, Option<u64>) {
    let finding = get(app, &format!("findings/{finding}/")).await;
    let flag = |name: &str| finding[name].as_bool().unwrap();
    let under = &finding["accepted_risks"];
    assert!(under.as_array().unwrap().len() <= 1);
    (
        flag("active"),
        flag("risk_accepted"),
        under[0]["id"].as_u64(),
    )
}

async fn names(app: &TestApp, query: &str) -> Vec<String> {
    let page = get(app, &format!("{LIST}?{query}")).await;
    let results = page["results"].as_array().unwrap();
    assert_eq!(page["count"], results.len(), "{query}");
    let name = |one: &Value| one["name"].as_str().unwrap().to_owned();
    results.iter().map(name).collect()
}

fn ids(list: &Value) -> Vec<u64> {
    let list = list.as_array().unwrap().iter();
    list.map(|id| id.as_u64().unwrap()).collect()
}

async fn notes(app: &TestApp, finding: u64) -> Vec<String> {
    let notes = get(app, &format!("findings/{finding}/notes/")).await;
    let notes = notes["notes"].as_array().unwrap().iter();
    notes
        .map(|note| note["entry"].as_str().unwrap().to_owned())
        .collect()
}
