use http::Method;
use serde_json::{Value, json};
use tatami_domain::{FindingId, Import, ImportActions, ImportKind, ImportOptions, ImportState};

use crate::app::TestApp;

fn set<const N: usize>(ids: [u64; N]) -> tatami_domain::IdSet {
    ids.into_iter().map(FindingId).collect()
}

/// An import into a test that ended so; gives its id.
async fn imported(
    app: &TestApp,
    [product, engagement, test]: [u64; 3],
    state: ImportState,
    options: ImportOptions,
    actions: ImportActions,
) -> u64 {
    let store = &app.services.store;
    let import = Import {
        bucket: app.services.blobs.uploads_bucket().to_owned(),
        key: "imports/1/r.json".into(),
        product: Some(product.into()),
        engagement: Some(engagement.into()),
        test: Some(test.into()),
        scan_type: Some("Generic Findings Import".into()),
        by: Some(1.into()),
        created: "2026-01-05T10:00:00Z".parse().unwrap(),
        options,
        ..Import::default()
    };
    let mut import = store.create_import(import).await.unwrap();
    if state == ImportState::Done {
        store.put_part(import.id, 0, &actions).await.unwrap();
        store.begin_import(test.into(), import.id).await.unwrap();
        import.counts = actions.counts();
        import.finished = Some("2026-01-05T10:00:09Z".parse().unwrap());
    }
    import.state = state;
    assert!(store.save_import(&import).await.unwrap());
    import.id.0
}

async fn ids(app: &TestApp, path: &str) -> Vec<u64> {
    let (status, page) = app.get(path).await;
    assert_eq!(status, 200, "{path} {page}");
    let results = page["results"].as_array().unwrap();
    let ids: Vec<u64> = results.iter().map(|r| r["id"].as_u64().unwrap()).collect();
    if !path.contains("limit") {
        assert_eq!(page["count"], ids.len(), "{path}");
    }
    ids
}

/// Four imports: two into one test, of which the second closed what the other test had; one into the
/// other test; and one that failed.
async fn history(app: &TestApp) -> ([u64; 3], u64, [u64; 3], [u64; 4]) {
    let tree = app.tree().await;
    let [product, engagement, test] = tree;
    let other = json!({
        "engagement": engagement, "test_type": 1, "target_start": "2026-01-01",
        "target_end": "2026-01-02",
    });
    let other = app.post("tests/", other).await.1["id"].as_u64().unwrap();
    let a = app.finding(test, json!({"title": "a"})).await;
    let b = app.finding(test, json!({"title": "b"})).await;
    let c = app.finding(other, json!({"title": "c"})).await;
    let options = |kind, version: &str, branch: &str| ImportOptions {
        kind,
        version: Some(version.into()),
        branch_tag: Some(branch.into()),
        ..ImportOptions::default()
    };
    let done = ImportState::Done;
    let first = imported(
        app,
        [product, engagement, other],
        done,
        options(ImportKind::Reimport, "1.0", "main"),
        ImportActions {
            created: set([c]),
            ..ImportActions::default()
        },
    );
    let first = first.await;
    let second = imported(
        app,
        tree,
        done,
        options(ImportKind::Import, "1.1", "main"),
        ImportActions {
            created: set([a, b]),
            closed: set([c]),
            ..ImportActions::default()
        },
    );
    let second = second.await;
    let third = imported(
        app,
        tree,
        done,
        options(ImportKind::Reimport, "1.0", "dev"),
        ImportActions {
            closed: set([a]),
            untouched: set([a, b]),
            ..ImportActions::default()
        },
    );
    let third = third.await;
    let failed = imported(
        app,
        tree,
        ImportState::Failed,
        options(ImportKind::Reimport, "1.2", "main"),
        ImportActions::default(),
    );
    let failed = failed.await;
    (tree, other, [a, b, c], [first, second, third, failed])
}

