use std::collections::BTreeSet;

use serde_json::json;
use tatami_domain::EventKind;
use tatami_notifications::{Channel, Preferences, Topic, resolve, resolve_system};

use Channel::{Alert, Mail, MsTeams, Slack, Webhooks};

fn row(channels: &[Channel]) -> Preferences {
    let mut row = Preferences::default();
    row.set(Topic::ScanAdded, channels.iter().copied());
    row
}

/// A row of each scope, or none, and where the user is told.
#[test]
fn rows_of_a_user_are_put_together() {
    type Row<'a> = Option<&'a [Channel]>;
    let table: &[(Row, Row, Row, &[Channel])] = &[
        (None, None, None, &[]),
        (None, Some(&[]), None, &[]),
        (None, Some(&[Alert]), None, &[Alert]),
        (None, None, Some(&[Mail]), &[Mail]),
        (None, Some(&[Alert]), Some(&[Mail]), &[Alert, Mail]),
        // a product can't be made silent
        (None, Some(&[Alert, Mail]), Some(&[]), &[Alert, Mail]),
        // a superuser gets what the system gets
        (Some(&[Slack]), None, None, &[Slack]),
        (
            Some(&[Slack]),
            Some(&[Alert]),
            Some(&[Mail]),
            &[Alert, Mail, Slack],
        ),
        (Some(&[]), Some(&[]), Some(&[]), &[]),
        // Teams has no messages for one person
        (
            Some(&[MsTeams]),
            Some(&[MsTeams, Alert]),
            Some(&[MsTeams]),
            &[Alert],
        ),
        (None, Some(&[Webhooks]), Some(&[Webhooks]), &[Webhooks]),
    ];
    for (system, global, product, told) in table {
        let rows = [system, global, product].map(|channels| channels.map(row));
        let [system, global, product] = rows.each_ref().map(Option::as_ref);
        let told: BTreeSet<Channel> = told.iter().copied().collect();
        assert_eq!(
            resolve(Topic::ScanAdded, system, global, product),
            told,
            "{rows:?}"
        );
    }
}

#[test]
fn what_a_row_does_not_have_is_the_default_but_in_a_row_for_a_product() {
    let empty = Preferences::default();
    let told = resolve(Topic::ReviewRequested, None, Some(&empty), None);
    assert_eq!(told, BTreeSet::from([Alert, Mail]));
    let told = resolve(Topic::ReviewRequested, None, None, Some(&empty));
    assert!(told.is_empty());
    assert!(resolve(Topic::ScanAddedEmpty, None, Some(&empty), None).is_empty());
    for topic in Topic::ALL {
        assert_eq!(
            empty.channels(*topic),
            Preferences::defaults().channels(*topic)
        );
    }
}

#[test]
fn the_system_is_told_on_all_channels_but_alerts() {
    let all = row(Channel::ALL);
    let told = resolve_system(Topic::ScanAdded, &all);
    assert_eq!(told, BTreeSet::from([Mail, Slack, MsTeams, Webhooks]));
}

#[test]
fn a_row_is_a_map_of_topics_to_channels() {
    let stored = json!({"scan_added": ["alert", "mail"], "other": []});
    let row: Preferences = serde_json::from_value(stored.clone()).unwrap();
    assert_eq!(
        row.channels(Topic::ScanAdded),
        BTreeSet::from([Alert, Mail])
    );
    assert_eq!(serde_json::to_value(&row).unwrap(), stored);
    for wrong in [json!({"scan_aded": []}), json!({"other": ["fax"]})] {
        assert!(serde_json::from_value::<Preferences>(wrong).is_err());
    }
}

#[test]
fn names_are_those_that_are_stored_and_every_event_has_a_topic() {
    let topics: Vec<Topic> = serde_json::from_value(json!(Topic::NAMES)).unwrap();
    assert_eq!(topics, Topic::ALL);
    for topic in topics {
        assert_eq!(Topic::from_name(topic.name()), Some(topic));
        assert!(!topic.label().is_empty() && topic.description().ends_with('.'));
    }
    let channels: Vec<Channel> = serde_json::from_value(json!(Channel::NAMES)).unwrap();
    assert_eq!(channels, Channel::ALL);
    assert_eq!(Topic::from_name("scan"), None);

    let kinds: Vec<EventKind> = serde_json::from_value(json!(EventKind::NAMES)).unwrap();
    let told: BTreeSet<Topic> = kinds
        .iter()
        .flat_map(|kind| Topic::of(*kind))
        .copied()
        .collect();
    let never: Vec<&Topic> = Topic::ALL
        .iter()
        .filter(|topic| !told.contains(topic))
        .collect();
    assert_eq!(never, [&Topic::CodeReview]);
}
