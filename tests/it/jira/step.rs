//! Both directions: what changes on one side comes over to the other, once.

use jiff::Timestamp;
use serde_json::json;
use tatami_domain::{
    Finding, FindingGroup, FlagChange, Flags, Note, RiskAcceptance, Severity, UserId,
};
use tatami_tests::jira::OWN;

use super::World;

fn closed(finding: &mut Finding) {
    let change = FlagChange {
        is_mitigated: Some(true),
        active: Some(false),
        ..FlagChange::default()
    };
    let flags = finding.flags.changed(&change, false).unwrap();
    finding.set_flags(flags, None, Timestamp::now());
}

fn open(finding: &mut Finding) {
    finding.set_flags(Flags::OPEN, None, Timestamp::now());
}

/// With one finding that has an issue.
async fn pushed() -> (World, Finding, u64) {
    let world = World::new(1).await;
    let finding = world.first().await;
    world.push(finding.id).await;
    world.settle().await;
    let id = world.jira.only().id;
    (world, finding, id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issue_says_what_the_finding_is() {
    let (world, finding, _) = pushed().await;
    let issue = world.jira.only();
    assert_eq!(issue.text("summary"), finding.title);
    assert_eq!(issue.fields["priority"]["name"], "Highest");
    assert!(issue.fields["duedate"].is_string(), "{issue:#?}");
    let labels = issue.fields["labels"].as_array().unwrap();
    assert!(labels.contains(&json!("security")), "{labels:?}");
    let text = issue.text("description");
    for words in [
        "CWE-100",
        "lib0",
        "services/app0/Cargo.lock:1",
        "has a known weakness (case 0)",
        "Update lib0 to version 2.0",
        &format!("https://tatami.example/finding/{}", finding.id),
    ] {
        assert!(text.contains(words), "{words} in {text}");
    }
    assert_eq!(
        issue.properties["tatami"]["object"],
        json!({"finding": finding.id})
    );
    assert_eq!(issue.links.len(), 1);
    let finding = world.finding(finding.id).await;
    assert!(!finding.jira.push && finding.jira.issue.is_some());
    assert_eq!(world.told().await, ["created"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_changed_is_sent_and_people_s_labels_stay() {
    let (world, finding, id) = pushed().await;
    world.jira.set(id, "labels", json!(["theirs"]));
    world.jira.set(id, "summary", json!("renamed by somebody"));
    world.jira.take_requests();
    world
        .change(finding.id, |finding| {
            finding.severity = Severity::Low;
            finding.vulnerability_ids = vec![];
        })
        .await;
    world.settle().await;
    let issue = world.jira.only();
    assert_eq!(issue.fields["priority"]["name"], "Low");
    assert_eq!(issue.text("summary"), "renamed by somebody");
    assert_eq!(issue.fields["labels"], json!(["theirs"]));
    let puts = |requests: &[String]| requests.iter().filter(|r| r.starts_with("PUT")).count();
    assert_eq!(puts(&world.jira.take_requests()), 1);
    world
        .change(finding.id, |finding| finding.tags = vec!["x".into()])
        .await;
    world.settle().await;
    assert_eq!(
        puts(&world.jira.take_requests()),
        0,
        "nothing of it is in the issue"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resolved_finding_closes_its_issue_and_a_reopened_one_opens_it() {
    let (world, finding, _) = pushed().await;
    world.change(finding.id, closed).await;
    world.settle().await;
    let issue = world.jira.only();
    assert_eq!(
        (issue.status, issue.resolution.as_deref()),
        ("Done", Some("Fixed"))
    );
    assert_eq!(issue.comments.len(), 1, "{:?}", issue.comments);
    assert!(issue.comments[0].1.contains("was mitigated"));
    let mapping = world.mapping(finding.id).await;
    assert!(!mapping.open && mapping.status == "Done", "{mapping:?}");
    world.change(finding.id, open).await;
    world.settle().await;
    assert_eq!(world.jira.only().status, "To Do");
    assert!(world.mapping(finding.id).await.open);
    assert_eq!(world.told().await, ["closed", "created", "reopened"]);
    assert!(world.finding(finding.id).await.flags.active);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_do_in_jira_happens_to_the_finding() {
    let (world, finding, id) = pushed().await;
    let key = world.jira.only().key();
    world.jira.go(id, "In Progress", None);
    world.hint(id).await;
    assert!(world.finding(finding.id).await.jira.in_progress);
    world.jira.go(id, "Done", Some("Done"));
    world.hint(id).await;
    let now = world.finding(finding.id).await;
    assert!(now.flags.is_mitigated && !now.flags.active && !now.jira.in_progress);
    let resolved = world.jira.only().resolved.unwrap();
    assert_eq!(now.mitigated.unwrap().as_second(), resolved.as_second());
    let notes = world.notes(finding.id).await;
    let words = format!("Mitigated in JIRA ({key}: Done, Done).");
    assert_eq!(notes.iter().filter(|note| note.entry == words).count(), 1);
    world.jira.go(id, "To Do", None);
    world.hint(id).await;
    let now = world.finding(finding.id).await;
    assert!(now.flags.active && !now.flags.is_mitigated && now.mitigated.is_none());
    world.hint(id).await;
    assert_eq!(
        world.notes(finding.id).await.len(),
        2,
        "a second hint says nothing"
    );
    assert_eq!(world.told().await, ["closed", "created", "reopened"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resolution_says_what_becomes_of_the_finding() {
    let (world, finding, id) = pushed().await;
    world.jira.go(id, "Done", Some("Invalid"));
    world.hint(id).await;
    assert!(world.finding(finding.id).await.flags.false_p);
    world.jira.go(id, "To Do", None);
    world.hint(id).await;
    assert!(world.finding(finding.id).await.flags.is_open());
    world
        .set_product(|product| product.enable_full_risk_acceptance = true)
        .await;
    world.jira.go(id, "Done", Some("won't fix"));
    world.hint(id).await;
    let now = world.finding(finding.id).await;
    assert!(now.flags.risk_accepted && !now.flags.active && !now.flags.false_p);
    let acceptance = now.acceptance.expect("a record");
    let record: RiskAcceptance = world.lab.services.store.get(acceptance).await.unwrap();
    assert_eq!(
        record.name,
        format!("Accepted in JIRA: {}", world.jira.only().key())
    );
    assert!(record.owner != UserId(0));
    world.jira.go(id, "To Do", None);
    world.hint(id).await;
    let now = world.finding(finding.id).await;
    assert!(now.flags.is_open() && !now.flags.risk_accepted && now.acceptance.is_none());
    world
        .set_product(|product| {
            product.enable_full_risk_acceptance = false;
            product.enable_simple_risk_acceptance = false;
        })
        .await;
    world.jira.go(id, "Done", Some("Won't Fix"));
    world.hint(id).await;
    let now = world.finding(finding.id).await;
    assert!(now.flags.is_mitigated && !now.flags.risk_accepted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_side_that_changed_wins() {
    let (world, finding, id) = pushed().await;
    // both closed it before either heard of the other
    world.jira.go(id, "Done", Some("Invalid"));
    world.change(finding.id, closed).await;
    world.settle().await;
    let now = world.finding(finding.id).await;
    assert!(
        now.flags.is_mitigated && !now.flags.false_p,
        "they agree already"
    );
    assert!(!world.mapping(finding.id).await.open);
    // JIRA opens it again, and a late message tells of the finding only
    world.jira.go(id, "To Do", None);
    world
        .change(finding.id, |finding| finding.tags = vec!["x".into()])
        .await;
    world.settle().await;
    assert!(world.finding(finding.id).await.flags.active);
    assert_eq!(world.jira.only().status, "To Do");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn comments_and_notes_come_over_once() {
    let (world, finding, id) = pushed().await;
    let store = &world.lab.services.store;
    world.jira.comment(id, "ada", "is that so?");
    world
        .jira
        .comment(id, OWN, "posted with our account by hand");
    for (text, private, author) in [
        ("it is", false, Some(UserId(1))),
        ("keep this in the house", true, Some(UserId(1))),
        ("a note of the system", false, None),
    ] {
        let note = Note {
            private,
            ..Note::new(
                tatami_domain::NoteId::default(),
                text,
                author,
                Timestamp::now(),
            )
        };
        store
            .add_note(finding.product, finding.id, note, |_| {
                tatami_store::Follows::default()
            })
            .await
            .unwrap();
    }
    for _ in 0..3 {
        world.hint(id).await;
    }
    world
        .change(finding.id, |finding| finding.tags = vec!["x".into()])
        .await;
    world.settle().await;
    let issue = world.jira.only();
    let comments: Vec<&str> = issue
        .comments
        .iter()
        .map(|(_, text, _)| text.as_str())
        .collect();
    assert_eq!(comments.len(), 3, "{comments:?}");
    assert!(comments[2].contains("it is") && comments[2].contains("admin"));
    let notes = world.notes(finding.id).await;
    let words = format!("({}, ada): is that so?", issue.key());
    let came: Vec<&Note> = notes
        .iter()
        .filter(|note| note.entry.contains("SEC-"))
        .collect();
    assert_eq!(came.len(), 1, "{notes:?}");
    assert_eq!(came[0].entry, words);
    assert_eq!(world.told().await, ["commented", "created"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_issue_is_unlinked_and_can_be_made_anew() {
    let (world, finding, id) = pushed().await;
    world.jira.delete(id);
    world.hint(id).await;
    let now = world.finding(finding.id).await;
    assert!(now.jira.is_none(), "{:?}", now.jira);
    assert!(world.mappings().await.is_empty());
    let notes = world.notes(finding.id).await;
    assert!(
        notes[0].entry.contains("is not in JIRA any more"),
        "{notes:?}"
    );
    world.push(finding.id).await;
    world.settle().await;
    assert_ne!(world.jira.only().id, id);
    assert_eq!(world.told().await, ["created", "created", "unlinked"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finding_that_is_pushed_after_it_was_unlinked_has_its_old_issue_opened() {
    let (world, finding, id) = pushed().await;
    let mapping = world.mapping(finding.id).await;
    let store = &world.lab.services.store;
    store.forget_jira_issue(mapping.id).await.unwrap();
    world
        .change(finding.id, |finding| {
            finding.jira = tatami_domain::FindingJira::default();
        })
        .await;
    world.settle().await;
    world.jira.go(id, "Done", Some("Invalid"));
    world.push(finding.id).await;
    world.settle().await;
    let issue = world.jira.only();
    assert_eq!((issue.id, issue.status), (id, "To Do"));
    let now = world.finding(finding.id).await;
    assert!(now.flags.is_open() && !now.flags.false_p, "{now:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_has_one_issue_and_what_happens_to_that_happens_to_all() {
    let world = World::new(6).await;
    let store = &world.lab.services.store;
    let group = FindingGroup {
        name: "Libraries".into(),
        test: world.test.id,
        engagement: world.test.engagement,
        product: world.test.product,
        jira_push: true,
        ..FindingGroup::default()
    };
    let group = store.create(group).await.unwrap();
    let findings = world.findings().await;
    assert!(store.put_into_group(&group, &findings[..3]).await.unwrap());
    let work = tatami_domain::OutboxWork::Jira {
        product: world.test.product,
        objects: vec![tatami_domain::JiraObject::FindingGroup(group.id)],
    };
    store.add_to_outbox(vec![work]).await.unwrap();
    world.lab.services.relay().await;
    world.settle().await;
    let issue = world.jira.only();
    assert_eq!(issue.text("summary"), "Libraries (3 findings)");
    assert!(issue.text("description").contains(&findings[1].title));
    let worst = findings[..3].iter().map(|finding| finding.severity).min();
    let priority = match worst.unwrap() {
        Severity::Critical => "Highest",
        other => other.name(),
    };
    assert_eq!(issue.fields["priority"]["name"], priority);
    let group: FindingGroup = store.get(group.id).await.unwrap();
    assert!(group.jira_issue.is_some() && !group.jira_push);
    world.push(findings[1].id).await;
    world.settle().await;
    world.jira.only();
    assert!(store.put_into_group(&group, &findings[3..4]).await.unwrap());
    world.push(findings[3].id).await;
    world.settle().await;
    for finding in &world.findings().await[..4] {
        assert_eq!(finding.jira.issue, group.jira_issue);
    }
    world.change(findings[0].id, closed).await;
    world.settle().await;
    assert_eq!(world.jira.only().status, "To Do", "others are open");
    world.jira.go(issue.id, "Done", None);
    world.hint(issue.id).await;
    for finding in &world.findings().await[..4] {
        assert!(finding.flags.is_mitigated, "{finding:?}");
    }
    assert!(world.findings().await[4].flags.active);
    world.jira.go(issue.id, "To Do", None);
    world.hint(issue.id).await;
    assert!(
        world
            .findings()
            .await
            .iter()
            .all(|finding| finding.flags.active)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engagement_has_an_epic_that_its_issues_belong_to() {
    let world = World::new(1).await;
    world
        .set(|project| project.enable_engagement_epic_mapping = true)
        .await;
    let store = &world.lab.services.store;
    let engagement = world.test.engagement;
    let work = tatami_domain::OutboxWork::Jira {
        product: world.test.product,
        objects: vec![tatami_domain::JiraObject::Engagement(engagement)],
    };
    store.add_to_outbox(vec![work]).await.unwrap();
    world.lab.services.relay().await;
    world.settle().await;
    let epic = world.jira.only();
    assert_eq!(epic.fields["issuetype"]["id"], "2");
    world.push(world.first().await.id).await;
    world.settle().await;
    let issues = world.jira.issues();
    assert_eq!(issues[1].fields["parent"]["key"], epic.key());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_that_pushes_all_gets_what_may_have_issues() {
    let world = World::new(1).await;
    world.set(|project| project.push_all_issues = true).await;
    world
        .lab
        .upload("Shop", "Nightly", &[], tatami_tests::generic_report(10, 10))
        .await;
    world.settle().await;
    let issues: Vec<String> = (world.jira.issues().iter())
        .map(|i| i.text("summary"))
        .collect();
    assert_eq!(
        issues.len(),
        8,
        "not those of the severity Info: {issues:?}"
    );
    world.settle().await;
    assert_eq!(world.jira.issues().len(), 8);
}
