//! Events: each happening is told once, wherever a function dies and however often its message comes.

use std::collections::BTreeMap;

use axum::http::Method;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde_json::{Value, json};
use tatami_domain::{Event, EventData, EventKind, ImportState, JobState, OutboxWork, ProductId};
use tatami_queue::{FindingsMessage, Outgoing};
use tatami_tests::{Death, Lab, Message, Queue, generic_report};

const DEATHS: [Death; 2] = [Death::Before, Death::After];

/// The events of so many days, up to so many days from now.
async fn events_until(lab: &Lab, days: i64, until: i64) -> Vec<Event> {
    let mut all = Vec::new();
    for day in (until - days)..=until {
        let time = Timestamp::now() + SignedDuration::from_hours(24 * day);
        let date = time.to_zoned(TimeZone::UTC).date();
        all.extend(lab.services.store.events(date).await.unwrap());
    }
    all
}

async fn events(lab: &Lab) -> Vec<Event> {
    events_until(lab, 1, 0).await
}

/// How many events there are of each kind.
fn kinds<'e>(events: impl IntoIterator<Item = &'e Event>) -> BTreeMap<&'static str, usize> {
    let mut kinds = BTreeMap::new();
    for event in events {
        *kinds.entry(event.kind.name()).or_default() += 1;
    }
    kinds
}

async fn told(lab: &Lab, product: &str) -> BTreeMap<&'static str, usize> {
    let product: Option<ProductId> = lab.product(product).await.map(|product| product.id);
    let events = events(lab).await;
    kinds(events.iter().filter(|event| event.product == product))
}

/// Delivers all there is; the first message of a queue first dies at a write. Says whether it did, and
/// what was delivered.
async fn dying(lab: &Lab, queue: Queue, nth: u64, death: Death) -> (bool, Vec<Message>) {
    let mut died = None;
    let mut delivered = Vec::new();
    loop {
        let messages = lab.take_all().await;
        if messages.is_empty() {
            return (died.unwrap_or(false), delivered);
        }
        for message in messages {
            if message.queue == queue && died.is_none() {
                lab.wire.die_at(nth, death);
                lab.deliver(&message, 1).await;
                died = Some(lab.wire.live().is_some());
            }
            assert!(lab.deliver(&message, 2).await, "{}", message.body);
            delivered.push(message);
        }
    }
}

