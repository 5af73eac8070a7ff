//! Which issue is whose.

use http::Method;
use serde_json::{Value, json};
use tatami_domain::{FindingGroupId, FindingId, JiraIssueId, JiraObject, OutboxWork};

use super::{by, connected, delete, findings_at_work, get, ids, link, made, member, notes, work};
use crate::app::TestApp;

#[tokio::test]
async fn an_issue_is_linked_shown_and_unlinked() {
    let app = TestApp::start().await;
    let [product, engagement, test, project] = connected(&app, json!({})).await;
    let finding = app.finding(test, json!({})).await;
    let before = get(&app, &format!("findings/{finding}/?related_fields=true")).await;
    assert_eq!(before["jira_creation"], Value::Null);
    assert_eq!(before["related_fields"]["jira"], Value::Null);
    let (status, issue) = link(&app, 7, ("finding", finding)).await;
    assert_eq!(status, 201, "{issue}");
    assert_eq!(issue["url"], "https://192.0.2.7/browse/SEC-7");
    assert_eq!(
        (&issue["finding"], &issue["jira_project"]),
        (&json!(finding), &json!(project))
    );
    assert_eq!(
        (&issue["finding_group"], &issue["engagement"]),
        (&Value::Null, &Value::Null)
    );
    let id = issue["id"].as_u64().unwrap();
    assert_eq!(findings_at_work(&app).await, [finding]);
    let path = format!("findings/{finding}/?related_fields=true");
    let shown = get(&app, &path).await;
    assert_eq!(shown["jira_creation"], issue["jira_creation"]);
    assert_eq!(shown["related_fields"]["jira"], issue);
    for (query, found) in [
        ("has_jira=true", 1),
        ("has_jira=false", 0),
        ("jira_creation=1", 1),
        ("jira_creation=2020-01-01", 0),
        ("jira_change=7", 0),
    ] {
        let page = get(&app, &format!("findings/?{query}")).await;
        assert_eq!(page["count"], found, "{query}");
    }
    for query in [
        String::new(),
        format!("id={id}"),
        format!("finding={finding}"),
        "jira_id=1007".into(),
        "jira_key=SEC-7".into(),
        format!("product={product}"),
    ] {
        let page = get(&app, &format!("jira_finding_mappings/?{query}")).await;
        assert_eq!(ids(&page), [id], "{query}");
    }
    for query in [
        "finding=99",
        "engagement=1",
        "finding_group=1",
        "jira_key=SEC-8",
        "jira_id=7",
    ] {
        let page = get(&app, &format!("jira_finding_mappings/?{query}")).await;
        assert_eq!(page["count"], 0, "{query}");
    }
    let path = format!("jira_finding_mappings/{id}/");
    let preview = get(&app, &format!("{path}delete_preview/")).await;
    assert_eq!(preview["results"][0]["name"], "SEC-7");
    assert_eq!(delete(&app, &path).await, 204);
    assert_eq!(app.get(&path).await.0, 404);
    let page = get(
        &app,
        &format!("findings/?has_jira=true&engagement={engagement}"),
    )
    .await;
    assert_eq!(page["count"], 0);
    assert_eq!(
        notes(&app, finding).await,
        ["SEC-7 unlinked from JIRA: admin."]
    );
    // and can be linked again
    made(link(&app, 7, ("finding", finding)).await);
}

#[tokio::test]
async fn neither_has_two() {
    let app = TestApp::start().await;
    let [.., test, _] = connected(&app, json!({})).await;
    let first = app.finding(test, json!({})).await;
    let second = app.finding(test, json!({"title": "XSS", "line": 3})).await;
    made(link(&app, 1, ("finding", first)).await);
    let (status, answer) = link(&app, 2, ("finding", first)).await;
    assert_eq!(status, 400, "{answer}");
    assert!(
        answer["finding"][0].as_str().unwrap().contains("SEC-1"),
        "{answer}"
    );
    let (status, answer) = link(&app, 1, ("finding", second)).await;
    assert_eq!(status, 400, "{answer}");
    assert!(answer["jira_id"].is_array(), "{answer}");
    for (body, field) in [
        (
            json!({"jira_id": "5", "jira_key": "SEC-5"}),
            "non_field_errors",
        ),
        (
            json!({"jira_id": "5", "jira_key": "SEC-5", "finding": second, "engagement": 1}),
            "non_field_errors",
        ),
        (
            json!({"jira_id": "5", "jira_key": "SEC-5", "finding": 99_999}),
            "finding",
        ),
        (
            json!({"jira_id": "x", "jira_key": "SEC-5", "finding": second}),
            "jira_id",
        ),
        (
            json!({"jira_id": "5", "jira_key": "SEC", "finding": second}),
            "jira_key",
        ),
        // one of them is enough only where JIRA can be asked
        (json!({"jira_key": "SEC-5", "finding": second}), "jira_key"),
        (json!({"jira_id": "5", "finding": second}), "jira_id"),
        (json!({"finding": second}), "jira_key"),
        (
            json!({"jira_id": "5", "jira_key": "SEC-5", "finding": second, "jira_project": 9}),
            "jira_project",
        ),
    ] {
        let (status, answer) = app.post("jira_finding_mappings/", body.clone()).await;
        assert_eq!(status, 400, "{body}: {answer}");
        assert!(answer[field].is_array(), "{body}: {answer}");
    }
    let page = get(&app, "jira_finding_mappings/").await;
    assert_eq!(page["count"], 1);
}

