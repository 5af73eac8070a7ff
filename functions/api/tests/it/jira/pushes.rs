//! Orders to bring several things into JIRA at once.

use http::Method;
use serde_json::{Value, json};
use tatami_domain::{JiraPush, OutboxWork};

use super::{by, connected, get, ids, made, member, work};
use crate::app::TestApp;

const LIST: &str = "jira_pushes/";

#[tokio::test]
async fn an_order_names_findings_groups_and_engagements() {
    let app = TestApp::start().await;
    let [_, engagement, test, _] = connected(&app, json!({})).await;
    let first = app.finding(test, json!({})).await;
    let closed = app
        .finding(test, json!({"title": "old", "line": 4, "active": false}))
        .await;
    let group = json!({"test": test, "name": "Login", "findings": [first]});
    let group = made(app.post("finding_groups/", group).await);
    let body = json!({
        "findings": [closed, first], "finding_groups": [group], "engagements": [engagement],
        "priority": "Highest", "assignee": "jane", "comment": "See {url}",
    });
    let (status, push) = app.post(LIST, body).await;
    assert_eq!(status, 202, "{push}");
    let result = |model: &str, id: u64| {
        let results = push["results"].as_array().unwrap();
        let found = results
            .iter()
            .find(|r| r["model"] == model && r["id"] == id);
        found
            .unwrap_or_else(|| panic!("{model} {id} in {push}"))
            .clone()
    };
    let refused = result("finding", closed);
    assert_eq!(refused["done"], true);
    assert!(
        refused["error"].as_str().unwrap().contains("not active"),
        "{refused}"
    );
    for (model, id) in [("finding", first), ("finding_group", group)] {
        let waits = result(model, id);
        assert_eq!(
            (&waits["done"], &waits["error"]),
            (&json!(false), &Value::Null)
        );
    }
    let no_epics = result("engagement", engagement);
    assert!(
        no_epics["error"].as_str().unwrap().contains("no epics"),
        "{no_epics}"
    );
    assert_eq!(
        (&push["assignee"], &push["finished"]),
        (&json!("jane"), &Value::Null)
    );
    let id = push["id"].as_u64().unwrap();
    assert_eq!(work(&app).await, [OutboxWork::JiraPush(id.into())]);
    // what becomes of it is read where it's kept
    let store = &app.services.store;
    let done = store.change(id.into(), |push: &mut JiraPush| {
        for result in push.results.iter_mut().filter(|result| !result.done) {
            result.done = true;
            result.jira_key = Some("SEC-1".into());
        }
        push.finished = Some(push.created);
        Ok::<_, tatami_store::StoreError>(())
    });
    done.await.unwrap();
    let push = get(&app, &format!("{LIST}{id}/")).await;
    assert_ne!(push["finished"], Value::Null);
    let keys = push["results"].as_array().unwrap().iter();
    assert_eq!(keys.filter(|r| r["jira_key"] == "SEC-1").count(), 2);
}

#[tokio::test]
async fn a_filter_names_them_as_well_and_nothing_to_do_is_done() {
    let app = TestApp::start().await;
    let [.., test, _] = connected(&app, json!({})).await;
    for line in 0..3 {
        let more = json!({"title": format!("finding {line}"), "line": line, "tags": ["web"]});
        app.finding(test, more).await;
    }
    app.finding(test, json!({"title": "small", "severity": "Info"}))
        .await;
    let (status, push) = app.post(LIST, json!({"filter": {"tags": "web"}})).await;
    assert_eq!(status, 202, "{push}");
    assert_eq!(push["results"].as_array().unwrap().len(), 3);
    let (status, push) = app
        .post(LIST, json!({"filter": {"severity": "Info"}}))
        .await;
    assert_eq!(status, 202, "{push}");
    assert_ne!(push["finished"], Value::Null, "{push}");
    assert_eq!(work(&app).await.len(), 1);
    for (body, field) in [
        (json!({}), "findings"),
        (json!({"filter": {"severity": "Critical"}}), "findings"),
        (json!({"filter": {"sevrity": "Low"}}), "filter"),
        (json!({"findings": [99_999]}), "findings"),
        (json!({"finding_groups": [9]}), "finding_groups"),
        (json!({"engagements": [9]}), "engagements"),
    ] {
        let (status, answer) = app.post(LIST, body.clone()).await;
        assert_eq!(status, 400, "{body}: {answer}");
        assert!(answer[field].is_array(), "{body}: {answer}");
    }
    assert_eq!(ids(&get(&app, LIST).await), [2, 1]);
}

#[tokio::test]
async fn orders_are_those_of_who_gave_them() {
    let app = TestApp::start().await;
    let [product, engagement, test, _] = connected(&app, json!({})).await;
    let finding = app.finding(test, json!({})).await;
    let analyst = member(&app, "analyst", ("product", product), 2).await;
    let other = json!({"name": "Other", "description": "d", "prod_type": 1});
    let (_, other) = app.post("products/", other).await;
    let stranger = member(
        &app,
        "stranger",
        ("product", other["id"].as_u64().unwrap()),
        4,
    )
    .await;
    let body = json!({"findings": [finding]});
    let (status, push) = by(&app, &analyst, Method::POST, LIST, body.clone()).await;
    assert_eq!(status, 202, "{push}");
    let path = format!("{LIST}{}/", push["id"]);
    assert_eq!(
        by(&app, &analyst, Method::GET, &path, json!({})).await.0,
        200
    );
    assert_eq!(app.get(&path).await.0, 200);
    assert_eq!(
        by(&app, &stranger, Method::GET, &path, json!({})).await.0,
        404
    );
    let (_, page) = by(&app, &stranger, Method::GET, LIST, json!({})).await;
    assert_eq!(page["count"], 0);
    assert_eq!(by(&app, &stranger, Method::POST, LIST, body).await.0, 404);
    // an analyst changes findings, no engagements
    let body = json!({"engagements": [engagement]});
    assert_eq!(by(&app, &analyst, Method::POST, LIST, body).await.0, 403);
}
