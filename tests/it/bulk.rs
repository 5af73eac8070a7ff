//! The same change to many findings: all or none, by a job where they are many.

use std::collections::BTreeSet;

use axum::http::Method;
use serde_json::{Value, json};
use tatami_domain::{JobState, TestId};
use tatami_queue::{FindingsMessage, Outgoing};
use tatami_tests::{Death, Lab, Queue, generic_report};

async fn report(lab: &Lab, findings: usize) -> TestId {
    lab.upload("Shop", "Nightly", &[], generic_report(0, findings))
        .await;
    lab.settle().await;
    let product = lab.product("Shop").await.unwrap().id;
    let tests = lab.tests(product).await;
    tests.values().next().unwrap().id
}

async fn get(lab: &Lab, path: &str) -> Value {
    lab.call(Method::GET, path, None).await.expect(200)
}

async fn bulk(lab: &Lab, body: Value) -> tatami_tests::Answer {
    lab.call(Method::POST, "findings/bulk/", Some(body)).await
}

/// How many findings of a test have each number of notes with this text.
async fn noted(lab: &Lab, test: TestId, words: &str) -> Vec<usize> {
    let mut counts = BTreeSet::new();
    let mut with = 0;
    for finding in lab.findings(test).await {
        let notes = lab.services.store.notes(finding.id).await.unwrap();
        let own = notes.iter().filter(|note| note.entry == words).count();
        counts.insert(own);
        with += own;
    }
    let mut counts: Vec<usize> = counts.into_iter().collect();
    counts.push(with);
    counts
}

/// Lets jobs go on whose message isn't to come before a while.
async fn go_on(lab: &Lab) {
    for job in lab.services.store.jobs().await.unwrap() {
        if job.state == JobState::Running {
            let message = FindingsMessage::Job {
                job: job.id,
                step: job.step,
            };
            let body = tatami_queue::write(&message).unwrap();
            let sent = lab
                .services
                .findings
                .send([Outgoing { body, import: None }]);
            sent.await.unwrap();
        }
    }
    lab.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_takes_as_many_as_there_are() {
    let lab = Lab::patient().await;
    let test = report(&lab, 260).await;
    let body = json!({
        "filter": {"test": test, "severity": ["Critical", "High", "Medium"]},
        "changes": {"status": "Fixed", "add_tags": ["swept"]}, "note": "in one go",
    });
    let job = bulk(&lab, body.clone()).await.expect(202);
    assert_eq!(
        (&job["kind"], &job["state"], &job["of"]),
        (&json!("bulk"), &json!("running"), &json!(156))
    );
    assert_eq!(get(&lab, "findings/?tags=swept").await["count"], 0);
    lab.settle().await;
    let path = format!("jobs/{}/", job["id"]);
    let done = get(&lab, &path).await;
    assert_eq!(
        (&done["state"], &done["done"]),
        (&json!("done"), &json!(156))
    );
    let results = get(&lab, &format!("{path}results/?limit=1000")).await;
    let results = results["results"].as_array().unwrap().clone();
    assert_eq!(results.len(), 156);
    assert!(results.iter().all(|result| result["result"] == "changed"));
    assert_eq!(
        get(&lab, "findings/?tags=swept&status=Fixed").await["count"],
        156
    );
    assert_eq!(noted(&lab, test, "in one go").await, [0, 1, 156]);
    let entries = get(&lab, "audit/?method=JOB&object=finding&limit=100").await;
    let changed: usize = (entries["results"].as_array().unwrap().iter())
        .map(|entry| entry["changes"].as_array().unwrap().len())
        .sum();
    // each finding and its note
    assert_eq!((&entries["count"], changed), (&json!(2), 312));
    let severe = &entries["results"][1]["changes"][0]["fields"]["is_mitigated"];
    assert_eq!(*severe, json!({"before": false, "after": true}));
    lab.holdings("Shop").await;

    // by ids, and what cannot be is said of each
    let ids: Vec<u64> = lab
        .findings(test)
        .await
        .iter()
        .map(|f| f.id.0)
        .take(120)
        .collect();
    let body = json!({"ids": ids, "changes": {"risk_accepted": true}});
    let job = bulk(&lab, body).await.expect(202);
    lab.settle().await;
    let results = get(&lab, &format!("jobs/{}/results/", job["id"])).await;
    assert_eq!(results["count"], 120);
    assert_eq!(results["results"][0]["result"], "refused");
    let why = results["results"][0]["message"].as_str().unwrap();
    assert!(why.contains("simple risk acceptance"), "{why}");

    let body = json!({"filter": {"test": test, "tags": "swept"}, "changes": {"delete": true}});
    let job = bulk(&lab, body).await.expect(202);
    lab.settle().await;
    assert_eq!(
        get(&lab, &format!("jobs/{}/", job["id"])).await["state"],
        "done"
    );
    assert_eq!(get(&lab, "findings/").await["count"], 104);
    lab.holdings("Shop").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_dies_at_any_write_changes_each_once() {
    let lab = Lab::patient().await;
    let test = report(&lab, 101).await;
    for nth in 0.. {
        let mut died = false;
        for death in [Death::Before, Death::After] {
            let words = format!("{nth} {death:?}");
            let body =
                json!({"filter": {"test": test}, "note": words, "changes": {"tags": [words]}});
            bulk(&lab, body).await.expect(202);
            let messages = lab.take(Queue::Findings).await;
            lab.wire.die_at(nth, death);
            lab.deliver(&messages[0], 1).await;
            died |= lab.wire.live().is_some();
            assert!(lab.deliver(&messages[0], 2).await);
            lab.settle().await;
            assert_eq!(noted(&lab, test, &words).await, [1, 101], "{words}");
            let path = format!("findings/?tags={}", words.replace(' ', "%20"));
            assert_eq!(get(&lab, &path).await["count"], 101);
        }
        if !died {
            assert!(nth > 5, "{nth} writes are too few");
            break;
        }
    }
    let jobs = lab.services.store.jobs().await.unwrap();
    assert!(
        jobs.iter()
            .all(|job| job.state == JobState::Done && job.done == 101)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_dies_at_any_write_changes_all_or_none() {
    let lab = Lab::patient().await;
    let test = report(&lab, 100).await;
    let ids: Vec<u64> = lab.findings(test).await.iter().map(|f| f.id.0).collect();
    let body = json!({"ids": ids, "note": "all of them", "changes": {"severity": "Low"}});
    let answer = bulk(&lab, body).await.expect(200);
    assert_eq!(answer["changed"].as_array().unwrap().len(), 100);
    assert_eq!(answer["results"][99]["result"], "changed");
    assert_eq!(noted(&lab, test, "all of them").await, [1, 100]);
    for nth in 0.. {
        let mut died = false;
        for death in [Death::Before, Death::After] {
            let words = format!("{nth} {death:?}");
            let body = json!({"ids": ids, "note": words, "changes": {"tags": [words]}});
            lab.wire.die_at(nth, death);
            bulk(&lab, body).await;
            died |= lab.wire.live().is_some();
            go_on(&lab).await;
            let counted = noted(&lab, test, &words).await;
            assert!(
                counted == [1, 100] || counted == [0, 0],
                "{words}: {counted:?}"
            );
            let path = format!("findings/?tags={}", words.replace(' ', "%20"));
            assert_eq!(get(&lab, &path).await["count"], counted[1]);
        }
        if !died {
            break;
        }
    }
    lab.holdings("Shop").await;
}
