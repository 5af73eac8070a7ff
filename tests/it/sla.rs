//! The SLA through the pipeline, and day by day.

use axum::http::Method;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tatami_domain::EventKind;
use tatami_tests::{Death, Lab, Local, generic_report};

fn days_from(time: Timestamp, days: i64) -> Timestamp {
    time + SignedDuration::from_hours(24 * days)
}

fn day(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).date().to_string()
}

async fn daily(lab: &Lab, now: Timestamp) -> bool {
    Box::pin(tatami_sla::daily(&lab.services, now))
        .await
        .is_ok()
}

/// A product with a critical finding that was found on a day; it's due seven days later.
async fn critical(lab: &Lab, product: &str, found: Timestamp) {
    let report = json!({"findings": [
        {"title": "Open door", "severity": "Critical", "description": "d", "date": day(found)},
    ]});
    lab.upload(product, "Nightly", &[], report.to_string())
        .await;
    lab.settle().await;
}

/// What the events of a day say of due findings: the product, and how many are due soon, today, and late.
async fn told(lab: &Lab, at: Timestamp) -> Vec<(String, [u64; 3])> {
    let date = at.to_zoned(TimeZone::UTC).date();
    let events = lab.services.store.events(date).await.unwrap();
    let due = events
        .iter()
        .filter(|event| event.kind == EventKind::SlaDue);
    due.map(|event| {
        let count = |part: &str| event.data[part]["count"].as_u64().unwrap();
        let name = event.data["product_name"].as_str().unwrap().to_owned();
        (name, ["due_soon", "due_today", "breached"].map(count))
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finding_is_told_of_before_on_and_after_its_day_once_a_day() {
    let lab = Lab::start().await;
    let found = Timestamp::now();
    critical(&lab, "Shop", found).await;
    let mut seen = Vec::new();
    for days in 0..20 {
        let now = days_from(found, days);
        for _ in 0..2 {
            assert!(daily(&lab, now).await);
        }
        for (product, counts) in told(&lab, now).await {
            assert_eq!(product, "Shop");
            seen.push((days, counts));
        }
    }
    let before = (4, [1, 0, 0]);
    let on = (7, [0, 1, 0]);
    let after = (8..=14).map(|days| (days, [0, 0, 1]));
    let wanted: Vec<_> = [before, on].into_iter().chain(after).collect();
    assert_eq!(seen, wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_missed_is_told_when_the_schedule_runs_again() {
    let lab = Lab::start().await;
    let found = Timestamp::now();
    critical(&lab, "Shop", found).await;
    assert!(daily(&lab, days_from(found, 2)).await);
    let now = days_from(found, 6);
    assert!(daily(&lab, now).await);
    assert_eq!(told(&lab, now).await, [("Shop".to_owned(), [1, 0, 0])]);
    // and one that is switched off is not told of
    let product = lab.product("Shop").await.unwrap().id;
    let quiet = json!({"disable_sla_breach_notifications": true});
    let path = format!("products/{product}/");
    lab.call(Method::PATCH, &path, Some(quiet))
        .await
        .expect(200);
    let now = days_from(found, 7);
    assert!(daily(&lab, now).await);
    assert_eq!(told(&lab, now).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_cut_off_is_gone_on_with_and_tells_nothing_twice() {
    let found = Timestamp::now();
    // a write for each product, and one more than there are
    let deaths = [Death::Before, Death::After];
    for (nth, death) in (0..4).flat_map(|nth| deaths.map(|death| (nth, death))) {
        let lab = Lab::start().await;
        for product in ["A", "B", "C"] {
            critical(&lab, product, found).await;
        }
        let now = days_from(found, 7);
        lab.wire.die_at(nth, death);
        daily(&lab, now).await;
        assert_eq!(lab.wire.live().is_some(), nth < 3, "{nth}");
        assert!(daily(&lab, now).await);
        let all: Vec<_> = ["A", "B", "C"]
            .map(|name| (name.to_owned(), [0, 1, 0]))
            .into();
        assert_eq!(told(&lab, now).await, all, "cut off at write {nth}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_daily_run_reads_each_finding_once_and_late() {
    const FINDINGS: usize = 2_000;
    let lab = Lab::patient().await;
    lab.upload("Shop", "Nightly", &[], generic_report(0, FINDINGS))
        .await;
    lab.settle().await;
    let store = &lab.services.store;
    let mut reads = Vec::new();
    let now = days_from(Timestamp::now(), 1);
    for _ in 0..2 {
        let before = store.usage().read_units;
        assert!(daily(&lab, now).await);
        reads.push((store.usage().read_units - before) / FINDINGS as f64);
    }
    assert!(reads[0] <= 0.15, "{reads:?} read units for each finding");
    assert!(reads[0] >= 0.05, "{reads:?}: less than the findings are");
    assert!(reads[1] <= 0.01, "{reads:?}: they were read again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_late_is_reported() {
    let lab = Lab::start().await;
    let now = Timestamp::now();
    critical(&lab, "Shop", days_from(now, -10)).await;
    critical(&lab, "Mall", days_from(now, -6)).await;
    critical(&lab, "Yard", now).await;
    let get = |path: &'static str| lab.call(Method::GET, path, None);
    let page = get("sla_breaches/").await.expect(200);
    let late = &page["results"][0];
    assert_eq!(
        (&page["count"], &late["product_name"]),
        (&json!(1), &json!("Shop"))
    );
    assert_eq!(
        (&late["sla_days_remaining"], &late["sla_expiration_date"]),
        (&json!(-3), &json!(day(days_from(now, -3))))
    );
    for (query, count) in [
        ("due_within=1", 2),
        ("due_within=30", 3),
        ("due_within=30&severity=Low", 0),
        ("due_within=30&product_name=Mall", 1),
    ] {
        let page: Value = lab
            .call(Method::GET, &format!("sla_breaches/?{query}"), None)
            .await
            .expect(200);
        assert_eq!(page["count"], count, "{query}");
    }
    get("sla_breaches/?due_within=-1").await.expect(400);
    get("sla_breaches/?format=pdf").await.expect(400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_report_reopens_starts_anew_where_the_configuration_says_so() {
    let local = Local::start().await;
    let client = &local.client;
    for restarts in [false, true] {
        let name = format!("restarts: {restarts}");
        let configuration = json!({"name": name, "restart_sla_on_reactivation": restarts});
        let configuration = client
            .post("sla_configurations/", configuration)
            .await
            .expect(201);
        let kind = client
            .post("product_types/", json!({"name": name}))
            .await
            .expect(201);
        let product = json!({
            "name": name, "description": "d", "prod_type": kind["id"],
            "sla_configuration": configuration["id"],
        });
        client.post("products/", product).await.expect(201);
        let send = |day: &'static str, n: usize| {
            let name = name.clone();
            async move {
                let fields = [("product_name", name.as_str()), ("scan_date", day)];
                let report = generic_report(0, n);
                client
                    .import("reimport-scan", &fields, "report.json", report)
                    .await
            }
        };
        send("2026-01-01", 3).await;
        send("2026-02-01", 1).await;
        let import = send("2026-03-01", 2).await;
        assert_eq!(import["counts"]["reactivated"], 1, "{import:#}");
        let reopened = format!("findings/?product_name={name}&active=true&o=id").replace(' ', "+");
        let page = client.get(&reopened).await.expect(200);
        assert_eq!(page["count"], 2, "{page:#}");
        let starts: Vec<_> = (page["results"].as_array().unwrap().iter())
            .map(|finding| finding["sla_start_date"].clone())
            .collect();
        let anew = if restarts {
            json!("2026-03-01")
        } else {
            json!(null)
        };
        assert_eq!(starts, [json!(null), anew]);
    }
    local.stack.stop().await;
}