#[tokio::test]
async fn imports_are_listed_by_what_they_were_asked_and_how_they_went() {
    let app = TestApp::start().await;
    let ([product, engagement, test], other, _, [first, second, third, failed]) =
        history(&app).await;
    for (query, wanted) in [
        (String::new(), vec![failed, third, second, first]),
        (
            format!("product={product}"),
            vec![failed, third, second, first],
        ),
        ("product=99".into(), vec![]),
        (
            format!("engagement={engagement}&state=done"),
            vec![third, second, first],
        ),
        ("state=failed,queued".into(), vec![failed]),
        (format!("test={test}"), vec![third, second]),
        (
            format!("test={test},{other}&state=done"),
            vec![third, second, first],
        ),
        ("type=import".into(), vec![second]),
        (
            "scan_type=generic findings import".replace(' ', "%20"),
            vec![failed, third, second, first],
        ),
        ("scan_type=Trivy%20Scan".into(), vec![]),
        ("by=1&version=1.0".into(), vec![third, first]),
        ("by=2".into(), vec![]),
        ("branch_tag=dev".into(), vec![third]),
        (
            "created=2026-01-05".into(),
            vec![failed, third, second, first],
        ),
        ("created_after=2026-01-06".into(), vec![]),
        (
            "created_before=2026-01-05&id=1,2".into(),
            vec![second, first],
        ),
        ("o=version".into(), vec![third, first, second, failed]),
        ("o=-version,id".into(), vec![failed, second, first, third]),
        ("o=id&limit=2&offset=1".into(), vec![second, third]),
    ] {
        assert_eq!(
            ids(&app, &format!("imports/?{query}")).await,
            wanted,
            "{query}"
        );
    }
    for query in [
        "state=gone",
        "type=x",
        "by=x",
        "created=soon",
        "o=nonsense",
        "test=x",
    ] {
        assert_eq!(
            app.get(&format!("imports/?{query}")).await.0,
            400,
            "{query}"
        );
    }
    assert_eq!(app.get("imports/?test=99").await.0, 404);
    // a failed import that goes on is done in every list
    let store = &app.services.store;
    let mut import = store.import(failed.into()).await.unwrap();
    import.state = ImportState::Done;
    store.revive_import(&import).await.unwrap();
    assert_eq!(ids(&app, "imports/?state=failed").await, Vec::<u64>::new());
    assert_eq!(ids(&app, "imports/?state=done").await.len(), 4);
    // one that was done before there was a list
    let old = store.create_import(import.clone()).await.unwrap();
    assert_eq!(ids(&app, "imports/?state=done&limit=1").await, [old.id.0]);
    import.state = ImportState::Processing;
    store.revive_import(&import).await.unwrap();
    assert_eq!(ids(&app, "imports/?state=processing").await, [failed]);
}

#[tokio::test]
async fn an_import_shows_the_findings_by_what_it_did_with_them() {
    let app = TestApp::start().await;
    let (_, _, [a, b, c], [first, second, third, failed]) = history(&app).await;
    for (import, action, wanted) in [
        (first, "", vec![c]),
        (second, "", vec![a, b, c]),
        (second, "?action=created", vec![a, b]),
        (second, "?action=closed", vec![c]),
        (third, "?action=untouched", vec![b]),
        (third, "?action=closed,reactivated", vec![a]),
        (third, "?limit=1&offset=1", vec![b]),
        (failed, "", vec![]),
    ] {
        let path = format!("imports/{import}/findings/{action}");
        assert_eq!(ids(&app, &path).await, wanted, "{path}");
    }
    let (_, page) = app.get(&format!("imports/{third}/findings/")).await;
    let told: Vec<&Value> = (page["results"].as_array().unwrap().iter())
        .map(|finding| &finding["import_action"])
        .collect();
    assert_eq!(told, [&json!("closed"), &json!("untouched")]);
    assert_eq!(page["results"][0]["title"], "a");
    assert_eq!(app.get("imports/1/findings/?action=eaten").await.0, 400);
    assert_eq!(app.get("imports/99/findings/").await.0, 404);
    let (_, link) = app.get(&format!("imports/{first}/report/")).await;
    assert_eq!(link["file_name"], "r.json");
    assert!(
        link["url"].as_str().unwrap().contains("/imports/1/r.json?"),
        "{link}"
    );
    assert_eq!(app.get("imports/99/report/").await.0, 404);
}

#[tokio::test]
async fn defectdojos_clients_see_what_each_import_did() {
    let app = TestApp::start().await;
    let ([product, _, test], other, [a, b, c], [first, second, third, failed]) =
        history(&app).await;
    let (status, import) = app.get(&format!("test_imports/{second}/")).await;
    assert_eq!(status, 200, "{import}");
    assert_eq!(
        (
            &import["type"],
            &import["version"],
            &import["branch_tag"],
            &import["test"]
        ),
        (
            &json!("import"),
            &json!("1.1"),
            &json!("main"),
            &json!(test)
        )
    );
    assert_eq!(import["findings_affected"], json!([a, b, c]));
    assert_eq!(import["import_settings"]["version"], "1.1");
    let actions = import["test_import_finding_action_set"].as_array().unwrap();
    let told: Vec<(&Value, &Value)> = actions
        .iter()
        .map(|x| (&x["action"], &x["finding"]))
        .collect();
    assert_eq!(
        told,
        [
            (&json!("N"), &json!(a)),
            (&json!("N"), &json!(b)),
            (&json!("C"), &json!(c))
        ]
    );
    assert_eq!(actions[0]["test_import"], second);
    assert_eq!(import["modified"], "2026-01-05T10:00:09Z");
    assert_eq!(app.get(&format!("test_imports/{failed}/")).await.0, 404);
    assert_eq!(app.get("test_imports/99/").await.0, 404);
    for (query, wanted) in [
        (String::new(), vec![third, second, first]),
        (format!("test={other}"), vec![first]),
        (format!("product={product}&version=1.0"), vec![third, first]),
        (format!("findings_affected={a}"), vec![third, second]),
        (format!("findings_affected={c}"), vec![second, first]),
        (
            format!("findings_affected={c}&findings_affected={b}"),
            vec![third, second, first],
        ),
        ("findings_affected=99999".into(), vec![]),
        (
            "test_import_finding_action__action=N".into(),
            vec![second, first],
        ),
        ("test_import_finding_action__action=R".into(), vec![]),
        (
            format!("test_import_finding_action__finding={a}&test={test}"),
            vec![third, second],
        ),
        (
            "test_import_finding_action__created=2026-01-05T10:00:09Z".into(),
            vec![third, second, first],
        ),
        ("o=-branch_tag&limit=2".into(), vec![second, first]),
    ] {
        assert_eq!(
            ids(&app, &format!("test_imports/?{query}")).await,
            wanted,
            "{query}"
        );
    }
    let mut replay = app.services.store.import(third.into()).await.unwrap();
    replay.options.kind = ImportKind::Replay;
    replay.replay = Some(tatami_domain::ReplayOf {
        import: third.into(),
        apply: false,
        counts: None,
    });
    let replay = app.services.store.create_import(replay).await.unwrap().id.0;
    assert_eq!(ids(&app, "imports/?type=replay").await, [replay]);
    assert_eq!(ids(&app, "imports/?type=import").await, [second]);
    assert_eq!(ids(&app, "test_imports/").await, [third, second, first]);
    assert_eq!(app.get(&format!("test_imports/{replay}/")).await.0, 404);
    for query in [
        "test_import_finding_action__action=X",
        "test_import_finding_action__created=soon",
        "findings_affected=x",
        "o=by",
    ] {
        assert_eq!(
            app.get(&format!("test_imports/?{query}")).await.0,
            400,
            "{query}"
        );
    }
}

