//! What JIRA tells by itself.

use axum::body::Body;
use http::Request;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequestContext;
use lambda_http::request::RequestContext;
use serde_json::{Value, json};
use tatami_domain::JiraInstanceId;
use tatami_queue::JiraMessage;

use super::{get, instance};
use crate::app::{Answer, TestApp};

/// An event as JIRA sends it.
fn event(kind: &str) -> Value {
    let mut event = json!({
        "timestamp": 1_780_000_000_000_u64, "webhookEvent": kind,
        "issue": {"id": "10042", "key": "SEC-7", "self": "https://192.0.2.7/rest/api/2/issue/10042"},
    });
    if kind.starts_with("comment") {
        event["comment"] = json!({"id": "5", "body": "fixed?"});
    }
    event
}

async fn told(app: &TestApp, path: &str, body: impl Into<Body>) -> Answer {
    let request = Request::post(path)
        .header("host", "tatami.test")
        .header("content-type", "application/json");
    app.send(request.body(body.into()).unwrap()).await
}

/// The path of the webhook, which is switched on.
async fn switched_on(app: &TestApp) -> String {
    let on = json!({"enable_jira_web_hook": true});
    assert_eq!(app.patch("system_settings/1/", on).await.0, 200);
    let (_, address) = app
        .post("system_settings/1/new_webhook_secret/", json!({}))
        .await;
    let url = address["url"].as_str().unwrap();
    url.strip_prefix("http://tatami.test").unwrap().to_owned()
}

/// What came for the jira function.
async fn messages(app: &TestApp) -> Vec<JiraMessage> {
    let mut all = Vec::new();
    for body in app.sent("jira").await {
        all.push(tatami_queue::read(&body).unwrap());
    }
    all
}

#[tokio::test]
async fn what_happened_to_an_issue_is_handed_on() {
    let app = TestApp::start().await;
    let id = instance(&app).await;
    let path = switched_on(&app).await;
    let changed = JiraMessage::Changed {
        jira_id: "10042".into(),
        instance: Some(JiraInstanceId(id)),
    };
    for kind in [
        "jira:issue_updated",
        "jira:issue_deleted",
        "comment_created",
        "comment_updated",
    ] {
        let (status, answer) = told(&app, &path, event(kind).to_string()).await;
        assert_eq!(status, 200, "{kind}: {answer}");
        assert_eq!(
            messages(&app).await,
            std::slice::from_ref(&changed),
            "{kind}"
        );
    }
    // some have a slash at the end
    let (status, _) = told(
        &app,
        &format!("{path}/"),
        event("comment_created").to_string(),
    )
    .await;
    assert_eq!((status.as_u16(), messages(&app).await.len()), (200, 1));
    for kind in ["jira:issue_created", "sprint_started"] {
        let (status, answer) = told(&app, &path, event(kind).to_string()).await;
        assert_eq!(status, 200, "{kind}: {answer}");
        assert!(messages(&app).await.is_empty(), "{kind}");
    }
    let mut elsewhere = event("jira:issue_updated");
    elsewhere["issue"]["self"] = json!("https://else.example.com/rest/api/2/issue/10042");
    assert_eq!(told(&app, &path, elsewhere.to_string()).await.0, 200);
    let unknown = JiraMessage::Changed {
        jira_id: "10042".into(),
        instance: None,
    };
    assert_eq!(messages(&app).await, [unknown]);
}

#[tokio::test]
async fn a_body_that_is_none_is_refused() {
    let app = TestApp::start().await;
    let path = switched_on(&app).await;
    for body in [
        "",
        "{",
        "[]",
        "{}",
        r#"{"webhookEvent": "jira:issue_updated"}"#,
    ] {
        let (status, answer) = told(&app, &path, body.to_owned()).await;
        assert_eq!(status, 400, "{body}: {answer}");
    }
    let large = format!("{{\"x\": \"{}\"}}", "x".repeat(1024 * 1024));
    assert_eq!(told(&app, &path, large).await.0, 413);
    assert!(messages(&app).await.is_empty());
}

#[tokio::test]
async fn without_the_secret_nothing_is_taken() {
    let app = TestApp::start().await;
    let body = event("jira:issue_updated").to_string();
    // it's off at first
    assert_eq!(told(&app, "/jira/webhook", body.clone()).await.0, 404);
    assert_eq!(told(&app, "/jira/webhook/x", body.clone()).await.0, 404);
    let on = json!({"enable_jira_web_hook": true});
    assert_eq!(app.patch("system_settings/1/", on).await.0, 200);
    // no secret is set, which is none that could be right
    assert_eq!(told(&app, "/jira/webhook", body.clone()).await.0, 401);
    assert_eq!(told(&app, "/jira/webhook/x", body.clone()).await.0, 401);
    let path = switched_on(&app).await;
    for wrong in [
        "/jira/webhook",
        "/jira/webhook/x",
        &format!("{path}x"),
        &path[..path.len() - 1],
    ] {
        let (status, answer) = told(&app, wrong, body.clone()).await;
        assert_eq!(status, 401, "{wrong}: {answer}");
    }
    assert!(messages(&app).await.is_empty());
    let old = path;
    let path = switched_on(&app).await;
    assert_eq!(told(&app, &old, body.clone()).await.0, 401);
    assert_eq!(told(&app, &path, body.clone()).await.0, 200);
    let open = json!({"disable_jira_webhook_secret": true});
    assert_eq!(app.patch("system_settings/1/", open).await.0, 200);
    assert_eq!(told(&app, "/jira/webhook", body.clone()).await.0, 200);
    let off = json!({"enable_jira": false});
    assert_eq!(app.patch("system_settings/1/", off).await.0, 200);
    assert_eq!(told(&app, &path, body).await.0, 404);
    // the secret is in no log
    let secret = path.rsplit('/').next().unwrap();
    let log = get(&app, "audit/").await.to_string();
    assert!(!log.contains(secret), "{log}");
}

#[tokio::test]
async fn whoever_guesses_has_to_wait() {
    let app = TestApp::start().await;
    let path = switched_on(&app).await;
    let body = event("sprint_started").to_string();
    let from = |path: String, address: &str| {
        let mut context = RequestContext::ApiGatewayV2(ApiGatewayV2httpRequestContext::default());
        if let RequestContext::ApiGatewayV2(context) = &mut context {
            context.http.source_ip = Some(address.into());
        }
        let request = Request::post(path)
            .header("host", "tatami.test")
            .extension(context);
        request.body(Body::from(body.clone())).unwrap()
    };
    for n in 0..50 {
        let guess = format!("/jira/webhook/{n}");
        assert_eq!(app.send(from(guess, "192.0.2.1")).await.0, 401);
    }
    assert_eq!(app.send(from(path.clone(), "192.0.2.1")).await.0, 429);
    assert_eq!(app.send(from(path, "192.0.2.2")).await.0, 200);
}
