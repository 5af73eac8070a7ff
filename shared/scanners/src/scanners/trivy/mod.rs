//! # Trivy
//!
//! [Trivy](https://trivy.dev) by Aqua Security looks for vulnerable packages, misconfigurations,
//! secrets and licences in container images, file systems, repositories and Kubernetes clusters.
//!
//! ## Exporting the report
//!
//! ```text
//! trivy image --format json --output trivy.json alpine:3.20
//! trivy fs --scanners vuln,misconfig,secret,license --format json --output trivy.json .
//! trivy k8s --report all --format json --output trivy.json
//! trivy k8s --compliance k8s-cis-1.23 --report all --format json --output trivy.json
//! ```
//!
//! SARIF (`--format sarif`) is understood, too, but says less.
//!
//! ## What is read
//!
//! JSON in four shapes: schema version 2 (an object with `Results`), the list that Trivy wrote
//! before version 0.20, the Kubernetes report (an object with `ClusterName` and a list of
//! resources), and the compliance report, whose `Results` have results of their own. What a VEX
//! document or an ignore file has taken out (`ExperimentalModifiedFindings`) stays out. The [report format](https://trivy.dev/latest/docs/configuration/reporting/) is
//! Trivy's own; its Go types are in
//! [pkg/types/report.go](https://github.com/aquasecurity/trivy/blob/main/pkg/types/report.go).
//!
//! | in the report | in the finding |
//! |---|---|
//! | `Severity` | severity; `UNKNOWN` is Info. Without it, that of the CVSS score |
//! | `VulnerabilityID`, `PkgName`, `InstalledVersion` | title, vulnerability id, component |
//! | `Title`, `Target`, `Type`, `FixedVersion`, `Description` | description |
//! | `FixedVersion` | mitigation and fix version |
//! | `PkgPath`, else `Target` | file path |
//! | `CweIDs` | CWE, the first is the main one |
//! | `CVSS` | the vector and score of `SeveritySource`, else of NVD, GitHub, Red Hat, Bitnami |
//! | `Status` | impact; a `not_affected` one is mitigated, a `fixed` or `affected` one verified |
//! | `PublishedDate` | publish date |
//! | `Class`, `Type` | tags |
//! | `Namespace`, `Kind`, `Name` of a Kubernetes resource | service |
//!
//! A misconfiguration has its id as vulnerability id and shows the lines that cause it; checks that
//! passed are no findings. A secret has its line. A licence has the file that it was found in.
//!
//! Findings are the same where title, severity, vulnerability ids, CWE and description are.

use self::finding::{Context, Record};
use crate::kit::json::{self, Json, Kind, Text};
use crate::{Algorithm, Dedupe, Format, HashField, Refusal, Report, Scanner, Sink, Sniff};

mod finding;
mod schema;

pub static SCANNERS: &[Scanner] = &[Scanner {
    scan_type: "Trivy Scan",
    formats: &[
        Format {
            name: "JSON",
            extensions: &["json"],
        },
        Format {
            name: "SARIF",
            extensions: &["sarif"],
        },
    ],
    dedupe: Dedupe {
        algorithm: Algorithm::HashCode,
        fields: &[
            HashField::Title,
            HashField::Severity,
            HashField::VulnerabilityIds,
            HashField::Cwe,
            HashField::Description,
        ],
        allows_null_cwe: true,
    },
    sarif_drivers: &["Trivy"],
    detect,
    read,
}];

/// Lists of Kubernetes resources; which of them there are depends on Trivy's version.
const RESOURCES: [&str; 4] = [
    "Resources",
    "Vulnerabilities",
    "Misconfigurations",
    "Findings",
];

fn detect(sniff: &Sniff<'_>) -> bool {
    let seen = sniff.json();
    if seen.has("[]") {
        let lists = [
            "Vulnerabilities",
            "Misconfigurations",
            "Secrets",
            "Licenses",
            "Packages",
        ];
        return seen.has("[].Target")
            && (seen.has("[].Type") || lists.iter().any(|list| seen.has(&format!("[].{list}"))));
    }
    let cluster = seen.has("ClusterName") && RESOURCES.iter().any(|list| seen.has(list));
    let artifact = ["ArtifactName", "ArtifactType"]
        .iter()
        .filter(|key| seen.has(key))
        .count();
    let schema = usize::from(seen.has("SchemaVersion"));
    let compliance = seen.has_all(&["RelatedResources", "Results[].ID", "Results[].Severity"]);
    cluster || compliance || artifact > 0 && artifact + schema > 1
}

fn read(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    json::read(report, |json| {
        let recognised = match json.kind()? {
            Kind::List => legacy(json, sink)?,
            _ => current(json, sink)?,
        };
        if recognised {
            return Ok(());
        }
        Err(Refusal::new(
            "this is not a Trivy report: it has neither \"Results\" nor \"ClusterName\"",
        )
        .hint("export it by `trivy ... --format json`"))
    })
}

