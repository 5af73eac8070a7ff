//! Accepting the risk of findings.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{LIST, accept, findings, foreign, get, ids, in_days, names, notes, stands};
use crate::app::TestApp;

#[tokio::test]
async fn an_acceptance_takes_its_findings_from_the_open_ones() {
    let app = TestApp::start().await;
    let [product, engagement, test] = app.tree().await;
    let ids_of = findings(&app, test, 3).await;
    let body = json!({
        "name": "Legacy login", "owner": 1, "accepted_findings": ids_of[..2],
        "decision": "M", "decision_details": "a firewall", "accepted_by": "CISO",
        "recommendation": "F", "recommendation_details": "replace it",
    });
    let (status, made) = app.post(LIST, body.clone()).await;
    assert_eq!(status, 201, "{made}");
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(made[name], *value, "{name}");
    }
    for (name, value) in [
        ("expiration_date", json!(in_days(180))),
        ("decision_date", json!(in_days(0)[..10])),
        ("expiration_date_warned", Value::Null),
        ("expiration_date_handled", Value::Null),
        ("expired_at", Value::Null),
        ("reactivate_expired", json!(true)),
        ("restart_sla_expired", json!(false)),
        ("path", json!("No proof has been supplied")),
        ("justification", json!("a firewall")),
        ("state", json!("active")),
        ("product", json!(product)),
        ("engagement", json!(engagement)),
        ("notes", json!([])),
        ("job", Value::Null),
    ] {
        assert_eq!(made[name], value, "{name}");
    }
    let id = made["id"].as_u64().unwrap();
    assert_eq!(stands(&app, ids_of[0]).await, (false, true, Some(id)));
    assert_eq!(stands(&app, ids_of[1]).await, (false, true, Some(id)));
    assert_eq!(stands(&app, ids_of[2]).await, (true, false, None));
    let note = format!("Risk accepted: risk acceptance {id}, \"Legacy login\".");
    assert_eq!(notes(&app, ids_of[0]).await, [note]);
    assert!(notes(&app, ids_of[2]).await.is_empty());
    let engagement = get(&app, &format!("engagements/{engagement}/")).await;
    assert_eq!(engagement["risk_acceptance"], json!([id]));
    let under = get(&app, &format!("findings/?risk_acceptance={id}&o=id")).await;
    assert_eq!(under["count"], 2);
    let shown = &under["results"][0]["accepted_risks"][0];
    assert_eq!(shown["decision_details"], "a firewall");
    assert_eq!(shown["accepted_findings"], json!([ids_of[0]]));
    let one = get(&app, &format!("{LIST}{id}/")).await;
    assert_eq!(one, made);
    let history = get(&app, &format!("{LIST}{id}/history/")).await;
    assert_eq!(history["results"][0]["event"], "created");
    assert_eq!(history["results"][0]["by"], 1);
    // the job that did it is done
    let jobs = get(&app, "jobs/").await;
    assert_eq!(jobs["results"][0]["state"], "done");
}

#[tokio::test]
async fn what_cannot_be_accepted_is_refused_and_changes_nothing() {
    let app = TestApp::start().await;
    let [product, _, test] = app.tree().await;
    let own = findings(&app, test, 3).await;
    let foreign = foreign(&app).await;
    accept(&app, "first", &own[2..]).await;
    for (field, more) in [
        ("accepted_findings", json!({"accepted_findings": []})),
        (
            "accepted_findings",
            json!({"accepted_findings": [own[0], 999_999]}),
        ),
        (
            "accepted_findings",
            json!({"accepted_findings": [own[0], foreign]}),
        ),
        (
            "accepted_findings",
            json!({"accepted_findings": [own[0], own[2]]}),
        ),
        ("accepted_findings", json!({"accepted_findings": null})),
        ("expiration_date", json!({"expiration_date": in_days(-1)})),
        ("expiration_date", json!({"expiration_date": "soon"})),
        ("owner", json!({"owner": 999})),
        ("name", json!({"name": ""})),
        ("name", json!({"name": "x".repeat(301)})),
        ("accepted_by", json!({"accepted_by": "x".repeat(201)})),
        ("decision", json!({"decision": "X"})),
        ("recommendation", json!({"recommendation": "accept"})),
    ] {
        let mut body = json!({"name": "n", "accepted_findings": [own[0]]});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        let (status, answer) = app.post(LIST, body).await;
        assert_eq!(status, 400, "{more} {answer}");
        assert!(answer[field].is_array(), "{more} {answer}");
        if more["accepted_findings"][1] == foreign {
            let message = answer[field][0].as_str().unwrap();
            assert!(
                message.contains(&format!("Finding {foreign} ")),
                "{message}"
            );
        }
    }
    let off = json!({"enable_full_risk_acceptance": false});
    app.patch(&format!("products/{product}/"), off).await;
    let body = json!({"name": "n", "accepted_findings": [own[0]]});
    let (status, answer) = app.post(LIST, body).await;
    assert_eq!(status, 400, "{answer}");
    assert_eq!(names(&app, "").await, ["first"]);
    assert_eq!(stands(&app, own[0]).await, (true, false, None));
    assert_eq!(stands(&app, foreign).await, (true, false, None));
}

