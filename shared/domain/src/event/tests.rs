use serde::Deserialize as _;
use serde_json::json;

use super::*;
use crate::{FindingId, Severity};

#[test]
fn names_are_those_that_are_stored() {
    let kinds: Vec<EventKind> = serde_json::from_value(json!(EventKind::NAMES)).unwrap();
    assert_eq!(kinds[2], EventKind::SlaDue);
    for (name, kind) in EventKind::NAMES.iter().zip(kinds) {
        assert_eq!(serde_json::to_value(kind).unwrap(), *name);
        assert_eq!(kind.name(), *name);
    }
    assert_eq!(EventKind::Other as usize + 1, EventKind::NAMES.len());
}

#[test]
fn an_event_stored_before_it_had_receivers_is_read_and_written_as_it_was() {
    let stored = json!({
        "kind": "sla_due", "object": 7, "occasion": "2026-11-02", "product": 7,
        "time": "2026-11-02T04:00:00Z", "data": {"product_name": "Shop"},
    });
    let event: Event = serde_json::from_value(stored.clone()).unwrap();
    assert!(event.to.is_empty());
    assert_eq!(serde_json::to_value(&event).unwrap(), stored);
    let told = serde_json::to_value(event.to(vec![UserId(3)])).unwrap();
    assert_eq!(told["to"], json!([3]));
}

#[test]
fn data_of_another_shape_is_an_error_that_names_the_event() {
    let event = Event {
        kind: EventKind::ScanAdded,
        object: 12,
        occasion: String::new(),
        product: None,
        time: Timestamp::UNIX_EPOCH,
        data: json!({"new": "three"}),
        to: Vec::new(),
    };
    let error = event.read().unwrap_err().to_string();
    assert!(
        error.starts_with("the data of the event scan_added of 12 can't be read: invalid type"),
        "{error}"
    );
}

fn event(data: &EventData) -> Event {
    Event::new(data, 1_u64, "1", None, Timestamp::UNIX_EPOCH)
}

#[test]
fn every_kind_reads_what_it_writes_and_less() {
    let kinds: Vec<EventKind> = serde_json::from_value(json!(EventKind::NAMES)).unwrap();
    for kind in kinds {
        let empty = EventData::read(kind, &json!({"later": 1})).unwrap();
        assert_eq!(empty.kind(), kind);
        assert_eq!(event(&empty).read().unwrap(), empty, "{}", kind.name());
    }
}

#[test]
fn what_is_due_is_read_as_the_daily_run_has_always_written_it() {
    let part = |n: u64| {
        json!({
            "count": n, "severities": {"Critical": n, "High": 0, "Medium": 0, "Low": 0, "Info": 0},
            "findings": [{"id": 9, "severity": "Critical", "days_remaining": -2}],
        })
    };
    let stored = json!({
        "product_name": "Shop", "due_soon": part(0), "due_today": part(1), "breached": part(2),
    });
    let data = EventData::read(EventKind::SlaDue, &stored).unwrap();
    assert_eq!(data.to_value(), stored);
    let EventData::SlaDue(due) = data else {
        panic!("another kind")
    };
    assert_eq!(due.breached.severities[&Severity::Critical], 2);
    assert_eq!(due.breached.findings[0].days_remaining, -2);
}

#[test]
fn acceptances_are_read_as_they_have_always_been_written() {
    let expired = json!({
        "name": "Until spring", "owner": 3, "expiration_date": "2026-11-02T00:00:00Z",
        "reactivated": true, "findings": 4,
    });
    let expiring = json!({
        "name": "Until spring", "owner": 3, "expiration_date": null, "reactivates": false,
    });
    for (kind, stored) in [
        (EventKind::RiskAcceptanceExpired, expired),
        (EventKind::RiskAcceptanceExpiring, expiring),
    ] {
        assert_eq!(EventData::read(kind, &stored).unwrap().to_value(), stored);
    }
}

#[test]
fn the_worst_findings_are_named() {
    let all = (0..50).map(|n| NamedFinding {
        id: FindingId(n),
        title: String::new(),
        severity: Severity::ALL[usize::try_from(n).unwrap() % 5],
    });
    let named = NamedFinding::worst(all);
    assert_eq!(named.len(), MAX_NAMED_FINDINGS);
    let ids: Vec<u64> = named.iter().map(|finding| finding.id.0).collect();
    assert_eq!(ids[..4], [0, 5, 10, 15]);
    assert!(named[19].severity == Severity::High);
}

#[test]
fn an_import_that_changed_nothing_is_an_empty_one() {
    let scan = |reactivated| ScanAdded {
        reactivated,
        left_untouched: 7,
        ..ScanAdded::default()
    };
    assert_eq!(scan(0).into_data().kind(), EventKind::ScanAddedEmpty);
    assert_eq!(scan(1).into_data().kind(), EventKind::ScanAdded);
}

#[test]
fn an_excerpt_is_cut_between_characters() {
    let mentioned = |text: &str| {
        let place = MentionedIn::Finding(FindingId(1));
        UserMentioned::new(UserId(2), place, "SQL injection", text).text
    };
    assert_eq!(mentioned(" @ada see this\n"), "@ada see this");
    assert_eq!(mentioned(&"é".repeat(500)), "é".repeat(500));
    let cut = mentioned(&"é".repeat(501));
    assert_eq!(cut, format!("{}…", "é".repeat(499)));
}

#[test]
fn a_change_in_jira_that_came_later_is_read_as_another() {
    let update = JiraUpdate::deserialize(json!({"what": "transferred"})).unwrap();
    assert_eq!(update.what, JiraChange::Other);
}
