use std::collections::BTreeMap;
use std::ops::{AddAssign, Sub, SubAssign};

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{
    EngagementId, Finding, FindingId, Flags, GroupBy, IdSet, ImportId, ProductId, ProductTypeId,
    ResolvedDedupe, Severity, TestId, TestTypeId, UserId,
};

/// How many warnings an import keeps; the number of all of them is kept too.
pub const MAX_IMPORT_WARNINGS: usize = 100;

/// What to do with a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportKind {
    /// Into a test of its own, or added to a given one.
    Import,
    /// Held against what the test has: new, gone, back again.
    #[default]
    Reimport,
    /// The report of an earlier import, read again with today's parser.
    Replay,
}

/// Where a report goes and how it is to be read: the fields of import-scan and reimport-scan.
/// `None` means that the sender didn't say.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are the REST API's")]
pub struct ImportOptions {
    pub kind: ImportKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_type_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engagement_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<ProductId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engagement: Option<EngagementId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<TestId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_title: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub auto_create_context: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engagement_end_date: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_code_management_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan_date: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_severity: Option<Severity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint_to_add: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lead: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch_tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit_hash: Option<String>,
    /// For the test: id of what says how its findings are fetched from a tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_scan_configuration: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub apply_tags_to_findings: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub apply_tags_to_endpoints: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Kept as it was sent: findings are always deduplicated before the answer, whatever it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deduplication_execution_mode: Option<String>,
    /// Default: false for an import, true for a re-import.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close_old_findings: Option<bool>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub close_old_findings_product_scope: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub do_not_reactivate: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deduplication_on_engagement: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_by: Option<GroupBy>,
    /// Is one finding enough for a group? Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create_finding_groups_for_all_findings: Option<bool>,
    /// Are the findings that it makes or opens again to be brought into JIRA?
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub push_to_jira: bool,
}

impl ImportOptions {
    /// Are findings that the report no longer has to be closed?
    pub fn closes_old(&self) -> bool {
        self.close_old_findings.unwrap_or(match self.kind {
            ImportKind::Import | ImportKind::Replay => false,
            ImportKind::Reimport => true,
        })
    }

    /// Is one finding enough for a group?
    pub fn groups_single_findings(&self) -> bool {
        self.create_finding_groups_for_all_findings.unwrap_or(true)
    }
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportState {
    /// The report is stored; nobody has read it yet.
    #[default]
    Queued,
    /// The parser is reading it.
    Parsing,
    /// Read; its findings are on their way into the store.
    Processing,
    /// Everything is in.
    Done,
    /// Refused or given up; `error` says why. The raw report is still there.
    Failed,
}

impl ImportState {
    /// Will it change no more by itself?
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed)
    }

    /// The name clients see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Parsing => "parsing",
            Self::Processing => "processing",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// Why an import failed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ImportError {
    /// What is wrong.
    pub message: String,
    /// Line in the report, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Column in the report, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u64>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl ImportError {
    /// What the findings go into (a test, an engagement, a product) was deleted meanwhile.
    pub fn deleted(what: &str) -> Self {
        Self {
            message: format!("the {what} was deleted while its findings were on their way"),
            hint: Some("import the report into another one".into()),
            ..Self::default()
        }
    }
}

/// A record of the report that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportWarning {
    /// Which record.
    pub record: String,
    /// What is wrong with it.
    pub message: String,
}

/// What an import did, in numbers of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct ImportCounts {
    pub created: u64,
    /// Of those created, how many are duplicates.
    pub duplicates: u64,
    pub closed: u64,
    pub reactivated: u64,
    pub untouched: u64,
}

impl AddAssign for ImportCounts {
    fn add_assign(&mut self, other: Self) {
        self.created += other.created;
        self.duplicates += other.duplicates;
        self.closed += other.closed;
        self.reactivated += other.reactivated;
        self.untouched += other.untouched;
    }
}

/// What a replay reads again, and what it came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayOf {
    /// The import whose report is read again.
    pub import: ImportId,
    /// With `false`, only the difference is shown.
    pub apply: bool,
    /// The difference in numbers of findings, once it is known.
    pub counts: Option<ReplayCounts>,
}

/// How many findings a report gives otherwise when it is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ReplayCounts {
    pub same: u64,
    pub changed: u64,
    pub new: u64,
    pub gone: u64,
}

