//! Addresses, bodies and pages, and where the two kinds of JIRA differ.

use serde_json::{Map, Value, json};
use tatami_jira_client::{Auth, Deployment, Jira, JiraError, RemoteLink, RichText, detect};

use crate::recorded::{BASE, Recorded, basic};

const BOTH: [Deployment; 2] = [Deployment::Cloud, Deployment::DataCenter];

#[tokio::test]
async fn segments_are_encoded() {
    let transport = Recorded::default()
        .json(404, &json!({}))
        .json(404, &json!({}))
        .json(404, &json!({}));
    let jira = transport.jira(Deployment::Cloud);
    assert_eq!(jira.issue("A-1/../x?y#z ä", &["summary"]).await, Ok(None));
    assert_eq!(jira.property("..", "a&b").await, Ok(None));
    assert!(jira.project("SEC%2F").await.is_err());
    let asked: Vec<String> = transport
        .asked()
        .into_iter()
        .map(|(what, _)| what)
        .collect();
    assert_eq!(
        asked,
        [
            "GET /base/rest/api/3/issue/A-1%2F..%2Fx%3Fy%23z%20%C3%A4?fields=summary",
            "GET /base/rest/api/3/issue/%2E%2E/properties/a%26b",
            "GET /base/rest/api/3/project/SEC%252F",
        ]
    );
    assert_eq!(jira.browse_url("SEC-1"), format!("{BASE}/browse/SEC-1"));
}

#[tokio::test]
async fn headers() {
    let transport = Recorded::default()
        .json(200, &json!({}))
        .json(200, &json!([]));
    let jira = Jira::new(
        &format!("{BASE}/"),
        Deployment::DataCenter,
        Auth::Bearer("pat".into()),
        &transport,
    )
    .unwrap();
    jira.myself().await.unwrap();
    jira.priorities().await.unwrap();
    let requests = transport.requests();
    assert_eq!(requests[0].headers()["authorization"], "Bearer pat");
    assert_eq!(requests[0].headers()["accept"], "application/json");
    assert!(!requests[0].headers().contains_key("content-type"));
    assert_eq!(
        requests[1].uri(),
        "https://jira.example.com/base/rest/api/2/priority"
    );
}

#[tokio::test]
async fn deployments_are_told_apart() {
    for (kind, deployment) in [
        (json!({ "deploymentType": "Cloud" }), Deployment::Cloud),
        (
            json!({ "deploymentType": "Server" }),
            Deployment::DataCenter,
        ),
        (json!({ "version": "6.4" }), Deployment::DataCenter),
    ] {
        let transport = Recorded::default().json(200, &kind);
        assert_eq!(detect(BASE, basic(), &transport).await, Ok(deployment));
        assert_eq!(transport.asked()[0].0, "GET /base/rest/api/2/serverInfo");
    }
}

#[tokio::test]
async fn rich_text_is_the_deployments() {
    let text = RichText {
        markdown: "**a** {b}".to_owned(),
        whole: None,
    };
    for deployment in BOTH {
        let transport = Recorded::default()
            .json(201, &json!({ "id": "1", "body": null }))
            .json(200, &json!({ "id": "1", "body": "x" }));
        let jira = transport.jira(deployment);
        let added = jira.add_comment("A-1", &text).await.unwrap();
        assert_eq!(added.body.to_text(), "");
        jira.update_comment("A-1", "1", &text).await.unwrap();
        let body = &transport.asked()[1].1["body"];
        match deployment {
            Deployment::Cloud => assert_eq!(body["type"], "doc"),
            Deployment::DataCenter => assert_eq!(body, "*a* \\{b\\}"),
        }
    }
}

#[tokio::test]
async fn empty_answers_are_enough() {
    let transport = Recorded::default()
        .raw(204, &[], b"")
        .raw(204, &[], b"")
        .raw(200, &[], b"")
        .raw(201, &[], b"");
    let jira = transport.jira(Deployment::Cloud);
    let fields: Map<String, Value> = [("labels".to_owned(), json!(["a"]))].into_iter().collect();
    jira.update_issue("A-1", &fields).await.unwrap();
    jira.transition("A-1", "31", None, &Map::new())
        .await
        .unwrap();
    jira.set_property("A-1", "tatami", &json!([1]))
        .await
        .unwrap();
    let link = RemoteLink {
        global_id: "g".to_owned(),
        url: "https://x.example/1".to_owned(),
        title: "a\nb".to_owned(),
        summary: None,
        resolved: true,
    };
    jira.set_remote_link("A-1", &link).await.unwrap();
    let asked = transport.asked();
    assert_eq!(asked[0].1, json!({ "fields": { "labels": ["a"] } }));
    assert_eq!(asked[1].1, json!({ "transition": { "id": "31" } }));
    assert_eq!(asked[2].1, json!([1]));
    assert_eq!(
        asked[3].1["object"],
        json!({ "url": "https://x.example/1", "title": "a b",
        "status": { "resolved": true } })
    );
}

