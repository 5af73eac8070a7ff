//! Settings change, findings get new keys, and back again.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tatami_domain::{
    Finding, ImportId, ImportState, ProductId, RehashJobId, ResolvedDedupe, SeverityCounts,
};
use tatami_queue::{FindingsMessage, Outgoing};
use tatami_tests::Local;

/// Forty findings of four components, told apart only by title and description.
fn report() -> String {
    let findings: Vec<Value> = (0..40)
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
    let blocks = local.stack.services.store.view(None).await.unwrap();
    (blocks.iter().flat_map(|block| block.iter()))
        .map(|finding| (finding.id.0, Finding::clone(finding)))
        .collect()
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

/// Messages that come again, and such as nobody sent yet, change nothing.
async fn deliver_again(local: &Local, job: u64) {
    for step in [0, 0, 1, 7] {
        let message = FindingsMessage::Rehash {
            job: RehashJobId(job),
            step,
        };
        let body = tatami_queue::write(&message).unwrap();
        let message = Outgoing { body, import: None };
        let sender = &local.stack.services.findings;
        sender.send([message]).await.unwrap();
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
