use http::Method;
use serde_json::{Value, json};

use crate::app::TestApp;

/// A second test in the engagement of the first; gives its id.
async fn other_test(app: &TestApp, engagement: u64) -> u64 {
    let test = json!({
        "engagement": engagement, "test_type": 1, "title": "other",
        "target_start": "2026-01-01", "target_end": "2026-01-02",
    });
    let (status, test) = app.post("tests/", test).await;
    assert_eq!(status, 201, "{test}");
    test["id"].as_u64().unwrap()
}

async fn count(app: &TestApp, path: &str) -> Value {
    let (status, page) = app.get(path).await;
    assert_eq!(status, 200, "{path} {page}");
    page["count"].clone()
}

#[tokio::test]
async fn a_group_is_made_shown_changed_and_dissolved() {
    let app = TestApp::start().await;
    let [product, engagement, test] = app.tree().await;
    let mut ids = Vec::new();
    for severity in ["Low", "Critical", "High"] {
        ids.push(
            app.finding(test, json!({"severity": severity, "title": severity}))
                .await,
        );
    }
    let body = json!({"name": " Login ", "test": test, "findings": [ids[0], ids[1]]});
    let (status, group) = app.post("finding_groups/", body).await;
    assert_eq!(status, 201, "{group}");
    assert_eq!(group["name"], "Login");
    assert_eq!(group["findings"], json!([ids[0], ids[1]]));
    assert_eq!(
        (
            &group["severity"],
            &group["active"],
            &group["findings_count"]
        ),
        (&json!("Critical"), &json!(true), &json!(2))
    );
    assert_eq!(group["statistics"]["low"]["active"], 1);
    assert_eq!(
        (&group["product"], &group["engagement"], &group["creator"]),
        (&json!(product), &json!(engagement), &json!(1))
    );
    let id = &group["id"];
    let path = format!("finding_groups/{id}/");
    let stub = json!([{"id": id, "name": "Login", "test": test, "jira_issue": null}]);
    let (_, finding) = app.get(&format!("findings/{}/", ids[0])).await;
    assert_eq!(finding["finding_groups"], stub);
    let (_, seen) = app.get(&format!("tests/{test}/")).await;
    assert_eq!(seen["finding_groups"], stub);
    for (query, wanted) in [
        (format!("finding_group={id}"), 2),
        ("finding_group=99".to_owned(), 0),
        ("has_finding_group=true".to_owned(), 2),
        ("has_finding_group=false".to_owned(), 1),
    ] {
        assert_eq!(
            count(&app, &format!("findings/?{query}")).await,
            wanted,
            "{query}"
        );
    }
    let (_, page) = app.get("findings/?o=id&limit=1").await;
    assert_eq!(page["results"][0]["finding_groups"], stub);

    // put in, take out, rename
    let change = json!({
        "name": "Sign in", "add_findings": [ids[2]], "remove_findings": [ids[1]],
    });
    let (status, group) = app.patch(&path, change).await;
    assert_eq!(status, 200, "{group}");
    assert_eq!(
        (&group["name"], &group["findings"], &group["severity"]),
        (&json!("Sign in"), &json!([ids[0], ids[2]]), &json!("High"))
    );
    let whole = json!({"name": "Sign in", "test": test, "findings": [ids[1]]});
    let (status, group) = app.call(Method::PUT, &path, Some(whole)).await;
    assert_eq!(
        (status.as_u16(), &group["findings"]),
        (200, &json!([ids[1]])),
        "{group}"
    );

    // the old name is free again, the new one is not
    let old = json!({"name": "login", "test": test, "findings": [ids[0]]});
    assert_eq!(app.post("finding_groups/", old).await.0, 201);
    let taken = json!({"name": "SIGN IN", "test": test, "findings": [ids[2]]});
    let (status, answer) = app.post("finding_groups/", taken).await;
    assert_eq!(
        (status.as_u16(), answer["name"].is_array()),
        (400, true),
        "{answer}"
    );
    let (status, answer) = app.patch(&path, json!({"name": "Login"})).await;
    assert_eq!(
        (status.as_u16(), answer["name"].is_array()),
        (400, true),
        "{answer}"
    );

    // without its last finding it is gone; dissolved, its findings stay
    let (status, _) = app.patch(&path, json!({"findings": []})).await;
    assert_eq!(status, 204);
    assert_eq!(app.get(&path).await.0, 404);
    assert_eq!(count(&app, "finding_groups/").await, 1);
    let (_, page) = app.get("finding_groups/").await;
    let path = format!("finding_groups/{}/", page["results"][0]["id"]);
    assert_eq!(app.call(Method::DELETE, &path, None).await.0, 204);
    assert_eq!(app.call(Method::DELETE, &path, None).await.0, 404);
    assert_eq!(count(&app, "finding_groups/").await, 0);
    assert_eq!(count(&app, "findings/?has_finding_group=false").await, 3);
}

