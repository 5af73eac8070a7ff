use serde::Deserialize;
use tatami_domain::EndpointError;

use super::evidence::{Evidence, notes, pairs};
use crate::kit::html;
use crate::kit::json::{OneOrMany, Text};
use crate::kit::merged::Merged;
use crate::kit::messages::Messages;
use crate::scanners::burp::words::{self, Rating, Said, sections};

const DETAIL: &str = "**Issue Detail**\n";

/// What makes issues one finding: the name, and whether it is a false positive.
pub type Key = (String, bool);

/// One issue at one place.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Issue {
    #[serde(rename = "issue_type")]
    kind: Option<IssueType>,
    description_html: Text,
    remediation_html: Text,
    severity: Text,
    confidence: Text,
    origin: Text,
    path: Text,
    evidence: OneOrMany<Evidence>,
}

/// What is known of all issues of a type.
#[derive(Default, Deserialize)]
#[serde(default)]
struct IssueType {
    name: Text,
    description_html: Text,
    remediation_html: Text,
    references_html: Text,
    vulnerability_classifications_html: Text,
}

impl Issue {
    /// Adds the issue to the finding of its name. What it returns then is what is wrong with its place.
    pub fn add_to(
        self,
        findings: &mut Merged<Key>,
        said: &mut Said,
        messages: &mut Messages,
    ) -> Result<Option<EndpointError>, String> {
        let kind = self.kind.unwrap_or_default();
        let title = kind.name.trim();
        if title.is_empty() {
            return Err("the issue has no name".into());
        }
        let Some(rating) = Rating::from_report(&self.severity) else {
            return Err(format!("\"{}\" is not a severity of Burp", &*self.severity));
        };
        let key = (title.to_owned(), rating.is_false_positive);
        let detail = html::to_text_with_links(&self.description_html);
        let is_new = said.is_new(&key, &detail);
        let finding = findings.entry(key, || {
            let mut finding = rating.finding(title);
            finding.scanner_confidence = words::confidence(&self.confidence);
            finding
        });
        // `Critical` comes first.
        finding.severity = finding.severity.min(rating.severity);
        if is_new {
            let text = &mut finding.description;
            text.push_str(if text.is_empty() { DETAIL } else { "\n\n" });
            text.push_str(&detail);
        }
        let text = html::to_text_with_links;
        words::fill(&mut finding.impact, || {
            sections(&[("Issue Background", text(&kind.description_html))])
        });
        words::fill(&mut finding.mitigation, || {
            sections(&[
                ("Remediation Detail", text(&self.remediation_html)),
                ("Remediation Background", text(&kind.remediation_html)),
            ])
        });
        let classes = &kind.vulnerability_classifications_html;
        words::fill(&mut finding.references, || {
            sections(&[
                ("References", text(&kind.references_html)),
                ("CWE Information", text(classes)),
            ])
        });
        words::set_cwes(finding, classes);
        if let Some(notes) = notes(&self.evidence.0) {
            let steps = finding.steps_to_reproduce.get_or_insert_default();
            steps.push_str(if steps.is_empty() { "" } else { "\n\n" });
            steps.push_str(&notes);
        }
        messages.add(finding, pairs(self.evidence.0));
        if self.origin.is_empty() && self.path.is_empty() {
            return Ok(None);
        }
        match words::endpoint(&self.origin, &self.path) {
            Ok(endpoint) => {
                finding.endpoints.push(endpoint);
                Ok(None)
            }
            Err(error) => Ok(Some(error)),
        }
    }
}