#[tokio::test]
async fn of_two_at_once_one_links() {
    let app = TestApp::start().await;
    let [.., test, _] = connected(&app, json!({})).await;
    let finding = app.finding(test, json!({})).await;
    let calls = (1..=4).map(|number| link(&app, number, ("finding", finding)));
    let answers = futures::future::join_all(calls).await;
    let linked = answers.iter().filter(|(status, _)| *status == 201).count();
    assert_eq!(linked, 1, "{answers:?}");
    let page = get(&app, "jira_finding_mappings/").await;
    assert_eq!(page["count"], 1, "{page}");
    let kept = page["results"][0]["id"].as_u64().map(JiraIssueId);
    let store = &app.services.store;
    assert_eq!(
        store.finding(FindingId(finding)).await.unwrap().jira.issue,
        kept
    );
}

#[tokio::test]
async fn a_group_and_an_engagement_have_issues_too() {
    let app = TestApp::start().await;
    let [product, engagement, test, _] = connected(&app, json!({})).await;
    let finding = app.finding(test, json!({})).await;
    let group = json!({"test": test, "name": "Login", "findings": [finding]});
    let group = made(app.post("finding_groups/", group).await);
    let issue = made(link(&app, 1, ("finding_group", group)).await);
    let epic = made(link(&app, 2, ("engagement", engagement)).await);
    let objects: Vec<JiraObject> = (work(&app).await.into_iter())
        .flat_map(|work| match work {
            OutboxWork::Jira { objects, .. } => objects,
            _ => Vec::new(),
        })
        .collect();
    let of_group = JiraObject::FindingGroup(FindingGroupId(group));
    assert_eq!(
        objects,
        [of_group, JiraObject::Engagement(engagement.into())]
    );
    let shown = get(&app, &format!("finding_groups/{group}/")).await;
    assert_eq!(shown["jira_issue"]["jira_key"], "SEC-1");
    let shown = get(&app, &format!("findings/{finding}/")).await;
    assert_eq!(
        shown["finding_groups"][0]["jira_issue"]["jira_key"],
        "SEC-1"
    );
    let page = get(
        &app,
        &format!("jira_finding_mappings/?engagement={engagement}"),
    )
    .await;
    assert_eq!(ids(&page), [epic]);
    // as the jira function does
    set_issue(&app, finding, issue).await;
    let shown = get(&app, &format!("findings/{finding}/")).await;
    assert_ne!(shown["jira_creation"], Value::Null);
    // who leaves the group leaves its issue
    let other = app.finding(test, json!({"title": "XSS", "line": 3})).await;
    let path = format!("finding_groups/{group}/");
    let more = json!({"add_findings": [other], "remove_findings": [finding]});
    assert_eq!(app.patch(&path, more).await.0, 200);
    let page = get(&app, "findings/?has_jira=true").await;
    assert_eq!(page["count"], 0);
    set_issue(&app, other, issue).await;
    // a group that is dissolved takes its issue along
    assert_eq!(delete(&app, &path).await, 204);
    let page = get(&app, "jira_finding_mappings/").await;
    assert_eq!(ids(&page), [epic]);
    let page = get(&app, "findings/?has_jira=true").await;
    assert_eq!(page["count"], 0);
    assert_eq!(
        delete(&app, &format!("jira_finding_mappings/{epic}/")).await,
        204
    );
    let store = &app.services.store;
    let bare: tatami_domain::Engagement = store.get(engagement.into()).await.unwrap();
    assert_eq!(bare.jira_epic, None);
    assert!(
        store
            .jira_issues_of(product.into())
            .await
            .unwrap()
            .is_empty()
    );
}

/// Gives a finding an issue.
async fn set_issue(app: &TestApp, finding: u64, issue: u64) {
    let store = &app.services.store;
    let old = store.finding(FindingId(finding)).await.unwrap();
    let mut new = old.clone();
    new.jira.issue = Some(JiraIssueId(issue));
    let commit = tatami_store::Commit {
        product: old.product,
        unique: format!("T{}.{}", old.id, old.version),
        changes: vec![tatami_store::Change::Update {
            old: Box::new(old),
            new: Box::new(new),
        }],
        claims: Vec::new(),
        notes: Vec::new(),
        events: Vec::new(),
        marker: None,
    };
    let done = store.commit(&commit).await.unwrap();
    assert_eq!(done, tatami_store::Committed::Yes);
}

