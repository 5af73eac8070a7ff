//! Notes and files of findings, engagements and tests.

use http::{Method, Request, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::app::{TOKEN, TestApp};

#[tokio::test]
async fn notes_and_files_are_attached_to_findings_engagements_and_tests() {
    let app = TestApp::start().await;
    let [_, engagement, test] = app.tree().await;
    let finding = app.finding(test, json!({"title": "Weak cipher"})).await;
    for (path, id_name) in [
        (format!("findings/{finding}"), "finding_id"),
        (format!("engagements/{engagement}"), "engagement_id"),
        (format!("tests/{test}"), "test_id"),
    ] {
        let id: u64 = path.split('/').nth(1).unwrap().parse().unwrap();
        let notes = format!("{path}/notes/");
        assert_eq!(app.get(&notes).await.1, json!({id_name: id, "notes": []}));
        let (status, note) = app
            .post(&notes, json!({"entry": "Seen in May.", "private": true}))
            .await;
        assert_eq!(status, 201, "{note}");
        assert_eq!(note["author"]["username"], "admin");
        assert_eq!(
            (&note["private"], &note["note_type"]),
            (&json!(true), &Value::Null)
        );
        let (_, listed) = app.get(&notes).await;
        assert_eq!(listed["notes"], json!([note]));
        assert_eq!(app.post(&notes, json!({"entry": ""})).await.0, 400);

        let files = format!("{path}/files/");
        assert_eq!(app.get(&files).await.1, json!({id_name: id, "files": []}));
        let (status, file) = app
            .upload(
                &files,
                &[("title", "Proof")],
                Some(("proof ü.txt", "it works")),
            )
            .await;
        assert_eq!(status, 201, "{file}");
        assert_eq!(file["title"], "Proof");
        let address = file["file"].as_str().unwrap();
        assert_eq!(
            address,
            format!(
                "http://tatami.test/api/v2/{path}/files/download/{}/",
                file["id"]
            )
        );
        assert_eq!(app.get(&files).await.1["files"], json!([file]));
        let (status, untitled) = app.upload(&files, &[], Some(("log.txt", ""))).await;
        assert_eq!(status, 201);
        assert_eq!(untitled["title"], "log.txt");
        let long = "t".repeat(101);
        let (status, answer) = app
            .upload(&files, &[("title", &long)], Some(("a", "a")))
            .await;
        assert_eq!(status, 400);
        assert!(answer["title"][0].is_string(), "{answer}");
        assert_eq!(app.post(&files, json!({"title": "none"})).await.0, 400);

        let request = Request::get(address)
            .header("authorization", format!("Token {TOKEN}"))
            .body(axum::body::Body::empty())
            .unwrap();
        let response = app.response(request).await;
        assert_eq!(response.status(), 200);
        let disposition = &response.headers()[header::CONTENT_DISPOSITION];
        assert_eq!(
            disposition,
            "attachment; filename*=UTF-8''proof%20%C3%BC.txt"
        );
        assert_eq!(
            response.headers()[header::X_CONTENT_TYPE_OPTIONS],
            "nosniff"
        );
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(bytes, "it works");

        let (_, one) = app.get(&format!("{path}/")).await;
        assert_eq!(one["notes"][0]["entry"], "Seen in May.", "{one}");
        assert_eq!(one["files"].as_array().unwrap().len(), 2);
        assert_eq!(one.get("annotated"), None);
    }
    let (_, of_test) = app.get(&format!("tests/{test}/")).await;
    let (_, of_finding) = app.get(&format!("findings/{finding}/")).await;
    for (owner, count) in [(of_test, 1), (of_finding, 0)] {
        let note = &owner["notes"][0]["id"];
        let (_, page) = app.get(&format!("tests/?notes={note}")).await;
        assert_eq!(page["count"], count, "{note}");
    }
    // A file is found only where it is attached, and an engagement's are in its list.
    let (_, files) = app.get(&format!("findings/{finding}/files/")).await;
    let file = &files["files"][0]["id"];
    let elsewhere = format!("tests/{test}/files/download/{file}/");
    assert_eq!(app.get(&elsewhere).await.0, 404);
    let (_, page) = app.get("engagements/").await;
    assert_eq!(page["results"][0]["files"][0]["title"], "Proof");
    assert_eq!(page["results"][0]["notes"][0]["entry"], "Seen in May.");

    let path = format!("findings/{finding}/");
    assert_eq!(app.call(Method::DELETE, &path, None).await.0, 204);
    let store = &app.services.store;
    let left = store.attachments(tatami_domain::FindingId(finding)).await;
    assert!(left.unwrap().is_empty());
    let bytes = app
        .services
        .blobs
        .attachment(file.as_u64().unwrap().into())
        .await;
    assert!(bytes.is_err());
}

#[tokio::test]
async fn notes_have_types_some_of_which_are_there_once() {
    let app = TestApp::start().await;
    let [_, _, test] = app.tree().await;
    let finding = app.finding(test, json!({"title": "Weak cipher"})).await;
    let notes = format!("findings/{finding}/notes/");
    let kind = json!({"name": "Decision", "description": "Who decided", "is_single": true});
    let (_, kind) = app.post("note_type/", kind).await;
    let note = json!({"entry": "We keep it.", "note_type": kind["id"]});
    let (status, answer) = app.post(&notes, note.clone()).await;
    assert_eq!(status, 201, "{answer}");
    assert_eq!(answer["note_type"], kind);
    let (status, answer) = app.post(&notes, note).await;
    assert_eq!(status, 400);
    assert!(answer["note_type"][0].is_string(), "{answer}");
    let (_, other) = app
        .post(
            "note_type/",
            json!({"name": "Old", "description": "d", "is_active": false}),
        )
        .await;
    for wrong in [&other["id"], &json!(99)] {
        let note = json!({"entry": "n", "note_type": wrong});
        let (status, answer) = app.post(&notes, note).await;
        assert_eq!(status, 400);
        assert!(answer["note_type"][0].is_string(), "{answer}");
    }
    // what is said about a change has a type too
    let path = format!("findings/{finding}");
    let said = json!({"note": "Checked.", "note_type": kind["id"]});
    let (status, answer) = app.post(&format!("{path}/verify/"), said.clone()).await;
    assert_eq!(status, 400, "there is one already: {answer}");
    let plain = json!({"name": "Plain", "description": "d"});
    let (_, plain) = app.post("note_type/", plain).await;
    let said = json!({"note": "Gone.", "note_type": plain["id"]});
    let (status, answer) = app.post(&format!("{path}/close/"), said).await;
    assert_eq!(
        (status.as_u16(), &answer["note"], &answer["note_type"]),
        (200, &json!("Gone."), &plain["id"])
    );
    let (_, listed) = app.get(&notes).await;
    assert_eq!(listed["notes"][1]["note_type"], plain, "{listed}");
}
