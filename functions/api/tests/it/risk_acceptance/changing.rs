//! Changing an acceptance and what is under it.

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};

use super::{LIST, accept, findings, get, ids, in_days, names, notes, stands};
use crate::app::{TOKEN, TestApp};

#[tokio::test]
async fn fields_and_findings_of_an_acceptance_can_be_changed() {
    let app = TestApp::start().await;
    let [_, _, test] = app.tree().await;
    let own = findings(&app, test, 3).await;
    let made = accept(&app, "a", &own[..2]).await;
    let id = made["id"].as_u64().unwrap();
    let path = format!("{LIST}{id}/");
    let change = json!({
        "name": "b", "justification": "as it is", "expiration_date": in_days(20),
        "restart_sla_expired": true, "reactivate_expired": false, "decision_date": "2026-01-02",
        "expiration_date_warned": in_days(0), "expiration_date_handled": in_days(0),
    });
    let (status, changed) = app.patch(&path, change.clone()).await;
    assert_eq!(status, 200, "{changed}");
    for (name, value) in change.as_object().unwrap() {
        let kept = name.ends_with("warned") || name.ends_with("handled");
        let wanted = if kept { &Value::Null } else { value };
        assert_eq!(changed[name], *wanted, "{name}");
    }
    assert_eq!(changed["decision_details"], "as it is");
    assert_eq!(ids(&changed["accepted_findings"]), own[..2]);

    // one leaves, one comes
    let change = json!({"accepted_findings": [own[0], own[2]]});
    let (status, changed) = app.patch(&path, change).await;
    assert_eq!(status, 200, "{changed}");
    assert_eq!(ids(&changed["accepted_findings"]), [own[0], own[2]]);
    assert_eq!(stands(&app, own[1]).await, (true, false, None));
    assert_eq!(stands(&app, own[2]).await, (false, true, Some(id)));
    assert_eq!(
        notes(&app, own[1]).await[1],
        format!("Taken out of risk acceptance {id}, \"b\".")
    );
    assert_eq!(notes(&app, own[0]).await.len(), 1, "it stayed");

    // what was read can be written back
    let (status, same) = app.call(Method::PUT, &path, Some(changed.clone())).await;
    assert_eq!((status.as_u16(), &same), (200, &changed));
    let (status, never) = app.patch(&path, json!({"expiration_date": null})).await;
    assert_eq!(
        (status.as_u16(), &never["expiration_date"]),
        (200, &Value::Null)
    );
    for (wrong, field) in [
        (json!({"expiration_date": in_days(-2)}), "expiration_date"),
        (json!({"accepted_findings": [999_999]}), "accepted_findings"),
        (json!({"owner": 77}), "owner"),
        (json!({"name": null}), "name"),
    ] {
        let (status, answer) = app.patch(&path, wrong).await;
        assert_eq!(status, 400, "{answer}");
        assert!(answer[field].is_array(), "{answer}");
    }
    let history = get(&app, &format!("{path}history/")).await;
    let told: Vec<(&str, &str)> = (history["results"].as_array().unwrap().iter())
        .map(|entry| {
            (
                entry["event"].as_str().unwrap(),
                entry["details"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(told[0].0, "created");
    assert_eq!(told[1].0, "changed");
    for name in [
        "name",
        "justification",
        "expiration_date",
        "reactivate_expired",
    ] {
        assert!(told[1].1.contains(name), "{told:?}");
    }
    assert_eq!(told[2], ("findings_added", &*own[2].to_string()));
    assert_eq!(told[3], ("findings_removed", &*own[1].to_string()));
    assert_eq!(told[4], ("changed", "expiration_date"));
    assert_eq!(told.len(), 5, "{told:?}");
}

#[tokio::test]
async fn who_is_opened_by_hand_leaves_and_simple_acceptance_stays_apart() {
    let app = TestApp::start().await;
    let [product, _, test] = app.tree().await;
    let own = findings(&app, test, 2).await;
    let made = accept(&app, "a", &own[..1]).await;
    let path = format!("findings/{}/", own[0]);
    let (status, _) = app.patch(&path, json!({"active": true})).await;
    assert_eq!(status, 400, "active and accepted");
    let (status, _) = app.patch(&path, json!({"status": "Open"})).await;
    assert_eq!(status, 200);
    assert_eq!(stands(&app, own[0]).await, (true, false, None));
    let one = get(&app, &format!("{LIST}{}/", made["id"])).await;
    assert_eq!(one["accepted_findings"], json!([]));

    let simple = json!({"risk_accepted": true});
    let path = format!("findings/{}/", own[1]);
    assert_eq!(app.patch(&path, simple.clone()).await.0, 400);
    let on = json!({"enable_simple_risk_acceptance": true});
    app.patch(&format!("products/{product}/"), on).await;
    assert_eq!(app.patch(&path, simple).await.0, 200);
    assert_eq!(stands(&app, own[1]).await, (false, true, None));
    let made = accept(&app, "b", &own[1..]).await;
    assert_eq!(
        stands(&app, own[1]).await,
        (false, true, made["id"].as_u64())
    );
    // one that has expired holds nobody
    let path = format!("{LIST}{}/expire/", made["id"]);
    assert_eq!(app.post(&path, json!({})).await.0, 200);
    let path = format!("findings/{}/", own[1]);
    let (status, answer) = app.patch(&path, json!({"status": "Accepted"})).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(stands(&app, own[1]).await, (false, true, None));
}

#[tokio::test]
async fn nobody_writes_over_what_they_have_not_seen() {
    let app = TestApp::start().await;
    let [_, _, test] = app.tree().await;
    let own = findings(&app, test, 1).await;
    let made = accept(&app, "a", &own).await;
    let path = format!("{LIST}{}/", made["id"]);
    let send = |method: &'static str, tag: String, body: Value| {
        let (app, path) = (&app, &path);
        async move {
            let request = Request::builder()
                .method(method)
                .uri(format!("/api/v2/{path}"))
                .header("host", "tatami.test")
                .header("authorization", format!("Token {TOKEN}"))
                .header("content-type", "application/json")
                .header("if-match", tag);
            let response = app
                .response(request.body(Body::from(body.to_string())).unwrap())
                .await;
            let tag = response.headers().get("etag");
            let tag = tag.map(|tag| tag.to_str().unwrap().to_owned());
            (response.status().as_u16(), tag.unwrap_or_default())
        }
    };
    let seen = send("PATCH", "*".into(), json!({"name": "b"})).await.1;
    let (status, next) = send("PATCH", seen.clone(), json!({"name": "c"})).await;
    assert_eq!(status, 200);
    for method in ["PATCH", "DELETE"] {
        let (status, _) = send(method, seen.clone(), json!({"name": "d"})).await;
        assert_eq!(status, 412, "{method}");
    }
    assert_eq!(names(&app, "").await, ["c"]);
    assert_eq!(stands(&app, own[0]).await.2, made["id"].as_u64());
    assert_eq!(send("DELETE", next, json!({})).await.0, 204);
    assert_eq!(stands(&app, own[0]).await, (true, false, None));
}
