//! Mail by a real SMTP server, Slack and Teams by servers that answer as theirs do, templates, what is missing.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tatami_domain::{ContactInfo, DeliveryState, NotificationTemplate};
use tatami_mail::{Mailer, SmtpSettings};
use tatami_test_python::{Server, python, script};

use super::receiver::{Answer, Receiver};
use super::stage::Stage;

fn smtp(options: &[&str]) -> Option<(Server, Mailer)> {
    let mut command = Command::new(python()?);
    let server = Server::start(command.arg(script("smtp_server.py")).args(options)).unwrap();
    let url = format!("smtp+plain://localhost:{}", server.port());
    let from = "Tatami <tatami@example.com>".parse().unwrap();
    let mailer = Mailer::smtp(SmtpSettings::from_url(&url, from).unwrap()).unwrap();
    Some((server, mailer))
}

fn mail(server: &Server) -> Value {
    let line = server.next_line(Duration::from_secs(20)).unwrap();
    serde_json::from_str(&line).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_arrives_by_smtp_once_the_server_takes_it() {
    let Some((server, mailer)) = smtp(&["--busy", "1", "--refuse", "nobody@example.com"]) else {
        return;
    };
    let mut stage = Stage::start().await;
    stage.lab.services.mailer = mailer;
    stage.silence().await;
    stage.settings(|s| s.team_name = "Security".into()).await;
    let ada = stage.user("ada").await;
    stage.wants(Some(ada), "scan_added", &["mail"]).await;
    stage.tell_scan().await;
    let first = stage.last().await;
    assert_eq!((first.state, first.tries), (DeliveryState::Waiting, 1));
    stage.wait(Duration::from_secs(20));
    stage.schedule().await;
    assert_eq!(stage.last().await.state, DeliveryState::Sent);
    let mail = mail(&server);
    assert_eq!(mail["recipients"], serde_json::json!(["ada@example.com"]));
    let data = mail["data"].as_str().unwrap();
    assert!(data.contains("Subject: [Security] "), "{data}");
    assert!(data.contains(&format!("Message-ID: <{}@example.com>", first.key)));
    assert!(data.contains(&format!("X-Tatami-Delivery: {}", first.key)));
    assert!(data.contains("X-Tatami-Event: scan_added"));
    // a mailbox that isn't there is no reason to try again
    let nobody = stage.user("nobody").await;
    stage.wants(Some(nobody), "test_added", &["mail"]).await;
    let data = tatami_domain::EventData::TestAdded(tatami_domain::TestAdded::default());
    let event = tatami_domain::Event::new(&data, 1_u64, "1", Some(stage.product), stage.now());
    stage.tell(&event).await;
    stage.settle().await;
    let (how, error) = stage.end().await;
    assert_eq!(how, DeliveryState::Dead);
    assert!(error.contains("no such user here"), "{error}");
    stage.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slack_takes_messages_of_a_bot_and_of_an_incoming_webhook() {
    let mut stage = Stage::start().await;
    let slack = Receiver::start().await;
    stage.lab.services.settings.slack_url = format!("{}/api/", slack.url);
    stage.row(None, None, false, "scan_added", &["slack"]).await;
    stage.row(None, None, true, "scan_added", &[]).await;
    let ada = stage.user("ada").await;
    let token = stage.encrypted("SETTINGS.slack_token", "xoxb-1-2");
    stage
        .settings(|s| {
            s.slack_token = Some(token);
            s.slack_channel = "#security".into();
        })
        .await;
    // the system's channel, and the admin, who has no id in Slack
    slack.will([Answer::Body(200, r#"{"ok":false,"error":"ratelimited"}"#)]);
    stage.tell_scan().await;
    let deliveries = stage.deliveries().await;
    let of = |receiver: &tatami_domain::Receiver| {
        deliveries.iter().find(|d| d.receiver == *receiver).unwrap()
    };
    let system = of(&tatami_domain::Receiver::System);
    assert_eq!(system.state, DeliveryState::Waiting);
    assert_eq!(system.error.as_deref(), Some("Slack answered ratelimited"));
    let others: Vec<_> = deliveries.iter().filter(|d| d.id != system.id).collect();
    assert_eq!(others.len(), 1);
    assert_eq!(others[0].state, DeliveryState::Skipped);
    let error = others[0].error.as_deref();
    assert_eq!(error, Some("the user's contact info has no slack_user_id"));
    let request = &slack.take()[0];
    assert_eq!(request.path, "/api/chat.postMessage");
    assert_eq!(request.header("authorization"), "Bearer xoxb-1-2");
    assert_eq!(request.json()["channel"], "#security");
    slack.will([Answer::Body(200, r#"{"ok":true}"#)]);
    stage.wait(Duration::from_secs(20));
    stage.schedule().await;
    let sent = stage.lab.services.store.delivery(system.id).await.unwrap();
    assert_eq!(sent.state, DeliveryState::Sent);
    slack.take();
    // a user, by their id
    let contact = ContactInfo {
        user: ada,
        key: ada.to_string(),
        slack_user_id: Some("U07".into()),
        ..ContactInfo::default()
    };
    stage.lab.services.store.create(contact).await.unwrap();
    stage.wants(Some(ada), "scan_added", &["slack"]).await;
    slack.will(vec![
        Answer::Body(
            200,
            r#"{"ok":false,"error":"invalid_auth"}"#
        );
        2
    ]);
    stage.tell_scan().await;
    let mut channels: Vec<Value> = (slack.take().iter())
        .map(|request| request.json()["channel"].clone())
        .collect();
    channels.sort_by_key(Value::to_string);
    assert_eq!(channels, ["#security", "U07"]);
    let dead = stage.deliveries().await;
    let dead = dead.iter().filter(|d| d.state == DeliveryState::Dead);
    let dead: Vec<&str> = dead.map(|d| d.error.as_deref().unwrap()).collect();
    assert_eq!(dead, ["Slack answered invalid_auth"; 2]);
    stage.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn teams_takes_messages_of_the_system() {
    let stage = Stage::start().await;
    let teams = Receiver::start().await;
    stage
        .row(None, None, false, "scan_added", &["msteams"])
        .await;
    stage.row(None, None, true, "scan_added", &[]).await;
    // nobody has set an address: nothing is said of it
    stage.tell_scan().await;
    assert_eq!(stage.deliveries().await, []);
    let url = stage.encrypted(
        "SETTINGS.msteams_url",
        &format!("{}/flow?sig=5ig", teams.url),
    );
    stage.settings(|s| s.msteams_url = Some(url)).await;
    teams.will([
        Answer::Status(429),
        Answer::Status(202),
        Answer::Status(403),
    ]);
    stage.tell_scan().await;
    assert_eq!(stage.end().await.0, DeliveryState::Waiting);
    stage.wait(Duration::from_secs(20));
    stage.schedule().await;
    assert_eq!(stage.end().await.0, DeliveryState::Sent);
    let requests = teams.take();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].json()["type"], "message");
    stage.tell_scan().await;
    let dead = (DeliveryState::Dead, "Teams answered 403".to_owned());
    assert_eq!(stage.end().await, dead);
    stage
        .settings(|s| s.enable_msteams_notifications = false)
        .await;
    let before = stage.deliveries().await.len();
    stage.tell_scan().await;
    assert_eq!(stage.deliveries().await.len(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_there_is_no_way_for_is_skipped_and_says_why() {
    let mut stage = Stage::start().await;
    stage.silence().await;
    let store = stage.lab.services.store.clone();
    let ada = stage.user("ada").await;
    stage.wants(Some(ada), "scan_added", &["mail"]).await;
    let no_address = |user: &mut tatami_domain::User| {
        user.email = String::new();
        Ok::<_, tatami_store::StoreError>(())
    };
    store.change(ada, no_address).await.unwrap();
    stage.tell_scan().await;
    let skipped = |reason: &str| (DeliveryState::Skipped, reason.to_owned());
    assert_eq!(stage.end().await, skipped("the user has no mail address"));
    stage.lab.services.mailer = Mailer::off();
    stage.tell_scan().await;
    let reason = "no mails are sent: set TATAMI_SMTP_URL or TATAMI_MAIL_FROM";
    assert_eq!(stage.end().await, skipped(reason));
    stage.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn templates_of_operators_count_and_broken_ones_lose_nothing() {
    let stage = Stage::start().await;
    stage.silence().await;
    let store = &stage.lab.services.store;
    let ada = stage.user("ada").await;
    stage
        .wants(Some(ada), "scan_added", &["alert", "mail"])
        .await;
    for (channel, body) in [
        ("alert", "Look at {{ title }}"),
        ("mail", "{{ nothing.at.all }}"),
    ] {
        let template = NotificationTemplate {
            topic: "scan_added".into(),
            channel: channel.into(),
            subject: Some("Import!".into()),
            body: body.into(),
            ..NotificationTemplate::default()
        };
        store.create(template).await.unwrap();
    }
    stage.tell_scan().await;
    let alerts = store.alerts(ada).await.unwrap();
    assert_eq!(alerts[0].title, "Import!");
    assert!(alerts[0].description.starts_with("Look at "), "{alerts:?}");
    let mails = stage.mails();
    assert_eq!(mails.len(), 1);
    assert!(!mails[0].contains("Import!"), "{}", mails[0]);
    stage.assert_quiet().await;
}
