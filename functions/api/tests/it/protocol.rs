//! What holds for every request: ids, limits, rates, and keys under which it is done once.

use axum::body::Body;
use axum::response::Response;
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::app::{TOKEN, TestApp};

async fn json(response: Response) -> Value {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&bytes).unwrap_or(Value::Null)
}

async fn post(app: &TestApp, path: &str, key: &str, body: Value) -> Response {
    post_as(app, TOKEN, path, key, body).await
}

async fn post_as(app: &TestApp, token: &str, path: &str, key: &str, body: Value) -> Response {
    let request = Request::post(format!("/api/v2/{path}"))
        .header("host", "tatami.test")
        .header("authorization", format!("Token {token}"))
        .header("content-type", "application/json")
        .header("idempotency-key", key)
        .body(Body::from(body.to_string()))
        .unwrap();
    app.response(request).await
}

#[tokio::test]
async fn the_same_request_under_a_key_is_done_once() {
    let app = TestApp::start().await;
    let body = json!({"name": "T"});
    let first = post(&app, "product_types/", "k1", body.clone()).await;
    assert_eq!(first.status(), 201);
    let tag = first.headers()["etag"].clone();
    let first = json(first).await;
    let again = post(&app, "product_types/", "k1", body.clone()).await;
    assert_eq!(again.status(), 201);
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(again.headers()["etag"], tag);
    assert_eq!(json(again).await, first);
    // another request under it: another body, another path
    for (path, body) in [
        ("product_types/", json!({"name": "U"})),
        ("regulations/", body.clone()),
    ] {
        let other = post(&app, path, "k1", body).await;
        assert_eq!(other.status(), 422, "{path}");
    }
    // another user's keys are others
    let (_, user) = app
        .post("users/", json!({"username": "u", "email": "u@b.example"}))
        .await;
    let (_, role) = app
        .post(
            "global_roles/",
            json!({"user": user["id"], "role": admin()}),
        )
        .await;
    assert!(role["id"].is_u64(), "{role}");
    let (_, token) = app
        .post("tokens/", json!({"user": user["id"], "name": "t"}))
        .await;
    let token = token["token"].as_str().unwrap();
    let theirs = post_as(&app, token, "product_types/", "k1", json!({"name": "V"})).await;
    assert_eq!(theirs.status(), 201);
    let (_, list) = app.get("product_types/?name=T").await;
    assert_eq!(list["count"], 1, "{list}");
}

/// The id of the role that may everything.
fn admin() -> usize {
    let admin = |(name, _): &(&str, _)| *name == "Admin";
    tatami_auth::BUILTIN_ROLES.iter().position(admin).unwrap() + 1
}

#[tokio::test]
async fn what_was_refused_may_be_tried_again_under_its_key() {
    let app = TestApp::start().await;
    let refused = post(&app, "products/", "k", json!({"name": "P"})).await;
    assert_eq!(refused.status(), 400);
    let (_, kind) = app.post("product_types/", json!({"name": "T"})).await;
    let body = json!({"name": "P", "description": "d", "prod_type": kind["id"]});
    assert_eq!(post(&app, "products/", "k", body).await.status(), 201);
    for key in [" ", &"x".repeat(256)] {
        let wrong = post(&app, "products/", key, json!({})).await;
        assert_eq!(wrong.status(), 400, "{key}");
        let wrong = json(wrong).await;
        assert!(wrong["Idempotency-Key"].is_array(), "{wrong}");
    }
}

#[tokio::test]
async fn of_many_at_once_under_a_key_one_is_done() {
    let app = TestApp::start().await;
    let body = json!({"name": "R"});
    let posts = (0..8).map(|_| post(&app, "regulations/", "k", regulation(&body)));
    let posts = futures::future::join_all(posts.collect::<Vec<_>>()).await;
    let made = |response: &&Response| response.status() == 201;
    assert!(posts.iter().any(|response| made(&response)));
    assert!(
        posts
            .iter()
            .all(|r| [201, 409].contains(&r.status().as_u16()))
    );
    let (_, list) = app.get("regulations/").await;
    assert_eq!(list["count"], 1, "{list}");
}

fn regulation(more: &Value) -> Value {
    json!({"name": more["name"], "acronym": "r", "category": "privacy", "jurisdiction": "EU"})
}

#[tokio::test]
async fn a_secret_is_kept_nowhere() {
    let app = TestApp::start().await;
    let body = json!({"name": "ci"});
    let first = post(&app, "tokens/", "k", body.clone()).await;
    assert_eq!(first.status(), 201);
    assert_eq!(first.headers()["cache-control"], "no-store");
    let text = json(first).await["token"].as_str().unwrap().to_owned();
    let again = post(&app, "tokens/", "k", body).await;
    assert_eq!(again.status(), 409);
    assert!(!json(again).await.to_string().contains(&text));
    let (_, list) = app.get("tokens/").await;
    let named = list["results"].as_array().unwrap().iter();
    assert_eq!(named.filter(|token| token["name"] == "ci").count(), 1);
}

