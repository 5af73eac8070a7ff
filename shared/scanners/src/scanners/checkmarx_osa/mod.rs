//! # Checkmarx OSA
//!
//! Checkmarx Open Source Analysis (CxOSA) looks for known vulnerabilities in the libraries of a project.
//!
//! ## Getting a report
//!
//! A scan writes two files. Put them into one with [jq](https://jqlang.org/):
//!
//! ```text
//! runCxConsole.sh OsaScan ... -osajson reports
//! jq -s . CxOSAVulnerabilities.json CxOSALibraries.json > osa.json
//! ```
//!
//! Checkmarx describes both in the [schemas of its REST
//! API](https://docs.checkmarx.com/en/34965-103216-schemas.html). The order of the two doesn't matter.
//!
//! ## What becomes of it
//!
//! Each vulnerability of each library is a finding.
//!
//! | OSA | finding |
//! |---|---|
//! | library's `name` and `version`, `cveName` | title, component, vulnerability id |
//! | `severity.name`, `score` | severity (by the score where it has no name), CVSS v3 score |
//! | `description`, `recommendations`, `url` | description, mitigation, references |
//! | `id`, `publishDate` | id from the tool, date of publication |
//! | library's `confidenceLevel` 100 to 0 (per cent) | confidence 1 (certain) to 11 |
//! | `state.name` | `NOT_EXPLOITABLE` is a closed false positive; `CONFIRMED` and `URGENT` are verified |
//! | | CWE 1035, a component with known vulnerabilities |
//!
//! Findings are recognised again by their id from the tool, or by vulnerability and component.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use memchr::memmem;
use serde::Deserialize;
use tatami_domain::{ReportFinding, Severity};

use super::checkmarx::shared::Triage;
use crate::kit::json::{self, Decimal, Json, Kind, Text};
use crate::kit::{cvss, text};
use crate::{Algorithm, Dedupe, Format, HashField, Refusal, Report, Scanner, Sink, Sniff, Warning};

/// OSA's reports.
pub static SCANNERS: &[Scanner] = &[Scanner {
    scan_type: "Checkmarx OSA",
    formats: &[Format {
        name: "JSON",
        extensions: &["json"],
    }],
    dedupe: Dedupe {
        algorithm: Algorithm::UniqueIdOrHashCode,
        fields: &[HashField::VulnerabilityIds, HashField::ComponentName],
        allows_null_cwe: true,
    },
    sarif_drivers: &[],
    detect,
    read: |report: Report<'_>, sink: &mut dyn Sink| json::read(report, |json| read(json, sink)),
}];

const KNOWN_VULNERABILITY: u32 = 1035;

fn detect(sniff: &Sniff<'_>) -> bool {
    let json = sniff.json();
    if json.has_all(&["[][].cveName", "[][].severity.name", "[][].recommendations"])
        || json.has_all(&["[][].version", "[][].highUniqueVulnerabilityCount"])
    {
        return true;
    }
    // A project without vulnerabilities. Nobody else's report is two lists side by side.
    let head: Vec<u8> = sniff
        .bytes()
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    head == b"[[],[]]"
        || head.starts_with(b"[[],[{") && memmem::find(&head, b"UniqueVulnerabilityCount").is_some()
}

/// An entry of either list.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Entry {
    id: Text,
    // Of a vulnerability.
    library_id: Text,
    cve_name: Text,
    score: Decimal,
    severity: Option<Name>,
    state: Option<Name>,
    publish_date: Text,
    url: Text,
    description: Text,
    recommendations: Text,
    // Of a library.
    name: Text,
    version: Text,
    confidence_level: Decimal,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Name {
    name: Text,
}

fn read(json: &mut Json<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let mut lists = 0;
    let mut libraries = HashMap::new();
    // Vulnerabilities name their libraries, which follow.
    let mut vulnerabilities = Vec::new();
    json.list(|json| {
        lists += 1;
        if json.kind()? != Kind::List {
            return Err(json.refuse("this is not a list of two lists").hint(HINT));
        }
        json.objects(sink, |json, sink| {
            let Some(entry) = json.record::<Entry>(sink)? else {
                return Ok(());
            };
            if entry.severity.is_some() || !entry.library_id.is_empty() {
                vulnerabilities.push((json.path(), entry));
            } else if entry.id.is_empty() || entry.name.is_empty() {
                sink.warning(json.warning("is neither a vulnerability nor a library"));
            } else {
                libraries.insert(entry.id.0.clone(), entry);
            }
            Ok(())
        })
    })?;
    if lists != 2 {
        return Err(Refusal::new(format!("there are {lists} lists, expected 2")).hint(HINT));
    }
    let mut refused = None;
    let mut is_any_good = false;
    for (record, entry) in vulnerabilities {
        match finding(entry, &libraries) {
            Ok(finding) => {
                is_any_good = true;
                sink.finding(finding)?;
            }
            Err(message) => {
                refused.get_or_insert_with(|| format!("{record}: {message}"));
                sink.warning(Warning { record, message });
            }
        }
    }
    match refused {
        Some(message) if !is_any_good => Err(Refusal::new(message).hint(HINT)),
        _ => Ok(()),
    }
}

const HINT: &str = "put CxOSAVulnerabilities.json and CxOSALibraries.json together: jq -s . \
                    CxOSAVulnerabilities.json CxOSALibraries.json";

fn finding(entry: Entry, libraries: &HashMap<String, Entry>) -> Result<ReportFinding, String> {
    if entry.library_id.is_empty() {
        return Err("the vulnerability has no libraryId".into());
    }
    let Some(library) = libraries.get(&entry.library_id.0) else {
        return Err(format!("there is no library \"{}\"", &*entry.library_id));
    };
    let named = entry
        .severity
        .and_then(|severity| Severity::from_report(&severity.name));
    let Some(severity) = named.or(entry.score.0.map(cvss::severity)) else {
        return Err("the vulnerability has no severity".into());
    };
    let triage = Triage::from_report(&entry.state.unwrap_or_default().name);
    let (name, version) = (&*library.name, &*library.version);
    let cve = if entry.cve_name.is_empty() {
        "NC"
    } else {
        &entry.cve_name
    };
    Ok(ReportFinding {
        title: format!("{name} {version} | {cve}"),
        severity,
        description: entry.description.0,
        mitigation: entry.recommendations.some(),
        references: entry.url.some(),
        cwe: KNOWN_VULNERABILITY,
        vulnerability_ids: entry.cve_name.some().into_iter().collect(),
        cvssv3_score: entry.score.0,
        component_name: Some(name.to_owned()),
        component_version: Some(version.to_owned()).filter(|version| !version.is_empty()),
        unique_id_from_tool: entry.id.some(),
        publish_date: text::date(&entry.publish_date),
        scanner_confidence: library.confidence_level.0.and_then(confidence),
        active: Some(triage.is_open()),
        verified: Some(triage.is_confirmed()),
        false_p: Some(!triage.is_open()),
        static_finding: true,
        ..ReportFinding::default()
    })
}

/// Ten per cent less is one step down.
fn confidence(level: f64) -> Option<u32> {
    let steps = ((100.0 - level.clamp(0.0, 100.0)) / 10.0).round_ties_even();
    // A whole float prints as the integer.
    format!("{steps:.0}")
        .parse::<u32>()
        .ok()
        .map(|steps| steps + 1)
}
