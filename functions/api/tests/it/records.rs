//! Resources that are kept as they are sent.

use http::Method;
use serde_json::{Value, json};

use crate::app::TestApp;

/// Makes one, reads it, lists it by a filter, changes it, deletes it.
async fn lives(app: &TestApp, path: &str, new: Value, filter: &str, change: Value) -> Value {
    let list = format!("{path}/");
    let (status, made) = app.post(&list, new.clone()).await;
    assert_eq!(status, 201, "{path} {made}");
    for (name, value) in new.as_object().unwrap() {
        assert_eq!(&made[name], value, "{path} {name}");
    }
    let one = format!("{path}/{}/", made["id"]);
    assert_eq!(app.get(&one).await, (http::StatusCode::OK, made.clone()));
    let (_, page) = app.get(&format!("{list}?{filter}")).await;
    assert_eq!(page["count"], 1, "{path} {page}");
    let (_, page) = app.get(&format!("{list}?id=999")).await;
    let filters_by_id = page["count"] == 0;
    assert!(filters_by_id || !filter.contains("id="), "{path}");
    let (status, changed) = app.patch(&one, change.clone()).await;
    assert_eq!(status, 200, "{path} {changed}");
    for (name, value) in change.as_object().unwrap() {
        assert_eq!(&changed[name], value, "{path} {name}");
    }
    let (status, replaced) = app.call(Method::PUT, &one, Some(new)).await;
    assert_eq!(status, 200, "{path} {replaced}");
    let (status, preview) = app.get(&format!("{one}delete_preview/")).await;
    assert_eq!((status.as_u16(), &preview["count"]), (200, &json!(1)));
    assert_eq!(preview["results"][0]["id"], made["id"]);
    let (status, refused) = app.post(&list, json!({})).await;
    assert_eq!(status, 400, "{path} {refused}");
    made
}

async fn ends(app: &TestApp, path: &str, made: &Value) {
    let one = format!("{path}/{}/", made["id"]);
    let (status, answer) = app.call(Method::DELETE, &one, None).await;
    assert_eq!(status, 204, "{path} {answer}");
    assert_eq!(app.get(&one).await.0, 404, "{path}");
    assert_eq!(app.call(Method::DELETE, &one, None).await.0, 404, "{path}");
    assert_eq!(app.get(&format!("{path}/")).await.1["count"], 0, "{path}");
}

#[tokio::test]
async fn records_are_made_filtered_changed_and_deleted() {
    let app = TestApp::start().await;
    let [product, _, _] = app.tree().await;
    for (path, new, filter, change) in [
        (
            "note_type",
            json!({"name": "Call", "description": "By phone", "is_single": true}),
            "name=Call&is_active=true",
            json!({"is_active": false}),
        ),
        (
            "technologies",
            json!({"product": product, "user": 1, "name": "axum", "version": "0.8",
                "website": "https://docs.rs/axum", "tags": ["rust"]}),
            "name=axum&tags=rust",
            json!({"confidence": 90}),
        ),
        (
            "cicd_infrastructure",
            json!({"name": "Builder", "infrastructure_type": "build_server"}),
            "infrastructure_type=build_server",
            json!({"url": "https://ci.example/"}),
        ),
        (
            "tool_types",
            json!({"name": "SonarQube"}),
            "name=SonarQube",
            json!({"description": "Static analysis"}),
        ),
        (
            "finding_templates",
            json!({"title": "SQL injection", "severity": "High", "cwe": 89,
                "endpoints_text": "https://a.example/\n\nhttps://b.example/"}),
            "title=SQL%20injection&severity=High&cwe=89",
            json!({"mitigation": "Bind the parameters."}),
        ),
    ] {
        let made = lives(&app, path, new, filter, change).await;
        ends(&app, path, &made).await;
    }
    let template = json!({"title": "T", "severity": "Critical", "endpoints_text": "a\n b "});
    let (_, template) = app.post("finding_templates/", template).await;
    assert_eq!(template["numerical_severity"], "S0");
    assert_eq!(template["endpoints"], json!(["a", "b"]));
    let (_, kind) = app
        .post("note_type/", json!({"name": "x", "description": "y"}))
        .await;
    assert_eq!(
        (
            &kind["is_active"],
            &kind["is_mandatory"],
            &kind["is_single"]
        ),
        (&json!(true), &json!(true), &json!(false))
    );
    let taken = json!({"name": " X ", "description": "z"});
    assert_eq!(app.post("note_type/", taken).await.0, 400);
    let wrong = json!({"product": product, "user": 1, "name": "n", "website": "not an address"});
    let (status, answer) = app.post("technologies/", wrong).await;
    assert_eq!(status, 400);
    assert!(answer["website"][0].is_string(), "{answer}");
    let nowhere = json!({"product": 99, "user": 1, "name": "n"});
    let (status, answer) = app.post("technologies/", nowhere).await;
    assert_eq!(status, 400);
    assert!(answer["product"][0].is_string(), "{answer}");
}

