//! Bodies that JIRA sends, of both kinds, and bodies that it doesn't.

use proptest::prelude::*;
use serde_json::{Value, json};
use tatami_jira_client::User;
use tatami_jira_client::webhook::{EventKind, WebhookError, WebhookEvent, read};

fn event(body: &Value) -> WebhookEvent {
    read(body.to_string().as_bytes()).unwrap()
}

fn error(body: &Value) -> WebhookError {
    read(body.to_string().as_bytes()).unwrap_err()
}

fn issue() -> Value {
    json!({ "id": "10001", "self": "x", "key": "SEC-1", "fields": {
        "status": { "name": "Done", "statusCategory": { "key": "done" } }, "resolution": { "id": "1", "name": "Won't Do" },
        "resolutiondate": "2026-01-02T03:04:05.000+0000", "updated": "2026-01-02T03:04:06.000+0000",
        "comment": { "comments": [], "total": 0 }, "customfield_1": null } })
}

fn comment() -> Value {
    json!({ "self": "https://jira.example.com/rest/api/2/issue/10001/comment/7", "id": "7", "body": "It's *done*",
        "author": { "name": "mia", "key": "mia" }, "updateAuthor": { "name": "tom", "key": "tom" },
        "created": "2026-01-02T03:04:05.000+0000", "updated": "2026-01-02T03:04:05.000+0000" })
}

#[test]
fn an_issue_is_done_on_cloud() {
    let found = event(
        &json!({ "timestamp": 1_767_323_045_000_i64, "webhookEvent": "jira:issue_updated",
        "issue_event_type_name": "issue_generic", "user": { "accountId": "a:1", "displayName": "Mia" }, "issue": issue(),
        "changelog": { "id": "1", "items": [
            { "field": "status", "fieldtype": "jira", "fieldId": "status", "from": "1", "fromString": "Open",
                "to": "3", "toString": "Done" },
            { "field": "resolution", "from": null, "fromString": null, "to": "1", "toString": "Won't Do" }] } }),
    );
    assert_eq!(found.kind, EventKind::IssueUpdated);
    assert_eq!(found.timestamp.unwrap().to_string(), "2026-01-02T03:04:05Z");
    assert_eq!(found.user.unwrap().id(), Some("a:1"));
    assert_eq!(found.issue_id.as_deref(), Some("10001"));
    let fields = found.issue.unwrap().fields;
    assert!(fields.status.unwrap().is_done());
    assert_eq!(fields.resolution.unwrap().name, "Won't Do");
    assert_eq!(found.changes.len(), 2);
    assert_eq!(found.changes[0].to_text.as_deref(), Some("Done"));
    assert_eq!(
        (found.changes[1].from.as_deref(), found.comment),
        (None, None)
    );
}

#[test]
fn comments_of_both_kinds() {
    let cloud = event(
        &json!({ "webhookEvent": "comment_created", "timestamp": 1, "issue": { "id": "10001", "key": "SEC-1",
        "fields": { "summary": "x" } }, "comment": { "id": "7", "author": { "accountId": "a:1" },
        "body": { "type": "doc", "content": [{ "type": "paragraph", "content": [{ "type": "text", "text": "hi" }] }] } } }),
    );
    assert_eq!(cloud.kind, EventKind::CommentCreated);
    assert_eq!(cloud.comment.unwrap().body.to_text(), "hi");
    assert_eq!(cloud.user.unwrap().account_id.as_deref(), Some("a:1"));
    // Data Center tells the issue by the comment's address alone.
    let own =
        event(&json!({ "webhookEvent": "comment_updated", "timestamp": 1, "comment": comment() }));
    assert_eq!((own.kind, own.issue), (EventKind::CommentUpdated, None));
    assert_eq!(own.issue_id.as_deref(), Some("10001"));
    assert_eq!(own.user.unwrap().id(), Some("tom"));
    // Or has it within a change of the issue.
    let within = event(
        &json!({ "webhookEvent": "jira:issue_updated", "timestamp": 1, "issue": issue(), "changelog": null,
        "user": { "name": "mia" }, "comment": comment() }),
    );
    assert_eq!(within.kind, EventKind::IssueUpdated);
    assert_eq!(within.comment.unwrap().body.to_text(), "It's *done*");
    assert_eq!(within.user.unwrap().id(), Some("mia"));
}

#[test]
fn other_events() {
    for (name, kind) in [
        ("jira:issue_created", EventKind::IssueCreated),
        ("jira:issue_deleted", EventKind::IssueDeleted),
    ] {
        assert_eq!(
            event(&json!({ "webhookEvent": name, "issue": issue() })).kind,
            kind
        );
    }
    let sprint = event(
        &json!({ "webhookEvent": "sprint_created", "issue": 3, "user": [], "timestamp": 1000 }),
    );
    assert_eq!(sprint.kind, EventKind::Other("sprint_created".to_owned()));
    assert_eq!(sprint.timestamp.unwrap().as_second(), 1);
}

#[test]
fn bodies_that_are_none() {
    assert_eq!(error(&json!({})), WebhookError::NoEvent);
    assert_eq!(error(&json!([1])), WebhookError::NoEvent);
    assert_eq!(error(&json!({ "webhookEvent": 3 })), WebhookError::NoEvent);
    let bare = error(&json!({ "webhookEvent": "jira:issue_updated" }));
    assert_eq!(
        bare.to_string(),
        "the body of \"jira:issue_updated\" has no issue: don't exclude bodies in JIRA's webhook"
    );
    for body in [
        json!({ "webhookEvent": "comment_created", "issue": issue() }),
        json!({ "webhookEvent": "comment_created", "comment": { "id": "7", "self": "https://x/issue/../comment/7" } }),
    ] {
        assert!(matches!(error(&body), WebhookError::Incomplete { .. }));
    }
    for body in [&b""[..], b"x=y", b"{\"webhookEvent\": \"jira:", b"\xff"] {
        assert!(matches!(read(body), Err(WebhookError::Unreadable(_))));
    }
    let shape = error(&json!({ "webhookEvent": "jira:issue_updated", "issue": "SEC-1" }));
    assert!(matches!(shape, WebhookError::Unreadable(_)));
    // Deeper than anybody would.
    let deep = format!("{{\"webhookEvent\":{}", "[".repeat(100_000));
    assert!(matches!(
        read(deep.as_bytes()),
        Err(WebhookError::Unreadable(_))
    ));
}

#[test]
fn users_are_compared_by_what_is_shown() {
    let user = |id: Option<&str>, name: Option<&str>| User {
        account_id: id.map(str::to_owned),
        name: name.map(str::to_owned),
        ..User::default()
    };
    assert!(user(Some("a"), None).is(&user(Some("a"), Some("x"))));
    assert!(user(None, Some("mia")).is(&user(None, Some("mia"))));
    assert!(!user(Some("a"), None).is(&user(Some("b"), None)));
    assert!(!user(None, None).is(&user(None, None)));
}

proptest! {
    #[test]
    fn anything_may_come(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&body);
    }

    /// A true body with a piece of it missing is an event or an error.
    #[test]
    fn half_a_body_is_none(cut in 1_usize..400) {
        let body = json!({ "webhookEvent": "jira:issue_updated", "issue": issue(), "comment": comment() }).to_string();
        let end = body.len() - cut.min(body.len());
        prop_assert!(read(&body.as_bytes()[..end]).is_err());
    }
}
