//! The parts of Snyk's SARIF logs that a finding has room for.

use std::sync::LazyLock;

use serde::Deserialize;
use tatami_domain::Severity;

use crate::kit::json::{Flag, Int, OneOrMany, Pairs, Text, Texts};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Tool {
    pub driver: Driver,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Driver {
    pub name: Text,
    pub version: Text,
    pub semantic_version: Text,
    pub rules: OneOrMany<Rule>,
}

impl Driver {
    /// By its place where that is right, else by its id.
    pub fn rule_of(&self, outcome: &Outcome) -> Option<&Rule> {
        let index = outcome
            .rule_index
            .0
            .and_then(|index| usize::try_from(index).ok());
        let at_index = index.and_then(|index| self.rules.0.get(index));
        let is_it = |rule: &&Rule| rule.id == outcome.rule_id;
        at_index
            .filter(is_it)
            .or_else(|| self.rules.0.iter().find(is_it))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Rule {
    pub id: Text,
    pub short_description: Message,
    pub full_description: Message,
    pub help: Message,
    pub help_uri: Text,
    pub default_configuration: Configuration,
    pub properties: RuleProperties,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Configuration {
    pub level: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RuleProperties {
    pub tags: Texts,
    pub cwe: Texts,
    #[serde(rename = "security-severity")]
    pub security_severity: Texts,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Message {
    pub text: Text,
    pub markdown: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Outcome {
    pub rule_id: Text,
    pub rule_index: Int,
    pub level: Text,
    pub message: Message,
    pub locations: OneOrMany<Location>,
    pub fingerprints: Pairs<Text>,
    pub code_flows: OneOrMany<CodeFlow>,
    pub suppressions: OneOrMany<Suppression>,
    pub fixes: OneOrMany<Fix>,
    pub properties: OutcomeProperties,
}

impl Outcome {
    /// Where it is: Snyk names one place.
    pub fn location(&self) -> &Location {
        static NOWHERE: LazyLock<Location> = LazyLock::new(Location::default);
        self.locations.0.first().unwrap_or(&NOWHERE)
    }

    /// Snyk's levels: `note` is a low severity, `error` a high or critical one.
    pub fn level_severity(&self, rule: &Rule) -> Severity {
        let level = match &*self.level {
            "" => &rule.default_configuration.level,
            level => level,
        };
        match level {
            "error" => Severity::High,
            "note" => Severity::Low,
            "none" => Severity::Info,
            _ => Severity::Medium,
        }
    }

    /// Ignored, and not merely asked to be.
    pub fn is_suppressed(&self) -> bool {
        let accepted = |s: &Suppression| matches!(&*s.status, "" | "accepted");
        self.suppressions.0.iter().any(accepted)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OutcomeProperties {
    pub priority_score: Int,
    pub is_autofixable: Flag,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Location {
    pub physical_location: PhysicalLocation,
    pub logical_locations: OneOrMany<LogicalLocation>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PhysicalLocation {
    pub artifact_location: ArtifactLocation,
    pub region: Region,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ArtifactLocation {
    pub uri: Text,
    pub uri_base_id: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Region {
    pub start_line: Int,
    pub end_line: Int,
    pub start_column: Int,
    pub end_column: Int,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LogicalLocation {
    pub fully_qualified_name: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CodeFlow {
    pub thread_flows: OneOrMany<ThreadFlow>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ThreadFlow {
    pub locations: OneOrMany<Step>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Step {
    pub location: Location,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Suppression {
    pub status: Text,
    pub properties: SuppressionProperties,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SuppressionProperties {
    pub category: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Fix {
    pub description: Message,
}
