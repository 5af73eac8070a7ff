//! Lists, numbers and tables.

use serde_json::json;

use super::{LIST, accept, findings, get, ids, in_days, names};
use crate::app::TestApp;

#[tokio::test]
async fn lists_are_filtered_and_ordered() {
    let app = TestApp::start().await;
    let [product, engagement, test] = app.tree().await;
    let own = findings(&app, test, 4).await;
    for (n, more) in [
        json!({"accepted_by": "Ann", "decision": "A", "expiration_date": in_days(5)}),
        json!({"accepted_by": "Bob", "decision": "T", "expiration_date": in_days(25),
               "recommendation": "V", "restart_sla_expired": true}),
        json!({"decision_details": "Long Story", "expiration_date": in_days(80)}),
        json!({"reactivate_expired": false, "expiration_date": null}),
    ]
    .into_iter()
    .enumerate()
    {
        let mut body = json!({"name": format!("n{n}"), "accepted_findings": [own[n]]});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        let (status, made) = app.post(LIST, body).await;
        assert_eq!(status, 201, "{made}");
    }
    let third = get(&app, &format!("{LIST}?name=n2")).await["results"][0].clone();
    app.post(&format!("{LIST}{}/expire/", third["id"]), json!({}))
        .await;
    let (_, note) = app
        .post(
            &format!("{LIST}{}/notes/", third["id"]),
            json!({"entry": "so it is"}),
        )
        .await;
    let (from, to) = (in_days(5), in_days(25));
    for (query, wanted) in [
        (String::new(), "n0 n1 n2 n3"),
        ("o=-name".into(), "n3 n2 n1 n0"),
        ("o=-expiration_date,name".into(), "n3 n2 n1 n0"),
        ("name=n1".into(), "n1"),
        ("name=N1".into(), ""),
        ("name__icontains=N".into(), "n0 n1 n2 n3"),
        ("accepted_by=Ann".into(), "n0"),
        ("accepted_by__icontains=o".into(), "n1"),
        ("decision=T".into(), "n1"),
        ("decision=A&state=active".into(), "n0 n3"),
        ("recommendation=V".into(), "n1"),
        ("decision_details=Long%20Story".into(), "n2"),
        ("decision_details__icontains=long".into(), "n2"),
        ("owner=1".into(), "n0 n1 n2 n3"),
        ("owner=2".into(), ""),
        ("reactivate_expired=false".into(), "n3"),
        ("restart_sla_expired=true".into(), "n1"),
        (format!("accepted_findings={},{}", own[0], own[3]), "n0 n3"),
        (format!("notes={}", note["id"]), "n2"),
        (format!("product={product}"), "n0 n1 n2 n3"),
        (format!("product={}", product + 1), ""),
        (format!("engagement={engagement}"), "n0 n1 n2 n3"),
        (format!("engagement={}", engagement + 1), ""),
        (format!("expiration_date={from}"), "n0"),
        (format!("expiration_date__gt={from}"), "n1 n2"),
        (format!("expiration_date__gte={from}"), "n0 n1 n2"),
        (format!("expiration_date__lt={to}"), "n0"),
        (format!("expiration_date__lte={to}"), "n0 n1"),
        (format!("expiration_date_handled__gt={}", in_days(-1)), "n2"),
        (format!("expiration_date_handled__lt={}", in_days(-1)), ""),
        (format!("expiration_date_warned__gte={}", in_days(-1)), ""),
        ("created=1".into(), "n0 n1 n2 n3"),
        (format!("created__gt={}", in_days(1)), ""),
        (format!("updated__lte={}", in_days(1)), "n0 n1 n2 n3"),
        ("state=active".into(), "n0 n1 n3"),
        ("state=expired".into(), "n2"),
        ("expires_within=7".into(), "n0"),
        ("expires_within=30".into(), "n0 n1"),
        ("expires_within=90".into(), "n0 n1"),
    ] {
        assert_eq!(names(&app, &query).await.join(" "), wanted, "{query}");
    }
    for wrong in [
        "state=open",
        "expires_within=soon",
        "expires_within=0",
        "expiration_date__gt=x",
    ] {
        assert_eq!(app.get(&format!("{LIST}?{wrong}")).await.0, 400, "{wrong}");
    }
    let page = get(&app, &format!("{LIST}?limit=2&o=name")).await;
    assert_eq!(page["count"], 4);
    assert_eq!(page["results"].as_array().unwrap().len(), 2);
    assert_eq!(ids(&page["results"][1]["accepted_findings"]), own[1..2]);
    assert!(page["next"].as_str().unwrap().contains("offset=2"));
}

#[tokio::test]
async fn numbers_and_tables() {
    let app = TestApp::start().await;
    let [product, _, test] = app.tree().await;
    let own = findings(&app, test, 4).await;
    let critical = app
        .finding(test, json!({"severity": "Critical", "title": "c"}))
        .await;
    for (n, days) in [(0, Some(5)), (1, Some(25)), (2, None)] {
        let body = json!({
            "name": format!("n{n}"), "accepted_findings": [own[n]], "decision_details": "=cmd",
            "expiration_date": days.map(in_days),
        });
        assert_eq!(app.post(LIST, body).await.0, 201);
    }
    let expired = accept(&app, "over", &[critical]).await;
    app.post(&format!("{LIST}{}/expire/", expired["id"]), json!({}))
        .await;
    let summary = get(&app, &format!("{LIST}summary/")).await;
    assert_eq!(
        summary,
        json!({
            "severities": {
                "Critical": {"accepted": 0, "open": 1}, "High": {"accepted": 3, "open": 1},
                "Medium": {"accepted": 0, "open": 0}, "Low": {"accepted": 0, "open": 0},
                "Info": {"accepted": 0, "open": 0},
            },
            "accepted": 3, "open": 2, "active": 3, "expired": 1, "removed": 0,
            "never_expiring": 1, "expiring_in_7_days": 1, "expiring_in_30_days": 2,
            "expiring_in_90_days": 2,
        })
    );
    let of_other = get(&app, &format!("{LIST}summary/?product={}", product + 1)).await;
    assert_eq!(
        (&of_other["accepted"], &of_other["active"]),
        (&json!(0), &json!(0))
    );
    let rows = get(&app, &format!("{LIST}export/?o=-name")).await;
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 4);
    assert_eq!(rows[0]["name"], "over");
    assert_eq!(
        (&rows[0]["state"], &rows[0]["critical"]),
        (&json!("expired"), &json!(1))
    );
    assert_eq!(
        (&rows[1]["owner"], &rows[1]["product_name"]),
        (&json!("admin"), &json!("Shop"))
    );
    assert_eq!(rows[1]["accepted_findings"], own[2].to_string());
    let some = get(
        &app,
        &format!("{LIST}export/?format=json&expires_within=7&limit=1"),
    )
    .await;
    assert_eq!(some[0]["name"], "n0");
    assert_eq!(some.as_array().unwrap().len(), 1);
    assert_eq!(app.get(&format!("{LIST}export/?format=pdf")).await.0, 400);
}
