//! GitLab's report format as Checkmarx One writes it (`gl-sast`, `gl-sca`).

use std::fmt::Write as _;

use serde::Deserialize;
use tatami_domain::ReportFinding;

use crate::kit::html;
use crate::kit::json::{Int, Json, OneOrMany, Outline, Text};
use crate::kit::text;
use crate::scanners::checkmarx::shared::severity;
use crate::{Refusal, Sink};

/// Does the report's head name Checkmarx as the scanner?
pub fn is_report(json: &Outline) -> bool {
    let places = [
        "scan.scanner.id",
        "scan.scanner.name",
        "scan.scanner.vendor.name",
        "scan.analyzer.id",
        "vulnerabilities[].scanner.id",
        "vulnerabilities[].category",
    ];
    places
        .into_iter()
        .filter_map(|place| json.text(place))
        .any(is_name)
}

fn is_name(name: &str) -> bool {
    name.starts_with("Checkmarx") || name.starts_with("CxOne")
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Scan {
    scanner: Option<Tool>,
    analyzer: Option<Tool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tool {
    id: Text,
    name: Text,
}

/// Takes the `scan` of the report: is it of Checkmarx?
pub fn is_checkmarx(json: &mut Json<'_>, sink: &mut dyn Sink) -> Result<bool, Refusal> {
    let scan = json
        .record::<Option<Scan>>(sink)?
        .flatten()
        .unwrap_or_default();
    let tools = [scan.scanner, scan.analyzer].into_iter().flatten();
    Ok(tools
        .flat_map(|tool| [tool.id, tool.name])
        .any(|name| is_name(&name)))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Vulnerability {
    id: Text,
    name: Text,
    description: Text,
    severity: Text,
    solution: Text,
    identifiers: OneOrMany<Identifier>,
    links: OneOrMany<Identifier>,
    location: Option<Location>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Identifier {
    value: Text,
    url: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Location {
    file: Text,
    start_line: Int,
    end_line: Int,
    dependency: Option<Dependency>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Dependency {
    package: Option<Package>,
    version: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Package {
    name: Text,
}

pub fn read(json: &mut Json<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let Some(vulnerability) = json.record::<Vulnerability>(sink)? else {
        return Ok(());
    };
    match finding(vulnerability) {
        Ok(finding) => sink.finding(finding)?,
        Err(message) => sink.warning(json.warning(message)),
    }
    Ok(())
}

fn finding(vulnerability: Vulnerability) -> Result<ReportFinding, String> {
    let severity = severity(&vulnerability.severity)?;
    let mut identifiers = vulnerability.identifiers.0.into_iter();
    let first = identifiers.next().filter(|first| !first.value.is_empty());
    let Some(Identifier {
        value: Text(id),
        url,
        ..
    }) = first
    else {
        return Err("has no identifier".into());
    };
    let location = vulnerability.location.unwrap_or_default();
    let file = location.file.0;
    let mut description = format!("**id**: {id}\n**uri**: {file}\n");
    for (label, line) in [
        ("startLine", location.start_line),
        ("endLine", location.end_line),
    ] {
        if let Some(line) = line.0 {
            // Writing to a string doesn't fail.
            let _ = writeln!(description, "**{label}**: {line}");
        }
    }
    for text in [&vulnerability.name, &vulnerability.description] {
        if !text.trim().is_empty() {
            description.extend(["\n", &html::to_text(text), "\n"]);
        }
    }
    let dependency = location.dependency.unwrap_or_default();
    let names = [&vulnerability.name, &vulnerability.id]
        .into_iter()
        .map(|t| &**t);
    let ids = names.chain([id.as_str()]).flat_map(text::vulnerability_ids);
    let mut vulnerability_ids = Vec::new();
    for id in ids.filter(|_| dependency.package.is_some()) {
        text::push_new(&mut vulnerability_ids, id);
    }
    let links = vulnerability.links.0.into_iter().map(|link| link.url);
    let links: Vec<String> = links.chain([url]).filter_map(Text::some).collect();
    Ok(ReportFinding {
        title: format!("{id}_{file}"),
        description,
        mitigation: vulnerability.solution.some(),
        references: (!links.is_empty()).then(|| links.join("\n")),
        component_name: dependency.package.and_then(|package| package.name.some()),
        component_version: dependency.version.some(),
        vulnerability_ids,
        file_path: Some(file).filter(|file| !file.is_empty()),
        line: location.start_line.0,
        unique_id_from_tool: Some(id),
        // GitLab's format has no state: what it lists is open.
        active: None,
        verified: None,
        false_p: None,
        ..super::finding(severity, "")
    })
}
