//! # ZAP Scan
//!
//! [ZAP](https://www.zaproxy.org/) is a proxy and scanner that looks for flaws in web applications
//! as they run.
//!
//! ## Getting a report
//!
//! - Desktop: *Report > Generate Report*, template *Traditional XML Report* or *Traditional JSON
//!   Report*; the variants *with Requests and Responses* keep the HTTP messages.
//! - Packaged scans: `zap-baseline.py -t https://app.example -x report.xml` (or `-J report.json`).
//! - Automation framework: a `report` job with template `traditional-xml`, `traditional-json`,
//!   `traditional-xml-plus` or `traditional-json-plus`.
//!
//! The formats are described with the [report
//! templates](https://www.zaproxy.org/docs/desktop/addons/report-generation/templates/).
//!
//! ## What becomes of it
//!
//! Each alert of each site is one finding, whatever the number of places it was seen at.
//!
//! | ZAP | finding |
//! |---|---|
//! | `alert` (else `name`) | title |
//! | `riskcode` 3, 2, 1, 0 | High, Medium, Low, Info |
//! | `desc`, `solution`, `reference` | description, mitigation, references, as plain text |
//! | `cweid` | CWE (-1 and 0: none) |
//! | `pluginid` | id of the rule |
//! | `confidence` 4 or 3, 2, 1 | confidence certain, firm, tentative; 0 is ZAP's mark for a false positive |
//! | `instances` | endpoints (their address without the query), steps to reproduce, requests and responses |
//!
//! An instance without recorded messages shows its method and address as the request and its
//! evidence as the response. Findings are recognised again by title, CWE and severity.

mod alert;
#[cfg(test)]
mod tests;

use alert::Alert;

use crate::kit::json::{self, Json, Kind};
use crate::kit::xml::{self, Xml};
use crate::{Algorithm, Dedupe, Format, HashField, Refusal, Report, Scanner, Sink, Sniff, Warning};

/// ZAP's reports.
pub static SCANNERS: &[Scanner] = &[Scanner {
    scan_type: "ZAP Scan",
    formats: &[
        Format {
            name: "XML",
            extensions: &["xml"],
        },
        Format {
            name: "JSON",
            extensions: &["json"],
        },
    ],
    dedupe: Dedupe {
        algorithm: Algorithm::HashCode,
        fields: &[HashField::Title, HashField::Cwe, HashField::Severity],
        allows_null_cwe: false,
    },
    sarif_drivers: &[],
    detect,
    read,
}];

const ROOT: &str = "OWASPZAPReport";

fn detect(sniff: &Sniff<'_>) -> bool {
    if let Some(root) = xml::root_of(sniff) {
        return root.name() == ROOT;
    }
    let outline = sniff.json();
    // GitLab's DAST reports carry ZAP's beside their own.
    if ["scan", "vulnerabilities"]
        .into_iter()
        .any(|key| outline.has(key))
    {
        return false;
    }
    if outline.text("@programName") == Some("ZAP") {
        return true;
    }
    let named = outline.has("@version") || outline.has("@programName");
    (named && outline.has("site")) || outline.has_all(&["site[].@name", "site[].alerts"])
}

fn read(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    if xml::is_markup(&report.sniff()) {
        read_xml(report, sink)
    } else {
        json::read(report, |json| read_json(json, sink))
    }
}

fn read_xml(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let mut xml = Xml::open(report)?;
    xml.expect_root(ROOT)?;
    let root = xml.level();
    while xml.next_in(root)? {
        if xml.name() != "site" {
            continue;
        }
        let name = xml.attr("name").unwrap_or_default();
        let mut number = 0;
        let site = xml.level();
        while xml.next_in(site)? {
            if xml.name() != "alerts" {
                continue;
            }
            let alerts = xml.level();
            while xml.next_in(alerts)? {
                if xml.name() == "alertitem" {
                    number += 1;
                    let alert = Alert::from_xml(&mut xml)?;
                    let warning = |message| Warning {
                        record: format!("site {name}, alert {number}"),
                        message,
                    };
                    alert.report(sink, warning)?;
                }
            }
        }
    }
    Ok(())
}

fn read_json(json: &mut Json<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let mut has_site = false;
    json.object(|json, key| {
        if key != "site" {
            return json.skip();
        }
        has_site = true;
        // A report of one site may have it without the list around it.
        if json.kind()? == Kind::Object {
            return site(json, sink);
        }
        json.objects(sink, |json, sink| site(json, sink))
    })?;
    if has_site {
        return Ok(());
    }
    Err(Refusal::new("this is not a ZAP report: it has no \"site\"")
        .hint("generate ZAP's traditional JSON or XML report"))
}

fn site(json: &mut Json<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    json.object(|json, key| {
        if key != "alerts" {
            return json.skip();
        }
        json.objects(sink, |json, sink| {
            let Some(alert) = json.record::<Alert>(sink)? else {
                return Ok(());
            };
            alert.report(sink, |message| json.warning(message))?;
            Ok(())
        })
    })
}
