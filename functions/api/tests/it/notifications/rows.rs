use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};
use tatami_domain::UserId;
use tatami_notifications::{Channel, Topic, unsubscribe};

use super::{call, user};
use crate::app::TestApp;

#[tokio::test]
async fn people_write_their_own_rows_and_administrators_all() {
    let app = TestApp::start().await;
    let [product, ..] = app.tree().await;
    let (ada, token) = user(&app, "ada").await;
    let (bob, _) = user(&app, "bob").await;
    let post = async |token: &str, body: Value| {
        call(&app, token, Method::POST, "notifications/", Some(body)).await
    };
    let admin = crate::app::TOKEN;
    let (status, own) = post(
        &token,
        json!({"user": ada, "scan_added": ["mail", "slack"]}),
    )
    .await;
    assert_eq!(status, 201, "{own}");
    assert_eq!(own["scan_added"], json!(["mail", "slack"]));
    assert_eq!(
        own["critical_finding"],
        json!(["alert", "mail"]),
        "what counts by default"
    );
    assert_eq!(own["sla_breach"], json!([]));
    for (body, wanted) in [
        (json!({"user": ada}), 400),
        (json!({"user": bob}), 403),
        (json!({}), 403),
        (json!({"template": true}), 403),
        (json!({"user": ada, "product": product}), 404),
        (json!({"user": ada, "product": 999}), 400),
    ] {
        let (status, answer) = post(&token, body.clone()).await;
        assert_eq!(status, wanted, "{body}: {answer}");
    }
    for (body, field) in [
        (json!({"user": bob, "scan_added": ["pigeon"]}), "scan_added"),
        (json!({"template": true, "user": bob}), "template"),
        (json!({"product": product}), "user"),
    ] {
        let (status, answer) = post(admin, body).await;
        assert_eq!(status, 400, "{answer}");
        assert!(answer[field].is_array(), "{answer}");
    }
    for body in [
        json!({}),
        json!({"template": true}),
        json!({"user": bob, "product": product}),
    ] {
        let (status, answer) = post(admin, body.clone()).await;
        assert_eq!(status, 201, "{answer}");
        let (status, answer) = post(admin, body).await;
        assert_eq!(status, 400, "{answer}");
    }
    let (_, page) = call(&app, &token, Method::GET, "notifications/", None).await;
    assert_eq!(
        (&page["count"], &page["results"][0]["id"]),
        (&json!(1), &own["id"])
    );
    let (_, page) = app.get("notifications/?prefetch=product,user").await;
    assert_eq!(page["count"], 4);
    let (_, page) = app.get(&format!("notifications/?product={product}")).await;
    assert_eq!(page["count"], 1);
    assert_eq!(
        page["results"][0]["scan_added"],
        json!([]),
        "a product only adds"
    );
    let others = page["results"][0]["id"].as_u64().unwrap();
    let path = format!("notifications/{others}/");
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        let (status, _) = call(&app, &token, method, &path, Some(json!({}))).await;
        assert_eq!(status, 404);
    }
    let path = format!("notifications/{}/", own["id"]);
    let change = Some(json!({"scan_added": [], "user": bob}));
    assert_eq!(
        call(&app, &token, Method::PATCH, &path, change).await.0,
        404
    );
    let change = Some(json!({"scan_added": []}));
    let (status, changed) = call(&app, &token, Method::PATCH, &path, change).await;
    assert_eq!((status, &changed["scan_added"]), (200, &json!([])));
    assert_eq!(call(&app, &token, Method::DELETE, &path, None).await.0, 204);
    // the place is free again
    assert_eq!(post(&token, json!({"user": ada})).await.0, 201);
}

