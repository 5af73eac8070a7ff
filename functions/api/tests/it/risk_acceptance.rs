//! Risk acceptances. What the daily run does with them is tried with the whole system.

use std::collections::BTreeSet;

use axum::body::Body;
use http::{Method, Request};
use http_body_util::BodyExt as _;
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use serde_json::{Value, json};

use crate::app::{Answer, TOKEN, TestApp};

const LIST: &str = "risk_acceptance/";

/// The start of the day so many days from now, as answers have it.
fn in_days(days: i32) -> String {
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    format!("{}T00:00:00Z", today.checked_add(days.days()).unwrap())
}

async fn by(app: &TestApp, token: &str, method: Method, path: &str, body: Value) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(format!("/api/v2/{path}"))
        .header("host", "tatami.test")
        .header("authorization", format!("Token {token}"))
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap();
    app.send(request).await
}

/// The token of a new user with a role somewhere.
async fn member(app: &TestApp, name: &str, place: (&str, u64), role: u64) -> String {
    let user = json!({"username": name, "email": format!("{name}@b.example")});
    let (_, user) = app.post("users/", user).await;
    let (level, id) = place;
    let membership = json!({"user": user["id"], level: id, "role": role});
    let (status, answer) = app.post(&format!("{level}_members/"), membership).await;
    assert_eq!(status, 201, "{answer}");
    let (_, token) = app
        .post("tokens/", json!({"user": user["id"], "name": "t"}))
        .await;
    token["token"].as_str().unwrap().to_owned()
}

async fn findings(app: &TestApp, test: u64, n: usize) -> Vec<u64> {
    let mut ids = Vec::new();
    for n in 0..n {
        let more = json!({
            "title": format!("finding {n}"), "line": n,
            "vulnerability_ids": [{"vulnerability_id": format!("CVE-2026-{n}")}],
        });
        ids.push(app.finding(test, more).await);
    }
    ids
}

/// A test in a new engagement of a product.
async fn test_in(app: &TestApp, product: &Value) -> u64 {
    let engagement = json!({
        "name": "Aside", "product": product,
        "target_start": "2026-01-01", "target_end": "2026-12-31",
    });
    let (_, engagement) = app.post("engagements/", engagement).await;
    let test = json!({
        "engagement": engagement["id"], "test_type": 1, "environment": 1,
        "target_start": "2026-01-01", "target_end": "2026-01-02T10:00:00Z",
    });
    let (status, test) = app.post("tests/", test).await;
    assert_eq!(status, 201, "{test}");
    test["id"].as_u64().unwrap()
}

/// A finding of another product.
async fn foreign(app: &TestApp) -> u64 {
    let other = json!({"name": "Other", "description": "d", "prod_type": 1});
    let (_, other) = app.post("products/", other).await;
    let test = test_in(app, &other["id"]).await;
    app.finding(test, json!({})).await
}

async fn accept(app: &TestApp, name: &str, findings: &[u64]) -> Value {
    let body = json!({"name": name, "owner": 1, "accepted_findings": findings});
    let (status, made) = app.post(LIST, body).await;
    assert_eq!(status, 201, "{made}");
    made
}