#[tokio::test]
async fn a_form_that_is_sent_again_is_the_same_though_its_boundary_is_another() {
    let app = TestApp::start().await;
    let [.., test] = app.tree().await;
    let attach = async |boundary: &str, text: &str| {
        let body = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n\
             {text}\r\n--{boundary}--\r\n"
        );
        let request = Request::post(format!("/api/v2/tests/{test}/files/"))
            .header("authorization", format!("Token {TOKEN}"))
            .header(
                "content-type",
                format!("multipart/form-data; boundary={boundary}"),
            )
            .header("idempotency-key", "k")
            .body(Body::from(body))
            .unwrap();
        let response = app.response(request).await;
        (response.status().as_u16(), json(response).await)
    };
    let first = attach("----a", "text").await;
    assert_eq!(first.0, 201, "{}", first.1);
    assert_eq!(attach("----bb", "text").await, first);
    assert_eq!(attach("----bb", "other").await.0, 422);
    let (_, files) = app.get(&format!("tests/{test}/files/")).await;
    assert_eq!(files["files"].as_array().unwrap().len(), 1, "{files}");
}

#[tokio::test]
async fn every_answer_has_an_id() {
    let app = TestApp::start().await;
    let ask = async |id: Option<&str>, path: &str| {
        let mut request = Request::get(path);
        if let Some(id) = id {
            request = request.header("x-request-id", id);
        }
        let response = app.response(request.body(Body::empty()).unwrap()).await;
        response.headers()["x-request-id"]
            .to_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(ask(Some("build-7"), "/health").await, "build-7");
    assert_ne!(ask(Some("a b"), "/health").await, "a b");
    for path in ["/health", "/api/v2/products/", "/nowhere"] {
        assert_eq!(ask(None, path).await.len(), 36, "{path}");
    }
}

const MB: usize = 1024 * 1024;

#[tokio::test]
async fn bodies_have_a_limit_and_the_refusal_says_where_big_reports_go() {
    let app = TestApp::start().await;
    let [.., test] = app.tree().await;
    let send = async |path: &str, kind: &str, bytes: usize, length: bool| {
        let mut request = Request::post(format!("/api/v2/{path}"))
            .header("authorization", format!("Token {TOKEN}"))
            .header("content-type", kind);
        if length {
            request = request.header("content-length", bytes);
        }
        let body = Body::from(vec![b' '; bytes]);
        let response = app.response(request.body(body).unwrap()).await;
        (response.status().as_u16(), json(response).await)
    };
    let json = "application/json";
    let import = format!("import-scan/?test={test}");
    for (path, bytes) in [("products/", 7 * MB), (&*import, 5 * MB)] {
        for length in [true, false] {
            let (status, answer) = send(path, json, bytes, length).await;
            assert_eq!(status, 413, "{path} {answer}");
            let said = answer["detail"].as_str().unwrap();
            assert!(said.contains("/api/v2/uploads/"), "{said}");
        }
    }
    assert_eq!(send("products/", json, 5 * MB, true).await.0, 400);
    assert_eq!(send(&import, json, 2 * MB, true).await.0, 400);
}

#[tokio::test]
async fn a_token_that_asks_too_often_has_to_wait() {
    let app = TestApp::start_with(|settings| {
        settings.token_rate = Some(1);
        settings.token_burst = Some(20);
    })
    .await;
    let mut passed = 0;
    let refused = loop {
        let request =
            Request::get("/api/v2/user_profile/").header("authorization", format!("Token {TOKEN}"));
        let response = app.response(request.body(Body::empty()).unwrap()).await;
        if response.status() == 429 {
            break response;
        }
        assert_eq!(response.status(), 200);
        passed += 1;
        assert!(passed < 40, "nobody stops it");
    };
    assert!(passed >= 20, "{passed}");
    assert_eq!(refused.headers()["retry-after"], "1");
    assert!(json(refused).await["detail"].is_string());
    // a second process has the same bucket
    let other = tatami_api::router(app.services.clone());
    let request = Request::get("/api/v2/user_profile/")
        .header("authorization", format!("Token {TOKEN}"))
        .body(Body::empty())
        .unwrap();
    let response = tower::ServiceExt::oneshot(other, request).await.unwrap();
    assert!([200, 429].contains(&response.status().as_u16()));
    // and others are others
    let basic = base64(&format!("admin:{}", crate::app::PASSWORD));
    let request =
        Request::get("/api/v2/user_profile/").header("authorization", format!("Basic {basic}"));
    let response = app.response(request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), 200);
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}
