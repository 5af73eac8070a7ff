//! What people do to duplicates by hand.

use std::collections::HashMap;
use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};
use tatami_domain::{Finding, ProductId, SeverityCounts};
use tatami_store::Sight;

use crate::app::TestApp;

/// Findings that nothing has in common, so that none is a duplicate by itself.
async fn findings(app: &TestApp, test: u64, n: usize) -> Vec<u64> {
    let mut ids = Vec::new();
    for n in 0..n {
        let title = format!("Weakness {n} of {test}");
        ids.push(app.finding(test, json!({"title": title})).await);
    }
    ids
}

/// Another test; in the same engagement where that is given, else in a new one.
async fn another_test(app: &TestApp, product: u64, engagement: Option<u64>, alone: bool) -> u64 {
    let engagement = if let Some(id) = engagement {
        id
    } else {
        let body = json!({
            "name": "Other", "product": product, "target_start": "2026-01-01",
            "target_end": "2026-12-31", "deduplication_on_engagement": alone,
        });
        let (status, made) = app.post("engagements/", body).await;
        assert_eq!(status, 201, "{made}");
        made["id"].as_u64().unwrap()
    };
    let test = json!({
        "engagement": engagement, "test_type": 1, "title": "t2", "environment": 1,
        "target_start": "2026-01-01", "target_end": "2026-01-02T10:00:00Z",
    });
    let (status, test) = app.post("tests/", test).await;
    assert_eq!(status, 201, "{test}");
    test["id"].as_u64().unwrap()
}

async fn one(app: &TestApp, id: u64) -> Value {
    let (status, finding) = app.get(&format!("findings/{id}/")).await;
    assert_eq!(status, 200, "{finding}");
    finding
}

async fn link(app: &TestApp, original: u64, findings: &[u64]) -> (u16, Value) {
    let body = json!({"original": original, "findings": findings});
    let (status, answer) = app.post("findings/link/", body).await;
    (status.as_u16(), answer)
}

/// Every duplicate points to an original that is there, and counts equal a recount.
async fn check(app: &TestApp) {
    let (_, page) = app.get("findings/?limit=1000").await;
    let all = page["results"].as_array().unwrap();
    let by_id: HashMap<u64, &Value> = (all.iter())
        .map(|finding| (finding["id"].as_u64().unwrap(), finding))
        .collect();
    for finding in all {
        let original = finding["duplicate_finding"].as_u64();
        assert_eq!(
            original.is_some(),
            finding["duplicate"] == true,
            "{finding}"
        );
        if let Some(original) = original {
            assert_eq!(by_id[&original]["duplicate"], false, "a chain at {finding}");
            assert_eq!(finding["active"], false);
        }
    }
    let store = &app.services.store;
    for (product, counted) in store.counts_by_product().await.unwrap() {
        let mut recount = SeverityCounts::default();
        let see = |finding: &Arc<Finding>| recount.add(finding);
        store.visit(Sight::Products(&[product]), see).await.unwrap();
        assert_eq!(counted, recount, "product {product}");
    }
}

