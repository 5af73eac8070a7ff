//! # Qualys Webapp Scan
//!
//! [Qualys WAS](https://www.qualys.com/apps/web-app-scanning/) looks for flaws in web applications and
//! APIs as they run.
//!
//! ## Getting a report
//!
//! - *WAS > Reports > New Report*, type *Web Application Report* or *Scan Report*, format *Extensible
//!   Markup Language (XML)*. The template must have the sections *Results* and *Glossary*.
//! - By the API: `/qps/rest/3.0/create/was/report` with format `XML`, described in the [WAS API user
//!   guide](https://cdn2.qualys.com/docs/qualys-was-api-user-guide.pdf).
//!
//! ## What becomes of it
//!
//! All detections of one QID are one finding with all their endpoints and messages.
//!
//! | `WAS_SCAN_REPORT`, `WAS_WEBAPP_REPORT` | finding |
//! |---|---|
//! | `TITLE` in the glossary | title |
//! | `SEVERITY` 5, 4, 3, 2 or 1 of vulnerabilities and sensitive content | Critical, High, Medium, Low |
//! | information gathered | Info |
//! | `DESCRIPTION`, the `DATA` of information gathered | description |
//! | `IMPACT`, `SOLUTION` | impact, mitigation |
//! | `CWE` | CWE, further CWEs |
//! | `QID` | id of the rule |
//! | `URL` and those of the `ACCESS_PATH` | endpoints |
//! | `REQUEST` and `RESPONSE` of each payload | requests and responses |
//! | `PARAM`, `PAYLOAD`, `AUTHENTICATION` | steps to reproduce |
//! | `DETECTION_DATE`, else `FIRST_TIME_DETECTED`; of information `LAST_TIME_DETECTED` | date, the earliest |
//! | `STATUS` FIXED, `IGNORED` | mitigated, inactive; only if all detections of the QID are |
//!
//! Findings are recognised again by title, CWE and description.

mod detection;
mod glossary;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use tatami_domain::{ReportFinding, Severity};

use detection::Detection;
use glossary::Entry;

use crate::kit::merged::Merged;
use crate::kit::xml::{self, Xml};
use crate::{Algorithm, Dedupe, Format, Refusal, Report, Scanner, Sink, Sniff, Warning};

/// The reports of WAS.
pub static SCANNERS: &[Scanner] = &[Scanner {
    scan_type: "Qualys Webapp Scan",
    formats: &[Format {
        name: "XML",
        extensions: &["xml"],
    }],
    dedupe: Dedupe {
        algorithm: Algorithm::Legacy,
        fields: &[],
        allows_null_cwe: true,
    },
    sarif_drivers: &[],
    detect,
    read,
}];

const ROOTS: [&str; 2] = ["WAS_SCAN_REPORT", "WAS_WEBAPP_REPORT"];

fn detect(sniff: &Sniff<'_>) -> bool {
    xml::root_of(sniff).is_some_and(|root| ROOTS.contains(&root.name()))
}

/// The glossary comes last, so the findings wait for their texts.
#[derive(Default)]
struct Gathered {
    /// What is called a vulnerability or sensitive content, by QID.
    flaws: Merged<String>,
    information: Merged<String>,
    glossary: HashMap<String, Entry>,
}

fn read(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let mut xml = Xml::open_with_doctype(report)?;
    if !ROOTS.contains(&xml.name()) {
        let message = format!(
            "the root element is <{}>, not <{}>",
            xml.name(),
            ROOTS.join("> or <")
        );
        return Err(xml.refuse(message));
    }
    let mut gathered = Gathered::default();
    let mut is_report = false;
    let root = xml.level();
    while xml.next_in(root)? {
        match xml.name() {
            "HEADER" => is_report = true,
            "RESULTS" => {
                is_report = true;
                gathered.read_results(&mut xml, sink)?;
            }
            "GLOSSARY" => gathered.glossary = glossary::read(&mut xml)?,
            _ => {}
        }
    }
    if !is_report {
        let message = "the report has neither a header nor results";
        return Err(xml
            .refuse(message)
            .hint("make a scan or web application report of WAS"));
    }
    gathered.hand_over(sink)
}

impl Gathered {
    /// Reads the lists in `RESULTS`, or in each `WEB_APPLICATION` in it.
    fn read_results(&mut self, xml: &mut Xml<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
        let results = xml.level();
        while xml.next_in(results)? {
            let (findings, is_information) = match xml.name() {
                "WEB_APPLICATION" => {
                    self.read_results(xml, sink)?;
                    continue;
                }
                "VULNERABILITY_LIST" | "SENSITIVE_CONTENT_LIST" => (&mut self.flaws, false),
                "INFORMATION_GATHERED_LIST" => (&mut self.information, true),
                _ => continue,
            };
            let list = xml.level();
            while xml.next_in(list)? {
                let record = format!("{} at {}", xml.name(), xml.position());
                let detection = Detection::read(xml, is_information)?;
                for message in detection.add_to(findings) {
                    let record = record.clone();
                    sink.warning(Warning { record, message });
                }
            }
        }
        Ok(())
    }

    fn hand_over(self, sink: &mut dyn Sink) -> Result<(), Refusal> {
        let flaws = self.flaws.findings().map(|finding| (finding, false));
        let information = self.information.findings().map(|finding| (finding, true));
        for (finding, is_information) in flaws.chain(information) {
            let qid = finding.vuln_id_from_tool.clone().unwrap_or_default();
            let told = match self.glossary.get(&qid) {
                Some(entry) if entry.title.is_empty() => Err("has no title in the glossary"),
                Some(entry) => explained(finding, entry, is_information),
                None => Err("isn't in the glossary"),
            };
            match told {
                Ok(finding) => sink.finding(finding)?,
                Err(message) => sink.warning(Warning {
                    record: format!("QID {qid}"),
                    message: message.into(),
                }),
            }
        }
        Ok(())
    }
}

/// The finding with what the glossary says.
fn explained(
    finding: ReportFinding,
    entry: &Entry,
    is_information: bool,
) -> Result<ReportFinding, &'static str> {
    let severity = match entry.severity.trim() {
        _ if is_information => Severity::Info,
        "1" | "2" => Severity::Low,
        "3" => Severity::Medium,
        "4" => Severity::High,
        "5" => Severity::Critical,
        _ => return Err("has no severity of 1 to 5 in the glossary"),
    };
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let description = match finding.description.as_str() {
        "" => entry.description.clone(),
        data => format!("{}\n\n{data}", entry.description),
    };
    let mut cwes = entry.cwes.iter().copied();
    Ok(ReportFinding {
        title: entry.title.clone(),
        severity,
        description,
        impact: some(&entry.impact),
        mitigation: some(&entry.solution),
        cwe: cwes.next().unwrap_or(0),
        extra_cwes: cwes.collect(),
        dynamic_finding: true,
        ..finding
    })
}
