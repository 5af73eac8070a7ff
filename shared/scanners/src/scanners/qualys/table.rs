//! The CSV reports: of VM, with many columns by choice of the template, and of PCI.

use std::fmt::Write as _;

use tatami_domain::{ReportFinding, Severity};

use super::fields;
use crate::kit::csv::{self, Row, Rows};
use crate::kit::merged::Merged;
use crate::kit::text;
use crate::{Refusal, Report, Sink, Sniff};

type Column = &'static [&'static str];

const IP: Column = &["IP"];
const QID: Column = &["QID"];
const TITLE: Column = &["Title", "VULN TITLE"];
const SEVERITY: Column = &["Severity"];
const KIND: Column = &["Type"];
const STATUS: Column = &["Vuln Status"];
const RESULTS: Column = &["Results", "RESULT"];
const FALSE_POSITIVE: Column = &["FALSE POSITIVE STATUS"];

/// What a reference is called, and its column.
const REFERENCES: &[(&str, Column)] = &[
    ("Vendor Reference", &["Vendor Reference"]),
    ("Bugtraq ID", &["Bugtraq ID", "BUGTRAQID"]),
];

/// A version of CVSS and the columns of its final score, base and temporal metrics.
const SCORES: &[(&str, &str, &str, &str)] = &[
    ("3.1", "CVSS3.1", "CVSS3.1 Base", "CVSS3.1 Temporal"),
    ("3.0", "CVSS3", "CVSS3 Base", "CVSS3 Temporal"),
];

/// Has it the columns of one of the two reports?
pub fn is_own(sniff: &Sniff<'_>) -> bool {
    let header = csv::header_below(sniff, &[IP, QID, TITLE, SEVERITY, KIND]);
    header.is_some_and(|header| {
        header.has_all(&["IP Status", "Title"]) || header.has_all(&["Q_SEVERITY", "VULN TITLE"])
    })
}

pub fn read(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let mut rows = Rows::open_below(report, &[IP, QID, TITLE, SEVERITY])?;
    let mut findings = Merged::default();
    while let Some(row) = rows.next_row(sink)? {
        if let Err(message) = add(row, &mut findings) {
            sink.warning(row.warning(message));
        }
    }
    findings.hand_over(sink)?;
    Ok(())
}

fn add(row: Row<'_>, findings: &mut Merged<String>) -> Result<(), String> {
    let (qid, title) = match (row.get(QID), row.get(TITLE)) {
        (Some(qid), Some(title)) => (qid, title),
        // A host without findings.
        (None, None) => return Ok(()),
        (None, _) => return Err("the row has no QID".into()),
        (_, None) => return Err("the row has no title".into()),
    };
    let stated = row.get(SEVERITY).unwrap_or_default();
    let Some(severity) = fields::severity(stated) else {
        return Err(format!("\"{stated}\" is not a severity of 1 to 5"));
    };
    let mut is_new = false;
    let finding = findings.entry(qid.to_owned(), || {
        is_new = true;
        make(row, qid, title, severity)
    });
    if !is_new {
        join_state(finding, row);
    }
    if let Some(result) = row.get(RESULTS) {
        // Writing to a string doesn't fail.
        let _ = write!(
            finding.description,
            "\n\nResult Evidence: {}\n{result}",
            place(row)
        );
    }
    for id in text::vulnerability_ids(row.get(&["CVE ID", "CVEID"]).unwrap_or_default()) {
        text::push_new(&mut finding.vulnerability_ids, id);
    }
    let names = [["FQDN"], ["DNS"], ["IP"]].map(|column| row.get(&column).unwrap_or_default());
    let Some(endpoint) = fields::endpoint(&names) else {
        return Err("the row names no host".into());
    };
    finding.endpoints.push(endpoint);
    Ok(())
}

fn make(row: Row<'_>, qid: &str, title: &str, severity: Severity) -> ReportFinding {
    let own = |column: Column| row.raw(column).filter(|t| !t.is_empty()).map(str::to_owned);
    let is_information = row.get(KIND).is_some_and(fields::is_information);
    let mut finding = ReportFinding {
        title: format!("QID-{qid} | {title}"),
        severity: if is_information {
            Severity::Info
        } else {
            severity
        },
        description: own(&["Threat"]).unwrap_or_default(),
        mitigation: own(&["Solution"]),
        impact: own(&["Impact"]),
        references: references(row),
        vuln_id_from_tool: Some(qid.to_owned()),
        date: row
            .get(&["Last Detected", "LAST SCAN"])
            .and_then(text::date),
        verified: Some(true),
        dynamic_finding: true,
        ..ReportFinding::default()
    };
    set_score(&mut finding, row);
    set_state(&mut finding, row);
    finding
}

fn set_score(finding: &mut ReportFinding, row: Row<'_>) {
    for (version, last, base, temporal) in SCORES {
        let [last, base, temporal] =
            [last, base, temporal].map(|column| row.get(&[*column]).and_then(fields::scored));
        if let Some((score, _)) = last.or(temporal).or(base) {
            let metrics = [base, temporal].map(|part| part.map_or("", |(_, metrics)| metrics));
            finding.cvssv3 = fields::vector(version, &metrics);
            finding.cvssv3_score = Some(score);
            return;
        }
    }
}

fn set_state(finding: &mut ReportFinding, row: Row<'_>) {
    let status = row.get(STATUS).unwrap_or_default();
    let kind = row.get(KIND).unwrap_or_default();
    let fixed = row.get(&["Date Last Fixed"]).and_then(text::date);
    fields::set_state(finding, status, kind, fixed);
    if row
        .get(FALSE_POSITIVE)
        .is_some_and(|s| s.eq_ignore_ascii_case("Approved"))
    {
        finding.false_p = Some(true);
        finding.active = Some(false);
    }
}

/// A finding is as open as the most open of its rows.
fn join_state(finding: &mut ReportFinding, row: Row<'_>) {
    let mut other = ReportFinding::default();
    set_state(&mut other, row);
    if other.active == Some(true) || other.is_mitigated == Some(false) {
        finding.is_mitigated = Some(false);
        finding.mitigated = None;
    } else if finding.is_mitigated == Some(true) {
        finding.mitigated = finding.mitigated.max(other.mitigated);
    }
    if other.active == Some(true) {
        finding.active = Some(true);
    }
    if other.false_p.is_none() {
        finding.false_p = None;
    }
}

fn references(row: Row<'_>) -> Option<String> {
    let mut lines = Vec::new();
    for (name, column) in REFERENCES {
        if let Some(value) = row.get(column).filter(|value| *value != "-") {
            lines.push(format!("{name}: {value}"));
        }
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Where a result was seen, such as `10.0.0.7:443/tcp`.
fn place(row: Row<'_>) -> String {
    let mut place = row.get(IP).unwrap_or_default().to_owned();
    if let Some(port) = row.get(&["Port"]).filter(|port| *port != "0") {
        let _ = write!(place, ":{port}");
    }
    if let Some(protocol) = row.get(&["Protocol"]) {
        let _ = write!(place, "/{protocol}");
    }
    place
}
