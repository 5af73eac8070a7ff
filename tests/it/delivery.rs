//! Messages that come twice, come late, or cannot be handled.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;
use tatami_domain::{Finding, ImportId};
use tatami_queue::{Outgoing, Reported};
use tatami_tests::{Local, generic_report};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_event_twice_is_one_import() {
    let local = Local::start().await;
    let services = &local.stack.services;
    // S3 delivered the event once; the parser is called by hand with it, twice more.
    let import = local
        .client
        .import("import-scan", &[], "r.json", generic_report(0, 60))
        .await;
    let key = import["key"].as_str().unwrap();
    let event = json!({"Records": [{
        "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "awsRegion": "eu-west-1",
        "eventVersion": "2.1", "eventTime": "2026-11-01T10:00:00.000Z",
        "s3": {"bucket": {"name": services.blobs.uploads_bucket()},
               "object": {"key": key, "size": 1, "sequencer": "1"}}}]});
    // the import is done; the SLA of its product is still summed up
    let mut before = services.store.usage();
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = services.store.usage();
        if now.requests == before.requests {
            break;
        }
        before = now;
    }
    tatami_parser::handle(services, event.clone())
        .await
        .unwrap();
    tatami_parser::handle(services, event).await.unwrap();
    let written = services.store.usage().write_units - before.write_units;
    assert!(
        written < 0.5,
        "a second delivery writes nothing, not {written} units"
    );
    assert_eq!(local.client.findings("").await.len(), 60);
    local.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poison_message_fails_its_import_and_nobody_elses() {
    let local = Local::start().await;
    let services = &local.stack.services;
    let good = local
        .client
        .import("import-scan", &[], "r.json", generic_report(0, 10))
        .await;
    assert_eq!(good["state"], "done");
    // An import whose only message nobody can read.
    let import = tatami_domain::Import::default();
    let import = services.store.create_import(import).await.unwrap();
    let poison = Outgoing {
        body: json!({"version": 999, "import": import.id}).to_string(),
        import: Some(import.id),
    };
    services.findings.send([poison]).await.unwrap();
    let failed = local
        .eventually("the failure", || async {
            let import = services.store.import(import.id).await.unwrap();
            import.error
        })
        .await;
    assert!(failed.message.contains("version 999"), "{}", failed.message);
    assert!(failed.hint.unwrap().contains("dead-letter queue"));
    let good = local
        .client
        .get(&format!("imports/{}/", good["id"]))
        .await
        .expect(200);
    assert_eq!(good["state"], "done");
    local.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_that_come_again_change_nothing() {
    let local = Local::start().await;
    let services = &local.stack.services;
    local
        .client
        .import("import-scan", &[], "r.json", generic_report(0, 100))
        .await;
    // Another import whose parts are delivered by hand, each three times and backwards.
    let mut import = services.store.import(ImportId(1)).await.unwrap();
    import.options.kind = tatami_domain::ImportKind::Import;
    import.state = tatami_domain::ImportState::Processing;
    let import = services.store.create_import(import).await.unwrap();
    let mut findings = Vec::new();
    let blocks = services
        .store
        .test_blocks(import.test.unwrap())
        .await
        .unwrap();
    for mut finding in services.store.findings_in(&blocks).await.unwrap() {
        finding.title.push_str(" again");
        finding.keys = vec![format!("h-again-{:04}", finding.id)];
        finding.duplicate_finding = None;
        findings.push(finding);
    }
    findings.sort_by(|a, b| a.keys.cmp(&b.keys));
    let parts: Vec<String> = (0u64..)
        .zip(findings.chunks(40))
        .map(|(part, some)| {
            let reported = |chunk: &[Finding]| chunk.iter().cloned().map(Reported::from).collect();
            let chunks = some.chunks(20).map(reported).collect();
            let message = tatami_queue::FindingsMessage::Part {
                import: import.id,
                part,
                chunks,
            };
            tatami_queue::write(&message).unwrap()
        })
        .collect();
    services
        .store
        .set_parts(import.id, 0..parts.len() as u64, parts.len() as u64)
        .await
        .unwrap();
    for body in parts.iter().rev().flat_map(|body| [body, body, body]) {
        let event = json!({"Records": [{
            "messageId": "m", "body": body, "eventSource": "aws:sqs",
            "attributes": {"ApproximateReceiveCount": "1"}, "messageAttributes": {}}]});
        let answer = tatami_dedup::handle(services, event).await.unwrap();
        assert_eq!(answer["batchItemFailures"], json!([]));
    }
    let done = services.store.import(import.id).await.unwrap();
    assert_eq!(done.state, tatami_domain::ImportState::Done);
    assert_eq!(done.counts.created, 100);
    let all = local.client.findings("").await;
    assert_eq!(all.len(), 200);
    let counted = services
        .store
        .product_counts(done.product.unwrap())
        .await
        .unwrap();
    let blocks = services
        .store
        .test_blocks(done.test.unwrap())
        .await
        .unwrap();
    let stored = services.store.findings_in(&blocks).await.unwrap();
    assert_eq!(stored.len(), 200);
    let recount: tatami_domain::SeverityCounts = stored.iter().collect();
    assert_eq!(counted, recount, "counts equal a recount");
    local.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_uploads_at_once_make_one_product_and_one_engagement() {
    let local = Local::start().await;
    let blobs = &local.stack.services.blobs;
    let uploads = (0..4).map(|n| {
        let key = format!("inbox/Same product/Same engagement/test {n}/r.json");
        async move {
            blobs
                .put_upload(&key, generic_report(0, 20).into_bytes(), HashMap::new())
                .await
        }
    });
    for upload in uploads {
        upload.await.unwrap();
    }
    for id in 1..=4 {
        let client = &local.client;
        local
            .eventually("an import", || async {
                let answer = client.get(&format!("imports/{id}/")).await;
                (answer.status == 200 && answer.body["state"] == "done").then_some(())
            })
            .await;
    }
    let products = local
        .client
        .get("products/?name_exact=Same%20product")
        .await
        .expect(200);
    assert_eq!(products["count"], 1);
    let engagements = local.client.get("engagements/").await.expect(200);
    assert_eq!(engagements["count"], 1);
    assert_eq!(
        local.client.findings("duplicate=false").await.len(),
        20,
        "one original a key"
    );
    assert_eq!(local.client.findings("duplicate=true").await.len(), 60);
    local.stack.stop().await;
}
