//! Orders for several things, and comments on events.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tatami_domain::{
    Event, EventKind, FindingId, JiraObject, JiraPush, JiraPushResult, OutboxWork,
};

use super::World;

async fn order(world: &World, objects: &[FindingId]) -> JiraPush {
    let store = &world.lab.services.store;
    let results = objects.iter().map(|id| JiraPushResult {
        object: JiraObject::Finding(*id),
        done: false,
        jira_key: None,
        error: None,
    });
    let order = JiraPush {
        id: tatami_domain::JiraPushId::default(),
        by: None,
        created: Timestamp::now(),
        finished: None,
        priority: Some("Lowest".into()),
        assignee: Some("ada".into()),
        comment: Some("{severity}: {title}, see {url}".into()),
        summary: None,
        results: results.collect(),
    };
    let order = store.create(order).await.unwrap();
    let work = vec![OutboxWork::JiraPush(order.id)];
    store.add_to_outbox(work).await.unwrap();
    world.lab.services.relay().await;
    order
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_done_for_each_thing_and_says_what_became_of_it() {
    let world = World::new(3).await;
    let findings = world.findings().await;
    world
        .change(findings[1].id, |finding| finding.flags.active = false)
        .await;
    world.push(findings[0].id).await;
    world.settle().await;
    let ids = [
        findings[0].id,
        findings[1].id,
        findings[2].id,
        FindingId(999_999),
    ];
    let order = order(&world, &ids).await;
    let messages = world.messages().await;
    for _ in 0..2 {
        for message in &messages {
            assert!(world.lab.deliver(message, 1).await);
        }
    }
    world.settle().await;
    let order: JiraPush = world.lab.services.store.get(order.id).await.unwrap();
    assert!(order.finished.is_some());
    assert!(order.results.iter().all(|result| result.done), "{order:#?}");
    let keys: Vec<bool> = order.results.iter().map(|r| r.jira_key.is_some()).collect();
    assert_eq!(keys, [true, false, true, false], "{order:#?}");
    let error = order.results[1].error.as_deref().unwrap();
    assert_eq!(error, "the finding is not active");
    let issues = world.jira.issues();
    assert_eq!(issues.len(), 2);
    for issue in issues {
        assert_eq!(issue.fields["priority"]["name"], "Lowest");
        assert_eq!(issue.fields["assignee"]["accountId"], "ada");
        assert_eq!(issue.comments.len(), 1, "{:?}", issue.comments);
        assert!(
            issue.comments[0]
                .1
                .contains("https://tatami.example/finding/")
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_epic_keeps_the_name_that_was_ordered() {
    let world = World::new(1).await;
    let store = &world.lab.services.store;
    let object = JiraObject::Engagement(world.test.engagement);
    let order = order(&world, &[]).await;
    let ordered = store.change(order.id, |order: &mut JiraPush| {
        order.summary = Some("The great clean-up".into());
        order.comment = None;
        order.results = vec![JiraPushResult {
            object,
            done: false,
            jira_key: None,
            error: None,
        }];
        Ok::<_, tatami_store::StoreError>(())
    });
    ordered.await.unwrap();
    world.settle().await;
    let work = OutboxWork::Jira {
        product: world.test.product,
        objects: vec![object],
    };
    store.add_to_outbox(vec![work]).await.unwrap();
    world.lab.services.relay().await;
    world.settle().await;
    let epic = world.jira.only();
    assert_eq!(epic.text("summary"), "The great clean-up");
    assert_eq!(epic.fields["issuetype"]["id"], "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn issues_of_findings_that_are_due_get_one_comment() {
    let world = World::new(2).await;
    let findings = world.findings().await;
    world.push(findings[0].id).await;
    world.settle().await;
    world
        .set(|project| project.product_jira_sla_notification = true)
        .await;
    let store = &world.lab.services.store;
    let part = |ids: &[FindingId]| {
        let findings: Vec<_> = (ids.iter())
            .map(|id| json!({"id": id, "severity": "Critical", "days_remaining": -2}))
            .collect();
        json!({"count": ids.len(), "severities": {}, "findings": findings})
    };
    let now = Timestamp::now();
    let event = Event {
        kind: EventKind::SlaDue,
        object: world.test.product.0,
        occasion: "today".into(),
        product: Some(world.test.product),
        time: now,
        data: json!({"product_name": "Shop", "due_soon": part(&[]), "due_today": part(&[]),
                     "breached": part(&[findings[0].id, findings[1].id])}),
        to: vec![],
    };
    assert!(store.tell(&event).await.unwrap());
    world.lab.services.relay().await;
    let messages = world.messages().await;
    assert_eq!(messages.len(), 1);
    for _ in 0..3 {
        world.lab.deliver(&messages[0], 1).await;
    }
    world.settle().await;
    let comments = world.jira.only().comments;
    assert_eq!(comments.len(), 1, "{comments:?}");
    assert!(comments[0].1.contains("was due 2 days ago"));
    assert!(store.outbox(SignedDuration::ZERO).await.unwrap().is_empty());
}