#[tokio::test]
async fn unlinking_a_group_tells_each_of_its_findings() {
    let app = TestApp::start().await;
    let [.., test, _] = connected(&app, json!({})).await;
    let finding = app.finding(test, json!({})).await;
    let group = json!({"test": test, "name": "Login", "findings": [finding]});
    let group = made(app.post("finding_groups/", group).await);
    let issue = made(link(&app, 1, ("finding_group", group)).await);
    set_issue(&app, finding, issue).await;
    assert_eq!(
        delete(&app, &format!("jira_finding_mappings/{issue}/")).await,
        204
    );
    let shown = get(&app, &format!("finding_groups/{group}/")).await;
    assert_eq!(shown["jira_issue"], Value::Null);
    assert_eq!(
        notes(&app, finding).await,
        ["SEC-1 unlinked from JIRA: admin."]
    );
}

#[tokio::test]
async fn another_issue_takes_its_place() {
    let app = TestApp::start().await;
    let [.., test, _] = connected(&app, json!({})).await;
    let finding = app.finding(test, json!({})).await;
    let issue = made(link(&app, 1, ("finding", finding)).await);
    let path = format!("jira_finding_mappings/{issue}/");
    let other = json!({"jira_id": "1002", "jira_key": "SEC-2", "finding": 99});
    let (status, changed) = app.patch(&path, other.clone()).await;
    assert_eq!(
        (status.as_u16(), &changed["finding"]),
        (200, &json!(finding))
    );
    assert_eq!(changed["url"], "https://192.0.2.7/browse/SEC-2");
    let before = work(&app).await.len();
    assert_eq!(app.call(Method::PUT, &path, Some(other)).await.0, 200);
    assert_eq!(work(&app).await.len(), before, "nothing differs");
    assert_eq!(app.patch(&path, json!({"jira_id": "no"})).await.0, 400);
    let second = app.finding(test, json!({"title": "XSS", "line": 3})).await;
    made(link(&app, 1, ("finding", second)).await);
    let (status, answer) = app.patch(&path, json!({"jira_id": "1001"})).await;
    assert_eq!(status, 400, "{answer}");
}

#[tokio::test]
async fn each_sees_those_of_what_they_see() {
    let app = TestApp::start().await;
    let [product, engagement, test, _] = connected(&app, json!({})).await;
    let finding = app.finding(test, json!({})).await;
    let issue = made(link(&app, 1, ("finding", finding)).await);
    let other = json!({"name": "Other", "description": "d", "prod_type": 1});
    let (_, other) = app.post("products/", other).await;
    let other = other["id"].as_u64().unwrap();
    let of_product = member(&app, "analyst", ("product", product), 2).await;
    let of_engagement = member(&app, "guest", ("engagement", engagement), 2).await;
    let reader = member(&app, "reader", ("product", product), 5).await;
    let stranger = member(&app, "stranger", ("product", other), 4).await;
    let path = format!("jira_finding_mappings/{issue}/");
    let key = json!({"jira_key": "SEC-1"});
    for (token, sees, changes) in [
        (&of_product, true, 200),
        (&of_engagement, true, 200),
        (&reader, true, 403),
        (&stranger, false, 404),
    ] {
        let (_, page) = by(
            &app,
            token,
            Method::GET,
            "jira_finding_mappings/",
            json!({}),
        )
        .await;
        assert_eq!(page["count"], u64::from(sees));
        let (status, _) = by(&app, token, Method::GET, &path, json!({})).await;
        assert_eq!(status, if sees { 200 } else { 404 });
        let (status, answer) = by(&app, token, Method::PATCH, &path, key.clone()).await;
        assert_eq!(status, changes, "{answer}");
    }
    let body = json!({"jira_id": "5", "jira_key": "SEC-5", "finding": finding});
    let list = "jira_finding_mappings/";
    let (status, _) = by(&app, &stranger, Method::POST, list, body).await;
    assert_eq!(status, 404);
    let (status, _) = by(&app, &reader, Method::DELETE, &path, json!({})).await;
    assert_eq!(status, 403);
}

#[tokio::test]
async fn they_go_with_their_findings() {
    let app = TestApp::start().await;
    let [product, _, test, _] = connected(&app, json!({})).await;
    let finding = app.finding(test, json!({})).await;
    made(link(&app, 1, ("finding", finding)).await);
    let second = app.finding(test, json!({"title": "XSS", "line": 3})).await;
    made(link(&app, 2, ("finding", second)).await);
    let many = json!({"ids": [second], "changes": {"delete": true}});
    assert_eq!(app.post("findings/bulk/", many).await.0, 200);
    assert_eq!(delete(&app, &format!("findings/{finding}/")).await, 204);
    let left = app
        .services
        .store
        .jira_issues_of(product.into())
        .await
        .unwrap();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_duplicate_in_the_place_of_its_original_takes_the_issue_over() {
    let app = TestApp::start().await;
    let [.., test, _] = connected(&app, json!({})).await;
    let original = app.finding(test, json!({})).await;
    let heir = app.finding(test, json!({})).await;
    let issue = made(link(&app, 1, ("finding", original)).await);
    assert_eq!(delete(&app, &format!("findings/{original}/")).await, 204);
    let page = get(&app, "findings/?has_jira=true").await;
    assert_eq!(ids(&page), [heir]);
    let shown = get(&app, &format!("jira_finding_mappings/{issue}/")).await;
    assert_eq!(shown["finding"], json!(heir));
}
