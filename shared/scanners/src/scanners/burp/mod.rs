//! # Burp Scan
//!
//! [Burp Suite Professional](https://portswigger.net/burp/pro) is a proxy and scanner for the security of
//! web applications. This page is about its XML reports.
//!
//! ## Getting a report
//!
//! - Desktop: *Target > Site map*, select the hosts, *Issues > Report issues for this host*, report type
//!   *XML*, and tick *Base64-encode requests and responses*. [Reporting
//!   scan results](https://portswigger.net/burp/documentation/desktop/getting-started/generate-reports)
//!   shows the steps.
//! - From an extension: `callbacks.generateScanReport("XML", issues, file)`.
//!
//! Each report begins with the document type that describes it. It is skipped; one that declares entities
//! is refused. What the elements mean is said with [the extensions'
//! `IScanIssue`](https://portswigger.net/Burp/extender/api/burp/IScanIssue.html).
//!
//! ## What becomes of it
//!
//! The issues of one type are one finding, however many places they were seen at. Extensions share one
//! type for all that they find ([134217728, which is
//! 0x08000000](https://portswigger.net/kb/issues/08000000_extensiongeneratedissue)): of that type, the
//! issues of one name are one finding. Issues that somebody marked as false positives in Burp stay apart.
//!
//! | `<issue>` | finding |
//! |---|---|
//! | `name` | title |
//! | `severity` High, Medium, Low, Information | the worst of them: High, Medium, Low, Info |
//! | `severity` False positive | Info, false positive, not active |
//! | `confidence` Certain, Firm, Tentative | confidence 1, 4, 7 |
//! | `type` | id of the rule |
//! | `serialNumber` of the first issue | id from the tool |
//! | `host`, `path`, `issueDetail`, `collaboratorEvent` and the like | description, one paragraph for each issue |
//! | `issueBackground` | impact, as plain text |
//! | `remediationDetail`, `remediationBackground` | mitigation |
//! | `references` | references, with their addresses |
//! | `vulnerabilityClassifications` | CWE, further CWEs |
//! | `host` | endpoint |
//! | `location`, what it has in brackets | parameters, the last issue's first |
//! | `requestresponse` | requests and responses, 64 MB of them at most |
//!
//! `issueDetailItems` repeats what `issueDetail` says. Findings are recognised again by title, severity and
//! type.

mod issue;
#[cfg(test)]
mod tests;
pub mod words;

use issue::Issue;

use crate::kit::merged::Merged;
use crate::kit::messages::Messages;
use crate::kit::xml::{self, Xml};
use crate::{Algorithm, Dedupe, Format, HashField, Refusal, Report, Scanner, Sink, Sniff, Warning};

/// Burp Suite Professional's XML reports.
pub static SCANNERS: &[Scanner] = &[Scanner {
    scan_type: "Burp Scan",
    formats: &[Format {
        name: "XML",
        extensions: &["xml"],
    }],
    dedupe: Dedupe {
        algorithm: Algorithm::HashCode,
        fields: &[
            HashField::Title,
            HashField::Severity,
            HashField::VulnIdFromTool,
        ],
        allows_null_cwe: true,
    },
    sarif_drivers: &[],
    detect,
    read,
}];

const ROOT: &str = "issues";
/// What only Burp's root element has; there are other tools whose reports are `<issues>`.
const VERSION: &str = "burpVersion";

fn detect(sniff: &Sniff<'_>) -> bool {
    xml::root_of(sniff).is_some_and(|root| root.name() == ROOT && root.attr(VERSION).is_some())
}

fn read(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let mut xml = Xml::open_with_doctype(report)?;
    xml.expect_root(ROOT)?;
    if xml.attr(VERSION).is_none() {
        return Err(xml
            .refuse(format!(
                "this is not a report of Burp: <{ROOT}> has no {VERSION}"
            ))
            .hint("export the issues from Burp Suite as XML"));
    }
    let mut findings = Merged::default();
    let mut messages = Messages::default();
    let mut number = 0;
    let root = xml.level();
    while xml.next_in(root)? {
        if xml.name() != "issue" {
            continue;
        }
        number += 1;
        let issue = Issue::read(&mut xml)?;
        if let Err(message) = issue.add_to(&mut findings, &mut messages) {
            let record = format!("issue {number}, line {}", xml.position().line);
            sink.warning(Warning { record, message });
        }
    }
    messages.tell(sink);
    findings.hand_over(sink)?;
    Ok(())
}
