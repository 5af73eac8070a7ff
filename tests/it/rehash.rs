//! Settings change, findings get new keys, and back again.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;

use axum::http::Method;
use serde_json::{Value, json};
use tatami_domain::{
    Finding, FindingId, HashAlgorithm, ImportId, ImportState, ProductId, RehashJobId,
    ResolvedDedupe, SeverityCounts,
};
use tatami_queue::{FindingsMessage, Outgoing};
use tatami_runtime::Services;
use tatami_store::Sight;
use tatami_tests::{Lab, Local, Queue};

/// Forty findings of four components, told apart only by title and description.
fn report() -> String {
    report_of(40)
}

fn report_of(findings: u64) -> String {
    let findings: Vec<Value> = (0..findings)
        .map(|n| {
            json!({
                "title": format!("Weakness {n}"), "severity": "High", "active": true,
                "description": format!("Case {n}."), "component_name": format!("lib{}", n % 4),
                "verified": false, "static_finding": true,
            })
        })
        .collect();
    json!({ "findings": findings }).to_string()
}

async fn import(local: &Local) -> Value {
    let import = local
        .client
        .import("reimport-scan", &[], "r.json", report())
        .await;
    assert_eq!(import["state"], "done", "{import:#}");
    import
}

async fn stored(local: &Local) -> BTreeMap<u64, Finding> {
    let mut stored = BTreeMap::new();
    let see = |finding: &Arc<Finding>| {
        stored.insert(finding.id.0, Finding::clone(finding));
    };
    let store = &local.stack.services.store;
    store.visit(Sight::All, see).await.unwrap();
    stored
}

/// The numbers that are kept, and those that a recount gives, are the same.
async fn counts_hold(local: &Local, product: u64) {
    let store = &local.stack.services.store;
    let kept = store.product_counts(ProductId(product)).await.unwrap();
    let recount: SeverityCounts = stored(local).await.values().collect();
    assert_eq!(kept, recount);
}

async fn ended(local: &Local, job: &Value) -> Value {
    local
        .eventually("the end of the job", || async {
            let job = local.client.get(&format!("rehash_jobs/{job}/")).await;
            let job = job.expect(200);
            assert_ne!(job["state"], "failed", "{job:#}");
            Some(job).filter(|job| !job["finished"].is_null())
        })
        .await
}

/// Sends for a step of a job.
async fn send(services: &Services, job: u64, step: u64) {
    let message = FindingsMessage::Rehash {
        job: RehashJobId(job),
        step,
    };
    let body = tatami_queue::write(&message).unwrap();
    let message = Outgoing { body, import: None };
    services.findings.send([message]).await.unwrap();
}

