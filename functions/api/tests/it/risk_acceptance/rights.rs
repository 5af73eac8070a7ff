//! Who may accept which risks.

use http::Method;
use serde_json::{Value, json};

use super::{LIST, accept, by, findings, member, stands, test_in};
use crate::app::TestApp;

#[tokio::test]
async fn only_who_may_accepts_risks_and_only_where_they_may() {
    let app = TestApp::start().await;
    let [product, _, test] = app.tree().await;
    let own = findings(&app, test, 3).await;
    let other = json!({"name": "Other", "description": "d", "prod_type": 1});
    let (_, other) = app.post("products/", other).await;
    let reporter = member(&app, "reporter", ("product", product), 5).await;
    let analyst = member(&app, "analyst", ("product", product), 2).await;
    let outsider = member(
        &app,
        "outsider",
        ("product", other["id"].as_u64().unwrap()),
        4,
    )
    .await;
    let made = accept(&app, "a", &own[..1]).await;
    let one = format!("{LIST}{}/", made["id"]);
    let body = json!({"name": "n", "accepted_findings": [own[2]]});
    let bulk = json!({"ids": [own[2]], "justification": "j"});
    let entry =
        json!([{"vulnerability_id": "CVE-2026-2", "justification": "j", "accepted_by": "a"}]);
    let writes = [
        (Method::POST, LIST.to_owned(), body.clone()),
        (Method::POST, format!("{LIST}bulk/"), bulk.clone()),
        (Method::POST, "findings/accept_risks/".into(), entry.clone()),
        (
            Method::POST,
            format!("tests/{test}/accept_risks/"),
            entry.clone(),
        ),
        (Method::PATCH, one.clone(), json!({"name": "x"})),
        (Method::DELETE, one.clone(), json!({})),
        (Method::POST, format!("{one}expire/"), json!({})),
    ];
    for (method, path, body) in &writes {
        for token in [&reporter, &analyst] {
            let (status, answer) = by(&app, token, method.clone(), path, body.clone()).await;
            assert_eq!(status, 403, "{method} {path} {answer}");
        }
        let (status, answer) = by(&app, &outsider, method.clone(), path, body.clone()).await;
        let hidden = match &**path {
            // the one id is missing, and no finding is seen
            path if path.ends_with("bulk/") => 200,
            path if path.starts_with("findings/") => 201,
            _ => 404,
        };
        assert_eq!(status, hidden, "{method} {path} {answer}");
    }
    assert_eq!(stands(&app, own[2]).await, (true, false, None));
    // who doesn't see a finding isn't told whether it's there
    let (_, answer) = by(&app, &outsider, Method::POST, &format!("{LIST}bulk/"), bulk).await;
    assert_eq!(answer["results"][0]["result"], "missing");
}

#[tokio::test]
async fn who_has_a_role_in_an_engagement_accepts_what_is_in_it() {
    let app = TestApp::start().await;
    let [product, engagement, test] = app.tree().await;
    let own = findings(&app, test, 4).await;
    let aside = test_in(&app, &json!(product)).await;
    let outside = app.finding(aside, json!({"title": "o"})).await;
    let other = json!({"name": "Other", "description": "d", "prod_type": 1});
    let (_, other) = app.post("products/", other).await;
    let elsewhere = ("product", other["id"].as_u64().unwrap());
    let reporter = member(&app, "reporter", ("product", product), 5).await;
    let outsider = member(&app, "outsider", elsewhere, 4).await;
    let owner = member(&app, "owner", ("engagement", engagement), 4).await;
    let made = accept(&app, "a", &own[..1]).await;
    let wide = accept(&app, "wide", &[own[1], outside]).await;
    let one = format!("{LIST}{}/", made["id"]);
    for (token, seen) in [(&reporter, "a wide"), (&owner, "a"), (&outsider, "")] {
        let (_, page) = by(&app, token, Method::GET, LIST, json!({})).await;
        let names = page["results"].as_array().unwrap().iter();
        let names: Vec<&str> = names.map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(names.join(" "), seen);
    }
    for path in ["", "history/", "notes/", "download_proof/"] {
        let path = format!("{one}{path}");
        let (status, _) = by(&app, &outsider, Method::GET, &path, json!({})).await;
        assert_eq!(status, 404, "{path}");
    }
    let as_owner = |method: Method, path: String, body: Value| {
        let (app, owner) = (&app, &owner);
        async move { by(app, owner, method, &path, body).await }
    };
    let (_, rows) = as_owner(Method::GET, format!("{LIST}export/"), json!({})).await;
    assert_eq!(rows.as_array().unwrap().len(), 1);
    let (_, summary) = as_owner(Method::GET, format!("{LIST}summary/"), json!({})).await;
    assert_eq!(
        (&summary["accepted"], &summary["active"]),
        (&json!(2), &json!(1))
    );
    let body = json!({"name": "n", "accepted_findings": [own[2]]});
    let (status, made) = as_owner(Method::POST, LIST.into(), body).await;
    assert_eq!(status, 201, "{made}");
    let path = format!("{LIST}{}/", made["id"]);
    let wide = format!("{LIST}{}/", wide["id"]);
    let more = |finding: u64| json!({"accepted_findings": [own[2], finding]});
    for (method, path, body, wanted) in [
        (Method::PATCH, &path, more(own[3]), 200),
        (Method::PATCH, &path, more(outside), 404),
        (Method::DELETE, &wide, json!({}), 404),
        (Method::GET, &"events/".to_owned(), json!({}), 403),
        (Method::DELETE, &path, json!({}), 204),
    ] {
        let (status, answer) = as_owner(method, path.clone(), body).await;
        assert_eq!(status, wanted, "{path} {answer}");
    }
    assert_eq!(app.get("events/?day=someday").await.0, 400);
}