#[tokio::test]
async fn what_is_in_use_is_not_deleted() {
    let app = TestApp::start().await;
    let [product, _, test] = app.tree().await;
    let regulation = json!({"name": "General Data Protection Regulation", "acronym": "GDPR",
        "category": "privacy", "jurisdiction": "EU", "reference": "https://gdpr.eu/"});
    let change = json!({"description": "Personal data"});
    let gdpr = lives(
        &app,
        "regulations",
        regulation,
        "name=General%20Data%20Protection%20Regulation",
        change,
    )
    .await;
    let path = format!("products/{product}/");
    let (status, answer) = app.patch(&path, json!({"regulations": [gdpr["id"]]})).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["regulations"], json!([gdpr["id"]]));
    for (query, count) in [("regulations=1", 1), ("regulations=2", 0)] {
        let (_, page) = app.get(&format!("products/?{query}")).await;
        assert_eq!(page["count"], count, "{query}");
    }
    let unknown = json!({"regulations": [7]});
    assert_eq!(app.patch(&path, unknown).await.0, 400);
    let one = format!("regulations/{}/", gdpr["id"]);
    let (status, answer) = app.call(Method::DELETE, &one, None).await;
    assert_eq!(status, 409, "{answer}");
    app.patch(&path, json!({"regulations": []})).await;
    ends(&app, "regulations", &gdpr).await;

    let location = json!({"location": "Office"});
    let change = json!({"location": "Data centre"});
    let location = lives(
        &app,
        "network_locations",
        location,
        "location=Office",
        change,
    )
    .await;
    let preset = json!({"product": product, "title": "Yearly", "scope": "All",
        "network_locations": [location["id"]], "test_type": [1]});
    let change = json!({"notes": "n"});
    let filter = format!("product={product}&title=Yearly");
    let preset = lives(&app, "engagement_presets", preset, &filter, change).await;
    let one = format!("network_locations/{}/", location["id"]);
    assert_eq!(app.call(Method::DELETE, &one, None).await.0, 409);
    ends(&app, "engagement_presets", &preset).await;
    ends(&app, "network_locations", &location).await;

    let (_, of_test) = app.get(&format!("tests/{test}/")).await;
    let one = format!("development_environments/{}/", of_test["environment"]);
    assert_eq!(app.call(Method::DELETE, &one, None).await.0, 409);
    let (_, unused) = app
        .post("development_environments/", json!({"name": "Moon"}))
        .await;
    let one = format!("development_environments/{}/", unused["id"]);
    assert_eq!(app.call(Method::DELETE, &one, None).await.0, 204);
}

