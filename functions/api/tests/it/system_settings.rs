//! The system's settings.

use http::Method;
use serde_json::{Value, json};

use crate::app::{PASSWORD, TestApp};

#[tokio::test]
async fn every_version_is_kept_and_can_come_back() {
    let app = TestApp::start().await;
    let (status, page) = app.get("system_settings/").await;
    assert_eq!((status.as_u16(), &page["count"]), (200, &json!(1)));
    let first = page["results"][0].clone();
    assert_eq!((&first["id"], &first["version"]), (&json!(1), &json!(0)));
    assert_eq!(first["team_name"], "");
    let change = json!({"team_name": "AppSec", "risk_acceptance_form_default_days": null});
    let (status, second) = app.patch("system_settings/1/", change.clone()).await;
    assert_eq!(status, 200, "{second}");
    assert_eq!(second["version"], 1);
    assert_eq!(second["risk_acceptance_form_default_days"], Value::Null);
    let (_, again) = app.patch("system_settings/1/", change).await;
    assert_eq!(again, second, "nothing differs, so there is no new version");
    let change = json!({"team_name": "Platform", "unknown": 1});
    let (status, third) = app
        .call(Method::PUT, "system_settings/1/", Some(change))
        .await;
    assert_eq!((status.as_u16(), &third["version"]), (200, &json!(2)));
    let (_, versions) = app.get("system_settings/1/versions/").await;
    let names: Vec<&Value> = versions["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|version| &version["team_name"])
        .collect();
    assert_eq!(names, ["Platform", "AppSec"]);
    let (status, back) = app
        .post("system_settings/1/versions/1/restore/", json!({}))
        .await;
    assert_eq!(
        (status.as_u16(), &back["team_name"]),
        (200, &json!("AppSec"))
    );
    assert_eq!(back["version"], 3);
    let (_, log) = app.get("audit/?object=system+settings").await;
    assert_eq!(log["count"], 3);
    let fields = &log["results"][0]["changes"][0]["fields"];
    assert_eq!(
        fields["team_name"],
        json!({"before": "Platform", "after": "AppSec"})
    );
    for path in ["system_settings/2/", "system_settings/2/versions/"] {
        assert_eq!(app.get(path).await.0, 404, "{path}");
    }
    let path = "system_settings/1/versions/9/restore/";
    assert_eq!(app.post(path, json!({})).await.0, 404);
}

#[tokio::test]
async fn changes_at_once_all_count() {
    let app = TestApp::start().await;
    let names = [
        "enable_jira_web_hook",
        "enable_github",
        "delete_duplicates",
        "engagement_auto_close",
    ];
    let calls = names.map(|name| app.patch("system_settings/1/", json!({name: true})));
    for (status, answer) in futures::future::join_all(calls).await {
        assert_eq!(status, 200, "{answer}");
    }
    let (_, settings) = app.get("system_settings/1/").await;
    assert_eq!(settings["version"], 4);
    assert!(
        names.iter().all(|name| settings[*name] == true),
        "{settings}"
    );
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let app = TestApp::start().await;
    for (change, field) in [
        (
            json!({"minimum_password_length": 8}),
            "minimum_password_length",
        ),
        (
            json!({"minimum_password_length": 40, "maximum_password_length": 30}),
            "minimum_password_length",
        ),
        (json!({"product_grade_b": 95}), "product_grade_b"),
        (
            json!({"jira_minimum_severity": "Awful"}),
            "jira_minimum_severity",
        ),
        (json!({"enable_jira": "perhaps"}), "enable_jira"),
    ] {
        let (status, answer) = app.patch("system_settings/1/", change).await;
        assert_eq!(status, 400, "{answer}");
        assert!(answer[field].is_array(), "{answer}");
    }
    // what goes wrong changes nothing, not even what is kept elsewhere
    let both = json!({"enable_deduplication": false, "product_grade_b": 95});
    assert_eq!(app.patch("system_settings/1/", both).await.0, 400);
    let (_, settings) = app.get("system_settings/1/").await;
    assert_eq!(settings["version"], 0);
    assert_eq!(settings["enable_deduplication"], true);
}

#[tokio::test]
async fn passwords_are_as_the_settings_want_them() {
    let app = TestApp::start().await;
    let rules = json!({
        "minimum_password_length": 12, "maximum_password_length": 30,
        "number_character_required": true, "special_character_required": true,
        "uppercase_character_required": true, "lowercase_character_required": true,
    });
    assert_eq!(app.patch("system_settings/1/", rules).await.0, 200);
    let mut old = PASSWORD.to_owned();
    for (new, wanted) in [
        ("Sh0rt!", Some("12 to 30")),
        ("a very long passphrase without end", Some("12 to 30")),
        (
            "quiet otter bridge",
            Some("a digit and a special character and an uppercase letter"),
        ),
        ("QUIET OTTER 7!", Some("a lowercase letter")),
        ("Quiet otter 7!", None),
    ] {
        let body = json!({"username": "admin", "password": old, "new_password": new});
        let (status, answer) = app.post("change-password/", body).await;
        if let Some(words) = wanted {
            assert_eq!(status, 400, "{new}");
            let said = answer["new_password"][0].as_str().unwrap();
            assert!(said.contains(words), "{said}");
        } else {
            assert_eq!(status, 204, "{answer}");
            old = new.to_owned();
        }
    }
    let easy = json!({"username": "eve", "email": "e@b.example", "password": "Password123!"});
    assert_eq!(app.post("users/", easy.clone()).await.0, 400);
    let any = json!({"non_common_password_required": false});
    assert_eq!(app.patch("system_settings/1/", any).await.0, 200);
    assert_eq!(app.post("users/", easy).await.0, 201);
}
