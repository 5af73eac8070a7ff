//! Every request that the client makes, held against the official documents.
//!
//! They describe Cloud. Version 2 of them stands in for Data Center, whose API is where that of Cloud comes from;
//! `NOT_DOCUMENTED` is what they don't have. Nor do they have Data Center's pages of createmeta, whose list is `values`
//! and not `issueTypes` or `fields`; `requests.rs` reads those.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use tatami_jira_client::{Deployment, Jira, Method, Operation, RemoteLink, RichText, detect};

use crate::adf;
use crate::openapi::{self, Document};
use crate::recorded::{BASE, Recorded, basic};

/// What the documents at hand don't have, and why it is right nonetheless.
const NOT_DOCUMENTED: &[(Operation, &str)] = &[(
    Operation::SearchByToken,
    "Cloud has it since 2024, and the documents are older: they still have /search",
)];

/// What only Data Center is asked, though the documents have it from Cloud's past.
const ONLY_DATA_CENTER: &[Operation] = &[Operation::OldCreateMeta, Operation::SearchByPlace];

/// The table of methods: each with the operations that it makes.
const METHODS: &[(&str, &[Operation])] = &[
    ("detect", &[Operation::ServerInfo]),
    ("server_info", &[Operation::ServerInfo]),
    ("myself", &[Operation::Myself]),
    ("project", &[Operation::Project]),
    ("priorities", &[Operation::Priorities]),
    ("fields", &[Operation::Fields]),
    (
        "create_meta_issue_types",
        &[Operation::CreateMetaIssueTypes, Operation::OldCreateMeta],
    ),
    (
        "create_meta",
        &[Operation::CreateMetaFields, Operation::OldCreateMeta],
    ),
    ("create_issue", &[Operation::CreateIssue]),
    ("issue", &[Operation::GetIssue]),
    ("update_issue", &[Operation::UpdateIssue]),
    ("transitions", &[Operation::Transitions]),
    ("transition", &[Operation::DoTransition]),
    ("comments", &[Operation::Comments]),
    ("add_comment", &[Operation::AddComment]),
    ("update_comment", &[Operation::UpdateComment]),
    ("property", &[Operation::GetProperty]),
    ("set_property", &[Operation::SetProperty]),
    ("set_remote_link", &[Operation::SetRemoteLink]),
    (
        "search",
        &[Operation::SearchByToken, Operation::SearchByPlace],
    ),
    ("assignable_users", &[Operation::AssignableUsers]),
];

fn user() -> Value {
    json!({ "accountId": "5b10a2844c20165700ede21g", "displayName": "Mia Krystof", "active": true,
        "emailAddress": "mia@example.com" })
}

fn comment() -> Value {
    json!({ "id": "10000", "author": user(), "body": "done", "created": "2026-01-17T12:34:00.000+0000",
        "updated": "2026-01-18T23:45:00.000+0000" })
}

fn field(id: &str) -> Value {
    json!({ "fieldId": id, "key": id, "name": id, "required": id == "summary", "hasDefaultValue": false,
        "operations": ["set"], "schema": { "type": "string", "system": id } })
}

fn issue() -> Value {
    json!({ "id": "10002", "key": "SEC-1", "self": "https://jira.example.com/rest/api/3/issue/10002",
        "fields": { "summary": "SQL injection", "labels": ["tatami"], "resolution": null,
            "status": { "id": "3", "name": "Done", "statusCategory": { "id": 3, "key": "done", "name": "Done" } },
            "updated": "2026-01-02T03:04:05.678+0200" } })
}

