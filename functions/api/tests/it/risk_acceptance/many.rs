//! Many findings at once.

use serde_json::{Value, json};

use super::{LIST, accept, findings, foreign, ids, in_days, names, stands};
use crate::app::TestApp;

#[tokio::test]
async fn many_are_refused_where_it_is_not_clear_which_or_why() {
    let app = TestApp::start().await;
    let [_, _, test] = app.tree().await;
    let wanted = json!(findings(&app, test, 2).await);
    let path = format!("{LIST}bulk/");
    for (field, body) in [
        ("justification", json!({"ids": wanted})),
        (
            "justification",
            json!({"ids": wanted, "justification": " "}),
        ),
        ("ids", json!({"justification": "j"})),
        ("ids", json!({"justification": "j", "ids": []})),
        (
            "ids",
            json!({"justification": "j", "ids": wanted, "filter": {"test": test}}),
        ),
        (
            "filter",
            json!({"justification": "j", "filter": {"tset": test}}),
        ),
        (
            "expiration_date",
            json!({"justification": "j", "ids": wanted, "never": true, "expires_in_days": 4}),
        ),
        (
            "expiration_date",
            json!({"justification": "j", "ids": wanted, "expiration_date": in_days(-1)}),
        ),
        (
            "expires_in_days",
            json!({"justification": "j", "ids": wanted, "expires_in_days": 0}),
        ),
        (
            "owner",
            json!({"justification": "j", "ids": wanted, "owner": 99}),
        ),
    ] {
        let (status, answer) = app.post(&path, body.clone()).await;
        assert_eq!(status, 400, "{body} {answer}");
        assert!(answer[field].is_array(), "{body} {answer}");
    }
    assert!(names(&app, "").await.is_empty(), "nothing was made");
}

#[tokio::test]
async fn many_are_accepted_at_once_with_a_result_for_each() {
    let app = TestApp::start().await;
    let [_, engagement, test] = app.tree().await;
    let own = findings(&app, test, 6).await;
    let foreign = foreign(&app).await;
    let link = json!({"original": own[0], "findings": [own[1]]});
    app.post("findings/link/", link).await;
    let held = accept(&app, "held", &own[2..3]).await;
    let path = format!("{LIST}bulk/");
    let wanted = json!([own[0], own[1], own[2], own[3], foreign, 999_999]);
    let body = json!({
        "ids": wanted, "justification": "until the move", "name": "Move", "accepted_by": "CTO",
        "expires_in_days": 30, "reactivate_expired": false,
    });
    let (status, done) = app.post(&path, body).await;
    assert_eq!(status, 201, "{done}");
    let acceptances = done["acceptances"].as_array().unwrap();
    assert_eq!(acceptances.len(), 2, "one for each product");
    for one in acceptances {
        assert_eq!(one["justification"], "until the move");
        assert_eq!(one["expiration_date"], in_days(30));
        assert_eq!(
            (&one["name"], &one["accepted_by"]),
            (&json!("Move"), &json!("CTO"))
        );
        assert_eq!(one["reactivate_expired"], false);
    }
    let of = |id: u64| {
        let results = done["results"].as_array().unwrap().iter();
        let mut own = results.filter(|result| result["id"] == id);
        let result = own.next().unwrap();
        assert!(own.next().is_none());
        (
            result["result"].as_str().unwrap(),
            result["risk_acceptance"].as_u64(),
        )
    };
    let first = acceptances[0]["id"].as_u64();
    assert_eq!(of(own[0]), ("changed", first));
    assert_eq!(of(own[1]), ("refused", None));
    assert_eq!(of(own[2]), ("refused", None));
    assert_eq!(of(own[3]), ("changed", first));
    assert_eq!(of(foreign), ("changed", acceptances[1]["id"].as_u64()));
    assert_eq!(of(999_999), ("missing", None));
    assert_eq!(stands(&app, own[2]).await.2, held["id"].as_u64());
    assert_eq!(
        stands(&app, foreign).await,
        (false, true, acceptances[1]["id"].as_u64())
    );

    // by a filter, for ever
    let filter = json!({"engagement": engagement, "active": true});
    let body = json!({"filter": filter, "justification": "j", "never": true});
    let (status, done) = app.post(&path, body.clone()).await;
    assert_eq!(status, 201, "{done}");
    assert_eq!(done["acceptances"][0]["expiration_date"], Value::Null);
    assert_eq!(ids(&done["acceptances"][0]["accepted_findings"]), own[4..]);
    let (status, done) = app.post(&path, body).await;
    assert_eq!(
        (status.as_u16(), &done["acceptances"]),
        (200, &json!([])),
        "none is left"
    );
}
