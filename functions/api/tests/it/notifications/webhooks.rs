use http::Method;
use serde_json::{Value, json};
use tatami_domain::NotificationWebhook;

use super::{call, queued, user};
use crate::app::TestApp;

#[tokio::test]
async fn webhooks_belong_to_the_system_or_to_somebody() {
    let app = TestApp::start().await;
    let (ada, token) = user(&app, "ada").await;
    let (_, stranger) = user(&app, "bob").await;
    let webhook = json!({
        "name": "chat", "url": "https://hooks.example/x", "owner": ada,
        "header_name": "X-Key", "header_value": "hunter2",
    });
    let path = "notification_webhooks/";
    let (status, made) = call(&app, &token, Method::POST, path, Some(webhook.clone())).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(
        (&made["status"], &made["signed"]),
        (&json!("active"), &json!(false))
    );
    assert!(
        made.get("header_value").is_none() && made.get("secret").is_none(),
        "{made}"
    );
    let mut of_system = webhook.clone();
    of_system["owner"] = Value::Null;
    assert_eq!(
        call(&app, &token, Method::POST, path, Some(of_system.clone()))
            .await
            .0,
        403
    );
    assert_eq!(app.post(path, of_system).await.0, 201);
    for (change, field) in [
        (json!({"url": "ftp://hooks.example/"}), "url"),
        (json!({"url": "https://ada:x@hooks.example/"}), "url"),
        (json!({"header_name": "X Key"}), "header_name"),
        (json!({"header_name": null}), "header_name"),
    ] {
        let one = format!("{path}{}/", made["id"]);
        let (status, answer) = call(&app, &token, Method::PATCH, &one, Some(change)).await;
        assert_eq!(status, 400, "{answer}");
        assert!(answer[field].is_array(), "{answer}");
    }
    let one = format!("{path}{}/", made["id"]);
    for (method, tail) in [
        (Method::GET, ""),
        (Method::PATCH, ""),
        (Method::DELETE, ""),
        (Method::POST, "new_secret/"),
        (Method::POST, "reactivate/"),
        (Method::POST, "test/"),
    ] {
        let path = format!("{one}{tail}");
        let (status, _) = call(&app, &stranger, method, &path, Some(json!({}))).await;
        assert_eq!(status, 404, "{path}");
    }
    let (_, page) = call(&app, &stranger, Method::GET, path, None).await;
    assert_eq!(page["count"], 0);
    let (_, page) = app.get(&format!("{path}?owner={ada}")).await;
    assert_eq!(page["count"], 1);
    // a stored one has nothing in clear, and its secrets open for their own purpose
    let (status, secret) = call(
        &app,
        &token,
        Method::POST,
        &format!("{one}new_secret/"),
        Some(json!({})),
    )
    .await;
    assert_eq!(status, 200, "{secret}");
    let id = made["id"].as_u64().unwrap();
    let stored: NotificationWebhook = app.services.store.get(id.into()).await.unwrap();
    let key = app.services.secret_key().unwrap();
    let open = |field: &str, text: &Option<String>| {
        let text = text.as_deref().unwrap();
        let opened = key.decrypt(&format!("NWEBHOOK.{field}"), text).unwrap();
        secrecy::ExposeSecret::expose_secret(&opened).to_owned()
    };
    assert_eq!(open("header_value", &stored.header_value), "hunter2");
    assert_eq!(open("secret", &stored.secret), secret["secret"]);
    let (_, shown) = app.get(&one).await;
    assert_eq!(shown["signed"], true);
    let (_, log) = app.get("audit/?limit=1000").await;
    for hidden in ["hunter2", secret["secret"].as_str().unwrap()] {
        assert!(!log.to_string().contains(hidden));
    }
    // what failed is tried again, and a test goes to the queue
    let failed = |webhook: &mut NotificationWebhook| {
        webhook.status = "inactive_permanent".into();
        webhook.note = Some("410".into());
        Ok::<_, tatami_store::StoreError>(())
    };
    app.services.store.change(stored.id, failed).await.unwrap();
    let path = format!("{one}reactivate/");
    let (_, back) = call(&app, &token, Method::POST, &path, Some(json!({}))).await;
    assert_eq!(
        (&back["status"], &back["note"]),
        (&json!("active"), &Value::Null)
    );
    queued(&app).await;
    let path = format!("{one}test/");
    let (status, sent) = call(&app, &token, Method::POST, &path, Some(json!({}))).await;
    assert_eq!(status, 202, "{sent}");
    assert_eq!(json!(queued(&app).await), json!([sent["delivery"]]));
    assert_eq!(call(&app, &token, Method::DELETE, &one, None).await.0, 204);
}

#[tokio::test]
async fn secrets_of_the_system_are_written_and_never_read() {
    let app = TestApp::start().await;
    let secrets = json!({"slack_token": "xoxb-1", "msteams_url": "https://teams.example/x"});
    let (status, answer) = app.patch("system_settings/1/", secrets).await;
    assert_eq!(status, 200, "{answer}");
    let (_, versions) = app.get("system_settings/1/versions/").await;
    let (_, log) = app.get("audit/?object=system+settings").await;
    for shown in [&answer, &versions, &log] {
        assert!(
            !shown.to_string().contains("xoxb-1") && !shown.to_string().contains("x1:"),
            "{shown}"
        );
    }
    assert!(answer.get("slack_token").is_none());
    let settings = app.services.store.system_settings().await.unwrap();
    let key = app.services.secret_key().unwrap();
    let token = key.decrypt(
        "SETTINGS.slack_token",
        settings.slack_token.as_deref().unwrap(),
    );
    assert_eq!(
        secrecy::ExposeSecret::expose_secret(&token.unwrap()),
        "xoxb-1"
    );
    let none = json!({"slack_token": ""});
    assert_eq!(app.patch("system_settings/1/", none).await.0, 200);
    let settings = app.services.store.system_settings().await.unwrap();
    assert!(settings.slack_token.is_none() && settings.msteams_url.is_some());
}
