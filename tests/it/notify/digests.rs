//! Digests: what is collected comes as one mail, at its time, once.

use std::time::Duration;

use tatami_domain::{ContactInfo, DeliveryState, UserId};
use tatami_tests::Death;

use super::stage::Stage;

const DAY: Duration = Duration::from_hours(24);

/// A user with a daily digest, who wants mails of imports.
async fn collector(stage: &Stage, name: &str) -> UserId {
    let user = stage.user(name).await;
    stage
        .wants(Some(user), "scan_added", &["mail", "alert"])
        .await;
    let contact = ContactInfo {
        user,
        key: user.to_string(),
        digest: Some("daily".into()),
        digest_hour: Some(7),
        time_zone: Some("Asia/Tokyo".into()),
        ..ContactInfo::default()
    };
    stage.lab.services.store.create(contact).await.unwrap();
    user
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_collected_comes_as_one_mail_once_a_day() {
    let stage = Stage::start().await;
    stage.silence().await;
    let ada = collector(&stage, "ada").await;
    for _ in 0..3 {
        stage.tell_scan().await;
    }
    // alerts don't wait
    assert_eq!(stage.lab.services.store.alerts(ada).await.unwrap().len(), 3);
    stage.schedule().await;
    assert_eq!(stage.mails(), Vec::<String>::new());
    let waiting = stage.deliveries().await;
    let waiting = waiting.iter().filter(|d| d.channel == "mail");
    assert!(waiting.clone().all(|d| d.state == DeliveryState::Collected));
    assert_eq!(waiting.count(), 3);
    stage.wait(DAY);
    stage.schedule().await;
    stage.schedule().await;
    let mails = stage.mails();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].contains("To: ada@example.com"));
    assert!(
        mails[0].contains("Your day in Tatami: 3 notifications"),
        "{}",
        mails[0]
    );
    let all = stage.deliveries().await;
    assert!(
        all.iter().all(|d| d.state == DeliveryState::Sent),
        "{all:?}"
    );
    assert_eq!(all.len(), 3 + 3 + 1);
    // the next day has its own
    stage.tell_scan().await;
    stage.schedule().await;
    assert_eq!(stage.mails().len(), 1);
    stage.wait(DAY);
    stage.schedule().await;
    assert_eq!(stage.mails().len(), 2);
    stage.wait(DAY);
    stage.schedule().await;
    assert_eq!(stage.mails().len(), 2);
    stage.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_digest_tells_nothing_of_what_may_not_be_seen_any_more() {
    let stage = Stage::start().await;
    stage.silence().await;
    let ada = collector(&stage, "ada").await;
    stage.tell_scan().await;
    let store = &stage.lab.services.store;
    let members: Vec<tatami_domain::Membership> = store.list().await.unwrap();
    let own = members.iter().find(|m| m.user == Some(ada)).unwrap();
    store
        .delete::<tatami_domain::Membership>(own.id)
        .await
        .unwrap();
    stage.wait(DAY);
    stage.schedule().await;
    stage.wait(DAY);
    stage.schedule().await;
    assert_eq!(stage.mails(), Vec::<String>::new());
    let all = stage.deliveries().await;
    let mail = all.iter().find(|d| d.channel == "mail").unwrap();
    assert_eq!(mail.state, DeliveryState::Skipped);
    stage.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_digest_that_is_cut_off_anywhere_is_sent_once() {
    let stage = Stage::start().await;
    stage.silence().await;
    collector(&stage, "ada").await;
    let mut days = 0;
    for death in [Death::Before, Death::After] {
        for nth in 0.. {
            for _ in 0..2 {
                stage.tell_scan().await;
            }
            stage.wait(DAY);
            stage.lab.wire.die_at(nth, death);
            stage.run_schedule().await;
            let died = stage.lab.wire.live().is_some();
            stage.settle().await;
            // more comes while it's only half done
            stage.tell_scan().await;
            stage.wait(Duration::from_mins(10));
            stage.schedule().await;
            stage.wait(DAY);
            stage.schedule().await;
            stage.wait(DAY);
            stage.schedule().await;
            days += 1;
            let all = stage.deliveries().await;
            assert!(
                all.iter().all(|d| d.state == DeliveryState::Sent),
                "{nth} {death:?}"
            );
            let mut collected = Vec::new();
            for digest in all.iter().filter(|d| d.message.get("digest").is_some()) {
                let ids = digest.message["digest"]["deliveries"].as_array().unwrap();
                collected.extend(ids.iter().map(|id| id.as_u64().unwrap()));
            }
            collected.sort_unstable();
            let single = all
                .iter()
                .filter(|d| d.channel == "mail" && d.event.is_some());
            let single: Vec<u64> = single.map(|d| d.id.0).collect();
            assert_eq!(collected, single, "each in one digest: {nth} {death:?}");
            assert_eq!(single.len(), 3 * days);
            stage.assert_quiet().await;
            if !died {
                assert!(nth > 5, "it has so many writes at least");
                break;
            }
        }
    }
}
