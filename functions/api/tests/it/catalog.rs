use serde_json::{Value, json};

use crate::app::TestApp;

#[tokio::test]
async fn a_product_tree_is_made_changed_and_listed() {
    let app = TestApp::start().await;
    let [product, engagement, test] = app.tree().await;
    let (_, answer) = app.get(&format!("products/{product}/")).await;
    assert_eq!(answer["findings_count"], 0);
    assert_eq!(answer["prod_numeric_grade"], 100);
    assert_eq!(answer["enable_full_risk_acceptance"], true);
    let change = json!({"lifecycle": "production", "tags": "a,b", "external_audience": "true"});
    let (status, answer) = app.patch(&format!("products/{product}/"), change).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["tags"], json!(["a", "b"]));
    assert_eq!(
        (&answer["lifecycle"], &answer["external_audience"]),
        (&json!("production"), &json!(true))
    );
    for (query, count) in [
        ("name=sho", 1),
        ("name_exact=sho", 0),
        ("tags=b", 1),
        ("tag=c", 0),
        ("not_tag=a", 0),
        ("lifecycle=production", 1),
        ("prod_type=1", 1),
        ("prod_type=2,3", 0),
        ("created=1", 1),
        ("external_audience=false", 0),
        ("o=-name", 1),
        ("unknown=1", 1),
    ] {
        let (status, page) = app.get(&format!("products/?{query}")).await;
        assert_eq!(
            (status.as_u16(), &page["count"]),
            (200, &json!(count)),
            "{query} {page}"
        );
    }
    for query in [
        "prod_type=x",
        "external_audience=maybe",
        "o=nonsense",
        "created=soon",
    ] {
        assert_eq!(
            app.get(&format!("products/?{query}")).await.0,
            400,
            "{query}"
        );
    }

    let (_, answer) = app.get(&format!("engagements/?product={product}")).await;
    assert_eq!(
        (&answer["count"], &answer["results"][0]["id"]),
        (&json!(1), &json!(engagement))
    );
    for (action, active) in [("close", false), ("reopen", true)] {
        let (status, answer) = app
            .post(&format!("engagements/{engagement}/{action}/"), json!({}))
            .await;
        assert_eq!((status.as_u16(), &answer["active"]), (200, &json!(active)));
    }
    let (_, answer) = app
        .patch(
            &format!("engagements/{engagement}/"),
            json!({"active": false}),
        )
        .await;
    assert_eq!(answer["active"], true, "read-only");

    let (_, answer) = app.get(&format!("tests/?engagement={engagement}")).await;
    let found = &answer["results"][0];
    assert_eq!(
        (&found["id"], &found["product"]),
        (&json!(test), &json!(product))
    );
    assert_eq!(found["test_type_name"], "Generic Findings Import");
    assert_eq!(found["target_start"], "2026-01-01T00:00:00Z");
    let (status, answer) = app
        .patch(
            &format!("tests/{test}/"),
            json!({"environment": null, "title": null}),
        )
        .await;
    assert_eq!(
        (status.as_u16(), &answer["environment"]),
        (200, &Value::Null),
        "{answer}"
    );
}

#[tokio::test]
async fn what_is_wrong_is_named_by_its_field() {
    let app = TestApp::start().await;
    let [product, engagement, _] = app.tree().await;
    for (path, body, field) in [
        (
            "products/",
            json!({"name": "x", "description": "d", "prod_type": 99}),
            "prod_type",
        ),
        (
            "products/",
            json!({"name": "x", "prod_type": 1}),
            "description",
        ),
        (
            "products/",
            json!({"name": "SHOP ", "description": "d", "prod_type": 1}),
            "name",
        ),
        (
            "products/",
            json!({"name": "x".repeat(256), "description": "d", "prod_type": 1}),
            "name",
        ),
        (
            "products/",
            json!({"name": "y", "description": "d", "prod_type": 1, "lifecycle": "z"}),
            "lifecycle",
        ),
        ("product_types/", json!({"name": ""}), "name"),
        ("product_types/", json!({"name": null}), "name"),
        ("test_types/", json!({"name": "trivy scan"}), "name"),
        (
            "engagements/",
            json!({"product": product, "target_start": "2026-02-01", "target_end": "2026-01-01"}),
            "target_end",
        ),
        (
            "engagements/",
            json!({"product": product, "target_start": "x"}),
            "target_start",
        ),
        (
            "tests/",
            json!({"engagement": 99, "test_type": 1, "target_start": "2026-01-01", "target_end": "2026-01-01"}),
            "engagement",
        ),
        (
            "tests/",
            json!({"engagement": engagement, "test_type": 99, "target_start": "2026-01-01", "target_end": "2026-01-01"}),
            "test_type",
        ),
    ] {
        let (status, answer) = app.post(path, body).await;
        assert_eq!(status, 400, "{path} {field} {answer}");
        assert!(answer[field][0].is_string(), "{field} in {answer}");
        assert!(answer["message"].is_string());
    }
    let moved = json!({"product": product, "target_start": "2026-01-01"});
    let (status, answer) = app
        .call(
            http::Method::PUT,
            &format!("engagements/{engagement}/"),
            Some(moved),
        )
        .await;
    assert_eq!(
        (status.as_u16(), answer["target_end"].is_array()),
        (400, true),
        "PUT wants all"
    );
}

