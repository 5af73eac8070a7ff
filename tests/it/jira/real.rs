//! The same against `jira820`, a stateful JIRA Data Center 8.20 that isn't ours (docs/testing.md).

use std::process::Command;

use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_domain::{FlagChange, Note, UserId};
use tatami_test_python::{Server, python, script};
use tatami_tests::jira::FakeJira;

use super::World;

/// The server, and a person who works there.
struct Real {
    url: String,
    agent: ureq::Agent,
    _server: Server,
}

impl Real {
    fn start() -> Option<Self> {
        let mut command = Command::new(python()?);
        let server = Server::start(command.arg(script("jira_server.py"))).unwrap();
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        Some(Self {
            url: format!("http://127.0.0.1:{}", server.port()),
            agent: config.build().new_agent(),
            _server: server,
        })
    }

    fn issue(&self, id: &str) -> Value {
        let url = format!("{}/rest/api/2/issue/{id}", self.url);
        let mut answer = self.agent.get(&url).call().unwrap();
        answer.body_mut().read_json().unwrap()
    }

    fn post(&self, path: &str, body: &Value) {
        let url = format!("{}{path}", self.url);
        let answer = self.agent.post(&url).send_json(body).unwrap();
        assert!(answer.status().is_success(), "{path}: {answer:?}");
    }

    /// Moves an issue to a status of this category.
    fn go(&self, id: &str, category: &str) {
        let url = format!("{}/rest/api/2/issue/{id}/transitions", self.url);
        let mut answer = self.agent.get(&url).call().unwrap();
        let ways: Value = answer.body_mut().read_json().unwrap();
        let ways = ways["transitions"].as_array().unwrap();
        let leads = |way: &&Value| way["to"]["statusCategory"]["key"] == category;
        let way = ways.iter().find(leads).unwrap();
        let body = json!({"transition": {"id": way["id"]}});
        self.post(&format!("/rest/api/2/issue/{id}/transitions"), &body);
    }

    fn comment(&self, key: &str, text: &str) {
        let url = format!("{}/as/ada/{key}", self.url);
        let answer = self.agent.post(&url).send(text).unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }

    fn comments(&self, id: &str) -> Vec<String> {
        let url = format!("{}/rest/api/2/issue/{id}/comment", self.url);
        let mut answer = self.agent.get(&url).call().unwrap();
        let all: Value = answer.body_mut().read_json().unwrap();
        let all = all["comments"].as_array().unwrap();
        all.iter()
            .map(|one| one["body"].as_str().unwrap().to_owned())
            .collect()
    }

    fn delete(&self, id: &str) {
        let url = format!("{}/rest/api/2/issue/{id}", self.url);
        assert!(
            self.agent
                .delete(&url)
                .call()
                .unwrap()
                .status()
                .is_success()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finding_lives_through_a_data_center() {
    let Some(real) = Real::start() else { return };
    let world = World::at(FakeJira::start().await, &real.url, 2, |instance| {
        instance.username = "admin".into();
    })
    .await;
    let finding = world.first().await;
    world.push(finding.id).await;
    world.settle().await;
    let mapping = world.mapping(finding.id).await;
    let id = mapping.jira_id.as_str();
    let issue = real.issue(id);
    assert_eq!(issue["key"], mapping.jira_key.as_str());
    assert_eq!(issue["fields"]["summary"], finding.title.as_str());
    let text = issue["fields"]["description"].as_str().unwrap();
    assert!(
        text.contains("*Severity*") && text.contains("CWE-100"),
        "{text}"
    );
    assert!(text.contains("|https://tatami.example/finding/"), "{text}");
    world.reconcile().await;

    // somebody works on it, comments, and resolves it; no webhook says so
    real.go(id, "indeterminate");
    real.comment(&mapping.jira_key, "looks *real*");
    world.reconcile().await;
    assert!(world.finding(finding.id).await.jira.in_progress);
    let notes = world.notes(finding.id).await;
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].entry.ends_with(", ada): looks *real*") || notes[0].entry.contains("looks"));
    real.go(id, "done");
    world.reconcile().await;
    let now = world.finding(finding.id).await;
    assert!(now.flags.is_mitigated && !now.flags.active, "{now:?}");

    // it comes up again, here
    world
        .change(finding.id, |finding| {
            let open = FlagChange {
                active: Some(true),
                ..FlagChange::default()
            };
            let flags = finding.flags.changed(&open, false).unwrap();
            finding.set_flags(flags, None, Timestamp::now());
        })
        .await;
    world.settle().await;
    let category = |issue: &Value| issue["fields"]["status"]["statusCategory"]["key"].clone();
    assert_ne!(category(&real.issue(id)), "done");

    // a note goes there once
    let note = Note::new(
        tatami_domain::NoteId::default(),
        "seen again",
        Some(UserId(1)),
        Timestamp::now(),
    );
    let store = &world.lab.services.store;
    store
        .add_note(finding.product, finding.id, note, |_| {
            tatami_store::Follows::default()
        })
        .await
        .unwrap();
    for _ in 0..2 {
        world.hint(id.parse().unwrap()).await;
    }
    let comments = real.comments(id);
    let sent = comments.iter().filter(|text| text.contains("seen again"));
    assert_eq!(sent.count(), 1, "{comments:?}");

    // resolved there again: this time a webhook says so
    real.go(id, "done");
    world.hint(id.parse().unwrap()).await;
    assert!(world.finding(finding.id).await.flags.is_mitigated);

    real.delete(id);
    world.hint(id.parse().unwrap()).await;
    assert!(world.finding(finding.id).await.jira.is_none());
    assert!(world.mappings().await.is_empty());
}
