//! Code that moves between two reports, and reports that are read again.

use std::collections::HashMap;

use serde_json::{Value, json};
use tatami_tests::{Client, Local};

fn static_finding(title: &str, path: &str, line: u64, description: &str) -> Value {
    json!({
        "title": title, "severity": "High", "description": description, "cwe": 89,
        "file_path": path, "line": line, "static_finding": true,
    })
}

fn report(findings: &[Value]) -> String {
    json!({ "findings": findings }).to_string()
}

async fn by_title(client: &Client, title: &str) -> Value {
    let found = client.findings("").await;
    let mut found = found.into_iter().filter(|f| f["title"] == title);
    let one = found.next().unwrap_or_else(|| panic!("no {title}"));
    assert!(found.next().is_none(), "more than one {title}");
    one
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn code_that_moves_keeps_its_findings() {
    let local = Local::start().await;
    let client = &local.client;
    let code = |path: &str, line: u64| {
        let text = format!("{path} line {line}:\n```\ndb.query(f\"... {{name}}\")\n```");
        static_finding("Query built from input", path, line, &text)
    };
    let said = |path: &str, line: u64| {
        let text = format!("An assertion in {path}, line {line}, guards nothing.");
        static_finding("Assertion as a guard", path, line, &text)
    };
    let gone = static_finding("Weak hash", "hash.py", 3, "MD5 is used.");
    let first = report(&[code("shop/a.py", 10), said("shop/b.py", 20), gone]);
    client
        .import("reimport-scan", &[], "r.json", first.clone())
        .await;
    let (a, b) = (
        by_title(client, "Query built from input").await,
        by_title(client, "Assertion as a guard").await,
    );
    client
        .patch(
            &format!("findings/{}/", a["id"]),
            json!({"tags": ["triaged"]}),
        )
        .await
        .expect(200);

    // The one file is renamed, in the other lines came in before.
    let new = static_finding("Debug mode", "settings.py", 1, "DEBUG = True");
    let second = report(&[code("store/a.py", 12), said("shop/b.py", 44), new]);
    let import = client
        .import("reimport-scan", &[], "r.json", second.clone())
        .await;
    assert_eq!(
        json!([
            import["counts"]["created"],
            import["counts"]["closed"],
            import["counts"]["untouched"]
        ]),
        json!([1, 1, 2]),
        "{import:#}"
    );
    let moved = by_title(client, "Query built from input").await;
    assert_eq!(moved["id"], a["id"]);
    assert_eq!(
        json!([moved["file_path"], moved["line"]]),
        json!(["store/a.py", 12])
    );
    assert_eq!(moved["tags"], json!(["triaged"]));
    assert_eq!(moved["active"], true);
    assert!(
        moved["description"]
            .as_str()
            .unwrap()
            .contains("store/a.py line 12"),
        "the texts follow"
    );
    let notes = client
        .get(&format!("findings/{}/notes/", a["id"]))
        .await
        .expect(200);
    assert_eq!(
        notes["notes"][0]["entry"],
        "Moved: from shop/a.py:10 to store/a.py:12."
    );
    let moved = by_title(client, "Assertion as a guard").await;
    assert_eq!(json!([moved["id"], moved["line"]]), json!([b["id"], 44]));

    // The new places are known from now on, also to other tests of the product.
    let import = client
        .import("reimport-scan", &[], "r.json", second.clone())
        .await;
    assert_eq!(import["counts"]["untouched"], 3);
    let import = client.import("import-scan", &[], "r.json", second).await;
    assert_eq!(import["counts"]["duplicates"], 3);
    let import = client.import("import-scan", &[], "r.json", first).await;
    assert_eq!(
        import["counts"]["duplicates"], 0,
        "the old places are free: the third is mitigated history"
    );
    local.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fingerprint_follows_code_whatever_its_message_says() {
    let local = Local::start().await;
    let client = &local.client;
    let log = |path: &str, line: u64, message: &str| {
        json!({"version": "2.1.0", "runs": [{
            "tool": {"driver": {"name": "checker", "rules": [
                {"id": "R1", "shortDescription": {"text": "Unchecked value"}}]}},
            "results": [{
                "ruleId": "R1", "level": "error", "message": {"text": message},
                "partialFingerprints": {"primaryLocationLineHash": "39fa2ee980eb94b0:1"},
                "locations": [{"physicalLocation": {
                    "artifactLocation": {"uri": path}, "region": {"startLine": line}}}],
            }],
        }]})
        .to_string()
    };
    client
        .import(
            "reimport-scan",
            &[],
            "r.sarif",
            log("src/a.c", 7, "x is unchecked"),
        )
        .await;
    let before = client.findings("").await;
    let import = client
        .import(
            "reimport-scan",
            &[],
            "r.sarif",
            log("lib/a.c", 9, "y is unchecked"),
        )
        .await;
    assert_eq!(import["counts"]["created"], 0, "{import:#}");
    assert_eq!(import["counts"]["closed"], 0);
    let after = client.findings("").await;
    assert_eq!(after.len(), 1);
    assert_eq!(after[0]["id"], before[0]["id"]);
    local.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::many_single_char_names, reason = "the findings' own names")]
async fn a_replay_shows_the_difference_and_then_applies_it() {
    let local = Local::start().await;
    let client = &local.client;
    let a = static_finding("A", "a.py", 1, "a");
    let b = static_finding("B", "b.py", 2, "b");
    let c = static_finding("C", "c.py", 3, "c");
    let e = static_finding("E", "e.py", 5, "e");
    let import = client
        .import(
            "reimport-scan",
            &[],
            "r.json",
            report(&[a, b.clone(), c, e]),
        )
        .await;
    let judged = by_title(client, "A").await;
    client
        .patch(
            &format!("findings/{}/", judged["id"]),
            json!({"false_p": true}),
        )
        .await
        .expect(200);

    // What another version of the parser would make of the report, another report makes of this one.
    let mut a = static_finding("A", "a.py", 1, "a");
    a["severity"] = json!("Low");
    a["mitigation"] = json!("Do it right.");
    let e = static_finding("E, put better", "e.py", 5, "e");
    let d = static_finding("D", "d.py", 4, "d");
    local
        .stack
        .services
        .blobs
        .put_upload(
            import["key"].as_str().unwrap(),
            report(&[a, b, e, d]).into_bytes(),
            HashMap::from([("import".to_owned(), import["id"].to_string())]),
        )
        .await
        .unwrap();
    let before = client.findings("o=id").await;
    let path = format!("imports/{}/replay/", import["id"]);
    let replay = client.post(&path, json!({})).await.expect(202);
    let shown = client.imported(replay["id"].as_u64().unwrap()).await;
    assert_eq!(shown["state"], "done", "{shown:#}");
    let counts = json!({"same": 1, "changed": 2, "new": 1, "gone": 1});
    assert_eq!(shown["replay"]["counts"], counts);
    assert_eq!(client.findings("o=id").await, before, "nothing has changed");
    let difference = client
        .get(&format!("imports/{}/difference/", shown["id"]))
        .await
        .expect(200);
    assert_eq!(difference["count"], 4);
    let of_a = &difference["results"][0];
    assert_eq!(of_a["finding"], judged["id"]);
    assert_eq!(of_a["fields"]["severity"], json!(["High", "Low"]));
    assert_eq!(of_a["fields"]["mitigation"], json!([null, "Do it right."]));

    let replay = client.post(&path, json!({"apply": true})).await.expect(202);
    let applied = client.imported(replay["id"].as_u64().unwrap()).await;
    assert_eq!(applied["replay"]["counts"], counts, "{applied:#}");
    assert_eq!(applied["counts"]["created"], 1);
    assert_eq!(applied["counts"]["closed"], 1);
    let after = by_title(client, "A").await;
    assert_eq!(after["id"], judged["id"]);
    assert_eq!(
        json!([after["severity"], after["false_p"], after["mitigation"]]),
        json!(["Low", true, "Do it right."])
    );
    let put_better = by_title(client, "E, put better").await;
    assert!(before.iter().any(|f| f["id"] == put_better["id"]));
    assert_eq!(by_title(client, "C").await["is_mitigated"], true);
    assert_eq!(by_title(client, "D").await["active"], true);
    let counted = client.findings("active=true").await.len();
    assert_eq!(
        applied["statistics"]["after"]["total"]["active"], counted,
        "counts equal a recount"
    );

    // Read once more, all is as it is; and a replay is not replayed.
    let replay = client.post(&path, json!({})).await.expect(202);
    let again = client.imported(replay["id"].as_u64().unwrap()).await;
    let counts = json!({"same": 4, "changed": 0, "new": 0, "gone": 0});
    assert_eq!(again["replay"]["counts"], counts, "{again:#}");
    let refused = client
        .post(&format!("imports/{}/replay/", again["id"]), json!({}))
        .await;
    assert_eq!(refused.status, 400);
    let many = client
        .post(
            "imports/replay/",
            json!({"scan_type": "Generic Findings Import"}),
        )
        .await
        .expect(202);
    assert_eq!(many["imports"].as_array().unwrap().len(), 1);
    local.stack.stop().await;
}
