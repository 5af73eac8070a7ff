//! `prefetch=` and `related_fields=true`.

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use crate::app::TestApp;

#[tokio::test]
async fn what_fields_point_to_comes_along() {
    let app = TestApp::start().await;
    let [product, _, test] = app.tree().await;
    let regulation = json!({
        "name": "R", "acronym": "r", "category": "privacy", "jurisdiction": "EU",
    });
    let (_, regulation) = app.post("regulations/", regulation).await;
    let path = format!("products/{product}/");
    let change = json!({"product_manager": 1, "regulations": [regulation["id"]]});
    assert_eq!(app.patch(&path, change).await.0, 200);
    let (status, one) = app
        .get(&format!(
            "{path}?prefetch=prod_type,nonsense&prefetch=regulations,team_manager"
        ))
        .await;
    assert_eq!(status, 200, "{one}");
    let kind = one["prod_type"].to_string();
    assert_eq!(
        one["prefetch"]["prod_type"][&kind]["name"], "Shops",
        "{one}"
    );
    let id = regulation["id"].to_string();
    let expected = json!({"prod_type": one["prefetch"]["prod_type"], "team_manager": {},
        "regulations": {id: regulation}});
    assert_eq!(one["prefetch"], expected);
    let (_, list) = app.get("products/?prefetch=product_manager").await;
    let manager = &list["prefetch"]["product_manager"]["1"];
    let expected = json!({"id": 1, "username": "admin", "first_name": "", "last_name": ""});
    assert_eq!(*manager, expected, "{list}");
    let (_, plain) = app.get(&path).await;
    assert!(plain.get("prefetch").is_none(), "{plain}");

    let finding = app.finding(test, json!({})).await;
    let path = format!("findings/{finding}/");
    let note = json!({"entry": "look"});
    let (_, note) = app.post(&format!("{path}notes/"), note).await;
    let file = Some(("a.txt", "text"));
    let (_, file) = app.upload(&format!("{path}files/"), &[], file).await;
    let group = json!({"name": "g", "test": test, "findings": [finding]});
    let (_, group) = app.post("finding_groups/", group).await;
    let twin = app.finding(test, json!({})).await;
    let query = "prefetch=test,found_by,reporter,notes,files,finding_group_set,duplicate_finding";
    let (_, one) = app.get(&format!("{path}?{query}")).await;
    let along = &one["prefetch"];
    assert_eq!(along["test"][&test.to_string()]["title"], "t", "{along}");
    assert_eq!(along["reporter"]["1"]["username"], "admin");
    assert_eq!(along["notes"][note["id"].to_string()], note);
    assert_eq!(along["files"][file["id"].to_string()], file);
    assert_eq!(
        along["finding_group_set"][group["id"].to_string()]["findings"],
        json!([finding])
    );
    assert_eq!(along["found_by"]["1"]["id"], 1);
    assert_eq!(along["duplicate_finding"], json!({}));
    let (_, list) = app.get(&format!("findings/?{query}")).await;
    assert_eq!(list["count"], 2);
    for field in ["test", "notes", "files", "finding_group_set", "reporter"] {
        assert_eq!(list["prefetch"][field], along[field], "{field}");
    }
    let original = &list["prefetch"]["duplicate_finding"][finding.to_string()];
    assert_eq!(original["title"], "SQL injection", "the original of {twin}");
}

#[tokio::test]
async fn what_findings_belong_to_is_spelled_out() {
    let app = TestApp::start().await;
    let [product, engagement, test] = app.tree().await;
    let finding = app.finding(test, json!({})).await;
    let (_, one) = app
        .get(&format!("findings/{finding}/?related_fields=true"))
        .await;
    let related = &one["related_fields"];
    assert_eq!(related["jira"], Value::Null);
    let own = &related["test"];
    assert_eq!((&own["id"], &own["title"]), (&json!(test), &json!("t")));
    assert_eq!(own["test_type"]["name"], "Generic Findings Import");
    assert!(own["environment"]["name"].is_string());
    let own = &own["engagement"];
    assert_eq!(
        (&own["id"], &own["target_end"]),
        (&json!(engagement), &json!("2026-12-31"))
    );
    let prod_type = &own["product"]["prod_type"];
    assert_eq!(
        (&own["product"]["id"], &prod_type["name"]),
        (&json!(product), &json!("Shops"))
    );
    let (_, list) = app.get("findings/?related_fields=true").await;
    assert_eq!(list["results"][0]["related_fields"], *related);
    for path in [
        format!("findings/{finding}/"),
        "findings/1024/?related_fields=false".into(),
    ] {
        let (_, one) = app.get(&path).await;
        assert_eq!(one["related_fields"], Value::Null, "{path}");
    }
}

/// Every field that the document names can be asked for, one by one and in lists.
#[tokio::test]
async fn every_field_of_the_document_is_sent_along() {
    let app = TestApp::start().await;
    app.tree().await;
    let (_, document) = app.get("oa3/schema/").await;
    let mut tried = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        let parameters = operations["get"]["parameters"].as_array();
        let prefetch = parameters
            .into_iter()
            .flatten()
            .find(|p| p["name"] == "prefetch");
        let Some(names) = prefetch.map(|p| &p["schema"]["items"]["enum"]) else {
            continue;
        };
        let names: Vec<&str> = names
            .as_array()
            .unwrap()
            .iter()
            .map(|n| n.as_str().unwrap())
            .collect();
        let path = path.trim_start_matches("/api/v2/").replace("{id}", "1");
        let (status, answer) = app
            .get(&format!("{path}?prefetch={}", names.join(",")))
            .await;
        if status == 404 {
            continue;
        }
        assert_eq!(status, 200, "{path} {answer}");
        tried += 1;
        for name in names {
            assert!(
                answer["prefetch"][name].is_object(),
                "{path} {name} {answer}"
            );
        }
    }
    assert!(tried > 20, "{tried}");
}

#[tokio::test]
async fn what_somebody_may_not_see_does_not_come_along() {
    let app = TestApp::start().await;
    let [product, ..] = app.tree().await;
    let (_, user) = app
        .post("users/", json!({"username": "u", "email": "u@b.example"}))
        .await;
    let member = json!({"user": user["id"], "product": product, "role": 5});
    assert_eq!(app.post("product_members/", member).await.0, 201);
    let (_, token) = app
        .post("tokens/", json!({"user": user["id"], "name": "t"}))
        .await;
    let ask = async |path: &str| {
        let request = Request::get(format!("/api/v2/{path}"))
            .header(
                "authorization",
                format!("Token {}", token["token"].as_str().unwrap()),
            )
            .body(Body::empty());
        app.send(request.unwrap()).await.1
    };
    let path = format!("products/{product}/?prefetch=prod_type");
    let theirs = ask(&path).await;
    assert_eq!(theirs["name"], "Shop");
    assert_eq!(
        theirs["prefetch"],
        json!({"prod_type": {}}),
        "the type is not theirs to see"
    );
    let (_, ours) = app.get(&path).await;
    assert_eq!(ours["prefetch"]["prod_type"].as_object().unwrap().len(), 1);
    let list = ask("product_members/?prefetch=product,user,role").await;
    assert_eq!(
        list["prefetch"]["product"][product.to_string()]["name"],
        "Shop"
    );
    let shown = &list["prefetch"]["user"][user["id"].to_string()];
    assert_eq!(shown["username"], "u");
    assert!(shown.get("email").is_none(), "{shown}");
}
