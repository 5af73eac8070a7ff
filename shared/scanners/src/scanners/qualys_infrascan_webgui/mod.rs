//! # Qualys Infrastructure Scan (WebGUI XML)
//!
//! [Qualys VM](https://www.qualys.com/) scans hosts for known vulnerabilities. This reads the results of
//! one scan as they are, not a report made from a template (which is *Qualys Scan*).
//!
//! ## Getting a report
//!
//! *VM/VMDR > Scans*, quick actions of a finished scan, *Download*, format *Extensible Markup Language
//! (XML)*. See [vulnerability scan
//! results](https://docs.qualys.com/en/vm/latest/scans/win_scan_results.htm); the format is
//! `scan-1.dtd`, described in Qualys's [XML/DTD
//! reference](https://cdn2.qualys.com/docs/qualys-api-vmpc-xml-dtd-reference.pdf).
//!
//! ## What becomes of it
//!
//! Every confirmed vulnerability (`VULN`) of every host is a finding. Potential ones (`PRACTICE`),
//! services and information gathered are left out.
//!
//! | XML | finding |
//! |---|---|
//! | `TITLE` | title |
//! | `severity` 5, 4, 3, 2, 1 | Critical, High, Medium, Low, Info |
//! | `DIAGNOSIS`, category, QID, port, `RESULT` | description |
//! | `CONSEQUENCE`, `SOLUTION` | impact, mitigation |
//! | links of the CVEs | references |
//! | `CVSS3_BASE` | CVSS v3 score |
//! | `number` (the QID) | id of the rule |
//! | the `IP`'s `name`, else `value` | endpoint |
//! | `DATE` in the header | date |
//!
//! Findings are recognised again by title and description.

use std::fmt::Write as _;

use jiff::civil::Date;
use tatami_domain::{Endpoint, ReportFinding, Severity};

use crate::kit::xml::{self, Xml};
use crate::kit::{html, text};
use crate::{Algorithm, Dedupe, Format, Refusal, Report, Scanner, Sink, Sniff, Warning};

