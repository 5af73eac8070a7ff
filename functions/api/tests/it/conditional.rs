//! Tags (`ETag`), `If-None-Match` and `If-Match`.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::response::Response;
use http::{Method, Request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::app::{TOKEN, TestApp};
use crate::authorisation::{fill, table};

async fn send(
    app: &TestApp,
    method: &str,
    path: &str,
    header: (&str, &str),
    body: Option<Value>,
) -> Response {
    let request = Request::builder()
        .method(method)
        .uri(format!("/api/v2/{path}"))
        .header("host", "tatami.test")
        .header("authorization", format!("Token {TOKEN}"))
        .header("content-type", "application/json")
        .header(header.0, header.1);
    let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    app.response(request.body(body).unwrap()).await
}

fn tag(response: &Response) -> String {
    let tag = response.headers().get("etag").unwrap();
    tag.to_str().unwrap().to_owned()
}

/// The tag of what a path shows.
async fn tag_of(app: &TestApp, path: &str) -> String {
    tag(&send(app, "GET", path, ("x-none", ""), None).await)
}

#[tokio::test]
async fn what_a_client_has_already_is_not_sent_again() {
    let app = TestApp::start().await;
    let [product, _, test] = app.tree().await;
    let path = format!("products/{product}/");
    let first = tag_of(&app, &path).await;
    for known in [first.clone(), format!("\"x\", W/{first}"), "*".to_owned()] {
        let again = send(&app, "GET", &path, ("if-none-match", &known), None).await;
        assert_eq!((again.status().as_u16(), tag(&again)), (304, first.clone()));
        let body = again.into_body().collect().await.unwrap().to_bytes();
        assert!(body.is_empty());
    }
    // what belongs to other things is in the answer too
    app.finding(test, json!({})).await;
    let counted = send(&app, "GET", &path, ("if-none-match", &first), None).await;
    assert_eq!(counted.status(), 200);
    let second = tag(&counted);
    assert_ne!(second, first);
    // and it's no reason not to write: the product itself is as it was
    let change = Some(json!({"description": "new"}));
    let written = send(&app, "PATCH", &path, ("if-match", &first), change).await;
    assert_eq!(written.status(), 200);
    assert_eq!(tag(&written), tag_of(&app, &path).await);
    assert_ne!(tag(&written), second);
}

#[tokio::test]
async fn nobody_writes_over_what_they_have_not_seen() {
    let app = TestApp::start().await;
    let [product, _, test] = app.tree().await;
    let finding = app.finding(test, json!({})).await;
    let group = json!({"name": "g", "test": test, "findings": [finding]});
    let (_, group) = app.post("finding_groups/", group).await;
    let finding = app.finding(test, json!({"title": "other"})).await;
    for (path, change, other) in [
        (
            format!("products/{product}/"),
            json!({"description": "a"}),
            json!({"description": "b"}),
        ),
        (
            format!("findings/{finding}/"),
            json!({"cwe": 1}),
            json!({"cwe": 2}),
        ),
        (
            format!("finding_groups/{}/", group["id"]),
            json!({"name": "a"}),
            json!({"name": "b"}),
        ),
        (
            "deduplication_settings/system/".into(),
            json!({"code_moves": true}),
            json!({"code_moves": false}),
        ),
    ] {
        let seen = tag_of(&app, &path).await;
        let first = send(&app, "PATCH", &path, ("if-match", &seen), Some(change)).await;
        assert_eq!(first.status(), 200, "{path}");
        let late = send(
            &app,
            "PATCH",
            &path,
            ("if-match", &seen),
            Some(other.clone()),
        )
        .await;
        assert_eq!(late.status(), 412, "{path}");
        assert_eq!(tag_of(&app, &path).await, tag(&first), "{path}");
        let again = send(
            &app,
            "PATCH",
            &path,
            ("if-match", &tag(&first)),
            Some(other),
        )
        .await;
        assert_eq!(again.status(), 200, "{path}");
    }
}

/// Of many who saw the same, one writes.
#[tokio::test]
async fn of_many_at_once_one_writes() {
    let app = TestApp::start().await;
    let [product, _, test] = app.tree().await;
    let finding = app.finding(test, json!({})).await;
    for (path, field) in [
        (format!("products/{product}/"), "description"),
        (format!("findings/{finding}/"), "title"),
    ] {
        let seen = tag_of(&app, &path).await;
        let writes = (0..8).map(|n| {
            let change = Some(json!({field: format!("by {n}")}));
            send(&app, "PATCH", &path, ("if-match", &seen), change)
        });
        let writes = futures::future::join_all(writes.collect::<Vec<_>>()).await;
        let mut counted = BTreeMap::<u16, usize>::new();
        for write in &writes {
            *counted.entry(write.status().as_u16()).or_default() += 1;
        }
        assert_eq!(counted, BTreeMap::from([(200, 1), (412, 7)]), "{path}");
    }
    let seen = tag_of(&app, &format!("findings/{finding}/")).await;
    app.patch(&format!("findings/{finding}/"), json!({"cwe": 3}))
        .await;
    let path = format!("findings/{finding}/");
    let late = send(&app, "DELETE", &path, ("if-match", &seen), None).await;
    assert_eq!(late.status(), 412);
    let seen = tag_of(&app, &path).await;
    let gone = send(&app, "DELETE", &path, ("if-match", &seen), None).await;
    assert_eq!(gone.status(), 204);
}

/// Everything that can be read one by one has a tag, and every write over it minds `If-Match`.
#[tokio::test]
async fn every_single_thing_has_a_tag_and_every_write_minds_it() {
    let app = TestApp::start().await;
    let rows = table();
    let mut ids = BTreeMap::new();
    let (_, made) = app.post("product_types/", json!({"name": "type"})).await;
    ids.insert("product_type".to_owned(), made["id"].as_u64().unwrap());
    fill(&app, TOKEN, &rows, &mut ids).await;
    let (_, token) = app.post("tokens/", json!({"name": "t"})).await;
    ids.insert("token".to_owned(), token["id"].as_u64().unwrap());
    let (_, document) = app.get("oa3/schema/").await;
    let mut tried = 0;
    let mut wrong = Vec::new();
    for row in &rows {
        let operations = &document["paths"][&row.path];
        let is_tagged = operations["get"]["responses"]["304"].is_object();
        let writes = [Method::PUT, Method::PATCH, Method::DELETE].contains(&row.method);
        if !is_tagged || !(writes || row.method == Method::GET) {
            continue;
        }
        let singular = row.holder().trim_end_matches('s');
        let id = ids.get(singular).copied().unwrap_or(1).to_string();
        let path = row.path.replacen("{id}", &id, 1);
        let path = path.trim_start_matches("/api/v2/");
        let there = send(&app, "GET", path, ("x-none", ""), None).await;
        if there.status() == 404 {
            continue;
        }
        assert_eq!(there.status(), 200, "{path}");
        tag(&there);
        if !writes {
            continue;
        }
        tried += 1;
        let json = there.into_body().collect().await.unwrap().to_bytes();
        let seen = serde_json::from_slice(&json).unwrap();
        let other = ("if-match", "\"0000000000000000-0\"");
        let refused = send(&app, row.method.as_str(), path, other, Some(seen)).await;
        if refused.status() != 412 {
            wrong.push(format!("{} {path}: {}", row.method, refused.status()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 60, "{tried}");
}
