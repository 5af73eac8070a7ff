//! # Burp REST API
//!
//! What the [REST API of Burp Suite
//! Professional](https://portswigger.net/burp/documentation/desktop/settings/suite/rest-api) says of a
//! scan, and that of Burp Suite DAST.
//!
//! ## Getting a report
//!
//! Switch the service on under *Settings > Suite > REST API*, start a scan, and keep the answer of
//! `GET /<key>/v0.1/scan/<task id>`:
//!
//! ```text
//! curl -o report.json http://127.0.0.1:1337/$KEY/v0.1/scan/18
//! ```
//!
//! [The API describes itself](https://portswigger.net/blog/burps-new-rest-api) at its own address.
//!
//! ## What becomes of it
//!
//! Each event with an `issue` is one finding.
//!
//! | issue | finding |
//! |---|---|
//! | `name` | title |
//! | `severity` high, medium, low, info | High, Medium, Low, Info |
//! | `severity` undefined; false_positive | Info; Info, false positive and not active |
//! | `confidence` certain, firm, tentative | confidence 2, 3, 6 |
//! | `serial_number` | id from the tool |
//! | `type_index` | id of the rule |
//! | `description`, `caption` and the above | description |
//! | `issue_background` | impact |
//! | `remediation_detail`, `remediation_background` | mitigation |
//! | `origin` with `path` | endpoint |
//! | `evidence` | requests and responses of any kind of evidence; where Burp snipped is marked |
//!
//! Findings are recognised again by the serial number.

mod evidence;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use serde::Deserialize;
use tatami_domain::ReportFinding;

use self::evidence::Exhibit;
use crate::kit::html;
use crate::kit::json::{self, Json, OneOrMany, Text};
use crate::scanners::burp::words::{self, Rating};
use crate::{Algorithm, Dedupe, Format, Refusal, Report, Scanner, Sink, Sniff};

/// Answers of Burp's REST API.
pub static SCANNERS: &[Scanner] = &[Scanner {
    scan_type: "Burp REST API",
    formats: &[Format {
        name: "JSON",
        extensions: &["json"],
    }],
    dedupe: Dedupe {
        algorithm: Algorithm::UniqueId,
        fields: &[],
        allows_null_cwe: true,
    },
    sarif_drivers: &[],
    detect,
    read,
}];

fn detect(sniff: &Sniff<'_>) -> bool {
    let outline = sniff.json();
    let says = |path| outline.has(path);
    says("issue_events")
        && (says("scan_metrics") || says("task_id") || says("issue_events[].issue.type_index"))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Event {
    issue: Option<Issue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Issue {
    name: Text,
    type_index: Text,
    serial_number: Text,
    origin: Text,
    path: Text,
    caption: Text,
    severity: Text,
    confidence: Text,
    description: Text,
    #[serde(rename = "issue_background")]
    background: Text,
    remediation_detail: Text,
    remediation_background: Text,
    evidence: OneOrMany<Exhibit>,
}

fn read(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let has_events = json::read(report, |json| {
        let mut has_events = false;
        json.object(|json, key| {
            if key != "issue_events" {
                return json.skip();
            }
            has_events = true;
            json.objects(sink, event)
        })?;
        Ok(has_events)
    })?;
    if has_events {
        return Ok(());
    }
    let message = "this is not an answer of Burp's REST API: it has no \"issue_events\"";
    Err(Refusal::new(message).hint("ask it for /v0.1/scan/<task id>"))
}

fn event(json: &mut Json<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let Some(event) = json.record::<Event>(sink)? else {
        return Ok(());
    };
    let Some(issue) = event.issue else {
        return Ok(());
    };
    let place = words::endpoint(&issue.origin, &issue.path);
    match issue.finding() {
        Ok(mut finding) => {
            match place {
                Ok(endpoint) => finding.endpoints.push(endpoint),
                Err(error) => sink.warning(json.warning(error.to_string())),
            }
            sink.finding(finding)?;
        }
        Err(message) => sink.warning(json.warning(message)),
    }
    Ok(())
}

impl Issue {
    fn finding(self) -> Result<ReportFinding, String> {
        let title = self.name.trim();
        if title.is_empty() {
            return Err("the issue has no name".into());
        }
        let Some(rating) = Rating::from_report(&self.severity) else {
            return Err(format!("\"{}\" is not a severity of Burp", &*self.severity));
        };
        let mut finding = ReportFinding {
            description: self.description(),
            scanner_confidence: match self.confidence.trim() {
                "certain" => Some(2),
                "firm" => Some(3),
                "tentative" => Some(6),
                _ => None,
            },
            ..rating.finding(title)
        };
        words::fill(&mut finding.impact, || {
            html::to_text_with_links(&self.background)
        });
        words::fill(&mut finding.mitigation, || {
            let texts = [&self.remediation_detail, &self.remediation_background];
            let texts = texts.map(|text| html::to_text_with_links(text));
            texts.join("\n\n").trim().to_owned()
        });
        finding.unique_id_from_tool = self.serial_number.some();
        finding.vuln_id_from_tool = self.type_index.some();
        finding.requests = self
            .evidence
            .0
            .into_iter()
            .flat_map(Exhibit::messages)
            .collect();
        Ok(finding)
    }

    fn description(&self) -> String {
        let detail = html::to_text_with_links(&self.description);
        let mut text = String::new();
        for (label, value) in [
            ("Location", &*self.caption),
            ("Serial Number", &*self.serial_number),
            ("Type Index", &*self.type_index),
            ("Confidence", &*self.confidence),
            ("Description", &*detail),
        ] {
            if !value.trim().is_empty() {
                // Writing to a string doesn't fail.
                let _ = writeln!(text, "**{label}**: {}", value.trim());
            }
        }
        text.trim_end().to_owned()
    }
}
