//! The secret of the webhook among the system's settings.

use serde_json::json;

use super::get;
use crate::app::TestApp;

#[tokio::test]
async fn the_secret_is_shown_once_and_never_again() {
    let app = TestApp::start().await;
    let (status, address) = app
        .post("system_settings/1/new_webhook_secret/", json!({}))
        .await;
    assert_eq!(status, 200, "{address}");
    let url = address["url"].as_str().unwrap();
    let secret = url
        .strip_prefix("http://tatami.test/jira/webhook/")
        .unwrap();
    assert_eq!(secret.len(), 36);
    let stored = app.services.store.system_settings().await.unwrap();
    let encrypted = stored.jira_webhook_secret.unwrap();
    assert!(!encrypted.contains(secret));
    let chosen = json!({"jira_webhook_secret": "a secret of our own"});
    let (status, shown) = app.patch("system_settings/1/", chosen).await;
    assert_eq!((status.as_u16(), &shown["version"]), (200, &json!(2)));
    for path in [
        "system_settings/1/",
        "system_settings/1/versions/",
        "audit/?object=system+settings",
    ] {
        let text = get(&app, path).await.to_string();
        for hidden in [secret, &encrypted, "a secret of our own"] {
            assert!(!text.contains(hidden), "{path}: {text}");
        }
    }
    let short = json!({"jira_webhook_secret": "short"});
    assert_eq!(app.patch("system_settings/1/", short).await.0, 400);
    // an earlier version doesn't bring an earlier secret back
    let now = app.services.store.system_settings().await.unwrap();
    let name = json!({"team_name": "AppSec"});
    assert_eq!(app.patch("system_settings/1/", name).await.0, 200);
    let back = app
        .post("system_settings/1/versions/1/restore/", json!({}))
        .await;
    assert_eq!(back.0, 200);
    let after = app.services.store.system_settings().await.unwrap();
    assert_eq!(after.jira_webhook_secret, now.jira_webhook_secret);
    assert_eq!(after.team_name, stored.team_name);
}
