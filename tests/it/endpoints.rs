//! The endpoints of reports: each once in its product, and cheap.

use std::collections::BTreeSet;

use axum::http::Method;
use serde_json::{Value, json};
use tatami_domain::Finding;
use tatami_tests::{Lab, generic_report};

/// A report whose findings have these endpoints.
fn report(n: usize, endpoints: impl Fn(usize) -> Vec<String>) -> String {
    let mut report: Value = serde_json::from_str(&generic_report(0, n)).unwrap();
    for (at, finding) in report["findings"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .enumerate()
    {
        finding["endpoints"] = json!(endpoints(at));
    }
    report.to_string()
}

async fn findings(lab: &Lab, product: &str) -> Vec<Finding> {
    let product = lab.product(product).await.expect("the product");
    let mut findings = Vec::new();
    for test in lab.tests(product.id).await.into_values() {
        findings.extend(lab.findings(test.id).await);
    }
    findings
}

async fn write_units(lab: &Lab, mode: &str, report: String) -> f64 {
    let store = &lab.services.store;
    let before = store.usage().write_units;
    let options = [("mode", mode.to_owned())];
    lab.upload("Shop", "Nightly", &options, report).await;
    lab.settle_reports().await;
    let used = store.usage().write_units - before;
    println!("{mode}: {used}");
    used
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_of_their_own_cost_little_and_a_shared_one_nothing() {
    let lab = Lab::patient().await;
    let own = |n: usize| {
        vec![format!(
            "https://shop.example:8443/catalogue/{n}/page?item={n}"
        )]
    };
    let used = write_units(&lab, "reimport", report(1000, own)).await;
    assert!(
        used <= 4_215.0,
        "{used} for 1,000 findings with an endpoint each"
    );
    let product = lab.product("Shop").await.unwrap().id;
    let book = lab.services.store.endpoints(product).await.unwrap();
    assert_eq!(book.iter().count(), 1000);
    for finding in findings(&lab, "Shop").await {
        let ids: Vec<_> = finding.endpoints_with_places().map(|(_, id)| id).collect();
        let [id] = ids[..] else { panic!("{ids:?}") };
        assert_eq!(*book.get(id).unwrap().text, *finding.endpoints[0]);
    }
    let again = write_units(&lab, "reimport", report(1000, own)).await;
    assert!(again <= 20.0, "{again} for what is as it was");
    let lab = Lab::patient().await;
    let none = write_units(&lab, "import", report(1000, |_| Vec::new())).await;
    let shared = |_| vec!["https://shop.example/".to_owned()];
    let shared = write_units(&lab, "import", report(1000, shared)).await;
    assert!(
        shared <= none + 10.0,
        "{shared} with one for all, {none} without"
    );
    let product = lab.product("Shop").await.unwrap().id;
    let book = lab.services.store.endpoints(product).await.unwrap();
    assert_eq!(book.iter().count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_endpoints_keep_their_findings_and_get_the_imports_tags() {
    let lab = Lab::patient().await;
    let many = |n: usize| {
        (0..9)
            .map(|m| format!("https://h{}.example/", (n + m) % 12))
            .collect()
    };
    let options = [
        ("tags", "ci,nightly".to_owned()),
        ("apply_tags_to_endpoints", "true".to_owned()),
    ];
    for _ in 0..2 {
        lab.upload("Shop", "Nightly", &options, report(4, many))
            .await;
        lab.settle().await;
    }
    let product = lab.product("Shop").await.unwrap().id;
    let book = lab.services.store.endpoints(product).await.unwrap();
    assert_eq!(book.iter().count(), 12);
    assert!(book.iter().all(|(_, of)| of.tags == ["ci", "nightly"]));
    let findings = findings(&lab, "Shop").await;
    assert_eq!(findings.len(), 4);
    for finding in findings {
        let ids: BTreeSet<_> = finding.endpoints_with_places().map(|(_, id)| id).collect();
        assert_eq!(
            ids.len(),
            9,
            "all of them, not only those that it holds itself"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_of_the_endpoints_of_a_product_that_is_deleted() {
    let lab = Lab::patient().await;
    let own = |n: usize| vec![format!("https://h{n}.example/")];
    lab.upload("Shop", "Nightly", &[], report(3, own)).await;
    lab.settle().await;
    let product = lab.product("Shop").await.unwrap().id;
    let finding = findings(&lab, "Shop").await.remove(0);
    let (place, endpoint) = finding.endpoints_with_places().next().unwrap();
    let path = format!("endpoint_status/{}/", place.id());
    let said = Some(json!({"risk_accepted": true}));
    lab.call(Method::PATCH, &path, said).await.expect(200);
    let value = Some(json!({"endpoint": endpoint, "name": "k", "value": "v"}));
    lab.call(Method::POST, "metadata/", value).await.expect(201);
    let path = format!("products/{product}/");
    lab.call(Method::DELETE, &path, None).await.expect(204);
    let path = format!("endpoints/{endpoint}/");
    lab.call(Method::GET, &path, None).await.expect(404);
    lab.settle().await;
    let left: Vec<String> = lab.everything().await.into_keys().collect();
    for gone in [
        format!("EP#{product} "),
        format!("ES#{product} "),
        "METADATA#".into(),
    ] {
        assert!(
            !left.iter().any(|key| key.starts_with(&gone)),
            "{gone} in {left:?}"
        );
    }
}
