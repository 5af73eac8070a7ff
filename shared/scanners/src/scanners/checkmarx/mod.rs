//! # Checkmarx Scan
//!
//! [Checkmarx SAST](https://checkmarx.com/) (CxSAST) looks for flaws in source code and shows the way
//! that data takes to them.
//!
//! ## Getting a report
//!
//! - CxSAST: *Generate Report* on a scan, format XML; or `runCxConsole.sh Scan ... -ReportXML
//!   report.xml`; or the reports of the REST API (`POST /cxrestapi/reports/sastScan`, type XML).
//! - JSON: the report of a scan from the platform's *Reports* page, or from its [reports
//!   API](https://checkmarx.com/resource/documents/en/34965-134575-reports-api.html), with results
//!   of SAST, SCA and KICS. (What the command line tool `cx` writes is a *Checkmarx One Scan*.)
//! - SARIF made from CxSAST's XML, by the [Checkmarx SDK for
//!   Python](https://github.com/checkmarx-ts/checkmarx-python-sdk) or
//!   [Piper](https://www.project-piper.io/steps/checkmarxExecuteScan/).
//!
//! The XML is described by a [schema](https://raw.githubusercontent.com/checkmarx-ltd/cx-flow/develop/src/main/resources/samples/cx.xsd)
//! that Checkmarx publishes with CxFlow.
//!
//! ## What becomes of it
//!
//! There are two scan types. *Checkmarx Scan detailed* makes a finding of every result. *Checkmarx
//! Scan* makes one finding of all results of an XML report with the same CWE, severity and file of
//! the sink; it lists them in its description and is open as long as one of them is.
//!
//! | XML | finding |
//! |---|---|
//! | `Query`: `name`, file of the sink | title |
//! | `Result`: `Severity` | severity, `Information` is Info |
//! | `Query`: `cweId`, `id` | CWE, id of the rule |
//! | `Query`: `categories`, `Language`, `group`; `Result`: `Status`, `DeepLink`; the path | description |
//! | last `PathNode` | file, line (detailed only), sink |
//! | first `PathNode` | source (detailed only) |
//! | `Path`: `SimilarityId` and `PathId` | id from the tool (detailed only) |
//! | `Result`: `FalsePositive` | false positive |
//! | `Result`: `state` | 1 (not exploitable) is closed; 2 and 3 (confirmed, urgent) are verified |
//! | root: `ScanStart` | date |
//!
//! | JSON | finding |
//! |---|---|
//! | `sast`: `queryName`, `description`, last of `nodes` | title, description, file and line |
//! | `sca`: package `name`, `cveId` | title, component, vulnerability id |
//! | `kics`: `name`, `issueType`, `fileName`, `line` | title, file and line |
//! | `cweId`, `severity`, `firstFoundDate` | CWE, severity, date |
//! | `state` | as above, spelled out |
//! | `id`, else `similarityId` | id from the tool |
//!
//! Findings of *Checkmarx Scan* are recognised again by CWE, severity and file, those of *Checkmarx
//! Scan detailed* by their id from the tool.

mod engines;
mod findings;
mod results;
pub mod shared;
#[cfg(test)]
mod tests;

use crate::kit::json;
use crate::kit::xml;
use crate::{Algorithm, Dedupe, Format, HashField, Refusal, Report, Scanner, Sink, Sniff};

const FORMATS: &[Format] = &[
    Format {
        name: "XML",
        extensions: &["xml"],
    },
    Format {
        name: "JSON",
        extensions: &["json"],
    },
];

/// CxSAST's reports, once with the results of a file put together and once one by one.
pub static SCANNERS: &[Scanner] = &[
    Scanner {
        scan_type: "Checkmarx Scan",
        formats: FORMATS,
        dedupe: Dedupe {
            algorithm: Algorithm::HashCode,
            fields: &[HashField::Cwe, HashField::Severity, HashField::FilePath],
            allows_null_cwe: false,
        },
        sarif_drivers: &[],
        detect,
        read: |report, sink| read(report, sink, findings::read_together),
    },
    Scanner {
        scan_type: "Checkmarx Scan detailed",
        formats: FORMATS,
        dedupe: Dedupe {
            algorithm: Algorithm::UniqueId,
            fields: &[],
            allows_null_cwe: true,
        },
        // Logs have a result for each path, as this scan type has. The first name is the SDK's; Piper
        // calls CxSAST so.
        sarif_drivers: &["Checkmarx CxSAST", "Checkmarx SCA"],
        // The reports are the same: whoever wants them in detail has to say so.
        detect: |_| false,
        read: |report, sink| read(report, sink, findings::read_one_by_one),
    },
];

const ROOT: &str = "CxXMLResults";

fn detect(sniff: &Sniff<'_>) -> bool {
    if let Some(root) = xml::root_of(sniff) {
        return root.name() == ROOT;
    }
    let json = sniff.json();
    let is_report = json.has_all(&["scanResults", "reportHeader"]) || json.has("scanSummary");
    is_report
        && engines::ENGINES
            .iter()
            .any(|engine| json.has(&format!("scanResults.{engine}")))
}

type ReadXml = fn(Report<'_>, &mut dyn Sink) -> Result<(), Refusal>;

fn read(report: Report<'_>, sink: &mut dyn Sink, read_xml: ReadXml) -> Result<(), Refusal> {
    if xml::is_markup(&report.sniff()) {
        read_xml(report, sink)
    } else {
        json::read(report, |json| engines::read(json, sink))
    }
}
