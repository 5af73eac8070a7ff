//! What is kept about each day against the findings themselves, through random histories.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::Method;
use jiff::civil::Date;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tatami_domain::{Exploitation, Finding, SlaConfiguration};
use tatami_metrics::{Fact, Facts, Measure, Range, Step};
use tatami_store::{Days, Sight};
use tatami_tests::{Lab, generic_report};

const DAYS: u64 = 9;
const FINDINGS: usize = 40;

/// The findings there are now, counted one by one.
async fn recount(lab: &Lab) -> Facts {
    let mut facts = Facts::default();
    let see = |finding: &Arc<Finding>| facts.add(finding);
    lab.services.store.sweep(Sight::All, see).await.unwrap();
    facts
}

fn kept(days: &Days, until: Option<Date>) -> Facts {
    let mut facts = Facts::default();
    days.facts(until, |fact, n| {
        facts.add_fact(fact.clone(), i64::try_from(n).unwrap());
    });
    facts
}

/// Something that people or reports do to findings.
async fn happen(lab: &Lab, random: &mut StdRng) {
    let engagement = ["Nightly", "Release"][random.random_range(0..2)];
    let from = random.random_range(0..FINDINGS);
    let n = random.random_range(1..FINDINGS);
    let product = lab.product("Shop").await;
    if product.is_none() || random.random_bool(0.4) {
        let mode = ["import", "reimport"][random.random_range(0..2)].to_owned();
        let options = [("mode", mode), ("close_old_findings", "true".to_owned())];
        lab.upload("Shop", engagement, &options, generic_report(from, n))
            .await;
        lab.settle().await;
        return;
    }
    let changes = match random.random_range(0..8) {
        0 => json!({"status": "Fixed"}),
        1 => json!({"status": "Open"}),
        2 => json!({"status": "FalsePositive"}),
        3 => json!({"severity": "Critical"}),
        4 => json!({"severity": "Low", "add_tags": ["web"]}),
        5 => json!({"tags": ["pci", "web"]}),
        6 => json!({"status": "OutOfScope"}),
        _ => json!({"delete": true}),
    };
    let limit = random.random_range(1..60);
    let page = format!("findings/?limit={limit}&offset={from}&o=-id&duplicate=false");
    let page = lab.call(Method::GET, &page, None).await.expect(200);
    let ids: Vec<&Value> = page["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| &f["id"])
        .collect();
    if ids.is_empty() {
        return;
    }
    let body = json!({"ids": ids, "changes": changes});
    lab.call(Method::POST, "findings/bulk/", Some(body)).await;
    lab.settle().await;
}

async fn a_random_history(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let lab = Lab::start().await;
    let mut recounts: BTreeMap<Date, Facts> = BTreeMap::new();
    for ago in (0..DAYS).rev() {
        let day = lab.go_back(ago);
        for _ in 0..random.random_range(0..4) {
            happen(&lab, &mut random).await;
            if let Some(product) = lab.product("Shop").await
                && random.random_bool(0.3)
            {
                lab.services.store.fold_counts(product.id).await.unwrap();
            }
        }
        recounts.insert(day, recount(&lab).await);
    }
    let Some(product) = lab.product("Shop").await else {
        return;
    };
    let days = lab.services.store.days(product.id).await.unwrap();
    assert!(days.are_whole(), "seed {seed}");
    assert_eq!(kept(&days, None), recount(&lab).await, "seed {seed}, now");
    let sla = SlaConfiguration::default();
    let due = |fact: &Fact| sla.due_from(fact.severity, fact.sla_start, &Exploitation::default());
    let today = *recounts.last_key_value().unwrap().0;
    for (day, facts) in &recounts {
        assert_eq!(kept(&days, Some(*day)), *facts, "seed {seed}, {day}");
        let mut measure = Measure::new(Range::default(), Step::Month, *day);
        for (fact, n) in facts.iter() {
            measure.add(fact, due(fact), u64::try_from(n).unwrap());
        }
        // read as the answer is: a number may lose its last digit on the way
        let wanted = serde_json::to_string(&measure.finish()).unwrap();
        let wanted: Value = serde_json::from_str(&wanted).unwrap();
        let mut path = format!("metrics/?product={}&as_of={day}", product.id);
        if *day == today {
            path = format!("metrics/?product={}", product.id);
        }
        let got = lab.call(Method::GET, &path, None).await.expect(200);
        for part in [
            "today",
            "counts",
            "fixed",
            "cvss",
            "remediation",
            "mttr",
            "ageing",
            "sla",
        ] {
            assert_eq!(got[part], wanted[part], "seed {seed}, {day}: {part}");
        }
        // at the end of a period that isn't over by then, as many are open as are then
        let periods = got["trend"]["periods"].as_array().unwrap();
        if let Some(last) = periods
            .last()
            .filter(|last| last["to"].as_str() >= Some(&day.to_string()))
        {
            assert_eq!(last["open"], wanted["counts"]["open"], "seed {seed}, {day}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_add_up_to_the_findings_as_they_were() {
    for seed in 0..4 {
        a_random_history(seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dashboard_reads_no_finding() {
    let lab = Lab::patient().await;
    for n in 0..3 {
        let options = [("mode", "import".to_owned())];
        lab.upload(&format!("P{n}"), "E", &options, generic_report(0, 400))
            .await;
    }
    lab.settle().await;
    let store = &lab.services.store;
    let mut reads = Vec::new();
    for _ in 0..2 {
        let before = store.usage().read_units;
        let path = "metrics/dashboard/";
        let answer = lab.call(Method::GET, path, None).await.expect(200);
        assert_eq!(answer["metrics"]["counts"]["total"]["all"], 1200);
        assert_eq!(answer["products"]["count"], 3);
        reads.push(store.usage().read_units - before);
    }
    // 1,200 findings are at least 150 read units
    assert!(reads[0] <= 40.0 && reads[1] <= 30.0, "{reads:?}");
    assert!(
        reads[1] < reads[0],
        "{reads:?}: what was folded is read again"
    );
}
