//! Notifications: whom they reach, where, and what was sent.

mod deliveries;
mod rows;
mod webhooks;

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::app::TestApp;

/// A user, and a token of theirs.
async fn user(app: &TestApp, name: &str) -> (u64, String) {
    let user = json!({"username": name, "email": format!("{name}@tatami.example")});
    let (status, user) = app.post("users/", user).await;
    assert_eq!(status, 201, "{user}");
    let token = json!({"user": user["id"], "name": "t"});
    let (status, token) = app.post("tokens/", token).await;
    assert_eq!(status, 201, "{token}");
    let text = ["token", "key"]
        .iter()
        .find_map(|name| token[*name].as_str());
    (user["id"].as_u64().unwrap(), text.unwrap().to_owned())
}

/// A call with a token.
async fn call(
    app: &TestApp,
    token: &str,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> (u16, Value) {
    let request = Request::builder()
        .method(method)
        .uri(format!("/api/v2/{path}"))
        .header("host", "tatami.test")
        .header("authorization", format!("Token {token}"))
        .header("content-type", "application/json");
    let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let (status, answer) = app.send(request.body(body).unwrap()).await;
    (status.as_u16(), answer)
}

/// The ids of the deliveries that lie in the queue, which is empty then.
async fn queued(app: &TestApp) -> Vec<u64> {
    let queues = app.local.queues();
    let mut ids = Vec::new();
    loop {
        let some = queues.receive("notify", 10, None, Some(std::time::Duration::ZERO));
        let some = some.await.unwrap();
        if some.is_empty() {
            return ids;
        }
        for message in &some {
            let body: Value = serde_json::from_str(&message.body).unwrap();
            ids.extend(body["message"]["delivery"]["delivery"].as_u64());
        }
        let handles = some.into_iter().map(|message| message.receipt_handle);
        queues.delete("notify", handles.collect()).await.unwrap();
    }
}
