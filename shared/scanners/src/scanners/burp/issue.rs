use std::fmt::Write as _;

use tatami_domain::{Endpoint, RequestResponse};

use super::words::{self, Rating};
use crate::Refusal;
use crate::kit::merged::Merged;
use crate::kit::messages::Messages;
use crate::kit::xml::Xml;
use crate::kit::{base64, html};

/// The type of everything that extensions report.
const EXTENSION: &str = "134217728";

/// Enough of the parameters for one finding.
const MAX_PARAM: usize = 1000;

/// What makes issues one finding.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Key {
    kind: String,
    name: Option<String>,
    is_false_positive: bool,
}

/// One issue at one place.
#[derive(Default)]
pub struct Issue {
    serial: String,
    kind: String,
    name: String,
    host: String,
    path: String,
    location: String,
    severity: String,
    confidence: String,
    background: String,
    remediation_background: String,
    references: String,
    classifications: String,
    detail: String,
    remediation_detail: String,
    /// What else Burp saw: its Collaborator's and Infiltrator's events, data flows in scripts.
    evidence: String,
    messages: Vec<RequestResponse>,
}

impl Issue {
    /// Reads the `<issue>` the cursor has just entered.
    pub fn read(xml: &mut Xml<'_>) -> Result<Self, Refusal> {
        let mut issue = Self::default();
        let level = xml.level();
        while xml.next_in(level)? {
            let field = match xml.name() {
                "serialNumber" => &mut issue.serial,
                "type" => &mut issue.kind,
                "name" => &mut issue.name,
                "host" => &mut issue.host,
                "path" => &mut issue.path,
                "location" => &mut issue.location,
                "severity" => &mut issue.severity,
                "confidence" => &mut issue.confidence,
                "issueBackground" => &mut issue.background,
                "remediationBackground" => &mut issue.remediation_background,
                "references" => &mut issue.references,
                "vulnerabilityClassifications" => &mut issue.classifications,
                "issueDetail" => &mut issue.detail,
                "remediationDetail" => &mut issue.remediation_detail,
                "requestresponse" => {
                    issue.messages.push(exchange(xml)?);
                    continue;
                }
                "collaboratorEvent" | "infiltratorEvent" | "staticAnalysis" | "dynamicAnalysis" => {
                    issue.read_evidence(xml)?;
                    continue;
                }
                _ => continue,
            };
            *field = xml.text()?;
        }
        Ok(issue)
    }

    /// Reads an element of facts: a line `name: value` for each, and the messages among them.
    fn read_evidence(&mut self, xml: &mut Xml<'_>) -> Result<(), Refusal> {
        // Writing to a string doesn't fail.
        let _ = writeln!(self.evidence, "\n{}:", label(xml.name()));
        let level = xml.level();
        while xml.next_in(level)? {
            match xml.name() {
                "requestresponse" => self.messages.push(exchange(xml)?),
                "collaboratorEvent" | "smtp" | "recipients" | "codeSnippets" => {
                    self.read_evidence(xml)?;
                }
                name => {
                    let label = label(name);
                    let value = xml.text()?;
                    if !value.trim().is_empty() {
                        let _ = writeln!(self.evidence, "{label}: {}", value.trim());
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds the issue to the finding of its type.
    pub fn add_to(self, findings: &mut Merged<Key>, messages: &mut Messages) -> Result<(), String> {
        let title = self.name.trim();
        if title.is_empty() {
            return Err("the issue has no name".into());
        }
        let Some(rating) = Rating::from_report(&self.severity) else {
            return Err(format!(
                "\"{}\" is not a severity of Burp",
                self.severity.trim()
            ));
        };
        let kind = self.kind.trim();
        let is_shared = kind == EXTENSION || kind.is_empty();
        let key = Key {
            kind: kind.to_owned(),
            name: is_shared.then(|| title.to_owned()),
            is_false_positive: rating.is_false_positive,
        };
        let some = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_owned());
        let finding = findings.entry(key, || {
            let mut finding = rating.finding(title);
            finding.vuln_id_from_tool = some(kind);
            finding.unique_id_from_tool = some(&self.serial);
            finding.scanner_confidence = words::confidence(&self.confidence);
            finding
        });
        // `Critical` comes first.
        finding.severity = finding.severity.min(rating.severity);
        self.describe(&mut finding.description);
        words::fill(&mut finding.impact, || html::to_text(&self.background));
        words::fill(&mut finding.mitigation, || self.mitigation());
        words::fill(&mut finding.references, || {
            html::to_text_with_links(&self.references)
        });
        words::set_cwes(finding, &self.classifications);
        add_param(&mut finding.param, self.param());
        messages.add(finding, self.messages);
        match Endpoint::parse(&self.host) {
            Ok(endpoint) => finding.endpoints.push(endpoint),
            Err(_) if self.host.trim().is_empty() => {}
            Err(error) => return Err(error.to_string()),
        }
        Ok(())
    }

    fn describe(&self, description: &mut String) {
        if !description.is_empty() {
            description.push_str("\n\n");
        }
        let _ = write!(description, "URL: {}{}", self.host.trim(), self.path.trim());
        for text in [html::to_text(&self.detail).trim(), self.evidence.trim()] {
            if !text.is_empty() {
                let _ = write!(description, "\n\n{text}");
            }
        }
    }

    fn mitigation(&self) -> String {
        let detail = html::to_text_with_links(&self.remediation_detail);
        let background = html::to_text_with_links(&self.remediation_background);
        format!("{detail}\n\n{background}").trim().to_owned()
    }

    /// The parameter in `/login [username parameter]`. Addresses are encoded and have no spaces.
    fn param(&self) -> Option<&str> {
        let (_, rest) = self.location.trim().split_once(" [")?;
        rest.strip_suffix(']').filter(|param| !param.is_empty())
    }
}

fn add_param(all: &mut Option<String>, param: Option<&str>) {
    let Some(param) = param else {
        return;
    };
    match all {
        Some(all) if all.len() > MAX_PARAM => {}
        Some(all) => all.insert_str(0, &format!("{param}, ")),
        None => *all = Some(param.to_owned()),
    }
}

/// Reads the `<requestresponse>` the cursor has just entered.
fn exchange(xml: &mut Xml<'_>) -> Result<RequestResponse, Refusal> {
    let mut exchange = RequestResponse::default();
    let level = xml.level();
    while xml.next_in(level)? {
        match xml.name() {
            "request" => exchange.request = message(xml)?,
            "response" => exchange.response = message(xml)?,
            _ => {}
        }
    }
    Ok(exchange)
}

/// Base64 is how Burp keeps bytes that XML cannot hold.
fn message(xml: &mut Xml<'_>) -> Result<String, Refusal> {
    let is_encoded = xml.attr("base64").as_deref() == Some("true");
    let text = xml.text()?;
    let decoded = is_encoded.then(|| base64::text(&text)).flatten();
    Ok(decoded.unwrap_or(text))
}

/// `originIp` as `Origin ip`.
fn label(name: &str) -> String {
    let mut label = String::with_capacity(name.len() + 2);
    for (at, letter) in name.char_indices() {
        if at == 0 {
            label.push(letter.to_ascii_uppercase());
        } else {
            if letter.is_ascii_uppercase() {
                label.push(' ');
            }
            label.push(letter.to_ascii_lowercase());
        }
    }
    label
}