#[tokio::test]
async fn a_transition_has_fields_and_a_resolution() {
    let transport = Recorded::default().raw(204, &[], b"");
    let fields: Map<String, Value> = [("customfield_1".to_owned(), json!(2))]
        .into_iter()
        .collect();
    let jira = transport.jira(Deployment::DataCenter);
    jira.transition("A-1", "5", Some("Won't Fix"), &fields)
        .await
        .unwrap();
    let expected = json!({ "transition": { "id": "5" },
        "fields": { "customfield_1": 2, "resolution": { "name": "Won't Fix" } } });
    assert_eq!(transport.asked()[0].1, expected);
}

fn issue(n: u32) -> Value {
    json!({ "id": n.to_string(), "key": format!("A-{n}"), "fields": { "labels": null, "assignee": null } })
}

#[tokio::test]
async fn cloud_searches_by_token() {
    let transport = Recorded::default()
        .json(
            200,
            &json!({ "issues": [issue(1)], "nextPageToken": "t1", "isLast": false }),
        )
        .json(
            200,
            &json!({ "issues": [issue(2)], "isLast": true, "nextPageToken": "t2" }),
        )
        .json(200, &json!({ "issues": [], "nextPageToken": "t1" }));
    let jira = transport.jira(Deployment::Cloud);
    let first = jira.search("project = A", &["labels"], None).await.unwrap();
    assert_eq!(first.next.as_deref(), Some("t1"));
    let second = jira
        .search("project = A", &["labels"], first.next.as_deref())
        .await
        .unwrap();
    assert_eq!((second.issues[0].key.as_str(), second.next), ("A-2", None));
    let again = jira.search("project = A", &["labels"], Some("t1")).await;
    assert!(
        matches!(again, Err(JiraError::Unreadable { .. })),
        "{again:?}"
    );
    let asked = transport.asked();
    assert_eq!(asked[0].0, "POST /base/rest/api/3/search/jql");
    assert_eq!(
        asked[0].1,
        json!({ "jql": "project = A", "fields": ["labels"], "maxResults": 100 })
    );
    assert_eq!(asked[1].1["nextPageToken"], "t1");
}

#[tokio::test]
async fn data_center_searches_by_place() {
    let transport = Recorded::default()
        .json(200, &json!({ "issues": [issue(1), issue(2)], "total": 3 }))
        .json(200, &json!({ "issues": [issue(3)], "total": 3 }))
        // Issues may go while somebody reads.
        .json(200, &json!({ "issues": [], "total": 3 }));
    let jira = transport.jira(Deployment::DataCenter);
    let first = jira.search("x", &[], None).await.unwrap();
    assert_eq!(first.next.as_deref(), Some("2"));
    assert_eq!(jira.search("x", &[], Some("2")).await.unwrap().next, None);
    assert_eq!(jira.search("x", &[], Some("2")).await.unwrap().next, None);
    let asked = transport.asked();
    assert_eq!(asked[1].0, "POST /base/rest/api/2/search");
    assert_eq!(
        (&asked[0].1["startAt"], &asked[1].1["startAt"]),
        (&json!(0), &json!(2))
    );
    let odd = jira.search("x", &[], Some("token")).await.unwrap_err();
    assert_eq!(
        odd.to_string(),
        "the answer of JIRA to \"search by place\" cannot be read: \"token\" is no place in it"
    );
}

#[tokio::test]
async fn comments_come_in_pages() {
    let comment =
        |n: u32| json!({ "id": n.to_string(), "author": null, "body": "x", "updated": null });
    let transport = Recorded::default()
        .json(
            200,
            &json!({ "comments": [comment(1), comment(2)], "total": 3, "startAt": 0 }),
        )
        .json(
            200,
            &json!({ "comments": [comment(3)], "total": 3, "startAt": 2 }),
        );
    let jira = transport.jira(Deployment::DataCenter);
    let first = jira.comments("A-1", 0).await.unwrap();
    assert_eq!(first.next, Some(2));
    assert_eq!(jira.comments("A-1", 2).await.unwrap().next, None);
    assert_eq!(
        transport.asked()[1].0,
        "GET /base/rest/api/2/issue/A-1/comment?startAt=2&maxResults=100&orderBy=created"
    );
}

