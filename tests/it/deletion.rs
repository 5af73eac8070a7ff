//! What is deleted is gone at once, and in the end nothing of it is left, whatever happens on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::http::Method;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tatami_domain::{
    Attachment, DedupeLevel, DedupeScope, DedupeSettings, Engagement, EngagementId, FindingGroup,
    ImportState, JiraIssue, JiraObject, Job, JobState, Owner, ProductId, SlaConfiguration, TestId,
    UserId,
};
use tatami_sla::{Sum, Summary};
use tatami_store::{Change, Commit, Committed, JiraComment, Sight, StoreError};
use tatami_tests::{Death, Lab, Queue, generic_report};

type Everything = BTreeMap<String, String>;

async fn get(lab: &Lab, path: &str) -> Value {
    lab.call(Method::GET, path, None).await.expect(200)
}

async fn post(lab: &Lab, path: &str, body: Value) -> Value {
    lab.call(Method::POST, path, Some(body)).await.expect(201)
}

async fn count(lab: &Lab, path: &str) -> u64 {
    get(lab, path).await["count"].as_u64().unwrap()
}

async fn status(lab: &Lab, path: &str) -> u16 {
    lab.call(Method::GET, path, None).await.status
}

async fn delete(lab: &Lab, path: &str) {
    lab.call(Method::DELETE, path, None).await.expect(204);
}

/// A report into an engagement; gives the test that it went into.
async fn report(lab: &Lab, product: &str, engagement: &str, mode: &str, findings: usize) -> TestId {
    let options = [
        ("mode", mode.to_owned()),
        ("group_by", "component_name".to_owned()),
    ];
    lab.upload(product, engagement, &options, generic_report(0, findings))
        .await;
    lab.settle().await;
    let id = lab.product(product).await.unwrap().id;
    let imports = lab.imports(id).await;
    assert_eq!(imports.last().unwrap().state, ImportState::Done);
    imports.last().unwrap().test.unwrap()
}

async fn attach(lab: &Lab, to: Owner) {
    let Lab { services, .. } = lab;
    let file = Attachment {
        id: 0.into(),
        owner: to,
        title: "t".into(),
        file_name: "t.txt".into(),
        size: 1,
        created: Timestamp::now(),
        by: UserId(1),
    };
    let file = services.store.create(file).await.unwrap();
    let bytes = Bytes::from_static(b"x");
    services.blobs.put_attachment(file.id, bytes).await.unwrap();
}

/// Ids of a product with one of everything that can be in one.
#[derive(Debug, Clone)]
struct Grown {
    product: u64,
    engagement: u64,
    test: TestId,
}

async fn grow(lab: &Lab, name: &str, findings: usize) -> Grown {
    let test = report(lab, name, "Nightly", "reimport", findings).await;
    let product = lab.product(name).await.unwrap().id.0;
    let found = get(lab, &format!("tests/{test}/")).await;
    let engagement = found["engagement"].as_u64().unwrap();
    let finding = lab.findings(test).await[0].id;
    for owner in [
        Owner::Finding(finding),
        Owner::Test(test),
        Owner::Engagement(engagement.into()),
    ] {
        attach(lab, owner).await;
    }
    let note = json!({"entry": "a word"});
    for path in [
        format!("findings/{finding}/notes/"),
        format!("tests/{test}/notes/"),
        format!("engagements/{engagement}/notes/"),
    ] {
        post(lab, &path, note.clone()).await;
    }
    let words = json!({"description": "in words of my own"});
    let path = format!("findings/{finding}/");
    lab.call(Method::PATCH, &path, Some(words))
        .await
        .expect(200);
    let by_hand = json!({
        "test": test.0, "title": "By hand", "severity": "Low", "description": "d",
        "found_by": [1], "active": true, "verified": false,
    });
    post(lab, "findings/", by_hand).await;
    for body in [
        json!({"product": product, "name": "k", "value": "v"}),
        json!({"finding": finding.0, "name": "k", "value": "v"}),
    ] {
        post(lab, "metadata/", body).await;
    }
    let preset = json!({"product": product, "title": "p"});
    post(lab, "engagement_presets/", preset).await;
    let technology = json!({"product": product, "name": "t", "user": 1});
    post(lab, "technologies/", technology).await;
    for (path, field, id) in [
        ("product_members/", "product", product),
        ("engagement_members/", "engagement", engagement),
    ] {
        post(lab, path, json!({field: id, "user": 1, "role": 5})).await;
    }
    let level = DedupeLevel {
        scope: DedupeScope::Product(ProductId(product)),
        settings: DedupeSettings::default(),
        ..DedupeLevel::default()
    };
    assert!(lab.services.store.put_dedupe_level(&level).await.unwrap());
    linked(lab, product.into(), engagement.into(), test).await;
    Grown {
        product,
        engagement,
        test,
    }
}