async fn get(app: &TestApp, path: &str) -> Value {
    let (status, answer) = app.get(path).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

/// `active`, `risk_accepted`, and the acceptance of a finding.
async fn stands(app: &TestApp, finding: u64) -> (bool, bool, Option<u64>) {
    let finding = get(app, &format!("findings/{finding}/")).await;
    let flag = |name: &str| finding[name].as_bool().unwrap();
    let under = &finding["accepted_risks"];
    assert!(under.as_array().unwrap().len() <= 1);
    (
        flag("active"),
        flag("risk_accepted"),
        under[0]["id"].as_u64(),
    )
}

async fn names(app: &TestApp, query: &str) -> Vec<String> {
    let page = get(app, &format!("{LIST}?{query}")).await;
    let results = page["results"].as_array().unwrap();
    assert_eq!(page["count"], results.len(), "{query}");
    let name = |one: &Value| one["name"].as_str().unwrap().to_owned();
    results.iter().map(name).collect()
}

fn ids(list: &Value) -> Vec<u64> {
    let list = list.as_array().unwrap().iter();
    list.map(|id| id.as_u64().unwrap()).collect()
}

async fn notes(app: &TestApp, finding: u64) -> Vec<String> {
    let notes = get(app, &format!("findings/{finding}/notes/")).await;
    let notes = notes["notes"].as_array().unwrap().iter();
    notes
        .map(|note| note["entry"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn an_acceptance_takes_its_findings_from_the_open_ones() {
    let app = TestApp::start().await;
    let [product, engagement, test] = app.tree().await;
    let ids_of = findings(&app, test, 3).await;
    let body = json!({
        "name": "Legacy login", "owner": 1, "accepted_findings": ids_of[..2],
        "decision": "M", "decision_details": "a firewall", "accepted_by": "CISO",
        "recommendation": "F", "recommendation_details": "replace it",
    });
    let (status, made) = app.post(LIST, body.clone()).await;
    assert_eq!(status, 201, "{made}");
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(made[name], *value, "{name}");
    }
    for (name, value) in [
        ("expiration_date", json!(in_days(180))),
        ("decision_date", json!(in_days(0)[..10])),
        ("expiration_date_warned", Value::Null),
        ("expiration_date_handled", Value::Null),
        ("expired_at", Value::Null),
        ("reactivate_expired", json!(true)),
        ("restart_sla_expired", json!(false)),
        ("path", json!("No proof has been supplied")),
        ("justification", json!("a firewall")),
        ("state", json!("active")),
        ("product", json!(product)),
        ("engagement", json!(engagement)),
        ("notes", json!([])),
        ("job", Value::Null),
    ] {
        assert_eq!(made[name], value, "{name}");
    }
    let id = made["id"].as_u64().unwrap();
    assert_eq!(stands(&app, ids_of[0]).await, (false, true, Some(id)));
    assert_eq!(stands(&app, ids_of[1]).await, (false, true, Some(id)));
    assert_eq!(stands(&app, ids_of[2]).await, (true, false, None));
    let note = format!("Risk accepted: risk acceptance {id}, \"Legacy login\".");
    assert_eq!(notes(&app, ids_of[0]).await, [note]);
    assert!(notes(&app, ids_of[2]).await.is_empty());
    let engagement = get(&app, &format!("engagements/{engagement}/")).await;
    assert_eq!(engagement["risk_acceptance"], json!([id]));
    let under = get(&app, &format!("findings/?risk_acceptance={id}&o=id")).await;
    assert_eq!(under["count"], 2);
    let shown = &under["results"][0]["accepted_risks"][0];
    assert_eq!(shown["decision_details"], "a firewall");
    assert_eq!(shown["accepted_findings"], json!([ids_of[0]]));
    let one = get(&app, &format!("{LIST}{id}/")).await;
    assert_eq!(one, made);
    let history = get(&app, &format!("{LIST}{id}/history/")).await;
    assert_eq!(history["results"][0]["event"], "created");
    assert_eq!(history["results"][0]["by"], 1);
    // the job that did it is done
    let jobs = get(&app, "jobs/").await;
    assert_eq!(jobs["results"][0]["state"], "done");
}

#[tokio::test]
async fn what_cannot_be_accepted_is_refused_and_changes_nothing() {
    let app = TestApp::start().await;
    let [product, _, test] = app.tree().await;
    let own = findings(&app, test, 3).await;
    let foreign = foreign(&app).await;
    accept(&app, "first", &own[2..]).await;
    for (field, more) in [
        ("accepted_findings", json!({"accepted_findings": []})),
        (
            "accepted_findings",
            json!({"accepted_findings": [own[0], 999_999]}),
        ),
        (
            "accepted_findings",
            json!({"accepted_findings": [own[0], foreign]}),
        ),
        (
            "accepted_findings",
            json!({"accepted_findings": [own[0], own[2]]}),
        ),
        ("accepted_findings", json!({"accepted_findings": null})),
        ("expiration_date", json!({"expiration_date": in_days(-1)})),
        ("expiration_date", json!({"expiration_date": "soon"})),
        ("owner", json!({"owner": 999})),
        ("name", json!({"name": ""})),
        ("name", json!({"name": "x".repeat(301)})),
        ("accepted_by", json!({"accepted_by": "x".repeat(201)})),
        ("decision", json!({"decision": "X"})),
        ("recommendation", json!({"recommendation": "accept"})),
    ] {
        let mut body = json!({"name": "n", "accepted_findings": [own[0]]});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        let (status, answer) = app.post(LIST, body).await;
        assert_eq!(status, 400, "{more} {answer}");
        assert!(answer[field].is_array(), "{more} {answer}");
        if more["accepted_findings"][1] == foreign {
            let message = answer[field][0].as_str().unwrap();
            assert!(
                message.contains(&format!("Finding {foreign} ")),
                "{message}"
            );
        }
    }
    let off = json!({"enable_full_risk_acceptance": false});
    app.patch(&format!("products/{product}/"), off).await;
    let body = json!({"name": "n", "accepted_findings": [own[0]]});
    let (status, answer) = app.post(LIST, body).await;
    assert_eq!(status, 400, "{answer}");
    assert_eq!(names(&app, "").await, ["first"]);
    assert_eq!(stands(&app, own[0]).await, (true, false, None));
    assert_eq!(stands(&app, foreign).await, (true, false, None));
}

#[tokio::test]
async fn duplicates_are_left_out() {
    let app = TestApp::start().await;
    let [_, _, test] = app.tree().await;
    let own = findings(&app, test, 2).await;
    let link = json!({"original": own[0], "findings": [own[1]]});
    let (status, answer) = app.post("findings/link/", link).await;
    assert_eq!(status, 200, "{answer}");
    let made = accept(&app, "both", &own).await;
    assert_eq!(ids(&made["accepted_findings"]), own[..1]);
    assert_eq!(stands(&app, own[1]).await, (false, false, None));
}

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
    let events = get(&app, "events/").await;
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
    assert_eq!(get(&app, "events/").await["count"], 2);
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
    assert_eq!(get(&app, "events/").await["count"], 0, "nobody is told");
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

#[tokio::test]
async fn lists_are_filtered_and_ordered() {
    let app = TestApp::start().await;
    let [product, engagement, test] = app.tree().await;
    let own = findings(&app, test, 4).await;
    for (n, more) in [
        json!({"accepted_by": "Ann", "decision": "A", "expiration_date": in_days(5)}),
        json!({"accepted_by": "Bob", "decision": "T", "expiration_date": in_days(25),
               "recommendation": "V", "restart_sla_expired": true}),
        json!({"decision_details": "Long Story", "expiration_date": in_days(80)}),
        json!({"reactivate_expired": false, "expiration_date": null}),
    ]
    .into_iter()
    .enumerate()
    {
        let mut body = json!({"name": format!("n{n}"), "accepted_findings": [own[n]]});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        let (status, made) = app.post(LIST, body).await;
        assert_eq!(status, 201, "{made}");
    }
    let third = get(&app, &format!("{LIST}?name=n2")).await["results"][0].clone();
    app.post(&format!("{LIST}{}/expire/", third["id"]), json!({}))
        .await;
    let (_, note) = app
        .post(
            &format!("{LIST}{}/notes/", third["id"]),
            json!({"entry": "so it is"}),
        )
        .await;
    let (from, to) = (in_days(5), in_days(25));
    for (query, wanted) in [
        (String::new(), "n0 n1 n2 n3"),
        ("o=-name".into(), "n3 n2 n1 n0"),
        ("o=-expiration_date,name".into(), "n3 n2 n1 n0"),
        ("name=n1".into(), "n1"),
        ("name=N1".into(), ""),
        ("name__icontains=N".into(), "n0 n1 n2 n3"),
        ("accepted_by=Ann".into(), "n0"),
        ("accepted_by__icontains=o".into(), "n1"),
        ("decision=T".into(), "n1"),
        ("decision=A&state=active".into(), "n0 n3"),
        ("recommendation=V".into(), "n1"),
        ("decision_details=Long%20Story".into(), "n2"),
        ("decision_details__icontains=long".into(), "n2"),
        ("owner=1".into(), "n0 n1 n2 n3"),
        ("owner=2".into(), ""),
        ("reactivate_expired=false".into(), "n3"),
        ("restart_sla_expired=true".into(), "n1"),
        (format!("accepted_findings={},{}", own[0], own[3]), "n0 n3"),
        (format!("notes={}", note["id"]), "n2"),
        (format!("product={product}"), "n0 n1 n2 n3"),
        (format!("product={}", product + 1), ""),
        (format!("engagement={engagement}"), "n0 n1 n2 n3"),
        (format!("engagement={}", engagement + 1), ""),
        (format!("expiration_date={from}"), "n0"),
        (format!("expiration_date__gt={from}"), "n1 n2"),
        (format!("expiration_date__gte={from}"), "n0 n1 n2"),
        (format!("expiration_date__lt={to}"), "n0"),
        (format!("expiration_date__lte={to}"), "n0 n1"),
        (format!("expiration_date_handled__gt={}", in_days(-1)), "n2"),
        (format!("expiration_date_handled__lt={}", in_days(-1)), ""),
        (format!("expiration_date_warned__gte={}", in_days(-1)), ""),
        ("created=1".into(), "n0 n1 n2 n3"),
        (format!("created__gt={}", in_days(1)), ""),
        (format!("updated__lte={}", in_days(1)), "n0 n1 n2 n3"),
        ("state=active".into(), "n0 n1 n3"),
        ("state=expired".into(), "n2"),
        ("expires_within=7".into(), "n0"),
        ("expires_within=30".into(), "n0 n1"),
        ("expires_within=90".into(), "n0 n1"),
    ] {
        assert_eq!(names(&app, &query).await.join(" "), wanted, "{query}");
    }
    for wrong in [
        "state=open",
        "expires_within=soon",
        "expires_within=0",
        "expiration_date__gt=x",
    ] {
        assert_eq!(app.get(&format!("{LIST}?{wrong}")).await.0, 400, "{wrong}");
    }
    let page = get(&app, &format!("{LIST}?limit=2&o=name")).await;
    assert_eq!(page["count"], 4);
    assert_eq!(page["results"].as_array().unwrap().len(), 2);
    assert_eq!(ids(&page["results"][1]["accepted_findings"]), own[1..2]);
    assert!(page["next"].as_str().unwrap().contains("offset=2"));
}

#[tokio::test]
async fn a_proof_is_given_back_as_it_came() {
    let app = TestApp::start().await;
    let [_, _, test] = app.tree().await;
    let own = findings(&app, test, 1).await;
    let made = accept(&app, "a", &own).await;
    let path = format!("{LIST}{}/", made["id"]);
    assert_eq!(app.get(&format!("{path}download_proof/")).await.0, 404);
    let (status, answer) = app.upload(&format!("{path}proof/"), &[], None).await;
    assert_eq!(status, 400, "{answer}");
    for (name, content) in [("first.pdf", "one"), ("Unterschrift ü.html", "<script>")] {
        let (status, proven) = app
            .upload(&format!("{path}proof/"), &[], Some((name, content)))
            .await;
        assert_eq!(status, 201, "{proven}");
        let link = proven["path"].as_str().unwrap();
        assert_eq!(
            link,
            format!("http://tatami.test/api/v2/{path}download_proof/")
        );
        let request = Request::get(link.trim_start_matches("http://tatami.test"))
            .header("authorization", format!("Token {TOKEN}"));
        let response = app.response(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), 200);
        let headers = response.headers().clone();
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["content-type"], "application/octet-stream");
        let disposition = headers["content-disposition"].to_str().unwrap();
        assert!(disposition.starts_with("attachment;"), "{disposition}");
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(bytes, content);
    }
    let history = get(&app, &format!("{path}history/?limit=100")).await;
    let told = history["results"].as_array().unwrap();
    let proofs = told.iter().filter(|entry| entry["event"] == "proof_added");
    let proofs: Vec<&Value> = proofs.map(|entry| &entry["details"]).collect();
    assert_eq!(proofs, ["first.pdf", "Unterschrift ü.html"]);
    // files of other things aren't reached by it
    let other = accept(&app, "b", &[app.finding(test, json!({"title": "o"})).await]).await;
    let path = format!("{LIST}{}/download_proof/", other["id"]);
    assert_eq!(app.get(&path).await.0, 404);
}

#[tokio::test]
async fn notes_lie_with_their_acceptance() {
    let app = TestApp::start().await;
    let [product, _, test] = app.tree().await;
    let own = findings(&app, test, 1).await;
    let made = accept(&app, "a", &own).await;
    let path = format!("{LIST}{}/notes/", made["id"]);
    assert_eq!(app.post(&path, json!({"entry": ""})).await.0, 400);
    let (status, note) = app.post(&path, json!({"entry": "agreed by mail"})).await;
    assert_eq!(status, 201, "{note}");
    let all = get(&app, &path).await;
    assert_eq!(all["risk_acceptance_id"], made["id"]);
    assert_eq!(all["notes"], json!([note]));
    let one = get(&app, &format!("{LIST}{}/", made["id"])).await;
    assert_eq!(one["notes"], json!([note["id"]]));
    let under = get(&app, &format!("findings/{}/", own[0])).await;
    assert_eq!(under["accepted_risks"][0]["notes"], json!([note["id"]]));
    let by_id = format!("notes/{}/", note["id"]);
    let (status, rewritten) = app.patch(&by_id, json!({"entry": "agreed by word"})).await;
    assert_eq!(
        (status.as_u16(), &rewritten["entry"]),
        (200, &json!("agreed by word"))
    );
    let reporter = member(&app, "reporter", ("product", product), 5).await;
    assert_eq!(
        by(&app, &reporter, Method::GET, &by_id, json!({})).await.0,
        200
    );
    let (_, all) = by(&app, &reporter, Method::GET, "notes/", json!({})).await;
    // that of the finding too
    assert_eq!(all["count"], 2, "{all}");
    let (status, _) = by(&app, &reporter, Method::POST, &path, json!({"entry": "x"})).await;
    assert_eq!(status, 403);
}

#[tokio::test]
async fn many_are_refused_where_it_is_not_clear_which_or_why() {
    let app = TestApp::start().await;
    let [_, _, test] = app.tree().await;
    let wanted = json!(findings(&app, test, 2).await);
    let path = format!("{LIST}bulk/");
    for (field, body) in [
        ("justification", json!({"ids": wanted})),
        (
            "justification",
            json!({"ids": wanted, "justification": " "}),
        ),
        ("ids", json!({"justification": "j"})),
        ("ids", json!({"justification": "j", "ids": []})),
        (
            "ids",
            json!({"justification": "j", "ids": wanted, "filter": {"test": test}}),
        ),
        (
            "filter",
            json!({"justification": "j", "filter": {"tset": test}}),
        ),
        (
            "expiration_date",
            json!({"justification": "j", "ids": wanted, "never": true, "expires_in_days": 4}),
        ),
        (
            "expiration_date",
            json!({"justification": "j", "ids": wanted, "expiration_date": in_days(-1)}),
        ),
        (
            "expires_in_days",
            json!({"justification": "j", "ids": wanted, "expires_in_days": 0}),
        ),
        (
            "owner",
            json!({"justification": "j", "ids": wanted, "owner": 99}),
        ),
    ] {
        let (status, answer) = app.post(&path, body.clone()).await;
        assert_eq!(status, 400, "{body} {answer}");
        assert!(answer[field].is_array(), "{body} {answer}");
    }
    assert!(names(&app, "").await.is_empty(), "nothing was made");
}

#[tokio::test]
async fn many_are_accepted_at_once_with_a_result_for_each() {
    let app = TestApp::start().await;
    let [_, engagement, test] = app.tree().await;
    let own = findings(&app, test, 6).await;
    let foreign = foreign(&app).await;
    let link = json!({"original": own[0], "findings": [own[1]]});
    app.post("findings/link/", link).await;
    let held = accept(&app, "held", &own[2..3]).await;
    let path = format!("{LIST}bulk/");
    let wanted = json!([own[0], own[1], own[2], own[3], foreign, 999_999]);
    let body = json!({
        "ids": wanted, "justification": "until the move", "name": "Move", "accepted_by": "CTO",
        "expires_in_days": 30, "reactivate_expired": false,
    });
    let (status, done) = app.post(&path, body).await;
    assert_eq!(status, 201, "{done}");
    let acceptances = done["acceptances"].as_array().unwrap();
    assert_eq!(acceptances.len(), 2, "one for each product");
    for one in acceptances {
        assert_eq!(one["justification"], "until the move");
        assert_eq!(one["expiration_date"], in_days(30));
        assert_eq!(
            (&one["name"], &one["accepted_by"]),
            (&json!("Move"), &json!("CTO"))
        );
        assert_eq!(one["reactivate_expired"], false);
    }
    let of = |id: u64| {
        let results = done["results"].as_array().unwrap().iter();
        let mut own = results.filter(|result| result["id"] == id);
        let result = own.next().unwrap();
        assert!(own.next().is_none());
        (
            result["result"].as_str().unwrap(),
            result["risk_acceptance"].as_u64(),
        )
    };
    let first = acceptances[0]["id"].as_u64();
    assert_eq!(of(own[0]), ("changed", first));
    assert_eq!(of(own[1]), ("refused", None));
    assert_eq!(of(own[2]), ("refused", None));
    assert_eq!(of(own[3]), ("changed", first));
    assert_eq!(of(foreign), ("changed", acceptances[1]["id"].as_u64()));
    assert_eq!(of(999_999), ("missing", None));
    assert_eq!(stands(&app, own[2]).await.2, held["id"].as_u64());
    assert_eq!(
        stands(&app, foreign).await,
        (false, true, acceptances[1]["id"].as_u64())
    );

    // by a filter, for ever
    let filter = json!({"engagement": engagement, "active": true});
    let body = json!({"filter": filter, "justification": "j", "never": true});
    let (status, done) = app.post(&path, body.clone()).await;
    assert_eq!(status, 201, "{done}");
    assert_eq!(done["acceptances"][0]["expiration_date"], Value::Null);
    assert_eq!(ids(&done["acceptances"][0]["accepted_findings"]), own[4..]);
    let (status, done) = app.post(&path, body).await;
    assert_eq!(
        (status.as_u16(), &done["acceptances"]),
        (200, &json!([])),
        "none is left"
    );
}

#[tokio::test]
async fn other_clients_accept_by_vulnerabilities() {
    let app = TestApp::start().await;
    let [_, engagement, test] = app.tree().await;
    let own = findings(&app, test, 5).await;
    let also = json!({"vulnerability_ids": [{"vulnerability_id": "CVE-2026-0"}], "title": "also"});
    let also = app.finding(test, also).await;
    let entry =
        |id: &str| json!({"vulnerability_id": id, "justification": "why", "accepted_by": "me"});
    let path = format!("tests/{test}/accept_risks/");
    let (status, made) = app
        .post(&path, json!([entry("cve-2026-0"), entry("CVE-1")]))
        .await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made.as_array().unwrap().len(), 1, "the other found nothing");
    let one = &made[0];
    assert_eq!(
        (
            &one["name"],
            &one["decision"],
            &one["decision_details"],
            &one["accepted_by"],
            &one["owner"]
        ),
        (
            &json!("cve-2026-0"),
            &json!("A"),
            &json!("why"),
            &json!("me"),
            &json!(1)
        )
    );
    let under: BTreeSet<u64> = ids(&one["accepted_findings"]).into_iter().collect();
    assert_eq!(under, BTreeSet::from([own[0], also]));
    let (_, again) = app.post(&path, json!([entry("CVE-2026-0")])).await;
    assert_eq!(again, json!([]), "they are accepted");
    let path = format!("engagements/{engagement}/accept_risks/");
    let (_, made) = app
        .post(&path, json!([entry("CVE-2026-1"), entry("CVE-2026-1")]))
        .await;
    assert_eq!(made.as_array().unwrap().len(), 1, "the first has them all");
    // the parameters of the list narrow it down
    let some = format!("findings/accept_risks/?id={}", own[2]);
    let (_, made) = app
        .post(&some, json!([entry("CVE-2026-2"), entry("CVE-2026-3")]))
        .await;
    assert_eq!(made.as_array().unwrap().len(), 1);
    let (_, made) = app
        .post("findings/accept_risks/", entry("CVE-2026-3"))
        .await;
    assert_eq!(ids(&made[0]["accepted_findings"]), own[3..4]);
    for wrong in [
        json!([{"vulnerability_id": "CVE-2026-4", "accepted_by": "me"}]),
        json!([entry("CVE-2026-4"), {"vulnerability_id": "", "accepted_by": "me", "justification": "j"}]),
        json!([entry(&"x".repeat(51))]),
        json!(["CVE-2026-4"]),
        json!(7),
    ] {
        let (status, answer) = app.post("findings/accept_risks/", wrong.clone()).await;
        assert_eq!(status, 400, "{wrong} {answer}");
    }
    assert_eq!(stands(&app, own[4]).await, (true, false, None));
    assert_eq!(app.post("tests/999/accept_risks/", json!([])).await.0, 404);
}

