//! The audit log.

use axum::body::Body;
use http::{Method, Request};
use http_body_util::BodyExt as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tatami_domain::{AuditEntry, Product};
use tatami_store::{AuditHead, Broken, Record};

use crate::app::{TOKEN, TestApp};

/// The lines of an export.
async fn export(app: &TestApp, query: &str) -> Vec<String> {
    let request = Request::get(format!("/api/v2/audit/export/{query}"))
        .header("host", "tatami.test")
        .header("authorization", format!("Token {TOKEN}"))
        .body(Body::empty())
        .unwrap();
    let response = app.response(request).await;
    assert_eq!(response.status(), 200);
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Follows the chain to its end.
async fn verified(app: &TestApp) -> Result<u64, Broken> {
    let (_, wanted) = app.get("audit/head/").await;
    let mut head = AuditHead::default();
    for line in export(app, "").await {
        head.follow(&line)?;
    }
    assert_eq!(serde_json::to_value(&head).unwrap(), wanted);
    Ok(head.count)
}

async fn latest(app: &TestApp, query: &str) -> Value {
    let (status, list) = app.get(&format!("audit/?{query}")).await;
    assert_eq!(status, 200, "{list}");
    list["results"][0].clone()
}

#[tokio::test]
async fn each_change_is_there_with_before_and_after() {
    let app = TestApp::start().await;
    let [product, _, test] = app.tree().await;
    let path = format!("products/{product}/");
    let (status, _) = app.patch(&path, json!({"description": "new words"})).await;
    assert_eq!(status, 200);
    let entry = latest(&app, "").await;
    assert_eq!(entry["username"], "admin");
    assert_eq!(entry["method"], "PATCH");
    assert_eq!(entry["path"], format!("/api/v2/products/{product}"));
    assert_eq!(entry["status"], 200);
    assert!(entry["token"].is_u64() && entry["user"].is_u64(), "{entry}");
    assert_eq!(entry["request_id"].as_str().unwrap().len(), 36);
    let change = &entry["changes"][0];
    assert_eq!(change["object"], "product");
    assert_eq!(change["object_id"], product);
    assert_eq!(change["action"], "changed");
    let wanted = json!({"before": "d", "after": "new words"});
    assert_eq!(change["fields"]["description"], wanted);
    let names: Vec<&String> = change["fields"].as_object().unwrap().keys().collect();
    assert!(
        names
            .iter()
            .all(|n| ["description", "updated"].contains(&&***n)),
        "{names:?}"
    );

    let finding = app.finding(test, json!({})).await;
    let path = format!("findings/{finding}/");
    app.patch(&path, json!({"severity": "Low", "active": false}))
        .await;
    let entry = latest(&app, &format!("object=finding&object_id={finding}")).await;
    let fields = &entry["changes"][0]["fields"];
    assert_eq!(
        fields["severity"],
        json!({"before": "High", "after": "Low"})
    );
    assert_eq!(fields["active"], json!({"before": true, "after": false}));
    let note = json!({"entry": "looked at it"});
    app.post(&format!("findings/{finding}/notes/"), note).await;
    let entry = latest(&app, "object=note").await;
    let fields = &entry["changes"][0]["fields"];
    assert_eq!(fields["entry"]["after"], "looked at it");
    assert_eq!(fields["of"]["after"], json!({"finding": finding}));
    app.call(Method::DELETE, &path, None).await;
    let entry = latest(&app, "object=finding&action=deleted").await;
    assert_eq!(
        entry["changes"][0]["fields"]["title"]["before"],
        "SQL injection"
    );
    verified(&app).await.unwrap();
}

#[tokio::test]
async fn secrets_are_not_in_it() {
    let app = TestApp::start().await;
    let password = "a much longer Passphrase 7";
    let body = json!({"username": "eve", "email": "e@b.example", "password": password});
    let (status, user) = app.post("users/", body).await;
    assert_eq!(status, 201, "{user}");
    let change = json!({
        "username": "eve", "password": password, "new_password": "quite another Passphrase 8",
    });
    let (status, answer) = app.post("change-password/", change).await;
    assert_eq!(status, 204, "{answer}");
    let entry = latest(&app, "path=change-password").await;
    assert_eq!(entry["username"], "eve");
    let hash = &entry["changes"][0]["fields"]["password_hash"];
    assert_eq!(hash["before"], "(not shown)");
    let login = json!({"username": "eve", "password": "quite another Passphrase 8"});
    let (status, token) = app.post("api-token-auth/", login).await;
    assert_eq!(status, 200, "{token}");
    let entry = latest(&app, "object=token").await;
    assert_eq!(entry["user"], user["id"]);
    let all = export(&app, "").await.join("\n");
    for secret in ["Passphrase", "$argon2", token["token"].as_str().unwrap()] {
        assert!(!all.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn what_changes_nothing_leaves_nothing() {
    let app = TestApp::start().await;
    let [product, ..] = app.tree().await;
    let (_, before) = app.get("audit/head/").await;
    app.get("findings/").await;
    let (status, _) = app.post("products/", json!({"name": ""})).await;
    assert_eq!(status, 400);
    let (status, _) = app
        .post(
            "products/",
            json!({
                "name": "Shop", "description": "d", "prod_type": 1,
            }),
        )
        .await;
    assert_eq!(status, 400, "the name is taken");
    let path = format!("products/{}/", product + 100);
    let (status, _) = app.patch(&path, json!({"name": "x"})).await;
    assert_eq!(status, 404);
    let login = json!({"username": "nobody", "password": "x"});
    app.post("api-token-auth/", login).await;
    let (_, after) = app.get("audit/head/").await;
    assert_eq!(before, after);
}

#[tokio::test]
async fn pages_and_filters_count_exactly() {
    let app = TestApp::start().await;
    for n in 0..30 {
        app.post(
            "regulations/",
            json!({
                "name": format!("r{n}"), "acronym": format!("R{n}"), "category": "other",
                "jurisdiction": "EU",
            }),
        )
        .await;
    }
    let (_, page) = app.get("audit/?limit=10&offset=5").await;
    let ids: Vec<u64> = page["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["id"].as_u64().unwrap())
        .collect();
    assert_eq!(page["count"], 30);
    assert_eq!(ids, (16..=25).rev().collect::<Vec<_>>());
    let (_, page) = app.get("audit/?limit=10&offset=25&o=id").await;
    let ids: Vec<u64> = page["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids, (26..=30).collect::<Vec<_>>());
    let (_, page) = app
        .get("audit/?object=regulation&object_id=3,4,5&limit=2&offset=1")
        .await;
    assert_eq!(page["count"], 3);
    let ids: Vec<u64> = page["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["changes"][0]["object_id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids, [4, 3]);
    let (_, page) = app.get("audit/?action=deleted").await;
    assert_eq!(page["count"], 0);
    let (_, page) = app.get("audit/?offset=1000").await;
    assert_eq!((&page["count"], &page["results"]), (&json!(30), &json!([])));
    assert_eq!(export(&app, "?from=11&limit=3").await.len(), 3);
    assert_eq!(export(&app, "?format=csv&object_id=3").await.len(), 2);
    let (status, one) = app.get("audit/7/").await;
    assert_eq!((status.as_u16(), &one["id"]), (200, &json!(7)));
    for path in ["audit/31/", "audit/x/"] {
        assert_eq!(app.get(path).await.0, 404, "{path}");
    }
    for query in ["user=x", "time_after=soon", "o=path"] {
        assert_eq!(app.get(&format!("audit/?{query}")).await.0, 400, "{query}");
    }
}

#[tokio::test]
async fn many_at_once_are_one_chain() {
    let app = TestApp::start().await;
    let calls = (0..40).map(|n| {
        let body = json!({
            "name": format!("r{n}"), "acronym": format!("R{n}"), "category": "other",
            "jurisdiction": "EU",
        });
        app.post("regulations/", body)
    });
    for (status, answer) in futures::future::join_all(calls).await {
        assert_eq!(status, 201, "{answer}");
    }
    assert_eq!(verified(&app).await.unwrap(), 40);
}

#[tokio::test]
async fn a_request_that_broke_off_is_there() {
    let app = TestApp::start().await;
    let [product, ..] = app.tree().await;
    let store = &app.services.store;
    let record = |age: SignedDuration| {
        Record::new(AuditEntry {
            time: Timestamp::now() - age,
            request_id: format!("{age}"),
            method: "PATCH".into(),
            path: "/api/v2/products/1".into(),
            ..AuditEntry::default()
        })
    };
    for age in [SignedDuration::from_mins(1), SignedDuration::from_hours(1)] {
        let change = store.change(product.into(), |product: &mut Product| {
            product.description.push('!');
            Ok::<_, tatami_store::StoreError>(())
        });
        let record = record(age);
        record.watch(change).await.unwrap();
        assert!(record.has_begun());
        // nobody comes to its end
    }
    let entry = latest(&app, "method=patch").await;
    assert_eq!(
        (&entry["status"], &entry["changes"]),
        (&Value::Null, &json!([]))
    );
    let (_, list) = app.get("audit/?method=patch").await;
    assert_eq!(list["count"], 1, "the younger one may still be running");
    verified(&app).await.unwrap();
}

#[tokio::test]
async fn who_tampers_is_found_out() {
    let app = TestApp::start().await;
    app.tree().await;
    let count = verified(&app).await.unwrap();
    assert!(count >= 4);
    let line = export(&app, "?from=2&limit=1").await.remove(0);
    let forged = line.replace("admin", "someone");
    assert_ne!(line, forged);
    app.overwrite_document("AUDIT#0", "0000000002", &forged)
        .await;
    assert_eq!(verified(&app).await.unwrap_err().id, 3);
}

#[tokio::test]
async fn what_an_entry_costs() {
    let app = TestApp::start().await;
    let [product, ..] = app.tree().await;
    let path = format!("products/{product}/");
    let store = &app.services.store;
    let before = store.usage();
    app.patch(&path, json!({"description": "new words"})).await;
    let with = store.usage();
    let change = store.change(product.into(), |product: &mut Product| {
        product.description = "other words".into();
        Ok::<_, tatami_store::StoreError>(())
    });
    change.await.unwrap();
    let without = store.usage();
    let units = (with.write_units - before.write_units) - (without.write_units - with.write_units);
    println!("an entry costs {units} write units");
    assert!(units <= 8.0, "{units}");
}
