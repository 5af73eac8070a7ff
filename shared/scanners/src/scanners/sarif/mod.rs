//! # SARIF
//!
//! The Static Analysis Results Interchange Format is the common language of code scanners: `CodeQL`,
//! Semgrep, Checkov, gosec, njsscan, `SpotBugs`, Grype, dependency-check, clang and many more write
//! it.
//!
//! ## Exporting the report
//!
//! Most tools have an option for it, such as `semgrep scan --sarif --output report.sarif`,
//! `codeql database analyze --format=sarif-latest --output=report.sarif` or
//! `grype -o sarif <image>`.
//!
//! ## What is read
//!
//! SARIF 2.1.0 in JSON, see the
//! [standard](https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html) and its
//! [schema](https://json.schemastore.org/sarif-2.1.0.json). All runs of a log are read; a result is
//! a finding at each of its locations, or one without a place. Results of another kind than `fail`
//! are no findings. The import is stored under the test type of the first run's tool: `CodeQL`
//! becomes `CodeQL Scan (SARIF)`.
//!
//! | in the report | in the finding |
//! |---|---|
//! | `message` with its arguments, else the rule's description, name or id | title |
//! | `level`, else the rule's: `error`, `warning`, `note`, `none` | severity: High, Medium, Info, Info |
//! | the rule's `security-severity` | severity by the CVSS scale, and the CVSS score |
//! | `cvssv3_vector`, `cvssv40_vector` of the rule's properties | CVSS |
//! | message, snippet, logical location of what has no file, rule name and descriptions, the last code flow | description |
//! | first location: `uri`, `startLine` | file path, line |
//! | `ruleId` | the tool's vulnerability id; a CVE in it is a vulnerability id |
//! | CWEs in the result's properties, else in the rule's relationships, tags and properties, else in `taxa` | CWE |
//! | `helpUri`, else a link in `help` | references |
//! | `fixes` | mitigation |
//! | `fingerprints` (the first), else `partialFingerprints` (all) | unique id from tool |
//! | `tags` of rule and result | tags |
//! | `suppressions` that are not rejected or under review | false positive, inactive |
//! | `baselineState` `absent` | mitigated, inactive |
//! | `webRequest`, `webResponse` | request and response |
//! | end of the run's last invocation | date |
//!
//! A log of a tool that has a scan type of its own, such as Trivy, is read for that. There a message
//! that names a package line by line (`Package: …`, `Installed Version: …`) gives title, component and
//! severity.
//!
//! Findings are the same where the unique id is, or title, CWE, line, file path and description.

use self::run::Run;
use self::schema::{Artifact, Invocation, Outcome, Tool};
use crate::kit::json::{self, Json, Kind, OneOrMany, Text};
use crate::kit::text;
use crate::{Algorithm, Dedupe, Format, Refusal, Report, Scanner, Sink, Sniff, all};

mod describe;
mod facts;
mod package;
mod run;
mod schema;

const SCAN_TYPE: &str = "SARIF";

pub static SCANNERS: &[Scanner] = &[Scanner {
    scan_type: SCAN_TYPE,
    formats: &[Format {
        name: "SARIF",
        extensions: &["sarif", "json"],
    }],
    dedupe: Dedupe {
        algorithm: Algorithm::UniqueIdOrHashCode,
        fields: &[],
        allows_null_cwe: true,
    },
    sarif_drivers: &[],
    detect,
    read,
}];

fn detect(sniff: &Sniff<'_>) -> bool {
    let seen = sniff.json();
    let says_so =
        |text: Option<&str>| text.is_some_and(|t| t.to_ascii_lowercase().contains("sarif"));
    let is_sarif = seen.has("runs[].tool.driver")
        || says_so(seen.text("$schema"))
        || seen.text("version") == Some("2.1.0");
    seen.has("runs") && is_sarif && !all().any(|scanner| scanner.writes_sarif(sniff))
}

/// The name of the tool that wrote a SARIF log, where its head is that far. (A log that is one has
/// `runs[].tool.driver`.)
pub fn driver_of<'s>(sniff: &'s Sniff<'_>) -> Option<&'s str> {
    sniff.json().text("runs[].tool.driver.name")
}

