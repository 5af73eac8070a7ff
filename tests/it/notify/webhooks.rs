//! Webhooks: signed, tried again, left alone, given up, and never led into internal networks.

use std::time::Duration;

use jiff::Timestamp;
use tatami_domain::{DeliveryState, NotificationWebhook, UserId};
use tatami_notifications::verify;
use tatami_outbound::{AllowList, Outbound};
use tatami_store::StoreError;

use super::receiver::{Answer, Receiver};
use super::stage::Stage;

/// A stage where one user's webhook is told of imports, and nobody else of anything.
async fn one_webhook(path: &str) -> (Stage, Receiver, NotificationWebhook, UserId) {
    let stage = Stage::start().await;
    stage.silence().await;
    let receiver = Receiver::start().await;
    let user = stage.user("ada").await;
    let mut row = tatami_domain::NotificationRow {
        user: Some(user),
        ..tatami_domain::NotificationRow::default()
    };
    row.topics
        .insert("scan_added".into(), vec!["webhooks".into()]);
    row.topics.insert("other".into(), vec!["alert".into()]);
    stage.lab.services.store.create(row).await.unwrap();
    let url = format!("{}{path}", receiver.url);
    let webhook = stage.webhook("chat bridge", &url, Some(user)).await;
    (stage, receiver, webhook, user)
}

