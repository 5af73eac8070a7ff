//! What there is to say of each kind of event. Whoever tells of an event and whoever reads it share these types.
//!
//! They are stored: a field may only be added, with a default.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::EventKind;
use crate::{
    EngagementId, FindingGroupId, FindingId, ImportId, ProductId, ProductTypeId, RiskAcceptanceId,
    Severity, TestId, UserId,
};

/// An event names so many findings at most, the worst first. (One that tells what is due names more.)
pub const MAX_NAMED_FINDINGS: usize = 20;
/// An excerpt of a text has so many characters at most.
const MAX_EXCERPT: usize = 500;

macro_rules! event_data {
    ($($kind:ident($data:ty)),* $(,)?) => {
        /// The data of an event, by kind.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[serde(untagged)]
        #[allow(missing_docs, reason = "the kinds are described on EventKind")]
        pub enum EventData {
            $($kind($data)),*
        }

        impl EventData {
            /// The kind of event that says this.
            pub const fn kind(&self) -> EventKind {
                match self {
                    $(Self::$kind(_) => EventKind::$kind),*
                }
            }

            pub(super) fn read(kind: EventKind, data: &Value) -> Result<Self, serde_json::Error> {
                Ok(match kind {
                    $(EventKind::$kind => Self::$kind(<$data>::deserialize(data)?)),*
                })
            }
        }
    };
}

event_data! {
    RiskAcceptanceExpired(AcceptanceExpired),
    RiskAcceptanceExpiring(AcceptanceExpiring),
    SlaDue(SlaDue),
    ProductTypeAdded(ProductTypeAdded),
    ProductAdded(ProductAdded),
    EngagementAdded(EngagementAdded),
    TestAdded(TestAdded),
    ScanAdded(ScanAdded),
    ScanAddedEmpty(ScanAdded),
    JiraUpdate(JiraUpdate),
    UpcomingEngagement(EngagementTiming),
    StaleEngagement(EngagementTiming),
    AutoCloseEngagement(EngagementEnded),
    EngagementClosed(EngagementEnded),
    UserMentioned(UserMentioned),
    ReviewRequested(ReviewRequested),
    CriticalFinding(CriticalFinding),
    ImportFailed(ImportFailed),
    Other(OtherEvent),
}

impl EventData {
    pub(super) fn to_value(&self) -> Value {
        // only fails for maps whose keys are no texts, and there is none
        serde_json::to_value(self).unwrap_or_default()
    }
}

macro_rules! data_structs {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
        #[serde(default)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type),*
        }
    )*};
}

