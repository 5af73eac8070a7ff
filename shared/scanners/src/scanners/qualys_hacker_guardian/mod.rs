//! # Qualys Hacker Guardian Scan
//!
//! [HackerGuardian](https://www.hackerguardian.com/) is Sectigo's service for PCI scans of hosts that
//! are reachable from the internet. Its scanner is Qualys's.
//!
//! ## Getting a report
//!
//! *Vulnerabilities > Download > CSV*. The ratings are described in HackerGuardian's [help on the
//! vulnerability report](https://www.hackerguardian.com/help/hg-vulnerability-report.html).
//!
//! ## What becomes of it
//!
//! The rows of one QID are one finding with all their endpoints.
//!
//! | column | finding |
//! |---|---|
//! | `VULN TITLE` | title |
//! | `Q_SEVERITY` 5 or 4, 3, 2 or 1 | High, Medium, Low |
//! | `CATEGORY`, `THREAT`, `RESULT` | description (of the first row) |
//! | `IMPACT`, `SOLUTION` | impact, mitigation |
//! | `QID` | id of the finding |
//! | `CVEID` | vulnerability ids |
//! | `HOSTNAME`, else `IP`, with `PORT` and `PROTOCOL` | endpoint |
//! | `LAST SCAN` | date |
//! | `FALSE POSITIVE STATUS` Approved | false positive, if all rows of the QID are |
//!
//! Findings are recognised again by title, severity and description.
//!
//! Qualys PCI itself exports the same columns (see *Qualys Scan*). This one writes the severity as a
//! single letter, that one as a word; where there are no rows, only this one quotes its header.

use tatami_domain::{Endpoint, EndpointError, ReportFinding, Severity};

use crate::kit::csv::{self, Row, Rows};
use crate::kit::merged::Merged;
use crate::kit::text;
use crate::{Algorithm, Collected, Dedupe, Format, HashField};
use crate::{Refusal, Report, Scanner, Sink, Sniff};

/// HackerGuardian's report.
pub static SCANNERS: &[Scanner] = &[Scanner {
    scan_type: "Qualys Hacker Guardian Scan",
    formats: &[Format {
        name: "CSV",
        extensions: &["csv"],
    }],
    dedupe: Dedupe {
        algorithm: Algorithm::HashCode,
        fields: &[
            HashField::Title,
            HashField::Severity,
            HashField::Description,
        ],
        allows_null_cwe: true,
    },
    sarif_drivers: &[],
    detect: is_own,
    read,
}];

const QID: &[&str] = &["QID"];
const TITLE: &[&str] = &["VULN TITLE"];
const LEVEL: &[&str] = &["Q_SEVERITY"];
const STATUS: &[&str] = &["FALSE POSITIVE STATUS"];

/// Is it this report rather than that of Qualys PCI?
pub fn is_own(sniff: &Sniff<'_>) -> bool {
    let marks = ["IP", "QID", "VULN TITLE", "IS_PCI", "Q_SEVERITY"];
    if !csv::header_of(sniff).is_some_and(|header| header.has_all(&marks)) {
        return false;
    }
    let Ok(mut rows) = Rows::open(Report::from_bytes(sniff.name(), sniff.bytes())) else {
        return false;
    };
    if let Ok(Some(row)) = rows.next_row(&mut Collected::default()) {
        return row
            .get(&["SEVERITY"])
            .is_some_and(|severity| severity.len() == 1);
    }
    let is_mark = |b: &u8| matches!(b, 0 | 0xEF | 0xBB | 0xBF | 0xFE | 0xFF);
    sniff.bytes().iter().find(|b| !is_mark(b)) == Some(&b'"')
}

fn read(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let mut rows = Rows::open(report)?;
    rows.require(&[QID, TITLE, LEVEL])?;
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
    let qid = row.get(QID).ok_or("the row has no QID")?;
    let title = row.get(TITLE).ok_or("the row has no title")?;
    let severity = match row.get(LEVEL).unwrap_or_default() {
        "1" | "2" => Severity::Low,
        "3" => Severity::Medium,
        "4" | "5" => Severity::High,
        other => return Err(format!("\"{other}\" is not a Q_SEVERITY of 1 to 5")),
    };
    let is_false = row
        .get(STATUS)
        .is_some_and(|s| s.eq_ignore_ascii_case("Approved"));
    let finding = findings.entry(qid.to_owned(), || ReportFinding {
        active: Some(false),
        false_p: Some(true),
        nb_occurences: Some(0),
        ..make(row, qid, title, severity)
    });
    if !is_false {
        finding.active = Some(true);
        finding.false_p = None;
    }
    finding.nb_occurences = finding.nb_occurences.map(|n| n.saturating_add(1));
    for id in text::vulnerability_ids(row.get(&["CVEID"]).unwrap_or_default()) {
        text::push_new(&mut finding.vulnerability_ids, id);
    }
    finding
        .endpoints
        .push(endpoint(row).map_err(|error| error.to_string())?);
    Ok(())
}

fn make(row: Row<'_>, qid: &str, title: &str, severity: Severity) -> ReportFinding {
    let own = |name| {
        row.raw(&[name])
            .filter(|t| !t.is_empty())
            .map(str::to_owned)
    };
    let told = |name| own(name).unwrap_or_default();
    let (category, threat, result) = (told("CATEGORY"), told("THREAT"), told("RESULT"));
    ReportFinding {
        title: title.to_owned(),
        severity,
        description: format!(
            "**Category**: {category}\n**Threat**: {threat}\n**Result**: {result}\n"
        ),
        impact: own("IMPACT"),
        mitigation: own("SOLUTION"),
        unique_id_from_tool: Some(qid.to_owned()),
        date: row.get(&["LAST SCAN"]).and_then(text::date),
        dynamic_finding: true,
        ..ReportFinding::default()
    }
}

fn endpoint(row: Row<'_>) -> Result<Endpoint, EndpointError> {
    let field = |name| row.get(&[name]).filter(|value| *value != "-");
    let host = field("HOSTNAME").or(field("IP")).unwrap_or_default();
    if host.is_empty() {
        return Err(EndpointError::NoHost(host.to_owned()));
    }
    let port = match field("PORT").filter(|port| *port != "0") {
        Some(port) => match port.parse() {
            Ok(port) => Some(port),
            Err(_) => return Err(EndpointError::BadPort(port.to_owned())),
        },
        None => None,
    };
    Ok(Endpoint::from_parts(host, port, field("PROTOCOL")))
}

#[cfg(test)]
mod tests;
