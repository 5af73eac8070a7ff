//! The parts of a SARIF log that a finding has room for. The section numbers are those of the
//! SARIF 2.1.0 specification.

use serde::Deserialize;

use crate::kit::json::{Int, OneOrMany, Pairs, Text, Texts, nullable};

/// The tool of a run, 3.18.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Tool {
    #[serde(deserialize_with = "nullable")]
    pub driver: Component,
    pub extensions: OneOrMany<Component>,
}

/// The driver or a plug-in, 3.19.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Component {
    pub name: Text,
    pub version: Text,
    pub rules: OneOrMany<Rule>,
    pub global_message_strings: Pairs<Message>,
}

/// A reporting descriptor, 3.49.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Rule {
    pub id: Text,
    pub name: Option<Text>,
    pub short_description: Option<Message>,
    pub full_description: Option<Message>,
    pub help_uri: Text,
    #[serde(deserialize_with = "nullable")]
    pub help: Message,
    pub message_strings: Pairs<Message>,
    #[serde(deserialize_with = "nullable")]
    pub default_configuration: Configuration,
    pub relationships: OneOrMany<Relationship>,
    #[serde(deserialize_with = "nullable")]
    pub properties: Properties,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Configuration {
    pub level: Text,
}

/// Relates a rule to another one or to an entry of a taxonomy such as CWE, 3.53.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Relationship {
    #[serde(deserialize_with = "nullable")]
    pub target: Reference,
}

/// Points at a rule, 3.52.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Reference {
    pub id: Text,
    pub index: Int,
    #[serde(deserialize_with = "nullable")]
    pub tool_component: ComponentReference,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ComponentReference {
    pub name: Text,
    pub index: Int,
}

/// A message or a message string, 3.11 and 3.12.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Message {
    pub text: Text,
    pub markdown: Text,
    pub id: Text,
    pub arguments: OneOrMany<Text>,
}

/// What tools hang on to rules and results, 3.8. Nothing of it is bound by the standard.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Properties {
    pub tags: Texts,
    pub cwe: Texts,
    #[serde(rename = "security-severity")]
    pub security_severity: Texts,
    pub cvssv3_vector: Texts,
    pub cvssv40_vector: Texts,
}

/// An execution of the tool, 3.20.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Invocation {
    pub start_time_utc: Text,
    pub end_time_utc: Text,
}

/// A file, 3.24.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Artifact {
    #[serde(deserialize_with = "nullable")]
    pub location: ArtifactLocation,
}

/// 3.4.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ArtifactLocation {
    pub uri: Text,
    pub index: Int,
}

/// A result, 3.27.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Outcome {
    pub rule_id: Text,
    pub rule_index: Int,
    #[serde(deserialize_with = "nullable")]
    pub rule: Reference,
    pub kind: Text,
    pub level: Text,
    #[serde(deserialize_with = "nullable")]
    pub message: Message,
    pub locations: OneOrMany<Location>,
    pub code_flows: OneOrMany<CodeFlow>,
    /// Texts by the standard; some tools wrap them in an object.
    pub fingerprints: Pairs<Texts>,
    pub partial_fingerprints: Pairs<Texts>,
    pub suppressions: OneOrMany<Suppression>,
    pub baseline_state: Text,
    pub taxa: OneOrMany<Reference>,
    pub fixes: OneOrMany<Fix>,
    pub web_request: Option<WebMessage>,
    pub web_response: Option<WebMessage>,
    #[serde(deserialize_with = "nullable")]
    pub properties: Properties,
}

/// 3.28.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(clippy::struct_field_names, reason = "the names are the standard's")]
pub struct Location {
    #[serde(deserialize_with = "nullable")]
    pub physical_location: PhysicalLocation,
    pub logical_locations: OneOrMany<LogicalLocation>,
    #[serde(deserialize_with = "nullable")]
    pub message: Message,
}

/// A function, a module, an XML element, ..., 3.33.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LogicalLocation {
    pub name: Text,
    pub fully_qualified_name: Text,
}

/// 3.29.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PhysicalLocation {
    #[serde(deserialize_with = "nullable")]
    pub artifact_location: ArtifactLocation,
    #[serde(deserialize_with = "nullable")]
    pub region: Region,
    #[serde(deserialize_with = "nullable")]
    pub context_region: Region,
}

/// 3.30.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Region {
    pub start_line: Int,
    pub start_column: Int,
    pub snippet: Option<Snippet>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Snippet {
    pub text: Option<Text>,
}

impl Region {
    /// The code, where the report carries it.
    pub fn code(&self) -> Option<&str> {
        self.snippet.as_ref()?.text.as_deref()
    }
}

/// 3.36.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CodeFlow {
    pub thread_flows: OneOrMany<ThreadFlow>,
}

/// 3.37.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ThreadFlow {
    pub locations: OneOrMany<Place>,
}

/// 3.38.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Place {
    #[serde(deserialize_with = "nullable")]
    pub location: Location,
}

/// 3.35; `state` is the name that drafts had for `status`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Suppression {
    #[serde(alias = "state")]
    pub status: Text,
}

/// 3.55.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Fix {
    #[serde(deserialize_with = "nullable")]
    pub description: Message,
}

/// A request, 3.46, or a response, 3.47.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WebMessage {
    pub method: Text,
    pub target: Text,
    pub protocol: Text,
    pub version: Text,
    pub status_code: Text,
    pub reason_phrase: Text,
    pub headers: Pairs<Text>,
    #[serde(deserialize_with = "nullable")]
    pub body: Snippet,
}

impl WebMessage {
    /// As it went over the wire.
    pub fn text(&self) -> String {
        let protocol = match (&*self.protocol, &*self.version) {
            ("", _) | (_, "") => self.protocol.0.clone(),
            (protocol, version) => format!("{protocol}/{version}"),
        };
        let first = if self.method.is_empty() {
            [&*protocol, &*self.status_code, &*self.reason_phrase]
        } else {
            [&*self.method, &*self.target, &*protocol]
        };
        let mut text = first.join(" ").trim().to_owned();
        for (name, value) in &self.headers.0 {
            text.extend(["\n", name, ": ", &**value]);
        }
        if let Some(body) = self.body.text.as_deref().filter(|body| !body.is_empty()) {
            text.extend(["\n\n", body]);
        }
        text
    }
}
