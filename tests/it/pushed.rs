//! What of an import goes to the jira function, where its sender asks for it.

use std::collections::BTreeSet;

use axum::http::Method;
use serde_json::json;
use tatami_domain::{Finding, FindingGroup, IssueRule, JiraObject, OutboxWork, TestId};
use tatami_queue::JiraMessage;
use tatami_tests::{Lab, Queue, generic_report};

/// Works off all queues but the jira function's; gives what came for that.
async fn settle(lab: &Lab) -> BTreeSet<JiraObject> {
    let mut objects = BTreeSet::new();
    loop {
        let messages = lab.take_all().await;
        if messages.is_empty() {
            return objects;
        }
        for message in messages {
            if message.queue != Queue::Jira {
                assert!(lab.deliver(&message, 1).await, "{}", message.body);
                continue;
            }
            match tatami_queue::read(&message.body).unwrap() {
                JiraMessage::Work(entry) => match entry.work {
                    OutboxWork::Jira { objects: some, .. } => objects.extend(some),
                    other => panic!("{other:?}"),
                },
                other => panic!("{other:?}"),
            }
        }
    }
}

async fn report(lab: &Lab, options: &[(&str, &str)], findings: usize) -> BTreeSet<JiraObject> {
    let options: Vec<(&str, String)> = (options.iter())
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect();
    let report = generic_report(0, findings);
    lab.upload("Shop", "Nightly", &options, report).await;
    settle(lab).await
}

/// A product with a test of a few findings, which goes into JIRA.
async fn connected(lab: &Lab) -> TestId {
    report(lab, &[], 4).await;
    let product = lab.product("Shop").await.unwrap().id;
    let instance = json!({
        "url": "https://jira.example.com", "username": "bot",
        "info_mapping_severity": "Low", "low_mapping_severity": "Low", "medium_mapping_severity": "Low",
        "high_mapping_severity": "High", "critical_mapping_severity": "High",
    });
    let instance = lab
        .call(Method::POST, "jira_instances/", Some(instance))
        .await;
    let instance = instance.expect(201);
    let project = json!({
        "jira_instance": instance["id"], "project_key": "SEC", "product": product,
    });
    let project = lab
        .call(Method::POST, "jira_projects/", Some(project))
        .await;
    project.expect(201);
    lab.imports(product).await[0].test.unwrap()
}

async fn rule(lab: &Lab) -> IssueRule {
    IssueRule::of(&lab.services.store.system_settings().await.unwrap())
}

fn objects<'f>(findings: impl Iterator<Item = &'f Finding>) -> BTreeSet<JiraObject> {
    findings
        .map(|finding| JiraObject::Finding(finding.id))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_import_makes_or_opens_again_is_pushed() {
    let lab = Lab::start().await;
    let test = connected(&lab).await;
    assert!(report(&lab, &[], 6).await.is_empty(), "nobody asked for it");
    let known: BTreeSet<JiraObject> = objects(lab.findings(test).await.iter());
    let pushed = report(&lab, &[("push_to_jira", "true")], 30).await;
    let findings = lab.findings(test).await;
    let rule = rule(&lab).await;
    let may = |finding: &&Finding| rule.check(finding).is_ok();
    let mut wanted = objects(findings.iter().filter(may));
    assert!(wanted.len() < findings.len(), "some are too small");
    wanted.retain(|object| !known.contains(object));
    assert_eq!(pushed, wanted);
    // what goes and comes back goes there, what stays doesn't
    report(&lab, &[], 2).await;
    let (stayed, mut closed): (Vec<Finding>, Vec<Finding>) =
        (lab.findings(test).await.into_iter()).partition(|finding| finding.flags.active);
    closed.retain(|finding| !finding.jira.push);
    assert!(stayed.len() == 2 && !closed.is_empty());
    let pushed = report(&lab, &[("push_to_jira", "true")], 30).await;
    let findings = lab.findings(test).await;
    let back = |f: &&Finding| closed.iter().any(|c| c.id == f.id) && may(f);
    let back = objects(findings.iter().filter(back));
    assert!(!back.is_empty() && pushed.is_superset(&back), "{pushed:?}");
    assert!(pushed.is_disjoint(&objects(stayed.iter())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_are_pushed_as_one_and_what_is_in_none_by_itself() {
    let lab = Lab::start().await;
    let test = connected(&lab).await;
    let known = objects(lab.findings(test).await.iter());
    let options = [
        ("push_to_jira", "true"),
        ("group_by", "component_name"),
        ("create_finding_groups_for_all_findings", "false"),
    ];
    let pushed = report(&lab, &options, 110).await;
    let findings = lab.findings(test).await;
    let rule = rule(&lab).await;
    let groups: Vec<FindingGroup> = lab.services.store.groups_of(test).await.unwrap();
    let members = |group: &FindingGroup| {
        let group = group.id;
        findings.iter().filter(move |f| f.group == Some(group))
    };
    let new = |f: &&Finding| rule.check(f).is_ok() && !known.contains(&JiraObject::Finding(f.id));
    let alone = |f: &&Finding| f.group.is_none() && new(f);
    let mut wanted = objects(findings.iter().filter(alone));
    assert!(wanted.len() > 10);
    let asked = groups
        .iter()
        .filter(|group| members(group).any(|f| new(&f)));
    wanted.extend(
        asked
            .clone()
            .map(|group| JiraObject::FindingGroup(group.id)),
    );
    assert_eq!(pushed, wanted);
    let marked = groups.iter().filter(|group| group.jira_push);
    assert!(asked.clone().count() > 5 && marked.eq(asked));
    let inside = findings.iter().filter(|f| f.group.is_some());
    assert!(inside.clone().count() > 10);
    assert!(
        inside.clone().all(|f| !f.jira.push),
        "they are pushed in their groups"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_has_nowhere_to_push_to_is_done_all_the_same() {
    let lab = Lab::start().await;
    report(&lab, &[], 1).await;
    for group_by in [None, Some(("group_by", "component_name"))] {
        let mut options = vec![("push_to_jira", "true")];
        options.extend(group_by);
        assert!(report(&lab, &options, 20).await.is_empty());
    }
    let product = lab.product("Shop").await.unwrap().id;
    let done = lab.imports(product).await;
    assert!(
        done.iter()
            .all(|import| import.state == tatami_domain::ImportState::Done)
    );
}