#[tokio::test]
async fn the_languages_of_a_product_come_from_cloc() {
    let app = TestApp::start().await;
    let [product, _, _] = app.tree().await;
    let send = async |product: u64, report: &str| {
        let product = product.to_string();
        app.upload(
            "import-languages/",
            &[("product", product.as_str())],
            Some(("cloc.json", report)),
        )
        .await
    };
    let report = |code: u32| {
        json!({
            "header": {"cloc_version": "2.04", "n_files": 3},
            "Rust": {"nFiles": 2, "blank": 5, "comment": 7, "code": code},
            "TOML": {"nFiles": 1, "blank": 1, "comment": 0, "code": 9},
            "SUM": {"nFiles": 3, "blank": 6, "comment": 7, "code": 20},
        })
        .to_string()
    };
    let (status, answer) = send(product, &report(11)).await;
    assert_eq!(status, 201, "{answer}");
    assert_eq!(answer, json!({"product": product, "file": "cloc.json"}));
    let (status, _) = send(product, &report(12)).await;
    assert_eq!(status, 201);
    let (_, page) = app.get(&format!("languages/?product={product}")).await;
    assert_eq!(page["count"], 2, "the second report changes the first's");
    let (_, kinds) = app.get("language_types/?language=Rust").await;
    let rust = &kinds["results"][0]["id"];
    let (_, page) = app.get(&format!("languages/?language={rust}")).await;
    let found = &page["results"][0];
    assert_eq!(
        (&found["files"], &found["code"], &found["comment"]),
        (&json!(2), &json!(12), &json!(7))
    );
    let one = format!("language_types/{rust}/");
    assert_eq!(app.call(Method::DELETE, &one, None).await.0, 409);
    for (product, report) in [
        (99, report(1)),
        (product, "no report".to_owned()),
        (product, r#"{"Rust": {"nFiles": "many"}}"#.to_owned()),
    ] {
        let (status, answer) = send(product, &report).await;
        assert_eq!(status, 400, "{answer}");
    }
}

#[tokio::test]
async fn products_and_findings_have_values_under_names() {
    let app = TestApp::start().await;
    let [product, _, test] = app.tree().await;
    let finding = app.finding(test, json!({"title": "Weak cipher"})).await;
    let new = json!({"product": product, "name": "Owner", "value": "Team 7"});
    let filter = format!("product={product}&name_case_insensitive=owner&value=Team%207");
    let made = lives(
        &app,
        "metadata",
        new.clone(),
        &filter,
        json!({"value": "Team 8"}),
    )
    .await;
    assert_eq!(made["finding"], Value::Null);
    let taken = json!({"product": product, "name": " owner ", "value": "x"});
    assert_eq!(app.post("metadata/", taken).await.0, 400);
    let (_, shown) = app.get(&format!("products/{product}/")).await;
    let pair = json!({"name": "Owner", "value": "Team 7"});
    assert_eq!(shown["product_meta"], json!([pair]));
    for neither in [
        json!({"name": "a", "value": "b"}),
        json!({"product": product, "finding": finding, "name": "a", "value": "b"}),
        json!({"finding": 99_999, "name": "a", "value": "b"}),
    ] {
        assert_eq!(app.post("metadata/", neither).await.0, 400);
    }

    let path = format!("findings/{finding}/metadata/");
    assert_eq!(app.get(&path).await.1, json!([]));
    let (status, answer) = app.post(&path, pair.clone()).await;
    assert_eq!(
        (status.as_u16(), &answer),
        (200, &pair),
        "names count for each by itself"
    );
    assert_eq!(app.post(&path, pair.clone()).await.0, 400, "there already");
    let changed = json!({"name": "owner", "value": "Team 9"});
    let (status, answer) = app.call(Method::PUT, &path, Some(changed)).await;
    assert_eq!((status.as_u16(), &answer["value"]), (200, &json!("Team 9")));
    let unknown = json!({"name": "nobody", "value": "x"});
    assert_eq!(app.call(Method::PUT, &path, Some(unknown)).await.0, 404);
    let (_, shown) = app.get(&format!("findings/{finding}/")).await;
    assert_eq!(shown["finding_meta"][0]["value"], "Team 9");
    let (_, page) = app.get(&format!("metadata/?finding={finding}")).await;
    assert_eq!(page["count"], 1);
    assert!(
        page["results"][0].get("finding__product").is_none(),
        "{page}"
    );

    let batch = json!({"finding": finding, "metadata": [
        {"name": "Owner", "value": "Team 1"}, {"name": "Budget", "value": "12"}]});
    for method in [Method::POST, Method::PATCH] {
        let (status, answer) = app
            .call(method, "metadata/batch/", Some(batch.clone()))
            .await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["finding"], finding);
        let pairs = answer["metadata"].as_array().unwrap();
        assert_eq!(pairs.len(), 2, "{answer}");
        assert_eq!(pairs[0], json!({"name": "Budget", "value": "12"}));
    }
    let wrong = json!({"finding": finding, "metadata": [{"name": "Owner"}]});
    assert_eq!(app.post("metadata/batch/", wrong).await.0, 400);
    let remove = format!("{path}?name=Budget");
    assert_eq!(app.call(Method::DELETE, &remove, None).await.0, 200);
    assert_eq!(app.call(Method::DELETE, &remove, None).await.0, 404);
    assert_eq!(app.call(Method::DELETE, &path, None).await.0, 400);
    let one = format!("findings/{finding}/");
    assert_eq!(app.call(Method::DELETE, &one, None).await.0, 204);
    let (_, left) = app.get("metadata/").await;
    assert_eq!(left["count"], 1, "those of the finding are gone with it");
    ends(&app, "metadata", &made).await;
}

