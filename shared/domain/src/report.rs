use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{Endpoint, Severity};

/// One finding as a scanner's report states it, before Tatami gives it an id and a state.
///
/// Field names are those of the REST API. `None` means that the report doesn't say.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(
    missing_docs,
    reason = "the names are the field's own; units are given where there are any"
)]
pub struct ReportFinding {
    pub title: String,
    pub severity: Severity,
    pub description: String,
    pub mitigation: Option<String>,
    pub impact: Option<String>,
    pub references: Option<String>,
    pub steps_to_reproduce: Option<String>,
    pub severity_justification: Option<String>,
    /// The main weakness; 0 when unknown.
    pub cwe: u32,
    /// Further weaknesses.
    pub extra_cwes: Vec<u32>,
    /// CVE, GHSA and the like, in the report's order, without doubles.
    pub vulnerability_ids: Vec<String>,
    /// A CVSS v3.0 or v3.1 vector.
    pub cvssv3: Option<String>,
    pub cvssv3_score: Option<f64>,
    /// A CVSS v4.0 vector.
    pub cvssv4: Option<String>,
    pub cvssv4_score: Option<f64>,
    /// 0 to 1.
    pub epss_score: Option<f64>,
    /// 0 to 1.
    pub epss_percentile: Option<f64>,
    pub known_exploited: Option<bool>,
    pub ransomware_used: Option<bool>,
    pub kev_date: Option<Date>,
    pub component_name: Option<String>,
    pub component_version: Option<String>,
    pub fix_available: Option<bool>,
    pub fix_version: Option<String>,
    pub file_path: Option<String>,
    pub line: Option<u64>,
    pub sast_source_object: Option<String>,
    pub sast_source_file_path: Option<String>,
    pub sast_source_line: Option<u64>,
    pub sast_sink_object: Option<String>,
    pub endpoints: Vec<Endpoint>,
    pub param: Option<String>,
    pub payload: Option<String>,
    pub service: Option<String>,
    pub unique_id_from_tool: Option<String>,
    pub vuln_id_from_tool: Option<String>,
    /// When the scanner saw it; the scan date where absent.
    pub date: Option<Date>,
    pub publish_date: Option<Date>,
    pub planned_remediation_date: Option<Date>,
    pub planned_remediation_version: Option<String>,
    pub effort_for_fixing: Option<String>,
    /// How often it occurs in the report.
    pub nb_occurences: Option<u32>,
    pub scanner_confidence: Option<u32>,
    pub tags: Vec<String>,
    pub static_finding: bool,
    pub dynamic_finding: bool,
    /// The report's own word on the state; `None` where it has none.
    pub active: Option<bool>,
    pub verified: Option<bool>,
    pub false_p: Option<bool>,
    pub out_of_scope: Option<bool>,
    pub risk_accepted: Option<bool>,
    pub under_review: Option<bool>,
    pub is_mitigated: Option<bool>,
    /// When it was mitigated.
    pub mitigated: Option<Date>,
    pub duplicate: Option<bool>,
    pub requests: Vec<RequestResponse>,
    pub files: Vec<AttachedFile>,
}

/// An HTTP request and its response, as text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct RequestResponse {
    pub request: String,
    pub response: String,
}

/// A file that the report carries for a finding, such as a screenshot.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AttachedFile {
    /// File name.
    pub title: String,
    /// The bytes in base64, as the report gives them.
    pub data: String,
}

/// What a report says of the test it comes from (only reports that name their own tool).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReportTest {
    /// Title of the test.
    pub name: Option<String>,
    /// The test type to store it under, such as `CodeQL Scan (SARIF)`.
    pub test_type: Option<String>,
    /// Version of the tool.
    pub version: Option<String>,
    /// What the report says of the run.
    pub description: Option<String>,
}