#[tokio::test]
async fn create_meta_comes_in_three_shapes() {
    let bug = |n: u32| json!({ "id": n.to_string(), "name": "Bug" });
    // Data Center from 8.4: pages of `values`, also smaller than asked for.
    let transport = Recorded::default()
        .json(200, &json!({ "values": [bug(1)], "total": 2, "isLast": false }))
        .json(200, &json!({ "values": [bug(2)], "total": 2, "isLast": true }))
        .json(200, &json!({ "values": [{ "fieldId": "summary", "name": "S" }, { "name": "no id" }], "total": 2 }));
    let jira = transport.jira(Deployment::DataCenter);
    assert_eq!(jira.create_meta_issue_types("SEC").await.unwrap().len(), 2);
    assert_eq!(jira.create_meta("SEC", "1").await.unwrap().fields.len(), 1);
    let asked = transport.asked();
    assert_eq!(
        asked[1].0,
        "GET /base/rest/api/2/issue/createmeta/SEC/issuetypes?startAt=1&maxResults=100"
    );
    // Before it: 404, then one answer with all.
    let old = json!({ "projects": [{ "key": "SEC", "issuetypes": [
        { "id": "1", "name": "Bug", "fields": { "summary": { "name": "Summary", "required": true } } },
        { "id": "2", "name": "Task" }] }] });
    let transport = Recorded::default()
        .json(404, &json!({}))
        .json(200, &old)
        .json(404, &json!({}))
        .json(200, &old)
        .json(404, &json!({}))
        .json(200, &old)
        .json(404, &json!({}))
        .json(200, &json!({ "projects": [] }));
    let jira = transport.jira(Deployment::DataCenter);
    assert_eq!(
        jira.create_meta_issue_types("SEC").await.unwrap()[1].name,
        "Task"
    );
    assert!(jira.create_meta("10000", "1").await.unwrap().fields["summary"].required);
    let none = jira.create_meta("SEC", "3").await.unwrap_err();
    assert!(
        none.to_string().contains("issue type 3 in project SEC"),
        "{none}"
    );
    assert!(matches!(
        jira.create_meta("X", "1").await,
        Err(JiraError::NotFound { .. })
    ));
    assert_eq!(
        transport.asked()[3].0,
        "GET /base/rest/api/2/issue/createmeta?projectIds=10000&issuetypeIds=1&expand=projects.issuetypes.fields"
    );
    // Cloud has nothing to fall back to.
    let transport = Recorded::default().json(404, &json!({}));
    let found = transport
        .jira(Deployment::Cloud)
        .create_meta("SEC", "1")
        .await;
    assert!(matches!(found, Err(JiraError::NotFound { .. })));
    // A list that never ends, and an answer that is none.
    let mut transport = Recorded::default();
    for _ in 0..50 {
        transport = transport.json(200, &json!({ "issueTypes": [bug(1)], "total": 1000 }));
    }
    let found = transport
        .jira(Deployment::Cloud)
        .create_meta_issue_types("SEC")
        .await;
    assert!(
        found
            .unwrap_err()
            .to_string()
            .ends_with("it has more than 50 pages")
    );
    let transport = Recorded::default().json(200, &json!({ "total": 1 }));
    let found = transport
        .jira(Deployment::Cloud)
        .create_meta_issue_types("SEC")
        .await;
    assert!(found.unwrap_err().to_string().ends_with("it has no list"));
}

#[tokio::test]
async fn users_are_looked_up() {
    let users = json!([{ "name": "mia", "key": "JIRAUSER1", "displayName": "Mia" }]);
    for (deployment, query) in BOTH.iter().zip(["query", "username"]) {
        let transport = Recorded::default().json(200, &users);
        let found = transport
            .jira(*deployment)
            .assignable_users("SEC", "mia k")
            .await
            .unwrap();
        assert_eq!(found[0].id(), Some("mia"));
        let asked = &transport.asked()[0].0;
        assert!(
            asked.ends_with(&format!("?project=SEC&{query}=mia+k&maxResults=100")),
            "{asked}"
        );
    }
}

#[tokio::test]
async fn what_an_issue_has() {
    let full = json!({ "id": "1", "key": "A-1", "fields": {
        "summary": "x", "status": { "name": "Open", "statusCategory": { "key": "new" } },
        "resolution": { "name": "Fixed" }, "resolutiondate": "2026-01-02T03:04:05.000+0000", "updated": "",
        "priority": { "id": "1", "name": "High" }, "assignee": { "name": "mia", "active": false },
        "issuetype": { "id": "1", "name": "Bug", "subtask": true }, "labels": ["a"],
        "comment": { "comments": [{ "id": "7", "body": "hi" }], "total": 1, "startAt": 0 }, "customfield_1": [[]] } });
    let transport = Recorded::default()
        .json(200, &full)
        .json(200, &json!({ "id": "1", "key": "A-1" }))
        .json(
            200,
            &json!({ "id": "1", "key": "A-1", "fields": { "updated": "soon" } }),
        );
    let jira = transport.jira(Deployment::DataCenter);
    let fields = jira.issue("A-1", &[]).await.unwrap().unwrap().fields;
    assert!(!fields.status.unwrap().is_done());
    assert_eq!(
        fields.resolution_date.unwrap().to_string(),
        "2026-01-02T03:04:05Z"
    );
    assert_eq!(
        (fields.updated, fields.labels),
        (None, vec!["a".to_owned()])
    );
    assert!(fields.issue_type.unwrap().subtask);
    assert_eq!(fields.comment.unwrap().comments[0].body.to_text(), "hi");
    let bare = jira.issue("A-1", &[]).await.unwrap().unwrap().fields;
    assert_eq!(bare.status, None);
    let wrong = jira.issue("A-1", &[]).await.unwrap_err().to_string();
    assert!(
        wrong.contains("get issue") && wrong.contains("line 1"),
        "{wrong}"
    );
}
