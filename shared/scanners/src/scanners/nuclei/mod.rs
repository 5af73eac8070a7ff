//! # Nuclei Scan
//!
//! [Nuclei](https://github.com/projectdiscovery/nuclei) by `ProjectDiscovery` tries templates of known flaws
//! on running hosts and applications.
//!
//! ## Exporting the report
//!
//! ```text
//! nuclei -u https://app.example -json-export nuclei.json
//! nuclei -u https://app.example -jsonl-export nuclei.jsonl
//! nuclei -u https://app.example -sarif-export nuclei.sarif
//! ```
//!
//! The SARIF log says less than the others. A file of 0 bytes, which is what Nuclei leaves when nothing was
//! found, is a report without findings.
//!
//! ## What is read
//!
//! A list of events, or one event after the other. The format is Nuclei's own: see the type `ResultEvent`
//! in [output.go](https://github.com/projectdiscovery/nuclei/blob/dev/pkg/output/output.go). Old versions
//! wrote `templateID`, `matched`, `matcher_name` and `extracted_results`. Events of templates that did *not*
//! match (`matcher-status` false, with `-matcher-status`) are no findings.
//!
//! | in the report | in the finding |
//! |---|---|
//! | `info.name`, else `template-id` | title |
//! | `info.severity`; `unknown` is Info | severity |
//! | `info.description`, `extracted-results` | description |
//! | `info.impact`, `info.remediation`, `info.reference` | impact, mitigation, references |
//! | `info.classification` | CVE ids, CWEs, CVSS, EPSS |
//! | `info.tags` | tags |
//! | `template-id` | the tool's vulnerability id |
//! | `matcher-name` | component |
//! | `matched-at`, else `host` | endpoint; of a template for files: file path |
//! | `curl-command` | steps to reproduce |
//! | `request` and `response` | request and response |
//! | `timestamp` | date |
//!
//! Events of one template, type, matcher and host are one finding, which counts them. Findings are the same
//! where title, CWE, severity and component are.

mod event;
mod log;
#[cfg(test)]
mod tests;

use event::{Event, Findings};

use crate::kit::json::{self, Json, Kind};
use crate::{Algorithm, Dedupe, Format, HashField, Refusal, Report, Scanner, Sink, Sniff};

pub static SCANNERS: &[Scanner] = &[Scanner {
    scan_type: "Nuclei Scan",
    formats: &[
        Format {
            name: "JSON",
            extensions: &["json"],
        },
        Format {
            name: "JSON Lines",
            extensions: &["jsonl", "json"],
        },
        Format {
            name: "SARIF",
            extensions: &["sarif", "json"],
        },
    ],
    dedupe: Dedupe {
        algorithm: Algorithm::HashCode,
        fields: &[
            HashField::Title,
            HashField::Cwe,
            HashField::Severity,
            HashField::ComponentName,
        ],
        allows_null_cwe: true,
    },
    sarif_drivers: &["Nuclei"],
    detect,
    read,
}];

fn detect(sniff: &Sniff<'_>) -> bool {
    let seen = sniff.json();
    if log::is_nuclei(sniff) {
        return true;
    }
    let event = if seen.has("[]") { "[]." } else { "" };
    let has = |key: &str| seen.has(&format!("{event}{key}"));
    (has("template-id") || has("templateID")) && has("info.name") && has("info.severity")
}

fn read(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    if report.is_empty() {
        return Ok(());
    }
    if log::is_nuclei(&report.sniff()) {
        return log::read(report, sink);
    }
    let mut findings = Findings::default();
    json::read_lines(report, |json| match json.kind()? {
        Kind::List => json.list(|json| event(json, sink, &mut findings)),
        _ => event(json, sink, &mut findings),
    })?;
    if findings.others > 0 && !findings.any {
        return Err(Refusal::new(
            "this is not a report of Nuclei: nothing in it has a template-id",
        )
        .hint("export it by `nuclei ... -json-export nuclei.json`"));
    }
    findings.hand_over(sink)?;
    Ok(())
}

fn event(json: &mut Json<'_>, sink: &mut dyn Sink, findings: &mut Findings) -> Result<(), Refusal> {
    if !json.expect(Kind::Object, sink)? {
        return Ok(());
    }
    if let Some(event) = json.record::<Event>(sink)? {
        findings.add(event, |message| sink.warning(json.warning(message)));
    }
    Ok(())
}
