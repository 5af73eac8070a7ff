//! What the command line tool writes: `results`, whatever engine they are of.

use serde::Deserialize;
use tatami_domain::ReportFinding;

use crate::kit::json::{Decimal, Json, OneOrMany, Text, Texts};
use crate::scanners::checkmarx::shared::{Moment, Node, cwe, flow, package, severity, title};
use crate::{Refusal, Sink};

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Outcome {
    #[serde(rename = "type")]
    engine: Text,
    id: Text,
    similarity_id: Text,
    state: Text,
    severity: Text,
    first_found_at: Moment,
    description: Text,
    data: Option<Evidence>,
    vulnerability_details: Option<Details>,
}

/// What an engine knows of its result. Each fills some of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Evidence {
    query_name: Text,
    rule_name: Text,
    rule_description: Text,
    nodes: OneOrMany<Node>,
    /// KICS and the engines of the supply chain.
    filename: Text,
    file_name: Text,
    expected_value: Text,
    value: Text,
    remediation: Text,
    remediation_additional: Text,
    /// SCA.
    package_identifier: Text,
    package_data: OneOrMany<Link>,
    recommended_version: Texts,
    /// Containers.
    package_name: Text,
    package_version: Text,
    image_file_path: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Link {
    url: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Details {
    cwe_id: Text,
    cve_name: Text,
    cvss_score: Decimal,
    cvss: Option<Cvss>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Cvss {
    version: Text,
}

pub fn read(json: &mut Json<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let Some(outcome) = json.record::<Outcome>(sink)? else {
        return Ok(());
    };
    match finding(outcome) {
        Ok(finding) => sink.finding(finding)?,
        Err(message) => sink.warning(json.warning(message)),
    }
    Ok(())
}

fn finding(outcome: Outcome) -> Result<ReportFinding, String> {
    let Outcome {
        engine,
        id,
        similarity_id,
        ..
    } = outcome;
    if engine.is_empty() {
        return Err("has no type, so it is no Checkmarx result".into());
    }
    let severity = severity(&outcome.severity)?;
    let data = outcome.data.unwrap_or_default();
    let details = outcome.vulnerability_details.unwrap_or_default();
    let name = [&data.query_name, &data.rule_name]
        .into_iter()
        .find(|name| !name.is_empty());
    let id = if id.is_empty() { similarity_id } else { id };
    let described = [outcome.description, data.rule_description];
    let description = match described.into_iter().find(|text| !text.trim().is_empty()) {
        Some(text) => text.0,
        None => format!("{severity} {}", title(name.unwrap_or(&id))),
    };
    let first = data.nodes.0.first().map(|node| node.file_name.clone());
    let files = [
        first.unwrap_or_default(),
        data.filename,
        data.file_name,
        data.image_file_path,
    ];
    let advice = [
        data.expected_value,
        data.remediation,
        data.remediation_additional,
    ];
    let fix = data
        .recommended_version
        .first()
        .filter(|version| !version.is_empty());
    let advice = advice.into_iter().filter_map(Text::some);
    let advice: Vec<String> = advice
        .chain(fix.map(|v| format!("Upgrade to {v}")))
        .collect();
    let links: Vec<String> = data
        .package_data
        .0
        .into_iter()
        .filter_map(|l| l.url.some())
        .collect();

    let mut finding = ReportFinding {
        title: description.clone(),
        description,
        mitigation: (!advice.is_empty()).then(|| advice.join("\n\n")),
        references: (!links.is_empty()).then(|| links.join("\n")),
        steps_to_reproduce: flow(&data.nodes.0),
        severity_justification: data.value.some(),
        cwe: cwe(&details.cwe_id),
        file_path: files.into_iter().find_map(Text::some),
        fix_version: fix.map(str::to_owned),
        date: outcome.first_found_at.0,
        tags: vec![engine.0.clone()],
        dynamic_finding: true,
        ..super::finding(severity, &outcome.state)
    };
    let is_package = !data.package_identifier.is_empty() || !data.package_name.is_empty();
    if is_package {
        let (name, version) = match &*data.package_name {
            "" => package(&data.package_identifier),
            name => (name, &*data.package_version),
        };
        finding.component_name = Some(name.to_owned());
        finding.component_version = Some(version.to_owned()).filter(|v| !v.is_empty());
        // SCA's id of a result is that of the vulnerability.
        finding.vulnerability_ids = [details.cve_name.some(), id.clone().some()]
            .into_iter()
            .flatten()
            .take(1)
            .collect();
    }
    match details.cvss.unwrap_or_default().version.split('.').next() {
        Some("4") => finding.cvssv4_score = details.cvss_score.0,
        Some("3") => finding.cvssv3_score = details.cvss_score.0,
        _ => {}
    }
    finding.unique_id_from_tool = id.some();
    Ok(finding)
}
