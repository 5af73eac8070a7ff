use std::fmt;

use crate::{Refusal, Report, Sink, Sniff};

/// One kind of report that Tatami reads. A scanner's folder describes it by a static value of this.
pub struct Scanner {
    /// The name clients send as `scan_type`, such as `Trivy Scan`.
    pub scan_type: &'static str,
    /// The formats it reads, for the list of scanners and for people.
    pub formats: &'static [Format],
    /// How its findings are deduplicated.
    pub dedupe: Dedupe,
    /// Does the head of a report look like this scanner's? Bounded by the sniff; never guesses:
    /// exactly one scanner may say yes to a report.
    pub detect: fn(&Sniff<'_>) -> bool,
    /// Reads a report into the sink, finding by finding. See [`Scanner::parse`].
    pub read: fn(Report<'_>, &mut dyn Sink) -> Result<(), Refusal>,
}

/// A file format, as people name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// Such as `JSON`, `XML` or `CSV`.
    pub name: &'static str,
    /// File name endings without the dot.
    pub extensions: &'static [&'static str],
}

/// How findings of one scanner are recognised again.
#[derive(Debug, Clone, Copy)]
pub struct Dedupe {
    /// Which keys count.
    pub algorithm: Algorithm,
    /// What goes into the hash; empty: the legacy fields (title, CWE, line, file path,
    /// description).
    pub fields: &'static [HashField],
    /// With `false`, a finding without a CWE falls back to the legacy fields.
    pub allows_null_cwe: bool,
}

/// The four deduplication algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Title, CWE, line, file path and description.
    Legacy,
    /// The scanner's own id, within the same test type.
    UniqueId,
    /// A hash over the scanner's fields.
    HashCode,
    /// Either of the two.
    UniqueIdOrHashCode,
}

impl Algorithm {
    /// The name settings and the API use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::UniqueId => "unique_id_from_tool",
            Self::HashCode => "hash_code",
            Self::UniqueIdOrHashCode => "unique_id_from_tool_or_hash_code",
        }
    }
}

/// A field of a finding that may go into its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum HashField {
    Title,
    Cwe,
    Cwes,
    VulnerabilityIds,
    Line,
    FilePath,
    Payload,
    ComponentName,
    ComponentVersion,
    Description,
    Endpoints,
    UniqueIdFromTool,
    Severity,
    VulnIdFromTool,
    Mitigation,
}

impl HashField {
    /// The name settings and the API use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Cwe => "cwe",
            Self::Cwes => "cwes",
            Self::VulnerabilityIds => "vulnerability_ids",
            Self::Line => "line",
            Self::FilePath => "file_path",
            Self::Payload => "payload",
            Self::ComponentName => "component_name",
            Self::ComponentVersion => "component_version",
            Self::Description => "description",
            Self::Endpoints => "endpoints",
            Self::UniqueIdFromTool => "unique_id_from_tool",
            Self::Severity => "severity",
            Self::VulnIdFromTool => "vuln_id_from_tool",
            Self::Mitigation => "mitigation",
        }
    }
}

impl Scanner {
    /// Reads `report`, handing each finding to `sink`. One broken record becomes a warning and the
    /// rest is kept; a report that cannot be read as this format at all is refused as a whole.
    pub fn parse(&self, report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
        (self.read)(report, sink)
    }
}

impl fmt::Debug for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scanner")
            .field("scan_type", &self.scan_type)
            .finish_non_exhaustive()
    }
}