#[tokio::test]
async fn numbers_and_tables() {
    let app = TestApp::start().await;
    let [product, _, test] = app.tree().await;
    let own = findings(&app, test, 4).await;
    let critical = app
        .finding(test, json!({"severity": "Critical", "title": "c"}))
        .await;
    for (n, days) in [(0, Some(5)), (1, Some(25)), (2, None)] {
        let body = json!({
            "name": format!("n{n}"), "accepted_findings": [own[n]], "decision_details": "=cmd",
            "expiration_date": days.map(in_days),
        });
        assert_eq!(app.post(LIST, body).await.0, 201);
    }
    let expired = accept(&app, "over", &[critical]).await;
    app.post(&format!("{LIST}{}/expire/", expired["id"]), json!({}))
        .await;
    let summary = get(&app, &format!("{LIST}summary/")).await;
    assert_eq!(
        summary,
        json!({
            "severities": {
                "Critical": {"accepted": 0, "open": 1}, "High": {"accepted": 3, "open": 1},
                "Medium": {"accepted": 0, "open": 0}, "Low": {"accepted": 0, "open": 0},
                "Info": {"accepted": 0, "open": 0},
            },
            "accepted": 3, "open": 2, "active": 3, "expired": 1, "removed": 0,
            "never_expiring": 1, "expiring_in_7_days": 1, "expiring_in_30_days": 2,
            "expiring_in_90_days": 2,
        })
    );
    let of_other = get(&app, &format!("{LIST}summary/?product={}", product + 1)).await;
    assert_eq!(
        (&of_other["accepted"], &of_other["active"]),
        (&json!(0), &json!(0))
    );
    let rows = get(&app, &format!("{LIST}export/?o=-name")).await;
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 4);
    assert_eq!(rows[0]["name"], "over");
    assert_eq!(
        (&rows[0]["state"], &rows[0]["critical"]),
        (&json!("expired"), &json!(1))
    );
    assert_eq!(
        (&rows[1]["owner"], &rows[1]["product_name"]),
        (&json!("admin"), &json!("Shop"))
    );
    assert_eq!(rows[1]["accepted_findings"], own[2].to_string());
    let some = get(
        &app,
        &format!("{LIST}export/?format=json&expires_within=7&limit=1"),
    )
    .await;
    assert_eq!(some[0]["name"], "n0");
    assert_eq!(some.as_array().unwrap().len(), 1);
    assert_eq!(app.get(&format!("{LIST}export/?format=pdf")).await.0, 400);
}

