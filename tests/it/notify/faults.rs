//! Functions die, messages come twice, late and in any order: every event reaches every alert once, and everything
//! else at least once and with the same id.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use tatami_domain::{DeliveryState, UserId};
use tatami_tests::{Death, Message, Queue, seed};

use super::receiver::{Answer, Receiver};
use super::stage::Stage;

/// Three users with alerts and mails, one of whom has a webhook, and one webhook of the system.
async fn crowd() -> (Stage, Receiver, Vec<UserId>) {
    let stage = Stage::start().await;
    stage.row(None, None, true, "scan_added", &[]).await;
    stage
        .row(None, None, false, "scan_added", &["webhooks"])
        .await;
    let mut users = Vec::new();
    for name in ["ada", "bob", "eve"] {
        let user = stage.user(name).await;
        stage
            .wants(Some(user), "scan_added", &["alert", "mail", "webhooks"])
            .await;
        users.push(user);
    }
    let receiver = Receiver::start().await;
    stage.webhook("ada's", &receiver.url, Some(users[0])).await;
    stage.webhook("the system's", &receiver.url, None).await;
    (stage, receiver, users)
}

/// Lets all that failed or was lost be made up for.
async fn mend(stage: &Stage, mut failed: Vec<Message>) {
    for _ in 0..6 {
        loop {
            failed.extend(stage.queued().await);
            if failed.is_empty() {
                break;
            }
            for message in std::mem::take(&mut failed) {
                assert!(stage.lab.deliver(&message, 2).await, "{}", message.body);
            }
        }
        stage.wait(Duration::from_mins(20));
        assert!(stage.run_schedule().await);
    }
    stage.settle().await;
}

