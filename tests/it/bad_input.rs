//! Reports that cannot be imported: a clear error, and nothing lost.

use serde_json::Value;
use tatami_tests::{Answer, Local, generic_report};

const TARGET: [(&str, &str); 3] = [
    ("product_name", "Web shop"),
    ("engagement_name", "Nightly"),
    ("auto_create_context", "true"),
];

async fn refused(local: &Local, extra: &[(&str, &str)], name: &str, file: &[u8]) -> Answer {
    let fields: Vec<_> = TARGET.iter().chain(extra).copied().collect();
    local
        .client
        .post_file("import-scan/", &fields, name, file)
        .await
}

/// The raw report is kept and the import says what is wrong.
async fn explained(local: &Local, answer: &Answer, wanted: &str) -> Value {
    assert_eq!(answer.status, 400, "{:#}", answer.body);
    let id = answer.body["import_id"]
        .as_u64()
        .expect("the import is kept");
    let import = local
        .client
        .get(&format!("imports/{id}/"))
        .await
        .expect(200);
    assert_eq!(import["state"], "failed");
    let error = import["error"].to_string().to_lowercase();
    assert!(error.contains(wanted), "\"{wanted}\" is not in {error}");
    let key = import["key"].as_str().expect("the raw report's key");
    let blobs = &local.stack.services.blobs;
    assert!(
        blobs.open(blobs.uploads_bucket(), key).await.is_ok(),
        "the raw report is kept"
    );
    import
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_reports_are_refused_with_a_place_and_a_hint() {
    let local = Local::start().await;
    let report = generic_report(0, 50);
    let answer = refused(
        &local,
        &[("scan_type", "Generic Findings Import")],
        "r.json",
        &report.as_bytes()[..5000],
    )
    .await;
    let import = explained(&local, &answer, "cut off").await;
    assert!(import["error"]["line"].as_u64().is_some(), "{import:#}");

    let zap = "<?xml version=\"1.0\"?><OWASPZAPReport version=\"2.16\"><site name=\"http://a\"><alerts><alertitem>";
    let answer = refused(
        &local,
        &[("scan_type", "ZAP Scan")],
        "zap.xml",
        zap.as_bytes(),
    )
    .await;
    explained(&local, &answer, "cut off").await;

    let dtd = "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY a \"b\">]><OWASPZAPReport version=\"2.16\">&a;</OWASPZAPReport>";
    let answer = refused(
        &local,
        &[("scan_type", "ZAP Scan")],
        "zap.xml",
        dtd.as_bytes(),
    )
    .await;
    explained(&local, &answer, "doctype").await;

    let answer = refused(
        &local,
        &[("scan_type", "Trivy Scan")],
        "r.json",
        report.as_bytes(),
    )
    .await;
    explained(&local, &answer, "generic findings import").await;

    let answer = refused(&local, &[], "r.bin", b"\x00\x01\x02 nobody knows this").await;
    explained(&local, &answer, "no scanner recognises").await;

    assert!(local.client.findings("").await.is_empty());
    local.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_requests_say_what_is_wrong() {
    let local = Local::start().await;
    let empty = refused(&local, &[], "r.json", b"").await;
    assert_eq!(empty.status, 400, "{:#}", empty.body);
    assert!(empty.body.to_string().contains("empty"), "{:#}", empty.body);
    let unknown = refused(&local, &[("scan_type", "No Such Scan")], "r.json", b"{}").await;
    assert_eq!(unknown.status, 400);
    assert!(
        unknown.body["scan_type"]
            .to_string()
            .contains("No Such Scan"),
        "{:#}",
        unknown.body
    );
    let fields = [("product_name", "Nowhere"), ("engagement_name", "E")];
    let report = generic_report(0, 1);
    let answer = local
        .client
        .post_file("import-scan/", &fields, "r.json", report.clone())
        .await;
    assert_eq!(answer.status, 400);
    assert!(
        answer.body[0].as_str().unwrap().contains("Nowhere"),
        "{:#}",
        answer.body
    );
    let answer = local
        .client
        .post_file("import-scan/", &fields[..1], "r.json", report)
        .await;
    assert_eq!(
        answer.body,
        serde_json::json!(["engagement_name parameter missing"])
    );
    local.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_broken_record_is_a_warning_and_the_others_are_kept() {
    let local = Local::start().await;
    let report = r#"{"findings":[
        {"title":"good","severity":"High","description":"d"},
        {"severity":"High","description":"d"},
        {"title":"also good","severity":"Low","description":"d"}]}"#;
    let import = local
        .client
        .import("import-scan", &[], "r.json", report)
        .await;
    assert_eq!(import["state"], "done", "{import:#}");
    assert_eq!(import["counts"]["created"], 2, "{import:#}");
    assert_eq!(import["warnings_total"], 1);
    assert!(
        import["warnings"][0]["record"]
            .as_str()
            .unwrap()
            .contains('1')
    );
    local.stack.stop().await;
}
