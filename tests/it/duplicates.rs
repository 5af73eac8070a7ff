//! Duplicates by hand, between imports and at the same time.

use std::collections::HashMap;

use serde_json::{Value, json};
use tatami_domain::{Finding, FindingId, ProductId, SeverityCounts, TestId};
use tatami_tests::{Client, Local};

/// A report with findings of these titles.
fn report(titles: &[&str]) -> String {
    let findings: Vec<Value> = (titles.iter())
        .map(|title| json!({"title": title, "severity": "High", "description": "d", "cwe": 79}))
        .collect();
    json!({"findings": findings}).to_string()
}

async fn import(client: &Client, titles: &[&str]) -> Value {
    client
        .import("import-scan", &[], "r.json", report(titles))
        .await
}

async fn reset(client: &Client, finding: u64) -> u16 {
    let path = format!("findings/{finding}/duplicate/reset/");
    client.post(&path, json!({})).await.status
}

async fn set_original(client: &Client, of: u64, new: u64) -> u16 {
    let path = format!("findings/{of}/original/{new}/");
    client.post(&path, json!({})).await.status
}

async fn link(client: &Client, original: u64, finding: u64) -> u16 {
    let body = json!({"original": original, "findings": [finding]});
    client.post("findings/link/", body).await.status
}

