//! Findings and their issues in step, with a JIRA of our own that fails as it is told, and with a real server.

mod once;
mod orders;
mod real;
mod reconcile;
mod step;
mod trouble;

use axum::http::Method;
use secrecy::SecretString;
use serde_json::json;
use tatami_domain::{
    Finding, FindingId, JiraInstance, JiraInstanceId, JiraIssue, JiraProject, Note, Product,
    Severity, Test,
};
use tatami_outbound::Outbound;
use tatami_runtime::SecretKey;
use tatami_store::{Change, Commit, Committed, StoreError};
use tatami_tests::jira::FakeJira;
use tatami_tests::{Lab, Message, Queue, generic_report};

/// A laboratory with one product whose findings go into a JIRA.
struct World {
    lab: Lab,
    jira: FakeJira,
    test: Test,
    project: JiraProject,
    instance: JiraInstanceId,
}

impl World {
    /// With so many findings, none of which is in JIRA yet.
    async fn new(findings: usize) -> Self {
        let jira = FakeJira::start().await;
        let url = jira.url.clone();
        Self::at(jira, &url, findings, |_| {}).await
    }

    async fn at(
        jira: FakeJira,
        url: &str,
        findings: usize,
        set: impl FnOnce(&mut JiraInstance),
    ) -> Self {
        let mut lab = Lab::start().await;
        let secret = SecretKey::random();
        let key = SecretKey::parse(secrecy::ExposeSecret::expose_secret(&secret)).unwrap();
        let password = SecretString::from("s3cret");
        let password = key.encrypt("JIRAINSTANCE.password", &password).unwrap();
        lab.services.settings.secret_key = Some(key);
        lab.services.settings.public_url = Some("https://tatami.example".into());
        lab.services.outbound = Outbound::new("127.0.0.1".parse().unwrap());
        let settings = json!({"enable_jira": true});
        let path = "system_settings/1/";
        (lab.call(Method::PATCH, path, Some(settings)).await).expect(200);
        if findings > 0 {
            lab.upload("Shop", "Nightly", &[], generic_report(0, findings))
                .await;
            lab.settle().await;
        }
        let product = lab.product("Shop").await.unwrap();
        let test = lab.tests(product.id).await.into_values().next().unwrap();
        let mut instance = JiraInstance {
            configuration_name: Some("Ours".into()),
            url: url.to_owned(),
            username: "tatami@example.com".into(),
            password: Some(password),
            default_issue_type: Some("Bug".into()),
            info_mapping_severity: "Lowest".into(),
            low_mapping_severity: "Low".into(),
            medium_mapping_severity: "Medium".into(),
            high_mapping_severity: "High".into(),
            critical_mapping_severity: "Highest".into(),
            accepted_mapping_resolution: Some("Won't Fix".into()),
            false_positive_mapping_resolution: Some("Invalid".into()),
            finding_jira_sync: true,
            ..JiraInstance::default()
        };
        set(&mut instance);
        let instance = lab.services.store.create(instance).await.unwrap().id;
        let project = JiraProject {
            jira_instance: Some(instance),
            product: Some(product.id),
            project_key: Some("SEC".into()),
            jira_labels: Some("security".into()),
            push_notes: true,
            enabled: true,
            ..JiraProject::default()
        };
        let project = lab.services.store.create(project).await.unwrap();
        lab.take_all().await;
        Self {
            lab,
            jira,
            test,
            project,
            instance,
        }
    }

    /// Changes the settings of the project.
    async fn set(&self, change: impl Fn(&mut JiraProject)) {
        let store = &self.lab.services.store;
        let changed = store.change(self.project.id, |project: &mut JiraProject| {
            change(project);
            Ok::<_, StoreError>(())
        });
        changed.await.unwrap();
    }

    async fn set_product(&self, change: impl Fn(&mut Product)) {
        let store = &self.lab.services.store;
        let changed = store.change(self.test.product, |product: &mut Product| {
            change(product);
            Ok::<_, StoreError>(())
        });
        changed.await.unwrap();
    }

    /// The findings that may have issues, by ascending id.
    async fn findings(&self) -> Vec<Finding> {
        let mut findings = self.lab.findings(self.test.id).await;
        findings.retain(|finding| finding.severity != Severity::Info);
        findings
    }

    async fn finding(&self, id: FindingId) -> Finding {
        self.lab.services.store.finding(id).await.unwrap()
    }

    async fn first(&self) -> Finding {
        self.findings().await[0].clone()
    }

    /// Changes a finding as the API does, and sends what follows.
    async fn change(&self, id: FindingId, change: impl Fn(&mut Finding)) {
        let store = &self.lab.services.store;
        let old = store.finding(id).await.unwrap();
        let mut new = old.clone();
        change(&mut new);
        let commit = Commit {
            product: old.product,
            changes: vec![Change::Update {
                old: Box::new(old),
                new: Box::new(new),
            }],
            claims: vec![],
            notes: vec![],
            events: vec![],
            marker: None,
            unique: format!("T{}", rand::random::<u64>()),
        };
        assert_eq!(store.commit(&commit).await.unwrap(), Committed::Yes);
        self.lab.services.relay().await;
    }

    /// Asks that a finding be brought into JIRA.
    async fn push(&self, id: FindingId) {
        self.change(id, |finding| finding.jira.push = true).await;
    }

    /// Delivers messages until there are none that can be delivered now.
    async fn settle(&self) {
        self.lab.settle().await;
    }

    /// Runs the schedule and what comes of it.
    async fn reconcile(&self) {
        let ran = tatami_jira::handle(&self.lab.services, json!({"source": "aws.events"})).await;
        ran.unwrap();
        self.settle().await;
    }

    /// A webhook has said that something happened to an issue.
    async fn hint(&self, jira_id: u64) {
        let message = tatami_queue::JiraMessage::Changed {
            jira_id: jira_id.to_string(),
            instance: Some(self.instance),
        };
        let body = tatami_queue::write(&message).unwrap();
        let sent = (self.lab.services.jira).send([tatami_queue::Outgoing { body, import: None }]);
        sent.await.unwrap();
        self.settle().await;
    }

    /// The mapping of a finding's issue.
    async fn mapping(&self, finding: FindingId) -> JiraIssue {
        let id = self.finding(finding).await.jira.issue.expect("an issue");
        self.lab.services.store.get(id).await.unwrap()
    }

    async fn mappings(&self) -> Vec<JiraIssue> {
        self.lab.services.store.list().await.unwrap()
    }

    async fn notes(&self, finding: FindingId) -> Vec<Note> {
        self.lab.services.store.notes(finding).await.unwrap()
    }

    /// What was told of JIRA in the last days, as words.
    async fn told(&self) -> Vec<String> {
        let store = &self.lab.services.store;
        let mut events = Vec::new();
        for days in 0..8 {
            let then = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * days);
            let day = then.to_zoned(jiff::tz::TimeZone::UTC).date();
            events.extend(store.events(day).await.unwrap());
        }
        let jira = events
            .iter()
            .filter(|event| event.kind.name() == "jira_update");
        let mut words: Vec<String> = jira
            .map(|event| event.data["what"].as_str().unwrap().to_owned())
            .collect();
        words.sort();
        words
    }

    /// Messages for the jira function, all others being settled.
    async fn messages(&self) -> Vec<Message> {
        self.lab.take(Queue::Jira).await
    }
}
