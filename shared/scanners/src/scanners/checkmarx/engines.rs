//! The JSON report: `scanResults` has a section for each engine.

use serde::Deserialize;
use tatami_domain::ReportFinding;

use super::shared::{Moment, Node, Triage, cwe, flow, members, package, severity, title, word};
use crate::kit::json::{Int, Json, Kind, OneOrMany, Text};
use crate::{Refusal, Sink};

/// The sections that are read.
pub const ENGINES: [&str; 3] = ["sast", "sca", "kics"];

pub fn read(json: &mut Json<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let mut is_report = false;
    json.object(|json, key| {
        if key == "scanResults" {
            is_report |= scan_results(json, sink)?;
        }
        Ok(())
    })?;
    if is_report {
        return Ok(());
    }
    let message = "there are no \"scanResults\" by engine (sast, sca, kics)";
    let hint = "send an XML or JSON report of a scan; what the Checkmarx One command line tool \
                writes is a \"Checkmarx One Scan\"";
    Err(Refusal::new(message).hint(hint))
}

/// `true` if there is a section for an engine, or no section of any kind.
fn scan_results(json: &mut Json<'_>, sink: &mut dyn Sink) -> Result<bool, Refusal> {
    if !json.expect(Kind::Object, sink)? {
        return Ok(false);
    }
    let (mut known, mut others) = (false, false);
    json.object(|json, key| {
        if !ENGINES.contains(&key) {
            others = true;
            return Ok(());
        }
        known = true;
        match key {
            "sast" => members(json, sink, "languages", &mut |json, sink| {
                members(json, sink, "queries", &mut |json, sink| {
                    group(json, sink, sast)
                })
            }),
            "sca" => members(json, sink, "packages", &mut |json, sink| {
                group(json, sink, sca)
            }),
            _ => members(json, sink, "results", &mut |json, sink| {
                group(json, sink, kics)
            }),
        }
    })?;
    Ok(known || !others)
}

/// A query, a package or a check, with what was found of it.
#[derive(Default)]
struct Group {
    name: String,
    description: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Vulnerability {
    id: Text,
    similarity_id: Text,
    state: Text,
    severity: Text,
    cwe_id: Text,
    cwe: Text,
    cve_id: Text,
    first_found_date: Moment,
    description: Text,
    nodes: OneOrMany<Node>,
    file_name: Text,
    line: Int,
    issue_type: Text,
    actual_value: Text,
    expected_value: Text,
}

type Finish = fn(&Group, Vulnerability, ReportFinding) -> ReportFinding;

fn group(json: &mut Json<'_>, sink: &mut dyn Sink, finish: Finish) -> Result<(), Refusal> {
    let mut group = Group::default();
    let mut found = Vec::new();
    json.object(|json, key| {
        match key {
            "queryName" | "name" => group.name = word(json, sink)?,
            "description" => group.description = word(json, sink)?,
            "vulnerabilities" => json.objects(sink, |json, sink| {
                let Some(vulnerability) = json.record::<Vulnerability>(sink)? else {
                    return Ok(());
                };
                match severity(&vulnerability.severity) {
                    Ok(severity) => found.push((severity, vulnerability)),
                    Err(message) => sink.warning(json.warning(message)),
                }
                Ok(())
            })?,
            _ => {}
        }
        Ok(())
    })?;
    if group.name.trim().is_empty() && !found.is_empty() {
        sink.warning(json.warning("has no name, its vulnerabilities are left out"));
        return Ok(());
    }
    for (severity, vulnerability) in found {
        let triage = Triage::from_report(&vulnerability.state);
        let ids = [&vulnerability.id, &vulnerability.similarity_id];
        let finding = ReportFinding {
            severity,
            cwe: cwe(&vulnerability.cwe_id),
            date: vulnerability.first_found_date.0,
            unique_id_from_tool: ids
                .into_iter()
                .find(|id| !id.is_empty())
                .map(|id| id.0.clone()),
            active: Some(triage.is_open()),
            verified: Some(triage.is_confirmed()),
            false_p: Some(!triage.is_open()),
            static_finding: true,
            dynamic_finding: true,
            ..ReportFinding::default()
        };
        sink.finding(finish(&group, vulnerability, finding))?;
    }
    Ok(())
}

fn sast(query: &Group, vulnerability: Vulnerability, finding: ReportFinding) -> ReportFinding {
    let nodes = vulnerability.nodes.0;
    let sink = nodes.last();
    ReportFinding {
        title: title(&query.name),
        description: query.description.clone(),
        file_path: sink.and_then(|node| node.file_name.clone().some()),
        line: sink.and_then(|node| node.line.0),
        steps_to_reproduce: flow(&nodes),
        tags: vec!["sast".into()],
        ..finding
    }
}

fn sca(of: &Group, vulnerability: Vulnerability, finding: ReportFinding) -> ReportFinding {
    let (name, version) = package(&of.name);
    let id = vulnerability.cve_id;
    ReportFinding {
        title: format!("{name}:{version} | {}", &*id),
        description: vulnerability.description.0,
        cwe: cwe(&vulnerability.cwe).max(finding.cwe),
        component_name: Some(name.to_owned()),
        component_version: Some(version.to_owned()).filter(|version| !version.is_empty()),
        vulnerability_ids: id.some().into_iter().collect(),
        tags: vec!["sca".into()],
        ..finding
    }
}

fn kics(check: &Group, vulnerability: Vulnerability, finding: ReportFinding) -> ReportFinding {
    ReportFinding {
        title: format!("{} | {}", check.name, &*vulnerability.issue_type),
        description: vulnerability.description.0,
        mitigation: vulnerability.expected_value.some(),
        severity_justification: vulnerability.actual_value.some(),
        file_path: vulnerability.file_name.some(),
        line: vulnerability.line.0,
        tags: vec!["kics".into(), check.name.clone()],
        ..finding
    }
}