fn read(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    read_as(SCAN_TYPE, report, sink)
}

/// Reads a SARIF log for a scan type, whose name goes into that of the test type.
pub fn read_as(scan_type: &str, report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    if scan_type == SCAN_TYPE {
        return read_log(scan_type, report, sink);
    }
    read_log(scan_type, report, &mut package::Named { sink })
}

fn read_log(scan_type: &str, report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    json::read(report, |json| {
        let mut runs = None;
        json.object(|json, key| match key {
            "version" => {
                let version = json.value::<Text>()?;
                if version.starts_with("2.1") {
                    return Ok(());
                }
                let message = format!("SARIF version \"{}\" cannot be read", &*version);
                Err(json.refuse(message).hint("export version 2.1.0"))
            }
            "runs" => {
                let mut count = 0;
                json.list(|json| {
                    count += 1;
                    run(json, sink, (count == 1).then_some(scan_type))
                })?;
                runs = Some(count);
                Ok(())
            }
            _ => Ok(()),
        })?;
        let refusal = || Refusal::new("this is not a SARIF log: it has no \"runs\"");
        runs.map(drop).ok_or_else(refusal)
    })
}

/// Reads one run. `test`: it is the first one, whose tool names the test type for this scan type.
fn run(json: &mut Json<'_>, sink: &mut dyn Sink, test: Option<&str>) -> Result<(), Refusal> {
    if !json.expect(Kind::Object, sink)? {
        return Ok(());
    }
    let mut tool = None;
    let mut dated = None;
    let mut artifacts = Vec::new();
    // Members come in any order, and results need the rules, the date and the files of the run.
    let mut waiting: Vec<(String, Outcome)> = Vec::new();
    let mut run: Option<Run> = None;
    let mut has_results = false;
    let mut undecided = 0;
    json.object(|json, key| {
        match key {
            "tool" => {
                tool = Some(
                    json.record::<Option<Tool>>(sink)?
                        .flatten()
                        .unwrap_or_default(),
                );
            }
            "invocations" => {
                let all = json
                    .record::<OneOrMany<Invocation>>(sink)?
                    .unwrap_or_default();
                dated = Some(all.0.last().and_then(|last| {
                    text::date(&last.end_time_utc).or_else(|| text::date(&last.start_time_utc))
                }));
            }
            "artifacts" => json.list(|json| {
                let artifact = json.record::<Artifact>(sink)?.unwrap_or_default();
                artifacts.push(artifact.location.uri.0);
                Ok(())
            })?,
            "results" if json.kind()? != Kind::Null => {
                has_results = true;
                if let (Some(date), true, None) = (dated, tool.is_some(), &run) {
                    run = tool
                        .take()
                        .map(|tool| Run::new(tool, date, std::mem::take(&mut artifacts)));
                }
                json.list(|json| {
                    let place = json.path();
                    let outcome = json.record::<Outcome>(sink)?;
                    let is_undecided = |o: &Outcome| matches!(&*o.kind, "open" | "review");
                    undecided += u64::from(outcome.as_ref().is_some_and(is_undecided));
                    match (outcome, &run) {
                        (Some(outcome), Some(run)) if run.has_files_of(&outcome) => {
                            run.send(&place, &outcome, sink)?;
                        }
                        (Some(outcome), _) => waiting.push((place, outcome)),
                        (None, _) => {}
                    }
                    Ok(())
                })?;
            }
            _ => {}
        }
        Ok(())
    })?;
    if !has_results {
        sink.warning(json.warning("has no results: did the tool run to its end?"));
    }
    if undecided > 0 {
        let message =
            format!("{undecided} results are open or to be reviewed: they are no findings");
        sink.warning(json.warning(message));
    }
    let run = match run {
        Some(mut run) => {
            run.artifacts.append(&mut artifacts);
            run
        }
        None => Run::new(tool.unwrap_or_default(), dated.flatten(), artifacts),
    };
    if let Some(scan_type) = test {
        run.tell_test(scan_type, sink);
    }
    for (place, outcome) in waiting {
        run.send(&place, &outcome, sink)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