#[tokio::test]
async fn the_secrets_of_tools_are_kept_encrypted_and_never_shown() {
    let app = TestApp::start().await;
    let [product, _, test] = app.tree().await;
    let (_, kind) = app.post("tool_types/", json!({"name": "SonarQube"})).await;
    let new = json!({"name": "Sonar", "tool_type": kind["id"], "url": "https://sonar.example/",
        "authentication_type": "API", "username": "ci"});
    let change = json!({"extras": "organisation=shop"});
    let filter = format!("tool_type={}&authentication_type=API", kind["id"]);
    let made = lives(&app, "tool_configurations", new, &filter, change).await;
    let one = format!("tool_configurations/{}/", made["id"]);
    let secrets = json!({"password": " hunter2 ", "ssh": "-----BEGIN KEY\n", "api_key": "k-1"});
    let (status, answer) = app.patch(&one, secrets).await;
    assert_eq!(status, 200, "{answer}");
    for name in ["password", "ssh", "api_key"] {
        assert!(answer.get(name).is_none(), "{answer}");
    }
    let stored = async |name: &str| {
        let table = &app.services.settings.tables.catalog;
        let key = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.into());
        let item = app.dynamodb.get_item().table_name(table);
        let item = item.key("pk", key("TOOLCONFIG#0"));
        let item = item.key("sk", key(&format!("{:0>10}", made["id"].to_string())));
        let item = item.send().await.unwrap().item.unwrap();
        let document: Value = serde_json::from_str(item["d"].as_s().unwrap()).unwrap();
        document[name].clone()
    };
    let key = app.services.secret_key().unwrap();
    for (name, text) in [("password", " hunter2 "), ("ssh", "-----BEGIN KEY\n")] {
        let stored = stored(name).await;
        let stored = stored.as_str().unwrap();
        assert!(stored.starts_with("x1:"), "{stored}");
        let secret = key.decrypt(&format!("TOOLCONFIG.{name}"), stored).unwrap();
        assert_eq!(secrecy::ExposeSecret::expose_secret(&secret), text);
    }
    let before = stored("api_key").await;
    app.patch(&one, json!({"description": "d", "ssh": ""}))
        .await;
    assert_eq!(stored("api_key").await, before, "what isn't sent stays");
    assert_eq!(stored("ssh").await, Value::Null);
    for refused in [json!({"password": "p".repeat(901)}), json!({"api_key": 7})] {
        let (status, answer) = app.patch(&one, refused).await;
        assert_eq!(status, 400);
        assert!(!answer.to_string().contains("ppp"), "{answer}");
    }
    let (_, page) = app.get("tool_configurations/?api_key=k-1").await;
    assert!(!page.to_string().contains("x1:"), "{page}");
    assert_eq!(app.get("tool_configurations/?o=api_key").await.0, 400);

    let settings = json!({"product": product, "name": "Shop", "tool_project_id": "shop",
        "tool_configuration": made["id"], "setting_url": "https://sonar.example/shop"});
    let change = json!({"description": "d"});
    let filter = format!("product={product}&url=https://sonar.example/shop&tool_project_id=shop");
    let settings = lives(&app, "tool_product_settings", settings, &filter, change).await;
    assert_eq!(settings["url"], settings["setting_url"]);
    assert_eq!(settings["notes"], json!([]));
    let path = format!("tool_product_settings/{}/", settings["id"]);
    let (_, answer) = app.patch(&path, json!({"url": "https://b.example/"})).await;
    assert_eq!(answer["setting_url"], "https://b.example/");
    let scans = json!({"product": product, "tool_configuration": made["id"],
        "service_key_1": "shop", "service_key_2": null});
    let change = json!({"service_key_3": "main"});
    let filter = format!("product={product}&service_key_1=shop");
    let scans = lives(
        &app,
        "product_api_scan_configurations",
        scans,
        &filter,
        change,
    )
    .await;
    let kind = format!("tool_types/{}/", kind["id"]);
    for used in [&one, &kind] {
        assert_eq!(app.call(Method::DELETE, used, None).await.0, 409, "{used}");
    }
    ends(&app, "tool_product_settings", &settings).await;
    a_test_says_how_its_findings_are_fetched(&app, test, &scans["id"]).await;
    ends(&app, "product_api_scan_configurations", &scans).await;
    ends(&app, "tool_configurations", &made).await;
    assert_eq!(app.call(Method::DELETE, &kind, None).await.0, 204);
}