/// JIRA has an issue of a finding, of a group and of the engagement, and comments came over.
async fn linked(lab: &Lab, product: ProductId, engagement: EngagementId, test: TestId) {
    let store = &lab.services.store;
    let project = json!({"product": product, "project_key": "SEC", "enabled": false});
    post(lab, "jira_projects/", project).await;
    let project = json!({"engagement": engagement, "project_key": "SEC", "enabled": false});
    post(lab, "jira_projects/", project).await;
    let finding = lab.findings(test).await.remove(1);
    let group = store.groups_of(test).await.unwrap().remove(0);
    let issue = async |object: JiraObject| {
        let issue = JiraIssue {
            id: 0.into(),
            object,
            product,
            project: None,
            instance: 1.into(),
            jira_id: format!("{product}.{object:?}"),
            jira_key: "SEC-1".into(),
            created: Timestamp::now(),
            changed: None,
            open: true,
            in_progress: false,
            status: String::new(),
            sent: String::new(),
            error: None,
        };
        let issue = store.create(issue).await.unwrap().id;
        let comment = JiraComment::In("10100".into());
        assert!(
            store
                .note_jira_comment(issue, &comment, None)
                .await
                .unwrap()
        );
        issue
    };
    let of_finding = issue(JiraObject::Finding(finding.id)).await;
    let mut new = finding.clone();
    new.jira.issue = Some(of_finding);
    let commit = Commit {
        product,
        unique: format!("T{}", finding.id),
        changes: vec![Change::Update {
            old: Box::new(finding),
            new: Box::new(new),
        }],
        claims: Vec::new(),
        notes: Vec::new(),
        events: Vec::new(),
        marker: None,
    };
    assert_eq!(store.commit(&commit).await.unwrap(), Committed::Yes);
    let of_group = issue(JiraObject::FindingGroup(group.id)).await;
    let set = store.change(group.id, |group: &mut FindingGroup| {
        group.jira_issue = Some(of_group);
        Ok::<_, StoreError>(())
    });
    set.await.unwrap();
    let of_engagement = issue(JiraObject::Engagement(engagement)).await;
    let set = store.change(engagement, |engagement: &mut Engagement| {
        engagement.jira_epic = Some(of_engagement);
        Ok::<_, StoreError>(())
    });
    set.await.unwrap();
    lab.services.relay().await;
    lab.settle().await;
}

/// Makes what all products share.
async fn ground(lab: &Lab) -> Everything {
    let test = report(lab, "Ground", "Nightly", "reimport", 3).await;
    let product = get(lab, &format!("tests/{test}/")).await;
    let project = json!({"engagement": product["engagement"], "enabled": false});
    post(lab, "jira_projects/", project).await;
    lab.everything().await
}

/// What was not there before, but for counters, the records of jobs, what the audit log says, events (they are
/// kept for 90 days, as what was told of them is), and whose notes and endpoints got which ids.
fn left(before: &Everything, after: &Everything) -> BTreeSet<String> {
    let new = after.keys().filter(|key| !before.contains_key(*key));
    // what was told of it is kept for 90 days; a lease that was given back goes within hours
    let told = ["EVENTS#", "DELIVERED#", "DELIVERIES#", "ALERTS#", "LEASE#"];
    let kept = ["COUNTER ", "JOBS#", "AUDIT#", "NO#", "EO#"];
    let kept = [&kept[..], &told].concat();
    new.filter(|key| !kept.iter().any(|kept| key.starts_with(kept)))
        .cloned()
        .collect()
}

