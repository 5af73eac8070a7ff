use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::json;
use tatami_domain::{
    CriticalFinding, Event, EventData, EventKind, FindingId, NamedFinding, OtherEvent, ProductId,
    ScanAdded, Severity, TestId,
};
use tatami_notifications::{Links, Names, Topic, message, sample, webhook};

fn messages(event: &Event) -> Vec<tatami_notifications::Message> {
    let links = Links::new("https://tatami.example.org/");
    message(event, &Names::default(), &links).unwrap()
}

fn event(data: &EventData) -> Event {
    Event::new(data, 5_u64, "1", Some(ProductId(7)), Timestamp::UNIX_EPOCH)
}

fn title(data: &EventData) -> String {
    messages(&event(data)).remove(0).title
}

#[test]
fn what_is_due_gives_one_message_for_the_product_and_one_for_each_finding() {
    let (event, _) = sample(Topic::SlaBreach);
    let messages = messages(&event);
    let told: Vec<(Topic, u64, &str)> = messages
        .iter()
        .map(|message| (message.topic, message.object, &*message.title))
        .collect();
    assert_eq!(
        told,
        [
            (
                Topic::SlaBreachCombined,
                7,
                "SLA in Web shop: 1 overdue, 1 due today, 1 due soon"
            ),
            (Topic::SlaBreach, 1_025, "Finding 1025: 2 days overdue"),
            (Topic::SlaBreach, 1_026, "Finding 1026: due today"),
            (Topic::SlaBreach, 1_030, "Finding 1030: due in 3 days"),
        ]
    );
    let ids: BTreeSet<&str> = messages.iter().map(|message| &*message.id).collect();
    assert_eq!(ids.len(), 4);
    // a webhook gets the one finding
    let body = webhook(&messages[2], &event);
    assert_eq!(body["data"]["finding"]["id"], 1_026);
    assert_eq!(body["data"]["finding"]["days_remaining"], 0);
    assert_eq!(webhook(&messages[0], &event)["data"], event.data);
}

#[test]
fn an_id_is_the_same_for_the_same_occasion_only() {
    let (event, first) = sample(Topic::Other);
    let id = |event: &Event| messages(event).remove(0).id;
    assert_eq!((id(&event), first.id.len()), (first.id.clone(), 32));
    let mut later = event.clone();
    later.time = Timestamp::UNIX_EPOCH;
    assert_eq!(id(&later), first.id);
    let mut again = event.clone();
    again.occasion = "2".into();
    let mut another = event.clone();
    another.object += 1;
    let ids = BTreeSet::from([first.id, id(&again), id(&another)]);
    assert_eq!(ids.len(), 3);
}

#[test]
fn counts_read_well() {
    let scan = |new, closed, warnings| {
        let scan = ScanAdded {
            test_title: "Trivy".into(),
            product_name: "Shop".into(),
            new,
            closed,
            warnings,
            ..ScanAdded::default()
        };
        let message = messages(&event(&scan.into_data())).remove(0);
        (message.title, message.summary)
    };
    let told = |title: &str, summary: &str| (title.to_owned(), summary.to_owned());
    assert_eq!(
        scan(0, 0, 0),
        told(
            "Trivy in Shop: no new findings",
            "The report has no findings."
        )
    );
    assert_eq!(
        scan(1, 0, 1),
        told(
            "Trivy in Shop: 1 new finding",
            "Findings: 1 new. 1 record of the report was skipped."
        )
    );
    assert_eq!(
        scan(1_234_567, 2, 1_000),
        told(
            "Trivy in Shop: 1,234,567 new findings",
            "Findings: 1,234,567 new, 2 closed. 1,000 records of the report were skipped."
        )
    );
    assert_eq!(scan(0, 1, 0).0, "Trivy in Shop: 1 finding closed");
}

#[test]
fn critical_findings_of_an_import_are_one_message() {
    let critical = |count: u64| {
        let findings = (0..count.min(20)).map(|n| NamedFinding {
            id: FindingId(n),
            title: format!("Finding no. {n}"),
            severity: Severity::Critical,
        });
        EventData::CriticalFinding(CriticalFinding {
            test: TestId(3),
            product_name: "Shop".into(),
            findings: findings.collect(),
            count,
            ..CriticalFinding::default()
        })
    };
    assert_eq!(
        title(&critical(1)),
        "Critical finding in Shop: Finding no. 0"
    );
    assert_eq!(title(&critical(2_000)), "2,000 critical findings in Shop");
    let message = messages(&event(&critical(2_000))).remove(0);
    assert_eq!(message.sections[0].items.len(), 20);
    assert_eq!(message.sections[0].more, 1_980);
    assert_eq!(
        message.url.as_deref(),
        Some("https://tatami.example.org/test/3")
    );
}

#[test]
fn an_address_leads_nowhere_else() {
    let url = |path: &str| {
        let data = EventData::Other(OtherEvent {
            title: "T".into(),
            text: String::new(),
            path: Some(path.into()),
        });
        messages(&event(&data)).remove(0).url
    };
    assert_eq!(
        url("/jobs/3").as_deref(),
        Some("https://tatami.example.org/jobs/3")
    );
    for path in [
        "",
        "jobs",
        "//evil.example",
        "@evil.example",
        "https://evil.example",
        "/a b",
        "/\"onclick",
        "/a\n",
    ] {
        assert_eq!(url(path), None, "{path:?}");
    }
    let script = message(
        &sample(Topic::Other).0,
        &Names::default(),
        &Links::new("javascript:alert(1)"),
    );
    assert_eq!(script.unwrap()[0].url, None);
}

#[test]
fn an_event_that_says_nothing_still_makes_a_message() {
    let kinds: Vec<EventKind> = serde_json::from_value(json!(EventKind::NAMES)).unwrap();
    for kind in kinds {
        let event = Event {
            kind,
            object: 5,
            occasion: String::new(),
            product: None,
            time: Timestamp::UNIX_EPOCH,
            data: json!({}),
            to: Vec::new(),
        };
        let messages = messages(&event);
        assert_eq!(messages[0].topic, Topic::of(kind)[0]);
        assert!(!messages[0].title.is_empty(), "{}", kind.name());
    }
}

#[test]
fn data_that_is_wrong_is_an_error() {
    let (mut event, _) = sample(Topic::ScanAdded);
    event.data = json!({"new": -1});
    let error = message(&event, &Names::default(), &Links::new("")).unwrap_err();
    assert!(error.to_string().contains("scan_added of 88"), "{error}");
}