#[tokio::test]
async fn findings_are_linked_and_taken_apart_again() {
    let app = TestApp::start().await;
    let [_, _, test] = app.tree().await;
    let ids = findings(&app, test, 4).await;
    let [a, b, c, d] = ids[..] else { panic!() };
    assert_eq!(link(&app, b, &[c]).await.0, 200);
    // what has duplicates takes them along; a duplicate leads to its original
    assert_eq!(link(&app, a, &[b]).await.0, 200);
    assert_eq!(link(&app, c, &[d, d]).await.0, 200);
    check(&app).await;
    for duplicate in [b, c, d] {
        let finding = one(&app, duplicate).await;
        assert_eq!(finding["duplicate_finding"], a);
        assert_eq!(
            (&finding["active"], &finding["verified"]),
            (&json!(false), &json!(false))
        );
    }
    let note = one(&app, b).await["notes"][1]["entry"].clone();
    assert_eq!(note, format!("Marked as a duplicate of finding {a}."));
    let (status, others) = app.get(&format!("findings/{c}/duplicate/")).await;
    assert_eq!(status, 200);
    let listed: Vec<u64> = (others.as_array().unwrap().iter())
        .map(|other| other["id"].as_u64().unwrap())
        .collect();
    assert_eq!(listed, [a, b, d]);
    assert_eq!(others[0]["description"], "in login");

    for (original, finding, problem) in [
        (b, a, "a duplicate of finding"),
        (a, a, "of itself"),
        (99, a, "no such object"),
    ] {
        let (status, answer) = link(&app, original, &[finding]).await;
        assert_eq!(status, 400, "{answer}");
        assert!(
            answer["message"].as_str().unwrap().contains(problem),
            "{answer}"
        );
    }
    for _ in 0..2 {
        let path = format!("findings/{c}/duplicate/reset/");
        assert_eq!(app.call(Method::POST, &path, None).await.0, 204);
        let finding = one(&app, c).await;
        assert_eq!(finding["duplicate_finding"], Value::Null);
        assert_eq!(finding["active"], true);
    }
    let (_, finding) = app
        .patch(&format!("findings/{d}/"), json!({"duplicate": false}))
        .await;
    assert_eq!(
        (&finding["active"], &finding["duplicate_finding"]),
        (&json!(true), &Value::Null),
        "{finding}"
    );
    let (status, answer) = app
        .patch(&format!("findings/{d}/"), json!({"duplicate": true}))
        .await;
    assert_eq!(status, 400, "nobody knows of what: {answer}");
    assert!(answer["duplicate"].is_array());
    check(&app).await;
}

#[tokio::test]
async fn duplicates_stay_within_a_product_and_a_scope() {
    let app = TestApp::start().await;
    let [product, _, test] = app.tree().await;
    let [a] = findings(&app, test, 1).await[..] else {
        panic!()
    };
    let body = json!({"name": "Other shop", "description": "d", "prod_type": 1});
    let (_, other) = app.post("products/", body).await;
    let elsewhere = another_test(&app, other["id"].as_u64().unwrap(), None, false).await;
    let [b] = findings(&app, elsewhere, 1).await[..] else {
        panic!()
    };
    let alone = another_test(&app, product, None, true).await;
    let [c] = findings(&app, alone, 1).await[..] else {
        panic!()
    };
    for (other, problem) in [(b, "different products"), (c, "deduplicated alone")] {
        for (one, two) in [(a, other), (other, a)] {
            let (status, answer) = link(&app, one, &[two]).await;
            assert_eq!(status, 400, "{answer}");
            let message = answer["findings"][0].as_str().unwrap();
            assert!(message.contains(problem), "{message}");
            let path = format!("findings/{one}/original/{two}/");
            let (status, answer) = app.call(Method::POST, &path, None).await;
            assert_eq!(status, 400, "{answer}");
            assert!(answer["new_fid"].is_array());
        }
        let merge = json!({"primary": a, "findings": [other], "mark_as": "duplicate"});
        assert_eq!(app.post("findings/merge/", merge).await.0, 400);
    }
    let path = format!("findings/{a}/original/99/");
    assert_eq!(app.call(Method::POST, &path, None).await.0, 404);
    check(&app).await;
}

