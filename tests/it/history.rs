//! What is kept of imports.

use serde_json::{Value, json};
use tatami_tests::{Local, generic_report};

/// Body and file name of what is under a link.
async fn download(url: &str) -> Result<(String, String), ureq::Error> {
    let url = url.to_owned();
    let get = tokio::task::spawn_blocking(move || {
        let mut answer = ureq::get(&url).call()?;
        let name = answer.headers()["content-disposition"]
            .to_str()
            .unwrap()
            .to_owned();
        Ok((answer.body_mut().read_to_string()?, name))
    });
    get.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_keeps_its_report_and_what_it_did() {
    let local = Local::start().await;
    let client = &local.client;
    let version = [("version", "1.0"), ("branch_tag", "main")];
    let report = generic_report(0, 60);
    let first = client
        .import("reimport-scan", &version, "first.json", report.clone())
        .await;
    let second = client
        .import(
            "reimport-scan",
            &[("version", "1.1")],
            "r.json",
            generic_report(10, 60),
        )
        .await;
    assert!(!first["parser_version"].as_str().unwrap().is_empty());

    let list = client.get("imports/?o=id").await.expect(200);
    let ids: Vec<&Value> = list["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| &i["id"])
        .collect();
    assert_eq!(
        (ids, &list["count"]),
        (vec![&first["id"], &second["id"]], &json!(2))
    );
    let found = client
        .get("imports/?state=done&version=1.1")
        .await
        .expect(200);
    assert_eq!(
        (&found["count"], &found["results"][0]),
        (&json!(1), &second)
    );

    for (import, action, count) in [
        (&first, "created", 60),
        (&second, "created", 10),
        (&second, "closed", 10),
        (&second, "untouched", 50),
        (&second, "reactivated", 0),
        (&second, "closed,created", 20),
    ] {
        let path = format!("imports/{}/findings/?limit=7&action={action}", import["id"]);
        let page = client.get(&path).await.expect(200);
        assert_eq!(page["count"], count, "{action}");
        assert_eq!(page["results"].as_array().unwrap().len(), count.min(7));
    }
    let closed = client
        .get(&format!(
            "imports/{}/findings/?action=closed&limit=100",
            second["id"]
        ))
        .await
        .expect(200);
    for finding in closed["results"].as_array().unwrap() {
        assert_eq!(
            (&finding["import_action"], &finding["is_mitigated"]),
            (&json!("closed"), &json!(true))
        );
        let of = client
            .get(&format!(
                "test_imports/?findings_affected={}",
                finding["id"]
            ))
            .await
            .expect(200);
        assert_eq!(of["count"], 2);
    }
    let told = client
        .get(&format!("test_imports/{}/", second["id"]))
        .await
        .expect(200);
    let actions = told["test_import_finding_action_set"].as_array().unwrap();
    let letter = |letter: &str| actions.iter().filter(|a| a["action"] == letter).count();
    assert_eq!(["N", "C", "R", "U"].map(letter), [10, 10, 0, 50]);
    assert_eq!(told["findings_affected"].as_array().unwrap().len(), 70);

    // the raw report, by a link without any credentials but those in it
    let link = client
        .get(&format!("imports/{}/report/", first["id"]))
        .await
        .expect(200);
    assert_eq!(
        (&link["file_name"], &link["size"]),
        (&json!("first.json"), &json!(report.len()))
    );
    let (body, name) = download(link["url"].as_str().unwrap()).await.unwrap();
    assert_eq!(body, report, "unchanged");
    assert_eq!(name, "attachment; filename=\"first.json\"");
    let other = link["url"]
        .as_str()
        .unwrap()
        .replace("first.json", "r.json");
    let refused = download(&other).await;
    assert!(refused.is_err(), "a link is good for its own report only");
    local.stack.stop().await;
}
