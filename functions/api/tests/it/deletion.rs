//! Deleting parts of the product tree, as clients see it; what the job does, `tests/it/deletion.rs` shows.

use http::{Method, Request};
use serde_json::{Value, json};
use tatami_store::Follows;

use crate::app::TestApp;

async fn token(app: &TestApp, name: &str, role: u64, product: u64) -> String {
    let user = json!({"username": name, "email": "a@b.example"});
    let (_, user) = app.post("users/", user).await;
    let member = json!({"product": product, "user": user["id"], "role": role});
    let (status, member) = app.post("product_members/", member).await;
    assert_eq!(status, 201, "{member}");
    let (_, token) = app
        .post("tokens/", json!({"user": user["id"], "name": "t"}))
        .await;
    token["token"].as_str().unwrap().to_owned()
}

async fn call(app: &TestApp, token: &str, method: Method, path: &str) -> (u16, Value, String) {
    let request = Request::builder()
        .method(method)
        .uri(format!("/api/v2/{path}"))
        .header("host", "tatami.test")
        .header("authorization", format!("Token {token}"))
        .body(axum::body::Body::empty())
        .unwrap();
    let response = app.response(request).await;
    let status = response.status().as_u16();
    let location = response.headers().get("location");
    let location = location
        .map_or("", |value| value.to_str().unwrap())
        .to_owned();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
    let body = serde_json::from_slice(&body.unwrap()).unwrap_or(Value::Null);
    (status, body, location)
}

#[tokio::test]
async fn who_may_delete_what_and_watch_it() {
    let app = TestApp::start().await;
    let [product, engagement, test] = app.tree().await;
    app.finding(test, json!({})).await;
    let owner = token(&app, "owner", 4, product).await;
    let analyst = token(&app, "analyst", 2, product).await;
    for (who, path, expected) in [
        (&analyst, format!("tests/{test}/"), 403),
        (&analyst, format!("engagements/{engagement}/"), 403),
        (&owner, format!("products/{product}/"), 403),
        // the type of their product is not theirs to see
        (&owner, "product_types/1/".to_owned(), 404),
        (&owner, format!("tests/{test}/"), 204),
        (&owner, format!("engagements/{engagement}/"), 204),
    ] {
        let (status, answer, _) = call(&app, who, Method::DELETE, &path).await;
        assert_eq!(status, expected, "{path}: {answer}");
    }
    let (status, jobs, _) = call(&app, &owner, Method::GET, "jobs/").await;
    assert_eq!((status, &jobs["count"]), (200, &json!(2)), "{jobs}");
    let job = &jobs["results"][1];
    assert_eq!(
        (&job["model"], &job["object_id"], &job["name"], &job["of"]),
        (&json!("test"), &json!(test), &json!("t"), &json!(1))
    );
    let path = format!("jobs/{}/", job["id"]);
    assert_eq!(call(&app, &owner, Method::GET, &path).await.0, 200);
    assert_eq!(call(&app, &analyst, Method::GET, &path).await.0, 404);
    let (_, jobs, _) = call(&app, &analyst, Method::GET, "jobs/").await;
    assert_eq!(jobs["count"], 0);
    let resume = format!("{path}resume/");
    assert_eq!(call(&app, &analyst, Method::POST, &resume).await.0, 404);
    assert_eq!(app.get(&path).await.0, 200, "admins see all of them");
    let (status, again) = app.post(&resume, json!({})).await;
    assert_eq!((status.as_u16(), &again["state"]), (202, &json!("running")));

    let lead = token(&app, "lead", 6, product).await;
    let path = format!("products/{product}/");
    let (status, _, location) = call(&app, &lead, Method::DELETE, &path).await;
    assert_eq!((status, location.as_str()), (204, "/api/v2/jobs/3/"));
    assert_eq!(
        call(&app, &owner, Method::GET, "products/").await.1["count"],
        0
    );
}

#[tokio::test]
async fn what_is_gone_is_hidden_from_everything_that_speaks_of_it() {
    let app = TestApp::start().await;
    let [product, engagement, test] = app.tree().await;
    let finding = app.finding(test, json!({})).await;
    let metadata = json!({"finding": finding, "name": "k", "value": "v"});
    let (status, metadata) = app.post("metadata/", metadata).await;
    assert_eq!(status, 201, "{metadata}");
    let (status, _) = app
        .call(Method::DELETE, &format!("tests/{test}/"), None)
        .await;
    assert_eq!(status, 204);
    // the job has not run
    for path in [
        format!("findings/{finding}/"),
        format!("metadata/{}/", metadata["id"]),
        format!("tests/{test}/delete_preview/"),
    ] {
        assert_eq!(app.get(&path).await.0, 404, "{path}");
    }
    for list in ["findings/", "metadata/", "tests/"] {
        assert_eq!(app.get(list).await.1["count"], 0, "{list}");
    }
    let (_, shown) = app.get(&format!("products/{product}/")).await;
    assert_eq!(
        (&shown["findings_count"], &shown["prod_numeric_grade"]),
        (&json!(0), &json!(100))
    );
    let body = json!({
        "test": test, "title": "t", "severity": "High", "description": "d",
        "found_by": [1], "active": true, "verified": false,
    });
    let (status, answer) = app.post("findings/", body).await;
    assert_eq!(
        (status.as_u16(), answer["test"].is_array()),
        (400, true),
        "{answer}"
    );
    let (status, _) = app
        .call(Method::DELETE, &format!("engagements/{engagement}/"), None)
        .await;
    assert_eq!(status, 204);
    let (status, answer) = app
        .post(
            "tests/",
            json!({
                "engagement": engagement, "test_type": 1, "title": "t", "environment": 1,
                "target_start": "2026-01-01", "target_end": "2026-01-02T10:00:00Z",
            }),
        )
        .await;
    assert_eq!(status, 400, "{answer}");
}

#[tokio::test]
async fn nothing_comes_into_what_was_taken_away_meanwhile() {
    let app = TestApp::start().await;
    let [_, engagement, test] = app.tree().await;
    let store = &app.services.store;
    let known: tatami_domain::Test = store.get(test.into()).await.unwrap();
    assert!(store.cut("TEST", test).await.unwrap());
    assert!(!store.cut("TEST", test).await.unwrap());
    let note = tatami_domain::Note::new(0.into(), "n", None, jiff::Timestamp::now());
    let owner = tatami_domain::Owner::Test(test.into());
    assert!(
        store
            .add_note(known.product, owner, note, |_| Follows::default())
            .await
            .unwrap_err()
            .is_not_found()
    );
    assert!(store.cut("ENGAGEMENT", engagement).await.unwrap());
    let error = store.create(known).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("there is no engagement {engagement}")
    );
}