data_structs! {
    /// A risk acceptance has expired.
    AcceptanceExpired {
        /// Its name.
        name: String,
        /// Who answers for it.
        owner: UserId,
        /// When it was to expire; none, where it was ended by hand before.
        expiration_date: Option<Timestamp>,
        /// Are its findings active again?
        reactivated: bool,
        /// How many findings were under it.
        findings: u64,
    }

    /// A risk acceptance expires soon.
    AcceptanceExpiring {
        /// Its name.
        name: String,
        /// Who answers for it.
        owner: UserId,
        /// When it expires.
        expiration_date: Option<Timestamp>,
        /// Will its findings be active again then?
        reactivates: bool,
    }

    /// Open findings of a product that are due soon, today, or were due in the last days.
    SlaDue {
        /// Name of the product.
        product_name: String,
        /// Due in the next days.
        due_soon: DueFindings,
        /// Due today.
        due_today: DueFindings,
        /// Due in the last days.
        breached: DueFindings,
    }

    /// Findings that are due at about the same time.
    DueFindings {
        /// How many.
        count: u64,
        /// How many by severity.
        severities: BTreeMap<Severity, u64>,
        /// Those due first; 500 at most.
        findings: Vec<DueFinding>,
    }

    /// A finding that is due.
    DueFinding {
        /// Which.
        id: FindingId,
        /// Its severity.
        severity: Severity,
        /// So many days are left; below 0 it is late.
        days_remaining: i64,
    }

    /// There is a new product type.
    ProductTypeAdded {
        /// Which.
        product_type: ProductTypeId,
        /// Its name.
        name: String,
        /// Who made it; none: an import did.
        by: Option<UserId>,
    }

    /// There is a new product.
    ProductAdded {
        /// Which.
        product: ProductId,
        /// Its name.
        name: String,
        /// Name of its product type.
        product_type_name: String,
        /// Who made it; none: an import did.
        by: Option<UserId>,
    }

    /// There is a new engagement.
    EngagementAdded {
        /// Which.
        engagement: EngagementId,
        /// Its name.
        name: String,
        /// Name of its product.
        product_name: String,
        /// Who leads it.
        lead: Option<UserId>,
        /// When it starts.
        target_start: Option<Date>,
        /// When it is to end.
        target_end: Option<Date>,
        /// Who made it; none: an import did.
        by: Option<UserId>,
    }

    /// There is a new test.
    TestAdded {
        /// Which.
        test: TestId,
        /// Its title, or else its type.
        title: String,
        /// Its type.
        test_type: String,
        /// Its engagement.
        engagement: EngagementId,
        /// Name of its engagement.
        engagement_name: String,
        /// Name of its product.
        product_name: String,
        /// Who made it; none: an import did.
        by: Option<UserId>,
    }

    /// An import is through. What it changed may be nothing.
    ScanAdded {
        /// Which import.
        import: ImportId,
        /// The test that it went into.
        test: TestId,
        /// The test's title, or else its type.
        test_title: String,
        /// The test's engagement.
        engagement: EngagementId,
        /// Name of the engagement.
        engagement_name: String,
        /// Name of the product.
        product_name: String,
        /// What sort of report it was.
        scan_type: String,
        /// How many findings are new.
        new: u64,
        /// How many were closed, since the report doesn't have them any more.
        closed: u64,
        /// How many are open again.
        reactivated: u64,
        /// How many are as they were.
        left_untouched: u64,
        /// How many are new, by severity.
        new_by_severity: BTreeMap<Severity, u64>,
        /// New ones and ones that are open again, see [`NamedFinding::worst`].
        findings: Vec<NamedFinding>,
        /// How many records of the report were left out.
        warnings: u64,
    }

    /// A finding with what one needs to talk of it.
    NamedFinding {
        /// Which.
        id: FindingId,
        /// Its title.
        title: String,
        /// Its severity.
        severity: Severity,
    }

    /// Findings of the severity Critical are new or open again.
    CriticalFinding {
        /// The import that brought them; none: a person did.
        import: Option<ImportId>,
        /// The test that they are in.
        test: TestId,
        /// The test's title, or else its type.
        test_title: String,
        /// Name of the product.
        product_name: String,
        /// Which, see [`NamedFinding::worst`].
        findings: Vec<NamedFinding>,
        /// How many in all.
        count: u64,
    }

    /// An import was given up.
    ImportFailed {
        /// Which.
        import: ImportId,
        /// What is wrong.
        error: String,
        /// What to do about it.
        hint: Option<String>,
        /// Name of the report's file.
        file_name: Option<String>,
        /// What sort of report it is.
        scan_type: Option<String>,
        /// Name of the product, where it's known.
        product_name: Option<String>,
    }

    /// Something happened between a finding or a group and its JIRA issue.
    JiraUpdate {
        /// What.
        what: JiraChange,
        /// The finding, unless it's a group.
        finding: Option<FindingId>,
        /// The group, unless it's a finding.
        group: Option<FindingGroupId>,
        /// Title of the finding, or name of the group.
        title: String,
        /// Key of the issue, such as `SEC-12`.
        jira_key: Option<String>,
        /// More of it, such as what JIRA answered.
        text: String,
    }

    /// An engagement starts soon, or should have ended.
    EngagementTiming {
        /// Which.
        engagement: EngagementId,
        /// Its name.
        name: String,
        /// Name of its product.
        product_name: String,
        /// Who leads it.
        lead: Option<UserId>,
        /// When it starts.
        target_start: Option<Date>,
        /// When it is to end.
        target_end: Option<Date>,
        /// So many days until it starts, or since it should have ended.
        days: u32,
    }

    /// An engagement was closed.
    EngagementEnded {
        /// Which.
        engagement: EngagementId,
        /// Its name.
        name: String,
        /// Name of its product.
        product_name: String,
        /// When it was to end.
        target_end: Option<Date>,
        /// Where it closed by itself: so many days after it was to end.
        days: Option<u32>,
        /// Who closed it; none: it closed by itself.
        by: Option<UserId>,
    }

    /// Somebody was named in a note.
    UserMentioned {
        /// Who wrote the note.
        by: UserId,
        /// What the note is on.
        place: Option<MentionedIn>,
        /// Its title.
        title: String,
        /// What the note says, see [`UserMentioned::new`].
        text: String,
    }

    /// Somebody was asked to review a finding.
    ReviewRequested {
        /// The finding.
        finding: FindingId,
        /// Its title.
        title: String,
        /// Its severity.
        severity: Severity,
        /// Who asks.
        by: UserId,
        /// Who is asked.
        reviewers: Vec<UserId>,
        /// What they say.
        note: String,
    }

    /// Anything else that operators are told.
    OtherEvent {
        /// In a line.
        title: String,
        /// All of it.
        text: String,
        /// Where to look: a path from the address of the server, which begins with `/`.
        path: Option<String>,
    }
}

/// What happened between a finding or a group and its JIRA issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JiraChange {
    /// An issue was made of it.
    Created,
    /// The issue was brought up to date.
    Updated,
    /// The issue was closed, here or there.
    Closed,
    /// The issue was opened again, here or there.
    Reopened,
    /// Somebody commented on the issue.
    Commented,
    /// The issue is gone, or was taken off.
    Unlinked,
    /// JIRA could not be told of it.
    Failed,
    /// Anything else.
    #[default]
    #[serde(other)]
    Other,
}

/// What a note is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum MentionedIn {
    Finding(FindingId),
    Engagement(EngagementId),
    Test(TestId),
    RiskAcceptance(RiskAcceptanceId),
}

impl NamedFinding {
    /// The [`MAX_NAMED_FINDINGS`] worst of these, those with lower ids first among equals.
    pub fn worst(findings: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut findings: Vec<Self> = findings.into_iter().collect();
        findings.sort_by_key(|finding| (finding.severity, finding.id));
        findings.truncate(MAX_NAMED_FINDINGS);
        findings
    }
}

impl ScanAdded {
    /// The data of an event: [`EventKind::ScanAddedEmpty`] where no finding is new, closed or open again.
    pub fn into_data(self) -> EventData {
        if self.new + self.closed + self.reactivated == 0 {
            EventData::ScanAddedEmpty(self)
        } else {
            EventData::ScanAdded(self)
        }
    }
}

impl UserMentioned {
    /// Keeps the first 500 characters of the text; an ellipsis stands for what is cut off.
    pub fn new(by: UserId, place: MentionedIn, title: impl Into<String>, text: &str) -> Self {
        let text = text.trim();
        let text = match text.char_indices().nth(MAX_EXCERPT) {
            None => text.to_owned(),
            Some(_) => text.chars().take(MAX_EXCERPT - 1).chain(['…']).collect(),
        };
        Self {
            by,
            place: Some(place),
            title: title.into(),
            text,
        }
    }
}
