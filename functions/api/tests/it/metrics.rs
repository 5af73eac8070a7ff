//! Metrics by part of the product tree, tag and day, in their formats.

use axum::body::Body;
use http::{Method, Request, header};
use http_body_util::BodyExt as _;
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use serde_json::{Value, json};

use crate::app::{TOKEN, TestApp};

fn days_ago(days: i32) -> String {
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    today.checked_sub(days.days()).unwrap().to_string()
}

/// Another engagement and test of a product.
async fn another(app: &TestApp, product: u64) -> [u64; 2] {
    let engagement = json!({
        "name": "Pentest", "product": product,
        "target_start": "2026-01-01", "target_end": "2026-12-31",
    });
    let (_, engagement) = app.post("engagements/", engagement).await;
    let test = json!({
        "engagement": engagement["id"], "test_type": 1, "title": "t2",
        "target_start": "2026-01-01", "target_end": "2026-01-02T10:00:00Z",
    });
    let (_, test) = app.post("tests/", test).await;
    [&engagement, &test].map(|thing| thing["id"].as_u64().unwrap())
}

#[tokio::test]
async fn they_are_those_of_the_findings_that_are_asked_for() {
    let app = TestApp::start().await;
    let [product, engagement, test] = app.tree().await;
    let [pentest, other] = another(&app, product).await;
    let high = json!({"title": "a", "date": days_ago(40), "tags": ["Web"], "cvssv3_score": 7.5});
    app.finding(test, high).await;
    let fixed =
        json!({"title": "b", "severity": "Critical", "date": days_ago(10), "tags": ["web", "pci"]});
    let fixed = app.finding(test, fixed).await;
    let close = json!({"is_mitigated": true, "mitigated": format!("{}T12:00:00Z", days_ago(4))});
    app.post(&format!("findings/{fixed}/close/"), close).await;
    app.finding(
        other,
        json!({"title": "c", "severity": "Low", "date": days_ago(2)}),
    )
    .await;

    let (status, all) = app.get("metrics/").await;
    assert_eq!(status, 200, "{all}");
    let open = json!({"all": 2, "critical": 0, "high": 1, "medium": 0, "low": 1, "info": 0});
    assert_eq!(all["counts"]["open"], open);
    assert_eq!(all["counts"]["total"]["all"], 3);
    assert_eq!(all["fixed"]["last_30_days"]["critical"], 1);
    assert_eq!(
        all["cvss"],
        json!({"mean": 7.5, "n": 1, "without_score": 1})
    );
    let fixed_in = json!({"n": 1, "mean": 6.0, "median": 6.0, "p90": 6});
    assert_eq!(all["mttr"]["all"], fixed_in);
    assert_eq!(all["mttr"]["high"]["mean"], Value::Null);
    assert_eq!(all["ageing"]["high"]["days_30_to_59"], 1);
    // 40 days are too many for a high one, 6 few enough for a critical one
    let sla = &all["sla"]["all"];
    assert_eq!(
        (&sla["breached"], &sla["within"], &sla["compliance"]),
        (&json!(1), &json!(1), &json!(0.5))
    );
    assert_eq!(all["remediation"]["all"]["rate"], json!(1.0 / 3.0));

    for (query, open) in [
        (format!("product={product}"), 2),
        (format!("engagement={engagement}"), 1),
        (format!("engagement={engagement},{pentest}"), 2),
        (format!("test={other}"), 1),
        (format!("test={other}&engagement={engagement}"), 0),
        ("tag=WEB".into(), 1),
        ("tag=pci".into(), 0),
        ("product_type=1".into(), 2),
    ] {
        let (status, part) = app.get(&format!("metrics/?{query}")).await;
        assert_eq!(
            (status.as_u16(), &part["counts"]["open"]["all"]),
            (200, &json!(open)),
            "{query}"
        );
    }
    let range = format!("from={}&to={}", days_ago(12), days_ago(3));
    let (_, some) = app.get(&format!("metrics/?step=week&{range}")).await;
    assert_eq!(
        some["remediation"]["all"],
        json!({"fixed": 1, "open": 0, "rate": 1.0})
    );
    let periods = some["trend"]["periods"].as_array().unwrap();
    let sum = |name: &str| -> u64 {
        periods
            .iter()
            .map(|period| period[name]["all"].as_u64().unwrap())
            .sum()
    };
    assert_eq!((sum("opened"), sum("closed")), (1, 1));
    assert_eq!(periods[0]["from"], days_ago(12));
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let app = TestApp::start().await;
    let [_, _, _] = app.tree().await;
    for (query, status, field) in [
        ("as_of=2999-01-01", 400, "as_of"),
        ("as_of=yesterday", 400, "as_of"),
        ("from=2026-02-01&to=2026-01-01", 400, "to"),
        ("step=day", 400, "step"),
        ("format=pdf", 400, "format"),
        ("product=x", 400, "product"),
        ("product=99", 404, "detail"),
        ("product_type=99", 404, "detail"),
        ("engagement=99", 404, "detail"),
        ("test=99", 404, "detail"),
    ] {
        let (got, answer) = app.get(&format!("metrics/?{query}")).await;
        assert_eq!(got, status, "{query}: {answer}");
        assert!(!answer[field].is_null(), "{query}: {answer}");
    }
    for query in ["o=colour", "limit=0", "limit=x"] {
        let path = format!("metrics/products/?{query}");
        assert_eq!(app.get(&path).await.0, 400, "{query}");
    }
}

