//! All that messages say in English.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use tatami_domain::{FindingId, JiraChange, NamedFinding, ProductId, ScanAdded, Severity, UserId};

use crate::text::one_line;
use crate::{Channel, Reason, Topic};

/// So many characters of a name are shown within a sentence.
const NAME: usize = 70;

/// Labels of facts and headings of lists.
pub(crate) mod label {
    pub(crate) const BREACHED: &str = "Overdue";
    pub(crate) const DUE_SOON: &str = "Due soon";
    pub(crate) const DUE_TODAY: &str = "Due today";
    pub(crate) const END: &str = "Planned end";
    pub(crate) const ENGAGEMENT: &str = "Engagement";
    pub(crate) const EXPIRY: &str = "Expiry date";
    pub(crate) const FILE: &str = "File";
    pub(crate) const FINDING: &str = "Finding";
    pub(crate) const FINDINGS: &str = "Findings";
    pub(crate) const ISSUE: &str = "Jira issue";
    pub(crate) const LEAD: &str = "Lead";
    pub(crate) const NEW: &str = "New findings";
    pub(crate) const NEW_OR_REACTIVATED: &str = "New and reactivated findings";
    pub(crate) const OWNER: &str = "Owner";
    pub(crate) const PRODUCT: &str = "Product";
    pub(crate) const PRODUCT_TYPE: &str = "Product type";
    pub(crate) const REVIEWERS: &str = "Reviewers";
    pub(crate) const SCAN_TYPE: &str = "Scan type";
    pub(crate) const SEVERITY: &str = "Severity";
    pub(crate) const START: &str = "Planned start";
    pub(crate) const TEST: &str = "Test";
    pub(crate) const TEST_TYPE: &str = "Test type";
}

/// What stands on buttons and links.
pub(crate) const OPEN: &str = "Open in Tatami";
pub(crate) const UNSUBSCRIBE: &str = "Stop mails of this kind";
pub(crate) const SETTINGS: &str = "Notification settings";
/// The heading of messages without a product, in a digest.
pub(crate) const NO_PRODUCT: &str = "Not about a product";

/// Label and description of a topic.
pub(crate) const fn topic(topic: Topic) -> (&'static str, &'static str) {
    match topic {
        Topic::ProductTypeAdded => ("Product type added", "There is a new product type."),
        Topic::ProductAdded => ("Product added", "There is a new product."),
        Topic::EngagementAdded => ("Engagement added", "A product has a new engagement."),
        Topic::TestAdded => ("Test added", "An engagement has a new test."),
        Topic::ScanAdded => (
            "Scan added",
            "An import or reimport has created, closed or reactivated findings.",
        ),
        Topic::ScanAddedEmpty => (
            "Scan added without changes",
            "An import or reimport has changed no finding.",
        ),
        Topic::JiraUpdate => (
            "Jira update",
            "A Jira issue of a finding or a group has changed, or could not be changed.",
        ),
        Topic::UpcomingEngagement => ("Upcoming engagement", "An engagement starts soon."),
        Topic::StaleEngagement => (
            "Stale engagement",
            "An engagement is still open after its planned end.",
        ),
        Topic::AutoCloseEngagement => (
            "Engagement closed automatically",
            "An engagement was closed long after its planned end.",
        ),
        Topic::CloseEngagement => ("Engagement closed", "Somebody has closed an engagement."),
        Topic::UserMentioned => ("Mention", "Somebody has mentioned you in a note."),
        Topic::CodeReview => ("Code review", "A code review was requested."),
        Topic::ReviewRequested => (
            "Review requested",
            "Somebody has asked you to review a finding.",
        ),
        Topic::SlaBreach => (
            "SLA breach",
            "A finding is overdue or due soon: one message for each finding.",
        ),
        Topic::SlaBreachCombined => (
            "SLA breach (combined)",
            "Findings of a product are overdue or due soon: one message a day for all of them.",
        ),
        Topic::RiskAcceptanceExpiration => (
            "Risk acceptance expiration",
            "A risk acceptance has expired or expires soon.",
        ),
        Topic::CriticalFinding => (
            "Critical finding",
            "Critical findings are new or were reactivated: one message for each import.",
        ),
        Topic::ImportFailed => ("Import failed", "A report could not be imported."),
        Topic::Other => ("Other", "Anything else worth knowing."),
    }
}

pub(crate) const fn channel(channel: Channel) -> &'static str {
    match channel {
        Channel::Alert => "Alert",
        Channel::Mail => "Mail",
        Channel::Slack => "Slack",
        Channel::MsTeams => "Microsoft Teams",
        Channel::Webhooks => "Webhook",
    }
}

/// Why somebody gets a mail.
pub(crate) fn reason(reason: Reason) -> String {
    let because = match reason {
        Reason::Settings => "it is turned on in your notification settings",
        Reason::Product => "it is turned on for this product in your notification settings",
        Reason::Superuser => "you are a superuser and it is turned on for the system",
        Reason::Named => "you were named",
        Reason::System => "this address receives the notifications of the system",
    };
    format!("You get this mail because {because}.")
}