#[tokio::test]
async fn a_group_takes_only_free_findings_of_its_test() {
    let app = TestApp::start().await;
    let [_, engagement, test] = app.tree().await;
    let other = other_test(&app, engagement).await;
    let a = app.finding(test, json!({"title": "a"})).await;
    let b = app.finding(test, json!({"title": "b"})).await;
    let elsewhere = app.finding(other, json!({"title": "c"})).await;
    let (_, group) = app
        .post(
            "finding_groups/",
            json!({"name": "A", "test": test, "findings": [a]}),
        )
        .await;
    let path = format!("finding_groups/{}/", group["id"]);
    for (body, field) in [
        (
            json!({"name": "B", "test": test, "findings": [b, elsewhere]}),
            "findings",
        ),
        (
            json!({"name": "B", "test": test, "findings": [b, a]}),
            "findings",
        ),
        (
            json!({"name": "B", "test": test, "findings": [b, 99_999_999]}),
            "findings",
        ),
        (
            json!({"name": "B", "test": test, "findings": []}),
            "findings",
        ),
        (json!({"name": "B", "test": test}), "findings"),
        (json!({"name": "", "test": test, "findings": [b]}), "name"),
        (
            json!({"name": "x".repeat(256), "test": test, "findings": [b]}),
            "name",
        ),
        (json!({"name": "B", "test": 99, "findings": [b]}), "test"),
    ] {
        let (status, answer) = app.post("finding_groups/", body).await;
        assert_eq!(
            (status.as_u16(), answer[field].is_array()),
            (400, true),
            "{answer}"
        );
    }
    for (body, field) in [
        (json!({"add_findings": [elsewhere]}), "add_findings"),
        (json!({"findings": [a, elsewhere]}), "findings"),
        (json!({"remove_findings": [b]}), "remove_findings"),
        (
            json!({"add_findings": [a], "remove_findings": [a]}),
            "remove_findings",
        ),
        (json!({"name": " "}), "name"),
    ] {
        let (status, answer) = app.patch(&path, body).await;
        assert_eq!(
            (status.as_u16(), answer[field].is_array()),
            (400, true),
            "{answer}"
        );
    }
    let (_, group) = app.get(&path).await;
    assert_eq!(
        (&group["name"], &group["findings"]),
        (&json!("A"), &json!([a]))
    );
    assert_eq!(count(&app, "finding_groups/").await, 1, "nothing was made");
    // in another test the same name is another group
    let same = json!({"name": "A", "test": other, "findings": [elsewhere]});
    assert_eq!(app.post("finding_groups/", same).await.0, 201);
    for (query, wanted) in [
        (format!("test={test}"), 1),
        (format!("engagement={engagement}"), 2),
        ("product=99".to_owned(), 0),
        ("name=a".to_owned(), 2),
        ("name_exact=a".to_owned(), 0),
        ("creator=1".to_owned(), 2),
        ("created=1".to_owned(), 2),
    ] {
        assert_eq!(
            count(&app, &format!("finding_groups/?{query}")).await,
            wanted,
            "{query}"
        );
    }
    let (_, page) = app.get("finding_groups/?o=-test&limit=1").await;
    assert_eq!(
        (&page["results"][0]["test"], &page["count"]),
        (&json!(other), &json!(2))
    );
    assert!(page["next"].as_str().unwrap().contains("offset=1"));
    assert_eq!(app.get("finding_groups/?o=nonsense").await.0, 400);
}

#[tokio::test]
async fn a_group_goes_with_its_last_finding() {
    let app = TestApp::start().await;
    let [_, _, test] = app.tree().await;
    let mut ids = Vec::new();
    for title in ["a", "b", "c"] {
        ids.push(app.finding(test, json!({"title": title})).await);
    }
    for some in [&ids[..2], &ids[2..]] {
        let body = json!({"name": format!("{some:?}"), "test": test, "findings": some});
        assert_eq!(app.post("finding_groups/", body).await.0, 201);
    }
    for (n, left) in [(0, 2), (1, 1)] {
        let path = format!("findings/{}/", ids[n]);
        assert_eq!(app.call(Method::DELETE, &path, None).await.0, 204);
        assert_eq!(count(&app, "finding_groups/").await, left);
    }
    let bulk = json!({"ids": [ids[2]], "changes": {"delete": true}});
    let (status, answer) = app.post("findings/bulk/", bulk).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(count(&app, "finding_groups/").await, 0);
}

