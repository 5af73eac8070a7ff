use axum::body::Body;
use http::Request;
use serde_json::{Value, json};
use tatami_domain::{ImportError, ImportId, ImportState};

use crate::app::{TOKEN, TestApp};

const REPORT: (&str, &str) = ("r.json", "{\"findings\": []}");

#[tokio::test]
async fn the_target_comes_before_the_fields_and_nothing_is_made_for_a_bad_request() {
    let app = TestApp::start().await;
    let [_, engagement, _] = app.tree().await;
    let engagement = engagement.to_string();
    let (status, answer) = app
        .upload(
            "import-scan/",
            &[("product_name", "Shop"), ("scan_type", "Trivy Scan")],
            Some(REPORT),
        )
        .await;
    assert_eq!(
        (status.as_u16(), answer),
        (400, json!(["engagement_name parameter missing"]))
    );
    let (status, _) = app
        .upload("import-scan/", &[("engagement", "99")], Some(REPORT))
        .await;
    assert_eq!(status, 404);
    let to = ("engagement", engagement.as_str());
    for (more, file, field) in [
        (("scan_type", "Nonsense"), Some(REPORT), "scan_type"),
        (
            ("minimum_severity", "high"),
            Some(REPORT),
            "minimum_severity",
        ),
        (("scan_date", "2999-01-01"), Some(REPORT), "scan_date"),
        (("lead", "99"), Some(REPORT), "lead"),
        (
            ("api_scan_configuration", "99"),
            Some(REPORT),
            "api_scan_configuration",
        ),
        (("scan_type", "Trivy Scan"), None, "file"),
        (("scan_type", "Trivy Scan"), Some(("", "x")), "file"),
        (
            ("scan_type", "Trivy Scan"),
            Some(("empty.json", " ")),
            "file",
        ),
    ] {
        let (status, answer) = app.upload("import-scan/", &[to, more], file).await;
        assert_eq!(status, 400, "{answer}");
        assert!(answer[field].is_array(), "{field} in {answer}");
    }
    let (status, answer) = app
        .post(
            "import-scan/",
            json!({"engagement": 1, "scan_type": "Trivy Scan"}),
        )
        .await;
    assert_eq!(
        (status.as_u16(), &answer["file"]),
        (400, &json!(["No file was submitted."]))
    );
    let new = [
        ("product_name", "New"),
        ("engagement_name", "e"),
        ("auto_create_context", "true"),
    ];
    let (status, _) = app.upload("import-scan/", &new, None).await;
    assert_eq!(status, 400);
    assert_eq!(app.get("products/?name=New").await.1["count"], 0);
    let (status, answer) = app
        .upload(
            "reimport-scan/",
            &[to, ("scan_type", "Trivy Scan")],
            Some(REPORT),
        )
        .await;
    assert_eq!(status, 404, "{answer}");
    let big = "x".repeat(5 * 1024 * 1024);
    let (status, answer) = app.upload("import-scan/", &[to], Some(("r", &big))).await;
    assert_eq!(status, 413, "{answer}");
    assert!(
        answer["detail"]
            .as_str()
            .unwrap()
            .contains("/api/v2/uploads/")
    );
}

/// Plays the pipeline: ends the import with this number as soon as its report is there.
async fn pipeline(app: &TestApp, id: u64, state: ImportState, error: Option<ImportError>) {
    let store = &app.services.store;
    for _ in 0..500 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        let Ok(mut import) = store.import(ImportId(id)).await else {
            continue;
        };
        let Ok(upload) = app.services.blobs.open(&import.bucket, &import.key).await else {
            continue;
        };
        assert_eq!(upload.metadata["import"], id.to_string());
        import.state = state;
        import.error = error;
        import.after = Some(tatami_domain::SeverityCounts::default());
        assert!(store.save_import(&import).await.unwrap());
        if let Some(test) = import.test {
            store.begin_import(test, import.id).await.unwrap();
        }
        return;
    }
    panic!("no import {id}");
}

