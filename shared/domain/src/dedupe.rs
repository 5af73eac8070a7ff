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
