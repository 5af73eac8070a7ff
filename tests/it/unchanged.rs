//! The same file twice changes nothing.

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use tatami_domain::Finding;
use tatami_tests::model::{Asked, Model, Reported};
use tatami_tests::play::Report;
use tatami_tests::{Lab, Row, generic_report, seed};

async fn stored(lab: &Lab, product: &str) -> (Vec<Finding>, Vec<Row>) {
    let id = lab.product(product).await.unwrap().id;
    let mut findings = Vec::new();
    for test in lab.tests(id).await.into_values() {
        findings.extend(lab.findings(test.id).await);
    }
    (findings, lab.holdings(product).await.rows)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_file_twice_writes_its_own_records_and_nothing_else() {
    let lab = Lab::patient().await;
    let options = [("mode", "reimport".to_owned())];
    let report = generic_report(0, 300);
    lab.upload("P", "E", &options, report.clone()).await;
    lab.settle_reports().await;
    let before = stored(&lab, "P").await;
    let used = lab.services.store.usage();
    lab.wire.take_calls();
    lab.upload("P", "E", &options, report.clone()).await;
    lab.settle_reports().await;
    let now = lab.services.store.usage();
    let calls = lab.wire.take_calls();
    // Findings are compared whole: their texts, their version, their last_status_update.
    assert_eq!(stored(&lab, "P").await, before);
    let writes = now.write_units - used.write_units;
    // the event that it is through takes five of them
    assert!(writes <= 20.0, "{writes} write units, {calls:?}");
    assert!(now.requests - used.requests <= 75, "{calls:?}");
    let transactions = calls.get("TransactWriteItems").copied().unwrap_or(0);
    assert!(transactions <= 2, "{calls:?}");
    let product = lab.product("P").await.unwrap().id;
    let imports = lab.imports(product).await;
    assert_eq!(imports[1].counts.untouched, 300);

    let mut backwards: serde_json::Value = serde_json::from_str(&report).unwrap();
    backwards["findings"].as_array_mut().unwrap().reverse();
    lab.upload("P", "E", &options, backwards.to_string()).await;
    lab.settle().await;
    assert_eq!(stored(&lab, "P").await, before);
}

/// Scanners that run in parallel write their findings as they come, some of them several times and each
/// time a little different.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_of_a_report_changes_nothing() {
    let lab = Lab::start().await;
    let findings: Vec<Reported> = (0..60u8)
        .map(|n| Reported {
            severity: n % 5,
            endpoint: (n % 4 < 2).then_some(n % 3),
            component: (n % 7 < 3).then_some(n % 2),
            verified: n % 11 == 0,
            ..Reported::open(n % 13)
        })
        .collect();
    for again in [false, true] {
        let mut first = None;
        for seed in seed::seeds(6) {
            let _witness = seed::Witness::new("the_order_of_a_report", seed);
            let mut report = Report {
                again,
                engagement: 0,
                into: None,
                findings: findings.clone(),
                asked: Asked::default(),
            };
            report.findings.shuffle(&mut StdRng::seed_from_u64(seed));
            let product = format!("Product {again} {seed}");
            report.upload(&lab, &product, &Model::default()).await;
            lab.settle().await;
            let holdings = lab.holdings(&product).await;
            assert!(!holdings.rows.is_empty());
            assert_eq!(*first.get_or_insert_with(|| holdings.clone()), holdings);
        }
    }
}
