use axum::body::Body;
use base64::Engine as _;
use http::{Method, Request};
use serde_json::json;

use crate::app::{PASSWORD, TOKEN, TestApp};

#[tokio::test]
async fn only_those_who_are_known_come_in() {
    let app = TestApp::start().await;
    let request = |path: &str, header: &str| {
        Request::get(path)
            .header("authorization", header)
            .body(Body::empty())
            .unwrap()
    };
    let basic = |text: String| {
        format!(
            "Basic {}",
            base64::engine::general_purpose::STANDARD.encode(text)
        )
    };
    for header in [
        format!("Token {TOKEN}"),
        format!("Bearer {TOKEN}"),
        basic(format!("admin:{PASSWORD}")),
    ] {
        let (status, me) = app.send(request("/api/v2/user_profile/", &header)).await;
        assert_eq!(
            (status.as_u16(), me["user"]["username"].as_str()),
            (200, Some("admin"))
        );
    }
    for header in [
        "",
        "Token wrong",
        "Digest x",
        &basic("admin:x".into()),
        &basic("no:x".into()),
    ] {
        // the method and the path don't matter to whom nobody knows
        for path in ["/api/v2/findings/", "/api/v2/nothing/"] {
            let (status, body) = app.send(request(path, header)).await;
            assert_eq!(status, 401, "{header} {body}");
        }
    }
    let (status, body) = app.send(request("/api/v2/findings/", "Token wrong")).await;
    assert_eq!(
        (status.as_u16(), &body["detail"]),
        (401, &json!("Invalid token."))
    );
    let nobody = Request::get("/health").body(Body::empty()).unwrap();
    assert_eq!(app.send(nobody).await.1, json!({"status": "ok"}));
}

#[tokio::test]
async fn a_password_gives_a_token_that_works() {
    let app = TestApp::start().await;
    let login = |kind: &str, body: String| {
        Request::post("/api/v2/api-token-auth/")
            .header("content-type", kind)
            .body(Body::from(body))
            .unwrap()
    };
    let json_body = json!({"username": "admin", "password": PASSWORD}).to_string();
    let form_body = format!("username=admin&password={}", PASSWORD.replace(' ', "+"));
    for (kind, body) in [
        ("application/json", json_body),
        ("application/x-www-form-urlencoded", form_body),
    ] {
        let (status, answer) = app.send(login(kind, body)).await;
        assert_eq!(status, 200, "{answer}");
        let header = format!("Token {}", answer["token"].as_str().unwrap());
        let request = Request::get("/api/v2/users/1").header("authorization", header);
        assert_eq!(app.send(request.body(Body::empty()).unwrap()).await.0, 200);
    }
    let wrong = json!({"username": "admin", "password": "x"}).to_string();
    let (status, answer) = app.send(login("application/json", wrong)).await;
    assert_eq!(status, 400);
    assert_eq!(
        answer["non_field_errors"],
        json!(["Unable to log in with provided credentials."])
    );
    let (status, answer) = app.send(login("application/json", "{\"a\"".into())).await;
    assert_eq!(status, 400, "{answer}");
}

#[tokio::test]
async fn paths_and_methods() {
    let app = TestApp::start().await;
    for path in ["products", "products/", "/products//"] {
        assert_eq!(app.get(path).await.0, 200, "{path}");
    }
    for path in [
        "products/99/",
        "products/x/",
        "nothing/",
        "findings/99/",
        "imports/99/",
    ] {
        let (status, body) = app.get(path).await;
        assert_eq!(
            (status.as_u16(), &body["detail"]),
            (404, &json!("Not found.")),
            "{path}"
        );
    }
    for (method, path) in [(Method::DELETE, "products/"), (Method::PUT, "products/")] {
        assert_eq!(app.call(method, path, None).await.0, 405);
    }
}
