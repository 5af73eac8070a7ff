//! # Qualys VMDR
//!
//! [Qualys VMDR](https://www.qualys.com/apps/vulnerability-management-detection-response/) keeps the
//! list of the vulnerabilities on an organisation's assets.
//!
//! ## Getting a report
//!
//! *VMDR > Vulnerabilities > Vulnerability*, choose *QID* or *CVE* view, search, *Download > CSV*. The
//! columns are those of the list; statuses and scores are described with the [list of
//! detections](https://docs.qualys.com/en/vm/api/assets/host_lists/host_detection.htm). The lines about
//! the company and the user above the header may stay; so may rows that are in quotes as a whole, as
//! some downloads are.
//!
//! ## What becomes of it
//!
//! Every row is a finding.
//!
//! | column | finding |
//! |---|---|
//! | `Title` | title |
//! | `Severity` 5, 4, 3, 2, 1 | Critical, High, Medium, Low, Info |
//! | `CVE`, `CVE-Description`, `QID`, `Category`, `RTI`, `Operating System`, `Results`, `Last Detected` | description |
//! | `Threat`, `Solution` | impact (as plain text), mitigation |
//! | `QID` | id of the finding; id of the rule where there is no CVE |
//! | `CVE` | id of the rule, vulnerability id |
//! | `CVSSv3.1 Base (nvd)` | CVSS v3 score |
//! | `Asset Name`, `Category` | component, service |
//! | `Asset IPV4`, else `Asset IPV6` | endpoints |
//! | `First Detected` | date |
//! | `Status` FIXED; `Ignored` or `Disabled` Yes | inactive |
//! | `Asset Tags` | tags |
//!
//! `'-` stands for nothing. Findings are recognised again by the QID, or by title, component and id of
//! the rule.

use tatami_domain::{Endpoint, ReportFinding, Severity};

use crate::kit::csv::{self, Row, Rows};
use crate::kit::{html, text};
use crate::{Algorithm, Dedupe, Format, HashField, Refusal, Report, Scanner, Sink, Sniff};

/// VMDR's lists.
pub static SCANNERS: &[Scanner] = &[Scanner {
    scan_type: "Qualys VMDR",
    formats: &[Format {
        name: "CSV",
        extensions: &["csv"],
    }],
    dedupe: Dedupe {
        algorithm: Algorithm::UniqueIdOrHashCode,
        fields: &[
            HashField::Title,
            HashField::ComponentName,
            HashField::VulnIdFromTool,
        ],
        allows_null_cwe: true,
    },
    sarif_drivers: &[],
    detect,
    read,
}];

type Column = &'static [&'static str];

const QID: Column = &["QID"];
const TITLE: Column = &["Title"];
const SEVERITY: Column = &["Severity"];
const ASSET: Column = &["Asset Name", "Asset Id"];

/// What the description tells, in this order.
const FACTS: [&str; 8] = [
    "CVE",
    "CVE-Description",
    "QID",
    "Category",
    "RTI",
    "Operating System",
    "Results",
    "Last Detected",
];

fn detect(sniff: &Sniff<'_>) -> bool {
    let header = csv::header_below(sniff, &[QID, TITLE, SEVERITY, ASSET]);
    header
        .is_some_and(|header| header.has(&["KB Severity", "Type Detected", "Asset Critical Score"]))
}

fn read(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let mut rows = Rows::open_below(report, &[QID, TITLE, SEVERITY, ASSET])?;
    while let Some(row) = rows.next_row(sink)? {
        let mut hosts = endpoints(row, "Asset IPV4");
        if hosts.is_empty() {
            hosts = endpoints(row, "Asset IPV6");
        }
        match finding(row) {
            Ok(finding) => sink.finding(ReportFinding {
                endpoints: hosts,
                ..finding
            })?,
            Err(message) => sink.warning(row.warning(message)),
        }
    }
    Ok(())
}

/// The field of a column, unless it's empty or Qualys's mark for nothing.
fn field<'r>(row: Row<'r>, name: &str) -> Option<&'r str> {
    row.get(&[name])
        .filter(|value| !matches!(*value, "'-" | "-"))
}

fn finding(row: Row<'_>) -> Result<ReportFinding, String> {
    let own = |name| field(row, name).map(str::to_owned);
    let title = own("Title").ok_or("the row has no title")?;
    let level = field(row, "Severity").unwrap_or_default();
    let severity = match level {
        "1" => Severity::Info,
        "2" => Severity::Low,
        "3" => Severity::Medium,
        "4" => Severity::High,
        "5" => Severity::Critical,
        _ => return Err(format!("\"{level}\" is not a severity of 1 to 5")),
    };
    let says = |name, word: &str| field(row, name).is_some_and(|v| v.eq_ignore_ascii_case(word));
    let is_closed = says("Status", "FIXED") || says("Ignored", "Yes") || says("Disabled", "Yes");
    let score = field(row, "CVSSv3.1 Base (nvd)").and_then(|score| score.parse().ok());
    let impact = field(row, "Threat").map(html::to_text);
    Ok(ReportFinding {
        title,
        severity,
        severity_justification: Some(format!("Qualys Severity: {level}")),
        description: description(row),
        mitigation: own("Solution"),
        impact: impact.filter(|impact| !impact.is_empty()),
        cvssv3_score: score.filter(|s| (0.0..=10.0).contains(s)),
        vulnerability_ids: text::vulnerability_ids(field(row, "CVE").unwrap_or_default()),
        unique_id_from_tool: own("QID"),
        vuln_id_from_tool: own("CVE").or(own("QID")),
        date: field(row, "First Detected").and_then(text::date),
        active: Some(!is_closed),
        component_name: own("Asset Name"),
        service: own("Category"),
        tags: list(row, "Asset Tags").map(str::to_owned).collect(),
        static_finding: true,
        ..ReportFinding::default()
    })
}

fn description(row: Row<'_>) -> String {
    let fact = |name: &str| {
        let label = name.replace('-', " ");
        field(row, name).map(|value| format!("**{label}:** {value}"))
    };
    FACTS
        .into_iter()
        .filter_map(fact)
        .collect::<Vec<_>>()
        .join("\n\n")
}

fn endpoints(row: Row<'_>, name: &str) -> Vec<Endpoint> {
    list(row, name)
        .map(|host| Endpoint::from_parts(host, None, None))
        .collect()
}

fn list<'r>(row: Row<'r>, name: &str) -> impl Iterator<Item = &'r str> {
    let parts = field(row, name).unwrap_or_default().split(',');
    parts.map(str::trim).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests;
