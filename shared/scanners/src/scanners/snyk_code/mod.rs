//! # Snyk Code Scan
//!
//! [Snyk Code](https://snyk.io/product/snyk-code/) looks for flaws in source code.
//!
//! ## Exporting the report
//!
//! ```text
//! snyk code test --sarif-file-output=snyk-code.sarif
//! snyk code test --json-file-output=snyk-code.json
//! ```
//!
//! Both are the same: a SARIF log of the tool `SnykCode`, see the [CLI's
//! documentation](https://docs.snyk.io/developer-tools/snyk-cli/commands/code-test) and
//! [SARIF 2.1.0](https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html).
//!
//! ## What is read
//!
//! | in the report | in the finding |
//! |---|---|
//! | `ruleId` and file | title |
//! | `ruleId` | the tool's vulnerability id |
//! | `properties.priorityScore` from 900, 700, 400, below | severity: Critical, High, Medium, Low |
//! | `level`, where there is no score: `error`, `warning`, `note` | severity: High, Medium, Low |
//! | message, rule, place, data flow | description |
//! | `uri`, `startLine` of the location | file path, line |
//! | `cwe` of the rule, the last being the main one | CWE |
//! | `tags` of the rule | tags |
//! | `fingerprints`: `0`, else `identity` | unique id from tool |
//! | accepted `suppressions` | inactive: false positive if `not-vulnerable`, else accepted risk |
//!
//! The import is stored under the test type of the log's tool, `SnykCode Scan (Snyk Code Scan)`. Logs of
//! Snyk's other products are of the scan type `Snyk Scan`; sent as this one they are read all the same.
//!
//! Findings are the same where rule and file are.

#[cfg(test)]
mod tests;

use super::snyk::log;
use crate::kit::json;
use crate::{Algorithm, Dedupe, Format, HashField, Refusal, Report, Scanner, Sink, Sniff};

const SCAN_TYPE: &str = "Snyk Code Scan";

const DRIVERS: &[&str] = &["SnykCode", "Snyk Code"];

pub static SCANNERS: &[Scanner] = &[Scanner {
    scan_type: SCAN_TYPE,
    formats: &[Format {
        name: "SARIF",
        extensions: &["sarif", "json"],
    }],
    dedupe: Dedupe {
        algorithm: Algorithm::HashCode,
        fields: &[HashField::VulnIdFromTool, HashField::FilePath],
        allows_null_cwe: true,
    },
    sarif_drivers: DRIVERS,
    detect,
    read,
}];

fn detect(sniff: &Sniff<'_>) -> bool {
    log::is_of(sniff, DRIVERS)
}

fn read(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    json::read(report, |json| {
        let mut has_runs = false;
        json.object(|json, key| {
            if key == "runs" {
                has_runs = true;
                log::runs(json, sink, Some(SCAN_TYPE))?;
            }
            Ok(())
        })?;
        let refusal = || {
            Refusal::new("this is not a log of Snyk Code: it has no \"runs\"")
                .hint("export it by `snyk code test --sarif-file-output=snyk-code.sarif`")
        };
        has_runs.then_some(()).ok_or_else(refusal)
    })
}