/// What came of so many events.
async fn check(
    stage: &Stage,
    users: &[UserId],
    events: usize,
    requests: &[super::receiver::Request],
) {
    let deliveries = stage.deliveries().await;
    assert_eq!(deliveries.len(), events * (3 + 3 + 2));
    for delivery in &deliveries {
        assert_eq!(delivery.state, DeliveryState::Sent, "{delivery:?}");
    }
    for user in users {
        let alerts = stage.lab.services.store.alerts(*user).await.unwrap();
        assert_eq!(alerts.len(), events, "alerts of {user}");
    }
    assert_eq!(stage.mails().len(), events * 3);
    let mut ids: BTreeMap<&str, usize> = BTreeMap::new();
    for request in requests {
        *ids.entry(request.header("x-tatami-delivery")).or_default() += 1;
    }
    assert_eq!(ids.len(), events);
    assert!(
        ids.values().all(|times| *times >= 2),
        "to two webhooks each: {ids:?}"
    );
    stage.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_dies_at_any_write_loses_nothing() {
    let (stage, receiver, users) = crowd().await;
    let mut requests = Vec::new();
    let mut events = 0;
    for death in [Death::Before, Death::After] {
        for nth in 0.. {
            let scan = stage.scan();
            stage.tell(&scan).await;
            events += 1;
            stage.lab.wire.die_at(nth, death);
            let mut failed = Vec::new();
            loop {
                let messages = stage.queued().await;
                if messages.is_empty() {
                    break;
                }
                for message in messages {
                    if !stage.lab.deliver(&message, 1).await {
                        failed.push(message);
                    }
                }
            }
            let died = stage.lab.wire.live().is_some();
            mend(&stage, failed).await;
            requests.extend(receiver.take());
            if !died {
                assert!(nth > 20, "it has so many writes at least");
                break;
            }
        }
    }
    check(&stage, &users, events, &requests).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_come_often_late_and_in_any_order() {
    let (stage, receiver, users) = crowd().await;
    let mut requests = Vec::new();
    let mut events = 0;
    for seed in seed::seeds(10) {
        let mut rng = StdRng::seed_from_u64(seed);
        for _ in 0..rng.random_range(1..=3) {
            let scan = stage.scan();
            stage.tell(&scan).await;
            events += 1;
        }
        let answers = (0..4).map(|_| {
            let status = if rng.random_bool(0.2) { 503 } else { 200 };
            Answer::Status(status)
        });
        let answers: Vec<Answer> = answers.collect();
        receiver.will(answers);
        let mut pool: Vec<Message> = Vec::new();
        let mut late = Vec::new();
        loop {
            for message in stage.queued().await {
                for _ in 0..rng.random_range(0..3) {
                    late.push(message.clone());
                }
                pool.push(message);
            }
            pool.shuffle(&mut rng);
            let Some(message) = pool.pop() else {
                if late.is_empty() {
                    break;
                }
                pool.append(&mut late);
                continue;
            };
            assert!(stage.lab.deliver(&message, 1).await);
        }
        mend(&stage, Vec::new()).await;
        requests.extend(receiver.take());
    }
    check(&stage, &users, events, &requests).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_at_once_send_a_message_once() {
    let (stage, receiver, users) = crowd().await;
    let scan = stage.scan();
    stage.tell(&scan).await;
    loop {
        let messages = stage.queued().await;
        if messages.is_empty() {
            break;
        }
        for message in &messages {
            let lab = &stage.lab;
            let done = tokio::join!(lab.deliver(message, 1), lab.deliver(message, 1));
            assert_eq!(done, (true, true));
        }
    }
    let requests = receiver.take();
    assert_eq!(requests.len(), 2);
    // whoever came second may have left a word that there is something to do
    stage.wait(Duration::from_mins(5));
    stage.schedule().await;
    check(&stage, &users, 1, &requests).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_message_is_found_by_the_schedule() {
    let (stage, receiver, users) = crowd().await;
    let scan = stage.scan();
    stage.tell(&scan).await;
    drop(stage.queued().await);
    stage.wait(Duration::from_mins(16));
    assert!(stage.run_schedule().await);
    // the deliveries are made, and their messages are lost
    for message in stage.queued().await {
        assert!(stage.lab.deliver(&message, 1).await);
    }
    drop(stage.queued().await);
    stage.wait(Duration::from_mins(3));
    stage.schedule().await;
    check(&stage, &users, 1, &receiver.take()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_users_are_told_in_few_calls() {
    const USERS: usize = 1_000;
    let stage = Stage::start().await;
    stage.row(None, None, false, "other", &[]).await;
    let role = stage
        .lab
        .services
        .store
        .find::<tatami_domain::Role>("Admin")
        .await;
    let role = role.unwrap().unwrap().id;
    let group = tatami_domain::Group {
        name: "all".into(),
        ..tatami_domain::Group::default()
    };
    let group = stage.lab.services.store.create(group).await.unwrap().id;
    for n in 0..USERS {
        let user = stage.somebody(&format!("user{n}")).await;
        let member = tatami_domain::GroupMember {
            group,
            user,
            role,
            key: format!("{group}-{user}"),
            ..tatami_domain::GroupMember::default()
        };
        stage.lab.services.store.create(member).await.unwrap();
    }
    let member = tatami_domain::Membership {
        group: Some(group),
        role,
        key: format!("g{group}"),
        ..tatami_domain::Membership::default()
    };
    stage.lab.services.store.create(member).await.unwrap();
    let scan = stage.scan();
    stage.tell(&scan).await;
    let [work] = &stage.lab.take(Queue::Notify).await[..] else {
        panic!("one message")
    };
    stage.lab.wire.take_calls();
    assert!(stage.lab.deliver(work, 1).await);
    let calls = stage.lab.wire.take_calls();
    let all: u64 = calls.values().sum();
    assert!(all < 300, "{calls:?}");
    // a second time there is nothing left to do
    assert!(stage.lab.deliver(work, 2).await);
    let again: u64 = stage.lab.wire.take_calls().values().sum();
    assert_eq!(again, 1);
    // all, and the admin
    assert_eq!(stage.deliveries().await.len(), USERS + 1);
    assert_eq!(stage.lab.take(Queue::Notify).await.len(), USERS + 1);
}
