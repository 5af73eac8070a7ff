//! Where a JIRA is and how one signs in there.

use http::Method;
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tatami_domain::{JiraInstance, JiraInstanceId};

use super::{by, connected, delete, description, get, ids, instance, link, made, member};
use crate::app::TestApp;

#[tokio::test]
async fn a_password_is_kept_encrypted_and_shown_to_nobody() {
    let app = TestApp::start().await;
    let body = description("https://jira.example.com/");
    let (status, shown) = app.post("jira_instances/", body).await;
    assert_eq!(status, 201, "{shown}");
    assert_eq!(shown["url"], "https://jira.example.com");
    assert_eq!(shown["global_jira_sla_notification"], true);
    assert!(shown.get("password").is_none(), "{shown}");
    let id = shown["id"].as_u64().unwrap();
    // as whoever works with it reads it
    let store = &app.services.store;
    let stored: JiraInstance = store.get(JiraInstanceId(id)).await.unwrap();
    assert_eq!(stored.critical_mapping_severity, "Highest");
    assert_eq!((stored.epic_name_id, stored.close_status_key), (10011, 31));
    let encrypted = stored.password.unwrap();
    assert!(!encrypted.contains("hunter2"));
    let key = app.services.secret_key().unwrap();
    let password = key.decrypt("JIRAINSTANCE.password", &encrypted).unwrap();
    assert_eq!(password.expose_secret(), "hunter2");
    let (_, log) = app.get("audit/?object=JIRA+instance").await;
    assert!(!log.to_string().contains(&encrypted), "{log}");
    // one that isn't sent stays
    let path = format!("jira_instances/{id}/");
    let text = json!({"finding_text": "Ask the security team."});
    let (status, changed) = app.patch(&path, text).await;
    assert_eq!(
        (status.as_u16(), &changed["username"]),
        (200, &json!("bot@example.com"))
    );
    let stored: JiraInstance = store.get(JiraInstanceId(id)).await.unwrap();
    assert_eq!(stored.password, Some(encrypted));
}

#[tokio::test]
async fn both_names_are_the_same_list() {
    let app = TestApp::start().await;
    let first = instance(&app).await;
    let body = description("https://other.example.com");
    let second = made(app.post("jira_configurations/", body).await);
    for list in ["jira_instances/", "jira_configurations/"] {
        assert_eq!(ids(&get(&app, list).await), [first, second]);
        let one = get(&app, &format!("{list}?url=https://other.example.com")).await;
        assert_eq!(ids(&one), [second]);
    }
    let path = format!("jira_configurations/{second}/");
    assert_eq!(delete(&app, &path).await, 204);
    assert_eq!(ids(&get(&app, "jira_instances/").await), [first]);
}

#[tokio::test]
async fn what_is_no_jira_is_refused() {
    let app = TestApp::start().await;
    for (field, value) in [
        ("url", json!("ftp://jira.example.com")),
        ("url", json!("https://me:secret@jira.example.com")),
        ("url", json!("https://jira.example.com/?x=1")),
        ("url", json!("jira")),
        ("username", json!("")),
        ("username", json!("a:b")),
        ("authentication", json!("digest")),
        ("deployment", json!("mainframe")),
        ("epic_name_id", json!(-1)),
        ("high_mapping_severity", Value::Null),
    ] {
        let mut body = description("https://jira.example.com");
        body[field] = value.clone();
        let (status, answer) = app.post("jira_instances/", body).await;
        assert_eq!(status, 400, "{field} {value}: {answer}");
        assert!(answer[field].is_array(), "{field} {value}: {answer}");
    }
    // a token needs no name
    let mut body = description("https://jira.example.com");
    body["authentication"] = json!("bearer");
    body["username"] = json!("");
    made(app.post("jira_instances/", body).await);
}