/// One import or re-import of a report: where it came from, what was asked, how it went.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Import {
    #[serde(skip)]
    pub id: ImportId,
    #[serde(skip)]
    pub state: ImportState,
    /// Bucket and key of the raw report.
    pub bucket: String,
    pub key: String,
    /// Bytes of the raw report.
    pub size: u64,
    pub options: ImportOptions,
    pub by: Option<UserId>,
    pub created: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished: Option<Timestamp>,
    /// The scan type in the end, given or detected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_type: Option<ProductTypeId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<ProductId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engagement: Option<EngagementId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<TestId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_type: Option<TestTypeId>,
    /// Does deduplication stay within the engagement?
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub engagement_scope: bool,
    /// Place among the re-imports of the test, from 1.
    pub sequence: u64,
    /// Tells a second reading of its report from the first, so that their parts don't mix.
    #[serde(skip_serializing_if = "is_zero")]
    pub reading: u64,
    /// The imports of the test that had begun and not ended when this one took its place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<ImportId>,
    /// The day of the scan.
    pub scan_date: Date,
    /// Version of Tatami whose parser read it.
    pub parser_version: String,
    /// Version of the tool, where the report says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_version: Option<String>,
    /// Deduplication as it was when the report was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<ResolvedDedupe>,
    /// Does the SLA of what it reopens start anew, on the day of the scan? As the product's configuration
    /// had it when the report was read.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub restart_sla: bool,
    /// Findings that the report states, and those left out as below the minimum severity.
    pub findings: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub below_minimum: u64,
    pub counts: ImportCounts,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<SeverityCounts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<SeverityCounts>,
    /// For a replay: of what, and what it came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<ReplayOf>,
    #[serde(skip_serializing_if = "is_zero")]
    pub warnings_total: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<ImportWarning>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ImportError>,
    /// Was it only noted by hand? Then it has no report.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub by_hand: bool,
    /// Its type and settings as people corrected them; what was done stands in `options`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shown_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shown_settings: Option<serde_json::Value>,
    /// Was it taken off the list of `test_imports`?
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unlisted: bool,
    /// Was what it goes into deleted before it was in?
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Numbers of findings by status flag. Signed, so that it also serves as a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "[i64; 8]", into = "[i64; 8]")]
#[allow(missing_docs)]
pub struct FlagCounts {
    pub active: i64,
    pub verified: i64,
    pub duplicate: i64,
    pub false_p: i64,
    pub out_of_scope: i64,
    pub is_mitigated: i64,
    pub risk_accepted: i64,
    pub total: i64,
}

impl From<[i64; 8]> for FlagCounts {
    fn from(n: [i64; 8]) -> Self {
        let [
            active,
            verified,
            duplicate,
            false_p,
            out_of_scope,
            is_mitigated,
            risk_accepted,
            total,
        ] = n;
        Self {
            active,
            verified,
            duplicate,
            false_p,
            out_of_scope,
            is_mitigated,
            risk_accepted,
            total,
        }
    }
}

impl From<FlagCounts> for [i64; 8] {
    fn from(c: FlagCounts) -> Self {
        [
            c.active,
            c.verified,
            c.duplicate,
            c.false_p,
            c.out_of_scope,
            c.is_mitigated,
            c.risk_accepted,
            c.total,
        ]
    }
}

impl From<Flags> for FlagCounts {
    fn from(f: Flags) -> Self {
        Self {
            active: f.active.into(),
            verified: f.verified.into(),
            duplicate: f.duplicate.into(),
            false_p: f.false_p.into(),
            out_of_scope: f.out_of_scope.into(),
            is_mitigated: f.is_mitigated.into(),
            risk_accepted: f.risk_accepted.into(),
            total: 1,
        }
    }
}

impl AddAssign for FlagCounts {
    fn add_assign(&mut self, other: Self) {
        let (a, b): ([i64; 8], [i64; 8]) = ((*self).into(), other.into());
        *self = std::array::from_fn(|i| a[i] + b[i]).into();
    }
}

impl Sub for FlagCounts {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        let (a, b): ([i64; 8], [i64; 8]) = (self.into(), other.into());
        std::array::from_fn(|i| a[i] - b[i]).into()
    }
}

