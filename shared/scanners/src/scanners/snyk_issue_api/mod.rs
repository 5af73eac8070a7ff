//! # Snyk Issue API Scan
//!
//! The issues that [Snyk](https://snyk.io) knows of an organisation, a group or a project, of all its
//! products, as its REST API lists them.
//!
//! ## Getting the report
//!
//! ```text
//! curl -H "Authorization: token $SNYK_TOKEN" \
//!   "https://api.snyk.io/rest/orgs/$ORG/issues?version=2024-10-15&limit=100" > issues.json
//! ```
//!
//! The API answers in pages; send each of them, or their `data` as one list in one document. The format
//! follows [JSON:API](https://jsonapi.org/format/); its fields are explained in Snyk's [migration
//! guide](https://docs.snyk.io/api-end-of-life-eol-process-and-migration-guides/guides-to-migration/v1-reporting-issues-and-v1-aggregated-issues-apis-to-rest-issues-api-migration-guide).
//!
//! ## What is read
//!
//! Each element of `data` is a finding, with its `attributes`:
//!
//! | in the report | in the finding |
//! |---|---|
//! | `title`, `description` | title, description |
//! | `effective_severity_level` | severity |
//! | `classes` of source CWE | CWE, the first is the main one |
//! | `problems` | vulnerability ids; the first is the tool's vulnerability id; impact |
//! | `coordinates[].representations[].sourceLocation` | file path and line of the first; impact |
//! | `coordinates[].representations[].dependency` | component of the first; impact |
//! | `is_fixable_…`, `is_upgradeable`, `is_pinnable`, `is_patchable` | fix available |
//! | `remedies` | mitigation |
//! | `severities` of Snyk, else the first | CVSS |
//! | `risk.score` | severity justification |
//! | `created_at` | date |
//! | `ignored` | inactive false positive, verified |
//! | `status` other than `open`, `resolution.resolved_at` | mitigated |
//! | `id` | unique id from tool |
//!
//! Findings are the same where the tool's vulnerability id and file are.

mod issue;
#[cfg(test)]
mod tests;

use issue::Issue;

use crate::kit::json;
use crate::{Algorithm, Dedupe, Format, HashField, Refusal, Report, Scanner, Sink, Sniff};

pub static SCANNERS: &[Scanner] = &[Scanner {
    scan_type: "Snyk Issue API Scan",
    formats: &[Format {
        name: "JSON",
        extensions: &["json"],
    }],
    dedupe: Dedupe {
        algorithm: Algorithm::HashCode,
        fields: &[HashField::VulnIdFromTool, HashField::FilePath],
        allows_null_cwe: true,
    },
    sarif_drivers: &[],
    detect,
    read,
}];

fn detect(sniff: &Sniff<'_>) -> bool {
    let seen = sniff.json();
    let issue = seen.text("data[].type") == Some("issue")
        && seen.has("data[].attributes.effective_severity_level");
    // A page without issues only says where it comes from.
    let page = seen.text("links.self").is_some_and(|link| {
        let (path, query) = link.split_once('?').unwrap_or((link, ""));
        let owner = ["/rest/orgs/", "/rest/groups/", "/orgs/", "/groups/"];
        path.ends_with("/issues")
            && query.contains("version=")
            && owner.iter().any(|owner| path.contains(owner))
    });
    seen.has("jsonapi") && seen.has("data") && (issue || page)
}

fn read(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    json::read(report, |json| {
        let mut has_data = false;
        json.object(|json, key| {
            if key != "data" {
                return Ok(());
            }
            has_data = true;
            json.objects(sink, |json, sink| {
                let Some(issue) = json.record::<Issue>(sink)? else {
                    return Ok(());
                };
                match issue.finding() {
                    Ok(finding) => sink.finding(finding)?,
                    Err(message) => sink.warning(json.warning(message)),
                }
                Ok(())
            })
        })?;
        let refusal = || {
            Refusal::new("this is not a list of Snyk's issues: it has no \"data\"")
                .hint("send what Snyk's REST API answers to /rest/orgs/{id}/issues")
        };
        has_data.then_some(()).ok_or_else(refusal)
    })
}
