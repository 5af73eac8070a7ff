//! The OpenAPI document: what it says, frozen in `openapi.json`, and the page that shows it.

use std::collections::BTreeSet;

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::Value;

use crate::app::TestApp;

const FROZEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");

async fn text(app: &TestApp, path: &str, accept: &str) -> (u16, String, String) {
    let request = Request::get(path).header("accept", accept);
    let response = app.response(request.body(Body::empty()).unwrap()).await;
    let kind = response.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, kind, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn the_document_is_there_for_everybody_and_its_lists_can_be_read() {
    let app = TestApp::start().await;
    let request = Request::get("/api/v2/oa3/schema/?format=json")
        .body(Body::empty())
        .unwrap();
    let (status, document) = app.send(request).await;
    assert_eq!(
        (status.as_u16(), document["openapi"].as_str()),
        (200, Some("3.0.3"))
    );
    for (path, operations) in document["paths"].as_object().unwrap() {
        let parameters = operations["get"]["parameters"].as_array();
        let mut parameters = parameters.into_iter().flatten();
        let is_paged = parameters.any(|parameter| parameter["name"] == "cursor");
        if is_paged && !path.contains('{') {
            let (status, page) = app.get(path.trim_start_matches("/api/v2/")).await;
            assert_eq!(status, 200, "{path}");
            assert!(page["results"].is_array(), "{path}");
        }
    }
}

#[tokio::test]
async fn the_document_is_json_and_yaml() {
    let app = TestApp::start().await;
    let path = "/api/v2/oa3/schema/";
    let (_, kind, json) = text(&app, path, "*/*").await;
    assert_eq!(kind, "application/json");
    let json: Value = serde_json::from_str(&json).unwrap();
    for (path, accept) in [
        (
            "/api/v2/oa3/schema/?format=yaml&lang=de",
            "application/json",
        ),
        (path, "application/yaml"),
    ] {
        let (status, kind, yaml) = text(&app, path, accept).await;
        assert_eq!((status, kind.as_str()), (200, "application/yaml"));
        assert_eq!(yaml_serde::from_str::<Value>(&yaml).unwrap(), json);
    }
    assert_eq!(
        text(&app, "/api/v2/oa3/schema/?format=xml", "*/*").await.0,
        400
    );
}

/// Each operation and each schema by its name.
fn parts(document: &Value) -> Vec<(String, &Value)> {
    let mut parts = Vec::new();
    for (path, operations) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in operations.as_object().into_iter().flatten() {
            parts.push((format!("{} {path}", method.to_uppercase()), operation));
        }
    }
    for (kind, components) in document["components"].as_object().into_iter().flatten() {
        for (name, component) in components.as_object().into_iter().flatten() {
            parts.push((format!("{kind}/{name}"), component));
        }
    }
    parts
}

#[tokio::test]
#[allow(clippy::disallowed_methods, reason = "it's for who runs the test")]
async fn the_contract_with_clients_is_as_it_is_frozen() {
    let app = TestApp::start().await;
    let (_, document) = app.get("oa3/schema/").await;
    let updates = std::env::var_os("UPDATE_OPENAPI").is_some();
    let frozen = std::fs::read_to_string(FROZEN).unwrap_or_default();
    let frozen: Value = serde_json::from_str(&frozen).unwrap_or_default();
    if frozen == document {
        return;
    }
    let (was, is) = (parts(&frozen), parts(&document));
    let names: BTreeSet<&String> = was.iter().chain(&is).map(|(name, _)| name).collect();
    for name in names {
        let find = |parts: &[(String, &Value)]| {
            let part = parts.iter().find(|(other, _)| other == name);
            part.map(|(_, part)| (*part).clone())
        };
        match (find(&was), find(&is)) {
            (None, Some(_)) => println!("new      {name}"),
            (Some(_), None) => println!("gone     {name}"),
            (was, is) if was != is => println!("changed  {name}"),
            _ => {}
        }
    }
    if updates {
        let text = serde_json::to_string_pretty(&document).unwrap();
        std::fs::write(FROZEN, text + "\n").unwrap();
        return;
    }
    panic!(
        "the API is described otherwise than in openapi.json; where that is meant: \
         UPDATE_OPENAPI=1 cargo test --workspace --test it -- contract"
    );
}

#[tokio::test]
async fn the_page_shows_the_document_and_loads_nothing_from_elsewhere() {
    let app = TestApp::start().await;
    let (status, kind, page) = text(&app, "/api/v2/oa3/swagger-ui/", "text/html").await;
    assert_eq!((status, kind.as_str()), (200, "text/html; charset=utf-8"));
    let links = page.split('"').filter(|part| part.starts_with('/'));
    let mut seen = 0;
    for link in links {
        let (status, kind, body) = text(&app, link, "*/*").await;
        assert_eq!(status, 200, "{link}");
        assert!(
            kind.starts_with("text/") || link.contains("schema"),
            "{link} {kind}"
        );
        assert!(!body.is_empty());
        seen += 1;
    }
    assert!(seen >= 3, "{page}");
    assert!(!page.contains("://"), "{page}");
    assert!(
        !page.contains("<script>") && !page.contains("style="),
        "{page}"
    );
    let request = Request::get("/api/v2/oa3/swagger-ui")
        .body(Body::empty())
        .unwrap();
    let response = app.response(request).await;
    let policy = response.headers()["content-security-policy"]
        .to_str()
        .unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(
        text(&app, "/api/v2/oa3/swagger-ui/other.js", "*/*").await.0,
        404
    );
}
