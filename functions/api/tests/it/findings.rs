use http::Method;
use serde_json::{Value, json};
use tatami_domain::{Finding, FindingId, Flags, Severity, TextRef, Texts};
use tatami_store::{Change, Commit, Committed};

use crate::app::TestApp;

#[tokio::test]
async fn a_finding_is_made_by_hand_found_and_changed() {
    let app = TestApp::start().await;
    let [product, _, test] = app.tree().await;
    let more = json!({"cwe": 89, "vulnerability_ids": [{"vulnerability_id": "CVE-2026-1"}],
        "tags": ["web"], "mitigation": "bind parameters"});
    let id = app.finding(test, more).await;
    let other = app
        .finding(
            test,
            json!({"title": "XSS", "severity": "Low", "cwe": "79"}),
        )
        .await;
    let (_, finding) = app.get(&format!("findings/{id}/")).await;
    assert_eq!(finding["description"], "in login");
    assert_eq!(finding["mitigation"], "bind parameters");
    assert_eq!(finding["numerical_severity"], "S1");
    assert_eq!(finding["sla_expiration_date"], "2026-02-04");
    assert_eq!(finding["product"], json!(product));
    assert_eq!(finding["display_status"], "Active");
    assert_eq!(finding["hash_code"].as_str().unwrap().len(), 64);

    for (query, ids) in [
        ("", vec![id, other]),
        ("o=-severity", vec![other, id]),
        ("severity=Low", vec![other]),
        ("cwe=89", vec![id]),
        ("title=sql", vec![id]),
        ("description=LOGIN", vec![id, other]),
        ("description=nothing", vec![]),
        ("mitigation=bind", vec![id]),
        ("product_name=shop", vec![id, other]),
        (
            "product_name=shop&o=test__engagement__product__name,-id",
            vec![other, id],
        ),
        ("test__engagement__product__prod_type=1", vec![id, other]),
        ("test__engagement__product__prod_type=7", vec![]),
        ("test=1&product=1&engagement=1", vec![id, other]),
        ("test=1&product=2", vec![]),
        ("test=99", vec![]),
        ("tags=web", vec![id]),
        ("status=Fixed", vec![]),
        ("limit=1&offset=1", vec![other]),
    ] {
        let (status, page) = app.get(&format!("findings/?{query}")).await;
        assert_eq!(status, 200, "{query} {page}");
        let found: Vec<u64> = (page["results"].as_array().unwrap().iter())
            .map(|finding| finding["id"].as_u64().unwrap())
            .collect();
        assert_eq!(found, ids, "{query}");
    }

    let path = format!("findings/{id}/");
    let change = json!({"severity": "Critical", "description": "in search", "line": "7"});
    let (status, finding) = app.patch(&path, change).await;
    assert_eq!(status, 200, "{finding}");
    assert_eq!(finding["sla_expiration_date"], "2026-01-12", "{finding}");
    assert_eq!(
        (&finding["description"], &finding["line"]),
        (&json!("in search"), &json!(7))
    );
    assert_eq!(finding["mitigation"], "bind parameters");
    let (_, page) = app.get("findings/?severity=Critical").await;
    assert_eq!(
        (&page["count"], &page["results"][0]["description"]),
        (&json!(1), &json!("in search"))
    );
    let (_, product) = app.get(&format!("products/{product}/")).await;
    assert_eq!(
        (&product["findings_count"], &product["prod_numeric_grade"]),
        (&json!(2), &json!(39))
    );
}

#[tokio::test]
async fn flags_follow_their_rules() {
    let app = TestApp::start().await;
    let [product, _, test] = app.tree().await;
    let path = format!("findings/{}/", app.finding(test, json!({})).await);
    let (_, finding) = app
        .patch(&path, json!({"false_p": true, "is_mitigated": false}))
        .await;
    assert_eq!(
        (&finding["is_mitigated"], &finding["active"]),
        (&json!(true), &json!(false))
    );
    assert!(finding["mitigated"].is_string() && finding["last_status_update"].is_string());
    let (_, finding) = app.patch(&path, json!({"active": "True"})).await;
    assert_eq!(
        (&finding["false_p"], &finding["mitigated"]),
        (&json!(false), &Value::Null)
    );
    for body in [
        json!({"duplicate": true, "active": true}),
        json!({"false_p": true, "verified": true}),
        json!({"risk_accepted": true}),
        json!({"severity": "critical"}),
        json!({"status": "Gone"}),
        json!({"active": "perhaps"}),
        json!({"title": "x".repeat(512)}),
        json!({"reporter": 99}),
    ] {
        let (status, answer) = app.patch(&path, body.clone()).await;
        assert_eq!(status, 400, "{body} {answer}");
    }
    let simple = json!({"enable_simple_risk_acceptance": true});
    app.patch(&format!("products/{product}/"), simple).await;
    let (status, finding) = app.patch(&path, json!({"status": "Accepted"})).await;
    assert_eq!(
        (status.as_u16(), &finding["risk_accepted"]),
        (200, &json!(true)),
        "{finding}"
    );
    assert_eq!(finding["status"], "Accepted");

    let body = json!({"is_mitigated": true, "mitigated": "2026-02-03", "note": "fixed in 1.2"});
    let (status, answer) = app.post(&format!("{path}close/"), body).await;
    assert_eq!(
        (status.as_u16(), &answer["mitigated"]),
        (200, &json!("2026-02-03T00:00:00Z")),
        "{answer}"
    );
    let (_, finding) = app.get(&path).await;
    assert_eq!(finding["notes"][0]["entry"], "fixed in 1.2");
    let (status, answer) = app.post("findings/", json!({"title": "x"})).await;
    assert_eq!(status, 400);
    for field in ["test", "severity", "description"] {
        assert!(answer[field].is_array(), "{field} in {answer}");
    }
}