#[tokio::test]
async fn what_is_in_use_stays() {
    let app = TestApp::start().await;
    let [.., test, project] = connected(&app, json!({})).await;
    let finding = app.finding(test, json!({})).await;
    let issue = made(link(&app, 1, ("finding", finding)).await);
    let (status, answer) = app.call(Method::DELETE, "jira_instances/1/", None).await;
    assert_eq!(status, 409, "{answer}");
    let said = answer["detail"].as_str().unwrap();
    assert!(said.contains("1 JIRA projects"), "{said}");
    assert_eq!(
        delete(&app, &format!("jira_projects/{project}/")).await,
        204
    );
    let (status, answer) = app.call(Method::DELETE, "jira_instances/1/", None).await;
    assert_eq!(status, 409, "{answer}");
    let path = format!("jira_finding_mappings/{issue}/");
    assert_eq!(delete(&app, &path).await, 204);
    assert_eq!(delete(&app, "jira_instances/1/").await, 204);
}

#[tokio::test]
async fn a_closed_circuit_is_seen_and_opened_by_hand_or_by_another_password() {
    let app = TestApp::start().await;
    let id = instance(&app).await;
    let store = &app.services.store;
    let refuse = || {
        store.change_jira_state(JiraInstanceId(id), |state| {
            state.refused = Some((Timestamp::UNIX_EPOCH, "JIRA refuses the credentials".into()));
        })
    };
    refuse().await.unwrap();
    let status = format!("jira_instances/{id}/status/");
    let shown = get(&app, &status).await;
    assert_eq!(shown["refused"], "1970-01-01T00:00:00Z");
    assert_eq!(shown["reason"], "JIRA refuses the credentials");
    let resume = format!("jira_instances/{id}/resume/");
    let (status_of, shown) = app.post(&resume, json!({})).await;
    assert_eq!((status_of.as_u16(), &shown["refused"]), (200, &Value::Null));
    refuse().await.unwrap();
    let path = format!("jira_instances/{id}/");
    let text = json!({"finding_text": "x"});
    assert_eq!(app.patch(&path, text).await.0, 200);
    assert_ne!(get(&app, &status).await["refused"], Value::Null);
    assert_eq!(app.patch(&path, json!({"password": "other"})).await.0, 200);
    assert_eq!(get(&app, &status).await["refused"], Value::Null);
}

#[tokio::test]
async fn a_test_says_why_there_is_no_connection() {
    let app = TestApp::start().await;
    let id = instance(&app).await;
    let path = format!("jira_instances/{id}/test_connection/");
    let (status, tested) = app.post(&path, json!({"project_key": "SEC"})).await;
    assert_eq!(status, 200, "{tested}");
    let checks = tested["checks"].as_array().unwrap();
    assert_eq!(
        (checks.len(), &checks[0]["ok"]),
        (1, &json!(false)),
        "{tested}"
    );
    let said = checks[0]["message"].as_str().unwrap();
    assert!(
        said.contains("192.0.2.7") && !said.contains("hunter2"),
        "{said}"
    );
}

#[tokio::test]
async fn they_are_for_administrators() {
    let app = TestApp::start().await;
    let [product, ..] = app.tree().await;
    let id = instance(&app).await;
    let owner = member(&app, "owner", ("product", product), 4).await;
    for (method, path) in [
        (Method::GET, "jira_instances/".to_owned()),
        (Method::GET, format!("jira_instances/{id}/")),
        (Method::GET, format!("jira_configurations/{id}/")),
        (Method::GET, format!("jira_instances/{id}/status/")),
        (Method::POST, format!("jira_instances/{id}/resume/")),
        (
            Method::POST,
            format!("jira_instances/{id}/test_connection/"),
        ),
        (Method::DELETE, format!("jira_configurations/{id}/")),
    ] {
        let (status, answer) = by(&app, &owner, method.clone(), &path, json!({})).await;
        assert_eq!(status, 403, "{method} {path}: {answer}");
    }
}
