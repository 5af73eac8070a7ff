//! # Snyk Scan
//!
//! [Snyk](https://snyk.io) looks for vulnerable dependencies and unwanted licences (Open Source), for
//! vulnerable packages in images (Container), and for misconfigurations (Infrastructure as Code).
//!
//! ## Exporting the report
//!
//! ```text
//! snyk test --all-projects --json-file-output=snyk.json
//! snyk container test alpine:3.20 --json-file-output=snyk.json
//! snyk iac test --json-file-output=snyk.json
//! ```
//!
//! `--sarif-file-output` is read too, but it says less: one path of each vulnerability, and no CVSS
//! vector. The log of `snyk code test` belongs to the scan type `Snyk Code Scan`; sent as `Snyk Scan` it
//! is read in the same way.
//!
//! ## What is read
//!
//! One project, as an object, or a list of them. The format is what the CLI writes: see its [options and
//! output](https://docs.snyk.io/developer-tools/snyk-cli/commands/test) and the source of its
//! [JSON](https://github.com/snyk/cli/blob/main/src/lib/formatters/test/format-test-results.ts) and
//! [SARIF](https://github.com/snyk/cli/blob/main/src/lib/formatters/open-source-sarif-output.ts) output.
//!
//! Each element of `vulnerabilities`, that is, each path to a vulnerable package, is a finding; also those
//! of an image's `applications`, and, with `--group-issues`, each of the paths in `from`.
//!
//! | in the report | in the finding |
//! |---|---|
//! | first of `from` and `title` | title |
//! | `cvssScore`, else `severityWithCritical`, else `severity` | severity |
//! | `packageName`, `version` | component |
//! | `from` without versions, joined by ` > ` | file path |
//! | `description`; its section *Remediation* | description; mitigation |
//! | `remediation.upgrade` of the project, where it names the package | mitigation, tag `upgrade_to:…` |
//! | `displayTargetFile` | mitigation, tag `target_file:…` |
//! | `identifiers` | vulnerability ids (CVE) and CWEs; without one CWE-1035, a vulnerable component |
//! | `CVSSv3` or `cvssSources`, `cvssScore`; `epssDetails` | CVSS; EPSS |
//! | `id` | the tool's vulnerability id, and a link to Snyk's database |
//! | `fixedIn`, `publicationTime` | fix version, publish date |
//!
//! A misconfiguration (`infrastructureAsCodeIssues`) has the file as its path and the line; an ignored one
//! is an accepted risk. A project that Snyk could not test is a warning; alone, it refuses the report.
//!
//! Findings are the same where the tool's vulnerability id, file path and component are.

mod code;
mod issue;
pub mod log;
mod misconfiguration;
mod project;
mod schema;
#[cfg(test)]
mod tests;

use crate::kit::json::{self, Kind};
use crate::{Algorithm, Dedupe, Format, HashField, Refusal, Report, Scanner, Sink, Sniff};

use self::project::Read;

pub static SCANNERS: &[Scanner] = &[Scanner {
    scan_type: "Snyk Scan",
    formats: &[
        Format {
            name: "JSON",
            extensions: &["json"],
        },
        Format {
            name: "SARIF",
            extensions: &["sarif", "json"],
        },
    ],
    dedupe: Dedupe {
        algorithm: Algorithm::HashCode,
        fields: &[
            HashField::VulnIdFromTool,
            HashField::FilePath,
            HashField::ComponentName,
            HashField::ComponentVersion,
        ],
        allows_null_cwe: true,
    },
    sarif_drivers: log::DEPENDENCY_DRIVERS,
    detect,
    read,
}];

fn detect(sniff: &Sniff<'_>) -> bool {
    let seen = sniff.json();
    if log::is_of(sniff, log::DEPENDENCY_DRIVERS) {
        return true;
    }
    let project = if seen.has("[]") { "[]." } else { "" };
    let has = |key: &str| seen.has(&format!("{project}{key}"));
    let issue = |key: &str| has(&format!("vulnerabilities[].{key}"));
    // Issues come first, and the head may end within them.
    let by_issue = issue("id") && issue("from") && (issue("upgradePath") || issue("isUpgradable"));
    let by_project = has("ok") && has("dependencyCount") && has("policy") && has("org");
    let of_files = has("infrastructureAsCodeIssues")
        || has("targetFilePath") && has("filesystemPolicy") && has("licensesPolicy");
    has("vulnerabilities") && (by_issue || by_project || of_files)
}

fn read(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    json::read(report, |json| {
        if json.kind()? != Kind::List {
            return match project::read(json, sink)? {
                Read::Whole => Ok(()),
                Read::Failed(error) => Err(failed(&error)),
                Read::Unknown => Err(unknown()),
            };
        }
        let mut read_any = false;
        let mut first_error = None;
        json.objects(sink, |json, sink| {
            match project::read(json, sink)? {
                Read::Whole => read_any = true,
                Read::Failed(error) => {
                    sink.warning(json.warning(project::not_tested(&error)));
                    first_error.get_or_insert(error);
                }
                Read::Unknown => sink.warning(json.warning("is no result of `snyk test`")),
            }
            Ok(())
        })?;
        match first_error {
            _ if read_any => Ok(()),
            Some(error) => Err(failed(&error)),
            None => Err(unknown()),
        }
    })
}

fn failed(error: &str) -> Refusal {
    Refusal::new(format!("Snyk could not test the project: {error}"))
        .hint("see to it that the scan succeeds, then send its report")
}

fn unknown() -> Refusal {
    Refusal::new("this is not a report of Snyk: it has no \"vulnerabilities\"")
        .hint("export it by `snyk test --json-file-output=snyk.json`")
}
