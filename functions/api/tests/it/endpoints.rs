//! Endpoints of products, how they are in findings, and what is known of them.

use http::Method;
use serde_json::{Value, json};

use crate::app::TestApp;

async fn made(app: &TestApp, path: &str, body: Value) -> Value {
    let (status, made) = app.post(path, body).await;
    assert_eq!(status, 201, "{path} {made}");
    made
}

async fn ids(app: &TestApp, path: &str) -> Vec<u64> {
    let (status, page) = app.get(path).await;
    assert_eq!(status, 200, "{path} {page}");
    let results = page["results"].as_array().unwrap().iter();
    results.map(|one| one["id"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn endpoints_are_made_found_changed_and_deleted() {
    let app = TestApp::start().await;
    let [product, _, test] = app.tree().await;
    let new = json!({"product": product, "protocol": "https", "host": "App.Example",
        "path": "/login", "query": "a=1", "tags": ["web", "public"]});
    let first = made(&app, "endpoints/", new.clone()).await;
    assert_eq!(
        [
            &first["host"],
            &first["port"],
            &first["path"],
            &first["userinfo"]
        ],
        [
            &json!("app.example"),
            &json!(443),
            &json!("login"),
            &json!("")
        ]
    );
    let other = json!({"product": product, "host": "10.0.0.1", "port": 22, "protocol": "ssh"});
    let other = made(&app, "endpoints/", other).await;
    let (one, two) = (first["id"].as_u64().unwrap(), other["id"].as_u64().unwrap());
    let (status, answer) = app.post("endpoints/", new).await;
    assert_eq!(status, 400, "the product has it already");
    assert!(answer["non_field_errors"][0].is_string(), "{answer}");
    for (field, value) in [
        ("host", json!("a.example/x")),
        ("host", json!("a:b")),
        ("host", json!("")),
        ("port", json!(70_000)),
        ("protocol", json!("ht tp")),
        ("userinfo", json!("a@b")),
        ("product", json!(99)),
    ] {
        let mut wrong = json!({"product": product, "host": "x.example"});
        wrong[field] = value;
        let (status, answer) = app.post("endpoints/", wrong).await;
        assert_eq!(status, 400, "{field}");
        assert!(answer[field][0].is_string(), "{field} {answer}");
    }
    let finding = app.finding(test, json!({"endpoints": [one]})).await;
    for (query, wanted) in [
        (String::new(), vec![one, two]),
        (format!("product={product}&o=-id"), vec![two, one]),
        ("product=99".into(), vec![]),
        ("host=APP.example".into(), vec![one]),
        ("port=22&protocol=ssh".into(), vec![two]),
        ("path=login&query=a%3D1".into(), vec![one]),
        ("tags=web,none".into(), vec![one]),
        ("has_tags=false".into(), vec![two]),
        ("o=active_finding_count".into(), vec![two, one]),
    ] {
        let path = format!("endpoints/?{query}");
        assert_eq!(ids(&app, &path).await, wanted, "{query}");
    }
    let path = format!("endpoints/{one}/");
    let (_, shown) = app.get(&path).await;
    assert_eq!(
        (&shown["active_finding_count"], &shown["status"]),
        (&json!(1), &json!("Active"))
    );
    let change = json!({"query": "", "tags": ["web"]});
    let (status, changed) = app.patch(&path, change).await;
    assert_eq!(status, 200, "{changed}");
    assert_eq!(
        [&changed["query"], &changed["path"], &changed["tags"]],
        [&json!(""), &json!("login"), &json!(["web"])]
    );
    let same = json!({"protocol": "ssh", "host": "10.0.0.1", "port": 22, "path": "", "query": ""});
    assert_eq!(app.patch(&path, same).await.0, 400, "it is another one's");

    let meta = json!({"endpoint": one, "name": "Owner", "value": "Team 7"});
    let meta = made(&app, "metadata/", meta).await;
    assert_eq!(
        ids(&app, &format!("metadata/?endpoint={one}")).await.len(),
        1
    );
    let unknown = json!({"endpoint": 99, "name": "Owner", "value": "Team 7"});
    assert_eq!(app.post("metadata/", unknown).await.0, 400);
    let (_, preview) = app.get(&format!("{path}delete_preview/")).await;
    assert_eq!(
        preview["count"], 3,
        "it, its value, and the finding's: {preview}"
    );
    assert_eq!(app.call(Method::DELETE, &path, None).await.0, 204);
    assert_eq!(app.get(&path).await.0, 404);
    assert_eq!(app.call(Method::DELETE, &path, None).await.0, 404);
    let (_, shown) = app.get(&format!("findings/{finding}/")).await;
    assert_eq!(shown["endpoints"], json!([]));
    let gone = format!("metadata/{}/", meta["id"]);
    assert_eq!(app.get(&gone).await.0, 404);
    assert_eq!(ids(&app, "endpoint_status/").await, [0; 0]);
}

#[tokio::test]
async fn a_finding_has_the_endpoints_of_its_product_that_it_is_given() {
    let app = TestApp::start().await;
    let [product, _, test] = app.tree().await;
    let other = json!({"name": "Other", "description": "d", "prod_type": 1});
    let other = made(&app, "products/", other).await;
    let foreign = json!({"product": other["id"], "host": "foreign.example"});
    let foreign = made(&app, "endpoints/", foreign).await;
    let mut own = Vec::new();
    for n in 0..5 {
        let endpoint =
            json!({"product": product, "protocol": "https", "host": format!("h{n}.example")});
        own.push(
            made(&app, "endpoints/", endpoint).await["id"]
                .as_u64()
                .unwrap(),
        );
    }
    let finding = app.finding(test, json!({"endpoints": own})).await;
    let path = format!("findings/{finding}/");
    let (_, shown) = app.get(&path).await;
    assert_eq!(shown["endpoints"], json!(own));
    assert_eq!(shown["endpoint_urls"].as_array().unwrap().len(), 5);
    let hash = shown["hash_code"].clone();
    let (status, answer) = app
        .patch(&path, json!({"endpoints": [foreign["id"]]}))
        .await;
    assert_eq!(status, 400);
    assert!(answer["endpoints"][0].is_string(), "{answer}");
    let (status, shown) = app
        .patch(&path, json!({"endpoints": [own[4], own[1]]}))
        .await;
    assert_eq!(status, 200, "{shown}");
    assert_eq!(shown["endpoints"], json!([own[1], own[4]]));
    let urls = ["https://h1.example", "https://h4.example"];
    assert_eq!(shown["endpoint_urls"], json!(urls));
    for (query, count) in [
        (format!("endpoints={}", own[1]), 1),
        (format!("endpoints={},{}", own[0], own[4]), 1),
        (format!("endpoints={}", own[0]), 0),
        ("endpoints=0".into(), 0),
    ] {
        let found = ids(&app, &format!("findings/?{query}")).await;
        assert_eq!(found.len(), count, "{query}");
    }
    // as it is in the finding
    let statuses = format!("endpoint_status/?finding={finding}");
    let listed = ids(&app, &statuses).await;
    assert_eq!(listed.len(), 2);
    let one = format!("endpoint_status/{}/", listed[0]);
    let (_, status) = app.get(&one).await;
    assert_eq!(
        (&status["endpoint"], &status["status"], &status["date"]),
        (&json!(own[1]), &json!("Active"), &json!("2026-01-05"))
    );
    let (code, status) = app.patch(&one, json!({"mitigated": true})).await;
    assert_eq!(code, 200, "{status}");
    assert_eq!(
        (&status["status"], &status["mitigated_by"]),
        (&json!("Mitigated"), &json!(1))
    );
    assert!(status["mitigated_time"].is_string());
    for (query, count) in [
        ("mitigated=true", 1),
        ("mitigated=true&mitigated_by=admin", 1),
        ("mitigated_by=nobody", 0),
        ("false_positive=true", 0),
        ("mitigated=false", 1),
        ("o=-endpoint", 2),
    ] {
        let found = ids(&app, &format!("{statuses}&{query}")).await;
        assert_eq!(found.len(), count, "{query}");
    }
    let twice = json!({"finding": finding, "endpoint": own[1]});
    assert_eq!(app.post("endpoint_status/", twice).await.0, 400);
    let wrong = json!({"finding": finding, "endpoint": foreign["id"]});
    let (code, answer) = app.post("endpoint_status/", wrong).await;
    assert_eq!(code, 400);
    assert!(answer["endpoint"][0].is_string(), "{answer}");
    let third = json!({"finding": finding, "endpoint": own[2], "out_of_scope": true});
    let third = made(&app, "endpoint_status/", third).await;
    assert_eq!(third["status"], "OutOfScope");
    assert_eq!(app.call(Method::DELETE, &one, None).await.0, 204);
    assert_eq!(app.get(&one).await.0, 404);
    let (_, shown) = app.get(&path).await;
    assert_eq!(shown["endpoints"].as_array().unwrap().len(), 2);
    let left = ids(&app, &statuses).await;
    assert!(left.contains(&third["id"].as_u64().unwrap()), "places stay");
    // what was said of the one that had the place isn't said of the next
    let again = json!({"finding": finding, "endpoint": own[3]});
    let again = made(&app, "endpoint_status/", again).await;
    assert_eq!(again["status"], "Active");
    assert_eq!(
        app.get(&path).await.1["hash_code"],
        hash,
        "hosts are no part of it"
    );
    assert_eq!(app.call(Method::DELETE, &path, None).await.0, 204);
    assert_eq!(ids(&app, "endpoint_status/").await, [0; 0]);
}

#[tokio::test]
async fn a_table_tells_what_is_known_of_hosts() {
    let app = TestApp::start().await;
    let [product, ..] = app.tree().await;
    let known = json!({"product": product, "protocol": "https", "host": "a.example", "path": "x"});
    let known = made(&app, "endpoints/", known).await;
    let product = product.to_string();
    let table = "hostname,team,zone\nA.example,Blue,\nb.example,Red,dmz\n,x,y\n";
    let fields = [("product", product.as_str()), ("create_dojo_meta", "true")];
    let path = "endpoint_meta_import/";
    let (status, answer) = app.upload(path, &fields, Some(("t.csv", table))).await;
    assert_eq!(status, 201, "{answer}");
    assert_eq!(answer["create_endpoints"], true);
    let (_, shown) = app.get(&format!("endpoints/{}/", known["id"])).await;
    assert_eq!(shown["tags"], json!(["team:Blue"]));
    let (_, page) = app.get("endpoints/?host=b.example").await;
    let new = &page["results"][0];
    assert_eq!(new["tags"], json!(["team:Red", "zone:dmz"]));
    let values = format!("metadata/?endpoint={}", new["id"]);
    assert_eq!(ids(&app, &values).await.len(), 2);
    let (status, _) = app.upload(path, &fields, Some(("t.csv", table))).await;
    assert_eq!(status, 201);
    assert_eq!(ids(&app, "endpoints/").await.len(), 2, "twice is once");
    assert_eq!(ids(&app, &values).await.len(), 2);
    let few = [("product_name", "shop"), ("create_endpoints", "false")];
    let table = "hostname,zone\nc.example,lan\n";
    let (status, _) = app.upload(path, &few, Some(("t.csv", table))).await;
    assert_eq!(status, 201);
    assert_eq!(ids(&app, "endpoints/").await.len(), 2);
    for (fields, table, field) in [
        (vec![("product", "99")], table, "product"),
        (vec![("product_name", "None")], table, "product_name"),
        (vec![], table, "product"),
        (
            vec![("product", "1"), ("create_tags", "x")],
            table,
            "create_tags",
        ),
        (vec![("product", "1")], "host\na.example\n", "file"),
        (
            vec![("product", "1")],
            "hostname,a\nx.example,b,c\n",
            "file",
        ),
    ] {
        let (status, answer) = app.upload(path, &fields, Some(("t.csv", table))).await;
        assert_eq!(status, 400, "{answer}");
        assert!(answer[field][0].is_string(), "{field} {answer}");
    }
}

#[tokio::test]
async fn findings_are_filtered_by_who_reviews_them_and_by_what_they_belong_to() {
    let app = TestApp::start().await;
    let [product, engagement, test] = app.tree().await;
    let more = json!({"reviewers": [1], "review_requested_by": 1, "url": "https://x.example/",
        "thread_id": 7, "cvssv3_score": 7.5, "mitigation": "Update.", "numerical_severity": "S4",
        "sla_expiration_date": "2030-01-01"});
    let finding = app.finding(test, more).await;
    let path = format!("findings/{finding}/");
    let (_, shown) = app.get(&path).await;
    assert_eq!(
        [
            &shown["reviewers"],
            &shown["review_requested_by"],
            &shown["thread_id"]
        ],
        [&json!([1]), &json!(1), &json!(7)]
    );
    assert_eq!(
        shown["numerical_severity"], "S1",
        "it follows from the severity"
    );
    assert_ne!(shown["sla_expiration_date"], "2030-01-01");
    assert_eq!(app.patch(&path, json!({"reviewers": [99]})).await.0, 400);
    assert_eq!(app.patch(&path, json!({"verified": true})).await.0, 200);
    let (_, shown) = app.get(&path).await;
    assert_eq!(shown["last_reviewed_by"], 1);
    for (path, tag) in [
        (format!("tests/{test}/"), "nightly"),
        (format!("engagements/{engagement}/"), "ci"),
        (format!("products/{product}/"), "shop"),
    ] {
        let change = json!({"tags": [tag]});
        assert_eq!(app.patch(&path, change).await.0, 200, "{path}");
    }
    let change = json!({"lifecycle": "production", "enable_product_tag_inheritance": true});
    app.patch(&format!("products/{product}/"), change).await;
    for (query, count) in [
        ("reviewers=1", 1),
        ("reviewers=2", 0),
        ("review_requested_by=1", 1),
        ("defect_review_requested_by=1", 0),
        ("last_reviewed_by=1&last_reviewed=1", 1),
        ("updated=1", 1),
        ("cvssv3_score=7.5", 1),
        ("cvssv3_score=7.4", 0),
        ("cvssv4_score=7.5", 0),
        ("mitigation_available=true", 1),
        ("mitigation_available=false", 0),
        ("test__tags=nightly,x", 1),
        ("test__tags__and=nightly,x", 0),
        ("not_test__tags=nightly", 0),
        ("test__engagement__tags=ci", 1),
        ("not_test__engagement__tags=x", 1),
        ("test__engagement__product__tags=Shop", 1),
        ("test__engagement__product__tags__and=shop,x", 0),
        ("not_test__engagement__product__tags=shop", 0),
        ("product_lifecycle=production,retirement", 1),
        ("product_lifecycle=retirement", 0),
        ("inherited_tags=shop", 1),
        ("inherited_tags=x", 0),
    ] {
        let found = ids(&app, &format!("findings/?{query}")).await;
        assert_eq!(found.len(), count, "{query}");
    }
}
