//! What imports cost in DynamoDB, in counts that don't depend on the machine.

use std::path::Path;

use tatami_domain::Finding;
use tatami_store::Usage;
use tatami_tests::{Lab, generic_report};

async fn cost(lab: &Lab, mode: &str, n: usize) -> Usage {
    let store = &lab.services.store;
    let before = store.usage();
    let options = [("mode", mode.to_owned())];
    lab.upload("Web shop", "Nightly", &options, generic_report(0, n))
        .await;
    lab.settle_reports().await;
    let now = store.usage();
    let used = Usage {
        requests: now.requests - before.requests,
        read_units: now.read_units - before.read_units,
        write_units: now.write_units - before.write_units,
    };
    println!("{mode} of {n}: {used:?}");
    used
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn write_units_of_a_thousand_findings() {
    let lab = Lab::patient().await;
    let new = cost(&lab, "reimport", 1000).await;
    // with the events that the import is through and that some are Critical; these name findings, which are
    // read for that
    assert!(new.write_units <= 4_215.0, "{new:?} for 1,000 new findings");
    assert!(
        new.write_units >= 4_000.0,
        "{new:?}: two items a finding cost two units each"
    );
    assert!(new.requests <= 160, "{new:?} for 1,000 new findings");
    let unchanged = cost(&lab, "reimport", 1000).await;
    assert!(
        unchanged.write_units <= 20.0,
        "{unchanged:?} for 1,000 unchanged findings"
    );
    assert!(unchanged.requests <= 75, "{unchanged:?}");
    let duplicates = cost(&lab, "import", 1000).await;
    assert!(
        duplicates.write_units <= 4_215.0,
        "{duplicates:?} for 1,000 duplicates"
    );
    assert!(duplicates.requests <= 150, "{duplicates:?}");
}

/// The bytes of a finding's item: its document, and about 60 for keys, version and names.
fn bytes(finding: &Finding) -> usize {
    serde_json::to_vec(finding).unwrap().len() + 60
}

fn p99(mut sizes: Vec<usize>) -> usize {
    sizes.sort_unstable();
    sizes[(sizes.len() * 99).div_ceil(100) - 1]
}

async fn sizes(lab: &Lab, product: &str) -> Vec<usize> {
    let id = lab.product(product).await.expect("the product").id;
    let mut sizes = Vec::new();
    for test in lab.tests(id).await.into_values() {
        sizes.extend(lab.findings(test.id).await.iter().map(bytes));
    }
    sizes
}

/// What a reader should make of the report beside it, and no report.
fn is_golden(path: &Path) -> bool {
    path.to_string_lossy().ends_with(".golden.json")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_finding_takes_at_most_a_kilobyte() {
    let lab = Lab::patient().await;
    lab.upload("Generated", "E", &[], generic_report(0, 500))
        .await;
    lab.settle().await;
    let generated = p99(sizes(&lab, "Generated").await);
    assert!(
        generated <= 1024,
        "p99 of generated findings: {generated} bytes"
    );
    // Real reports, where they are at hand.
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    for folder in [
        "trivy",
        "sarif",
        "zap",
        "sonarqube",
        "burp",
        "checkmarx",
        "tenable",
    ] {
        let Ok(files) = std::fs::read_dir(corpus.join(folder)) else {
            continue;
        };
        let mut files: Vec<_> = (files.flatten())
            .filter_map(|file| Some((file.metadata().ok()?.len(), file.path())))
            .filter(|(size, path)| *size < 2_000_000 && !is_golden(path))
            .collect();
        files.sort();
        for (_, file) in files.iter().rev().take(2) {
            lab.upload(folder, "E", &[], std::fs::read(file).unwrap())
                .await;
        }
        lab.settle().await;
        if lab.product(folder).await.is_none() {
            continue;
        }
        let sizes = sizes(&lab, folder).await;
        if sizes.is_empty() {
            continue;
        }
        let (count, p99) = (sizes.len(), p99(sizes));
        println!("{folder}: p99 of {count} findings is {p99} bytes");
        assert!(
            p99 <= 1024,
            "{folder}: p99 of {count} findings is {p99} bytes"
        );
    }
}
