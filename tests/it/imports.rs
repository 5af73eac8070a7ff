//! Reports and what becomes of their findings.

use std::collections::HashMap;

use serde_json::{Value, json};
use tatami_tests::{Local, generic_report};

fn titles(findings: &[Value]) -> Vec<&str> {
    let mut titles: Vec<&str> = findings
        .iter()
        .filter_map(|f| f["title"].as_str())
        .collect();
    titles.sort_unstable();
    titles
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_dropped_into_s3_becomes_findings() {
    let local = Local::start().await;
    let trivy = include_str!("../fixtures/trivy.json");
    local
        .stack
        .services
        .blobs
        .put_upload(
            "inbox/Web shop/Nightly/Images/trivy.json",
            trivy.as_bytes().to_vec(),
            HashMap::new(),
        )
        .await
        .unwrap();
    let client = &local.client;
    let found = local
        .eventually("the findings", || async {
            let page = client
                .get("findings/?product_name=Web%20shop")
                .await
                .expect(200);
            (page["count"] == 3).then_some(page)
        })
        .await;
    let first = &found["results"][0];
    assert_eq!(first["severity"], "Critical", "worst first");
    assert_eq!(first["active"], true);
    let test = client
        .get(&format!("tests/{}/", first["test"]))
        .await
        .expect(200);
    assert_eq!(test["title"], "Images");
    let import = client.imported(1).await;
    assert_eq!(import["state"], "done");
    assert_eq!(import["scan_type"], "Trivy Scan");
    assert_eq!(import["counts"]["created"], 3);

    // The same object once more: a re-import that finds everything as it was.
    local
        .stack
        .services
        .blobs
        .put_upload(
            "inbox/Web shop/Nightly/Images/trivy.json",
            trivy.as_bytes().to_vec(),
            HashMap::new(),
        )
        .await
        .unwrap();
    let import = local
        .eventually("the second import", || async {
            let answer = client.get("imports/2/").await;
            (answer.status == 200 && answer.body["state"] == "done").then_some(answer.body)
        })
        .await;
    assert_eq!(import["counts"]["untouched"], 3);
    assert_eq!(client.findings("").await.len(), 3);
    local.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_import_is_all_duplicates() {
    let local = Local::start().await;
    let client = &local.client;
    let report = generic_report(0, 130);
    let first = client
        .import("import-scan", &[], "r.json", report.clone())
        .await;
    assert_eq!(first["counts"]["created"], 130);
    assert_eq!(first["counts"]["duplicates"], 0);
    let second = client.import("import-scan", &[], "r.json", report).await;
    assert_eq!(second["counts"]["created"], 130);
    assert_eq!(second["counts"]["duplicates"], 130);
    assert_ne!(first["test"], second["test"]);
    let duplicates = client.findings("duplicate=true").await;
    assert_eq!(duplicates.len(), 130);
    let originals = client.findings("duplicate=false").await;
    let by_id: HashMap<u64, &Value> = originals
        .iter()
        .map(|f| (f["id"].as_u64().unwrap(), f))
        .collect();
    for duplicate in &duplicates {
        let original = by_id[&duplicate["duplicate_finding"].as_u64().unwrap()];
        assert_eq!(original["title"], duplicate["title"]);
        assert_eq!(duplicate["active"], false);
    }
    local.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reimport_follows_the_table() {
    let local = Local::start().await;
    let client = &local.client;
    // numbers 0..60, then 10..70: ten are gone, ten are new
    let first = client
        .import("reimport-scan", &[], "r.json", generic_report(0, 60))
        .await;
    assert_eq!(first["counts"]["created"], 60);
    let second = client
        .import("reimport-scan", &[], "r.json", generic_report(10, 60))
        .await;
    let counts = &second["counts"];
    assert_eq!(
        json!([
            counts["created"],
            counts["closed"],
            counts["untouched"],
            counts["reactivated"]
        ]),
        json!([10, 10, 50, 0])
    );
    let closed = client.findings("is_mitigated=true").await;
    assert_eq!(closed.len(), 10);
    assert!(
        closed
            .iter()
            .all(|f| f["active"] == false && !f["mitigated"].is_null())
    );
    let notes = client
        .get(&format!("findings/{}/notes/", closed[0]["id"]))
        .await
        .expect(200);
    assert!(
        notes["notes"][0]["entry"]
            .as_str()
            .unwrap()
            .starts_with("Closed"),
        "{notes:#}"
    );

    // Somebody judges one; it stays so, whatever the reports say.
    let judged = &closed[0]["id"];
    client
        .patch(&format!("findings/{judged}/"), json!({"false_p": true}))
        .await
        .expect(200);
    let keep = [("do_not_reactivate", "true")];
    let third = client
        .import("reimport-scan", &keep, "r.json", generic_report(0, 70))
        .await;
    assert_eq!(third["counts"]["reactivated"], 0);
    assert_eq!(client.findings("is_mitigated=true").await.len(), 10);
    let fourth = client
        .import("reimport-scan", &[], "r.json", generic_report(0, 70))
        .await;
    assert_eq!(fourth["counts"]["reactivated"], 9);
    assert_eq!(fourth["counts"]["untouched"], 61);
    let mitigated = client.findings("is_mitigated=true").await;
    assert_eq!(mitigated.len(), 1);
    assert_eq!(&mitigated[0]["id"], judged);
    let all = client.findings("").await;
    assert_eq!(all.len(), 70);
    // statistics are those of a recount
    let active = all.iter().filter(|f| f["active"] == true).count();
    assert_eq!(fourth["statistics"]["after"]["total"]["active"], active);
    assert_eq!(fourth["statistics"]["before"]["total"]["total"], 70);
    local.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_may_close_what_other_tests_had() {
    let local = Local::start().await;
    let client = &local.client;
    client
        .import("import-scan", &[], "r.json", generic_report(0, 20))
        .await;
    let close = [("close_old_findings", "true")];
    let second = client
        .import("import-scan", &close, "r.json", generic_report(5, 20))
        .await;
    assert_eq!(second["counts"]["closed"], 5);
    assert_eq!(second["counts"]["duplicates"], 15);
    let closed = client.findings("is_mitigated=true").await;
    assert_eq!(
        titles(&closed),
        (0..5)
            .map(|n| format!("Outdated library number {n}"))
            .collect::<Vec<_>>()
    );
    // what comes back after it was closed is a new original
    let third = client
        .import("import-scan", &[], "r.json", generic_report(0, 5))
        .await;
    assert_eq!(third["counts"]["duplicates"], 0);
    local.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn findings_below_the_minimum_severity_are_left_out() {
    let local = Local::start().await;
    let options = [
        ("minimum_severity", "High"),
        ("tags", "ci,main"),
        ("apply_tags_to_findings", "true"),
    ];
    let import = local
        .client
        .import("import-scan", &options, "r.json", generic_report(0, 50))
        .await;
    assert_eq!(import["counts"]["created"], 20);
    let tagged = local.client.findings("tags=ci").await;
    assert_eq!(tagged.len(), 20);
    assert!(
        tagged
            .iter()
            .all(|f| f["severity"] == "Critical" || f["severity"] == "High")
    );
    local.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_filtered_ordered_and_cut_with_an_exact_count() {
    let local = Local::start().await;
    let client = &local.client;
    client
        .import("import-scan", &[], "r.json", generic_report(0, 100))
        .await;
    let page = client
        .get("findings/?limit=10&offset=5&o=-title&severity=Low,High")
        .await
        .expect(200);
    assert_eq!(page["count"], 40);
    assert_eq!(page["results"].as_array().unwrap().len(), 10);
    assert!(page["next"].as_str().unwrap().contains("severity=Low"));
    let listed: Vec<&str> = page["results"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|f| f["title"].as_str())
        .collect();
    let mut sorted = listed.clone();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    assert_eq!(listed, sorted);
    let beyond = client
        .get("findings/?limit=10&offset=5000")
        .await
        .expect(200);
    assert_eq!(beyond["count"], 100);
    assert_eq!(beyond["results"], json!([]));
    let one = client.findings("component_name=lib3&o=id").await;
    assert_eq!(one.len(), 11, "a part of the name is enough");
    let third = one
        .iter()
        .find(|f| f["title"] == "Outdated library number 3")
        .unwrap();
    let description = third["description"].as_str().unwrap();
    assert!(
        description.contains("(case 3)"),
        "the long text comes from its pack: {description}"
    );
    assert_eq!(client.get("findings/?severity=Awful").await.status, 400);
    local.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_shows_each_change_at_once() {
    let local = Local::start().await;
    let client = &local.client;
    client
        .import("import-scan", &[], "r.json", generic_report(0, 80))
        .await;
    // more changes than are kept unfolded, each seen in the very next list
    for (n, finding) in client.findings("o=id").await.iter().enumerate() {
        let change = if n % 2 == 0 {
            json!({"is_mitigated": true, "active": false})
        } else {
            json!({"verified": true})
        };
        client
            .patch(&format!("findings/{}/", finding["id"]), change)
            .await
            .expect(200);
        let mitigated = client
            .get("findings/?limit=1&is_mitigated=true")
            .await
            .expect(200);
        assert_eq!(mitigated["count"], n / 2 + 1);
    }
    let verified = client.findings("verified=true").await;
    assert_eq!(verified.len(), 40);
    let store = &local.stack.services.store;
    let counted = store
        .product_counts(tatami_domain::ProductId(1))
        .await
        .unwrap();
    let blocks = store.test_blocks(tatami_domain::TestId(1)).await.unwrap();
    let stored = store.findings_in(&blocks).await.unwrap();
    let recount: tatami_domain::SeverityCounts = stored.iter().collect();
    assert_eq!(counted, recount, "counts equal a recount");
    assert_eq!(
        (counted.total().is_mitigated, counted.total().verified),
        (40, 40)
    );
    local.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_big_report_goes_by_a_presigned_link() {
    let local = Local::start().await;
    let client = &local.client;
    let ask = json!({"product_name": "Big", "engagement_name": "E", "auto_create_context": true, "file_name": "big.json"});
    let upload = client.post("uploads/", ask).await.expect(201);
    let url = upload["url"].as_str().unwrap().to_owned();
    let headers = upload["headers"].as_object().unwrap().clone();
    let put = tokio::task::spawn_blocking(move || {
        let mut request = ureq::put(&url);
        for (name, value) in &headers {
            if !name.eq_ignore_ascii_case("host") && !name.eq_ignore_ascii_case("content-length") {
                request = request.header(name, value.as_str().unwrap());
            }
        }
        request
            .send(generic_report(0, 500))
            .map(|r| r.status().as_u16())
    });
    assert_eq!(put.await.unwrap().unwrap(), 200);
    let import = client.imported(upload["import_id"].as_u64().unwrap()).await;
    assert_eq!(import["counts"]["created"], 500, "{import:#}");
    local.stack.stop().await;
}