/// Numbers of findings by severity (worst first) and status flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SeverityCounts(pub [FlagCounts; 5]);

impl SeverityCounts {
    /// Counts a finding in.
    pub fn add(&mut self, finding: &Finding) {
        self.0[finding.severity.rank()] += finding.flags.into();
    }

    /// Counts `n` findings of a severity with these flags in; out where `n` is negative.
    pub fn add_times(&mut self, severity: Severity, flags: Flags, n: i64) {
        let one: [i64; 8] = FlagCounts::from(flags).into();
        self.0[severity.rank()] += FlagCounts::from(one.map(|count| count * n));
    }

    /// Counts a finding out.
    pub fn remove(&mut self, finding: &Finding) {
        let slot = &mut self.0[finding.severity.rank()];
        *slot = *slot - finding.flags.into();
    }

    /// Over all severities.
    pub fn total(&self) -> FlagCounts {
        let mut sum = FlagCounts::default();
        for counts in self.0 {
            sum += counts;
        }
        sum
    }

    /// Is every number zero?
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

impl AddAssign for SeverityCounts {
    fn add_assign(&mut self, other: Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }
}

impl SubAssign for SeverityCounts {
    fn sub_assign(&mut self, other: Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = *mine - theirs;
        }
    }
}

impl<'a> FromIterator<&'a Finding> for SeverityCounts {
    fn from_iter<I: IntoIterator<Item = &'a Finding>>(findings: I) -> Self {
        let mut counts = Self::default();
        for finding in findings {
            counts.add(finding);
        }
        counts
    }
}

/// Findings that an import touched, by what it did with them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct ImportActions {
    #[serde(rename = "c", skip_serializing_if = "IdSet::is_empty")]
    pub created: IdSet,
    /// Those created ones that are duplicates.
    #[serde(rename = "d", skip_serializing_if = "IdSet::is_empty")]
    pub duplicates: IdSet,
    #[serde(rename = "x", skip_serializing_if = "IdSet::is_empty")]
    pub closed: IdSet,
    #[serde(rename = "r", skip_serializing_if = "IdSet::is_empty")]
    pub reactivated: IdSet,
    #[serde(rename = "u", skip_serializing_if = "IdSet::is_empty")]
    pub untouched: IdSet,
    /// Every finding of the test that the report still has.
    #[serde(rename = "s", skip_serializing_if = "IdSet::is_empty")]
    pub seen: IdSet,
    /// Those of a replay's import that its report doesn't have any more.
    #[serde(rename = "g", skip_serializing_if = "IdSet::is_empty")]
    pub gone: IdSet,
    /// What the report says of those seen that it doesn't give as simply open.
    #[serde(rename = "w", skip_serializing_if = "BTreeMap::is_empty")]
    pub words: BTreeMap<Flags, IdSet>,
}

impl ImportActions {
    /// The same in numbers.
    pub fn counts(&self) -> ImportCounts {
        ImportCounts {
            created: self.created.len(),
            duplicates: self.duplicates.len(),
            closed: self.closed.len(),
            reactivated: self.reactivated.len(),
            untouched: self.untouched.len(),
        }
    }

    /// Takes in what another part of the same import did.
    pub fn merge(&mut self, other: &Self) {
        self.created.extend(&other.created);
        self.duplicates.extend(&other.duplicates);
        self.closed.extend(&other.closed);
        self.reactivated.extend(&other.reactivated);
        self.untouched.extend(&other.untouched);
        self.seen.extend(&other.seen);
        self.gone.extend(&other.gone);
        for (flags, ids) in &other.words {
            self.words.entry(*flags).or_default().extend(ids);
        }
    }

    /// Notes that the report has a finding, and in what state.
    pub fn see(&mut self, id: FindingId, reported: Flags) {
        self.seen.insert(id);
        if reported.is_closed() {
            self.words.entry(reported).or_default().insert(id);
        }
    }

    /// The state that the report gives a finding; `None` where the report doesn't have it.
    pub fn word(&self, id: FindingId) -> Option<Flags> {
        let closed = self.words.iter().find(|(_, ids)| ids.contains(id));
        match closed {
            Some((flags, _)) => Some(*flags),
            None => self.seen.contains(id).then_some(Flags::OPEN),
        }
    }
}
