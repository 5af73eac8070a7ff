//! Invented messages, by which templates are checked and people see how one looks.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use tatami_domain::{
    AcceptanceExpiring, CriticalFinding, DueFinding, DueFindings, EngagementAdded, EngagementEnded,
    EngagementId, EngagementTiming, Event, EventData, FindingId, ImportFailed, ImportId,
    JiraChange, JiraUpdate, MentionedIn, NamedFinding, OtherEvent, ProductAdded, ProductId,
    ProductTypeAdded, ProductTypeId, ReviewRequested, ScanAdded, Severity, SlaDue, TestAdded,
    TestId, UserId, UserMentioned,
};

use super::{Links, Message, Names, message};
use crate::Topic;

const PRODUCT: &str = "Web shop";
const ENGAGEMENT: &str = "Nightly scans";
const TEST: &str = "Trivy, main branch";
const TRAVERSAL: &str = "Path traversal in zip extraction";
const INJECTION: &str = "SQL injection in the order search";
const ADA: UserId = UserId(2);
const GRACE: UserId = UserId(3);

/// An invented message of a topic, with an event that it could come from.
pub fn sample(topic: Topic) -> (Event, Message) {
    let data = data(topic);
    let object: u64 = match &data {
        EventData::ScanAdded(_)
        | EventData::ScanAddedEmpty(_)
        | EventData::CriticalFinding(_)
        | EventData::ImportFailed(_) => 88,
        EventData::SlaDue(_) | EventData::ProductAdded(_) => 7,
        EventData::JiraUpdate(_) | EventData::ReviewRequested(_) => 1_026,
        _ => 12,
    };
    let product = match data {
        EventData::ProductTypeAdded(_) | EventData::Other(_) => None,
        _ => Some(ProductId(7)),
    };
    let event = Event::new(&data, object, "1", product, time());
    let names = Names {
        users: [(ADA, "Ada Lovelace"), (GRACE, "Grace Hopper")]
            .map(|(id, name)| (id, name.to_owned()))
            .into(),
        products: [(ProductId(7), PRODUCT.to_owned())].into(),
        findings: findings()
            .into_iter()
            .map(|finding| (finding.id, finding.title))
            .collect(),
    };
    let links = Links::new("https://tatami.example.org");
    let messages = message(&event, &names, &links).unwrap_or_default();
    let found = messages.into_iter().find(|message| message.topic == topic);
    let message = found.unwrap_or_else(|| Message {
        id: "0".repeat(32),
        topic,
        title: topic.label().to_owned(),
        summary: topic.description().to_owned(),
        url: links.path("/"),
        product: None,
        object: 0,
        facts: Vec::new(),
        sections: Vec::new(),
        severity: None,
        time: time(),
    });
    (event, message)
}

/// 30 November 2026, 14:05 UTC.
fn time() -> Timestamp {
    Timestamp::constant(1_796_047_500, 0)
}

const fn november(day: i8) -> Date {
    Date::constant(2026, 11, day)
}

const fn december(day: i8) -> Date {
    Date::constant(2026, 12, day)
}

fn findings() -> Vec<NamedFinding> {
    let finding = |id, title: &str, severity| NamedFinding {
        id: FindingId(id),
        title: title.to_owned(),
        severity,
    };
    vec![
        finding(1_025, TRAVERSAL, Severity::Critical),
        finding(1_026, INJECTION, Severity::High),
        finding(1_030, "Outdated jQuery 1.12 <script>", Severity::Medium),
    ]
}

fn data(topic: Topic) -> EventData {
    match topic {
        Topic::ScanAdded | Topic::ScanAddedEmpty => scan(topic == Topic::ScanAdded).into_data(),
        Topic::SlaBreach | Topic::SlaBreachCombined => EventData::SlaDue(due()),
        Topic::ProductTypeAdded
        | Topic::ProductAdded
        | Topic::EngagementAdded
        | Topic::TestAdded
        | Topic::UpcomingEngagement
        | Topic::StaleEngagement
        | Topic::AutoCloseEngagement
        | Topic::CloseEngagement => tree(topic),
        Topic::JiraUpdate => EventData::JiraUpdate(JiraUpdate {
            what: JiraChange::Failed,
            finding: Some(FindingId(1_026)),
            group: None,
            title: INJECTION.into(),
            jira_key: Some("SHOP-431".into()),
            text: "Jira answered 400: the field \"Component\" is required.".into(),
        }),
        Topic::UserMentioned => {
            let place = MentionedIn::Finding(FindingId(1_026));
            let text = "@grace could you look whether the staging database is affected too?";
            EventData::UserMentioned(UserMentioned::new(ADA, place, INJECTION, text))
        }
        Topic::ReviewRequested | Topic::CodeReview => EventData::ReviewRequested(ReviewRequested {
            finding: FindingId(1_026),
            title: INJECTION.into(),
            severity: Severity::High,
            by: ADA,
            reviewers: vec![GRACE],
            note: "I believe the prepared statement in the last release fixes this.".into(),
        }),
        Topic::RiskAcceptanceExpiration => EventData::RiskAcceptanceExpiring(AcceptanceExpiring {
            name: "Legacy checkout until it is replaced".into(),
            owner: ADA,
            expiration_date: Some(Timestamp::constant(1_796_860_800, 0)),
            reactivates: true,
        }),
        Topic::CriticalFinding => EventData::CriticalFinding(CriticalFinding {
            import: Some(ImportId(88)),
            test: TestId(31),
            test_title: TEST.into(),
            product_name: PRODUCT.into(),
            findings: findings().into_iter().take(1).collect(),
            count: 1,
        }),
        Topic::ImportFailed => EventData::ImportFailed(ImportFailed {
            import: ImportId(88),
            error: "line 1: expected a JSON object, found the end of the file".into(),
            hint: Some("export the report again and check that it is not empty".into()),
            file_name: Some("trivy-report.json".into()),
            scan_type: Some("Trivy Scan".into()),
            product_name: Some(PRODUCT.into()),
        }),
        Topic::Other => EventData::Other(OtherEvent {
            title: "The EPSS scores are three days old".into(),
            text: "The daily download has failed three times. Scores from before are still used."
                .into(),
            path: Some("/exploitation".into()),
        }),
    }
}