#[tokio::test]
async fn another_one_becomes_the_original_in_its_state() {
    let app = TestApp::start().await;
    let [product, engagement, test] = app.tree().await;
    let [a, b] = findings(&app, test, 2).await[..] else {
        panic!()
    };
    let second = another_test(&app, product, Some(engagement), false).await;
    let [c, d] = findings(&app, second, 2).await[..] else {
        panic!()
    };
    app.patch(&format!("findings/{a}/"), json!({"verified": true}))
        .await;
    link(&app, a, &[b, c]).await;
    let path = format!("findings/{b}/original/{c}/");
    for _ in 0..2 {
        assert_eq!(app.call(Method::POST, &path, None).await.0, 204);
        check(&app).await;
        let original = one(&app, c).await;
        assert_eq!(
            (&original["active"], &original["verified"]),
            (&json!(true), &json!(true))
        );
        assert_eq!(one(&app, a).await["duplicate_finding"], c);
        assert_eq!(one(&app, b).await["duplicate_finding"], c);
    }
    // one from outside takes the whole cluster
    let path = format!("findings/{a}/original/{d}/");
    assert_eq!(app.call(Method::POST, &path, None).await.0, 204);
    for duplicate in [a, b, c] {
        assert_eq!(one(&app, duplicate).await["duplicate_finding"], d);
    }
    check(&app).await;
    let counted = app.services.store.product_counts(ProductId(product)).await;
    let total = counted.unwrap().total();
    assert_eq!((total.active, total.duplicate, total.total), (1, 3, 4));
}

#[tokio::test]
async fn a_finding_made_by_hand_is_held_against_earlier_ones() {
    let app = TestApp::start().await;
    let [product, engagement, test] = app.tree().await;
    let first = app.finding(test, json!({})).await;
    let second = another_test(&app, product, Some(engagement), false).await;
    let same = app.finding(second, json!({})).await;
    let finding = one(&app, same).await;
    assert_eq!(finding["duplicate_finding"], first);
    assert_eq!(finding["active"], false);

    // with another title it is another finding, and so is what comes with that title
    let path = format!("findings/{first}/");
    let (_, changed) = app.patch(&path, json!({"title": "Injection"})).await;
    assert_ne!(changed["hash_code"], finding["hash_code"]);
    let old_title = app.finding(test, json!({})).await;
    assert_eq!(
        one(&app, old_title).await["duplicate_finding"],
        first,
        "its duplicate still has the old title"
    );
    let new_title = app.finding(test, json!({"title": "Injection"})).await;
    assert_eq!(one(&app, new_title).await["duplicate_finding"], first);

    // a different finding that is linked by hand leads to its original from now on
    let [other] = findings(&app, test, 1).await[..] else {
        panic!()
    };
    link(&app, first, &[other]).await;
    let title = one(&app, other).await["title"].clone();
    let again = app.finding(second, json!({"title": title})).await;
    assert_eq!(one(&app, again).await["duplicate_finding"], first);
    check(&app).await;

    let (_, explained) = app
        .get(&format!("findings/{again}/duplicate/explain/"))
        .await;
    let reason = explained["reason"].as_str().unwrap();
    assert!(reason.contains("somebody made it so"), "{explained}");
    let (_, explained) = app
        .get(&format!("findings/{new_title}/duplicate/explain/"))
        .await;
    assert_eq!(explained["algorithm"], "legacy");
    assert_eq!(
        (&explained["scope"], &explained["scope_id"]),
        (&json!("product"), &json!(product))
    );
    assert_eq!(
        explained["fields"][0],
        json!({"name": "title", "value": "Injection"})
    );
    assert_eq!(explained["candidates"][0]["id"], first);
    assert_eq!(
        explained["candidates"][0]["keys_in_common"],
        explained["keys"]
    );
    assert_eq!(explained["candidates"][0]["endpoints"], "both have none");
    assert_eq!(explained["changed_since"], false);

    let body = json!({
        "test": test, "title": "Alone", "severity": "High", "description": "d", "found_by": [1],
        "active": false, "verified": false, "duplicate": true,
    });
    let (status, answer) = app.post("findings/", body).await;
    assert_eq!(status, 400, "{answer}");
    assert!(answer["duplicate"].is_array());
}

