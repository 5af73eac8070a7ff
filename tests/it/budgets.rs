//! What imports cost in DynamoDB, in counts that don't depend on the machine.

use tatami_store::Usage;
use tatami_tests::{Local, generic_report};

async fn cost(local: &Local, endpoint: &str, n: usize) -> Usage {
    let store = &local.stack.services.store;
    let before = store.usage();
    local
        .client
        .import(endpoint, &[], "r.json", generic_report(0, n))
        .await;
    // counts are folded and the SLA reckoned just after the import is done
    let mut last = store.usage();
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let now = store.usage();
        if now.write_units.to_bits() == last.write_units.to_bits() {
            return Usage {
                requests: now.requests - before.requests,
                read_units: now.read_units - before.read_units,
                write_units: now.write_units - before.write_units,
            };
        }
        last = now;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn write_units_of_a_thousand_findings() {
    let local = Local::start().await;
    let new = cost(&local, "reimport-scan", 1000).await;
    assert!(new.write_units <= 4_500.0, "{new:?} for 1,000 new findings");
    assert!(
        new.write_units >= 4_000.0,
        "{new:?}: two items a finding cost two units each"
    );
    let unchanged = cost(&local, "reimport-scan", 1000).await;
    assert!(
        unchanged.write_units <= 20.0,
        "{unchanged:?} for 1,000 unchanged findings"
    );
    let duplicates = cost(&local, "import-scan", 1000).await;
    assert!(
        duplicates.write_units <= 4_500.0,
        "{duplicates:?} for 1,000 duplicates"
    );
    local.stack.stop().await;
}