/// An answer as JIRA gives it, for the tests to hold against the documents, too.
fn answer(operation: Operation) -> (u16, Value) {
    use Operation as O;
    let types = json!([{ "id": "10004", "name": "Bug", "subtask": false }]);
    let old_field = json!({ "key": "summary", "name": "Summary", "required": true, "operations": ["set"],
        "schema": { "type": "string", "system": "summary" } });
    match operation {
        O::ServerInfo => (
            200,
            json!({ "baseUrl": BASE, "version": "9.12.1", "deploymentType": "Cloud",
            "serverTitle": "JIRA" }),
        ),
        O::Myself => (200, user()),
        O::Project => (
            200,
            json!({ "id": "10000", "key": "SEC", "name": "Security", "issueTypes": types,
            "components": [{ "id": "1", "name": "web" }] }),
        ),
        O::Priorities => (200, json!([{ "id": "1", "name": "Highest" }])),
        O::Fields => (
            200,
            json!([{ "id": "customfield_10011", "name": "Epic Name", "custom": true,
            "schema": { "type": "string", "custom": "com.pyxis.greenhopper.jira:gh-epic-label",
                "customId": 10011 } }]),
        ),
        O::CreateMetaIssueTypes => (
            200,
            json!({ "issueTypes": types, "startAt": 0, "maxResults": 50,
            "total": 1 }),
        ),
        O::CreateMetaFields => (
            200,
            json!({ "fields": [field("summary")], "startAt": 0, "maxResults": 50,
            "total": 1 }),
        ),
        O::OldCreateMeta => (
            200,
            json!({ "projects": [{ "id": "10000", "key": "SEC", "issuetypes": [
            { "id": "10004", "name": "Bug", "fields": { "summary": old_field } }] }] }),
        ),
        O::CreateIssue => (201, json!({ "id": "10002", "key": "SEC-1", "self": BASE })),
        O::GetIssue => (200, issue()),
        O::UpdateIssue | O::DoTransition => (204, Value::Null),
        O::Transitions => (
            200,
            json!({ "transitions": [{ "id": "5", "name": "Close",
            "to": { "id": "3", "name": "Done", "statusCategory": { "id": 3, "key": "done" } },
            "fields": { "resolution": old_field } }] }),
        ),
        O::Comments => (
            200,
            json!({ "comments": [comment()], "startAt": 0, "maxResults": 50, "total": 1 }),
        ),
        O::AddComment => (201, comment()),
        O::UpdateComment => (200, comment()),
        O::GetProperty => (200, json!({ "key": "tatami", "value": { "finding": 1 } })),
        O::SetProperty => (201, json!({})),
        O::SetRemoteLink => (201, json!({ "id": 10000, "self": BASE })),
        O::SearchByToken => (200, json!({ "issues": [issue()], "isLast": true })),
        O::SearchByPlace => (
            200,
            json!({ "issues": [issue()], "startAt": 0, "maxResults": 100, "total": 1 }),
        ),
        O::AssignableUsers => (200, json!([user()])),
    }
}