#[tokio::test]
async fn an_import_answers_when_the_pipeline_is_done() {
    let app = TestApp::start().await;
    let [product, engagement, test] = app.tree().await;
    let test = test.to_string();
    let fields = [
        ("test", test.as_str()),
        ("tags", "a"),
        ("tags", "b,c"),
        ("active", "True"),
    ];
    let ((status, answer), ()) = tokio::join!(
        app.upload(
            "import-scan/",
            &fields,
            Some(("../dir/my report.json", REPORT.1))
        ),
        pipeline(&app, 1, ImportState::Done, None),
    );
    assert_eq!(status, 201, "{answer}");
    assert_eq!(answer["scan_type"], "Generic Findings Import", "the test's");
    assert_eq!(answer["tags"], json!(["a", "b", "c"]));
    assert_eq!(
        (&answer["product_id"], &answer["engagement_id"]),
        (&json!(product), &json!(engagement))
    );
    assert_eq!(answer["statistics"]["after"]["total"]["total"], 0);
    assert_eq!(answer["statistics"]["delta"], Value::Null);
    let (_, record) = app.get("imports/1/").await;
    assert_eq!(
        (&record["state"], &record["key"]),
        (&json!("done"), &json!("imports/1/my_report.json"))
    );
    assert_eq!(record["options"]["active"], true);

    let raw = Request::post(format!("/api/v2/reimport-scan/?test={test}"))
        .header("authorization", format!("Token {TOKEN}"))
        .header("content-type", "application/json")
        .body(Body::from(REPORT.1))
        .unwrap();
    let ((status, answer), ()) =
        tokio::join!(app.send(raw), pipeline(&app, 2, ImportState::Done, None));
    assert_eq!(status, 201, "{answer}");
    assert_eq!(
        answer["statistics"]["delta"]["created"]["total"]["total"],
        0
    );
    assert_eq!(answer["close_old_findings"], true);
    let (_, page) = app.get(&format!("imports/?test={test}")).await;
    assert_eq!(
        (&page["count"], &page["results"][0]["id"]),
        (&json!(2), &json!(2))
    );

    let error = ImportError {
        message: "not JSON".into(),
        line: Some(2),
        ..ImportError::default()
    };
    let ((status, answer), ()) = tokio::join!(
        app.upload("import-scan/", &fields[..1], Some(REPORT)),
        pipeline(&app, 3, ImportState::Failed, Some(error)),
    );
    assert_eq!(
        (status.as_u16(), &answer["file"]),
        (400, &json!(["not JSON (line 2)"]))
    );
    assert!(
        answer["status_url"]
            .as_str()
            .unwrap()
            .ends_with("/api/v2/imports/3/")
    );
}

#[tokio::test]
async fn big_reports_get_a_link_of_their_own() {
    let app = TestApp::start().await;
    let body = json!({
        "product_name": "New", "engagement_name": "e", "auto_create_context": true,
        "scan_type": "trivy scan", "file_name": "big.json", "reimport": "true", "tags": ["a"],
    });
    let (status, link) = app.post("uploads/", body).await;
    assert_eq!(status, 201, "{link}");
    assert_eq!(link["method"], "PUT");
    assert!(
        link["url"]
            .as_str()
            .unwrap()
            .contains("/imports/1/big.json?"),
        "{link}"
    );
    assert_eq!(link["headers"]["x-amz-meta-import"], "1");
    let (_, record) = app.get("imports/1/").await;
    assert_eq!(
        (&record["state"], &record["type"]),
        (&json!("queued"), &json!("reimport"))
    );
    assert_eq!(record["options"]["scan_type"], "Trivy Scan");
    let (status, answer) = app.post("uploads/", json!({"scan_type": "x"})).await;
    assert_eq!(status, 400, "{answer}");
}