#[tokio::test]
async fn a_deleted_original_is_succeeded_by_its_earliest_duplicate() {
    let app = TestApp::start().await;
    let [_, _, test] = app.tree().await;
    let [a, b, c] = findings(&app, test, 3).await[..] else {
        panic!()
    };
    link(&app, a, &[b, c]).await;
    app.patch(
        &format!("findings/{a}/"),
        json!({"is_mitigated": true, "active": false}),
    )
    .await;
    let (_, preview) = app
        .get(&format!("findings/{a}/delete_preview/?limit=2"))
        .await;
    assert_eq!(preview["count"], 3, "itself and two notes");
    assert_eq!(preview["results"][0]["model"], "Finding");
    assert_eq!(preview["results"][1]["model"], "Notes");
    let delete = |id: u64| {
        let path = format!("findings/{id}/");
        let app = &app;
        async move { app.call(Method::DELETE, &path, None).await.0 }
    };
    assert_eq!(delete(a).await, 204);
    assert_eq!(delete(a).await, 404);
    assert_eq!(app.get(&format!("findings/{a}/")).await.0, 404);
    let heir = one(&app, b).await;
    assert_eq!(
        (&heir["duplicate"], &heir["is_mitigated"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(one(&app, c).await["duplicate_finding"], b);
    check(&app).await;
    assert!(
        app.services
            .store
            .notes(tatami_domain::FindingId(a))
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(delete(c).await, 204);
    assert_eq!(delete(b).await, 204);
    assert_eq!(app.get("findings/").await.1["count"], 0);
    check(&app).await;
    // nobody holds the keys any more
    let title = json!({"title": format!("Weakness 0 of {test}")});
    let again = app.finding(test, title).await;
    assert_eq!(one(&app, again).await["duplicate"], false);
}

#[tokio::test]
async fn findings_are_merged_into_one() {
    let app = TestApp::start().await;
    let [_, _, test] = app.tree().await;
    let mut ids = Vec::new();
    for n in 0..4 {
        let more = json!({
            "title": format!("Weakness {n}"), "description": format!("case {n}"),
            "references": format!("https://r.example/{n}"), "tags": [format!("t{n}"), "all"],
        });
        ids.push(app.finding(test, more).await);
    }
    let [a, b, c, d] = ids[..] else { panic!() };
    let body = json!({
        "primary": a, "findings": [b], "mark_as": "duplicate", "append_description": true,
        "append_references": true, "add_tags": true, "add_endpoints": true,
    });
    for _ in 0..2 {
        let (status, merged) = app.post("findings/merge/", body.clone()).await;
        assert_eq!(status, 200, "{merged}");
        let expected = format!("case 0\n\nFrom finding {b}, Weakness 1:\n\ncase 1");
        assert_eq!(merged["description"], expected);
        let references = merged["references"].as_str().unwrap();
        assert!(references.starts_with("https://r.example/0\n\nFrom finding"));
        assert_eq!(merged["tags"], json!(["t0", "all", "t1"]));
        assert_eq!(
            merged["notes"].as_array().unwrap().len(),
            2,
            "one for the merge, one for the link"
        );
    }
    assert_eq!(one(&app, b).await["duplicate_finding"], a);
    let body = json!({"primary": a, "findings": [c], "mark_as": "inactive"});
    let (_, merged) = app.post("findings/merge/", body).await;
    assert_eq!(
        merged["tags"],
        json!(["t0", "all", "t1"]),
        "nothing was asked for"
    );
    let inactive = one(&app, c).await;
    assert_eq!(
        (&inactive["active"], &inactive["duplicate"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(
        inactive["notes"][0]["entry"],
        format!("Merged into finding {a}.")
    );
    // what is deleted leaves its duplicates to the one that stays
    let body =
        json!({"primary": d, "findings": [a], "mark_as": "delete", "append_description": true});
    let (status, merged) = app.post("findings/merge/", body).await;
    assert_eq!(status, 200, "{merged}");
    assert!(merged["description"].as_str().unwrap().contains("case 1"));
    assert_eq!(app.get(&format!("findings/{a}/")).await.0, 404);
    assert_eq!(one(&app, b).await["duplicate_finding"], d);
    check(&app).await;
    for (body, field) in [
        (
            json!({"primary": d, "findings": [d], "mark_as": "duplicate"}),
            "findings",
        ),
        (
            json!({"primary": b, "findings": [d], "mark_as": "duplicate"}),
            "findings",
        ),
        (
            json!({"primary": d, "findings": [], "mark_as": "duplicate"}),
            "findings",
        ),
        (json!({"primary": d, "findings": [c]}), "mark_as"),
        (
            json!({"primary": d, "findings": [c], "mark_as": "gone"}),
            "mark_as",
        ),
        (
            json!({"primary": 99, "findings": [c], "mark_as": "inactive"}),
            "primary",
        ),
        (
            json!({"primary": d, "findings": [99], "mark_as": "inactive"}),
            "findings",
        ),
    ] {
        let (status, answer) = app.post("findings/merge/", body.clone()).await;
        assert_eq!(status, 400, "{body} {answer}");
        assert!(answer[field].is_array(), "{field} in {answer}");
    }
}

#[tokio::test]
async fn many_are_changed_at_once_or_none() {
    let app = TestApp::start().await;
    let [product, engagement, test] = app.tree().await;
    let mut ids = findings(&app, test, 47).await;
    let second = another_test(&app, product, Some(engagement), false).await;
    ids.extend(findings(&app, second, 1).await);
    let body = json!({
        "ids": ids, "note": "fixed in 1.2",
        "changes": {"status": "Fixed", "add_tags": ["done"], "remove_tags": ["open"]},
    });
    let (status, answer) = app.post("findings/bulk/", body).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["changed"].as_array().unwrap().len(), 48);
    assert_eq!(
        app.get("findings/?status=Fixed&tags=done").await.1["count"],
        48
    );
    let last = one(&app, ids[47]).await;
    assert_eq!(last["notes"][0]["entry"], "fixed in 1.2");
    check(&app).await;

    let again = json!({"ids": ids, "changes": {"is_mitigated": true}});
    let (_, answer) = app.post("findings/bulk/", again).await;
    assert_eq!(answer["changed"], json!([]));
    assert_eq!(answer["unchanged"].as_array().unwrap().len(), 48);
    for (body, field) in [
        (
            json!({"ids": [ids[0], 99], "changes": {"active": true}}),
            "ids",
        ),
        (json!({"ids": [], "changes": {"active": true}}), "ids"),
        (
            json!({"ids": (1..50).collect::<Vec<_>>(), "changes": {"active": true}}),
            "ids",
        ),
        (json!({"changes": {"active": true}}), "ids"),
        (json!({"ids": ids}), "changes"),
        (json!({"ids": ids, "changes": {"color": "red"}}), "changes"),
        (
            json!({"ids": ids, "changes": {"active": "perhaps"}}),
            "active",
        ),
        (
            json!({"ids": ids, "changes": {"duplicate": true}}),
            "duplicate",
        ),
        (
            json!({"ids": ids, "changes": {"risk_accepted": true}}),
            "risk_accepted",
        ),
        (json!({"ids": ids, "changes": {"status": "Gone"}}), "status"),
    ] {
        let (status, answer) = app.post("findings/bulk/", body.clone()).await;
        assert_eq!(status, 400, "{body} {answer}");
        assert!(answer[field].is_array(), "{field} in {answer}");
    }
    assert_eq!(app.get("findings/?status=Fixed").await.1["count"], 48);

    // duplicates that come back are originals again
    link(&app, ids[0], &ids[1..3]).await;
    let open = json!({"ids": &ids[..3], "changes": {"status": "Open"}});
    let (status, answer) = app.post("findings/bulk/", open).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        app.get("findings/?active=true&duplicate=false").await.1["count"],
        3
    );
    check(&app).await;
    link(&app, ids[0], &ids[1..3]).await;
    let delete = json!({"ids": &ids[..2], "changes": {"delete": true}});
    let (status, answer) = app.post("findings/bulk/", delete).await;
    assert_eq!(
        (status.as_u16(), &answer["deleted"]),
        (200, &json!(&ids[..2]))
    );
    assert_eq!(one(&app, ids[2]).await["duplicate"], false);
    assert_eq!(app.get("findings/").await.1["count"], 46);
    check(&app).await;
}