async fn call(lab: &Lab, method: Method, path: &str, body: Value) -> Value {
    let answer = lab.call(method, path, Some(body)).await;
    assert!(
        answer.status < 300,
        "{path}: {} {}",
        answer.status,
        answer.body
    );
    answer.body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_tells_one_digest_wherever_it_dies() {
    let lab = Lab::start().await;
    for queue in [Queue::Uploads, Queue::Findings] {
        for death in DEATHS {
            for nth in 0.. {
                let product = format!("{queue:?} {death:?} {nth}");
                lab.upload(&product, "Nightly", &[], generic_report(0, 5))
                    .await;
                let (died, delivered) = dying(&lab, queue, nth, death).await;
                let wanted = BTreeMap::from([("critical_finding", 1), ("scan_added", 1)]);
                assert_eq!(told(&lab, &product).await, wanted, "{product}");
                for message in delivered.iter().rev() {
                    assert!(lab.deliver(message, 1).await);
                }
                lab.settle().await;
                assert_eq!(told(&lab, &product).await, wanted, "{product}, again");
                if !died {
                    assert!(nth > 3, "{product}: there were {nth} writes");
                    break;
                }
            }
        }
    }
    // and what is written waits in the outbox, or was sent
    let waiting = lab.services.store.outbox(SignedDuration::ZERO).await;
    let waiting = waiting
        .unwrap()
        .into_iter()
        .filter_map(|entry| match entry.work {
            OutboxWork::Notify(key) => Some(key),
            _ => None,
        });
    let known = events(&lab).await;
    for key in waiting {
        assert!(
            known
                .iter()
                .any(|event| tatami_store::key_of_event(event) == key)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_digest_says_what_the_import_did() {
    let lab = Lab::start().await;
    let report = |names: &[(&str, &str)]| {
        let finding = |(title, severity): &(&str, &str)| json!({"title": title, "severity": severity, "description": "d"});
        json!({"findings": names.iter().map(finding).collect::<Vec<_>>()}).to_string()
    };
    let mode = [("mode", "reimport".to_owned())];
    let first = [("Door", "Critical"), ("Window", "Low"), ("Roof", "High")];
    let steps: [&[(&str, &str)]; 4] = [&first, &first, &first[1..], &first];
    for step in steps {
        lab.upload("Shop", "Nightly", &mode, report(step)).await;
        lab.settle().await;
    }
    let mut scans = Vec::new();
    let mut critical = Vec::new();
    let mut all = events(&lab).await;
    all.sort_by_key(|event| event.object);
    for event in &all {
        match event.read().unwrap() {
            EventData::ScanAdded(scan) | EventData::ScanAddedEmpty(scan) => {
                assert_eq!(
                    (&*scan.product_name, &*scan.engagement_name),
                    ("Shop", "Nightly")
                );
                let titles: Vec<String> = scan.findings.into_iter().map(|f| f.title).collect();
                let counts = [scan.new, scan.reactivated, scan.closed, scan.left_untouched];
                scans.push((event.kind.name(), counts, titles.join(" ")));
            }
            EventData::CriticalFinding(data) => {
                let titles: Vec<String> = data.findings.into_iter().map(|f| f.title).collect();
                critical.push((data.count, titles.join(" ")));
            }
            // neither the product nor the engagement nor the test are told of by themselves
            other => panic!("{other:?}"),
        }
    }
    let wanted = [
        ("scan_added", [3, 0, 0, 0], "Door Roof Window".to_owned()),
        ("scan_added_empty", [0, 0, 0, 3], String::new()),
        ("scan_added", [0, 0, 1, 2], String::new()),
        ("scan_added", [0, 1, 0, 2], "Door".to_owned()),
    ];
    assert_eq!(scans, wanted);
    assert_eq!(critical, [(1, "Door".to_owned()), (1, "Door".to_owned())]);
    // a replay tells nothing
    let before = all.len();
    let import = all.iter().map(|event| event.object).max().unwrap();
    let path = format!("imports/{import}/replay/");
    for apply in [false, true] {
        call(&lab, Method::POST, &path, json!({"apply": apply})).await;
        lab.settle().await;
    }
    assert_eq!(events(&lab).await.len(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imports_side_by_side_each_tell_once() {
    const IMPORTS: usize = 6;
    let lab = Lab::start().await;
    let mode = [("mode", "reimport".to_owned())];
    for _ in 0..IMPORTS {
        lab.upload("Shop", "Nightly", &mode, generic_report(0, 12))
            .await;
    }
    lab.work_off(8).await;
    let events = events(&lab).await;
    let scans = events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::ScanAdded | EventKind::ScanAddedEmpty));
    let scans: Vec<u64> = scans.map(|event| event.object).collect();
    assert_eq!(scans.len(), IMPORTS, "{scans:?}");
    let mut counted = 0;
    for event in &events {
        match event.read().unwrap() {
            EventData::ScanAdded(scan) => counted += scan.new,
            EventData::ScanAddedEmpty(_) | EventData::CriticalFinding(_) => {}
            other => panic!("{other:?}"),
        }
    }
    let product = lab.product("Shop").await.unwrap().id;
    let tests = lab.tests(product).await;
    assert_eq!(tests.len(), 1);
    assert_eq!(counted, 12, "each finding is new to one import");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_told_once() {
    let lab = Lab::start().await;
    let mut imports = 0;
    for death in DEATHS {
        for nth in 0.. {
            let options = [("scan_type", "SARIF".to_owned())];
            lab.upload("Shop", "Nightly", &options, "{\"runs\": 7}")
                .await;
            let (died, delivered) = dying(&lab, Queue::Uploads, nth, death).await;
            imports += 1;
            for message in &delivered {
                lab.deliver(message, 1).await;
            }
            let events = events(&lab).await;
            assert_eq!(kinds(&events), BTreeMap::from([("import_failed", imports)]));
            if !died {
                assert!(nth > 2, "there were {nth} writes");
                break;
            }
        }
    }
    let EventData::ImportFailed(failed) = events(&lab).await[0].read().unwrap() else {
        panic!("another kind")
    };
    assert_eq!(failed.product_name.as_deref(), Some("Shop"));
    assert_eq!(failed.scan_type.as_deref(), Some("SARIF"));
    assert!(!failed.error.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_is_given_up_tells_so_and_its_digest_once_it_is_through() {
    let lab = Lab::start().await;
    lab.upload("Shop", "Nightly", &[], generic_report(0, 5))
        .await;
    for message in lab.take(Queue::Uploads).await {
        assert!(lab.deliver(&message, 1).await);
    }
    // no transaction is taken that has this in it
    lab.wire.poison(Some("Outdated library number 2"));
    let messages = lab.take(Queue::Findings).await;
    for message in &messages {
        for receives in [1, 2, 3, 4, 5, 5] {
            assert!(!lab.deliver(message, receives).await);
        }
    }
    lab.wire.poison(None);
    let failed = BTreeMap::from([("import_failed", 1)]);
    assert_eq!(told(&lab, "Shop").await, failed);
    for message in &messages {
        assert!(lab.deliver(message, 1).await);
    }
    lab.settle().await;
    let product = lab.product("Shop").await.unwrap().id;
    assert_eq!(lab.imports(product).await[0].state, ImportState::Done);
    let all = [
        ("critical_finding", 1),
        ("import_failed", 1),
        ("scan_added", 1),
    ];
    assert_eq!(told(&lab, "Shop").await, all.into());
}

/// Lets jobs go on whose message isn't to come before a while.
async fn go_on(lab: &Lab) {
    for job in lab.services.store.jobs().await.unwrap() {
        if job.state == JobState::Running {
            let (job, step) = (job.id, job.step);
            let body = tatami_queue::write(&FindingsMessage::Job { job, step }).unwrap();
            let sent = (lab.services.findings).send([Outgoing { body, import: None }]);
            sent.await.unwrap();
        }
    }
    lab.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_many_findings_tells_once() {
    let lab = Lab::start().await;
    let ada = call(
        &lab,
        Method::POST,
        "users/",
        json!({"username": "ada", "email": "ada@tatami.example", "is_superuser": true}),
    )
    .await;
    lab.upload("Shop", "Nightly", &[], generic_report(0, 120))
        .await;
    lab.settle().await;
    let product = lab.product("Shop").await.unwrap().id;
    let test = lab.tests(product).await.into_values().next().unwrap().id;
    let before = events(&lab).await.len();
    let fixed = json!({"filter": {"test": test}, "changes": {"status": "Fixed"}});
    call(&lab, Method::POST, "findings/bulk/", fixed).await;
    lab.settle().await;
    assert_eq!(events(&lab).await.len(), before, "nothing is open now");
    // more than one request takes: a job, that dies at each of its writes in turn
    let open = json!({
        "filter": {"test": test}, "changes": {"status": "Open"}, "note": "Again, @ada.",
    });
    call(&lab, Method::POST, "findings/bulk/", open).await;
    for nth in [0, 3, 9, 20, 40] {
        let messages = lab.take(Queue::Findings).await;
        for message in &messages {
            lab.wire.die_at(nth, DEATHS[usize::from(nth > 9)]);
            lab.deliver(message, 1).await;
            lab.wire.live();
        }
        for message in &messages {
            assert!(lab.deliver(message, 2).await);
            assert!(lab.deliver(message, 3).await);
        }
    }
    go_on(&lab).await;
    let all = events(&lab).await;
    let new: Vec<&Event> = all
        .iter()
        .filter(|event| {
            event.kind == EventKind::UserMentioned || event.occasion.starts_with("job-")
        })
        .collect();
    let wanted = BTreeMap::from([("critical_finding", 1), ("user_mentioned", 1)]);
    assert_eq!(kinds(new.iter().copied()), wanted);
    for event in new {
        match event.read().unwrap() {
            EventData::CriticalFinding(critical) => {
                let findings = lab.findings(test).await;
                let open = findings
                    .iter()
                    .filter(|f| f.flags.active && f.severity.name() == "Critical");
                assert_eq!(critical.count, open.count() as u64);
                assert_eq!(critical.findings.len(), 20);
            }
            EventData::UserMentioned(mentioned) => {
                assert_eq!(mentioned.text, "Again, @ada.");
                assert_eq!(json!(event.to), json!([ada["id"]]));
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn daily(lab: &Lab, days: i64) -> bool {
    let now = Timestamp::now() + SignedDuration::from_hours(24 * days);
    Box::pin(tatami_sla::daily(&lab.services, now))
        .await
        .is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn engagements_are_told_of_before_they_start_and_after_they_should_have_ended() {
    let lab = Lab::start().await;
    let kind = call(&lab, Method::POST, "product_types/", json!({"name": "Web"})).await;
    let product = json!({"name": "Shop", "description": "d", "prod_type": kind["id"]});
    let product = call(&lab, Method::POST, "products/", product).await;
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let day = |days: i64| today.checked_add(days.days()).unwrap().to_string();
    let body = json!({
        "name": "Pentest", "product": product["id"], "target_start": day(5), "target_end": day(9),
    });
    let engagement = call(&lab, Method::POST, "engagements/", body).await;
    let path = format!("engagements/{}/", engagement["id"]);
    let timing = [
        "upcoming_engagement",
        "stale_engagement",
        "auto_close_engagement",
    ];
    let told = async || -> Vec<(String, u64, String)> {
        let mut seen = Vec::new();
        for event in events_until(&lab, 40, 40).await {
            let days = match event.read().unwrap() {
                EventData::UpcomingEngagement(data) | EventData::StaleEngagement(data) => data.days,
                EventData::AutoCloseEngagement(data) => data.days.unwrap_or_default(),
                _ => continue,
            };
            assert!(timing.contains(&event.kind.name()));
            let date = event.time.to_zoned(TimeZone::UTC).date().to_string();
            seen.push((event.kind.name().to_owned(), u64::from(days), date));
        }
        seen
    };
    // twice on some days, and not at all on others
    for days in [0, 1, 3, 3, 4, 5, 8, 10, 13, 14, 14, 15, 19, 20] {
        assert!(daily(&lab, days).await);
    }
    let row = |kind: usize, days: u64, on: i64| (timing[kind].to_owned(), days, day(on));
    let mut wanted = vec![row(0, 2, 2), row(1, 4, 12), row(1, 10, 19)];
    assert_eq!(told().await, wanted);
    let open = lab.call(Method::GET, &path, None).await.expect(200);
    assert_eq!(open["active"], true);

    let settings = json!({"engagement_auto_close": true, "engagement_auto_close_days": 12});
    call(&lab, Method::PATCH, "system_settings/1/", settings).await;
    assert!(daily(&lab, 20).await);
    for death in DEATHS {
        lab.wire.die_at(1, death);
        daily(&lab, 22).await;
        lab.wire.live();
    }
    for _ in 0..2 {
        assert!(daily(&lab, 22).await);
    }
    wanted.push(row(2, 13, 22));
    assert_eq!(told().await, wanted);
    let closed = lab.call(Method::GET, &path, None).await.expect(200);
    assert_eq!(
        (&closed["active"], &closed["status"]),
        (&json!(false), &json!("Completed"))
    );
    assert!(daily(&lab, 40).await);
    assert_eq!(told().await, wanted, "what is closed is left alone");
}
