use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_domain::{Alert, AlertId, Delivery, DeliveryId, DeliveryState, UserId};

use super::{call, queued, user};
use crate::app::TestApp;

#[tokio::test]
async fn what_was_given_up_is_sent_again() {
    let app = TestApp::start().await;
    let (ada, token) = user(&app, "ada").await;
    queued(&app).await;
    let test = async |token: &str, body: Value| {
        call(&app, token, Method::POST, "notifications/test/", Some(body)).await
    };
    for (body, wanted) in [
        (json!({"channel": "mail", "to": "admin"}), 404),
        (json!({"channel": "slack", "to": "system"}), 403),
        (json!({"channel": "msteams"}), 400),
        (json!({"channel": "webhooks"}), 400),
        (json!({"channel": "pigeon"}), 400),
    ] {
        assert_eq!(test(&token, body.clone()).await.0, wanted, "{body}");
    }
    let mut made = Vec::new();
    for (token, body) in [
        (&*token, json!({"channel": "mail"})),
        (
            crate::app::TOKEN,
            json!({"channel": "slack", "to": "system"}),
        ),
        (crate::app::TOKEN, json!({"channel": "alert", "to": "ada"})),
    ] {
        let (status, answer) = test(token, body).await;
        assert_eq!(
            (status, &answer["state"]),
            (202, &json!("waiting")),
            "{answer}"
        );
        made.push(answer["delivery"].as_u64().unwrap());
    }
    let mut sent = queued(&app).await;
    sent.sort_unstable();
    assert_eq!(sent, made);
    let store = &app.services.store;
    let end = async |id: u64, state: DeliveryState, error: Option<&str>| {
        let old = store.delivery(DeliveryId(id)).await.unwrap();
        let new = Delivery {
            state,
            tries: old.tries + 3,
            error: error.map(str::to_owned),
            ..old.clone()
        };
        assert!(
            store
                .put_delivery(&new, old.tries, old.state)
                .await
                .unwrap()
        );
    };
    end(made[0], DeliveryState::Dead, Some("550 no such user")).await;
    end(made[1], DeliveryState::Dead, Some("invalid_auth")).await;
    end(made[2], DeliveryState::Sent, None).await;
    let count = async |query: &str| {
        let (status, page) = app.get(&format!("notification_deliveries/?{query}")).await;
        assert_eq!(status, 200, "{page}");
        page["count"].as_u64().unwrap()
    };
    let by_user = format!("user={ada}");
    for (query, wanted) in [
        ("", 3),
        ("state=dead", 2),
        ("state=dead,sent", 3),
        ("channel=mail&state=dead", 1),
        (&*by_user, 2),
        ("topic=other", 3),
        ("webhook=1", 0),
        ("created_before=2020-01-01", 0),
        ("created_after=2020-01-01", 3),
    ] {
        assert_eq!(count(query).await, wanted, "{query}");
    }
    assert_eq!(app.get("notification_deliveries/?state=lost").await.0, 400);
    let (status, _) = call(&app, &token, Method::GET, "notification_deliveries/", None).await;
    assert_eq!(status, 403);
    let one = format!("notification_deliveries/{}/", made[0]);
    let (_, dead) = app.get(&one).await;
    assert_eq!(
        (&dead["error"], &dead["user"]),
        (&json!("550 no such user"), &json!(ada))
    );
    assert_eq!(dead["message"]["topic"], "other");
    let (status, again) = app.post(&format!("{one}replay/"), json!({})).await;
    assert_eq!(
        (status.as_u16(), &again["state"], &again["tries"]),
        (202, &json!("waiting"), &json!(0))
    );
    assert_eq!(queued(&app).await, [made[0]]);
    assert_eq!(app.post(&format!("{one}replay/"), json!({})).await.0, 409);
    let body = json!({"filter": {"channel": ["slack", "alert"]}});
    let (status, answer) = app.post("notification_deliveries/replay/", body).await;
    assert_eq!(
        (status.as_u16(), answer),
        (202, json!({"replayed": 1, "left": 0}))
    );
    assert_eq!(queued(&app).await, [made[1]]);
    assert_eq!(count("state=dead").await, 0);
}