/// Calls a method and looks at what it makes of the sample answer.
async fn call(method: &str, jira: &Jira<&Recorded>, transport: &Recorded) {
    let text = RichText {
        markdown: "It is **fixed**, see `a.rs`.\n\n- one\n- two".to_owned(),
        whole: None,
    };
    let fields: Map<String, Value> = [("summary".to_owned(), json!("x"))].into_iter().collect();
    match method {
        "detect" => assert_eq!(
            detect(BASE, basic(), transport).await,
            Ok(Deployment::Cloud)
        ),
        "server_info" => {
            let info = jira.server_info().await.unwrap();
            assert_eq!(info.version.as_deref(), Some("9.12.1"));
        }
        "myself" => assert_eq!(
            jira.myself().await.unwrap().id(),
            Some("5b10a2844c20165700ede21g")
        ),
        "project" => {
            let project = jira.project("SEC").await.unwrap();
            assert_eq!(
                (project.issue_types.len(), project.components.len()),
                (1, 1)
            );
        }
        "priorities" => assert_eq!(jira.priorities().await.unwrap()[0].name, "Highest"),
        "fields" => assert!(jira.fields().await.unwrap()[0].custom),
        "create_meta_issue_types" => {
            let types = jira.create_meta_issue_types("SEC").await.unwrap();
            assert_eq!(types[0].name, "Bug");
        }
        "create_meta" => {
            let meta = jira.create_meta("SEC", "10004").await.unwrap();
            assert!(meta.fields["summary"].required);
        }
        "create_issue" => assert_eq!(jira.create_issue(&fields).await.unwrap().key, "SEC-1"),
        "issue" => {
            let issue = jira
                .issue("SEC-1", &["summary", "status"])
                .await
                .unwrap()
                .unwrap();
            assert!(issue.fields.status.unwrap().is_done());
            assert_eq!(
                issue.fields.updated.unwrap().to_string(),
                "2026-01-02T01:04:05.678Z"
            );
        }
        "update_issue" => jira.update_issue("SEC-1", &fields).await.unwrap(),
        "transitions" => {
            let transitions = jira.transitions("SEC-1").await.unwrap();
            assert!(transitions[0].fields.contains_key("resolution"));
        }
        "transition" => {
            let done = jira.transition("SEC-1", "5", Some("Fixed"), &fields).await;
            assert_eq!(done, Ok(()));
        }
        "comments" => {
            let comments = jira.comments("SEC-1", 0).await.unwrap();
            assert_eq!((comments.comments.len(), comments.next), (1, None));
        }
        "add_comment" => assert_eq!(jira.add_comment("SEC-1", &text).await.unwrap().id, "10000"),
        "update_comment" => {
            let comment = jira.update_comment("SEC-1", "10000", &text).await.unwrap();
            assert_eq!(comment.body.to_text(), "done");
        }
        "property" => {
            let value = jira.property("SEC-1", "tatami").await.unwrap();
            assert_eq!(value, Some(json!({ "finding": 1 })));
        }
        "set_property" => {
            let value = json!({ "finding": 1 });
            assert_eq!(jira.set_property("SEC-1", "tatami", &value).await, Ok(()));
        }
        "set_remote_link" => {
            let link = RemoteLink {
                global_id: "tatami-1".to_owned(),
                url: "https://tatami.example.com/finding/1".to_owned(),
                title: "Finding 1".to_owned(),
                summary: Some("SQL injection".to_owned()),
                resolved: false,
            };
            assert_eq!(jira.set_remote_link("SEC-1", &link).await, Ok(()));
        }
        "search" => {
            let found = jira
                .search("labels = \"tatami\"", &["summary"], None)
                .await
                .unwrap();
            assert_eq!((found.issues.len(), found.next), (1, None));
        }
        "assignable_users" => {
            let users = jira.assignable_users("SEC", "mia").await.unwrap();
            assert_eq!(users[0].display_name.as_deref(), Some("Mia Krystof"));
        }
        other => panic!("add what to do for \"{other}\""),
    }
}

/// Where a request is described, and the name of its method there.
fn verb(operation: Operation) -> &'static str {
    match operation.method() {
        Method::Get => "get",
        Method::Post => "post",
        Method::Put => "put",
    }
}

#[test]
fn every_method_and_operation_has_a_row() {
    let mut methods = BTreeSet::new();
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            let source = std::fs::read_to_string(path).unwrap();
            let names = source.split("pub async fn ").skip(1);
            methods.extend(names.map(|rest| rest.split(['(', '<']).next().unwrap().to_owned()));
        }
    }
    let rows: BTreeSet<String> = METHODS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(methods, rows, "left: in the source, right: in METHODS");
    assert_eq!(rows.len(), METHODS.len(), "a method has two rows");
    let operations: BTreeSet<_> = METHODS.iter().flat_map(|(_, all)| *all).copied().collect();
    let all: BTreeSet<_> = Operation::ALL.iter().copied().collect();
    assert_eq!(operations, all, "left: in METHODS, right: in the source");
    let only: Vec<_> = Operation::ALL
        .iter()
        .copied()
        .filter(|o| o.only() == Some(Deployment::DataCenter))
        .collect();
    assert_eq!(only, ONLY_DATA_CENTER);
}

