//! The results of Snyk Code.

use std::fmt::Write as _;

use tatami_domain::{ReportFinding, Severity};

use super::schema::{Location, Outcome, Rule};
use crate::kit::text;

/// How many steps of a data flow the description shows.
const SHOWN: usize = 30;

pub fn finding(outcome: &Outcome, rule: &Rule) -> ReportFinding {
    let place = &outcome.location().physical_location;
    let uri = &*place.artifact_location.uri;
    let mut cwes = Vec::new();
    for cwe in rule.properties.cwe.0.iter().flat_map(|cwe| text::cwes(cwe)) {
        text::push_new(&mut cwes, cwe);
    }
    let suppressed = outcome.is_suppressed();
    let category = outcome
        .suppressions
        .0
        .first()
        .map(|s| &*s.properties.category);
    let harmless = category == Some("not-vulnerable");
    ReportFinding {
        title: match uri {
            "" => outcome.rule_id.0.clone(),
            uri => format!("{}_{uri}", &*outcome.rule_id),
        },
        severity: severity(outcome, rule),
        description: description(outcome, rule),
        cwe: cwes.last().copied().unwrap_or(0),
        extra_cwes: cwes
            .split_last()
            .map_or_else(Vec::new, |(_, rest)| rest.to_vec()),
        file_path: Some(uri.to_owned()).filter(|uri| !uri.is_empty()),
        line: place.region.start_line.0,
        unique_id_from_tool: fingerprint(outcome),
        vuln_id_from_tool: Some(outcome.rule_id.0.clone()),
        tags: rule.properties.tags.0.clone(),
        active: suppressed.then_some(false),
        false_p: (suppressed && harmless).then_some(true),
        risk_accepted: (suppressed && !harmless).then_some(true),
        static_finding: true,
        ..ReportFinding::default()
    }
}

/// By Snyk's priority score of up to 1000, else by the level.
fn severity(outcome: &Outcome, rule: &Rule) -> Severity {
    match outcome.properties.priority_score.0 {
        Some(0..400) => Severity::Low,
        Some(400..700) => Severity::Medium,
        Some(700..900) => Severity::High,
        Some(_) => Severity::Critical,
        None => outcome.level_severity(rule),
    }
}

/// The oldest of the fingerprints, by which Snyk's other products know a result.
fn fingerprint(outcome: &Outcome) -> Option<String> {
    let all = &outcome.fingerprints;
    let first = || all.0.first().map(|(_, value)| value);
    let found = all.get("0").or_else(|| all.get("identity")).or_else(first);
    found
        .map(|value| value.0.clone())
        .filter(|value| !value.is_empty())
}

fn description(outcome: &Outcome, rule: &Rule) -> String {
    let place = &outcome.location().physical_location;
    let number = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
    let fixable = match outcome.properties.is_autofixable.0 {
        Some(true) => "True",
        Some(false) => "False",
        None => "",
    };
    let mut out = String::new();
    for (name, value) in [
        ("rule", &*rule.short_description.text),
        ("ruleId", &*outcome.rule_id),
        ("ruleIndex", &*number(outcome.rule_index.0)),
        ("message", &*outcome.message.text),
        ("score", &*number(outcome.properties.priority_score.0)),
        ("isAutofixable", fixable),
        ("uri", &*place.artifact_location.uri),
        ("uriBaseId", &*place.artifact_location.uri_base_id),
        ("startLine", &*number(place.region.start_line.0)),
        ("endLine", &*number(place.region.end_line.0)),
        ("startColumn", &*number(place.region.start_column.0)),
        ("endColumn", &*number(place.region.end_column.0)),
    ] {
        if !value.is_empty() {
            // Writing to a string doesn't fail.
            let _ = writeln!(out, "**{name}**: {value}");
        }
    }
    let flows = outcome
        .code_flows
        .0
        .iter()
        .flat_map(|flow| &flow.thread_flows.0);
    let mut steps: Vec<String> = flows
        .flat_map(|flow| &flow.locations.0)
        .map(|step| place_of(&step.location))
        .collect();
    steps.dedup();
    if !steps.is_empty() {
        out.push_str("**data flow**:\n");
    }
    for step in steps.iter().take(SHOWN) {
        let _ = writeln!(out, "- {step}");
    }
    if steps.len() > SHOWN {
        let _ = writeln!(out, "- and {} more", steps.len() - SHOWN);
    }
    out.trim_end().to_owned()
}

/// `src/app.js:12:4`.
fn place_of(location: &Location) -> String {
    let place = &location.physical_location;
    let mut out = place.artifact_location.uri.0.clone();
    for number in [place.region.start_line.0, place.region.start_column.0]
        .into_iter()
        .flatten()
    {
        let _ = write!(out, ":{number}");
    }
    out
}
