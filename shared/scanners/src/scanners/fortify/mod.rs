//! # Fortify Scan
//!
//! [Fortify](https://www.opentext.com/products/static-application-security-testing) (OpenText, before
//! that Micro Focus and HP) analyses source code; its sibling WebInspect tests running web
//! applications.
//!
//! ## Getting a report
//!
//! - FPR: `sourceanalyzer -b <build> -scan -f results.fpr`, or download the artifact from Software
//!   Security Center (`fcli ssc artifact download`). It knows what was suppressed and who said what.
//! - XML: `ReportGenerator -format xml -f report.xml -source results.fpr -template
//!   DefaultReportDefinitionAllIssues.xml`. Other templates list only some of the issues; then there
//!   is a warning.
//! - WebInspect: *File > Export > Scan Details*, the vulnerabilities as XML (root `<Scan>`). An export
//!   of sessions (root `<Sessions>`) is of `Microfocus Webinspect Scan`.
//! - SARIF: `fcli ssc action run sarif-sast-report`, the same with `fod`, or the SARIF Multitool.
//!
//! Sources: the report's [schema](https://github.com/microsoft/sarif-sdk/blob/main/src/Sarif.Converters/FortifyStrings.cs)
//! and, for FPR, the classes that Fortify's own client has made of its schemas
//! ([fcli](https://github.com/fortify/fcli), package `com.fortify.cli.aviator.fpr.jaxb`).
//!
//! ## What becomes of it
//!
//! | FPR | XML report | finding |
//! |---|---|---|
//! | type, file and line, class id | `Category`, file and line | title |
//! | impact and likelihood, see below | `Friority`, else `Folder` | Critical to Low |
//! | abstract, place, snippet, explanation of the class | the same | description |
//! | recommendations, tips | the same | mitigation |
//! | analysis and comments in `audit.xml` | `Tag`, `Comment` | impact |
//! | suppressed in `audit.xml` | | false positive, not active |
//! | `altcategoryCWE` of the rule | `ExternalCategory` of type `CWE` | CWE, further CWEs |
//! | default node of the first trace | `Primary` | file, line |
//! | `InstanceID` | `iid` (an issue of several sections counts once) | id of the tool |
//!
//! A rule's likelihood is accuracy * confidence * probability / 25; from 2.5 on it and the impact are
//! high. Both: Critical, impact only: High, likelihood only: Medium. An instance's own values go before
//! its rule's; without an impact its severity stands for it. What an auditor chose for *Analysis*
//! changes no state, as it hides nothing in Fortify either.
//!
//! WebInspect: an issue at an address is a finding, with the severity 4 to 0, its report sections as
//! text, its request and response.
//!
//! `Fortify Scan` and `Fortify Scan v2` differ in the lines of an FPR: v2 gives the line of the flaw, the
//! older one that at which the snippet begins. Findings are recognised again by title, CWE, line, file
//! and description.

mod audit;
mod finding;
mod fpr;
mod fvdl;
mod issue;
mod pools;
mod prose;
mod report;
#[cfg(test)]
mod tests;
mod webinspect;

use crate::kit::xml::{self, Xml};
use crate::{Algorithm, Dedupe, Format, Refusal, Report, Scanner, Sink, Sniff};

const FORMATS: &[Format] = &[
    Format {
        name: "FPR",
        extensions: &["fpr"],
    },
    Format {
        name: "XML",
        extensions: &["xml"],
    },
];

const DEDUPE: Dedupe = Dedupe {
    algorithm: Algorithm::Legacy,
    fields: &[],
    allows_null_cwe: true,
};

/// Fortify's reports, in the older and in the newer way of counting lines. Who names neither gets the
/// newer one.
pub static SCANNERS: &[Scanner] = &[
    Scanner {
        scan_type: "Fortify Scan",
        formats: FORMATS,
        dedupe: DEDUPE,
        sarif_drivers: &[],
        detect: |_| false,
        read: |report, sink| read(report, Line::OfSnippet, sink),
    },
    Scanner {
        scan_type: "Fortify Scan v2",
        formats: FORMATS,
        dedupe: DEDUPE,
        sarif_drivers: &[
            "Fortify",
            "Fortify SCA",
            "Fortify on Demand",
            "HP Fortify Static Code Analyzer",
            "Micro Focus Fortify Static Code Analyzer",
        ],
        detect,
        read: |report, sink| read(report, Line::OfFlaw, sink),
    },
];

/// Which line of an FPR's vulnerability is the finding's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    OfSnippet,
    OfFlaw,
}

fn detect(sniff: &Sniff<'_>) -> bool {
    match root_name(sniff).as_deref() {
        Some(fvdl::ROOT) => true,
        Some(report::ROOT) => report::is_one(sniff),
        Some(webinspect::ROOT) => webinspect::is_one(sniff),
        Some(_) => false,
        None => fpr::is_one(sniff.members()),
    }
}

fn read(report: Report<'_>, line: Line, sink: &mut dyn Sink) -> Result<(), Refusal> {
    if report.is_archive() {
        return fpr::read(report, line, sink);
    }
    match root_name(&report.sniff()).as_deref() {
        Some(webinspect::ROOT) => webinspect::read(report, sink),
        Some(fvdl::ROOT) => {
            let message = "an audit.fvdl alone doesn't say which of its issues were suppressed";
            Err(Refusal::new(message)
                .hint("send the FPR that it is from (sourceanalyzer -scan -f results.fpr)"))
        }
        _ => report::read(report, sink),
    }
}

fn root_name(sniff: &Sniff<'_>) -> Option<String> {
    xml::root_of(sniff).map(|root| root.name().to_owned())
}

/// A cursor at the root element of a report's head.
fn open_head<'a>(sniff: &Sniff<'a>) -> Option<Xml<'a>> {
    Xml::open_with_doctype(Report::from_bytes(sniff.name(), sniff.bytes())).ok()
}

/// Visits the children of the element that the cursor has just entered.
fn each<'a>(
    xml: &mut Xml<'a>,
    mut visit: impl FnMut(&mut Xml<'a>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let level = xml.level();
    while xml.next_in(level)? {
        visit(xml)?;
    }
    Ok(())
}

/// The text of the element that the cursor has just entered.
fn trimmed(xml: &mut Xml<'_>) -> Result<String, Refusal> {
    Ok(xml.text()?.trim().to_owned())
}