#[tokio::test]
async fn duplicates_are_left_out() {
    let app = TestApp::start().await;
    let [_, _, test] = app.tree().await;
    let own = findings(&app, test, 2).await;
    let link = json!({"original": own[0], "findings": [own[1]]});
    let (status, answer) = app.post("findings/link/", link).await;
    assert_eq!(status, 200, "{answer}");
    let made = accept(&app, "both", &own).await;
    assert_eq!(ids(&made["accepted_findings"]), own[..1]);
    assert_eq!(stands(&app, own[1]).await, (false, false, None));
}

#[tokio::test]
async fn other_clients_accept_by_vulnerabilities() {
    let app = TestApp::start().await;
    let [_, engagement, test] = app.tree().await;
    let own = findings(&app, test, 5).await;
    let also = json!({"vulnerability_ids": [{"vulnerability_id": "CVE-2026-0"}], "title": "also"});
    let also = app.finding(test, also).await;
    let entry =
        |id: &str| json!({"vulnerability_id": id, "justification": "why", "accepted_by": "me"});
    let path = format!("tests/{test}/accept_risks/");
    let (status, made) = app
        .post(&path, json!([entry("cve-2026-0"), entry("CVE-1")]))
        .await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made.as_array().unwrap().len(), 1, "the other found nothing");
    let one = &made[0];
    assert_eq!(
        (
            &one["name"],
            &one["decision"],
            &one["decision_details"],
            &one["accepted_by"],
            &one["owner"]
        ),
        (
            &json!("cve-2026-0"),
            &json!("A"),
            &json!("why"),
            &json!("me"),
            &json!(1)
        )
    );
    let under: BTreeSet<u64> = ids(&one["accepted_findings"]).into_iter().collect();
    assert_eq!(under, BTreeSet::from([own[0], also]));
    let (_, again) = app.post(&path, json!([entry("CVE-2026-0")])).await;
    assert_eq!(again, json!([]), "they are accepted");
    let path = format!("engagements/{engagement}/accept_risks/");
    let (_, made) = app
        .post(&path, json!([entry("CVE-2026-1"), entry("CVE-2026-1")]))
        .await;
    assert_eq!(made.as_array().unwrap().len(), 1, "the first has them all");
    // the parameters of the list narrow it down
    let some = format!("findings/accept_risks/?id={}", own[2]);
    let (_, made) = app
        .post(&some, json!([entry("CVE-2026-2"), entry("CVE-2026-3")]))
        .await;
    assert_eq!(made.as_array().unwrap().len(), 1);
    let (_, made) = app
        .post("findings/accept_risks/", entry("CVE-2026-3"))
        .await;
    assert_eq!(ids(&made[0]["accepted_findings"]), own[3..4]);
    for wrong in [
        json!([{"vulnerability_id": "CVE-2026-4", "accepted_by": "me"}]),
        json!([entry("CVE-2026-4"), {"vulnerability_id": "", "accepted_by": "me", "justification": "j"}]),
        json!([entry(&"x".repeat(51))]),
        json!(["CVE-2026-4"]),
        json!(7),
    ] {
        let (status, answer) = app.post("findings/accept_risks/", wrong.clone()).await;
        assert_eq!(status, 400, "{wrong} {answer}");
    }
    assert_eq!(stands(&app, own[4]).await, (true, false, None));
    assert_eq!(app.post("tests/999/accept_risks/", json!([])).await.0, 404);
}
