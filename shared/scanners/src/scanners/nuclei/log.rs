//! The SARIF export. Its results are of the kind `open`, and say which host they are of in words only;
//! see [its source](https://github.com/projectdiscovery/nuclei/blob/dev/pkg/reporting/exporters/sarif/sarif.go).

use serde::Deserialize;
use tatami_domain::{Endpoint, ReportFinding, Severity};

use super::event::Findings;
use crate::kit::json::{self, OneOrMany, Text};
use crate::kit::sarif::{self, Visitor};
use crate::kit::text;
use crate::{Refusal, Report, Sink, Sniff, Stop, Warning};

/// Is it the head of a log of Nuclei?
pub fn is_nuclei(sniff: &Sniff<'_>) -> bool {
    let driver = sniff.json().text("runs[].tool.driver.name");
    driver.is_some_and(|name| name.eq_ignore_ascii_case("Nuclei"))
}

pub fn read(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let mut findings = Findings::default();
    json::read(report, |json| {
        json.object(|json, key| match key {
            "runs" => sarif::runs(json, sink, &mut findings),
            _ => Ok(()),
        })
    })?;
    findings.hand_over(sink)?;
    Ok(())
}

impl Visitor for Findings {
    type Tool = Tool;
    type Outcome = Outcome;

    fn outcome(
        &mut self,
        tool: &Tool,
        outcome: Outcome,
        place: &str,
        sink: &mut dyn Sink,
    ) -> Result<(), Stop> {
        let mut warn = |message: String| {
            let record = place.to_owned();
            sink.warning(Warning { record, message });
        };
        let id = &outcome.rule_id;
        if id.is_empty() {
            warn("has no ruleId".into());
            return Ok(());
        }
        let endpoint = match outcome.address() {
            None => None,
            Some(address) => Endpoint::parse(&address)
                .map_err(|error| warn(error.to_string()))
                .ok(),
        };
        let rule = tool.driver.rules.0.iter().find(|rule| rule.id == *id);
        let key = [id.0.clone(), String::new(), String::new()];
        self.put(key, endpoint, None, || outcome.finding(rule));
        Ok(())
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Tool {
    driver: Driver,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Driver {
    rules: OneOrMany<Rule>,
}

/// A template.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Rule {
    id: Text,
    name: Text,
    full_description: Message,
    properties: Properties,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Properties {
    security_severity: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message {
    text: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Outcome {
    rule_id: Text,
    level: Text,
    message: Message,
    locations: OneOrMany<Location>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Location {
    message: Message,
}

impl Outcome {
    /// Host and path, which Nuclei joins as if both were paths: `https:/app.test/login`.
    fn address(&self) -> Option<String> {
        let joined = self
            .locations
            .0
            .first()
            .map(|location| location.message.text.trim());
        let joined = joined.filter(|text| !text.is_empty())?;
        Some(match joined.split_once(":/") {
            Some((scheme, rest)) if !rest.starts_with('/') => format!("{scheme}://{rest}"),
            _ => joined.to_owned(),
        })
    }

    fn finding(&self, rule: Option<&Rule>) -> ReportFinding {
        let default = Rule::default();
        let rule = rule.unwrap_or(&default);
        let titles = [&rule.name, &self.message.text, &self.rule_id];
        let title = titles.into_iter().find(|title| !title.is_empty());
        let parts = [&self.message.text, &rule.full_description.text];
        let parts: Vec<_> = parts
            .into_iter()
            .map(|part| part.trim())
            .filter(|part| !part.is_empty())
            .collect();
        ReportFinding {
            title: title.map(|title| title.0.clone()).unwrap_or_default(),
            severity: self.severity(rule),
            description: parts.join("\n\n"),
            vulnerability_ids: text::cve(&self.rule_id).into_iter().collect(),
            vuln_id_from_tool: Some(self.rule_id.0.clone()),
            dynamic_finding: true,
            ..ReportFinding::default()
        }
    }

    /// Nuclei writes its five severities as the numbers 9.4, 8, 5, 2 and 1, and an unknown one as 9.5.
    fn severity(&self, rule: &Rule) -> Severity {
        match (&*rule.properties.security_severity, &*self.level) {
            ("9.4", _) => Severity::Critical,
            ("8", _) | ("", "error") => Severity::High,
            ("5", _) | ("", "warning") => Severity::Medium,
            ("2", _) | ("", "note") => Severity::Low,
            _ => Severity::Info,
        }
    }
}
