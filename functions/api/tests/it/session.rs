//! Sessions of browsers.

use axum::body::Body;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::app::{PASSWORD, TestApp};

/// A browser: it keeps the cookie, and no token.
struct Browser<'a> {
    app: &'a TestApp,
    cookie: Option<String>,
    csrf: Option<String>,
}

impl Browser<'_> {
    async fn call(&mut self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v2/{path}"))
            .header("host", "tatami.test")
            .header("content-type", "application/json");
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", format!("theme=dark; {cookie}"));
        }
        if let Some(csrf) = &self.csrf {
            request = request.header("x-csrf-token", csrf);
        }
        let request = request.body(Body::from(body.to_string())).unwrap();
        let response = self.app.response(request).await;
        if let Some(set) = response.headers().get("set-cookie") {
            let set = set.to_str().unwrap();
            self.cookie = set.split(';').next().map(str::to_owned);
        }
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        (status, body)
    }

    async fn sign_in(&mut self, username: &str, password: &str) -> (StatusCode, Value) {
        let body = json!({"username": username, "password": password});
        let (status, body) = self.call(Method::POST, "login/", body).await;
        self.csrf = body["csrf_token"].as_str().map(str::to_owned);
        (status, body)
    }
}

fn browser(app: &TestApp) -> Browser<'_> {
    Browser {
        app,
        cookie: None,
        csrf: None,
    }
}

#[tokio::test]
async fn a_session_begins_is_used_and_ends() {
    let app = TestApp::start().await;
    let mut browser = browser(&app);
    let (status, body) = browser.sign_in("admin", "wrong").await;
    assert_eq!(
        (status.as_u16(), browser.cookie.is_none()),
        (400, true),
        "{body}"
    );
    let (status, body) = browser.sign_in("admin", PASSWORD).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["user"]["username"], "admin");
    let cookie = browser.cookie.clone().unwrap();
    let (status, again) = browser.call(Method::GET, "session/", Value::Null).await;
    assert_eq!(
        (status.as_u16(), &again["csrf_token"]),
        (200, &body["csrf_token"])
    );
    let kind = json!({"name": "Shops"});
    let (status, made) = browser.call(Method::POST, "product_types/", kind).await;
    assert_eq!(status, 201, "{made}");
    // it's no token, and isn't among them
    let (_, tokens) = app.get("tokens/").await;
    let names: Vec<&Value> = tokens["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| &t["name"])
        .collect();
    assert_eq!(names, ["preset"]);
    let secret = cookie.split_once('=').unwrap().1;
    let request = Request::get("/api/v2/users/me/")
        .header("authorization", format!("Token {secret}"))
        .body(Body::empty())
        .unwrap();
    assert_eq!(app.send(request).await.0, 401);
    let (status, _) = browser.call(Method::DELETE, "session/", Value::Null).await;
    assert_eq!(status, 204);
    assert_eq!(browser.cookie.as_deref(), Some("tatami_session="));
    browser.cookie = Some(cookie);
    let (status, _) = browser.call(Method::GET, "session/", Value::Null).await;
    assert_eq!(status, 401, "it has ended");
    // with a token there is no session
    assert_eq!(app.get("session/").await.0, 404);
}

#[tokio::test]
async fn other_sites_change_nothing() {
    let app = TestApp::start().await;
    let mut browser = browser(&app);
    browser.sign_in("admin", PASSWORD).await;
    let kind = json!({"name": "Shops"});
    for csrf in [None, Some("0".repeat(64))] {
        browser.csrf = csrf;
        let (status, body) = browser
            .call(Method::POST, "product_types/", kind.clone())
            .await;
        assert_eq!(status, 403);
        assert!(body["detail"].as_str().unwrap().contains("CSRF"), "{body}");
        let (status, _) = browser
            .call(Method::GET, "product_types/", Value::Null)
            .await;
        assert_eq!(status, 200);
    }
    let body = json!({"username": "admin", "password": PASSWORD}).to_string();
    let request = Request::post("/api/v2/login/")
        .header("content-type", "application/json")
        .header("sec-fetch-site", "cross-site")
        .body(Body::from(body))
        .unwrap();
    assert_eq!(app.send(request).await.0, 403);
}

#[tokio::test]
async fn another_password_ends_every_session() {
    let app = TestApp::start().await;
    let mut first = browser(&app);
    first.sign_in("admin", PASSWORD).await;
    let new = "quite another Passphrase 8";
    let body = json!({"username": "admin", "password": PASSWORD, "new_password": new});
    assert_eq!(app.post("change-password/", body).await.0, 204);
    let (status, _) = first.call(Method::GET, "session/", Value::Null).await;
    assert_eq!(status, 401);
    let (status, _) = first.sign_in("admin", new).await;
    assert_eq!(status, 200);

    let given = tatami_runtime::reset_password(&app.services.store, "admin")
        .await
        .unwrap();
    let (_, log) = app.get("audit/?method=COMMAND").await;
    assert_eq!(log["count"], 1, "{log}");
    let change = &log["results"][0]["changes"][0];
    assert_eq!(change["fields"]["must_change_password"]["after"], true);
    let (status, body) = first.sign_in("admin", &given).await;
    assert_eq!(status, 403, "it has to be changed first: {body}");
    let body = json!({"username": "admin", "password": given, "new_password": PASSWORD});
    assert_eq!(app.post("change-password/", body).await.0, 204);
    assert_eq!(first.sign_in("admin", PASSWORD).await.0, 200);
    for (name, wanted) in [("nobody", "no user")] {
        let refused = tatami_runtime::reset_password(&app.services.store, name).await;
        assert!(refused.unwrap_err().to_string().contains(wanted));
    }
}