#[tokio::test]
async fn alerts_are_read_and_removed_by_their_owner() {
    let app = TestApp::start().await;
    let (ada, token) = user(&app, "ada").await;
    let (_, stranger) = user(&app, "bob").await;
    for n in 1..=3 {
        let alert = Alert {
            id: AlertId(0),
            user: UserId(ada),
            topic: if n == 3 { "scan_added" } else { "other" }.into(),
            title: format!("alert {n}"),
            description: String::new(),
            url: None,
            product: None,
            created: Timestamp::now(),
            read: false,
        };
        for _ in 0..2 {
            app.services
                .store
                .put_alert(&alert, DeliveryId(n))
                .await
                .unwrap();
        }
    }
    let get = async |path: &str| call(&app, &token, Method::GET, path, None).await.1;
    let page = get("alerts/").await;
    assert_eq!(
        (&page["count"], &page["results"][0]["title"]),
        (&json!(3), &json!("alert 3"))
    );
    assert_eq!(get("alerts/?topic=other").await["count"], 2);
    assert_eq!(
        call(&app, &stranger, Method::GET, "alerts/", None).await.1["count"],
        0
    );
    let read = Some(json!({"read": true}));
    let path = "alerts/2/";
    assert_eq!(
        call(&app, &stranger, Method::PATCH, path, read.clone())
            .await
            .0,
        404
    );
    let (status, alert) = call(&app, &token, Method::PATCH, path, read).await;
    assert_eq!((status, &alert["read"]), (200, &json!(true)));
    assert_eq!(get("alerts/?read=false").await["count"], 2);
    assert_eq!(get("alerts/count/").await, json!({"total": 3, "unread": 2}));
    let (_, counted) = call(
        &app,
        &token,
        Method::POST,
        "alerts/read_all/",
        Some(json!({})),
    )
    .await;
    assert_eq!(counted, json!({"total": 3, "unread": 0}));
    assert_eq!(get("alerts/count/").await["unread"], 0);
    assert_eq!(
        call(&app, &stranger, Method::DELETE, path, None).await.0,
        404
    );
    assert_eq!(call(&app, &token, Method::DELETE, path, None).await.0, 204);
    assert_eq!(get("alerts/").await["count"], 2);
    assert_eq!(
        call(&app, &token, Method::DELETE, "alerts/", None).await.0,
        204
    );
    assert_eq!(get("alerts/").await["count"], 0);
}

#[tokio::test]
async fn texts_of_operators_are_tried_before_they_are_kept() {
    let app = TestApp::start().await;
    let path = "notification_templates/";
    let (_, token) = user(&app, "ada").await;
    let (status, _) = call(&app, &token, Method::POST, path, Some(json!({}))).await;
    assert_eq!(status, 403);
    let template = json!({
        "topic": "scan_added", "channel": "slack", "subject": "New: {{ title }}",
        "body": "*{{ product.name }}* {{ summary }}",
    });
    let (status, shown) = app.post(&format!("{path}preview/"), template.clone()).await;
    assert_eq!(status, 200, "{shown}");
    assert!(
        shown["subject"].as_str().unwrap().starts_with("New: "),
        "{shown}"
    );
    let (status, made) = app.post(path, template.clone()).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(
        app.post(path, template).await.0,
        400,
        "there is one already"
    );
    for (change, field) in [
        (json!({"body": "{{ nothing }}"}), "body"),
        (json!({"body": "{% if %}"}), "body"),
        (json!({"subject": "{{ 1/0"}), "subject"),
        (json!({"channel": "webhooks"}), "channel"),
    ] {
        let one = format!("{path}{}/", made["id"]);
        let (status, answer) = app.patch(&one, change).await;
        assert_eq!(status, 400, "{answer}");
        assert!(answer[field].is_array(), "{answer}");
    }
    let one = format!("{path}{}/", made["id"]);
    assert_eq!(app.call(Method::DELETE, &one, None).await.0, 204);
}
