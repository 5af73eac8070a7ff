//! # Trivy Operator
//!
//! The [Trivy Operator](https://aquasecurity.github.io/trivy-operator/latest/) watches a Kubernetes
//! cluster: it scans images for vulnerable packages and secrets, and resources, roles and nodes for
//! misconfigurations, and keeps the results in the cluster as custom resources.
//!
//! ## Exporting the report
//!
//! ```text
//! kubectl get vulnerabilityreports --all-namespaces -o json > report.json
//! kubectl get vulns,configaudit,exposedsecret,rbacassessment,infraassessment -A -o json > report.json
//! kubectl get clustercompliancereport cis -o json > report.json
//! ```
//!
//! ## What is read
//!
//! One custom resource, a list of them (that of Kubernetes or a plain one), an object with a list for
//! each kind (`vulnerabilityreports.aquasecurity.github.io` and so on), or several of these one after
//! the other. The resources are those of the API group `aquasecurity.github.io`, see the
//! [definitions](https://github.com/aquasecurity/trivy-operator/tree/main/pkg/apis/aquasecurity/v1alpha1):
//!
//! | kind, also with `Cluster` before it | finding |
//! |---|---|
//! | `VulnerabilityReport`, `ImageVulnerabilityReport`, … | each of `vulnerabilities` |
//! | `ConfigAuditReport`, `RbacAssessmentReport`, `InfraAssessmentReport` | each of `checks` that failed |
//! | `ExposedSecretReport` | each of `secrets` |
//! | `ClusterComplianceReport` | each failed check of the detail report, or each failed control of the summary |
//! | `SbomReport` | none: it lists components. A report of nothing else is refused |
//!
//! | in the report | in the finding |
//! |---|---|
//! | `severity`; `UNKNOWN` and `NONE` are Info | severity |
//! | `vulnerabilityID`, `resource`, `installedVersion` | title, vulnerability id, component |
//! | `fixedVersion` | mitigation, fix version |
//! | `score`, `cvss` | CVSS v3, v4; the vector is that of `cvsssource`, else of NVD, GitHub, Red Hat |
//! | `packagePath`, else the `target` of a package; `target` of a secret | file path |
//! | `checkID`, `title` | title; `KSV014` has the vulnerability id `AVD-KSV-0014` |
//! | `remediation`, `messages` | mitigation |
//! | `primaryLink` and `links`, the page of a check, `ruleID` of a secret | references |
//! | the labels for namespace, kind, name and container | service, description |
//! | namespace, `category`, `packageType`, `class` | tags |
//!
//! The service of what belongs to no namespace begins with a slash: `/ClusterRole/admin`.
//!
//! Findings are the same where title, severity, vulnerability ids and description are.

use self::compliance::{Status, spec};
use self::owner::{Metadata, Owner};
use crate::kit::json::{self, Json, Kind, Text};
use crate::{Algorithm, Dedupe, Format, HashField, Refusal, Report, Scanner, Sink, Sniff, Warning};

mod compliance;
mod owner;
mod records;

pub static SCANNERS: &[Scanner] = &[Scanner {
    scan_type: "Trivy Operator Scan",
    formats: &[Format {
        name: "JSON",
        extensions: &["json"],
    }],
    dedupe: Dedupe {
        algorithm: Algorithm::HashCode,
        fields: &[
            HashField::Title,
            HashField::Severity,
            HashField::VulnerabilityIds,
            HashField::Description,
        ],
        allows_null_cwe: true,
    },
    sarif_drivers: &[],
    detect,
    read,
}];

/// The API group of the resources.
const GROUP: &str = "aquasecurity.github.io";

/// The resources' names in the API, before the dot and the group.
const PLURALS: [&str; 12] = [
    "vulnerabilityreports",
    "configauditreports",
    "exposedsecretreports",
    "rbacassessmentreports",
    "infraassessmentreports",
    "sbomreports",
    "clustervulnerabilityreports",
    "clusterconfigauditreports",
    "clusterrbacassessmentreports",
    "clusterinfraassessmentreports",
    "clustercompliancereports",
    "clustersbomreports",
];

/// How deep lists of resources may lie in one another.
const MAX_LISTS: usize = 4;

fn detect(sniff: &Sniff<'_>) -> bool {
    let seen = sniff.json();
    let versions = ["apiVersion", "[].apiVersion", "items[].apiVersion"];
    versions
        .iter()
        .any(|path| seen.text(path).is_some_and(is_ours))
        || PLURALS
            .iter()
            .any(|plural| seen.has(&format!("{plural}.{GROUP}")))
}

