//! What people do is told of, in the transaction that does it.

use http::Method;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde_json::{Value, json};
use tatami_domain::{Event, JiraIssueId, OutboxWork};
use tatami_store::{Change, Commit, Committed};

use crate::app::TestApp;

/// The events since a time.
async fn events(app: &TestApp, since: Timestamp) -> Vec<Event> {
    let mut all = Vec::new();
    for time in [
        Timestamp::now() - SignedDuration::from_hours(24),
        Timestamp::now(),
    ] {
        let day = time.to_zoned(TimeZone::UTC).date();
        all.extend(app.services.store.events(day).await.unwrap());
    }
    all.retain(|event| event.time >= since);
    all.sort_by_key(|event| event.time);
    all
}

async fn kinds(app: &TestApp, since: Timestamp) -> Vec<&'static str> {
    let events = events(app, since).await;
    events.iter().map(|event| event.kind.name()).collect()
}

/// A user with a role in a product.
async fn member(app: &TestApp, name: &str, product: u64) -> Value {
    let user = json!({"username": name, "email": format!("{name}@tatami.example")});
    let (status, user) = app.post("users/", user).await;
    assert_eq!(status, 201, "{user}");
    let member = json!({"product": product, "user": user["id"], "role": 4});
    assert_eq!(app.post("product_members/", member).await.0, 201);
    user["id"].clone()
}

#[tokio::test]
async fn what_is_added_and_closed_is_told_once() {
    let app = TestApp::start().await;
    let start = Timestamp::now();
    let [product, engagement, test] = app.tree().await;
    let wanted = [
        "product_type_added",
        "product_added",
        "engagement_added",
        "test_added",
    ];
    assert_eq!(kinds(&app, start).await, wanted);
    let all = events(&app, start).await;
    let data = |n: usize| all[n].data.clone();
    assert_eq!(
        (&data(1)["name"], &data(1)["product_type_name"]),
        (&json!("Shop"), &json!("Shops"))
    );
    assert_eq!(
        (all[2].object, &data(2)["product_name"]),
        (engagement, &json!("Shop"))
    );
    assert_eq!((all[3].object, all[3].product.unwrap().0), (test, product));
    assert_eq!(data(3)["by"], json!(1));
    // what is refused is not told
    let (status, _) = app.post("product_types/", json!({"name": "Shops"})).await;
    assert_eq!(status, 400);
    let then = Timestamp::now();
    let path = format!("engagements/{engagement}/close/");
    for _ in 0..2 {
        assert_eq!(app.post(&path, json!({})).await.0, 200);
    }
    assert_eq!(kinds(&app, then).await, ["close_engagement"]);
    assert_eq!(
        app.post(&format!("engagements/{engagement}/reopen/"), json!({}))
            .await
            .0,
        200
    );
    assert_eq!(app.post(&path, json!({})).await.0, 200);
    assert_eq!(kinds(&app, then).await.len(), 2);
    // each waits for the notify function
    let waiting = app
        .services
        .store
        .outbox(SignedDuration::ZERO)
        .await
        .unwrap();
    assert!(
        waiting
            .iter()
            .all(|entry| matches!(entry.work, OutboxWork::Notify(_)))
    );
    assert_eq!(waiting.len(), 6);
}

#[tokio::test]
async fn findings_that_are_critical_by_hand_are_told_of() {
    let app = TestApp::start().await;
    let [_, _, test] = app.tree().await;
    let start = Timestamp::now();
    let low = app.finding(test, json!({"severity": "Low"})).await;
    assert!(kinds(&app, start).await.is_empty());
    let critical = json!({"severity": "Critical", "title": "RCE"});
    let finding = app.finding(test, critical).await;
    let path = format!("findings/{finding}/");
    for (change, told) in [
        (json!({"active": false}), 1),
        (json!({"active": true}), 2),
        (json!({"title": "Remote code"}), 2),
        (json!({"is_mitigated": true, "active": false}), 2),
        (
            json!({"severity": "High", "active": true, "is_mitigated": false}),
            2,
        ),
    ] {
        let (status, answer) = app.patch(&path, change.clone()).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(kinds(&app, start).await.len(), told, "{change}");
    }
    // both at once are one event
    let body = json!({"ids": [low, finding], "changes": {"severity": "Critical"}});
    assert_eq!(app.post("findings/bulk/", body.clone()).await.0, 200);
    assert_eq!(app.post("findings/bulk/", body).await.0, 200);
    let events = events(&app, start).await;
    assert_eq!(events.len(), 3, "{events:?}");
    assert!(
        events
            .iter()
            .all(|event| event.kind.name() == "critical_finding" && event.object == test)
    );
    assert_eq!(events[2].data["count"], 2);
    assert_eq!(events[0].data["findings"][0]["title"], "RCE");
}

