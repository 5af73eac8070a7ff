//! Whom a report is about.

use serde::Deserialize;
use tatami_domain::ReportFinding;

use super::records::Record;
use crate::kit::json::{OneOrMany, Pairs, Text};

/// The part of a resource's metadata that says what it reports on.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata {
    labels: Pairs<Text>,
    /// Hold what a label's value mustn't, such as the colons in the name of a role.
    annotations: Pairs<Text>,
    namespace: Text,
    owner_references: OneOrMany<Reference>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reference {
    name: Text,
}

/// The Kubernetes resource that was looked at.
#[derive(Debug, Default)]
pub struct Owner {
    namespace: String,
    kind: String,
    name: String,
    container: String,
}

impl From<Metadata> for Owner {
    fn from(metadata: Metadata) -> Self {
        let labelled = |what: &str| -> Option<String> {
            let label = format!("trivy-operator.{what}");
            let found = metadata
                .labels
                .get(&label)
                .or_else(|| metadata.annotations.get(&label));
            found.cloned().and_then(Text::some)
        };
        Self {
            namespace: labelled("resource.namespace")
                .unwrap_or_else(|| metadata.namespace.0.clone()),
            kind: labelled("resource.kind").unwrap_or_default(),
            name: labelled("resource.name")
                .or_else(|| {
                    metadata
                        .owner_references
                        .0
                        .first()
                        .map(|owner| owner.name.0.clone())
                })
                .unwrap_or_default(),
            container: labelled("container.name").unwrap_or_default(),
        }
    }
}

impl Owner {
    /// The finding with what all findings about this resource have in common.
    pub fn finding(&self, record: Record) -> ReportFinding {
        let mut finding = record.finding();
        finding.description.push_str(&self.described());
        finding.service = self.service();
        if !self.namespace.is_empty() {
            finding.tags.insert(0, self.namespace.clone());
        }
        finding
    }

    /// `namespace/kind/name`, and `/container` for one that runs in it.
    fn service(&self) -> Option<String> {
        if self.kind.is_empty() && self.name.is_empty() {
            return None;
        }
        let mut service = format!("{}/{}/{}", self.namespace, self.kind, self.name);
        if !self.container.is_empty() {
            service.push('/');
            service.push_str(&self.container);
        }
        Some(service)
    }

    fn described(&self) -> String {
        let parts = [
            ("container.name", &self.container),
            ("resource.kind", &self.kind),
            ("resource.name", &self.name),
            ("resource.namespace", &self.namespace),
        ];
        let mut text = String::new();
        for (label, value) in parts.iter().filter(|(_, value)| !value.is_empty()) {
            text.extend(["\n**", label, ":** ", value]);
        }
        text
    }
}