fn tree(topic: Topic) -> EventData {
    let timing = |days| EngagementTiming {
        engagement: EngagementId(12),
        name: ENGAGEMENT.into(),
        product_name: PRODUCT.into(),
        lead: Some(ADA),
        target_start: Some(december(3)),
        target_end: Some(december(17)),
        days,
    };
    let ended = |by, days| EngagementEnded {
        engagement: EngagementId(12),
        name: ENGAGEMENT.into(),
        product_name: PRODUCT.into(),
        target_end: Some(november(23)),
        days,
        by,
    };
    match topic {
        Topic::ProductTypeAdded => EventData::ProductTypeAdded(ProductTypeAdded {
            product_type: ProductTypeId(12),
            name: "Commerce".into(),
            by: Some(ADA),
        }),
        Topic::ProductAdded => EventData::ProductAdded(ProductAdded {
            product: ProductId(7),
            name: PRODUCT.into(),
            product_type_name: "Commerce".into(),
            by: Some(ADA),
        }),
        Topic::EngagementAdded => EventData::EngagementAdded(EngagementAdded {
            engagement: EngagementId(12),
            name: ENGAGEMENT.into(),
            product_name: PRODUCT.into(),
            lead: Some(ADA),
            target_start: Some(december(3)),
            target_end: Some(december(17)),
            by: Some(GRACE),
        }),
        Topic::TestAdded => EventData::TestAdded(TestAdded {
            test: TestId(12),
            title: TEST.into(),
            test_type: "Trivy Scan".into(),
            engagement: EngagementId(11),
            engagement_name: ENGAGEMENT.into(),
            product_name: PRODUCT.into(),
            by: None,
        }),
        Topic::UpcomingEngagement => EventData::UpcomingEngagement(timing(3)),
        Topic::StaleEngagement => EventData::StaleEngagement(EngagementTiming {
            target_start: Some(november(9)),
            target_end: Some(november(23)),
            ..timing(7)
        }),
        Topic::AutoCloseEngagement => EventData::AutoCloseEngagement(ended(None, Some(7))),
        _ => EventData::EngagementClosed(ended(Some(GRACE), None)),
    }
}

fn scan(changed: bool) -> ScanAdded {
    let counts = |n: u64| if changed { n } else { 0 };
    let by_severity = [
        (Severity::Critical, 1),
        (Severity::High, 1),
        (Severity::Medium, 22),
    ];
    ScanAdded {
        import: ImportId(88),
        test: TestId(31),
        test_title: TEST.into(),
        engagement: EngagementId(11),
        engagement_name: ENGAGEMENT.into(),
        product_name: PRODUCT.into(),
        scan_type: "Trivy Scan".into(),
        new: counts(24),
        closed: counts(3),
        reactivated: counts(1),
        left_untouched: 1_210,
        new_by_severity: if changed {
            by_severity.into()
        } else {
            BTreeMap::new()
        },
        findings: if changed { findings() } else { Vec::new() },
        warnings: counts(2),
    }
}

fn due() -> SlaDue {
    let part = |id, severity, days_remaining| DueFindings {
        count: 1,
        severities: [(severity, 1)].into(),
        findings: vec![DueFinding {
            id: FindingId(id),
            severity,
            days_remaining,
        }],
    };
    SlaDue {
        product_name: PRODUCT.into(),
        due_soon: part(1_030, Severity::Medium, 3),
        due_today: part(1_026, Severity::High, 0),
        breached: part(1_025, Severity::Critical, -2),
    }
}