fn is_ours(api_version: &str) -> bool {
    api_version
        .split_once('/')
        .is_some_and(|(group, _)| group == GROUP)
}

fn read(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let mut seen = Seen::default();
    json::read_lines(report, |json| resources(json, sink, &mut seen, 0))?;
    match seen {
        Seen {
            sboms: 0,
            known: false,
            ..
        } => {
            let message = "this holds no reports of the Trivy Operator (aquasecurity.github.io)";
            Err(Refusal::new(message).hint("export them by `kubectl get vulns -A -o json`"))
        }
        Seen {
            sboms: 1..,
            known: false,
            ..
        } => {
            let message = "this holds SbomReports only, which list components and no findings";
            Err(Refusal::new(message).hint("export the VulnerabilityReports"))
        }
        Seen { sboms: 0, .. } => Ok(()),
        Seen { sboms, .. } => {
            sink.warning(Warning {
                record: format!("{sboms} of the resources"),
                message: "SbomReports list components and no findings".into(),
            });
            Ok(())
        }
    }
}

/// What has come up.
#[derive(Default)]
struct Seen {
    /// A resource with findings, or a list that may hold some.
    known: bool,
    sboms: usize,
}

/// A resource, or a list of them.
fn resources(
    json: &mut Json<'_>,
    sink: &mut dyn Sink,
    seen: &mut Seen,
    level: usize,
) -> Result<(), Refusal> {
    match json.kind()? {
        Kind::List if level < MAX_LISTS => {
            let mut is_empty = true;
            json.list(|json| {
                is_empty = false;
                resources(json, sink, seen, level + 1)
            })?;
            seen.known |= is_empty;
            Ok(())
        }
        // The way Go writes an empty list.
        Kind::Null if level > 0 => {
            seen.known = true;
            json.skip()
        }
        Kind::Object if level < MAX_LISTS => resource(json, sink, seen, level),
        kind if level == 0 => {
            Err(json.refuse(format!("the report is {}, expected an object", kind.name())))
        }
        _ => json.expect(Kind::Object, sink).map(drop),
    }
}

fn resource(
    json: &mut Json<'_>,
    sink: &mut dyn Sink,
    seen: &mut Seen,
    level: usize,
) -> Result<(), Refusal> {
    let mut kind = None;
    let mut ours = None;
    let mut owner = None;
    let mut controls = None;
    let mut is_list = false;
    let mut has_results = false;
    // Records wait for the metadata, failed controls for their specification.
    let mut waiting = Vec::new();
    let mut status = Status::default();
    json.object(|json, key| {
        match key {
            "apiVersion" => ours = json.record::<Text>(sink)?.map(|version| is_ours(&version)),
            "kind" => kind = json.record::<Text>(sink)?.map(|kind| kind.0),
            "metadata" => {
                owner = json
                    .record::<Option<Metadata>>(sink)?
                    .flatten()
                    .map(Owner::from);
            }
            "report" if kind.as_deref().is_some_and(is_sbom) => {}
            "report" => {
                has_results |= records::read(json, sink, owner.as_ref(), &mut waiting)?;
            }
            "spec" => controls = Some(spec(json, sink)?),
            "status" => has_results |= status.read(json, sink)?,
            "items" => {
                is_list = true;
                resources(json, sink, seen, level + 1)?;
            }
            _ if key.ends_with(GROUP) && json.kind()? == Kind::List => {
                is_list = true;
                resources(json, sink, seen, level + 1)?;
            }
            _ => {}
        }
        Ok(())
    })?;
    if is_list {
        return Ok(());
    }
    if kind.as_deref().is_some_and(is_sbom) {
        seen.sboms += 1;
        return Ok(());
    }
    let kind = kind.unwrap_or_else(|| "this resource".into());
    if ours != Some(true) {
        sink.warning(json.warning(format!("{kind} is no report of the Trivy Operator")));
        return Ok(());
    }
    seen.known = true;
    if !has_results {
        sink.warning(json.warning(format!("{kind} has no results yet")));
    }
    let owner = owner.unwrap_or_default();
    for record in waiting {
        sink.finding(owner.finding(record))?;
    }
    status.send(&controls.unwrap_or_default(), sink)?;
    Ok(())
}

fn is_sbom(kind: &str) -> bool {
    matches!(kind, "SbomReport" | "ClusterSbomReport")
}

#[cfg(test)]
mod tests;