#[tokio::test]
async fn every_request_is_as_the_documents_have_it() {
    for deployment in [Deployment::Cloud, Deployment::DataCenter] {
        for (method, operations) in METHODS {
            for &operation in *operations {
                if operation.only().is_some_and(|only| only != deployment) {
                    continue;
                }
                let (status, sample) = answer(operation);
                let mut transport = Recorded::default();
                if operation == Operation::OldCreateMeta {
                    transport = transport.json(404, &json!({}));
                }
                let transport = match &sample {
                    Value::Null => transport.raw(status, &[], b""),
                    sample => transport.json(status, sample),
                };
                call(method, &transport.jira(deployment), &transport).await;
                let what = format!("{method} ({operation}, {deployment:?})");
                let request = transport.requests().pop().expect("a request");
                check(&what, operation, &request, status, &sample);
            }
        }
    }
}

fn check(
    what: &str,
    operation: Operation,
    request: &http::Request<Vec<u8>>,
    status: u16,
    sample: &Value,
) {
    assert_eq!(
        request.method().as_str().to_lowercase(),
        verb(operation),
        "{what}"
    );
    let path = request
        .uri()
        .path()
        .strip_prefix("/base/rest/api/")
        .unwrap();
    let (version, path) = path.split_at(1);
    assert!(matches(operation.path(), path), "{what}: {path}");
    let Some(document) = openapi::document(version) else {
        return;
    };
    let described = document.operation(version, operation.path(), verb(operation));
    if NOT_DOCUMENTED.iter().any(|(o, _)| *o == operation) {
        assert!(described.is_none(), "{what} is described now: check it");
        for issue in sample["issues"].as_array().unwrap() {
            none(what, &document.errors(&document.schema("IssueBean"), issue));
        }
        return;
    }
    let described = described.unwrap_or_else(|| panic!("{what} isn't described"));
    check_query(what, described, request.uri().query().unwrap_or_default());
    check_body(what, document, described, request);
    let answer = &described["responses"][status.to_string()];
    assert!(answer.is_object(), "{what}: status {status}");
    if !sample.is_null() {
        let schema = &answer["content"]["application/json"]["schema"];
        none(what, &document.errors(schema, sample));
    }
}

fn check_query(what: &str, described: &Value, query: &str) {
    let given: Vec<_> = query
        .split('&')
        .filter_map(|pair| Some(pair.split_once('=')?.0))
        .collect();
    let known: Vec<&Value> = described["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|p| p["in"] == "query")
        .collect();
    for name in &given {
        assert!(known.iter().any(|p| p["name"] == *name), "{what}: ?{name}");
    }
    for parameter in known.iter().filter(|p| p["required"] == true) {
        let name = parameter["name"].as_str().unwrap();
        assert!(given.contains(&name), "{what}: ?{name} is required");
    }
}

fn check_body(
    what: &str,
    document: &Document,
    described: &Value,
    request: &http::Request<Vec<u8>>,
) {
    let wanted = described.get("requestBody");
    assert_eq!(
        wanted.is_some(),
        !request.body().is_empty(),
        "{what}: a body"
    );
    if let Some(wanted) = wanted {
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        let schema = &wanted["content"]["application/json"]["schema"];
        none(what, &document.errors(schema, &body));
        if let Some(text) = body.get("body").filter(|text| text.is_object()) {
            none(what, &adf::errors(text));
        }
    }
}

/// Whether a path is one of a template's.
fn matches(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) =
        (template.split('/').collect(), path.split('/').collect());
    let same = |(t, p): (&&str, &&str)| t.starts_with('{') && !p.is_empty() || t == p;
    template.len() == path.len() && template.iter().zip(&path).all(same)
}

fn none(what: &str, errors: &[String]) {
    assert!(errors.is_empty(), "{what}: {errors:#?}");
}

#[test]
fn the_documents_find_what_is_wrong() {
    let Some(document) = openapi::document("3") else {
        return;
    };
    let link = document.schema("RemoteIssueLinkRequest");
    assert_eq!(
        document.errors(&link, &json!({ "object": { "url": "u", "title": "t" } })),
        [""; 0]
    );
    assert_ne!(
        document.errors(&link, &json!({ "object": { "url": 1, "title": "t" } })),
        [""; 0]
    );
    assert_ne!(document.errors(&link, &json!({})), [""; 0]);
}
