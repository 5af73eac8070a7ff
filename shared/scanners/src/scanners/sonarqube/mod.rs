//! # SonarQube
//!
//! [SonarQube](https://www.sonarsource.com/products/sonarqube/) Server and Cloud (once SonarCloud) look
//! for vulnerabilities, bugs, code smells and security hotspots in source code.
//!
//! ## Getting a report
//!
//! - The Web API, a page at a time, `p=2` and so on being the next (see `<server>/web_api` for its
//!   description, or [that of SonarQube Cloud](https://sonarcloud.io/web_api/api/issues/search)):
//!
//!   ```text
//!   curl -u $TOKEN: "$SERVER/api/issues/search?componentKeys=$PROJECT&resolved=false&ps=500&p=1" -o issues-1.json
//!   curl -u $TOKEN: "$SERVER/api/hotspots/search?projectKey=$PROJECT&ps=500&p=1" -o hotspots-1.json
//!   ```
//!
//!   A zip archive of such pages is one report, as is one file with page after page.
//! - [sonar-report](https://github.com/soprasteria/sonar-report): its page (`--output report.html`), or
//!   its data as JSON (`--save-report-json report.json`).
//! - A SARIF log that some exporter made of SonarQube's issues, such as
//!   [sonar-tools](https://github.com/okorach/sonar-tools) (`sonar-findings-export --format sarif`).
//!
//! ## What becomes of it
//!
//! *SonarQube Scan* makes one finding of all places in a file where a rule of sonar-report's found the
//! same, and lists their lines. *SonarQube Scan detailed* has a finding for each place. Issues of the
//! Web API are findings of their own in both.
//!
//! *SonarQube Scan* recognises findings again by CWE, severity and file; *SonarQube Scan detailed* by
//! SonarQube's key for the place. Where there is no CWE or no such key, it is by title, CWE, line, file
//! and description.
//!
//! | severity in the report | in the finding |
//! |---|---|
//! | `BLOCKER`; `CRITICAL` in the Web API | Critical |
//! | `CRITICAL` in sonar-report, `HIGH` | High |
//! | `MAJOR`, `MEDIUM` | Medium |
//! | `MINOR`, `LOW` | Low |
//! | `INFO`, or none | Info |
//!
//! | sonar-report | finding |
//! |---|---|
//! | `description` (the rule's name) | title |
//! | `message` | mitigation |
//! | `component`, `line` | file path, line |
//! | the rule's text | description, CWE; its key and links are the references |
//! | `key` | unique id (detailed) |
//!
//! | Web API | finding |
//! |---|---|
//! | `rule` or `ruleKey`, `key` | title |
//! | `severity`, else `vulnerabilityProbability`, else the worst of `impacts` | severity |
//! | `component`, `line` | file path, line |
//! | message, the component, the flow of data and the like | description |
//! | `type` | tag (`bug`, `vulnerability`, `code_smell`, `hotspot`) |
//! | `creationDate`, `closeDate` | date, date of mitigation |
//! | `resolution`, `issueStatus` | `FALSE-POSITIVE`, `SAFE`: false positive; `WONTFIX`, `ACCEPTED`: risk accepted; `FIXED`, `REMOVED`: mitigated |
//!
//! [Dependency-Check's plugin](https://github.com/dependency-check/dependency-check-sonar-plugin) puts
//! the component, CVE, CVSS score and CWE into the message of its issues: they are taken from there.

mod api;
mod data;
mod dependency;
mod issue;
mod page;
mod record;
mod rule;
#[cfg(test)]
mod tests;

use tatami_domain::{ReportFinding, ReportTest};

use self::issue::Mode;
use crate::kit::archive::Archive;
use crate::kit::xml;
use crate::scanners::sarif;
use crate::{
    Algorithm, Dedupe, Format, HashField, Refusal, Report, Scanner, Sink, Sniff, Stop, Warning,
};

const DETAILED: &str = "SonarQube Scan detailed";

const FORMATS: &[Format] = &[
    Format {
        name: "JSON",
        extensions: &["json"],
    },
    Format {
        name: "HTML",
        extensions: &["html", "htm"],
    },
    Format {
        name: "Zip of JSON",
        extensions: &["zip"],
    },
];

