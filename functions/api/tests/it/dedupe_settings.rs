use http::Method;
use serde_json::{Value, json};
use tatami_domain::{DedupeScope, FindingId, ProductId};

use crate::app::TestApp;

#[tokio::test]
async fn levels_inherit_what_they_leave_open() {
    let app = TestApp::start().await;
    let [product, _, _] = app.tree().await;
    let at = |level: String| format!("deduplication_settings/{level}/");
    let system = at("system".into());
    let own = at(format!("products/{product}"));
    let kinds = app.get("test_types/?name=Trivy%20Scan").await.1;
    let kind = at(format!("test_types/{}", kinds["results"][0]["id"]));

    let (status, answer) = app.get(&system).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["scope"], "system");
    assert_eq!(
        (&answer["enabled"], &answer["changed"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(answer["effective"]["enabled"], true);
    assert_eq!(
        answer["effective"]["algorithm"],
        Value::Null,
        "each scanner has its own"
    );
    let (_, answer) = app.get(&kind).await;
    assert_eq!(answer["effective"]["algorithm"], "hash_code");
    assert_eq!(answer["effective"]["hash_fields"][0], "title");

    let (status, answer) = app
        .patch(&system, json!({"mode": "manual", "clustering": "none"}))
        .await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["changed_by"], 1);
    let (status, answer) = app
        .call(Method::PUT, &own, Some(json!({"mode": "automatic"})))
        .await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["clustering"], Value::Null);
    assert_eq!(answer["effective"]["clustering"], "none");
    assert_eq!(answer["effective"]["mode"], "automatic");
    let stored = app.services.store.dedupe_levels(ProductId(product)).await;
    let stored = stored
        .unwrap()
        .resolve(&tatami_domain::Dedupe::BY_HAND, "Trivy Scan");
    assert_eq!(json!(stored.mode), "automatic");

    let (_, page) = app.get("deduplication_settings/").await;
    assert_eq!(page["count"], 2);
    assert_eq!(page["results"][1]["product"], product);
    assert_eq!(page["results"][1]["effective"]["clustering"], "none");
    let (_, answer) = app.call(Method::PUT, &system, Some(json!({}))).await;
    assert_eq!(
        answer["mode"],
        Value::Null,
        "PUT takes back what isn't sent"
    );

    for (body, field) in [
        (json!({"hash_fields": ["title", "colour"]}), "hash_fields"),
        (json!({"algorithm": "sha"}), "algorithm"),
        (json!({"enabled": "perhaps"}), "enabled"),
    ] {
        let (status, answer) = app.patch(&own, body).await;
        assert_eq!(status, 400);
        assert!(answer[field][0].is_string(), "{answer}");
    }
    for path in ["products/99", "test_types/99", "products/x"] {
        assert_eq!(app.get(&at(path.into())).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn system_settings_are_the_systems_level_under_known_names() {
    let app = TestApp::start().await;
    let (_, page) = app.get("system_settings/").await;
    let settings = &page["results"][0];
    assert_eq!(settings["enable_deduplication"], true);
    assert_eq!(settings["false_positive_history"], false);
    let change =
        json!({"enable_deduplication": false, "false_positive_history": "true", "team_name": "x"});
    let (status, answer) = app.patch("system_settings/1/", change).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["enable_deduplication"], false);
    let level = app
        .services
        .store
        .dedupe_level(DedupeScope::System)
        .await
        .unwrap();
    assert_eq!(level.settings.enabled, Some(false));
    assert_eq!(level.settings.false_positive_history, Some(true));
    assert_eq!(app.patch("system_settings/2/", json!({})).await.0, 404);
}

#[tokio::test]
async fn a_proposed_duplicate_is_confirmed_or_rejected_by_a_person() {
    let app = TestApp::start().await;
    let [product, _, test] = app.tree().await;
    let mut ids = Vec::new();
    for n in 0..4 {
        ids.push(
            app.finding(test, json!({"title": format!("finding {n}")}))
                .await,
        );
    }
    let [original, confirmed, rejected, follower] = ids[..] else {
        panic!("four findings");
    };
    let store = &app.services.store;
    let set = async |id: u64, change: &dyn Fn(&mut tatami_domain::Finding)| {
        let old = store.finding(FindingId(id)).await.unwrap();
        let mut new = old.clone();
        change(&mut new);
        let commit = tatami_store::Commit {
            product: ProductId(product),
            changes: vec![tatami_store::Change::Update {
                old: Box::new(old),
                new: Box::new(new),
            }],
            claims: Vec::new(),
            notes: Vec::new(),
            events: Vec::new(),
            marker: None,
            unique: format!("test{id}"),
        };
        assert_eq!(
            store.commit(&commit).await.unwrap(),
            tatami_store::Committed::Yes
        );
    };
    for id in [confirmed, rejected] {
        set(id, &|f| f.proposed_duplicate = Some(FindingId(original))).await;
    }
    set(follower, &|f| {
        f.flags = tatami_dedup_rules::as_duplicate(f.flags);
        f.duplicate_finding = Some(FindingId(confirmed));
    })
    .await;
    let (_, page) = app.get("findings/?has_proposed_duplicate=true").await;
    assert_eq!(page["count"], 2);
    assert_eq!(page["results"][0]["proposed_duplicate"], original);

    let path = |id: u64, word: &str| format!("findings/{id}/duplicate/{word}/");
    let (status, answer) = app.post(&path(confirmed, "confirm"), json!({})).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["duplicate"], true);
    assert_eq!(answer["duplicate_finding"], original);
    assert_eq!(
        (&answer["active"], &answer["proposed_duplicate"]),
        (&json!(false), &Value::Null)
    );
    let (_, answer) = app.get(&format!("findings/{follower}/")).await;
    assert_eq!(
        answer["duplicate_finding"], original,
        "chains are flattened"
    );

    let (status, answer) = app.post(&path(rejected, "reject"), json!({})).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        (&answer["active"], &answer["proposed_duplicate"]),
        (&json!(true), &Value::Null)
    );
    let (_, page) = app.get("findings/?has_proposed_duplicate=true").await;
    assert_eq!(page["count"], 0);
    for word in ["confirm", "reject"] {
        let (status, answer) = app.post(&path(rejected, word), json!({})).await;
        assert_eq!(status, 400, "{answer}");
        assert!(answer["proposed_duplicate"].is_array());
    }
}
