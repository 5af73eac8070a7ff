//! Finding groups that imports make.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tatami_domain::{ImportState, TestId};
use tatami_tests::{Client, Local, generic_report};

/// The groups of a test: name, and titles of the findings.
async fn groups(client: &Client, test: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let findings = client.findings(&format!("test={test}")).await;
    let page = client
        .get(&format!("finding_groups/?limit=100000&test={test}"))
        .await
        .expect(200);
    let mut groups = BTreeMap::new();
    for group in page["results"].as_array().unwrap() {
        let ids = group["findings"].as_array().unwrap();
        let titles = findings.iter().filter(|f| ids.contains(&f["id"])).map(|f| {
            let shown = &f["finding_groups"];
            assert_eq!(
                shown[0]["id"], group["id"],
                "the finding says the same: {shown}"
            );
            f["title"].as_str().unwrap().to_owned()
        });
        let name = group["name"].as_str().unwrap().to_owned();
        let known = groups.insert(name, titles.collect());
        assert_eq!(known, None, "one group a name");
    }
    let inside: usize = groups.values().map(BTreeSet::len).sum();
    let grouped = findings.iter().filter(|f| f["finding_groups"] != json!([]));
    assert_eq!(
        inside,
        grouped.count(),
        "each finding is in one group at most"
    );
    groups
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_groups_what_it_creates_and_a_reimport_joins() {
    let local = Local::start().await;
    let client = &local.client;
    let by = ("group_by", "component_name");
    // 97 components, 130 findings: 33 of them have two
    let several = ("create_finding_groups_for_all_findings", "false");
    let first = client
        .import(
            "reimport-scan",
            &[by, several],
            "r.json",
            generic_report(0, 130),
        )
        .await;
    let test = &first["test"];
    assert_eq!(first["options"]["group_by"], "component_name");
    let made = groups(client, test).await;
    assert_eq!(made.len(), 33);
    assert!(made.values().all(|titles| titles.len() == 2));
    let pair = &made["Findings in: lib3"];
    assert!(pair.contains("Outdated library number 3"), "{pair:?}");
    assert!(pair.contains("Outdated library number 100"), "{pair:?}");

    // 130..140 are new: their names are those of 33..43, which were alone until now
    let second = client
        .import(
            "reimport-scan",
            &[by, several],
            "r.json",
            generic_report(0, 140),
        )
        .await;
    assert_eq!(&second["test"], test);
    let joined = groups(client, test).await;
    assert_eq!(joined.len(), 43);
    let pair = &joined["Findings in: lib33"];
    assert!(
        pair.contains("Outdated library number 33"),
        "older ones come along: {pair:?}"
    );

    // 140..150 are new and may be alone; 194..200 join the group of theirs
    let third = client
        .import("reimport-scan", &[by], "r.json", generic_report(0, 200))
        .await;
    assert_eq!(third["counts"]["created"], 60);
    let all = groups(client, test).await;
    assert_eq!(all.len(), 97);
    assert_eq!(all["Findings in: lib3"].len(), 3, "3, 100 and 197");
    assert_eq!(all.values().map(BTreeSet::len).sum::<usize>(), 200);

    // whoever is taken out by hand stays out, and an unchanged report changes nothing
    let page = client
        .get("finding_groups/?name_exact=Findings%20in%3A%20lib3")
        .await
        .expect(200);
    let group = &page["results"][0];
    let out = &group["findings"][0];
    client
        .patch(
            &format!("finding_groups/{}/", group["id"]),
            json!({"remove_findings": [out]}),
        )
        .await
        .expect(200);
    client
        .import("reimport-scan", &[by], "r.json", generic_report(0, 200))
        .await;
    assert_eq!(groups(client, test).await["Findings in: lib3"].len(), 2);
    local.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imports_at_once_make_one_group_of_each_name() {
    let local = Local::start().await;
    let client = &local.client;
    // a test to import into
    let first = client
        .import("reimport-scan", &[], "r.json", generic_report(0, 1))
        .await;
    let test = first["test"].to_string();
    let fields = [
        ("test", test.as_str()),
        ("group_by", "component_name+component_version"),
        ("close_old_findings", "false"),
    ];
    let reports = [(0, 120), (60, 120), (120, 120), (30, 120)];
    let imports = reports.map(|(from, n)| {
        client.import("reimport-scan", &fields, "r.json", generic_report(from, n))
    });
    for import in futures::future::join_all(imports).await {
        assert_eq!(import["state"], "done", "{import:#}");
    }
    let made = groups(client, &first["test"]).await;
    let findings = client.findings("").await;
    assert_eq!(findings.len(), 240);
    let name = |f: &Value| {
        let of = |name: &str| f[name].as_str().unwrap().to_owned();
        format!(
            "Findings in: {}:{}",
            of("component_name"),
            of("component_version")
        )
    };
    // the first was there before, and asked for no group
    let (before, new): (Vec<&Value>, Vec<&Value>) =
        (findings.iter()).partition(|f| f["title"] == "Outdated library number 0");
    assert_eq!(before[0]["finding_groups"], json!([]));
    let names: BTreeSet<String> = new.into_iter().map(name).collect();
    assert_eq!(made.keys().cloned().collect::<BTreeSet<_>>(), names);
    assert_eq!(made.values().map(BTreeSet::len).sum::<usize>(), 239);
    let store = &local.stack.services.store;
    let blocks = store.test_blocks(TestId(1)).await.unwrap();
    let stored = store.findings_in(&blocks).await.unwrap();
    let recount: tatami_domain::SeverityCounts = stored.iter().collect();
    let product = stored[0].product;
    let counted = store.product_counts(product).await.unwrap();
    assert_eq!(counted, recount, "counts equal a recount");
    local.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finishing_again_after_it_broke_off_groups_the_rest_and_nothing_twice() {
    let local = Local::start().await;
    let services = &local.stack.services;
    let by = [("group_by", "file_path")];
    let import = local
        .client
        .import("import-scan", &by, "r.json", generic_report(0, 100))
        .await;
    let test = &import["test"];
    let whole = groups(&local.client, test).await;
    assert_eq!(whole.len(), 7);

    // As if the first try had been killed half way: some findings aren't in their group yet, one
    // group isn't made yet, and the import isn't done.
    let list = services
        .store
        .groups_of(TestId(test.as_u64().unwrap()))
        .await
        .unwrap();
    services.store.remove_group(list[0].id, true).await.unwrap();
    let page = local.client.get("finding_groups/?o=id").await.expect(200);
    let half = &page["results"][1];
    let out: Vec<&Value> = half["findings"]
        .as_array()
        .unwrap()
        .iter()
        .skip(3)
        .collect();
    local
        .client
        .patch(
            &format!("finding_groups/{}/", half["id"]),
            json!({"remove_findings": out}),
        )
        .await
        .expect(200);
    assert_eq!(groups(&local.client, test).await.len(), 6);
    let id = import["id"].as_u64().unwrap();
    let mut record = services.store.import(id.into()).await.unwrap();
    record.state = ImportState::Processing;
    services.store.revive_import(&record).await.unwrap();

    let message = tatami_queue::FindingsMessage::Finalise { import: id.into() };
    let body = tatami_queue::write(&message).unwrap();
    let event = || {
        json!({"Records": [{
            "messageId": "m", "body": body, "eventSource": "aws:sqs",
            "attributes": {"ApproximateReceiveCount": "1"}, "messageAttributes": {}}]})
    };
    let twice = [event(), event()].map(|event| tatami_dedup::handle(services, event));
    for answer in futures::future::join_all(twice).await {
        assert_eq!(answer.unwrap()["batchItemFailures"], json!([]));
    }
    assert_eq!(groups(&local.client, test).await, whole);
    let before = services.store.usage().write_units;
    tatami_dedup::handle(services, event()).await.unwrap();
    let written = services.store.usage().write_units - before;
    assert!(written < 0.5, "done is done: {written} units");
    local.stack.stop().await;
}