/// Reads everything anew: no chains, nothing dangling, and counts equal a recount.
async fn check(local: &Local) -> HashMap<FindingId, Finding> {
    let store = &local.stack.services.store;
    let mut all = HashMap::new();
    for test in 1.. {
        let blocks = store.test_blocks(TestId(test)).await.unwrap();
        if blocks.is_empty() {
            break;
        }
        let stored = store.findings_in(&blocks).await.unwrap();
        let own: Vec<Finding> = (stored.into_iter())
            .filter(|f| f.test == TestId(test))
            .collect();
        let counted = store.test_counts(ProductId(1), TestId(test)).await.unwrap();
        assert_eq!(
            counted,
            own.iter().collect::<SeverityCounts>(),
            "test {test}"
        );
        all.extend(own.into_iter().map(|finding| (finding.id, finding)));
    }
    let counted = store.product_counts(ProductId(1)).await.unwrap();
    assert_eq!(counted, all.values().collect::<SeverityCounts>());
    for finding in all.values() {
        assert_eq!(finding.flags.duplicate, finding.duplicate_finding.is_some());
        if let Some(original) = finding.duplicate_finding {
            assert!(!finding.flags.active);
            let original = all.get(&original).expect("the original is there");
            assert!(!original.flags.duplicate, "a chain at {}", finding.id);
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_original_with_many_duplicates_is_deleted() {
    let local = Local::start().await;
    let client = &local.client;
    import(client, &["Stored XSS"; 131]).await;
    let original = client.findings("duplicate=false").await;
    assert_eq!(original.len(), 1);
    let original = original[0]["id"].as_u64().unwrap();
    client
        .patch(&format!("findings/{original}/"), json!({"verified": true}))
        .await
        .expect(200);
    let heir = client.findings("duplicate=true&o=id").await[0]["id"].clone();
    let delete = client.delete(&format!("findings/{original}/")).await;
    assert_eq!(delete.status, 204, "{:#}", delete.body);
    let all = check(&local).await;
    assert_eq!(all.len(), 130);
    let left = client.findings("duplicate=false").await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["id"], heir);
    assert_eq!(
        (&left[0]["active"], &left[0]["verified"]),
        (&json!(true), &json!(true))
    );
    let duplicates = client.findings("duplicate=true").await;
    assert!(duplicates.iter().all(|f| f["duplicate_finding"] == heir));

    let later = import(client, &["Stored XSS"]).await;
    assert_eq!(later["counts"]["duplicates"], 1);
    let newest = &client.findings("o=-id").await[0];
    assert_eq!(newest["duplicate_finding"], heir);
    check(&local).await;
    local.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_that_was_cut_off_is_finished_by_the_next() {
    let local = Local::start().await;
    let client = &local.client;
    import(client, &["Stored XSS"; 131]).await;
    let store = &local.stack.services.store;
    let original = client.findings("duplicate=false").await[0]["id"]
        .as_u64()
        .unwrap();
    let heir = client.findings("duplicate=true&o=id").await[0]["id"]
        .as_u64()
        .unwrap();
    // The first transaction of the deletion, and nothing after it: the successor is in its place, the
    // others still point to the one before.
    let (root, next) = (
        store.finding(original.into()).await.unwrap(),
        store.finding(heir.into()).await.unwrap(),
    );
    let mut promoted = next.clone();
    promoted.flags = root.flags;
    promoted.duplicate_finding = None;
    let mut demoted = root.clone();
    demoted.flags = next.flags;
    demoted.duplicate_finding = Some(heir.into());
    let update = |old: Finding, new: Finding| tatami_store::Change::Update {
        old: Box::new(old),
        new: Box::new(new),
    };
    let scope = tatami_store::Scope::Product(ProductId(1));
    let keys = next.keys.iter().map(String::as_str);
    let mut claims: Vec<_> = store
        .claims(scope, keys)
        .await
        .unwrap()
        .into_values()
        .collect();
    for claim in &mut claims {
        for (finding, original) in [(&root, false), (&next, true)] {
            claim.mark(tatami_store::Member {
                test: finding.test,
                finding: finding.id,
                original,
            });
        }
    }
    let commit = tatami_store::Commit {
        product: ProductId(1),
        changes: vec![update(root, demoted), update(next, promoted)],
        claims,
        notes: Vec::new(),
        events: Vec::new(),
        marker: None,
        unique: "cut-off".into(),
    };
    let committed = store.commit(&commit).await.unwrap();
    assert_eq!(committed, tatami_store::Committed::Yes);
    // an import that comes now finds the successor
    import(client, &["Stored XSS"]).await;
    assert_eq!(client.findings("o=-id").await[0]["duplicate_finding"], heir);
    client
        .delete(&format!("findings/{original}/"))
        .await
        .expect(204);
    let all = check(&local).await;
    assert_eq!(all.len(), 131);
    let behind = all
        .values()
        .filter(|f| f.duplicate_finding == Some(heir.into()));
    assert_eq!(behind.count(), 130);
    local.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imports_follow_what_people_decided() {
    let local = Local::start().await;
    let client = &local.client;
    import(
        client,
        &["Reflected XSS", "Script injection", "Template injection"],
    )
    .await;
    let by_title = |title: &'static str| async move {
        let found = client.findings(&format!("exact_title={title}&o=id")).await;
        found[0]["id"].as_u64().unwrap()
    };
    let reflected = by_title("reflected%20xss").await;
    let script = by_title("script%20injection").await;
    let template = by_title("template%20injection").await;
    assert_eq!(link(client, reflected, script).await, 200);
    assert_eq!(link(client, script, template).await, 200);
    assert_eq!(link(client, script, reflected).await, 400, "a loop");
    // what people made the same is the same in later reports
    let second = import(client, &["Script injection", "Template injection"]).await;
    assert_eq!(second["counts"]["duplicates"], 2);
    let newest = client.findings("o=-id&duplicate=true").await;
    assert!(
        newest[..2]
            .iter()
            .all(|f| f["duplicate_finding"] == reflected)
    );
    // another original, and the one before is gone
    assert_eq!(set_original(client, template, script).await, 204);
    client
        .delete(&format!("findings/{reflected}/"))
        .await
        .expect(204);
    import(client, &["Template injection", "Script injection"]).await;
    let newest = client.findings("o=-id&duplicate=true").await;
    assert!(
        newest[..2].iter().all(|f| f["duplicate_finding"] == script),
        "{newest:#?}"
    );
    // what was taken apart stands alone
    assert_eq!(reset(client, template).await, 204);
    import(client, &["Template injection"]).await;
    assert_eq!(
        client.findings("o=-id").await[0]["duplicate_finding"],
        template
    );
    check(&local).await;

    // a re-import recognises a finding that was changed by hand, since it keeps its identity
    let test = client.findings(&format!("id={script}")).await[0]["test"].to_string();
    let before = client.findings("").await.len();
    let path = format!("findings/{script}/");
    let changed = client
        .patch(&path, json!({"title": "Script injection in search"}))
        .await;
    let changed = changed.expect(200);
    let explained = client
        .get(&format!("{path}duplicate/explain/"))
        .await
        .expect(200);
    assert_eq!(explained["changed_since"], true);
    assert_eq!(explained["hash_code"], changed["hash_code"]);
    let again = report(&["Script injection", "Template injection"]);
    let extra = [("test", test.as_str()), ("close_old_findings", "false")];
    let again = client
        .import("reimport-scan", &extra, "r.json", again)
        .await;
    assert_eq!(again["counts"]["created"], 0, "{again:#}");
    assert_eq!(client.findings("").await.len(), before);
    check(&local).await;
    local.stack.stop().await;
}

/// Does a pseudo-random choice of operations on some findings.
async fn meddle(client: Client, seed: u64, findings: Vec<u64>, deletes: bool) {
    let mut state = seed;
    let mut next = |n: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % n
    };
    for round in 0..12 {
        let (a, b) = (
            findings[next(findings.len())],
            findings[next(findings.len())],
        );
        let status = match next(4) {
            0 | 1 => link(&client, a, b).await,
            2 => reset(&client, a).await,
            _ if deletes && round % 4 == 3 => client.delete(&format!("findings/{a}/")).await.status,
            _ => set_original(&client, a, b).await,
        };
        assert!(matches!(status, 200 | 204 | 400 | 404 | 409), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_stays_sound_when_many_change_it_at_once() {
    let local = Local::start().await;
    let client = &local.client;
    let titles = ["A", "A", "A", "B", "B", "C", "D", "E"];
    import(client, &titles).await;
    let ids: Vec<u64> = (client.findings("o=id").await.iter())
        .map(|finding| finding["id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids.len(), 8);
    for deletes in [false, true] {
        let tasks: Vec<_> = (1..=5)
            .map(|seed| tokio::spawn(meddle(client.clone(), seed, ids.clone(), deletes)))
            .collect();
        // and reports come in all the time
        for _ in 0..3 {
            let import = import(client, &["A", "B", "C"]).await;
            assert_eq!(import["state"], "done");
        }
        for task in tasks {
            task.await.unwrap();
        }
        let there = check(&local).await.len();
        if deletes {
            assert!(
                (18..26).contains(&there),
                "some of the first eight are gone, not {there} left"
            );
        } else {
            assert_eq!(there, 8 + 9);
        }
    }
    // a last report finds an original for each of its keys or becomes one
    import(client, &titles).await;
    check(&local).await;
    local.stack.stop().await;
}