/// Messages that come again, and such as nobody sent yet, change nothing.
async fn deliver_again(local: &Local, job: u64) {
    for step in [0, 0, 1, 7] {
        send(&local.stack.services, job, step).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn findings_get_the_keys_of_new_settings_and_their_old_ones_back() {
    let local = Local::start().await;
    let client = &local.client;
    let first = import(&local).await;
    let product = first["product_id"].as_u64().unwrap();
    assert_eq!(first["settings"]["algorithm"], "hash_code", "{first:#}");
    let ids: Vec<u64> = stored(&local).await.into_keys().collect();
    assert_eq!(ids.len(), 40);
    // A person's word is kept.
    let false_p = json!({"false_p": true, "active": false, "verified": false});
    let last = ids[39];
    client
        .patch(&format!("findings/{last}/"), false_p)
        .await
        .expect(200);
    let before = stored(&local).await;

    let path = format!("deduplication_settings/products/{product}/");
    let change = json!({"hash_fields": ["component_name"]});
    let preview = client
        .post(&format!("{path}preview/"), change.clone())
        .await;
    let preview = preview.expect(200);
    assert_eq!(preview["complete"], true);
    assert_eq!(preview["counts"]["changed"], 40, "{preview:#}");
    let foretold = preview["counts"]["new_duplicates"].as_u64().unwrap();
    assert_eq!(preview["examples"][0]["duplicate_of_before"], Value::Null);
    assert_eq!(stored(&local).await, before, "a preview writes nothing");

    let level = client.patch(&path, change.clone()).await.expect(200);
    assert_eq!(level["pending"]["hash_fields"], json!(["component_name"]));
    let job = level["rehash_job"].as_u64().unwrap();
    deliver_again(&local, job).await;
    let done = ended(&local, &level["rehash_job"]).await;
    assert_eq!(done["state"], "done");
    assert_eq!(done["counts"]["changed"], 40, "{done:#}");
    assert_eq!(done["counts"]["new_duplicates"], foretold);
    let level = client.get(&path).await.expect(200);
    assert_eq!(level["hash_fields"], json!(["component_name"]));
    assert_eq!(
        (&level["pending"], &level["rehash_job"]),
        (&Value::Null, &Value::Null)
    );

    let after = stored(&local).await;
    let mut originals: BTreeMap<&str, u64> = BTreeMap::new();
    for (id, finding) in &after {
        assert_eq!(finding.keys.len(), 1, "the old key is gone");
        assert_ne!(finding.keys, before[id].keys);
        if *id == last {
            assert!(finding.flags.false_p && !finding.flags.duplicate);
            continue;
        }
        let component = finding.component_name.as_deref().unwrap();
        let original = *originals.entry(component).or_insert(*id);
        let expected = Some(original).filter(|original| original != id);
        assert_eq!(finding.duplicate_finding.map(u64::from), expected);
        assert_eq!(finding.flags.active, expected.is_none());
    }
    assert_eq!(originals.len(), 4);
    assert_eq!(foretold, 35);
    counts_hold(&local, product).await;
    let again = import(&local).await;
    assert_eq!(again["counts"]["created"], 0, "{again:#}");
    assert_eq!(again["counts"]["closed"], 0);
    assert_eq!(again["settings"]["hash_fields"], json!(["component_name"]));

    let path = format!("rehash_jobs/{job}/");
    client
        .post(&format!("{path}resume/"), json!({}))
        .await
        .expect(409);
    client
        .post(&format!("{path}rollback/"), json!({}))
        .await
        .expect(202);
    let back = ended(&local, &json!(job)).await;
    assert_eq!(back["state"], "rolled_back");
    client
        .post(&format!("{path}rollback/"), json!({}))
        .await
        .expect(409);
    let restored = stored(&local).await;
    for (id, finding) in &restored {
        let was = &before[id];
        assert_eq!(
            (&finding.keys, &finding.hash_code),
            (&was.keys, &was.hash_code)
        );
        assert_eq!(finding.flags, was.flags);
        assert_eq!(finding.duplicate_finding, None);
    }
    counts_hold(&local, product).await;
    let again = import(&local).await;
    assert_eq!(again["counts"]["created"], 0, "{again:#}");
    assert_eq!(again["settings"]["hash_fields"], json!([]));
    let jobs = client.get("rehash_jobs/").await.expect(200);
    assert_eq!(jobs["count"], 1);
    local.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_waits_for_imports_under_the_settings_before() {
    let local = Local::start().await;
    let client = &local.client;
    let store = &local.stack.services.store;
    let first = import(&local).await;
    let before = stored(&local).await;
    // An import that was read before the change and isn't through.
    let known = ImportId(first["id"].as_u64().unwrap());
    let mut slow = store.import(known).await.unwrap();
    slow.state = ImportState::Processing;
    let slow = store.create_import(slow).await.unwrap();
    let test = slow.test.unwrap();
    store.begin_import(test, slow.id).await.unwrap();

    let change = json!({"hash_algorithm": "md5"});
    let path = "deduplication_settings/system/";
    let level = client.patch(path, change).await.expect(200);
    let job = level["rehash_job"].clone();
    // The new settings count, and findings are found by them and by those before.
    local
        .eventually("the change over", || async {
            let level = client.get(path).await.expect(200);
            Some(level).filter(|level| level["hash_algorithm"] == "md5")
        })
        .await;
    let both = stored(&local).await;
    assert!(both.values().all(|finding| finding.keys.len() == 2));
    let other = json!({"hash_algorithm": "sha256"});
    client.patch(path, other.clone()).await.expect(409);
    let product = format!("deduplication_settings/products/{}/", first["product_id"]);
    client.patch(&product, other).await.expect(409);
    let settings: ResolvedDedupe = serde_json::from_value(first["settings"].clone()).unwrap();
    assert_eq!(slow.settings.as_ref(), Some(&settings));
    let now = import(&local).await;
    assert_eq!(
        (&now["counts"]["created"], &now["counts"]["closed"]),
        (&json!(0), &json!(0))
    );
    let waiting = client.get(&format!("rehash_jobs/{job}/")).await.expect(200);
    assert_eq!(
        (&waiting["state"], &waiting["phase"]),
        (&json!("running"), &json!("settling"))
    );

    let mut slow = store.import(slow.id).await.unwrap();
    slow.state = ImportState::Done;
    store.save_import(&slow).await.unwrap();
    let done = ended(&local, &job).await;
    assert_eq!(done["state"], "done");
    let after = stored(&local).await;
    for (id, finding) in &after {
        assert_eq!(finding.keys.len(), 1);
        assert_eq!(
            (finding.hash_code.len(), before[id].hash_code.len()),
            (32, 64)
        );
        assert_eq!(finding.flags, before[id].flags);
    }
    let again = import(&local).await;
    assert_eq!(
        (&again["counts"]["created"], &again["counts"]["closed"]),
        (&json!(0), &json!(0))
    );
    local.stack.stop().await;
}

/// Puts a report of the product Shop into an engagement.
async fn upload(lab: &Lab, engagement: &str, findings: u64) {
    lab.upload("Shop", engagement, &[], report_of(findings))
        .await;
}

/// The findings of an engagement's only test, and the settings of the product.
async fn shop(lab: &Lab, engagement: &str) -> (Vec<Finding>, String) {
    let product = lab.product("Shop").await.unwrap().id;
    let test = lab.tests(product).await[&(engagement.to_owned(), 0)].id;
    let path = format!("deduplication_settings/products/{product}/");
    (lab.findings(test).await, path)
}

async fn change(lab: &Lab, path: &str, change: Value) -> Value {
    lab.call(Method::PATCH, path, Some(change))
        .await
        .expect(200)
}

/// Lets a job come to its end, without the time it waits for imports.
async fn run_to_the_end(lab: &Lab, job: &Value) -> Value {
    for _ in 0..50 {
        lab.settle().await;
        let path = format!("rehash_jobs/{job}/");
        let found = lab.call(Method::GET, &path, None).await.expect(200);
        if !found["finished"].is_null() {
            return found;
        }
        let id = job.as_u64().unwrap();
        let now = lab.services.store.rehash_job(RehashJobId(id)).await;
        send(&lab.services, id, now.unwrap().step).await;
    }
    panic!("job {job} has no end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_only_decide_otherwise_count_at_once_and_for_what_is_stored() {
    let lab = Lab::start().await;
    upload(&lab, "First", 40).await;
    lab.settle().await;
    let (_, path) = shop(&lab, "First").await;
    let level = change(&lab, &path, json!({"mode": "manual"})).await;
    assert_eq!(level["effective"]["mode"], "manual");
    assert_eq!(level["pending"], Value::Null);
    let job = run_to_the_end(&lab, &level["rehash_job"]).await;
    assert_eq!(
        (&job["state"], &job["counts"]["proposed"]),
        (&json!("done"), &json!(0))
    );
    upload(&lab, "Second", 40).await;
    lab.settle().await;
    let proposed = |findings: &[Finding]| -> Vec<Option<FindingId>> {
        findings.iter().map(|f| f.proposed_duplicate).collect()
    };
    let (before, _) = shop(&lab, "Second").await;
    assert!(before.iter().all(|f| f.flags.active));
    assert!(proposed(&before).iter().all(Option::is_some));

    let automatic = json!({"mode": "automatic"});
    let preview = format!("{path}preview/");
    let preview = lab
        .call(Method::POST, &preview, Some(automatic.clone()))
        .await;
    assert_eq!(preview.expect(200)["counts"]["new_duplicates"], 40);
    let level = change(&lab, &path, automatic).await;
    let job = run_to_the_end(&lab, &level["rehash_job"]).await;
    assert_eq!(job["counts"]["new_duplicates"], 40, "{job:#}");
    let (after, _) = shop(&lab, "Second").await;
    let originals: Vec<_> = after.iter().map(|f| f.duplicate_finding).collect();
    assert_eq!(originals, proposed(&before));
    assert!(after.iter().all(|f| f.flags.duplicate && !f.flags.active));
    lab.holdings("Shop").await;

    let rollback = format!("rehash_jobs/{}/rollback/", job["id"]);
    lab.call(Method::POST, &rollback, None).await.expect(202);
    let job = run_to_the_end(&lab, &job["id"]).await;
    assert_eq!(job["state"], "rolled_back");
    let (restored, _) = shop(&lab, "Second").await;
    assert_eq!(proposed(&restored), proposed(&before));
    assert!(restored.iter().all(|f| f.flags.active));
    let level = change(&lab, &path, json!({"clustering": "none"})).await;
    assert_eq!(level["effective"]["mode"], "manual");
    run_to_the_end(&lab, &level["rehash_job"]).await;
    let (none, _) = shop(&lab, "Second").await;
    assert!(proposed(&none).iter().all(Option::is_none));
    lab.holdings("Shop").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_failed_goes_on_when_it_is_resumed() {
    let lab = Lab::start().await;
    upload(&lab, "First", 40).await;
    lab.settle().await;
    let (before, path) = shop(&lab, "First").await;
    let level = change(&lab, &path, json!({"hash_algorithm": "md5"})).await;
    lab.wire.poison(Some("Weakness 33"));
    for message in lab.take(Queue::Findings).await {
        for receives in 1..=5 {
            assert!(!lab.deliver(&message, receives).await);
        }
    }
    let path_of_job = format!("rehash_jobs/{}/", level["rehash_job"]);
    let failed = lab.call(Method::GET, &path_of_job, None).await.expect(200);
    assert_eq!(failed["state"], "failed");
    let error = failed["errors"][0].as_str().unwrap();
    assert!(error.contains("poison"), "{error}");
    // Findings are found by the settings before, and nobody changes these meanwhile.
    let other = Some(json!({"mode": "manual"}));
    lab.call(Method::PATCH, &path, other).await.expect(409);
    lab.wire.poison(None);
    upload(&lab, "First", 40).await;
    lab.settle().await;
    assert_eq!(shop(&lab, "First").await.0.len(), before.len());

    let resume = format!("{path_of_job}resume/");
    lab.call(Method::POST, &resume, None).await.expect(202);
    let job = run_to_the_end(&lab, &level["rehash_job"]).await;
    assert_eq!(
        (&job["state"], &job["counts"]["changed"]),
        (&json!("done"), &json!(40))
    );
    let (after, _) = shop(&lab, "First").await;
    for (was, is) in before.iter().zip(&after) {
        assert_eq!((was.id, was.flags), (is.id, is.flags));
        assert_eq!((is.keys.len(), is.hash_code.len()), (1, 32));
    }
    lab.holdings("Shop").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_change_before_any_write_of_the_parser_count_for_its_report() {
    let lab = Lab::start().await;
    upload(&lab, "First", 40).await;
    lab.settle().await;
    let (_, path) = shop(&lab, "First").await;
    let mut writes = 0;
    for nth in 0..100 {
        let findings = 41 + nth;
        let (algorithm, name, len) = if nth % 2 == 0 {
            (HashAlgorithm::Md5, "md5", 32)
        } else {
            (HashAlgorithm::Sha256, "sha256", 64)
        };
        upload(&lab, "First", findings).await;
        let uploads = lab.take(Queue::Uploads).await;
        let [report] = uploads.as_slice() else {
            panic!("one report: {uploads:?}");
        };
        let gate = lab.wire.gate_at(nth);
        let changed = async {
            gate.reached().await;
            let level = change(&lab, &path, json!({"hash_algorithm": name})).await;
            // The job goes as far as it can while the parser stands still.
            loop {
                let messages = lab.take(Queue::Findings).await;
                if messages.is_empty() {
                    break;
                }
                for message in messages {
                    assert!(lab.deliver(&message, 1).await);
                }
            }
            gate.open();
            level["rehash_job"].clone()
        };
        let mut parsed = pin!(lab.deliver(report, 1));
        let (mut handled, job) = tokio::select! {
            handled = &mut parsed => {
                assert!(handled);
                break; // it makes no more writes than that
            }
            job = changed => (parsed.await, job),
        };
        writes += 1;
        for receives in 2..=5 {
            if !handled {
                handled = lab.deliver(report, receives).await;
            }
        }
        assert!(handled, "change before write {nth}");
        assert_eq!(run_to_the_end(&lab, &job).await["state"], "done");

        let (stored, _) = shop(&lab, "First").await;
        assert_eq!(
            stored.len() as u64,
            findings,
            "change before write {nth}: none twice"
        );
        for finding in &stored {
            assert!(finding.flags.active, "change before write {nth}");
            assert_eq!((finding.keys.len(), finding.hash_code.len()), (1, len));
        }
        upload(&lab, "First", findings).await;
        lab.settle().await;
        let product = lab.product("Shop").await.unwrap().id;
        let imports = lab.imports(product).await;
        let last = imports.last().unwrap();
        let settings = last.settings.as_ref().unwrap();
        assert_eq!(settings.hash_algorithm, algorithm);
        assert_eq!(shop(&lab, "First").await.0.len() as u64, findings);
        lab.holdings("Shop").await;
    }
    assert!(writes >= 5, "{writes} writes");
}