/// Results of a scan.
pub static SCANNERS: &[Scanner] = &[Scanner {
    scan_type: "Qualys Infrastructure Scan (WebGUI XML)",
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

const ROOT: &str = "SCAN";

/// Other tools might call their root the same, but not number it so.
fn detect(sniff: &Sniff<'_>) -> bool {
    xml::root_of(sniff).is_some_and(|root| {
        root.name() == ROOT
            && root
                .attr("value")
                .is_some_and(|value| value.starts_with("scan/"))
    })
}

fn read(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let mut xml = Xml::open_with_doctype(report)?;
    xml.expect_root(ROOT)?;
    let mut is_scan = false;
    let mut date = None;
    let root = xml.level();
    while xml.next_in(root)? {
        match xml.name() {
            "HEADER" => {
                is_scan = true;
                date = read_date(&mut xml)?;
            }
            "IP" => {
                is_scan = true;
                read_host(&mut xml, date, sink)?;
            }
            "ERROR" => {
                let record = format!("error of Qualys, {}", xml.position());
                let message = xml.text()?.trim().to_owned();
                sink.warning(Warning { record, message });
            }
            _ => {}
        }
    }
    if is_scan {
        return Ok(());
    }
    let message = "the <SCAN> has neither a header nor hosts";
    Err(xml
        .refuse(message)
        .hint("download the results of a finished scan as XML"))
}

fn read_date(xml: &mut Xml<'_>) -> Result<Option<Date>, Refusal> {
    let mut date = None;
    let header = xml.level();
    while xml.next_in(header)? {
        if xml.name() == "KEY" && xml.attr("value").as_deref() == Some("DATE") {
            date = text::date(&xml.text()?);
        }
    }
    Ok(date)
}

fn read_host(xml: &mut Xml<'_>, date: Option<Date>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let attr = |name| xml.attr(name).map(|value| value.trim().to_owned());
    let address = attr("value").unwrap_or_default();
    let name = attr("name").filter(|name| !name.is_empty() && name != "No registered hostname");
    let endpoint = Endpoint::from_parts(name.as_ref().unwrap_or(&address), None, None);
    let host = xml.level();
    while xml.next_in(host)? {
        if xml.name() != "VULNS" {
            continue;
        }
        let list = xml.level();
        while xml.next_in(list)? {
            let category = Category {
                name: xml.attr("value").unwrap_or_default(),
                port: xml.attr("port"),
                protocol: xml.attr("protocol"),
            };
            let level = xml.level();
            while xml.next_in(level)? {
                let record = format!("host {address}, {}", xml.position());
                match read_vulnerability(xml, &category)? {
                    Ok(finding) => sink.finding(ReportFinding {
                        date,
                        endpoints: vec![endpoint.clone()],
                        ..finding
                    })?,
                    Err(message) => sink.warning(Warning { record, message }),
                }
            }
        }
    }
    Ok(())
}

/// What the vulnerabilities of a `CAT` have in common.
struct Category {
    name: String,
    port: Option<String>,
    protocol: Option<String>,
}

/// Reads the `VULN` the cursor has just entered, or says what it lacks.
fn read_vulnerability(
    xml: &mut Xml<'_>,
    category: &Category,
) -> Result<Result<ReportFinding, String>, Refusal> {
    let qid = xml.attr("number").unwrap_or_default();
    let level = xml.attr("severity").unwrap_or_default();
    let (mut title, mut diagnosis, mut impact) = (String::new(), String::new(), String::new());
    let (mut solution, mut result, mut score) = (String::new(), String::new(), None);
    let mut links = Vec::new();
    let vulnerability = xml.level();
    while xml.next_in(vulnerability)? {
        match xml.name() {
            "TITLE" => title = xml.text()?,
            "DIAGNOSIS" => diagnosis = html::to_text(&xml.text()?),
            "CONSEQUENCE" => impact = html::to_text(&xml.text()?),
            "SOLUTION" => solution = html::to_text(&xml.text()?),
            "RESULT" => result = xml.text()?,
            "CVSS3_BASE" => score = xml.text()?.trim().parse().ok(),
            "CVE_ID_LIST" => links = read_links(xml)?,
            _ => {}
        }
    }
    if title.trim().is_empty() {
        return Ok(Err("the vulnerability has no title".into()));
    }
    let severity = match level.trim() {
        "1" => Severity::Info,
        "2" => Severity::Low,
        "3" => Severity::Medium,
        "4" => Severity::High,
        "5" => Severity::Critical,
        _ => return Ok(Err(format!("\"{level}\" is not a severity of 1 to 5"))),
    };
    let mut description = format!(
        "{diagnosis}\n\n**Category:** {}\n\n**QID:** {qid}",
        category.name
    );
    if let Some(port) = &category.port {
        // Writing to a string doesn't fail.
        let _ = write!(description, "\n\n**Port:** {port}");
        if let Some(protocol) = &category.protocol {
            let _ = write!(description, "/{protocol}");
        }
    }
    if !result.trim().is_empty() {
        let _ = write!(description, "\n\n**Result Evidence:** {}", result.trim());
    }
    let some = |text: String| (!text.is_empty()).then_some(text);
    Ok(Ok(ReportFinding {
        title: title.trim().to_owned(),
        severity,
        description,
        impact: some(impact),
        mitigation: some(solution),
        references: some(links.join("\n")),
        cvssv3_score: score.filter(|s| (0.0..=10.0).contains(s)),
        vuln_id_from_tool: some(qid.trim().to_owned()),
        dynamic_finding: true,
        ..ReportFinding::default()
    }))
}

fn read_links(xml: &mut Xml<'_>) -> Result<Vec<String>, Refusal> {
    let mut links = Vec::new();
    let list = xml.level();
    while xml.next_in(list)? {
        let reference = xml.level();
        while xml.next_in(reference)? {
            if xml.name() == "URL" {
                text::push_new(&mut links, xml.text()?.trim().to_owned());
            }
        }
    }
    Ok(links)
}

#[cfg(test)]
mod tests;