async fn jobs(lab: &Lab) -> Vec<Job> {
    lab.services.store.jobs().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_product_is_gone_at_once_and_nothing_is_left_of_it() {
    let lab = Lab::start().await;
    let before = ground(&lab).await;
    let Grown {
        product,
        engagement,
        test,
    } = grow(&lab, "Doomed", 30).await;
    report(&lab, "Doomed", "Nightly", "import", 30).await;
    report(&lab, "Doomed", "Weekly", "reimport", 30).await;
    assert_eq!(
        count(&lab, &format!("findings/?product={product}")).await,
        91
    );
    let path = format!("products/{product}/delete_preview/?limit=1000");
    let preview = get(&lab, &path).await;
    let rows = preview["results"].as_array().unwrap();
    let of = |model: &str| rows.iter().filter(|row| row["model"] == model).count();
    assert_eq!(
        (of("Product"), of("Engagement"), of("Test"), of("Finding")),
        (1, 2, 3, 91)
    );
    assert_eq!(
        (
            of("Meta"),
            of("EngagementPresets"),
            of("AppAnalysis"),
            of("Test_Import")
        ),
        (1, 1, 1, 3)
    );
    assert_eq!((of("JIRA_Project"), of("JIRA_Issue")), (2, 3));
    assert!(
        of("Finding_Group") > 10 && of("FileUpload") == 2 && of("Notes") == 2,
        "{rows:#?}"
    );

    delete(&lab, &format!("products/{product}/")).await;
    for path in [
        format!("products/{product}/"),
        format!("engagements/{engagement}/"),
        format!("tests/{test}/"),
        format!("findings/{}/", lab.findings(test).await[0].id),
        format!("tests/{test}/notes/"),
    ] {
        assert_eq!(status(&lab, &path).await, 404, "{path}");
    }
    for (list, seen) in [
        ("findings", 3),
        ("products", 1),
        ("engagements", 1),
        ("tests", 1),
        ("imports", 1),
        ("test_imports", 1),
        ("metadata", 0),
        ("engagement_presets", 0),
        ("technologies", 0),
        ("product_members", 0),
        ("engagement_members", 0),
        ("finding_groups", 3),
    ] {
        assert_eq!(count(&lab, &format!("{list}/")).await, seen, "{list}");
    }
    let path = format!("products/{product}/");
    lab.call(Method::DELETE, &path, None).await.expect(404);

    lab.settle().await;
    let done = jobs(&lab).await;
    assert_eq!(done.len(), 1);
    assert_eq!(
        (done[0].state, done[0].done, done[0].of),
        (JobState::Done, 91, 91)
    );
    let shown = get(&lab, &format!("jobs/{}/", done[0].id)).await;
    assert_eq!(
        (
            &shown["kind"],
            &shown["model"],
            &shown["name"],
            &shown["state"]
        ),
        (
            &json!("delete"),
            &json!("product"),
            &json!("Doomed"),
            &json!("done")
        )
    );
    assert_eq!(left(&before, &lab.everything().await), BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stays_of_a_product_keeps_its_counts_and_gets_its_own_originals() {
    let lab = Lab::start().await;
    let Grown {
        product,
        engagement,
        test,
    } = grow(&lab, "Shop", 20).await;
    let other = report(&lab, "Shop", "Nightly", "import", 20).await;
    let weekly = report(&lab, "Shop", "Weekly", "reimport", 25).await;
    let own: Vec<_> = lab.findings(weekly).await;
    assert_eq!(own.iter().filter(|f| f.flags.duplicate).count(), 20);
    // the test alone
    delete(&lab, &format!("tests/{other}/")).await;
    let shown = get(&lab, &format!("products/{product}/")).await;
    assert_eq!(shown["findings_count"], 46);
    assert_eq!(
        count(&lab, &format!("findings/?product={product}")).await,
        46
    );
    assert_eq!(
        count(&lab, &format!("tests/?engagement={engagement}")).await,
        1
    );
    lab.settle().await;
    lab.holdings("Shop").await;
    let shown = get(&lab, &format!("products/{product}/")).await;
    assert_eq!(shown["findings_count"], 46);

    delete(&lab, &format!("engagements/{engagement}/")).await;
    let shown = get(&lab, &format!("products/{product}/")).await;
    assert_eq!(shown["findings_count"], 25);
    let all = get(&lab, "products/").await;
    assert_eq!(all["results"][0]["findings_count"], 25);
    lab.settle().await;
    let holdings = lab.holdings("Shop").await;
    assert_eq!(holdings.tests, BTreeMap::from([("Weekly".to_owned(), 1)]));
    assert_eq!(holdings.rows.len(), 25);
    assert!(holdings.rows.iter().all(|row| row.original.is_none()));
    assert!(holdings.rows.iter().all(|row| row.flags.contains("active")));
    // claims speak of nothing that is gone, and the next report finds what it should
    let everything = lab.everything().await;
    for (key, document) in everything.iter().filter(|(key, _)| key.starts_with("K#")) {
        let claim: Value = serde_json::from_str(document).unwrap();
        for member in claim["m"].as_array().unwrap() {
            assert_eq!(member[0], weekly.0, "{key} {claim}");
        }
    }
    for gone in [
        format!("T#{test}"),
        format!("TEST#{test}#"),
        format!("TEST#0 {:010}", test.0),
        format!("NAME#TEST#{engagement}#"),
        format!("NAME#ENGAGEMENT#{product}#nightly"),
        format!("ENGAGEMENT#{engagement}#"),
        format!("N#T{test}"),
        format!("N#E{engagement}"),
        "GONE".to_owned(),
    ] {
        let kept = everything.keys().find(|key| key.starts_with(&gone));
        assert_eq!(kept, None, "{gone}");
    }
    report(&lab, "Shop", "Weekly", "reimport", 25).await;
    report(&lab, "Shop", "Nightly", "reimport", 25).await;
    let holdings = lab.holdings("Shop").await;
    let duplicates = holdings.rows.iter().filter(|row| row.original.is_some());
    assert_eq!((holdings.rows.len(), duplicates.count()), (50, 25));
    // the SLA is that of a recount
    let id = ProductId(product);
    let today = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let mut sum = Sum::new(SlaConfiguration::default(), Arc::default(), today);
    let store = &lab.services.store;
    let sight = [id];
    let sight = Sight::Products(&sight);
    store
        .sweep(sight, |finding| sum.add(finding))
        .await
        .unwrap();
    let summary: Option<Summary> = store.sla_summary(id).await.unwrap();
    assert_eq!(summary, Some(sum.finish().0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_free_as_soon_as_it_is_answered() {
    let lab = Lab::start().await;
    let before = ground(&lab).await;
    let kind = post(&lab, "product_types/", json!({"name": "Old"})).await["id"].clone();
    let other = post(&lab, "product_types/", json!({"name": "Other"})).await["id"].clone();
    let product = json!({"name": "Moved", "description": "d", "prod_type": kind});
    let moved = post(&lab, "products/", product).await["id"].clone();
    let path = format!("products/{moved}/");
    let change = json!({"prod_type": other});
    lab.call(Method::PATCH, &path, Some(change))
        .await
        .expect(200);
    let product = json!({"name": "Doomed", "description": "d", "prod_type": kind});
    post(&lab, "products/", product.clone()).await;
    let first = grow(&lab, "Doomed", 6).await;
    post(
        &lab,
        "product_type_members/",
        json!({"product_type": kind, "user": 1, "role": 5}),
    )
    .await;
    delete(&lab, &format!("product_types/{kind}/")).await;
    // the messages of the job still lie in the queue
    let path = format!("findings/?product={}", first.product);
    assert_eq!(count(&lab, &path).await, 0);
    assert_eq!(
        status(&lab, &format!("products/{}/", first.product)).await,
        404
    );
    assert_eq!(status(&lab, &format!("products/{moved}/")).await, 200);
    let again = post(&lab, "product_types/", json!({"name": "Old"})).await["id"].clone();
    let product = json!({"name": "Doomed", "description": "d", "prod_type": again});
    let second = post(&lab, "products/", product).await["id"].clone();
    lab.upload("Doomed", "Nightly", &[], generic_report(0, 6))
        .await;
    lab.settle().await;
    assert_eq!(count(&lab, &format!("findings/?product={second}")).await, 6);
    lab.holdings("Doomed").await;
    delete(
        &lab,
        &format!(
            "engagements/{}/",
            get(&lab, &format!("engagements/?product={second}")).await["results"][0]["id"]
        ),
    )
    .await;
    lab.upload("Doomed", "Nightly", &[], generic_report(0, 7))
        .await;
    lab.settle().await;
    assert_eq!(count(&lab, &format!("findings/?product={second}")).await, 7);
    for path in [
        format!("product_types/{again}/"),
        format!("product_types/{other}/"),
    ] {
        delete(&lab, &path).await;
    }
    lab.settle().await;
    assert_eq!(left(&before, &lab.everything().await), BTreeSet::new());
}

/// Delivers what is in the queues, the job's message with a death at its `nth` write; says whether it
/// came to that.
async fn deliver_with_death(lab: &Lab, nth: u64, death: Death) -> bool {
    let mut died = false;
    let messages = lab.take(Queue::Findings).await;
    assert_eq!(messages.len(), 1);
    lab.wire.die_at(nth, death);
    let handled = lab.deliver(&messages[0], 1).await;
    if lab.wire.live().is_some() {
        died = true;
        assert!(lab.deliver(&messages[0], 2).await);
    } else {
        assert!(handled);
    }
    lab.settle().await;
    assert!(lab.deliver(&messages[0], 3).await, "it comes once more");
    lab.settle().await;
    // what was written for others and not sent is sent by whoever sweeps
    let swept = lab.services.sweep_outbox_after(SignedDuration::ZERO);
    swept.await.unwrap();
    lab.settle().await;
    died
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_dies_at_any_write_ends_the_same() {
    let lab = Lab::start().await;
    let before = ground(&lab).await;
    let mut most = 0;
    for nth in 0.. {
        let mut died = false;
        for (n, death) in [Death::Before, Death::After].into_iter().enumerate() {
            let grown = grow(&lab, &format!("Doomed {nth} {n}"), 3).await;
            let path = if n == 0 {
                format!("products/{}/", grown.product)
            } else {
                delete(&lab, &format!("engagements/{}/", grown.engagement)).await;
                died |= deliver_with_death(&lab, nth, death).await;
                assert_eq!(status(&lab, &format!("tests/{}/", grown.test)).await, 404);
                lab.holdings(&format!("Doomed {nth} {n}")).await;
                format!("products/{}/", grown.product)
            };
            delete(&lab, &path).await;
            died |= deliver_with_death(&lab, nth, death).await;
            let all = lab.everything().await;
            assert_eq!(left(&before, &all), BTreeSet::new(), "{nth} {death:?}");
        }
        if !died {
            break;
        }
        most = nth;
    }
    assert!(most > 30, "{most} writes are too few");
    assert!(
        jobs(&lab)
            .await
            .iter()
            .all(|job| job.state == JobState::Done)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_dies_at_any_write_deletes_all_or_nothing() {
    let lab = Lab::start().await;
    let before = ground(&lab).await;
    for nth in 0.. {
        let mut died = false;
        for death in [Death::Before, Death::After] {
            let name = format!("Doomed {nth} {death:?}");
            report(&lab, &name, "Nightly", "reimport", 2).await;
            let product = lab.product(&name).await.unwrap().id;
            lab.wire.die_at(nth, death);
            let path = format!("products/{product}/");
            lab.call(Method::DELETE, &path, None).await;
            died |= lab.wire.live().is_some();
            lab.settle().await;
            if status(&lab, &path).await == 200 {
                assert_eq!(
                    count(&lab, &format!("findings/?product={product}")).await,
                    2
                );
                delete(&lab, &path).await;
                lab.settle().await;
            }
            assert_eq!(left(&before, &lab.everything().await), BTreeSet::new());
        }
        if !died {
            break;
        }
    }
}

/// What an import that ran into a deletion leaves: its record, which says so.
async fn only_its_record(lab: &Lab, before: &Everything, what: &str) {
    let left = left(before, &lab.everything().await);
    let records: Vec<&String> = left.iter().filter(|key| key.ends_with(" IMPORT")).collect();
    assert_eq!((left.len(), records.len()), (1, 1), "{what}: {left:#?}");
    let id = records[0]
        .strip_prefix("I#")
        .unwrap()
        .split(' ')
        .next()
        .unwrap();
    let import = get(lab, &format!("imports/{id}/")).await;
    assert_eq!(import["state"], "failed", "{what}: {import:#}");
    let message = import["error"]["message"].as_str().unwrap();
    assert!(message.contains("was deleted"), "{what}: {message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imports_into_what_is_deleted_fail_clearly_and_leave_nothing() {
    for what in ["test", "engagement", "product"] {
        for stage in ["queued", "read", "read and job done"] {
            let lab = Lab::start().await;
            let before = ground(&lab).await;
            let grown = grow(&lab, "Doomed", 4).await;
            let options = [("test", grown.test.to_string())];
            lab.upload("Doomed", "Nightly", &options, generic_report(2, 12))
                .await;
            if stage != "queued" {
                for message in lab.take(Queue::Uploads).await {
                    assert!(lab.deliver(&message, 1).await);
                }
            }
            let parts = lab.take(Queue::Findings).await;
            let path = match what {
                "test" => format!("tests/{}/", grown.test),
                "engagement" => format!("engagements/{}/", grown.engagement),
                _ => format!("products/{}/", grown.product),
            };
            delete(&lab, &path).await;
            if stage == "read and job done" {
                lab.settle().await;
            }
            for message in &parts {
                assert!(lab.deliver(message, 1).await, "{what} {stage}");
            }
            lab.settle().await;
            if what != "product" {
                lab.holdings("Doomed").await;
                delete(&lab, &format!("products/{}/", grown.product)).await;
                lab.settle().await;
            }
            if stage == "queued" {
                // it was refused before it had anything
                let lines = lab.services.store.import_lines().await.unwrap();
                let failed = lines
                    .iter()
                    .filter(|line| line.state == ImportState::Failed);
                for line in failed {
                    let import = lab.services.store.import(line.id).await.unwrap();
                    assert!(import.error.is_some());
                }
                continue;
            }
            only_its_record(&lab, &before, &format!("{what} {stage}")).await;
        }
    }
}

/// A part is stopped before each of its writes, the job runs from end to end, and the part goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_was_on_its_way_takes_back_what_it_wrote() {
    for nth in 0.. {
        let lab = Lab::start().await;
        let before = ground(&lab).await;
        let grown = grow(&lab, "Doomed", 4).await;
        let options = [("test", grown.test.to_string())];
        lab.upload("Doomed", "Nightly", &options, generic_report(2, 6))
            .await;
        for message in lab.take(Queue::Uploads).await {
            assert!(lab.deliver(&message, 1).await);
        }
        let parts = lab.take(Queue::Findings).await;
        let gate = lab.wire.gate_at(nth);
        let deliver = async {
            for message in &parts {
                assert!(lab.deliver(message, 1).await);
            }
        };
        let meanwhile = async {
            gate.reached().await;
            delete(&lab, &format!("products/{}/", grown.product)).await;
            lab.settle().await;
            gate.open();
        };
        let mut deliver = std::pin::pin!(deliver);
        let mut meanwhile = std::pin::pin!(meanwhile);
        let reached = tokio::select! {
            () = &mut deliver => false,
            () = &mut meanwhile => true,
        };
        if !reached {
            assert!(nth > 5, "{nth} writes are too few");
            return;
        }
        deliver.await;
        lab.settle().await;
        let left = left(&before, &lab.everything().await);
        let import: Vec<_> = left
            .iter()
            .filter(|key| !key.ends_with(" IMPORT"))
            .collect();
        assert!(import.is_empty(), "at write {nth}: {import:#?}");
        assert_eq!(count(&lab, "findings/").await, 3);
    }
}