/// A list of results. An empty one is a report without findings.
fn legacy(json: &mut Json<'_>, sink: &mut dyn Sink) -> Result<bool, Refusal> {
    let mut results = 0;
    let mut recognised = 0;
    json.list(|json| {
        results += 1;
        let target = result(json, sink, None)?;
        recognised += usize::from(target);
        Ok(())
    })?;
    Ok(results == 0 || recognised > 0)
}

fn current(json: &mut Json<'_>, sink: &mut dyn Sink) -> Result<bool, Refusal> {
    let mut recognised = false;
    let mut is_summary = false;
    json.object(|json, key| {
        match key {
            "Results" => {
                let mut is_empty = true;
                json.list(|json| {
                    is_empty = false;
                    recognised |= result(json, sink, None)?;
                    Ok(())
                })?;
                recognised |= is_empty;
            }
            "ArtifactName" | "ArtifactType" | "ClusterName" => recognised = true,
            "SummaryControls" => is_summary = true,
            _ if RESOURCES.contains(&key) => {
                json.list(|json| {
                    recognised |= resource(json, sink)?;
                    Ok(())
                })?;
            }
            _ => {}
        }
        Ok(())
    })?;
    if is_summary {
        let message = "this is the summary of a compliance report, which has no findings";
        return Err(Refusal::new(message).hint("export it with `--report all`"));
    }
    Ok(recognised)
}

/// A Kubernetes resource with the results for it.
fn resource(json: &mut Json<'_>, sink: &mut dyn Sink) -> Result<bool, Refusal> {
    if !json.expect(Kind::Object, sink)? {
        return Ok(false);
    }
    let mut recognised = false;
    let mut name = [const { None }; 3];
    json.object(|json, key| {
        match key {
            "Namespace" => word(json, sink, &mut name[0])?,
            "Kind" => word(json, sink, &mut name[1])?,
            "Name" => word(json, sink, &mut name[2])?,
            "Error" => {
                let error = json.record::<Text>(sink)?.unwrap_or_default();
                if !error.is_empty() {
                    sink.warning(json.warning(format!("was not scanned: {}", &*error)));
                }
            }
            "Results" => {
                recognised = true;
                let parts = name.iter().flatten().map(String::as_str);
                let parts: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
                let service = parts.join(" / ");
                json.list(|json| result(json, sink, Some(&service)).map(drop))?;
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(recognised)
}

/// The records of one target, or of a control with the targets that fail it. `true` if it was one.
fn result(
    json: &mut Json<'_>,
    sink: &mut dyn Sink,
    service: Option<&str>,
) -> Result<bool, Refusal> {
    if !json.expect(Kind::Object, sink)? {
        return Ok(false);
    }
    let mut context = Context {
        service: service.map(str::to_owned),
        ..Context::default()
    };
    // Records that come before the context is whole, as in reports with their keys sorted.
    let mut waiting = Vec::new();
    let mut is_control = false;
    json.object(|json, key| match key {
        "Results" => {
            is_control = true;
            json.list(|json| result(json, sink, service).map(drop))
        }
        "Target" => word(json, sink, &mut context.target),
        "Class" => word(json, sink, &mut context.class),
        "Type" => word(json, sink, &mut context.kind),
        "Vulnerabilities" => records(json, sink, &context, &mut waiting, Record::Vulnerability),
        "Misconfigurations" => {
            records(json, sink, &context, &mut waiting, Record::Misconfiguration)
        }
        "Secrets" => records(json, sink, &context, &mut waiting, Record::Secret),
        "Licenses" => records(json, sink, &context, &mut waiting, Record::License),
        _ => Ok(()),
    })?;
    for record in waiting {
        context.send(record, sink)?;
    }
    let recognised = is_control || context.target.is_some();
    if !recognised {
        sink.warning(json.warning("has no Target"));
    }
    Ok(recognised)
}

fn word(
    json: &mut Json<'_>,
    sink: &mut dyn Sink,
    word: &mut Option<String>,
) -> Result<(), Refusal> {
    *word = json.record::<Text>(sink)?.map(|text| text.0);
    Ok(())
}

fn records<T: serde::de::DeserializeOwned + schema::Identified>(
    json: &mut Json<'_>,
    sink: &mut dyn Sink,
    context: &Context,
    waiting: &mut Vec<Record>,
    wrap: fn(T) -> Record,
) -> Result<(), Refusal> {
    let ready = context.target.is_some() && context.class.is_some() && context.kind.is_some();
    if !json.expect(Kind::List, sink)? {
        return Ok(());
    }
    json.list(|json| {
        match json.record::<T>(sink)? {
            Some(record) if record.id().is_empty() => {
                sink.warning(json.warning(format!("has no {}", T::ID)));
            }
            Some(record) if ready => context.send(wrap(record), sink)?,
            Some(record) => waiting.push(wrap(record)),
            None => {}
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests;
