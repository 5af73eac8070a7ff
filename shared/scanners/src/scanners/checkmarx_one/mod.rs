//! # Checkmarx One Scan
//!
//! [Checkmarx One](https://checkmarx.com/product/application-security-platform/) is a platform that
//! scans source code (SAST), packages (SCA), infrastructure as code (KICS), containers and more.
//!
//! ## Getting a report
//!
//! - `cx results show --scan-id ID --report-format json`, or `cx scan create ... --report-format
//!   json`; likewise `gl-sast`, `gl-sca` (GitLab's format) and `sarif`. The fields are those of the
//!   tool's [source](https://github.com/Checkmarx/ast-cli/blob/main/internal/wrappers/results-json.go).
//! - The *improved scan report* as JSON, from the platform's *Reports* page or its [reports
//!   API](https://checkmarx.com/resource/documents/en/34965-134575-reports-api.html).
//! - SARIF by [cxone-sarif](https://github.com/checkmarx-ts/cxone-sarif) or
//!   [Piper](https://www.project-piper.io/steps/checkmarxOneExecuteScan/).
//!
//! ## What becomes of it
//!
//! Each result is one finding.
//!
//! | `results` | finding |
//! |---|---|
//! | `description`, else severity and query | title and description |
//! | `severity`, `firstFoundAt`, `vulnerabilityDetails.cweId` | severity, date, CWE |
//! | `id`, else `similarityId` | id from the tool |
//! | `data.nodes` | file of the first; steps to reproduce |
//! | `data.filename`, `expectedValue`, `value` | file, mitigation, justification of the severity |
//! | `data.packageIdentifier`, or `packageName` and `packageVersion` | component |
//! | `cveName`, `cvssScore`, `recommendedVersion`, `packageData` | vulnerability id, CVSS score, fix, references |
//! | `type` | tag |
//!
//! | improved scan report | finding |
//! |---|---|
//! | `queryPath`; technology and `queryName` | title |
//! | `description`, `nodes` | description |
//! | `destinationFileName`, `destinationLine`; `fileName` | file and line |
//! | `vulnerabilityDetails` of its CWE | cause in the description, impact, mitigation |
//! | `foundDate`; `lastDetectionDate` | date |
//!
//! Its sections on packages, containers and APIs are not read; a warning says so where they hold
//! anything. `cx results show` has these results.
//!
//! | GitLab's format | finding |
//! |---|---|
//! | `identifiers[0].value` | id from the tool, and the title with the file |
//! | `location`, `severity` | file and line, component; severity |
//!
//! The state *not exploitable* makes a closed false positive; that, *confirmed* and *urgent* are
//! verified. Findings are recognised again by their id from the tool.

mod gitlab;
mod iac;
mod improved;
mod results;
#[cfg(test)]
mod tests;

use tatami_domain::{ReportFinding, Severity};

use super::checkmarx::shared::Triage;
use crate::kit::json::{self, Json};
use crate::{Algorithm, Dedupe, Format, Refusal, Report, Scanner, Sink, Sniff};

/// Checkmarx One's reports.
pub static SCANNERS: &[Scanner] = &[Scanner {
    scan_type: "Checkmarx One Scan",
    formats: &[Format {
        name: "JSON",
        extensions: &["json"],
    }],
    dedupe: Dedupe {
        algorithm: Algorithm::UniqueId,
        fields: &[],
        allows_null_cwe: true,
    },
    sarif_drivers: &[
        // The command line tool, now and before it was renamed.
        "Checkmarx One",
        "Checkmarx AST",
        // cxone-sarif, one for each engine.
        "CheckmarxOne-SAST",
        "CheckmarxOne-SCA",
        "CheckmarxOne-KICS",
        "CheckmarxOne-Container Security",
        // Piper.
        "CheckmarxOne SCA",
    ],
    detect,
    read: |report: Report<'_>, sink: &mut dyn Sink| json::read(report, |json| read(json, sink)),
}];

fn detect(sniff: &Sniff<'_>) -> bool {
    let json = sniff.json();
    let of_the_cli = ["type", "similarityId", "status", "state"];
    let is_result = of_the_cli
        .into_iter()
        .all(|key| json.has(&format!("results[].{key}")));
    let is_empty = json.has_all(&["results", "totalCount", "scanID"]) && !json.has("results[]");
    is_result || is_empty || improved::is_report(json) || gitlab::is_report(json)
}

fn read(json: &mut Json<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let mut improved = improved::Improved::default();
    let mut marks = Marks::default();
    json.object(|json, key| {
        match key {
            "totalCount" | "scanID" => marks.of_the_cli = true,
            "scan" => marks.of_gitlab = gitlab::is_checkmarx(json, sink)?,
            "results" => {
                marks.results = true;
                json.objects(sink, |json, sink| {
                    marks.of_the_cli = true;
                    results::read(json, sink)
                })?;
            }
            "vulnerabilities" => {
                marks.results = true;
                json.objects(sink, |json, sink| {
                    marks.of_gitlab = true;
                    gitlab::read(json, sink)
                })?;
            }
            _ => marks.improved |= improved.section(key, json, sink)?,
        }
        Ok(())
    })?;
    improved.hand_over(sink)?;
    if marks.improved || marks.results && (marks.of_the_cli || marks.of_gitlab) {
        return Ok(());
    }
    let message = "this is not a Checkmarx One report: it has no results of a scan";
    let hint = "send what `cx results show --report-format json` writes, or an improved report";
    Err(Refusal::new(message).hint(hint))
}

/// What of a report was seen. An empty list alone could be anybody's.
#[derive(Default)]
struct Marks {
    results: bool,
    of_the_cli: bool,
    of_gitlab: bool,
    improved: bool,
}

/// A finding with the state that the platform gives it.
fn finding(severity: Severity, state: &str) -> ReportFinding {
    let triage = Triage::from_report(state);
    ReportFinding {
        severity,
        active: Some(triage.is_open()),
        verified: Some(triage.is_confirmed() || !triage.is_open()),
        false_p: Some(!triage.is_open()),
        static_finding: true,
        ..ReportFinding::default()
    }
}