#[tokio::test]
async fn whoever_is_named_in_a_note_and_may_see_it_is_told() {
    let app = TestApp::start().await;
    let [product, engagement, test] = app.tree().await;
    let finding = app.finding(test, json!({})).await;
    let ada = member(&app, "ada", product).await;
    let outsider = json!({"username": "bob", "email": "b@tatami.example"});
    assert_eq!(app.post("users/", outsider).await.0, 201);
    let start = Timestamp::now();
    let entry = json!({"entry": "@ada, @bob and @admin: see this. @nobody"});
    for path in [
        format!("findings/{finding}/notes/"),
        format!("engagements/{engagement}/notes/"),
        format!("tests/{test}/notes/"),
    ] {
        let (status, note) = app.post(&path, entry.clone()).await;
        assert_eq!(status, 201, "{note}");
        let all = events(&app, start).await;
        let last = all.last().unwrap();
        assert_eq!(
            (last.kind.name(), last.object),
            ("user_mentioned", note["id"].as_u64().unwrap())
        );
        assert_eq!(json!(last.to), json!([ada]));
        assert_eq!(last.data["text"], entry["entry"]);
    }
    assert_eq!(events(&app, start).await.len(), 3);
    let quiet = json!({"entry": "nobody is named, ada@tatami.example"});
    let path = format!("findings/{finding}/notes/");
    assert_eq!(app.post(&path, quiet).await.0, 201);
    assert_eq!(events(&app, start).await.len(), 3);
    // also where the note comes with a change, of one or of many
    let close = json!({"is_mitigated": true, "note": "@ada: fixed"});
    assert_eq!(
        app.post(&format!("findings/{finding}/close/"), close)
            .await
            .0,
        200
    );
    let bulk = json!({"ids": [finding], "changes": {"add_tags": ["x"]}, "note": "@ada?"});
    assert_eq!(app.post("findings/bulk/", bulk).await.0, 200);
    let all = events(&app, start).await;
    assert_eq!(all.len(), 5);
    assert_eq!(
        (&all[3].data["text"], &all[4].data["text"]),
        (&json!("@ada: fixed"), &json!("@ada?"))
    );
}

#[tokio::test]
async fn a_review_is_asked_of_those_who_may_see_the_finding() {
    let app = TestApp::start().await;
    let [product, _, test] = app.tree().await;
    let finding = app.finding(test, json!({})).await;
    let ada = member(&app, "ada", product).await;
    let bob = json!({"username": "bob", "email": "b@tatami.example"});
    let (_, bob) = app.post("users/", bob).await;
    let start = Timestamp::now();
    let path = format!("findings/{finding}/request_review/");
    for (body, field) in [
        (json!({"reviewers": [], "entry": "x"}), "reviewers"),
        (json!({"reviewers": [ada]}), "entry"),
        (
            json!({"reviewers": [ada, bob["id"]], "entry": "x"}),
            "reviewers",
        ),
        (json!({"reviewers": [999], "entry": "x"}), "reviewers"),
    ] {
        let (status, answer) = app.post(&path, body).await;
        assert_eq!(status, 400, "{answer}");
        assert!(answer[field].is_array(), "{answer}");
    }
    let body = json!({"reviewers": [ada], "entry": "Is this real?"});
    let (status, answer) = app.post(&path, body).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        (&answer["under_review"], &answer["reviewers"]),
        (&json!(true), &json!([ada]))
    );
    assert_eq!(answer["review_requested_by"], 1);
    let all = events(&app, start).await;
    assert_eq!(all.len(), 1);
    assert_eq!(
        (all[0].kind.name(), all[0].object),
        ("review_requested", finding)
    );
    assert_eq!(json!(all[0].to), json!([ada]));
    assert_eq!(all[0].data["note"], "Is this real?");
    let (_, notes) = app.get(&format!("findings/{finding}/notes/")).await;
    assert_eq!(notes["notes"][0]["entry"], "Is this real?");
}

#[tokio::test]
async fn a_note_on_what_has_an_issue_is_work_for_jira() {
    let app = TestApp::start().await;
    let [_, _, test] = app.tree().await;
    let finding = app.finding(test, json!({})).await;
    let store = &app.services.store;
    let jira = async || {
        let waiting = store.outbox(SignedDuration::ZERO).await.unwrap();
        let jira = waiting
            .iter()
            .filter(|entry| matches!(entry.work, OutboxWork::Jira { .. }));
        jira.count()
    };
    let path = format!("findings/{finding}/notes/");
    assert_eq!(app.post(&path, json!({"entry": "first"})).await.0, 201);
    assert_eq!(jira().await, 0);
    let old = store.finding(finding.into()).await.unwrap();
    let mut new = old.clone();
    new.jira.issue = Some(JiraIssueId(7));
    let commit = Commit {
        product: old.product,
        changes: vec![Change::Update {
            old: Box::new(old),
            new: Box::new(new),
        }],
        claims: Vec::new(),
        notes: Vec::new(),
        events: Vec::new(),
        marker: None,
        unique: "linked".into(),
    };
    assert_eq!(store.commit(&commit).await.unwrap(), Committed::Yes);
    let before = jira().await;
    assert_eq!(app.post(&path, json!({"entry": "second"})).await.0, 201);
    assert_eq!(jira().await, before + 1);
    // a note that comes with a change that changes nothing else
    let verify = format!("findings/{finding}/verify/");
    for n in 2..4 {
        let body = Some(json!({"note": "third"}));
        assert_eq!(app.call(Method::POST, &verify, body).await.0, 200);
        assert_eq!(jira().await, before + n);
    }
}
