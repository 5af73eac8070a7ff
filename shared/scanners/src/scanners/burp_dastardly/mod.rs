//! # Burp Dastardly Scan
//!
//! [Dastardly](https://portswigger.net/burp/dastardly) is the small, free web scanner of Burp's makers for
//! pipelines.
//!
//! ## Getting a report
//!
//! ```text
//! docker run --user $(id -u) --rm -v $(pwd):/dastardly \
//!   -e BURP_START_URL=https://app.example \
//!   -e BURP_REPORT_FILE_PATH=/dastardly/report.xml \
//!   public.ecr.aws/portswigger/dastardly:latest
//! ```
//!
//! It is a JUnit report, as [its documentation
//! says](https://portswigger.net/burp/documentation/dastardly/generic): a test suite for each page, a test
//! case for each kind of issue on it, and a failure for each issue found.
//!
//! ## What becomes of it
//!
//! | JUnit | finding |
//! |---|---|
//! | `failure`, its `message` (else the test case's name) | title |
//! | `failure`, its `type` High, Medium, Low, Info | High, Medium, Low, Info |
//! | the text of `failure`: host and path, detail, background, remediation, evidence, references | description |
//!
//! Findings are recognised again by title and description, which is why the text stays as it stands.

#[cfg(test)]
mod tests;

use tatami_domain::ReportFinding;

use crate::kit::xml::{self, Xml};
use crate::scanners::burp::words::Rating;
use crate::{Algorithm, Dedupe, Format, Refusal, Report, Scanner, Sink, Sniff, Warning};

/// Dastardly's reports.
pub static SCANNERS: &[Scanner] = &[Scanner {
    scan_type: "Burp Dastardly Scan",
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

const ROOT: &str = "testsuites";

fn detect(sniff: &Sniff<'_>) -> bool {
    xml::root_of(sniff).is_some_and(|root| root.name() == ROOT && is_dastardly(root.attr("name")))
}

/// The name of the suites: `Dastardly scan results - have a vulnerability-free day!`.
fn is_dastardly(name: Option<String>) -> bool {
    name.is_some_and(|name| name.contains("Dastardly"))
}

fn read(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let mut xml = Xml::open(report)?;
    xml.expect_root(ROOT)?;
    if !is_dastardly(xml.attr("name")) {
        let message = "this is a JUnit report, but not of Dastardly: its name doesn't say so";
        return Err(xml.refuse(message));
    }
    let root = xml.level();
    while xml.next_in(root)? {
        if xml.name() != "testsuite" {
            continue;
        }
        let page = xml.attr("name").unwrap_or_default();
        let suite = xml.level();
        while xml.next_in(suite)? {
            if xml.name() != "testcase" {
                continue;
            }
            let case = xml.attr("name").unwrap_or_default();
            let level = xml.level();
            while xml.next_in(level)? {
                if xml.name() != "failure" {
                    continue;
                }
                match finding(&mut xml, &case)? {
                    Ok(finding) => sink.finding(finding)?,
                    Err(message) => {
                        let record = format!("test suite {page}, line {}", xml.position().line);
                        sink.warning(Warning { record, message });
                    }
                }
            }
        }
    }
    Ok(())
}

/// The finding in the `<failure>` the cursor has just entered, or what is wrong with it.
fn finding(xml: &mut Xml<'_>, case: &str) -> Result<Result<ReportFinding, String>, Refusal> {
    let message = xml.attr("message").unwrap_or_default();
    let rating = xml.attr("type").unwrap_or_default();
    let description = xml.text()?;
    let title = [message.trim(), case.trim()]
        .into_iter()
        .find(|t| !t.is_empty());
    let Some(title) = title else {
        return Ok(Err("the failure has neither a message nor a name".into()));
    };
    Ok(match Rating::from_report(&rating) {
        Some(rating) => Ok(ReportFinding {
            description,
            ..rating.finding(title)
        }),
        None => Err(format!("\"{rating}\" is not a severity of Burp")),
    })
}
