//! What goes into which project.

use http::Method;
use serde_json::json;
use tatami_domain::{EngagementId, ProductId};

use super::{by, connected, delete, findings_at_work, get, ids, instance, member, project, work};
use crate::app::TestApp;

#[tokio::test]
async fn an_engagement_has_its_own_and_each_place_one() {
    let app = TestApp::start().await;
    let [product, engagement, _] = app.tree().await;
    let instance = instance(&app).await;
    let of_product = project(&app, instance, ("product", product), json!({})).await;
    let own = json!({
        "project_key": "OPS", "jira_instance": null, "custom_fields": {"customfield_10122": [{"name": "8.0"}]},
    });
    let of_engagement = project(&app, instance, ("engagement", engagement), own).await;
    let again = json!({"jira_instance": instance, "project_key": "X", "product": product});
    let (status, answer) = app.post("jira_projects/", again).await;
    assert_eq!(status, 400, "{answer}");
    assert!(
        answer["non_field_errors"][0]
            .as_str()
            .unwrap()
            .contains("already")
    );
    // as the jira function goes by it
    let store = &app.services.store;
    let known = store.jira_projects().await.unwrap();
    let here = known
        .of(ProductId(product), EngagementId(engagement))
        .unwrap();
    assert_eq!(
        (here.id.0, here.project_key.as_deref()),
        (of_engagement, Some("OPS"))
    );
    assert_eq!(here.jira_instance.unwrap().0, instance);
    let there = known.of(ProductId(product), EngagementId(99)).unwrap();
    assert_eq!(there.id.0, of_product);
    for (filter, wanted) in [
        (format!("product={product}"), vec![of_product]),
        (format!("engagement={engagement}"), vec![of_engagement]),
        ("project_key=OPS".into(), vec![of_engagement]),
        (format!("jira_instance={instance}"), vec![of_product]),
        ("push_all_issues=true".into(), vec![]),
        ("enabled=true".into(), vec![of_product, of_engagement]),
    ] {
        for list in ["jira_projects", "jira_product_configurations"] {
            let page = get(&app, &format!("{list}/?{filter}")).await;
            assert_eq!(ids(&page), wanted, "{list} {filter}");
        }
    }
    let along = get(
        &app,
        &format!("jira_projects/{of_engagement}/?prefetch=engagement"),
    )
    .await;
    assert_eq!(
        along["prefetch"]["engagement"][engagement.to_string()]["name"],
        "CI"
    );
    // what changes counts at once
    let path = format!("jira_projects/{of_engagement}/");
    let off = json!({"enabled": false, "product": product});
    let (status, changed) = app.patch(&path, off).await;
    assert_eq!((status.as_u16(), &changed["product"]), (200, &json!(null)));
    let known = store.jira_projects().await.unwrap();
    assert!(
        known
            .of(ProductId(product), EngagementId(engagement))
            .is_none()
    );
    assert_eq!(delete(&app, &path).await, 204);
    let known = store.jira_projects().await.unwrap();
    assert!(
        known
            .of(ProductId(product), EngagementId(engagement))
            .is_some()
    );
    project(&app, instance, ("engagement", engagement), json!({})).await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let app = TestApp::start().await;
    let [product, engagement, _] = app.tree().await;
    for (body, field) in [
        (json!({"project_key": "SEC"}), "non_field_errors"),
        (
            json!({"product": product, "engagement": engagement}),
            "non_field_errors",
        ),
        (json!({"engagement": 99}), "engagement"),
        (
            json!({"product": product, "jira_instance": 9}),
            "jira_instance",
        ),
        (
            json!({"product": product, "project_key": "SEC\" or 1=1"}),
            "project_key",
        ),
        (
            json!({"product": product, "custom_fields": [1]}),
            "custom_fields",
        ),
        (
            json!({"product": product, "custom_fields": "{"}),
            "custom_fields",
        ),
        (
            json!({"product": product, "close_transition_fields": "x"}),
            "close_transition_fields",
        ),
    ] {
        let (status, answer) = app.post("jira_projects/", body.clone()).await;
        assert_eq!(status, 400, "{body}: {answer}");
        assert!(answer[field].is_array(), "{body}: {answer}");
    }
    // a form sends an object as its text
    let form = [
        ("product", &*product.to_string()),
        ("custom_fields", r#"{"a": 1}"#),
    ];
    let (status, made) = app.upload("jira_projects/", &form, None).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["custom_fields"], json!({"a": 1}));
}

#[tokio::test]
async fn findings_that_are_there_go_along_once_all_are_to() {
    let app = TestApp::start().await;
    let [product, _, test] = app.tree().await;
    let mut open = Vec::new();
    for line in 0..50 {
        let more = json!({"title": format!("finding {line}"), "line": line});
        open.push(app.finding(test, more).await);
    }
    app.finding(test, json!({"title": "small", "severity": "Info"}))
        .await;
    app.finding(test, json!({"title": "closed", "active": false}))
        .await;
    let instance = instance(&app).await;
    let id = project(&app, instance, ("product", product), json!({})).await;
    assert!(work(&app).await.is_empty());
    let path = format!("jira_projects/{id}/");
    let all = json!({"push_all_issues": true});
    assert_eq!(app.patch(&path, all).await.0, 200);
    assert_eq!(findings_at_work(&app).await, open);
    assert_eq!(work(&app).await.len(), 2);
    // that it's so already asks for nothing more
    let again = json!({"push_all_issues": true, "component": "web"});
    assert_eq!(app.patch(&path, again).await.0, 200);
    assert_eq!(work(&app).await.len(), 2);
}

#[tokio::test]
async fn whoever_may_edit_a_product_sets_where_it_goes() {
    let app = TestApp::start().await;
    let [product, _, _, id] = connected(&app, json!({})).await;
    let other = json!({"name": "Other", "description": "d", "prod_type": 1});
    let (_, other) = app.post("products/", other).await;
    let owner = member(&app, "owner", ("product", product), 4).await;
    let analyst = member(&app, "analyst", ("product", product), 2).await;
    let stranger = member(
        &app,
        "stranger",
        ("product", other["id"].as_u64().unwrap()),
        4,
    )
    .await;
    for list in ["jira_projects", "jira_product_configurations"] {
        let path = format!("{list}/{id}/");
        let text = json!({"component": "web"});
        for (token, read, written) in [
            (&owner, 200, 200),
            (&analyst, 200, 403),
            (&stranger, 404, 404),
        ] {
            let (status, _) = by(&app, token, Method::GET, &path, json!({})).await;
            assert_eq!(status, read, "{path}");
            let (status, _) = by(&app, token, Method::PATCH, &path, text.clone()).await;
            assert_eq!(status, written, "{path}");
        }
        let (_, page) = by(&app, &stranger, Method::GET, &format!("{list}/"), json!({})).await;
        assert_eq!(page["count"], 0);
    }
    // the instance is not theirs to see
    let (_, shown) = by(
        &app,
        &owner,
        Method::GET,
        &format!("jira_projects/{id}/?prefetch=jira_instance,product"),
        json!({}),
    )
    .await;
    assert_eq!(shown["prefetch"]["jira_instance"], json!({}));
    assert_eq!(
        shown["prefetch"]["product"][product.to_string()]["name"],
        "Shop"
    );
    assert_eq!(
        delete(&app, &format!("jira_product_configurations/{id}/")).await,
        204
    );
}
