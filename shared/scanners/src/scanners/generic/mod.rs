//! # Generic findings
//!
//! The format for findings of tools that have no scan type of their own, of pentests and of scripts.
//!
//! ## JSON
//!
//! An object with a list of findings. Each has `title`, `severity` and `description`:
//!
//! ```json
//! {
//!   "name": "Pentest of the shop",
//!   "type": "Our pentest",
//!   "findings": [
//!     {
//!       "title": "Reflected script in the search field",
//!       "severity": "High",
//!       "description": "The parameter `q` comes back unescaped.",
//!       "cwe": 79,
//!       "cvssv3": "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N",
//!       "endpoints": ["https://shop.example/search?q=1", {"host": "10.0.0.7", "port": 8443}],
//!       "request": "GET /search?q=%3Cscript%3E HTTP/1.1",
//!       "response": "HTTP/1.1 200 OK",
//!       "files": [{"title": "shot.png", "data": "iVBORw0KGgo="}],
//!       "tags": ["web", "quarter-3"]
//!     }
//!   ]
//! }
//! ```
//!
//! Beside the findings the object may have `name` (of the test), `type` (of the tool: the import is
//! stored under the test type `Our pentest Scan (Generic Findings Import)`), `version` and
//! `description`.
//!
//! | fields of a finding | take |
//! |---|---|
//! | `title`, `description`, `mitigation`, `impact`, `references`, `steps_to_reproduce`, `severity_justification`, `component_name`, `component_version`, `file_path`, `service`, `param`, `payload`, `unique_id_from_tool`, `vuln_id_from_tool`, `sast_source_object`, `sast_source_file_path`, `sast_sink_object`, `fix_version`, `planned_remediation_version`, `effort_for_fixing` | a text |
//! | `severity` | Critical, High, Medium, Low or Info; any other word counts as Info, with a warning |
//! | `cwe`, `cwes` | `79` or `"CWE-79"`, also several; the first is the main one |
//! | `cve`, `vulnerability_ids` | an id or a list of ids |
//! | `cvssv3`, `cvssv4` | a vector |
//! | `cvssv3_score`, `cvssv4_score`, `epss_score`, `epss_percentile` | a number |
//! | `line`, `sast_source_line`, `nb_occurences`, `scanner_confidence` | a whole number |
//! | `date`, `publish_date`, `mitigated`, `planned_remediation_date`, `kev_date` | a date such as `2026-01-31`, with or without a time |
//! | `active`, `verified`, `false_p`, `duplicate`, `out_of_scope`, `risk_accepted`, `under_review`, `is_mitigated`, `static_finding`, `dynamic_finding`, `known_exploited`, `ransomware_used`, `fix_available` | `true` or `false` |
//! | `tags` | a list of texts |
//! | `endpoints` | URLs, hosts, or objects with `protocol`, `host`, `port`, `path`, `query`, `fragment` |
//! | `request` and `response`, or a list of both in `request_response_pairs` | texts |
//! | `files` | objects with `title` (a file name) and `data` (base64) |
//!
//! Numbers may stand in quotes; a placeholder such as `N/A` counts as nothing. A field that isn't in
//! the table refuses the report, as it would be lost otherwise.
//!
//! ## CSV
//!
//! A header and one finding a row. The columns are `Date`, `Title`, `CweId`, `Url`, `Severity`,
//! `Description`, `Mitigation`, `Impact`, `References`, `Active`, `Verified`, `FalsePositive`,
//! `Duplicate` and every other field of the table above that takes one value. Dates may be written
//! as `01/31/2026`, too. Rows of the same severity, title and description are one finding with
//! several endpoints.
//!
//! Findings are the same where title, CWE, line, file path and description are.

use crate::kit::csv::header_of;
use crate::{Algorithm, Dedupe, Format, Refusal, Report, Scanner, Sink, Sniff};

mod columns;
mod fields;
mod objects;

const SCAN_TYPE: &str = "Generic Findings Import";

pub static SCANNERS: &[Scanner] = &[Scanner {
    scan_type: SCAN_TYPE,
    formats: &[
        Format {
            name: "JSON",
            extensions: &["json"],
        },
        Format {
            name: "CSV",
            extensions: &["csv"],
        },
    ],
    dedupe: Dedupe {
        algorithm: Algorithm::HashCode,
        fields: &[],
        allows_null_cwe: true,
    },
    sarif_drivers: &[],
    detect,
    read,
}];

/// Members of the report beside its findings.
const ABOUT: [&str; 7] = [
    "name",
    "type",
    "version",
    "description",
    "title",
    "static_tool",
    "dynamic_tool",
];

fn detect(sniff: &Sniff<'_>) -> bool {
    let seen = sniff.json();
    if seen.has("") {
        let top_is_ours = || {
            seen.keys("")
                .all(|key| key == "findings" || ABOUT.contains(&key))
        };
        let first_is_ours = || {
            let found = fields::REQUIRED
                .iter()
                .filter(|key| seen.has(&format!("findings[].{key}")));
            found.count() >= 2 && seen.keys("findings[]").all(objects::is_known)
        };
        let says_so = seen.text("type") == Some(SCAN_TYPE);
        return seen.has("findings") && top_is_ours() && (first_is_ours() || says_so);
    }
    header_of(sniff).is_some_and(|header| {
        let ours = ["CweId", "FalsePositive", "Mitigation", "Impact", "Verified"];
        header.has_all(&fields::REQUIRED)
            && ours.iter().filter(|column| header.has(&[column])).count() >= 2
            && header
                .names()
                .iter()
                .all(|name| columns::place_of(name).is_some())
    })
}

fn read(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let sniff = report.sniff();
    let first = sniff.bytes().trim_ascii_start().first();
    if sniff.json().has("") || first == Some(&b'<') {
        objects::read(report, sink)
    } else {
        columns::read(report, sink)
    }
}

#[cfg(test)]
mod tests;