#[tokio::test]
async fn notes_and_tags() {
    let app = TestApp::start().await;
    let [_, _, test] = app.tree().await;
    let path = format!("findings/{}", app.finding(test, json!({})).await);
    let (status, note) = app
        .post(
            &format!("{path}/notes/"),
            json!({"entry": "n", "private": "true"}),
        )
        .await;
    assert_eq!(
        (status.as_u16(), &note["author"]["username"]),
        (201, &json!("admin")),
        "{note}"
    );
    assert_eq!(note["private"], true);
    let (_, notes) = app.get(&format!("{path}/notes/")).await;
    assert_eq!(notes["notes"][0]["id"], note["id"]);
    let remove = json!({"note_id": note["id"]});
    assert_eq!(
        app.patch(&format!("{path}/remove_note/"), remove.clone())
            .await
            .0,
        204
    );
    assert_eq!(
        app.patch(&format!("{path}/remove_note/"), remove).await.0,
        400
    );

    let (status, tags) = app
        .post(&format!("{path}/tags/"), json!({"tags": ["a", "b"]}))
        .await;
    assert_eq!((status.as_u16(), &tags["tags"]), (201, &json!(["a", "b"])));
    assert_eq!(
        app.patch(&format!("{path}/remove_tags/"), json!({"tags": ["a"]}))
            .await
            .0,
        204
    );
    assert_eq!(
        app.get(&format!("{path}/tags/")).await.1["tags"],
        json!(["b"])
    );
    assert_eq!(
        app.get("findings/?tags=b&has_tags=true").await.1["count"],
        1
    );
}

#[tokio::test]
async fn changes_at_the_same_time_are_all_kept() {
    let app = TestApp::start().await;
    let [_, _, test] = app.tree().await;
    let path = format!("findings/{}/", app.finding(test, json!({})).await);
    let change = |body: Value| app.patch(&path, body);
    let (a, b, c) = tokio::join!(
        change(json!({"line": 5})),
        change(json!({"service": "web"})),
        change(json!({"impact": "high"})),
    );
    assert_eq!([a.0, b.0, c.0].map(|s| s.as_u16()), [200; 3]);
    let (_, finding) = app.get(&path).await;
    assert_eq!(finding["line"], 5);
    assert_eq!(
        (&finding["service"], &finding["impact"]),
        (&json!("web"), &json!("high"))
    );
}

/// Puts findings into a test without the pipeline, with texts in packs of 200.
async fn fill(app: &TestApp, [product, engagement, test]: [u64; 3], n: u64) {
    let services = &app.services;
    let ids = services.store.allocate(product.into(), n).await.unwrap();
    let mut blocks: Vec<_> = ids.iter().map(|id| id.block()).collect();
    blocks.dedup();
    services
        .store
        .add_test_blocks(test.into(), &blocks)
        .await
        .unwrap();
    for (pack, ids) in (0u32..).zip(ids.chunks(200)) {
        let texts: Vec<Texts> = ids
            .iter()
            .map(|id| Texts {
                description: format!("finding {id} ").repeat(20),
                ..Texts::default()
            })
            .collect();
        let key = services.blobs.put_pack(1.into(), pack.into(), &texts).await;
        let key = key.unwrap();
        for (chunk, ids) in ids.chunks(90).enumerate() {
            let of = |(at, id): (u32, &FindingId)| Finding {
                id: *id,
                product: product.into(),
                engagement: engagement.into(),
                test: test.into(),
                test_type: 1.into(),
                title: format!("Weakness {}", id.0 * 7919 % 1000),
                severity: Severity::ALL[usize::try_from(id.0 % 5).unwrap()],
                flags: Flags::OPEN,
                component_name: Some("component".into()),
                texts: Some(TextRef(key.clone(), at)),
                ..Finding::default()
            };
            let first = u32::try_from(chunk * 90).unwrap();
            let commit = Commit {
                product: product.into(),
                changes: (first..)
                    .zip(ids)
                    .map(of)
                    .map(|f| Change::Create(Box::new(f)))
                    .collect(),
                claims: Vec::new(),
                notes: Vec::new(),
                events: Vec::new(),
                marker: None,
                unique: format!("fill.{pack}.{chunk}"),
            };
            let committed = services.store.commit(&commit).await.unwrap();
            assert_eq!(committed, Committed::Yes);
        }
    }
}