#[tokio::test]
async fn a_test_is_grouped_by_what_its_findings_have_in_common() {
    let app = TestApp::start().await;
    let [_, _, test] = app.tree().await;
    for (title, component, path) in [
        ("a", "log4j", "x.java"),
        ("b", "Log4j", "y.java"),
        ("c", "zlib", ""),
        ("d", "", "x.java"),
    ] {
        app.finding(
            test,
            json!({"title": title, "component_name": component, "file_path": path}),
        )
        .await;
    }
    let path = format!("tests/{test}/group_findings/");
    let several = json!({
        "group_by": "component_name", "create_finding_groups_for_all_findings": false,
    });
    let (status, done) = app.post(&path, several).await;
    assert_eq!(
        (status.as_u16(), done),
        (
            200,
            json!({"groups_created": 1, "findings_grouped": 2, "findings_skipped": 2})
        )
    );
    let by_path = json!({"group_by": "file_path"});
    let (_, done) = app.post(&path, by_path.clone()).await;
    assert_eq!(
        done,
        json!({"groups_created": 1, "findings_grouped": 1, "findings_skipped": 3}),
        "who is in a group stays there"
    );
    let (_, again) = app.post(&path, by_path).await;
    assert_eq!(
        again,
        json!({"groups_created": 0, "findings_grouped": 0, "findings_skipped": 4})
    );
    let (_, page) = app.get("finding_groups/?o=name").await;
    let names: Vec<&str> = (page["results"].as_array().unwrap().iter())
        .filter_map(|group| group["name"].as_str())
        .collect();
    assert_eq!(
        names,
        ["Findings in: Filepath x.java", "Findings in: log4j"]
    );
    for (path, body, status) in [
        (path.as_str(), json!({"group_by": "colour"}), 400),
        (path.as_str(), json!({}), 400),
        (
            "tests/99/group_findings/",
            json!({"group_by": "file_path"}),
            404,
        ),
    ] {
        assert_eq!(app.post(path, body).await.0, status);
    }
}

#[tokio::test]
async fn changes_at_once_leave_each_finding_in_one_group_and_no_group_empty() {
    let app = TestApp::start().await;
    let [_, _, test] = app.tree().await;
    let mut ids = Vec::new();
    for n in 0..6 {
        let more = json!({"title": format!("finding {n}"), "component_name": "c"});
        ids.push(app.finding(test, more).await);
    }
    let path = format!("tests/{test}/group_findings/");
    for round in 0..3 {
        let by = json!({"group_by": "component_name"});
        let all = || app.post(&path, by.clone());
        let some = json!({"name": format!("by hand {round}"), "test": test, "findings": &ids[..3]});
        let (by_hand, one, two) = tokio::join!(app.post("finding_groups/", some), all(), all());
        assert!(
            matches!(by_hand.0.as_u16(), 201 | 400 | 409),
            "{}",
            by_hand.1
        );
        assert_eq!(
            (one.0.as_u16(), two.0.as_u16()),
            (200, 200),
            "{} {}",
            one.1,
            two.1
        );
        assert_eq!(count(&app, "findings/?has_finding_group=true").await, 6);
        let (_, page) = app.get("finding_groups/").await;
        let groups = page["results"].as_array().unwrap();
        let sizes: u64 = groups
            .iter()
            .map(|g| g["findings_count"].as_u64().unwrap())
            .sum();
        assert_eq!(sizes, 6, "{page:#}");
        let automatic = groups
            .iter()
            .filter(|g| g["name"] == "Findings in: c")
            .count();
        assert_eq!(automatic, 1, "one group a name");
        // all dissolved at once, and grouped again meanwhile
        let dissolve = groups.iter().map(|group| {
            let path = format!("finding_groups/{}/", group["id"]);
            let app = &app;
            async move { app.call(Method::DELETE, &path, None).await.0 }
        });
        let (gone, again) = tokio::join!(futures::future::join_all(dissolve), all());
        assert!(gone.iter().all(|status| *status == 204), "{gone:?}");
        assert_eq!(again.0, 200, "{}", again.1);
        let (_, page) = app.get("finding_groups/").await;
        for group in page["results"].as_array().unwrap() {
            assert_ne!(group["findings_count"], 0, "{group}");
            let path = format!("finding_groups/{}/", group["id"]);
            assert_eq!(app.call(Method::DELETE, &path, None).await.0, 204);
        }
    }
}
