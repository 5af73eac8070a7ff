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
