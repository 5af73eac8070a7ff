//! # Checkmarx CxFlow SAST
//!
//! [CxFlow](https://github.com/checkmarx-ltd/cx-flow) starts Checkmarx scans from pipelines and
//! passes their results on to trackers and files.
//!
//! ## Getting a report
//!
//! `bug-tracker: Json` in CxFlow's configuration (or `--bug-tracker=Json`), as its page on [bug
//! trackers](https://github.com/checkmarx-ltd/cx-flow/blob/develop/docs/Bug-Trackers-and-Feedback-Channels.md)
//! says; `Sarif` works as well. The fields are those of the class
//! [ScanResults](https://github.com/checkmarx-ltd/checkmarx-spring-boot-java-sdk) of Checkmarx's SDK.
//!
//! ## What becomes of it
//!
//! CxFlow puts all results of one query in one file into one issue of `xissues`. Each of those results
//! is a finding again. `unFilteredIssues` holds what CxFlow's filters left out and is left out here too.
//!
//! | CxFlow | finding |
//! |---|---|
//! | `vulnerability`, file of the `sink` | title |
//! | `severity`, `cwe`, `similarityId` | severity, CWE, id of the rule |
//! | `filename`, `sink.line` | file and line |
//! | `source`, `sink` | source and sink |
//! | `categories`, `language`, `vulnerabilityStatus`, `link`, `description`, snippets | description |
//! | `recommendedFix` | references |
//! | `state` 1 (not exploitable) | closed; false positive, as is one with `falsePositive` in `details` |
//! | `state` 2, 3 (confirmed, urgent) | verified |
//! | `scanStartDate` | date |
//!
//! Findings are recognised again by id of the rule, file and line.

#[cfg(test)]
mod tests;

use serde::Deserialize;
use tatami_domain::{ReportFinding, Severity};

use super::checkmarx::shared::{Triage, base_name, cwe, title};
use crate::kit::json::{self, Flag, Int, Json, Kind, OneOrMany, Pairs, Text};
use crate::kit::text;
use crate::{Algorithm, Dedupe, Format, HashField, Refusal, Report, Scanner, Sink, Sniff};

/// CxFlow's reports.
pub static SCANNERS: &[Scanner] = &[Scanner {
    scan_type: "Checkmarx CxFlow SAST",
    formats: &[Format {
        name: "JSON",
        extensions: &["json"],
    }],
    dedupe: Dedupe {
        algorithm: Algorithm::HashCode,
        fields: &[
            HashField::VulnIdFromTool,
            HashField::FilePath,
            HashField::Line,
        ],
        allows_null_cwe: true,
    },
    // CxFlow writes both runs into one log.
    sarif_drivers: &["Checkmarx - SAST", "Checkmarx - SCA"],
    detect: |sniff: &Sniff<'_>| sniff.json().has("xissues"),
    read: |report: Report<'_>, sink: &mut dyn Sink| json::read(report, |json| read(json, sink)),
}];

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Scan {
    scan_start_date: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Issue {
    vulnerability: Text,
    vulnerability_status: Text,
    similarity_id: Text,
    cwe: Text,
    description: Text,
    language: Text,
    severity: Text,
    link: Text,
    filename: Text,
    /// By line of the source.
    details: Pairs<Detail>,
    additional_details: Option<Additional>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Detail {
    false_positive: Flag,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Additional {
    categories: Text,
    recommended_fix: Text,
    results: OneOrMany<Path>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Path {
    state: Text,
    source: Option<Place>,
    sink: Option<Place>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Place {
    file: Text,
    line: Int,
    object: Text,
    snippet: Text,
}

fn read(json: &mut Json<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let mut date = None;
    let mut has_issues = false;
    // Findings that come before the date of the scan.
    let mut waiting = Vec::new();
    json.object(|json, key| {
        match key {
            "additionalDetails" => {
                let scan = json
                    .record::<Option<Scan>>(sink)?
                    .flatten()
                    .unwrap_or_default();
                date = text::date(&scan.scan_start_date);
            }
            "xissues" => {
                has_issues = json.kind()? == Kind::List;
                json.objects(sink, |json, sink| {
                    let Some(issue) = json.record::<Issue>(sink)? else {
                        return Ok(());
                    };
                    match issue.findings() {
                        Ok(findings) if date.is_none() => waiting.extend(findings),
                        Ok(findings) => {
                            for finding in findings {
                                sink.finding(ReportFinding { date, ..finding })?;
                            }
                        }
                        Err(message) => sink.warning(json.warning(message)),
                    }
                    Ok(())
                })?;
            }
            _ => {}
        }
        Ok(())
    })?;
    for finding in waiting {
        sink.finding(ReportFinding { date, ..finding })?;
    }
    if has_issues {
        return Ok(());
    }
    Err(
        Refusal::new("this is not a CxFlow report: it has no list \"xissues\"")
            .hint("send the file that CxFlow writes with --bug-tracker=Json"),
    )
}

impl Issue {
    fn findings(mut self) -> Result<Vec<ReportFinding>, String> {
        if self.vulnerability.trim().is_empty() {
            return Err("the issue has no vulnerability".into());
        }
        let Some(severity) = Severity::from_report(&self.severity) else {
            return Err(format!("\"{}\" is not a severity", &*self.severity));
        };
        let additional = self.additional_details.take().unwrap_or_default();
        let head = format!(
            "**Category:** {}\n**Language:** {}\n**Status:** {}\n\
             **Finding link:** [{link}]({link})\n**Description:** {}\n",
            &*additional.categories,
            &*self.language,
            &*self.vulnerability_status,
            &*self.description,
            link = &*self.link,
        );
        let findings: Vec<_> = (additional.results.0.into_iter())
            .map(|path| ReportFinding {
                severity,
                references: additional.recommended_fix.clone().some(),
                ..self.finding(&head, path)
            })
            .collect();
        if findings.is_empty() {
            return Err("the issue has no results of SAST".into());
        }
        Ok(findings)
    }

    fn finding(&self, head: &str, path: Path) -> ReportFinding {
        let source = path.source.unwrap_or_default();
        let sink = path.sink.unwrap_or_default();
        let triage = Triage::from_report(&path.state);
        let detail = source
            .line
            .0
            .and_then(|line| self.details.get(&line.to_string()));
        let is_marked = detail.is_some_and(|detail| detail.false_positive.0 == Some(true));
        let (from, to) = (&*source.snippet, &*sink.snippet);
        let file = if sink.file.is_empty() {
            &self.filename
        } else {
            &sink.file
        };
        ReportFinding {
            title: format!("{} {}", title(&self.vulnerability), base_name(file)),
            description: format!("{head}**Source snippet:** `{from}`\n**Sink snippet:** `{to}`\n"),
            cwe: cwe(&self.cwe),
            file_path: self
                .filename
                .clone()
                .some()
                .or_else(|| sink.file.clone().some()),
            line: sink.line.0,
            sast_source_object: source.object.some(),
            sast_source_file_path: source.file.some(),
            sast_source_line: source.line.0,
            sast_sink_object: sink.object.some(),
            vuln_id_from_tool: self.similarity_id.clone().some(),
            active: Some(triage.is_open()),
            verified: Some(triage.is_confirmed()),
            false_p: Some(is_marked || !triage.is_open()),
            static_finding: true,
            dynamic_finding: true,
            ..ReportFinding::default()
        }
    }
}