#[tokio::test]
async fn only_who_may_accepts_risks_and_only_where_they_may() {
    let app = TestApp::start().await;
    let [product, _, test] = app.tree().await;
    let own = findings(&app, test, 3).await;
    let other = json!({"name": "Other", "description": "d", "prod_type": 1});
    let (_, other) = app.post("products/", other).await;
    let reporter = member(&app, "reporter", ("product", product), 5).await;
    let analyst = member(&app, "analyst", ("product", product), 2).await;
    let outsider = member(
        &app,
        "outsider",
        ("product", other["id"].as_u64().unwrap()),
        4,
    )
    .await;
    let made = accept(&app, "a", &own[..1]).await;
    let one = format!("{LIST}{}/", made["id"]);
    let body = json!({"name": "n", "accepted_findings": [own[2]]});
    let bulk = json!({"ids": [own[2]], "justification": "j"});
    let entry =
        json!([{"vulnerability_id": "CVE-2026-2", "justification": "j", "accepted_by": "a"}]);
    let writes = [
        (Method::POST, LIST.to_owned(), body.clone()),
        (Method::POST, format!("{LIST}bulk/"), bulk.clone()),
        (Method::POST, "findings/accept_risks/".into(), entry.clone()),
        (
            Method::POST,
            format!("tests/{test}/accept_risks/"),
            entry.clone(),
        ),
        (Method::PATCH, one.clone(), json!({"name": "x"})),
        (Method::DELETE, one.clone(), json!({})),
        (Method::POST, format!("{one}expire/"), json!({})),
    ];
    for (method, path, body) in &writes {
        for token in [&reporter, &analyst] {
            let (status, answer) = by(&app, token, method.clone(), path, body.clone()).await;
            assert_eq!(status, 403, "{method} {path} {answer}");
        }
        let (status, answer) = by(&app, &outsider, method.clone(), path, body.clone()).await;
        let hidden = match &**path {
            // the one id is missing, and no finding is seen
            path if path.ends_with("bulk/") => 200,
            path if path.starts_with("findings/") => 201,
            _ => 404,
        };
        assert_eq!(status, hidden, "{method} {path} {answer}");
    }
    assert_eq!(stands(&app, own[2]).await, (true, false, None));
    // who doesn't see a finding isn't told whether it's there
    let (_, answer) = by(&app, &outsider, Method::POST, &format!("{LIST}bulk/"), bulk).await;
    assert_eq!(answer["results"][0]["result"], "missing");
}

