//! What no webhook told of.

use jiff::SignedDuration;
use tatami_domain::JiraObject;

use super::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_webhooks_missed_is_found() {
    let world = World::new(3).await;
    let findings = world.findings().await;
    for finding in &findings {
        world.push(finding.id).await;
    }
    world.settle().await;
    world.reconcile().await;
    let issues = world.jira.issues();
    world.jira.take_requests();
    world.reconcile().await;
    let requests = world.jira.take_requests();
    assert_eq!(requests.len(), 1, "nothing has changed: {requests:?}");
    world.jira.go(issues[0].id, "Done", None);
    world.jira.comment(issues[1].id, "ada", "hello");
    world.reconcile().await;
    let of = |id: u64| {
        let mappings = world.mappings();
        async move {
            let found = mappings
                .await
                .into_iter()
                .find(|m| m.jira_id == id.to_string());
            match found.unwrap().object {
                JiraObject::Finding(finding) => finding,
                other => panic!("{other:?}"),
            }
        }
    };
    let closed = of(issues[0].id).await;
    assert!(world.finding(closed).await.flags.is_mitigated);
    let commented = of(issues[1].id).await;
    assert_eq!(world.notes(commented).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_a_day_deleted_issues_and_findings_without_one_are_found() {
    let world = World::new(2).await;
    let findings = world.findings().await;
    world.lab.go_back(3);
    for finding in &findings {
        world.push(finding.id).await;
    }
    world.settle().await;
    world.reconcile().await;
    let gone = world.jira.issues()[0].id;
    world.jira.delete(gone);
    world.reconcile().await;
    assert_eq!(
        world.mappings().await.len(),
        2,
        "not before the day is over"
    );
    world.lab.go_back(1);
    world.reconcile().await;
    assert_eq!(world.mappings().await.len(), 1);
    world.set(|project| project.push_all_issues = true).await;
    world.lab.go_back(0);
    // the day isn't over by an hour more
    world
        .lab
        .services
        .store
        .change_jira_state(world.instance, |state| {
            state.swept = state.swept.map(|at| at - SignedDuration::from_hours(2));
        })
        .await
        .unwrap();
    world.reconcile().await;
    assert_eq!(world.jira.issues().len(), 2);
    assert_eq!(world.mappings().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_was_never_sent_is_done() {
    let world = World::new(1).await;
    let finding = world.first().await;
    world.lab.go_back(1);
    world.push(finding.id).await;
    // the message is lost
    assert_eq!(world.messages().await.len(), 1);
    world.lab.go_back(0);
    world.reconcile().await;
    world.jira.only();
    assert!(world.finding(finding.id).await.jira.issue.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_that_is_gone_keeps_no_other() {
    let world = World::new(1).await;
    let finding = world.first().await;
    world.push(finding.id).await;
    world.settle().await;
    let other = tatami_domain::JiraProject {
        engagement: Some(world.test.engagement),
        project_key: Some("GONE".into()),
        enabled: false,
        ..world.project.clone()
    };
    world.lab.services.store.create(other).await.unwrap();
    world.reconcile().await;
    world.jira.go(world.jira.only().id, "Done", None);
    world.reconcile().await;
    let state = world
        .lab
        .services
        .store
        .jira_state(world.instance)
        .await
        .unwrap();
    assert!(state.reconciled.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_finding_that_took_another_s_place_takes_its_issue() {
    let world = World::new(2).await;
    let findings = world.findings().await;
    world.push(findings[0].id).await;
    world.settle().await;
    let mapping = world.mapping(findings[0].id).await;
    let store = &world.lab.services.store;
    let gone = tatami_domain::FindingId(999_999);
    store
        .change(mapping.id, |issue: &mut tatami_domain::JiraIssue| {
            issue.object = JiraObject::Finding(gone);
            Ok::<_, tatami_store::StoreError>(())
        })
        .await
        .unwrap();
    world.hint(mapping.jira_id.parse().unwrap()).await;
    let now = world.mapping(findings[0].id).await;
    assert_eq!(now.object, JiraObject::Finding(findings[0].id));
    world.jira.only();
}