#[tokio::test]
async fn pages_link_to_each_other() {
    let app = TestApp::start().await;
    for n in 0..5 {
        app.post("product_types/", json!({"name": format!("type {n}")}))
            .await;
    }
    let (_, page) = app.get("product_types/?limit=2&o=-name&name=type").await;
    assert_eq!(page["count"], 5);
    assert_eq!(page["results"][0]["name"], "type 4");
    assert_eq!(page["previous"], Value::Null);
    assert_eq!(
        page["next"],
        "http://tatami.test/api/v2/product_types/?o=-name&name=type&limit=2&offset=2"
    );
    let (_, page) = app.get("product_types/?limit=2&offset=90").await;
    assert_eq!((&page["count"], &page["results"]), (&json!(5), &json!([])));
}

#[tokio::test]
async fn engagements_and_tests_are_filtered_by_what_they_belong_to() {
    let app = TestApp::start().await;
    let [product, engagement, test] = app.tree().await;
    let tags = json!({"tags": ["shop", "eu"]});
    app.patch(&format!("products/{product}/"), tags).await;
    let (_, server) = app
        .post(
            "cicd_infrastructure/",
            json!({"name": "Builder", "infrastructure_type": "build_server"}),
        )
        .await;
    let path = format!("engagements/{engagement}/");
    let (_, fresh) = app.get(&path).await;
    assert_eq!(
        (&fresh["threat_model"], &fresh["requester"]),
        (&json!(true), &Value::Null)
    );
    let change = json!({
        "tags": ["nightly"], "api_test": false, "requester": 1, "tracker": "https://t.example/7",
        "cicd_build_server": server["id"],
    });
    let (status, changed) = app.patch(&path, change.clone()).await;
    assert_eq!(status, 200, "{changed}");
    for (name, value) in change.as_object().unwrap() {
        assert_eq!(&changed[name], value, "{name}");
    }
    for wrong in [
        json!({"cicd_scm_server": 99}),
        json!({"tracker": "somewhere"}),
    ] {
        assert_eq!(app.patch(&path, wrong).await.0, 400);
    }
    for (list, query, count) in [
        ("engagements", "product__tags=eu", 1),
        ("engagements", "product__tags=us", 0),
        ("engagements", "product__tags__and=eu,shop", 1),
        ("engagements", "product__tags__and=eu,us", 0),
        ("engagements", "not_product__tags=eu", 0),
        ("engagements", "product__prod_type=1", 1),
        ("engagements", "product__prod_type=2", 0),
        ("engagements", "api_test=false&pen_test=true", 1),
        ("engagements", "requester=1", 1),
        ("tests", "engagement__tags=nightly", 1),
        ("tests", "not_engagement__tags=nightly", 0),
        ("tests", "engagement__product__tags=shop", 1),
        ("tests", "engagement__product__tags__and=shop,us", 0),
    ] {
        let (_, page) = app.get(&format!("{list}/?{query}")).await;
        assert_eq!(page["count"], count, "{list} {query}");
        let joined = page["results"][0].as_object();
        let joined = joined.is_some_and(|one| one.keys().any(|name| name.contains("__")));
        assert!(!joined, "{page}");
    }
    assert_eq!(app.get(&format!("tests/{test}/")).await.0, 200);
}
