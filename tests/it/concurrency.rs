//! Many imports of the same report at once.

use std::time::Duration;

use tatami_domain::ImportState;
use tatami_tests::{Lab, generic_report};

/// Longer than any of these may take; what hangs is a deadlock.
const PATIENCE: Duration = Duration::from_mins(10);

/// Uploads the report `n` times at once, into a product and engagement that don't exist yet.
async fn at_once(lab: &Lab, product: &str, mode: &str, n: usize, findings: usize) {
    let report = generic_report(0, findings);
    let options = [
        ("mode", mode.to_owned()),
        ("scan_type", "Generic Findings Import".to_owned()),
        ("test_title", "Nightly".to_owned()),
    ];
    let uploads = (0..n).map(|_| lab.upload(product, "E", &options, report.clone()));
    futures::future::join_all(uploads).await;
    let worked = tokio::time::timeout(PATIENCE, lab.work_off(2 * n)).await;
    worked.expect("no deadlock");
}

/// What came of `n` uploads of `findings` findings: whether they share a test or not.
async fn check(lab: &Lab, product: &str, n: usize, tests: usize, findings: usize) {
    let name = product;
    let holdings = lab.holdings(name).await;
    assert_eq!(holdings.tests.len(), 1, "one engagement");
    assert_eq!(holdings.tests["E"], tests);
    assert_eq!(holdings.rows.len(), tests * findings, "nothing is lost");
    let originals = holdings.rows.iter().filter(|row| row.original.is_none());
    let mut titles: Vec<&str> = originals.map(|row| row.title.as_str()).collect();
    titles.sort_unstable();
    let all = titles.len();
    titles.dedup();
    assert_eq!(
        (all, titles.len()),
        (findings, findings),
        "one original a key"
    );
    let product = lab.product(name).await.unwrap().id;
    let imports = lab.imports(product).await;
    assert_eq!(imports.len(), n);
    assert!(imports.iter().all(|i| i.state == ImportState::Done));
    let created: u64 = imports.iter().map(|i| i.counts.created).sum();
    assert_eq!(created, (tests * findings) as u64);
    // the engagement's tests would not tell of a second product of the same name
    let products = lab
        .services
        .store
        .list::<tatami_domain::Product>()
        .await
        .unwrap();
    assert_eq!(products.iter().filter(|p| p.name == name).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn imports_at_once_make_one_original_a_key() {
    let findings = 5_000;
    let lab = Lab::patient().await;
    for n in [2, 4, 8] {
        let name = format!("Tests of their own {n}");
        at_once(&lab, &name, "import", n, findings).await;
        check(&lab, &name, n, n, findings).await;
        let name = format!("One test {n}");
        at_once(&lab, &name, "reimport", n, findings).await;
        check(&lab, &name, n, 1, findings).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn names_that_many_make_at_once_are_made_once() {
    let lab = Lab::start().await;
    for round in 0..6 {
        let name = format!("Same product {round}");
        at_once(&lab, &name, "reimport", 8, 3).await;
        check(&lab, &name, 8, 1, 3).await;
    }
}