pub(crate) fn day(day: Option<Date>) -> String {
    day.map(|day| day.strftime("%-d %B %Y").to_string())
        .unwrap_or_default()
}

pub(crate) fn date(time: Option<Timestamp>) -> String {
    day(time.map(|time| time.to_zoned(TimeZone::UTC).date()))
}

pub(crate) fn moment(time: Timestamp) -> String {
    let time = time.to_zoned(TimeZone::UTC);
    time.strftime("%-d %B %Y, %H:%M UTC").to_string()
}

pub(crate) fn origin(topic: Topic, product: Option<&str>, time: Timestamp) -> String {
    let parts = [Some(topic.label()), product, Some(&moment(time))];
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    parts.join(" · ")
}

/// A number with commas between thousands.
pub(crate) fn number(n: u64) -> String {
    let digits = n.to_string();
    let comma = |(at, digit): (usize, char)| {
        let comma = at > 0 && (digits.len() - at).is_multiple_of(3);
        comma.then_some(',').into_iter().chain([digit])
    };
    digits.chars().enumerate().flat_map(comma).collect()
}

/// `1 finding`, `2 findings`.
pub(crate) fn count(n: u64, noun: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {noun}{s}", number(n))
}

pub(crate) fn counted(heading: &str, n: u64) -> String {
    format!("{heading} ({})", number(n))
}

pub(crate) fn more(n: u64) -> String {
    format!("and {} more", number(n))
}

fn name(name: &str) -> String {
    one_line(name, NAME)
}

pub(crate) fn user(id: UserId) -> String {
    format!("user {id}")
}

pub(crate) fn product(id: ProductId) -> String {
    format!("Product {id}")
}

pub(crate) fn finding(id: FindingId) -> String {
    format!("Finding {id}")
}

pub(crate) fn added(what: &str, called: &str) -> String {
    format!("New {what}: {}", name(called))
}

pub(crate) fn added_in(what: &str, called: &str, product: &str) -> String {
    match product {
        "" => added(what, called),
        product => format!("New {what} in {}: {}", name(product), name(called)),
    }
}

pub(crate) fn by(user: &str) -> String {
    format!("By {user}.")
}

pub(crate) fn by_an_import() -> String {
    "Created by an import.".into()
}

fn in_days(days: u32) -> String {
    match days {
        0 => "today".into(),
        1 => "tomorrow".into(),
        days => format!("in {}", count(days.into(), "day")),
    }
}

pub(crate) fn upcoming(engagement: &str, days: u32) -> String {
    format!("Engagement starts {}: {}", in_days(days), name(engagement))
}

pub(crate) fn stale(engagement: &str, days: u32) -> String {
    let late = count(days.into(), "day");
    format!(
        "Engagement is {late} past its planned end: {}",
        name(engagement)
    )
}

pub(crate) fn closed(engagement: &str) -> String {
    format!("Engagement closed: {}", name(engagement))
}

pub(crate) fn closed_by_itself(days: Option<u32>) -> String {
    match days {
        Some(days) => {
            let late = count(days.into(), "day");
            format!("Closed automatically, {late} after its planned end.")
        }
        None => "Closed automatically.".into(),
    }
}

pub(crate) fn scan(test: &str, product: &str, new: u64, closed: u64) -> String {
    let what = match (new, closed) {
        (0, 0) => "no new findings".into(),
        (0, closed) => format!("{} closed", count(closed, "finding")),
        (1, _) => "1 new finding".into(),
        (new, _) => format!("{} new findings", number(new)),
    };
    let product = match product {
        "" => String::new(),
        product => format!(" in {}", name(product)),
    };
    format!("{}{product}: {what}", one_line(test, 50))
}

pub(crate) fn scan_summary(scan: &ScanAdded) -> String {
    let counts = [
        (scan.new, "new"),
        (scan.reactivated, "reactivated"),
        (scan.closed, "closed"),
        (scan.left_untouched, "unchanged"),
    ];
    let said: Vec<String> = (counts.iter().filter(|(n, _)| *n > 0))
        .map(|(n, what)| format!("{} {what}", number(*n)))
        .collect();
    let mut summary = match &*said {
        [] => "The report has no findings.".to_owned(),
        said => format!("Findings: {}.", said.join(", ")),
    };
    if scan.warnings > 0 {
        let verb = if scan.warnings == 1 { "was" } else { "were" };
        let records = count(scan.warnings, "record");
        summary = format!("{summary} {records} of the report {verb} skipped.");
    }
    summary
}

pub(crate) fn by_severity(counts: &BTreeMap<Severity, u64>) -> String {
    let counts = counts.iter().filter(|(_, n)| **n > 0);
    let said: Vec<String> = counts
        .map(|(severity, n)| format!("{} {}", number(*n), severity.name()))
        .collect();
    said.join(", ")
}

