//! Which fields are sent, and what is told of those that aren't.

use jiff::civil::date;
use serde_json::{Map, Value, json};
use tatami_jira_client::{CreateMeta, Deployment, NewIssue, Reference, RichText};

fn meta(fields: &Value) -> CreateMeta {
    CreateMeta {
        fields: serde_json::from_value(fields.clone()).unwrap(),
    }
}

fn everything() -> Value {
    json!({
        "project": { "name": "Project", "required": true },
        "issuetype": { "name": "Issue Type", "required": true },
        "reporter": { "name": "Reporter", "required": true },
        "summary": { "name": "Summary", "required": true },
        "description": {}, "environment": {}, "labels": {}, "duedate": {}, "assignee": {}, "parent": {},
        "priority": { "allowedValues": [{ "id": "1", "name": "High" }] },
        "components": { "allowedValues": [{ "id": "1", "name": "web" }] },
        "customfield_1": { "name": "Team", "required": true, "allowedValues": [{ "value": "red" }] },
        "customfield_2": { "name": "Whatever", "schema": { "type": "any",
            "custom": "com.pyxis.greenhopper.jira:gh-epic-link" } },
        "customfield_3": { "name": "Epic Name", "schema": { "type": "string",
            "custom": "com.pyxis.greenhopper.jira:gh-epic-label" } },
        "customfield_4": { "name": "Impact", "required": true, "hasDefaultValue": true },
    })
}

fn issue() -> NewIssue {
    let text = |markdown: &str| RichText {
        markdown: markdown.to_owned(),
        whole: None,
    };
    NewIssue {
        description: text("**a**"),
        environment: Some(text("`b`")),
        priority: Some("High".to_owned()),
        labels: vec![
            "CVE 1".to_owned(),
            "b".to_owned(),
            " ".to_owned(),
            "b".to_owned(),
        ],
        components: vec!["web".to_owned(), "gone".to_owned()],
        due: Some(date(2026, 1, 2)),
        assignee: Some("mia".to_owned()),
        parent: Some("SEC-9".to_owned()),
        custom: [("customfield_1".to_owned(), json!({ "value": "red" }))]
            .into_iter()
            .collect(),
        ..NewIssue::new(
            Reference::Name("SEC".to_owned()),
            Reference::Id("1".to_owned()),
            "a\nb",
        )
    }
}

#[test]
fn on_cloud() {
    let prepared = issue().fields_for(&meta(&everything()), Deployment::Cloud);
    let text = |text: &str, mark: &str| {
        json!({ "version": 1, "type": "doc", "content": [{ "type": "paragraph", "content": [
            { "type": "text", "text": text, "marks": [{ "type": mark }] }] }] })
    };
    let expected = json!({
        "project": { "key": "SEC" }, "issuetype": { "id": "1" }, "summary": "a b",
        "description": text("a", "strong"), "environment": text("b", "code"),
        "priority": { "name": "High" }, "labels": ["CVE_1", "b"], "components": [{ "name": "web" }],
        "duedate": "2026-01-02", "assignee": { "accountId": "mia" }, "parent": { "key": "SEC-9" },
        "customfield_1": { "value": "red" },
    });
    assert_eq!(Value::Object(prepared.fields), expected);
    assert_eq!(prepared.missing, [""; 0]);
    assert_eq!(prepared.dropped.len(), 1);
    assert_eq!(
        (
            prepared.dropped[0].field.as_str(),
            prepared.dropped[0].why.as_str()
        ),
        ("components", "JIRA has no \"gone\" there")
    );
}

#[test]
fn on_data_center() {
    let wanted = NewIssue {
        epic_name: Some("an\nepic".to_owned()),
        ..issue()
    };
    let fields = wanted
        .fields_for(&meta(&everything()), Deployment::DataCenter)
        .fields;
    assert_eq!(fields["description"], "*a*");
    assert_eq!(fields["environment"], "{{b}}");
    assert_eq!(fields["assignee"], json!({ "name": "mia" }));
    assert_eq!(
        (&fields["customfield_2"], &fields["customfield_3"]),
        (&json!("SEC-9"), &json!("an epic"))
    );
    assert!(!fields.contains_key("parent"));
}

#[test]
fn only_what_is_offered() {
    let offered = meta(
        &json!({ "summary": {}, "priority": { "allowedValues": [{ "name": "P1" }] },
        "customfield_9": { "name": "Epic Link" }, "customfield_8": { "name": "Must", "required": true } }),
    );
    let wanted = NewIssue {
        epic_name: Some("x".to_owned()),
        ..issue()
    };
    let prepared = wanted.fields_for(&offered, Deployment::DataCenter);
    let sent: Vec<&String> = prepared.fields.keys().collect();
    assert_eq!(sent, ["customfield_9", "issuetype", "project", "summary"]);
    let mut dropped: Vec<&str> = prepared.dropped.iter().map(|d| d.field.as_str()).collect();
    dropped.sort_unstable();
    assert_eq!(
        dropped,
        [
            "Epic Name",
            "assignee",
            "components",
            "customfield_1",
            "description",
            "duedate",
            "environment",
            "labels",
            "priority"
        ]
    );
    assert_eq!(prepared.missing, ["Must"]);
}

#[test]
fn custom_fields_win() {
    let custom: Map<String, Value> = [("labels".to_owned(), json!(["mine"]))]
        .into_iter()
        .collect();
    let wanted = NewIssue { custom, ..issue() };
    let prepared = wanted.fields_for(&meta(&everything()), Deployment::Cloud);
    assert_eq!(prepared.fields["labels"], json!(["mine"]));
    assert_eq!(prepared.missing, ["Team"]);
    let bare = NewIssue::new(
        Reference::Id("1".to_owned()),
        Reference::Name("Bug".to_owned()),
        "x",
    );
    let fields = bare
        .fields_for(&CreateMeta::default(), Deployment::Cloud)
        .fields;
    let expected = json!({ "project": { "id": "1" }, "issuetype": { "name": "Bug" } });
    assert_eq!(Value::Object(fields), expected);
}