async fn change(
    stage: &Stage,
    webhook: &NotificationWebhook,
    change: impl Fn(&mut NotificationWebhook),
) {
    let store = &stage.lab.services.store;
    let changed = store.change(webhook.id, |webhook: &mut NotificationWebhook| {
        change(webhook);
        Ok::<_, StoreError>(())
    });
    changed.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_signed_and_has_its_header() {
    let (stage, receiver, webhook, _) = one_webhook("/in").await;
    let secret = stage.encrypted("NWEBHOOK.secret", "s3cr3t");
    let value = stage.encrypted("NWEBHOOK.header_value", "v4lue");
    change(&stage, &webhook, |webhook| {
        webhook.secret = Some(secret.clone());
        webhook.header_name = Some("X-Auth".into());
        webhook.header_value = Some(value.clone());
    })
    .await;
    stage.tell_scan().await;
    let [request] = &receiver.take()[..] else {
        panic!("one message")
    };
    assert_eq!(request.path, "/in");
    assert_eq!(request.header("x-auth"), "v4lue");
    assert_eq!(request.header("x-tatami-event"), "scan_added");
    assert_eq!(request.header("content-type"), "application/json");
    let at: i64 = request.header("x-tatami-timestamp").parse().unwrap();
    let at = Timestamp::from_second(at).unwrap();
    let header = request.header("x-tatami-signature");
    let signed = verify(b"s3cr3t", header, at, &request.bytes, Timestamp::now(), 60);
    assert_eq!(signed, Ok(()));
    let body = request.json();
    assert_eq!(body["id"], request.header("x-tatami-delivery"));
    assert_eq!(body["event"], "scan_added");
    assert_eq!(body["product"]["name"], "Shop");
    assert_eq!(body["data"]["new"], 1);
    assert_eq!(stage.last().await.state, DeliveryState::Sent);
    stage.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_is_tried_again_with_the_same_id() {
    let (stage, receiver, webhook, _) = one_webhook("/in").await;
    receiver.will([Answer::Status(500)]);
    stage.tell_scan().await;
    let failed = stage.last().await;
    assert_eq!((failed.state, failed.tries), (DeliveryState::Waiting, 1));
    let error = failed.error.unwrap();
    assert_eq!(error, "the webhook chat bridge answered 500");
    let now = stage.webhook_now(&webhook).await;
    assert_eq!(now.status, "active_tmp");
    assert_eq!(now.note, Some(error));
    assert!(now.first_error.is_some() && now.first_error == now.last_error);
    // not before its time
    stage.schedule().await;
    assert_eq!(receiver.take().len(), 1);
    stage.wait(Duration::from_secs(20));
    stage.schedule().await;
    let sent = stage.last().await;
    assert_eq!(
        (sent.state, sent.tries, sent.error),
        (DeliveryState::Sent, 2, None)
    );
    let again = receiver.take();
    assert_eq!(again.len(), 1);
    assert!(sent.key.starts_with(again[0].header("x-tatami-delivery")));
    let now = stage.webhook_now(&webhook).await;
    assert_eq!((now.status.as_str(), now.note), ("active", None));
    stage.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_fails_again_is_left_alone_for_a_minute() {
    let (stage, receiver, webhook, _) = one_webhook("/in").await;
    receiver.will([Answer::Status(503), Answer::Status(503)]);
    stage.tell_scan().await;
    stage.tell_scan().await;
    assert_eq!(stage.webhook_now(&webhook).await.status, "inactive_tmp");
    assert_eq!(receiver.take().len(), 2);
    // a third message waits, and that counts as no try
    stage.tell_scan().await;
    stage.wait(Duration::from_secs(50));
    stage.schedule().await;
    assert_eq!(receiver.take().len(), 0);
    let third = stage.last().await;
    assert_eq!((third.state, third.tries), (DeliveryState::Waiting, 0));
    stage.wait(Duration::from_secs(15));
    stage.schedule().await;
    assert_eq!(receiver.take().len(), 3);
    let states: Vec<DeliveryState> = stage.deliveries().await.iter().map(|d| d.state).collect();
    assert_eq!(states, [DeliveryState::Sent; 3]);
    stage.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_webhook_is_waited_for_as_long_as_the_setting_says() {
    let (stage, receiver, _, _) = one_webhook("/in").await;
    stage
        .settings(|s| s.webhooks_notifications_timeout = 1)
        .await;
    receiver.will([Answer::Late(20)]);
    stage.tell_scan().await;
    let (how, error) = stage.end().await;
    assert_eq!(how, DeliveryState::Waiting);
    assert_eq!(error, "127.0.0.1 took too long");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_for_good_is_dead_and_its_owner_is_told_once() {
    for (answer, reason) in [
        (Answer::Status(410), "it answered 410"),
        (Answer::Status(404), "answered 404"),
        (Answer::Redirect("/elsewhere"), "redirects are not followed"),
    ] {
        let (stage, receiver, webhook, user) = one_webhook("/in").await;
        receiver.will([answer]);
        stage.tell_scan().await;
        let deliveries = stage.deliveries().await;
        let dead = &deliveries[0];
        assert_eq!(dead.state, DeliveryState::Dead);
        let error = dead.error.clone().unwrap();
        assert!(error.contains(reason), "{error}");
        let requests = receiver.take();
        assert!(requests.iter().all(|request| request.path == "/in"));
        assert_eq!(requests.len(), 1);
        assert_eq!(
            stage.webhook_now(&webhook).await.status,
            "inactive_permanent"
        );
        // what comes then isn't sent, and can be later
        stage.tell_scan().await;
        assert_eq!(receiver.take().len(), 0);
        let (how, error) = stage.end().await;
        assert_eq!(how, DeliveryState::Skipped);
        assert_eq!(error, "the webhook chat bridge is inactive: reactivate it");
        let alerts = stage.lab.services.store.alerts(user).await.unwrap();
        assert_eq!(alerts.len(), 1, "{alerts:?}");
        assert_eq!(
            alerts[0].title,
            "The webhook chat bridge is sent nothing any more"
        );
        stage.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_day_of_failures_a_webhook_is_given_up_and_after_nine_tries_a_message() {
    let (stage, receiver, webhook, _) = one_webhook("/in").await;
    receiver.will(vec![Answer::Status(500); 100]);
    stage.tell_scan().await;
    let mut tries = vec![];
    for _ in 0..12 {
        stage.wait(Duration::from_hours(8));
        stage.schedule().await;
        tries.push(stage.deliveries().await[0].tries);
    }
    let first = &stage.deliveries().await[0];
    // three days: the webhook was given up before the message was
    assert_eq!(first.state, DeliveryState::Skipped, "{tries:?}");
    assert_eq!(
        stage.webhook_now(&webhook).await.status,
        "inactive_permanent"
    );
    // a message alone has nine tries
    change(&stage, &webhook, |webhook| {
        webhook.status = "active".into();
        (webhook.first_error, webhook.last_error) = (None, None);
    })
    .await;
    stage.tell_scan().await;
    for _ in 0..12 {
        change(&stage, &webhook, |webhook| {
            webhook.status = "active".into();
            (webhook.first_error, webhook.last_error) = (None, None);
        })
        .await;
        stage.wait(Duration::from_hours(8));
        stage.schedule().await;
    }
    let deliveries = stage.deliveries().await;
    let mut scans = deliveries.iter().filter(|d| d.topic == "scan_added");
    let last = scans.next_back().unwrap();
    assert_eq!((last.state, last.tries), (DeliveryState::Dead, 9));
    let error = last.error.as_deref().unwrap();
    assert!(error.ends_with("(given up after 9 tries)"), "{error}");
    // sent again by hand, as the API does it
    let store = &stage.lab.services.store;
    let again = tatami_domain::Delivery {
        state: DeliveryState::Waiting,
        tries: 0,
        next_try: Some(stage.now()),
        error: None,
        ..last.clone()
    };
    assert!(
        store
            .put_delivery(&again, 9, DeliveryState::Dead)
            .await
            .unwrap()
    );
    let well = Receiver::start().await;
    change(&stage, &webhook, |webhook| {
        webhook.url.clone_from(&well.url);
    })
    .await;
    stage.schedule().await;
    let sent = store.delivery(last.id).await.unwrap();
    assert_eq!((sent.state, sent.tries), (DeliveryState::Sent, 1));
    assert_eq!(well.take().len(), 1);
    stage.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_webhook_leads_into_internal_networks() {
    let (mut stage, receiver, webhook, _) = one_webhook("/in").await;
    stage.lab.services.outbound = Outbound::new(AllowList::default());
    let port = receiver.url.rsplit(':').next().unwrap().to_owned();
    for (url, reason) in [
        (
            "https://169.254.169.254/latest/meta-data/".to_owned(),
            "169.254.169.254",
        ),
        (
            "https://10.0.0.1/in".to_owned(),
            "isn't on the public network",
        ),
        ("https://[::1]/in".to_owned(), "isn't on the public network"),
        (
            "https://metadata.google.internal/".to_owned(),
            "metadata service",
        ),
        (
            format!("http://localhost:{port}/in"),
            "isn't on the public network",
        ),
        (
            format!("http://2130706433:{port}/in"),
            "isn't on the public network",
        ),
        ("http://example.com/in".to_owned(), "only called by https"),
        ("ftp://example.com/in".to_owned(), "neither https nor http"),
    ] {
        change(&stage, &webhook, |webhook| {
            webhook.url.clone_from(&url);
            webhook.status = "active".into();
        })
        .await;
        let scan = stage.scan();
        stage.tell(&scan).await;
        stage.settle().await;
        let deliveries = stage.deliveries().await;
        let mut scans = deliveries.iter().filter(|d| d.topic == "scan_added");
        let last = scans.next_back().unwrap();
        assert_eq!(last.state, DeliveryState::Dead, "{url}");
        let error = last.error.as_deref().unwrap();
        assert!(error.contains(reason), "{url}: {error}");
    }
    assert_eq!(receiver.take().len(), 0);
}
