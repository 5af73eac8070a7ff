//! Proofs and notes.

use axum::body::Body;
use http::{Method, Request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::{LIST, accept, by, findings, get, member};
use crate::app::{TOKEN, TestApp};

#[tokio::test]
async fn a_proof_is_given_back_as_it_came() {
    let app = TestApp::start().await;
    let [_, _, test] = app.tree().await;
    let own = findings(&app, test, 1).await;
    let made = accept(&app, "a", &own).await;
    let path = format!("{LIST}{}/", made["id"]);
    assert_eq!(app.get(&format!("{path}download_proof/")).await.0, 404);
    let (status, answer) = app.upload(&format!("{path}proof/"), &[], None).await;
    assert_eq!(status, 400, "{answer}");
    for (name, content) in [("first.pdf", "one"), ("Unterschrift ü.html", "<script>")] {
        let (status, proven) = app
            .upload(&format!("{path}proof/"), &[], Some((name, content)))
            .await;
        assert_eq!(status, 201, "{proven}");
        let link = proven["path"].as_str().unwrap();
        assert_eq!(
            link,
            format!("http://tatami.test/api/v2/{path}download_proof/")
        );
        let request = Request::get(link.trim_start_matches("http://tatami.test"))
            .header("authorization", format!("Token {TOKEN}"));
        let response = app.response(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), 200);
        let headers = response.headers().clone();
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["content-type"], "application/octet-stream");
        let disposition = headers["content-disposition"].to_str().unwrap();
        assert!(disposition.starts_with("attachment;"), "{disposition}");
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(bytes, content);
    }
    let history = get(&app, &format!("{path}history/?limit=100")).await;
    let told = history["results"].as_array().unwrap();
    let proofs = told.iter().filter(|entry| entry["event"] == "proof_added");
    let proofs: Vec<&Value> = proofs.map(|entry| &entry["details"]).collect();
    assert_eq!(proofs, ["first.pdf", "Unterschrift ü.html"]);
    // files of other things aren't reached by it
    let other = accept(&app, "b", &[app.finding(test, json!({"title": "o"})).await]).await;
    let path = format!("{LIST}{}/download_proof/", other["id"]);
    assert_eq!(app.get(&path).await.0, 404);
}

#[tokio::test]
async fn notes_lie_with_their_acceptance() {
    let app = TestApp::start().await;
    let [product, _, test] = app.tree().await;
    let own = findings(&app, test, 1).await;
    let made = accept(&app, "a", &own).await;
    let path = format!("{LIST}{}/notes/", made["id"]);
    assert_eq!(app.post(&path, json!({"entry": ""})).await.0, 400);
    let (status, note) = app.post(&path, json!({"entry": "agreed by mail"})).await;
    assert_eq!(status, 201, "{note}");
    let all = get(&app, &path).await;
    assert_eq!(all["risk_acceptance_id"], made["id"]);
    assert_eq!(all["notes"], json!([note]));
    let one = get(&app, &format!("{LIST}{}/", made["id"])).await;
    assert_eq!(one["notes"], json!([note["id"]]));
    let under = get(&app, &format!("findings/{}/", own[0])).await;
    assert_eq!(under["accepted_risks"][0]["notes"], json!([note["id"]]));
    let by_id = format!("notes/{}/", note["id"]);
    let (status, rewritten) = app.patch(&by_id, json!({"entry": "agreed by word"})).await;
    assert_eq!(
        (status.as_u16(), &rewritten["entry"]),
        (200, &json!("agreed by word"))
    );
    let reporter = member(&app, "reporter", ("product", product), 5).await;
    assert_eq!(
        by(&app, &reporter, Method::GET, &by_id, json!({})).await.0,
        200
    );
    let (_, all) = by(&app, &reporter, Method::GET, "notes/", json!({})).await;
    // that of the finding too
    assert_eq!(all["count"], 2, "{all}");
    let (status, _) = by(&app, &reporter, Method::POST, &path, json!({"entry": "x"})).await;
    assert_eq!(status, 403);
}
