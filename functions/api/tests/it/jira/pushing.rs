//! Asking that something be brought into JIRA.

use http::Method;
use serde_json::{Value, json};
use tatami_domain::{FindingGroupId, FindingId, JiraObject, JiraPush, OutboxWork};

use super::{by, connected, findings_at_work, get, ids, link, made, member, work};
use crate::app::TestApp;

/// A finding as it's made by hand.
fn finding(test: u64, more: &Value) -> Value {
    let mut body = json!({
        "test": test, "title": "SQL injection", "severity": "High", "description": "in login",
        "found_by": [1], "active": true, "verified": false, "push_to_jira": true,
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn a_finding_is_pushed_when_it_is_made_or_changed() {
    let app = TestApp::start().await;
    let [.., test, _] = connected(&app, json!({})).await;
    let (status, shown) = app.post("findings/", finding(test, &json!({}))).await;
    assert_eq!(
        (status.as_u16(), &shown["push_to_jira"]),
        (201, &json!(true))
    );
    let first = shown["id"].as_u64().unwrap();
    assert_eq!(findings_at_work(&app).await, [first]);
    let second = app.finding(test, json!({"title": "XSS", "line": 3})).await;
    assert_eq!(findings_at_work(&app).await, [first]);
    let path = format!("findings/{second}/");
    let (status, shown) = app.patch(&path, json!({"push_to_jira": true})).await;
    assert_eq!(
        (status.as_u16(), &shown["push_to_jira"]),
        (200, &json!(true))
    );
    assert_eq!(findings_at_work(&app).await, [first, second]);
    // once more, while it wasn't done yet
    assert_eq!(app.patch(&path, json!({"push_to_jira": true})).await.0, 200);
    assert_eq!(work(&app).await.len(), 3);
}

#[tokio::test]
async fn what_may_have_no_issue_is_told_why() {
    let app = TestApp::start().await;
    let [.., test] = app.tree().await;
    let (status, answer) = app.post("findings/", finding(test, &json!({}))).await;
    assert_eq!(status, 400, "{answer}");
    let why = answer["push_to_jira"][0].as_str().unwrap();
    assert!(why.contains("no enabled JIRA project"), "{why}");
    assert_eq!(get(&app, "findings/").await["count"], 0, "nothing was made");
    let instance = super::instance(&app).await;
    super::project(&app, instance, ("product", 1), json!({})).await;
    for (more, word) in [
        (json!({"active": false}), "not active"),
        (json!({"severity": "Info"}), "below the minimum"),
    ] {
        let (status, answer) = app.post("findings/", finding(test, &more)).await;
        assert_eq!(status, 400, "{answer}");
        let why = answer["push_to_jira"][0].as_str().unwrap();
        assert!(why.contains(word), "{why}");
    }
    let id = app.finding(test, json!({})).await;
    let path = format!("findings/{id}/");
    let close = json!({"active": false, "is_mitigated": true, "push_to_jira": true});
    assert_eq!(app.patch(&path, close.clone()).await.0, 400);
    assert_eq!(get(&app, &path).await["active"], true);
    let verified = json!({"enforce_verified_status_jira": true});
    assert_eq!(app.patch("system_settings/1/", verified).await.0, 200);
    let (status, answer) = app.patch(&path, json!({"push_to_jira": true})).await;
    assert_eq!(status, 400);
    assert!(
        answer["push_to_jira"][0]
            .as_str()
            .unwrap()
            .contains("not verified")
    );
    let verify = json!({"verified": true, "push_to_jira": true});
    assert_eq!(app.patch(&path, verify).await.0, 200);
    // what has an issue may be brought up to date, whatever became of it
    made(link(&app, 1, ("finding", id)).await);
    assert_eq!(app.patch(&path, close).await.0, 200);
    let off = json!({"enable_jira": false});
    assert_eq!(app.patch("system_settings/1/", off).await.0, 200);
    let (status, answer) = app.patch(&path, json!({"push_to_jira": true})).await;
    assert_eq!(status, 400);
    assert!(
        answer["push_to_jira"][0]
            .as_str()
            .unwrap()
            .contains("switched off")
    );
}

#[tokio::test]
async fn many_are_pushed_at_once_or_none() {
    let app = TestApp::start().await;
    let [.., test, _] = connected(&app, json!({})).await;
    let first = app.finding(test, json!({})).await;
    let second = app.finding(test, json!({"title": "XSS", "line": 3})).await;
    let closed = app
        .finding(test, json!({"title": "old", "line": 4, "active": false}))
        .await;
    let push = |ids: Value| json!({"ids": ids, "changes": {"push_to_jira": true}});
    let all = push(json!([first, second, closed]));
    let (status, answer) = app.post("findings/bulk/", all).await;
    assert_eq!(status, 400, "{answer}");
    assert!(
        answer["push_to_jira"][0]
            .as_str()
            .unwrap()
            .contains(&format!("finding {closed}"))
    );
    assert!(findings_at_work(&app).await.is_empty());
    let (status, answer) = app
        .post("findings/bulk/", push(json!([first, second])))
        .await;
    assert_eq!(
        (status.as_u16(), &answer["changed"]),
        (200, &json!([first, second]))
    );
    assert_eq!(findings_at_work(&app).await, [first, second]);
    let other = json!({"name": "Other", "description": "d", "prod_type": 1});
    let (_, other) = app.post("products/", other).await;
    let engagement = json!({
        "name": "CI", "product": other["id"], "target_start": "2026-01-01", "target_end": "2026-12-31",
    });
    let engagement = made(app.post("engagements/", engagement).await);
    let elsewhere = json!({
        "engagement": engagement, "test_type": 1, "environment": 1,
        "target_start": "2026-01-01", "target_end": "2026-01-02T10:00:00Z",
    });
    let elsewhere = made(app.post("tests/", elsewhere).await);
    let foreign = app.finding(elsewhere, json!({})).await;
    let (status, answer) = app
        .post("findings/bulk/", push(json!([first, foreign])))
        .await;
    assert_eq!(status, 400, "{answer}");
}

#[tokio::test]
async fn a_group_is_pushed_as_one() {
    let app = TestApp::start().await;
    let [.., test, _] = connected(&app, json!({})).await;
    let open = app.finding(test, json!({})).await;
    let closed = app
        .finding(test, json!({"title": "old", "line": 4, "active": false}))
        .await;
    let body = |findings: Value| json!({"test": test, "name": "Login", "findings": findings, "push_to_jira": true});
    let (status, answer) = app.post("finding_groups/", body(json!([closed]))).await;
    assert_eq!(status, 400, "{answer}");
    assert!(
        answer["push_to_jira"][0]
            .as_str()
            .unwrap()
            .contains("not active")
    );
    assert_eq!(get(&app, "finding_groups/").await["count"], 0);
    let group = made(
        app.post("finding_groups/", body(json!([closed, open])))
            .await,
    );
    let of_group = JiraObject::FindingGroup(FindingGroupId(group));
    let asked = |work: &[OutboxWork]| {
        let of = |work: &&OutboxWork| matches!(work, OutboxWork::Jira { objects, .. } if objects == &[of_group]);
        work.iter().filter(of).count()
    };
    assert_eq!(asked(&work(&app).await), 1);
    let path = format!("finding_groups/{group}/");
    let (status, shown) = app.patch(&path, json!({"push_to_jira": true})).await;
    assert_eq!(status, 200, "{shown}");
    assert!(shown.get("push_to_jira").is_none());
    assert_eq!(asked(&work(&app).await), 2);
    let (status, answer) = app
        .patch(
            &path,
            json!({"remove_findings": [open], "push_to_jira": true}),
        )
        .await;
    assert_eq!(status, 400, "{answer}");
    assert_eq!(get(&app, &path).await["findings_count"], 2);
}

#[tokio::test]
async fn an_engagement_has_an_epic_where_its_project_says_so() {
    let app = TestApp::start().await;
    let [_, engagement, _, project] = connected(&app, json!({})).await;
    let path = format!("engagements/{engagement}/update_jira_epic/");
    let body = json!({"epic_name": "Autumn", "epic_priority": "High"});
    let (status, answer) = app.post(&path, body.clone()).await;
    assert_eq!(status, 400, "{answer}");
    let epics = json!({"enable_engagement_epic_mapping": true});
    assert_eq!(
        app.patch(&format!("jira_projects/{project}/"), epics)
            .await
            .0,
        200
    );
    let (status, answer) = app.post(&path, body.clone()).await;
    assert_eq!((status.as_u16(), &answer), (200, &body));
    let [OutboxWork::JiraPush(id)] = work(&app).await[..] else {
        panic!("{:?}", work(&app).await)
    };
    let push: JiraPush = app.services.store.get(id).await.unwrap();
    assert_eq!(
        (push.priority.as_deref(), push.summary.as_deref()),
        (Some("High"), Some("Autumn"))
    );
    assert_eq!(
        push.results[0].object,
        JiraObject::Engagement(engagement.into())
    );
    assert_eq!(
        app.post("engagements/99/update_jira_epic/", json!({}))
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn an_import_says_whether_it_pushes() {
    let app = TestApp::start().await;
    let [_, engagement, ..] = connected(&app, json!({})).await;
    let options = json!({
        "scan_type": "Generic Findings Import", "engagement": engagement, "push_to_jira": "true",
    });
    let (status, upload) = app.post("uploads/", options).await;
    assert_eq!(status, 201, "{upload}");
    let import = upload["import_id"].as_u64().unwrap();
    let import = app.services.store.import(import.into()).await.unwrap();
    assert!(import.options.push_to_jira);
}

#[tokio::test]
async fn whoever_only_reads_pushes_nothing() {
    let app = TestApp::start().await;
    let [product, _, test, _] = connected(&app, json!({})).await;
    let id = app.finding(test, json!({})).await;
    let reader = member(&app, "reader", ("product", product), 5).await;
    let push = json!({"push_to_jira": true});
    let path = format!("findings/{id}/");
    assert_eq!(by(&app, &reader, Method::PATCH, &path, push).await.0, 403);
    let store = &app.services.store;
    assert!(!store.finding(FindingId(id)).await.unwrap().jira.push);
    assert_eq!(ids(&get(&app, "findings/?has_jira=false").await), [id]);
}