/// Only by what is of its own product.
async fn a_test_says_how_its_findings_are_fetched(app: &TestApp, test: u64, scans: &Value) {
    let path = format!("tests/{test}/");
    let (status, answer) = (app.patch(&path, json!({"api_scan_configuration": scans}))).await;
    assert_eq!(
        (status.as_u16(), &answer["api_scan_configuration"]),
        (200, scans)
    );
    let wrong = json!({"api_scan_configuration": 99});
    let (status, answer) = app.patch(&path, wrong).await;
    assert_eq!(status, 400, "{answer}");
    let other = json!({"name": "Other", "description": "d", "prod_type": 1});
    let (_, other) = app.post("products/", other).await;
    let (_, tool) = app.get("tool_configurations/").await;
    let tool = &tool["results"][0]["id"];
    let theirs = json!({"product": other["id"], "tool_configuration": tool});
    let (_, theirs) = app.post("product_api_scan_configurations/", theirs).await;
    let wrong = json!({"api_scan_configuration": theirs["id"]});
    let (status, answer) = app.patch(&path, wrong).await;
    assert_eq!(status, 400, "{answer}");
    assert!(answer.to_string().contains("another product"), "{answer}");
    for (id, count) in [(scans, 1), (&theirs["id"], 0)] {
        let (_, page) = app
            .get(&format!("tests/?api_scan_configuration={id}"))
            .await;
        assert_eq!(page["count"], count, "{id}");
    }
    let gone = format!("product_api_scan_configurations/{}/", theirs["id"]);
    app.call(Method::DELETE, &gone, None).await;
}

#[tokio::test]
async fn without_a_key_no_secret_is_kept_and_everything_else_is() {
    let mut app = TestApp::start().await;
    app.set(|settings| settings.secret_key = None);
    let (_, kind) = app.post("tool_types/", json!({"name": "t"})).await;
    let mut new = json!({"name": "n", "tool_type": kind["id"], "password": "hunter2"});
    let (status, answer) = app.post("tool_configurations/", new.clone()).await;
    assert_eq!(status, 503, "{answer}");
    assert!(answer.to_string().contains("TATAMI_SECRET_KEY"), "{answer}");
    new["password"] = Value::Null;
    assert_eq!(app.post("tool_configurations/", new).await.0, 201);
}

#[tokio::test]
async fn there_is_one_announcement_at_most() {
    let app = TestApp::start().await;
    let new = json!({"message": "Maintenance at noon", "style": "warning"});
    let change = json!({"dismissable": true});
    let filter = "style=warning&dismissable=false";
    let made = lives(&app, "announcements", new, filter, change).await;
    let (status, answer) = app.post("announcements/", json!({"message": "x"})).await;
    assert_eq!(status, 400, "{answer}");
    assert!(answer["non_field_errors"][0].is_string(), "{answer}");
    ends(&app, "announcements", &made).await;
    let (status, next) = app.post("announcements/", json!({})).await;
    assert_eq!((status.as_u16(), &next["style"]), (201, &json!("info")));
}

#[tokio::test]
async fn an_engagement_has_one_checklist() {
    let app = TestApp::start().await;
    let [product, engagement, test] = app.tree().await;
    let finding = app.finding(test, json!({})).await;
    let path = format!("engagements/{engagement}/complete_checklist/");
    assert_eq!(app.get(&path).await.1, json!({}));
    let other = json!({"name": "x", "product": product, "target_start": "2026-01-01",
        "target_end": "2026-01-02"});
    let (_, other) = app.post("engagements/", other).await;
    let of_other = format!("engagements/{}/complete_checklist/", other["id"]);
    let list = json!({"authentication": "fail", "auth_issues": [finding]});
    let (status, answer) = app.post(&of_other, list.clone()).await;
    assert_eq!(status, 400, "the finding is none of its own");
    assert!(answer["auth_issues"][0].is_string(), "{answer}");
    let (status, made) = app.post(&path, list).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["engagement"], engagement);
    assert_eq!(
        (&made["authentication"], &made["other"]),
        (&json!("fail"), &json!("none"))
    );
    assert_eq!(made["auth_issues"], json!([finding]));
    assert_eq!(app.get(&path).await.1, made);
    assert_eq!(app.post(&path, json!({})).await.0, 400, "there is one");
    assert_eq!(app.post(&of_other, json!({})).await.0, 201);
}