#[tokio::test]
async fn as_of_a_day_everything_is_as_it_was() {
    let mut app = TestApp::start().await;
    let [product, _, test] = app.tree().await;
    let real = app.services.store.clone();
    let back = |app: &mut TestApp, days: i64| {
        app.services.store = real
            .clone()
            .with_clock(move || Timestamp::now() - (24 * days).hours());
        app.set(|_| {});
    };
    back(&mut app, 40);
    let first = app
        .finding(test, json!({"title": "a", "date": days_ago(40)}))
        .await;
    let second = app
        .finding(test, json!({"title": "b", "date": days_ago(40)}))
        .await;
    back(&mut app, 20);
    app.post(&format!("findings/{first}/close/"), json!({}))
        .await;
    app.patch(&format!("findings/{second}/"), json!({"severity": "Low"}))
        .await;
    back(&mut app, 0);
    let path = format!("findings/{second}/");
    assert_eq!(app.call(Method::DELETE, &path, None).await.0, 204);
    let (_, now) = app.get(&format!("metrics/?product={product}")).await;
    assert_eq!(
        (
            &now["counts"]["open"]["all"],
            &now["counts"]["total"]["all"]
        ),
        (&json!(0), &json!(1))
    );
    let mut seen = Vec::new();
    for days in [41, 40, 21, 20, 1] {
        let (_, then) = app.get(&format!("metrics/?as_of={}", days_ago(days))).await;
        assert_eq!(then["today"], days_ago(days));
        let open = &then["counts"]["open"];
        seen.push([
            open["high"].as_u64().unwrap(),
            open["low"].as_u64().unwrap(),
        ]);
    }
    assert_eq!(seen, [[0, 0], [2, 0], [2, 0], [0, 1], [0, 1]]);
    // the trend knows how many were open when
    let range = format!("from={}&to={}&step=week", days_ago(45), days_ago(0));
    let (_, trend) = app.get(&format!("metrics/?{range}")).await;
    let open: Vec<_> = (trend["trend"]["periods"].as_array().unwrap().iter())
        .map(|period| period["open"]["all"].as_i64().unwrap())
        .collect();
    assert_eq!((open.iter().max(), open.last()), (Some(&2), Some(&0)));
}