#[tokio::test]
async fn who_has_a_role_in_an_engagement_accepts_what_is_in_it() {
    let app = TestApp::start().await;
    let [product, engagement, test] = app.tree().await;
    let own = findings(&app, test, 4).await;
    let aside = test_in(&app, &json!(product)).await;
    let outside = app.finding(aside, json!({"title": "o"})).await;
    let other = json!({"name": "Other", "description": "d", "prod_type": 1});
    let (_, other) = app.post("products/", other).await;
    let elsewhere = ("product", other["id"].as_u64().unwrap());
    let reporter = member(&app, "reporter", ("product", product), 5).await;
    let outsider = member(&app, "outsider", elsewhere, 4).await;
    let owner = member(&app, "owner", ("engagement", engagement), 4).await;
    let made = accept(&app, "a", &own[..1]).await;
    let wide = accept(&app, "wide", &[own[1], outside]).await;
    let one = format!("{LIST}{}/", made["id"]);
    for (token, seen) in [(&reporter, "a wide"), (&owner, "a"), (&outsider, "")] {
        let (_, page) = by(&app, token, Method::GET, LIST, json!({})).await;
        let names = page["results"].as_array().unwrap().iter();
        let names: Vec<&str> = names.map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(names.join(" "), seen);
    }
    for path in ["", "history/", "notes/", "download_proof/"] {
        let path = format!("{one}{path}");
        let (status, _) = by(&app, &outsider, Method::GET, &path, json!({})).await;
        assert_eq!(status, 404, "{path}");
    }
    let as_owner = |method: Method, path: String, body: Value| {
        let (app, owner) = (&app, &owner);
        async move { by(app, owner, method, &path, body).await }
    };
    let (_, rows) = as_owner(Method::GET, format!("{LIST}export/"), json!({})).await;
    assert_eq!(rows.as_array().unwrap().len(), 1);
    let (_, summary) = as_owner(Method::GET, format!("{LIST}summary/"), json!({})).await;
    assert_eq!(
        (&summary["accepted"], &summary["active"]),
        (&json!(2), &json!(1))
    );
    let body = json!({"name": "n", "accepted_findings": [own[2]]});
    let (status, made) = as_owner(Method::POST, LIST.into(), body).await;
    assert_eq!(status, 201, "{made}");
    let path = format!("{LIST}{}/", made["id"]);
    let wide = format!("{LIST}{}/", wide["id"]);
    let more = |finding: u64| json!({"accepted_findings": [own[2], finding]});
    for (method, path, body, wanted) in [
        (Method::PATCH, &path, more(own[3]), 200),
        (Method::PATCH, &path, more(outside), 404),
        (Method::DELETE, &wide, json!({}), 404),
        (Method::GET, &"events/".to_owned(), json!({}), 403),
        (Method::DELETE, &path, json!({}), 204),
    ] {
        let (status, answer) = as_owner(method, path.clone(), body).await;
        assert_eq!(status, wanted, "{path} {answer}");
    }
    assert_eq!(app.get("events/?day=someday").await.0, 400);
}
