//! An issue or a hotspot of the Web API.

use std::fmt::Write as _;

use serde::Deserialize;
use tatami_domain::{ReportFinding, Severity};

use super::dependency::Dependency;
use super::issue;
use crate::kit::json::{Int, List, OneOrMany, Text};
use crate::kit::text;

/// What an issue was found in, mostly a file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Component {
    pub key: Text,
    qualifier: Text,
    name: Text,
    long_name: Text,
    path: Text,
}

/// An issue, or a hotspot: they have most of their fields in common.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Issue {
    key: Text,
    #[serde(alias = "ruleKey")]
    rule: Text,
    severity: Text,
    vulnerability_probability: Text,
    impacts: OneOrMany<Impact>,
    pub component: Text,
    project: Text,
    line: Int,
    text_range: Option<TextRange>,
    flows: OneOrMany<Flow>,
    status: Text,
    resolution: Text,
    #[serde(rename = "issueStatus")]
    decision: Text,
    message: Text,
    tags: List,
    #[serde(rename = "type")]
    kind: Text,
    scope: Text,
    quick_fix_available: Text,
    security_category: Text,
    creation_date: Text,
    /// Only of closed ones.
    close_date: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Impact {
    severity: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct TextRange {
    start_line: Int,
    end_line: Int,
    start_offset: Int,
    end_offset: Int,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Flow {
    locations: OneOrMany<Location>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Location {
    component: Text,
    text_range: Option<TextRange>,
    msg: Text,
}

impl Issue {
    /// What the finding is called. Older servers don't name the rule of a hotspot.
    pub fn name(&self) -> Option<&str> {
        let names = [&self.rule, &self.security_category];
        names
            .into_iter()
            .map(|name| name.trim())
            .find(|name| !name.is_empty())
    }

    fn is_hotspot(&self) -> bool {
        !self.vulnerability_probability.is_empty() || &*self.kind == "SECURITY_HOTSPOT"
    }

    /// An issue without any is Info; `Err` is what is none.
    pub fn severity(&self) -> Result<Severity, &str> {
        let stated = [&*self.severity, &*self.vulnerability_probability];
        match stated.into_iter().find(|text| !text.trim().is_empty()) {
            // DefectDojo keeps the name here, though sonar-report's `CRITICAL` is High there, too.
            Some("CRITICAL") => Ok(Severity::Critical),
            Some(stated) => issue::severity(stated).ok_or(stated),
            None => {
                let impacts = self.impacts.0.iter();
                let impacts = impacts.filter_map(|impact| issue::severity(&impact.severity));
                Ok(impacts.min().unwrap_or(Severity::Info))
            }
        }
    }

    pub fn finding(&self, component: Option<&Component>) -> ReportFinding {
        let dependency = Dependency::of(&self.message);
        let mut cwes = dependency.cwes.into_iter();
        let mut finding = ReportFinding {
            title: format!("{}_{}", self.name().unwrap_or_default(), &*self.key),
            severity: self.severity().unwrap_or(Severity::Info),
            description: self.description(component),
            cwe: cwes.next().unwrap_or(0),
            extra_cwes: cwes.collect(),
            vulnerability_ids: dependency.vulnerability_ids,
            cvssv3_score: dependency.score,
            component_name: dependency.name,
            component_version: dependency.version,
            file_path: self.component.clone().some(),
            line: self.line.0,
            date: text::date(&self.creation_date),
            mitigated: text::date(&self.close_date),
            static_finding: true,
            ..ReportFinding::default()
        };
        if self.is_hotspot() {
            finding.tags.push("hotspot".into());
        } else if !self.kind.is_empty() {
            finding.tags.push(self.kind.to_ascii_lowercase());
        }
        self.set_state(&mut finding);
        finding
    }

    /// What was decided in SonarQube. An acknowledged hotspot is still a risk.
    fn set_state(&self, finding: &mut ReportFinding) {
        let state = match (&*self.resolution, &*self.decision) {
            ("FALSE-POSITIVE" | "SAFE", _) | (_, "FALSE_POSITIVE") => &mut finding.false_p,
            ("WONTFIX", _) | (_, "ACCEPTED") => &mut finding.risk_accepted,
            ("FIXED" | "REMOVED", _) | (_, "FIXED") => &mut finding.is_mitigated,
            _ if matches!(&*self.status, "RESOLVED" | "CLOSED") => &mut finding.is_mitigated,
            _ => return,
        };
        *state = Some(true);
        finding.active = Some(false);
    }

    /// Not the status: it changes while the issue is the same, which the description tells.
    fn description(&self, component: Option<&Component>) -> String {
        let unknown = Component::default();
        let component = component.unwrap_or(&unknown);
        let line = self.line.0.map(|line| line.to_string()).unwrap_or_default();
        let range = self
            .text_range
            .as_ref()
            .map(TextRange::describe)
            .unwrap_or_default();
        let tags: Vec<&str> = self.tags.0.iter().map(|tag| &**tag).collect();
        let mut flows = String::new();
        for flow in &self.flows.0 {
            flows.push('\n');
            flow.locations
                .0
                .iter()
                .for_each(|location| location.describe(&mut flows));
        }
        let mut text = String::new();
        for (label, value) in [
            ("key", &*self.key),
            ("rule", &*self.rule),
            ("message", self.message.trim()),
            ("component", &*self.component),
            ("qualifier", &*component.qualifier),
            ("name", &*component.name),
            ("longName", &*component.long_name),
            ("path", &*component.path),
            ("project", &*self.project),
            ("line", &line),
            ("textRange", &range),
            ("securityCategory", &*self.security_category),
            ("vulnerabilityProbability", &*self.vulnerability_probability),
            ("type", &*self.kind),
            ("scope", &*self.scope),
            ("quickFixAvailable", &*self.quick_fix_available),
            ("tags", &tags.join(", ")),
            ("flows", flows.trim_end()),
        ] {
            if !value.is_empty() {
                // Writing to a string doesn't fail.
                let _ = writeln!(text, "**{label}:** {value}");
            }
        }
        text
    }
}

impl TextRange {
    fn describe(&self) -> String {
        let parts = [
            ("startLine", self.start_line),
            ("endLine", self.end_line),
            ("startOffset", self.start_offset),
            ("endOffset", self.end_offset),
        ];
        let known = parts
            .iter()
            .filter_map(|(name, Int(n))| n.map(|n| format!("{name}: {n}")));
        known.collect::<Vec<_>>().join(", ")
    }
}

impl Location {
    fn describe(&self, text: &mut String) {
        let range = self
            .text_range
            .as_ref()
            .map(TextRange::describe)
            .unwrap_or_default();
        let parts = [&*self.component, &range, &*self.msg];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let _ = writeln!(text, "* {}", parts.join(" - "));
    }
}