#[tokio::test]
async fn the_history_is_corrected_and_what_was_done_elsewhere_is_noted() {
    let app = TestApp::start().await;
    let (tree, _, _, [first, second, ..]) = history(&app).await;
    let test = tree[2];
    let before = ids(&app, "test_imports/").await;
    let one = format!("test_imports/{first}/");
    let (_, was) = app.get(&one).await;
    let change = json!({"version": "1.2", "type": "nightly", "import_settings": {"tool": "x"},
        "branch_tag": "main", "test": 99});
    let (status, changed) = app.patch(&one, change.clone()).await;
    assert_eq!(status, 200, "{changed}");
    for name in ["version", "type", "import_settings", "branch_tag"] {
        assert_eq!(changed[name], change[name], "{name}");
    }
    for name in [
        "test",
        "findings_affected",
        "test_import_finding_action_set",
    ] {
        assert_eq!(changed[name], was[name], "{name}");
    }
    assert_eq!(app.get(&one).await.1, changed);
    assert_eq!(ids(&app, "test_imports/?version=1.2").await, [first]);
    let (_, import) = app.get(&format!("imports/{first}/")).await;
    assert_eq!(import["type"], "reimport", "what it did stays");
    let (status, changed) = app.patch(&one, json!({"import_settings": null})).await;
    assert_eq!(status, 200);
    assert!(changed["import_settings"]["kind"].is_string(), "{changed}");
    let long = json!({"import_settings": "x".repeat(70_000)});
    assert_eq!(app.patch(&one, long).await.0, 400);

    let (_, preview) = app
        .get(&format!("test_imports/{second}/delete_preview/"))
        .await;
    assert!(preview["count"].as_u64() > Some(1), "{preview}");
    let gone = format!("test_imports/{second}/");
    assert_eq!(app.call(Method::DELETE, &gone, None).await.0, 204);
    assert_eq!(app.get(&gone).await.0, 404);
    let left: Vec<u64> = before.into_iter().filter(|id| *id != second).collect();
    assert_eq!(ids(&app, "test_imports/").await, left);
    assert_eq!(app.get(&format!("imports/{second}/")).await.0, 200);

    for refused in [
        json!({"version": "1"}),
        json!({"test": 999, "version": "1"}),
    ] {
        let (status, answer) = app.post("test_imports/", refused).await;
        assert_eq!(status, 400);
        assert!(answer["test"][0].is_string(), "{answer}");
    }
    let new = json!({"test": test, "version": "0.9", "type": "Manual", "build_id": "7"});
    let (status, noted) = app.post("test_imports/", new).await;
    assert_eq!(status, 201, "{noted}");
    assert_eq!(
        (
            &noted["type"],
            &noted["build_id"],
            &noted["findings_affected"]
        ),
        (&json!("Manual"), &json!("7"), &json!([]))
    );
    let id = noted["id"].as_u64().unwrap();
    for query in [format!("test={test}&version=0.9"), "build_id=7".into()] {
        assert_eq!(ids(&app, &format!("test_imports/?{query}")).await, [id]);
    }
    let report = format!("imports/{id}/report/");
    assert_eq!(app.get(&report).await.0, 404);
    let replay = format!("imports/{id}/replay/");
    assert_eq!(app.post(&replay, json!({})).await.0, 400);
    let path = format!("test_imports/{id}/");
    assert_eq!(app.call(Method::DELETE, &path, None).await.0, 204);
    assert_eq!(app.get(&format!("imports/{id}/")).await.0, 404);
    assert_eq!(app.call(Method::DELETE, &path, None).await.0, 404);
}