#[tokio::test]
async fn what_counts_in_the_end_is_said_with_the_reasons() {
    let app = TestApp::start().await;
    let [product, ..] = app.tree().await;
    let (ada, token) = user(&app, "ada").await;
    let template = json!({"template": true, "scan_added": ["slack"]});
    assert_eq!(app.post("notifications/", template).await.0, 201);
    let of_product = json!({"user": ada, "product": product, "scan_added": ["mail"]});
    assert_eq!(app.post("notifications/", of_product).await.0, 201);
    let scan = async |path: &str| -> Value {
        let (status, all) = call(&app, &token, Method::GET, path, None).await;
        assert_eq!(status, 200, "{all}");
        let all = all.as_array().unwrap().clone();
        assert_eq!(all.len(), Topic::ALL.len());
        all.into_iter()
            .find(|one| one["topic"] == "scan_added")
            .unwrap()
    };
    let whole = scan("notifications/effective/").await;
    assert_eq!(whole["channels"], json!(["slack"]));
    assert_eq!(whole["because"][0]["scope"], "template");
    let path = format!("notifications/effective/?product={product}");
    assert_eq!(scan(&path).await["channels"], json!([]), "it can't be seen");
    let member = json!({"product": product, "user": ada, "role": 4});
    assert_eq!(app.post("product_members/", member).await.0, 201);
    let both = scan(&path).await;
    assert_eq!(both["channels"], json!(["mail", "slack"]));
    assert_eq!(both["because"][1]["scope"], "user_product");
    let (status, _) = call(
        &app,
        &token,
        Method::GET,
        "notifications/effective/?user=1",
        None,
    )
    .await;
    assert_eq!(status, 404);
    let (status, system) = app.get("notifications/effective/?user=system").await;
    assert_eq!(status, 200, "{system}");
    let alerts = system.as_array().unwrap().iter();
    let mut alerts = alerts.filter(|one| one["channels"].to_string().contains("alert"));
    assert!(alerts.next().is_none(), "nobody would see them");
}

#[tokio::test]
async fn mails_come_when_one_says() {
    let app = TestApp::start().await;
    let (_, token) = user(&app, "ada").await;
    let path = "notifications/digest/";
    let off = json!({"digest": "off", "digest_hour": 8, "time_zone": "UTC"});
    assert_eq!(
        call(&app, &token, Method::GET, path, None).await,
        (200, off)
    );
    let daily = json!({"digest": "daily", "digest_hour": 7, "time_zone": "Europe/Berlin"});
    for _ in 0..2 {
        let changed = call(&app, &token, Method::PATCH, path, Some(daily.clone())).await;
        assert_eq!(changed, (200, daily.clone()));
    }
    let wrong = Some(json!({"time_zone": "Mars/Olympus"}));
    let (status, answer) = call(&app, &token, Method::PATCH, path, wrong).await;
    assert_eq!(status, 400);
    assert!(
        answer["time_zone"][0].as_str().unwrap().contains("IANA"),
        "{answer}"
    );
    let (_, infos) = app.get("user_contact_infos/").await;
    assert_eq!(
        (&infos["count"], &infos["results"][0]["digest"]),
        (&json!(1), &json!("daily"))
    );
}

#[tokio::test]
async fn a_link_takes_somebody_out_of_a_topic() {
    let app = TestApp::start().await;
    let [product, ..] = app.tree().await;
    let (ada, token) = user(&app, "ada").await;
    let of_product =
        json!({"user": ada, "product": product, "critical_finding": ["mail", "slack"]});
    assert_eq!(app.post("notifications/", of_product).await.0, 201);
    let key = app.services.secret_key().unwrap().derive("unsubscribe");
    let link = unsubscribe::token(&key, UserId(ada), Topic::CriticalFinding, Channel::Mail);
    let open = async |method: Method, link: &str| {
        let request = Request::builder()
            .method(method)
            .uri(format!("/notifications/unsubscribe/{link}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from("List-Unsubscribe=One-Click"))
            .unwrap();
        let answer = app.response(request).await;
        let html = answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        (answer.status().as_u16(), html)
    };
    let rows = async || app.get("notifications/").await.1["results"].clone();
    let (status, kind) = open(Method::GET, &link).await;
    assert_eq!((status, &*kind), (200, "text/html; charset=utf-8"));
    assert_eq!(
        rows().await[0]["critical_finding"],
        json!(["mail", "slack"]),
        "only asked"
    );
    for _ in 0..2 {
        assert_eq!(open(Method::POST, &link).await.0, 200);
    }
    let rows = rows().await;
    assert_eq!(rows.as_array().unwrap().len(), 2);
    assert_eq!(rows[0]["critical_finding"], json!(["slack"]));
    assert_eq!(rows[1]["critical_finding"], json!(["alert"]));
    assert_eq!(
        rows[1]["user_mentioned"],
        json!(["alert", "mail"]),
        "the rest is as it was"
    );
    let mut forged = link.clone();
    forged.replace_range(5..6, if &link[5..6] == "A" { "B" } else { "A" });
    assert_eq!(open(Method::POST, &forged).await.0, 404);
    assert_eq!(open(Method::GET, &token).await.0, 404);
}
