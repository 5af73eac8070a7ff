//! JIRA doesn't let us in, wants to be left alone, fails, or doesn't take what it's sent.

use axum::http::Method;
use jiff::SignedDuration;
use tatami_jira_connection::{Check, ConnectError, check, connect};
use tatami_tests::jira::Fault;

use super::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jira_that_lets_nobody_in_is_left_alone_until_it_does() {
    let world = World::new(5).await;
    let findings = world.findings().await;
    world.push(findings[0].id).await;
    world.settle().await;
    world.lab.go_back(2);
    world.jira.shut(true);
    world.jira.take_requests();
    for finding in &findings[1..3] {
        world.push(finding.id).await;
    }
    world.settle().await;
    assert_eq!(world.jira.take_requests().len(), 1, "it was asked once");
    world
        .change(findings[0].id, |finding| finding.tags = vec!["x".into()])
        .await;
    world.settle().await;
    let mapping = world.mapping(findings[0].id).await;
    assert!(
        mapping.error.unwrap().contains("credentials"),
        "it says why"
    );
    let state = world
        .lab
        .services
        .store
        .jira_state(world.instance)
        .await
        .unwrap();
    assert!(state.refused.is_some());
    let told = world.told().await;
    assert_eq!(
        told.iter().filter(|what| *what == "failed").count(),
        1,
        "{told:?}"
    );
    world.reconcile().await;
    assert_eq!(world.jira.take_requests().len(), 0, "not yet");
    // an hour later it is tried, with one request
    world.lab.go_back(1);
    world.reconcile().await;
    assert_eq!(world.jira.take_requests().len(), 1);
    world.jira.shut(false);
    world.lab.go_back(0);
    world.reconcile().await;
    assert_eq!(
        world.jira.issues().len(),
        3,
        "what was asked for meanwhile is done"
    );
    assert_eq!(world.mapping(findings[0].id).await.error, None);
    let state = world
        .lab
        .services
        .store
        .jira_state(world.instance)
        .await
        .unwrap();
    assert!(state.refused.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jira_that_asks_to_wait_is_waited_for() {
    let world = World::new(2).await;
    let findings = world.findings().await;
    let wait = vec![("retry-after", "600".to_owned())];
    world.lab.go_back(1);
    world
        .jira
        .fail(Method::POST, "/issue", Fault::Status(429, wait));
    world.push(findings[0].id).await;
    world.settle().await;
    world.jira.take_requests();
    world.push(findings[1].id).await;
    world.settle().await;
    assert!(
        world.jira.take_requests().is_empty(),
        "nothing is asked meanwhile"
    );
    assert!(world.jira.issues().is_empty());
    let store = &world.lab.services.store;
    assert_eq!(
        store.outbox(SignedDuration::ZERO).await.unwrap().len(),
        2,
        "it isn't done"
    );
    world.lab.go_back(0);
    world.reconcile().await;
    assert_eq!(world.jira.issues().len(), 2);
    assert!(store.outbox(SignedDuration::ZERO).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_jira_does_not_take_is_said_and_not_tried_for_ever() {
    let world = World::new(1).await;
    let finding = world.first().await;
    world
        .change(finding.id, |finding| {
            finding.title = "unspeakable".into();
            finding.jira.push = true;
        })
        .await;
    world.settle().await;
    let now = world.finding(finding.id).await;
    assert!(!now.jira.push && now.jira.issue.is_none());
    assert_eq!(world.told().await, ["failed"]);
    let store = &world.lab.services.store;
    assert!(store.outbox(SignedDuration::ZERO).await.unwrap().is_empty());
    world
        .change(finding.id, |finding| {
            finding.title = "speakable".into();
            finding.jira.push = true;
        })
        .await;
    world.settle().await;
    assert_eq!(world.jira.only().text("summary"), "speakable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_request_fails_it_is_done_in_the_end() {
    let places = [
        (Method::GET, "serverInfo"),
        (Method::POST, "search"),
        (Method::GET, "createmeta"),
        (Method::POST, "/issue"),
        (Method::PUT, "properties"),
        (Method::POST, "remotelink"),
        (Method::GET, "/issue/10"),
        (Method::GET, "comment"),
    ];
    for (method, path) in places {
        for status in [500, 502] {
            let world = World::new(1).await;
            let finding = world.first().await;
            world.lab.go_back(1);
            world
                .jira
                .fail(method.clone(), path, Fault::Status(status, vec![]));
            world.push(finding.id).await;
            world.settle().await;
            world.lab.go_back(0);
            let sweep = world.lab.services.sweep_outbox_after(SignedDuration::ZERO);
            sweep.await.unwrap();
            world.settle().await;
            let issue = world.jira.only();
            assert_eq!(
                world.mapping(finding.id).await.jira_id,
                issue.id.to_string()
            );
            assert_eq!(issue.links.len(), 1, "{method} {path}");
            assert_eq!(world.told().await, ["created"], "{method} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_tested_and_each_thing_that_is_wrong_is_named() {
    let world = World::new(1).await;
    let services = &world.lab.services;
    let instance: tatami_domain::JiraInstance = services.store.get(world.instance).await.unwrap();
    let connection = connect(services, &instance).await.unwrap();
    let said = |checks: Vec<Check>| -> Vec<(&str, bool)> {
        checks.iter().map(|one| (one.check, one.ok)).collect()
    };
    let good = check(&connection, Some("SEC"), Some("Bug"), &["High", "Low"]).await;
    let all = [
        ("authentication", true),
        ("priorities", true),
        ("project", true),
        ("issue_type", true),
        ("transitions", true),
    ];
    assert_eq!(said(good), all);
    let bad = check(&connection, Some("SEC"), Some("Riddle"), &["Urgent"]).await;
    let wrong: Vec<&str> = (bad.iter().filter(|one| !one.ok))
        .map(|one| one.check)
        .collect();
    assert_eq!(wrong, ["priorities", "issue_type"]);
    assert!(bad[1].message.contains("Urgent") && bad[1].message.contains("Highest"));
    let none = check(&connection, Some("NOWHERE"), None, &[]).await;
    assert_eq!(said(none).last(), Some(&("project", false)));
    world.jira.shut(true);
    let shut = check(&connection, Some("SEC"), Some("Bug"), &[]).await;
    assert_eq!(said(shut), [("authentication", false)]);
    // and the circuit, which that has opened, doesn't keep the next test from being made
    world.jira.shut(false);
    let again = check(&connection, Some("SEC"), Some("Bug"), &[]).await;
    assert!(again.iter().all(|one| one.ok), "{again:?}");
    let unset = tatami_domain::JiraInstance {
        password: None,
        ..instance
    };
    let error = connect(services, &unset).await.unwrap_err();
    assert!(matches!(error, ConnectError::NoPassword), "{error}");
}
