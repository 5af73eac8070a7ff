//! # Burp GraphQL API
//!
//! Issues from the [GraphQL API of Burp Suite
//! DAST](https://portswigger.net/burp/extensibility/dast/graphql-api) (once Burp Suite Enterprise Edition).
//!
//! ## Getting a report
//!
//! Ask for the issues of a scan, each with the fields below. Send the answer as it is, or gather the
//! issues of several answers in one list `{"Issues": [...]}`.
//!
//! ```text
//! query { scan(id: 123) { issues(start: 0, count: 1000) {
//!   issue_type { name type_index description_html remediation_html references_html
//!     vulnerability_classifications_html }
//!   severity confidence origin path description_html remediation_html
//!   evidence { ... on Request { request_index request_segments { ... } } ... }
//! } } }
//! ```
//!
//! Answers to `issue(scan_id: 123, serial_number: 456)` are read, too.
//!
//! ## What becomes of it
//!
//! The issues of one name are one finding. Issues that are marked as false positives stay apart.
//!
//! | issue | finding |
//! |---|---|
//! | `issue_type.name` | title |
//! | `severity` high, medium, low, info | the worst of them: High, Medium, Low, Info |
//! | `severity` false_positive | Info, false positive, not active |
//! | `description_html` of each, once | description, as plain text |
//! | `issue_type.description_html` | impact |
//! | `remediation_html`, `issue_type.remediation_html` | mitigation |
//! | `issue_type.references_html`, `issue_type.vulnerability_classifications_html` | references |
//! | `issue_type.vulnerability_classifications_html` | CWE, further CWEs |
//! | `origin` with `path` | endpoint |
//! | `evidence` | requests and responses of the same index; interactions with their own; 64 MB at most |
//! | `evidence`, its `title` and `description_html` | steps to reproduce |
//!
//! An issue without a name is left out; when no issue is left, the report is refused. Findings are
//! recognised again by title, CWE and description.

mod evidence;
mod issue;
#[cfg(test)]
mod tests;

use self::issue::{Issue, Key};
use crate::kit::json::{self, Json, Kind};
use crate::kit::merged::Merged;
use crate::kit::messages::Messages;
use crate::scanners::burp::words::Said;
use crate::{Algorithm, Dedupe, Format, Refusal, Report, Scanner, Sink, Sniff};

/// Issues of Burp Suite DAST's GraphQL API.
pub static SCANNERS: &[Scanner] = &[Scanner {
    scan_type: "Burp GraphQL API",
    formats: &[Format {
        name: "JSON",
        extensions: &["json"],
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

fn detect(sniff: &Sniff<'_>) -> bool {
    let outline = sniff.json();
    let has_type = |issue: &str| {
        // Other tools have lists of issues, too.
        (outline.keys(&format!("{issue}.issue_type")))
            .any(|key| key == "name" || key.ends_with("_html"))
    };
    has_type("Issues[]") || has_type("data.scan.issues[]") || has_type("data.issue")
}

/// What is gathered of the issues.
#[derive(Default)]
struct Issues {
    were_listed: bool,
    read: usize,
    number: usize,
    findings: Merged<Key>,
    said: Said,
    messages: Messages,
}

fn read(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let mut issues = Issues::default();
    json::read(report, |json| {
        json.object(|json, key| match key {
            "Issues" => issues.list(json, sink),
            "data" => json.object(|json, key| match key {
                "scan" => json.object(|json, key| match key {
                    "issues" => issues.list(json, sink),
                    _ => json.skip(),
                }),
                "issue" => issues.one(json, sink),
                _ => json.skip(),
            }),
            _ => json.skip(),
        })
    })?;
    if !issues.were_listed {
        let message = "these are not issues of Burp's GraphQL API: there is no list \"Issues\"";
        return Err(Refusal::new(message).hint("send {\"Issues\": [...]} or the API's answer"));
    }
    if issues.number > 0 && issues.read == 0 {
        let message = "none of the issues can be read: each needs its issue_type.name and severity";
        return Err(Refusal::new(message));
    }
    issues.messages.tell(sink);
    issues.findings.hand_over(sink)?;
    Ok(())
}

impl Issues {
    fn list(&mut self, json: &mut Json<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
        self.were_listed |= json.kind()? == Kind::List;
        json.objects(sink, |json, sink| self.one(json, sink))
    }

    fn one(&mut self, json: &mut Json<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
        self.were_listed = true;
        self.number += 1;
        let Some(issue) = json.record::<Issue>(sink)? else {
            return Ok(());
        };
        match issue.add_to(&mut self.findings, &mut self.said, &mut self.messages) {
            Ok(wrong) => {
                self.read += 1;
                if let Some(error) = wrong {
                    sink.warning(json.warning(error.to_string()));
                }
            }
            Err(message) => sink.warning(json.warning(message)),
        }
        Ok(())
    }
}
