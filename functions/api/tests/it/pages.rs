//! Pages by cursor.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use crate::app::TestApp;

/// The path of a link, below `/api/v2/`.
fn path(link: &Value) -> Option<String> {
    let link = link.as_str()?;
    Some(link.split_once("/api/v2/").unwrap().1.to_owned())
}

#[tokio::test]
async fn every_list_is_walked_through_by_cursors() {
    let app = TestApp::start().await;
    let [product, _, test] = app.tree().await;
    for n in 0..5 {
        app.finding(test, json!({"title": format!("t{n}")})).await;
        let (_, metadata) = app
            .post(
                "metadata/",
                json!({"product": product, "name": n.to_string(), "value": "v"}),
            )
            .await;
        assert!(metadata["id"].is_u64(), "{metadata}");
        let sla = json!({"name": format!("sla {n}")});
        assert_eq!(app.post("sla_configurations/", sla).await.0, 201);
    }
    for _ in 0..2 {
        let (_, kind) = app.post("product_types/", json!({"name": "Doomed"})).await;
        let path = format!("product_types/{}/", kind["id"]);
        assert_eq!(app.call(Method::DELETE, &path, None).await.0, 204);
    }
    let document = app.get("oa3/schema/?format=json").await.1;
    let mut lists = 0;
    let mut several = 0;
    for (list, operations) in document["paths"].as_object().unwrap() {
        let parameters = operations["get"]["parameters"].as_array();
        let names = parameters.into_iter().flatten().map(|one| &one["name"]);
        let names: Vec<&Value> = names.collect();
        let paged = names.iter().any(|name| **name == "offset");
        assert_eq!(names.iter().any(|name| **name == "cursor"), paged, "{list}");
        if !paged || list.contains('{') {
            continue;
        }
        let list = list.strip_prefix("/api/v2/").unwrap();
        let (status, whole) = app.get(&format!("{list}?limit=1000")).await;
        assert_eq!(status, 200, "{list} {whole}");
        let whole = whole["results"].as_array().unwrap();
        let mut seen = Vec::new();
        let mut next = Some(format!("{list}?limit=2&cursor="));
        let mut shown = Value::Null;
        while let Some(path_of_page) = next {
            let (status, page) = app.get(&path_of_page).await;
            assert_eq!(status, 200, "{path_of_page} {page}");
            assert_eq!(page["count"], whole.len(), "{list}");
            seen.extend(page["results"].as_array().unwrap().iter().cloned());
            assert_eq!(page["previous"].is_null(), shown.is_null(), "{list}");
            next = path(&page["next"]);
            shown = page;
        }
        let ids = |rows: &[Value]| -> Vec<Value> { rows.iter().map(|r| r["id"].clone()).collect() };
        assert_eq!(ids(&seen), ids(whole), "{list}");
        if let Some(previous) = path(&shown["previous"]) {
            let (_, page) = app.get(&previous).await;
            assert_eq!(page["results"].as_array().unwrap().len(), 2, "{list}");
            several += 1;
        }
        lists += 1;
    }
    assert!(lists > 30 && several > 5, "{lists} {several}");
    let (status, answer) = app.get("findings/?cursor=bm9uc2Vuc2U").await;
    assert_eq!((status.as_u16(), answer["cursor"].is_array()), (400, true));
}

#[tokio::test]
async fn what_stays_is_neither_missed_nor_repeated() {
    let app = TestApp::start().await;
    let [_, _, test] = app.tree().await;
    let severities = ["Critical", "High", "Low"];
    for order in [
        "",
        "title",
        "-title",
        "severity,-date",
        "component_name",
        "-id",
        "sla_expiration_date",
    ] {
        let mut stay = BTreeSet::new();
        for n in 0..24 {
            let severity = severities[n % 3];
            let component = if n % 2 == 0 {
                json!(format!("c{}", n % 5))
            } else {
                Value::Null
            };
            let more = json!({"title": format!("{}", n % 7), "severity": severity, "component_name": component});
            stay.insert(app.finding(test, more).await);
        }
        let mut seen = Vec::new();
        let mut next = Some(format!("findings/?limit=5&o={order}&cursor="));
        while let Some(page) = next {
            let (status, page) = app.get(&page).await;
            assert_eq!(status, 200, "{page}");
            let ids = page["results"].as_array().unwrap().iter();
            let ids: Vec<u64> = ids.map(|finding| finding["id"].as_u64().unwrap()).collect();
            // the last of the page goes, where the cursor stands, and another comes
            if let Some(last) = ids.last() {
                stay.remove(last);
                let path = format!("findings/{last}/");
                assert_eq!(app.call(Method::DELETE, &path, None).await.0, 204);
                app.finding(test, json!({"title": "3", "severity": "High"}))
                    .await;
            }
            seen.extend(ids);
            next = path(&page["next"]);
            if seen.len() > 200 {
                break;
            }
        }
        let once: BTreeSet<u64> = seen.iter().copied().collect();
        assert_eq!(once.len(), seen.len(), "{order}: some come twice");
        assert!(stay.is_subset(&once), "{order}: some are missed");
        for id in app.get("findings/?limit=1000").await.1["results"]
            .as_array()
            .unwrap()
        {
            let path = format!("findings/{}/", id["id"]);
            app.call(Method::DELETE, &path, None).await;
        }
    }
}
