//! Expiry, reinstatement, removal.

use http::Method;
use serde_json::{Value, json};

use super::{LIST, accept, findings, get, ids, in_days, names, notes, stands};
use crate::app::TestApp;

#[tokio::test]
async fn one_that_expires_can_be_reinstated() {
    let app = TestApp::start().await;
    let [_, _, test] = app.tree().await;
    let own = findings(&app, test, 3).await;
    let made = accept(&app, "a", &own).await;
    let id = made["id"].as_u64();
    let path = format!("{LIST}{}/", made["id"]);
    let post = |what: &'static str, body: Value| {
        let (app, path) = (&app, format!("{path}{what}/"));
        async move { app.post(&path, body).await }
    };
    let (status, answer) = post("reinstate", json!({})).await;
    assert_eq!(status, 409, "it counts: {answer}");
    let (status, expired) = post("expire", json!({})).await;
    assert_eq!(status, 200, "{expired}");
    assert_eq!(expired["state"], "expired");
    assert_eq!(expired["job"], Value::Null);
    assert!(expired["expired_at"].is_string() && expired["expiration_date_handled"].is_string());
    assert_eq!(
        expired["expiration_date"], made["expiration_date"],
        "as agreed"
    );
    assert_eq!(
        ids(&expired["accepted_findings"]),
        own,
        "so that they can come back"
    );
    for finding in &own {
        assert_eq!(stands(&app, *finding).await, (true, false, id));
        let note = format!("Risk acceptance {}, \"a\", has expired.", made["id"]);
        assert_eq!(notes(&app, *finding).await[1..], [note]);
    }
    assert_eq!(post("expire", json!({})).await.0, 409);
    let events = get(&app, "events/?kind=risk_acceptance_expired").await;
    assert_eq!(events["count"], 1);
    assert_eq!(events["results"][0]["kind"], "risk_acceptance_expired");
    assert_eq!(events["results"][0]["object_id"], made["id"]);
    assert_eq!(events["results"][0]["data"]["findings"], 3);
    let (status, answer) = app
        .patch(&path, json!({"accepted_findings": [own[0]]}))
        .await;
    assert_eq!(status, 200, "one may leave: {answer}");
    let (status, _) = app.patch(&path, json!({"accepted_findings": own})).await;
    assert_eq!(status, 409, "none may come");
    assert_eq!(
        post("reinstate", json!({"expiration_date": in_days(-1)}))
            .await
            .0,
        400
    );

    let close = json!({"is_mitigated": true});
    app.post(&format!("findings/{}/close/", own[0]), close)
        .await;
    let until = json!({"expiration_date": in_days(30)});
    let (status, again) = post("reinstate", until).await;
    assert_eq!(status, 200, "{again}");
    assert_eq!(again["state"], "active");
    assert_eq!(again["expiration_date"], in_days(30));
    assert_eq!(
        (&again["expired_at"], &again["expiration_date_handled"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        stands(&app, own[0]).await,
        (false, false, id),
        "somebody fixed it meanwhile"
    );
    assert_eq!(
        stands(&app, own[1]).await,
        (true, false, None),
        "it had left"
    );

    // another date does the same
    let (_, later) = app
        .patch(&path, json!({"accepted_findings": own[1..]}))
        .await;
    assert_eq!(ids(&later["accepted_findings"]), own[1..], "{later}");
    assert_eq!(post("expire", json!({})).await.0, 200);
    assert_eq!(stands(&app, own[2]).await, (true, false, id));
    let (status, again) = app
        .patch(&path, json!({"expiration_date": in_days(9)}))
        .await;
    assert_eq!((status.as_u16(), &again["state"]), (200, &json!("active")));
    assert_eq!(stands(&app, own[2]).await, (false, true, id));
    assert_eq!(
        get(&app, "events/?kind=risk_acceptance_expired").await["count"],
        2
    );
    let history = get(&app, &format!("{path}history/")).await;
    let told: Vec<&str> = (history["results"].as_array().unwrap().iter())
        .map(|entry| entry["event"].as_str().unwrap())
        .filter(|event| !event.starts_with("findings"))
        .collect();
    assert_eq!(
        told,
        ["created", "expired", "reinstated", "expired", "reinstated"]
    );
}

#[tokio::test]
async fn findings_stay_accepted_where_the_end_is_not_to_open_them() {
    let app = TestApp::start().await;
    let [_, _, test] = app.tree().await;
    let own = findings(&app, test, 2).await;
    let mut body = json!({
        "name": "a", "accepted_findings": [own[0]], "reactivate_expired": false,
    });
    let (_, stays) = app.post(LIST, body.clone()).await;
    body["accepted_findings"] = json!([own[1]]);
    body["reactivate_expired"] = json!(true);
    body["restart_sla_expired"] = json!(true);
    let (_, opens) = app.post(LIST, body).await;
    for one in [&stays, &opens] {
        let (status, one) = app
            .post(&format!("{LIST}{}/expire/", one["id"]), json!({}))
            .await;
        assert_eq!((status.as_u16(), &one["state"]), (200, &json!("expired")));
    }
    assert_eq!(
        stands(&app, own[0]).await,
        (false, true, stays["id"].as_u64())
    );
    assert_eq!(notes(&app, own[0]).await.len(), 1);
    assert_eq!(
        stands(&app, own[1]).await,
        (true, false, opens["id"].as_u64())
    );
    let opened = get(&app, &format!("findings/{}/", own[1])).await;
    assert_eq!(opened["sla_start_date"], in_days(0)[..10]);
}

#[tokio::test]
async fn one_that_is_removed_opens_its_findings_and_stays_in_the_history() {
    let app = TestApp::start().await;
    let [product, _, test] = app.tree().await;
    let own = findings(&app, test, 2).await;
    let made = accept(&app, "a", &own).await;
    let path = format!("{LIST}{}/", made["id"]);
    let preview = get(&app, &format!("{path}delete_preview/")).await;
    assert_eq!(
        preview["results"],
        json!([{"model": "Risk_Acceptance", "id": made["id"], "name": "a"}])
    );
    let (status, _) = app.call(Method::DELETE, &path, None).await;
    assert_eq!(status, 204);
    for finding in &own {
        assert_eq!(stands(&app, *finding).await, (true, false, None));
    }
    assert!(names(&app, "").await.is_empty());
    assert_eq!(names(&app, "state=removed").await, ["a"]);
    assert_eq!(names(&app, "state=all").await, ["a"]);
    let one = get(&app, &path).await;
    assert_eq!(
        (&one["state"], &one["job"]),
        (&json!("removed"), &Value::Null)
    );
    assert!(one["removed"].is_string());
    assert_eq!(app.call(Method::DELETE, &path, None).await.0, 409);
    assert_eq!(app.patch(&path, json!({"name": "b"})).await.0, 409);
    for what in ["expire", "reinstate"] {
        let (status, answer) = app.post(&format!("{path}{what}/"), json!({})).await;
        assert_eq!(status, 409, "{what} {answer}");
    }
    let told = get(&app, "events/?kind=risk_acceptance_expired").await;
    assert_eq!(told["count"], 0, "nobody is told");
    // a finding that is deleted is just no longer there
    let made = accept(&app, "b", &own).await;
    app.call(Method::DELETE, &format!("findings/{}/", own[0]), None)
        .await;
    let one = get(&app, &format!("{LIST}{}/", made["id"])).await;
    assert_eq!(ids(&one["accepted_findings"]), own[1..]);
    // and with its product it goes
    app.call(Method::DELETE, &format!("products/{product}/"), None)
        .await;
    assert_eq!(app.get(&format!("{LIST}{}/", made["id"])).await.0, 404);
    assert!(names(&app, "state=all").await.is_empty());
}