#[tokio::test]
async fn they_come_as_tables_too() {
    let app = TestApp::start().await;
    let [_, _, test] = app.tree().await;
    app.finding(test, json!({"title": "a"})).await;
    let answer = |path: &'static str| {
        let request = Request::get(format!("/api/v2/{path}"))
            .header("authorization", format!("Token {TOKEN}"))
            .body(Body::empty());
        app.response(request.unwrap())
    };
    let csv = answer("metrics/?format=csv").await;
    assert!(
        csv.headers()[header::CONTENT_TYPE]
            .to_str()
            .unwrap()
            .starts_with("text/csv")
    );
    let name = csv.headers()[header::CONTENT_DISPOSITION]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(name.contains("metrics.csv"), "{name}");
    let words = csv.into_body().collect().await.unwrap().to_bytes();
    let words = String::from_utf8_lossy(&words).into_owned();
    assert!(words.contains("\r\ncounts.open,high,,,1"), "{words}");
    assert!(words.contains("sla.compliance,all,,,0"), "{words}");
    let products = answer("metrics/products/?format=csv").await;
    let words = products.into_body().collect().await.unwrap().to_bytes();
    let words = String::from_utf8_lossy(&words).into_owned();
    assert!(words.contains("Shop,D,1,0,1,"), "{words}");
    let book = answer("metrics/products/?format=xlsx").await;
    let bytes = book.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(&bytes[..2], b"PK");
    let (_, rows) = app.get("metrics/products/?o=grade").await;
    let row = &rows["results"][0];
    assert_eq!(
        (
            &row["name"],
            &row["grade"],
            &row["letter"],
            &row["open"]["high"]
        ),
        (&json!("Shop"), &json!(60), &json!("D"), &json!(1))
    );
    let (status, board) = app.get("metrics/dashboard/").await;
    assert_eq!(status, 200, "{board}");
    assert_eq!(board["products"]["results"], rows["results"]);
    let kinder = json!({"product_grade_c": 60, "product_grade_d": 50});
    app.patch("system_settings/1/", kinder).await;
    let (_, rows) = app.get("metrics/products/").await;
    assert_eq!(rows["results"][0]["letter"], "C");
    assert_eq!(board["metrics"]["counts"]["open"]["all"], 1);
}

#[tokio::test]
async fn tiers_by_exploitation_count_in_metrics() {
    let app = TestApp::start().await;
    let [product, _, test] = app.tree().await;
    let tiers = json!({"name": "Tiers", "known_exploited_days": 3});
    let (_, tiers) = app.post("sla_configurations/", tiers).await;
    let own = json!({"sla_configuration": tiers["id"]});
    app.patch(&format!("products/{product}/"), own).await;
    let finding = json!({"title": "a", "date": days_ago(10), "known_exploited": true});
    app.finding(test, finding).await;
    app.finding(test, json!({"title": "b", "date": days_ago(10)}))
        .await;
    let (_, metrics) = app.get("metrics/").await;
    let sla = &metrics["sla"]["all"];
    assert_eq!((&sla["breached"], &sla["on_track"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn one_sees_those_of_what_one_sees() {
    let app = TestApp::start().await;
    let [product, engagement, test] = app.tree().await;
    let [_, other] = another(&app, product).await;
    app.finding(test, json!({"title": "a"})).await;
    app.finding(other, json!({"title": "b"})).await;
    let (_, user) = app
        .post(
            "users/",
            json!({"username": "reader", "email": "r@b.example"}),
        )
        .await;
    let (_, token) = app
        .post("tokens/", json!({"name": "t", "user": user["id"]}))
        .await;
    let secret = token["token"].as_str().unwrap().to_owned();
    let see = |path: &'static str| {
        let request = Request::get(format!("/api/v2/{path}"))
            .header("authorization", format!("Token {secret}"))
            .body(Body::empty());
        app.send(request.unwrap())
    };
    let (_, none) = see("metrics/").await;
    assert_eq!(none["counts"]["total"]["all"], 0);
    let (_, roles) = app.get("roles/?name=Reporter").await;
    let role = &roles["results"][0]["id"];
    let member = json!({"engagement": engagement, "user": user["id"], "role": role});
    let (status, answer) = app.post("engagement_members/", member).await;
    assert_eq!(status, 201, "{answer}");
    let mut app = app;
    app.set(|_| {}); // what somebody may do is known anew
    let see = |path: String| {
        let request = Request::get(format!("/api/v2/{path}"))
            .header("authorization", format!("Token {secret}"))
            .body(Body::empty());
        app.send(request.unwrap())
    };
    for path in ["metrics/".to_owned(), format!("metrics/?product={product}")] {
        let (_, own) = see(path).await;
        assert_eq!(own["counts"]["total"]["all"], 1, "{own}");
    }
    assert_eq!(see(format!("metrics/?test={other}")).await.0, 404);
}