#[tokio::test]
async fn a_list_reads_again_only_what_has_changed() {
    let app = TestApp::start().await;
    let tree = app.tree().await;
    fill(&app, tree, 2500).await;
    let (_, page) = app.get("findings/?limit=50").await;
    assert_eq!(page["count"], 2500);
    let results = page["results"].as_array().unwrap();
    assert!(results.iter().all(|f| f["severity"] == "Critical"));
    let description = results[49]["description"].as_str().unwrap();
    assert!(description.starts_with(&format!("finding {} ", results[49]["id"])));

    let requests = async |path: &str| {
        let before = app.services.store.usage().requests;
        let (status, page) = app.get(path).await;
        assert_eq!(status, 200, "{page}");
        app.services.store.usage().requests - before
    };
    // the counts tell that nothing has changed: four partitions for all, one for a product; one look at what
    // was deleted, and a stamp that the SLA hasn't
    assert_eq!(requests("findings/?limit=50&offset=100").await, 6);
    assert_eq!(requests("findings/?product=1&severity=Low").await, 3);
    assert!(requests("findings/?test=1").await <= 6);
    let path = format!("findings/{}/", results[0]["id"]);
    app.patch(&path, json!({"severity": "Info"})).await;
    assert_eq!(requests("findings/?limit=50").await, 7, "one block more");
    assert_eq!(app.get("findings/?severity=Critical").await.1["count"], 499);
}

#[tokio::test]
async fn requests_and_responses_are_added_changed_and_deleted() {
    let app = TestApp::start().await;
    let [_, _, test] = app.tree().await;
    let finding = app.finding(test, json!({})).await;
    let path = format!("findings/{finding}/request_response/");
    assert_eq!(app.get(&path).await.1, json!({"req_resp": []}));
    let two =
        json!([{"request": "GET /a", "response": "200"}, {"request": "GET /b", "response": "500"}]);
    let (status, answer) = app.post(&path, json!({"req_resp": two})).await;
    assert_eq!((status.as_u16(), &answer["req_resp"]), (201, &two));
    assert_eq!(app.get(&path).await.1, answer);
    for wrong in [
        json!({}),
        json!({"req_resp": ["x"]}),
        json!({"req_resp": [{"request": "x"}]}),
        json!({"req_resp": [{"request": "", "response": ""}]}),
    ] {
        assert_eq!(app.post(&path, wrong).await.0, 400);
    }
    let pairs = format!("request_response_pairs/?finding={finding}");
    let (_, page) = app.get(&pairs).await;
    assert_eq!(page["count"], 2);
    let first = &page["results"][0];
    assert_eq!(
        (&first["burpRequestBase64"], &first["finding"]),
        (&json!("R0VUIC9h"), &json!(finding))
    );
    let new =
        json!({"finding": finding, "burpRequestBase64": "R0VU", "burpResponseBase64": "T0s="});
    let (status, third) = app.post("request_response_pairs/", new.clone()).await;
    assert_eq!(status, 201, "{third}");
    for (field, value) in [
        ("finding", json!(null)),
        ("finding", json!(99)),
        ("burpRequestBase64", json!("?")),
    ] {
        let mut wrong = new.clone();
        wrong[field] = value;
        let (status, answer) = app.post("request_response_pairs/", wrong).await;
        assert_eq!(status, 400, "{field}");
        assert!(answer[field][0].is_string(), "{field} {answer}");
    }
    let one = format!("request_response_pairs/{}/", first["id"]);
    let last = format!("request_response_pairs/{}/", third["id"]);
    assert_eq!(app.call(Method::DELETE, &one, None).await.0, 204);
    assert_eq!(app.get(&one).await.0, 404);
    assert_eq!(app.get(&last).await.1, third, "places stay");
    let (status, changed) = app
        .patch(&last, json!({"burpResponseBase64": "Tm8="}))
        .await;
    assert_eq!(status, 200, "{changed}");
    assert_eq!(changed["burpRequestBase64"], "R0VU");
    let (_, shown) = app.get(&format!("findings/{finding}/")).await;
    let left =
        json!([{"request": "GET /b", "response": "500"}, {"request": "GET", "response": "No"}]);
    assert_eq!(shown["request_response"]["req_resp"], left);
    assert_eq!(
        app.get("request_response_pairs/?limit=1&offset=1").await.1["count"],
        2
    );
}