/// The names that exporters give to the tool: SonarQube's issues as sonar-tools and most others write
/// them, those of two plugins for SonarQube and Gradle, and of sarif-sonarcloud.
const DRIVERS: &[&str] = &["SonarQube", "SonarQubeServer", "SonarLint", "SonarCloud"];

/// SonarQube's reports, with two ways to count their findings.
pub static SCANNERS: &[Scanner] = &[
    Scanner {
        scan_type: "SonarQube Scan",
        formats: FORMATS,
        dedupe: Dedupe {
            algorithm: Algorithm::HashCode,
            fields: &[HashField::Cwe, HashField::Severity, HashField::FilePath],
            allows_null_cwe: false,
        },
        sarif_drivers: DRIVERS,
        detect,
        read: |report, sink| read(report, Mode::Aggregated, sink),
    },
    Scanner {
        scan_type: DETAILED,
        formats: FORMATS,
        dedupe: Dedupe {
            algorithm: Algorithm::UniqueId,
            fields: &[],
            allows_null_cwe: true,
        },
        // A report is detected as the other one.
        sarif_drivers: &[],
        detect: |_| false,
        read: |report, sink| {
            if is_sarif(&report.sniff()) {
                return sarif::read_as(DETAILED, report, sink);
            }
            read(report, Mode::Detailed, sink)
        },
    },
];

fn detect(sniff: &Sniff<'_>) -> bool {
    match sniff.first_member() {
        Some(member) => is_one(&member),
        None => is_one(sniff),
    }
}

/// Does a file begin like one of SonarQube's or sonar-report's?
fn is_one(sniff: &Sniff<'_>) -> bool {
    page::is_one(sniff) || data::is_one(sniff.json()) || api::is_one(sniff.json())
}

fn is_sarif(sniff: &Sniff<'_>) -> bool {
    let driver = sarif::driver_of(sniff);
    driver.is_some_and(|name| DRIVERS.iter().any(|own| own.eq_ignore_ascii_case(name)))
}

fn read(report: Report<'_>, mode: Mode, sink: &mut dyn Sink) -> Result<(), Refusal> {
    if report.is_archive() {
        return read_archive(report, mode, sink);
    }
    if xml::is_markup(&report.sniff()) {
        return page::read(report, mode, sink);
    }
    if data::is_one(report.sniff().json()) {
        return data::read(report, mode, sink);
    }
    api::read(report, sink)
}

/// An archive of such files. One without any file is a report without findings.
fn read_archive(report: Report<'_>, mode: Mode, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let mut archive = Archive::open(report)?;
    let mut found = archive.names().is_empty();
    let mut others = Vec::new();
    for name in archive.names().to_vec() {
        let Some(member) = archive.member(&name)? else {
            continue;
        };
        if !is_one(&member.sniff()) {
            others.push(name);
            continue;
        }
        found = true;
        let mut sink = Member { name: &name, sink };
        read(member, mode, &mut sink).map_err(|refusal| Refusal {
            message: format!("{name}: {}", refusal.message),
            ..refusal
        })?;
    }
    if !found {
        let message = "no file in the archive is a page of SonarQube's Web API";
        return Err(Refusal::new(message).hint(api::HINT));
    }
    for name in others {
        sink.warning(Warning {
            record: name,
            message: "is not a page of SonarQube's Web API".into(),
        });
    }
    Ok(())
}

/// Names the file in an archive that a warning is about.
struct Member<'s> {
    name: &'s str,
    sink: &'s mut dyn Sink,
}

impl Sink for Member<'_> {
    fn finding(&mut self, finding: ReportFinding) -> Result<(), Stop> {
        self.sink.finding(finding)
    }

    fn warning(&mut self, warning: Warning) {
        let Warning { record, message } = match warning {
            untold if untold.is_untold() => return self.sink.warning(untold),
            told => told,
        };
        let record = format!("{}: {record}", self.name);
        self.sink.warning(Warning { record, message });
    }

    fn test(&mut self, test: ReportTest) {
        self.sink.test(test);
    }
}