pub(crate) fn acceptance_expired(acceptance: &str) -> String {
    format!("Risk acceptance expired: {}", name(acceptance))
}

pub(crate) fn acceptance_ended(findings: u64, reactivated: bool) -> String {
    match (findings, reactivated) {
        (0, _) => "It had no findings.".into(),
        (1, true) => "1 finding was reactivated.".into(),
        (n, true) => format!("{} were reactivated.", count(n, "finding")),
        (1, false) => "1 finding is no longer accepted. It was not reactivated.".into(),
        (n, false) => format!(
            "{} are no longer accepted. They were not reactivated.",
            count(n, "finding")
        ),
    }
}

pub(crate) fn acceptance_expiring(acceptance: &str, at: Option<Timestamp>) -> String {
    let when = at.map_or_else(|| "soon".into(), |_| format!("on {}", date(at)));
    format!("Risk acceptance expires {when}: {}", name(acceptance))
}

pub(crate) fn acceptance_ends(reactivates: bool) -> String {
    if reactivates {
        "Its findings will be reactivated.".into()
    } else {
        "Its findings will no longer be accepted, but will not be reactivated.".into()
    }
}

pub(crate) fn jira(what: JiraChange, title: &str, key: Option<&str>) -> String {
    let issue = key.map_or_else(
        || "Jira issue".into(),
        |key| format!("Jira issue {}", name(key)),
    );
    let happened = match what {
        JiraChange::Created => "created",
        JiraChange::Updated | JiraChange::Other => "updated",
        JiraChange::Closed => "closed",
        JiraChange::Reopened => "reopened",
        JiraChange::Commented => "commented on",
        JiraChange::Unlinked => "unlinked",
        JiraChange::Failed => "could not be updated",
    };
    format!("{issue} {happened}: {}", name(title))
}

pub(crate) fn mentioned(by: &str, title: &str) -> String {
    format!("{} mentioned you in {}", name(by), name(title))
}

pub(crate) fn review(by: &str, title: &str) -> String {
    format!("{} asks for a review of {}", name(by), name(title))
}

pub(crate) fn critical(n: u64, findings: &[NamedFinding], product: &str) -> String {
    let product = match product {
        "" => String::new(),
        product => format!(" in {}", one_line(product, 40)),
    };
    match findings {
        [only] if n <= 1 => format!("Critical finding{product}: {}", name(&only.title)),
        _ => format!("{}{product}", count(n, "critical finding")),
    }
}

pub(crate) fn critical_summary(imported: bool) -> String {
    if imported {
        "New or reactivated by an import.".into()
    } else {
        "New or reactivated.".into()
    }
}

pub(crate) fn import_failed(what: Option<&str>) -> String {
    match what {
        Some(what) => format!("Import failed: {}", name(what)),
        None => "Import failed".into(),
    }
}

/// Errors begin in lower case and have no full stop.
pub(crate) fn failure(error: &str, hint: Option<&str>) -> String {
    let sentence = |text: &str| {
        let text = text.trim().trim_end_matches('.');
        let mut rest = text.chars();
        let first: String = rest
            .next()
            .into_iter()
            .flat_map(char::to_uppercase)
            .collect();
        format!("{first}{}.", rest.as_str())
    };
    let said = [Some(error), hint];
    let said = said.into_iter().flatten().filter(|text| !text.is_empty());
    let said: Vec<String> = said.map(sentence).collect();
    said.join("\n")
}

/// In the order overdue, today, soon.
fn due_counts([late, today, soon]: [u64; 3]) -> String {
    let counts = [(late, "overdue"), (today, "due today"), (soon, "due soon")];
    let said: Vec<String> = (counts.iter().filter(|(n, _)| *n > 0))
        .map(|(n, what)| format!("{} {what}", number(*n)))
        .collect();
    said.join(", ")
}

pub(crate) fn due(product: &str, counts: [u64; 3]) -> String {
    format!("SLA in {}: {}", name(product), due_counts(counts))
}

pub(crate) fn due_summary(counts: [u64; 3]) -> String {
    let all = counts.iter().fold(0_u64, |sum, n| sum.saturating_add(*n));
    let verb = if all == 1 { "needs" } else { "need" };
    format!(
        "{} {verb} attention under the SLA.",
        count(all, "open finding")
    )
}

fn due_in(days: i64) -> String {
    match days {
        0 => "due today".into(),
        1 => "due tomorrow".into(),
        days if days < 0 => format!("{} overdue", count(days.unsigned_abs(), "day")),
        days => format!("due in {}", count(days.unsigned_abs(), "day")),
    }
}

pub(crate) fn due_item(title: &str, days: i64) -> String {
    format!("{}: {}", one_line(title, 160), due_in(days))
}

pub(crate) fn one_due(days: i64) -> String {
    format!("This finding is {} under the SLA.", due_in(days))
}

pub(crate) fn digest_title(weekly: bool, messages: u64) -> String {
    let span = if weekly { "week" } else { "day" };
    format!("Your {span} in Tatami: {}", count(messages, "notification"))
}
