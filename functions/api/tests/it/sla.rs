//! SLA configurations, and findings held against them.

use http::Method;
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use serde_json::{Value, json};

use crate::app::TestApp;

fn days_ago(days: i32) -> String {
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    today.checked_sub(days.days()).unwrap().to_string()
}

async fn left(app: &TestApp, finding: u64) -> Value {
    let (_, finding) = app.get(&format!("findings/{finding}/")).await;
    finding["sla_days_remaining"].clone()
}

#[tokio::test]
async fn a_change_of_the_configuration_counts_at_once_and_writes_no_finding() {
    let app = TestApp::start().await;
    let [product, _, test] = app.tree().await;
    let finding = app.finding(test, json!({"date": days_ago(10)})).await;
    assert_eq!(left(&app, finding).await, 20);
    let strict = json!({"name": "Strict", "high": 5});
    let (status, strict) = app.post("sla_configurations/", strict).await;
    assert_eq!(status, 201, "{strict}");
    assert_eq!(
        (&strict["critical"], &strict["enforce_low"]),
        (&json!(7), &json!(true))
    );
    let path = format!("products/{product}/");
    let (_, before) = app.get(&path).await;
    assert_eq!(before["sla_configuration"], 1);
    let change = json!({"sla_configuration": strict["id"]});
    let (status, changed) = app.patch(&path, change).await;
    assert_eq!(
        (status.as_u16(), &changed["sla_configuration"]),
        (200, &strict["id"])
    );
    assert_eq!(left(&app, finding).await, -5);
    for list in ["findings", "products"] {
        let (_, outside) = app.get(&format!("{list}/?outside_of_sla=true")).await;
        assert_eq!(outside["count"], 1, "{list}");
        let (_, inside) = app.get(&format!("{list}/?outside_of_sla=false")).await;
        assert_eq!(inside["count"], 0, "{list}");
    }
    // one high finding
    for (query, count) in [
        ("prod_numeric_grade=60", 1),
        ("prod_numeric_grade=100", 0),
        ("tid=0", 1),
    ] {
        let (_, page) = app.get(&format!("products/?{query}")).await;
        assert_eq!(page["count"], count, "{query}");
    }

    let writes = app.services.store.usage().write_units;
    let of_strict = format!("sla_configurations/{}/", strict["id"]);
    app.patch(&of_strict, json!({"high": 12})).await;
    // the configuration, the stamp, and the entry in the audit log
    let units = app.services.store.usage().write_units - writes;
    assert!(units <= 13.0, "{units}");
    assert_eq!(left(&app, finding).await, 2);
    app.patch(&of_strict, json!({"enforce_high": false})).await;
    assert_eq!(left(&app, finding).await, Value::Null);
    let kev = json!({"known_exploited_days": 3, "likely_exploited_days": 9});
    app.patch(&of_strict, kev).await;
    let path = format!("findings/{finding}/");
    app.patch(&path, json!({"epss_score": 0.7})).await;
    assert_eq!(left(&app, finding).await, -1);
    app.patch(&path, json!({"known_exploited": true})).await;
    assert_eq!(left(&app, finding).await, -7);
}

#[tokio::test]
async fn what_is_used_or_counts_for_all_stays() {
    let app = TestApp::start().await;
    let [product, ..] = app.tree().await;
    let (_, own) = app
        .post("sla_configurations/", json!({"name": "Own"}))
        .await;
    let (status, again) = app
        .post("sla_configurations/", json!({"name": "own "}))
        .await;
    assert_eq!(status, 400, "{again}");
    let path = format!("products/{product}/");
    app.patch(&path, json!({"sla_configuration": own["id"]}))
        .await;
    let of_own = format!("sla_configurations/{}/", own["id"]);
    let delete = |path: String| async { app.call(Method::DELETE, &{ path }, None).await.0 };
    assert_eq!(delete(of_own.clone()).await, 409);
    assert_eq!(delete("sla_configurations/1/".into()).await, 409);
    app.patch(&path, json!({"sla_configuration": 1})).await;
    assert_eq!(delete(of_own).await, 204);
    let (status, answer) = app
        .patch(&path, json!({"sla_configuration": own["id"]}))
        .await;
    assert_eq!(status, 400, "{answer}");
    for wrong in [
        json!({"name": "x", "critical": -1}),
        json!({"name": "x", "likely_exploited_epss": 1.5}),
        json!({"critical": 1}),
    ] {
        assert_eq!(app.post("sla_configurations/", wrong).await.0, 400);
    }
}

#[tokio::test]
async fn what_was_mitigated_in_time_stays_so() {
    let app = TestApp::start().await;
    let [_, _, test] = app.tree().await;
    let mut ids = Vec::new();
    for (title, mitigated) in [("in time", 70), ("on the day", 10), ("late", 9)] {
        let finding = app
            .finding(
                test,
                json!({"title": title, "date": days_ago(40), "severity": "High"}),
            )
            .await;
        let close = json!({"is_mitigated": true, "mitigated": format!("{}T12:00:00Z", days_ago(mitigated.min(30)))});
        let (status, answer) = app.post(&format!("findings/{finding}/close/"), close).await;
        assert_eq!(status, 200, "{answer}");
        ids.push(finding);
    }
    let (_, within) = app.get("findings/?mitigated_within_sla=true&o=id").await;
    let found: Vec<&Value> = within["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| &f["id"])
        .collect();
    assert_eq!(found, [&json!(ids[0]), &json!(ids[1])]);
    let (_, late) = app.get("findings/?mitigated_within_sla=false").await;
    assert_eq!(late["count"], 1);
    assert_eq!(late["results"][0]["mitigated_within_sla"], false);
    assert_eq!(late["results"][0]["sla_days_remaining"], -1);
}
