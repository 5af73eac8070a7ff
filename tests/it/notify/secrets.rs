//! Secrets are in no table, no message, no error and no log.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use super::receiver::{Answer, Receiver};
use super::stage::Stage;

/// What was logged.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

const SECRETS: [&str; 6] = [
    "xoxb-53cr3t",
    "si6n4ture",
    "t0ken-in-a-path",
    "h3ader-value",
    "5igning-secret",
    "pa55word",
];

// one thread, so that all of it logs here
#[tokio::test(flavor = "current_thread")]
async fn secrets_stay_where_they_belong() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_env_filter("info,tatami_notify=trace,tatami_mail=trace,tatami_outbound=trace")
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut stage = Stage::start().await;
    // other tests may have come by a line of the log first, and nobody listened to them
    tracing::callsite::rebuild_interest_cache();
    let there = Receiver::start().await;
    stage.lab.services.settings.slack_url = format!("{}/api/", there.url);
    let every = ["slack", "msteams", "webhooks", "mail"];
    stage.row(None, None, false, "scan_added", &every).await;
    stage.row(None, None, true, "scan_added", &[]).await;
    let [slack, path, teams, value, signing] = [
        stage.encrypted("SETTINGS.slack_token", SECRETS[0]),
        stage.encrypted(
            "SETTINGS.slack_token",
            &format!("{}/{}", "https://127.0.0.1:9", SECRETS[2]),
        ),
        stage.encrypted(
            "SETTINGS.msteams_url",
            &format!("{}/flow?sig={}", there.url, SECRETS[1]),
        ),
        stage.encrypted("NWEBHOOK.header_value", SECRETS[3]),
        stage.encrypted("NWEBHOOK.secret", SECRETS[4]),
    ];
    stage
        .settings(|s| {
            s.slack_token = Some(slack);
            s.slack_channel = "#security".into();
            s.msteams_url = Some(teams);
            s.mail_notifications_to = "ops@example.com".into();
        })
        .await;
    let url = format!("https://127.0.0.1:9/in?key={}", SECRETS[5]);
    for url in [&there.url, &url] {
        let webhook = stage.webhook("hook", url, None).await;
        let store = &stage.lab.services.store;
        let change = |webhook: &mut tatami_domain::NotificationWebhook| {
            webhook.header_name = Some("X-Auth".into());
            webhook.header_value = Some(value.clone());
            webhook.secret = Some(signing.clone());
            Ok::<_, tatami_store::StoreError>(())
        };
        store.change(webhook.id, change).await.unwrap();
    }
    // taken, failing, refused
    for status in [200, 500, 403] {
        there.will(vec![Answer::Status(status); 3]);
        stage.tell_scan().await;
        stage.wait(Duration::from_mins(10));
        stage.schedule().await;
    }
    stage.settings(|s| s.slack_token = Some(path)).await;
    stage.tell_scan().await;
    let all = stage.deliveries().await;
    assert!(all.len() > 15 && all.iter().any(|d| d.error.is_some()));
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("a message was sent"), "{logged}");
    let everything = stage.lab.everything().await;
    for secret in SECRETS {
        assert!(!logged.contains(secret), "{secret} is in the log");
        for (key, document) in &everything {
            // the address of a webhook is shown to those who may see it
            let own = key.starts_with("NWEBHOOK#") && secret == SECRETS[5];
            assert!(own || !document.contains(secret), "{secret} is in {key}");
        }
    }
}
