//! What sonar-report tells, as a page or as JSON: issues, and the rules that found them.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde::Deserialize;
use tatami_domain::{ReportFinding, Severity};

use super::rule::Rule;
use crate::kit::json::{Int, Text};
use crate::kit::text;
use crate::{Sink, Stop};

/// Which findings are made of issues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One for the issues of a rule in a file.
    Aggregated,
    /// One for each.
    Detailed,
}

/// An issue or a hotspot.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Issue {
    pub rule: Text,
    pub severity: Text,
    pub component: Text,
    pub line: Int,
    /// The rule's name; `/` where sonar-report doesn't know the rule.
    pub description: Text,
    pub message: Text,
    pub key: Text,
}

/// The issues in a report. sonar-report lists 10,000 at most, so they may wait for their rules.
#[derive(Debug, Default)]
pub struct Issues {
    list: Vec<(Issue, Severity)>,
}

impl Issues {
    /// Takes an issue. What is wrong with it goes to `warn`.
    pub fn add(&mut self, issue: Issue, warn: impl FnOnce(String)) {
        let stated = issue.severity.trim();
        let severity = match severity(stated) {
            Some(severity) => severity,
            None if issue.description.is_empty() && issue.message.is_empty() => {
                return warn("has neither description nor message".into());
            }
            // So it is written where neither the issue nor its rule has one.
            None if stated.is_empty() || stated == "undefined" => Severity::Info,
            None => {
                warn(format!("\"{stated}\" is not a severity"));
                Severity::Info
            }
        };
        self.list.push((issue, severity));
    }

    /// The keys of the rules that found something.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|(issue, _)| &*issue.rule)
    }

    pub fn hand_over(
        self,
        rules: &HashMap<String, Rule>,
        mode: Mode,
        sink: &mut dyn Sink,
    ) -> Result<(), Stop> {
        let unknown = Rule::default();
        let rule_of = |issue: &Issue| rules.get(&*issue.rule).unwrap_or(&unknown);
        if mode == Mode::Detailed {
            for (issue, severity) in self.list {
                let mut finding = issue.finding(rule_of(&issue), severity);
                finding.line = issue.line.0;
                finding.mitigation = issue.message.some();
                finding.unique_id_from_tool = issue.key.some();
                sink.finding(finding)?;
            }
            return Ok(());
        }
        let mut places = HashMap::new();
        let mut groups: Vec<Group> = Vec::new();
        for (issue, severity) in self.list {
            let (line, message) = (issue.line.0, issue.message.clone());
            let key = [&issue.rule, &issue.description, &issue.component].map(Text::clone);
            let at = *places.entry(key).or_insert(groups.len());
            if at == groups.len() {
                groups.push(Group::new(issue, severity));
            }
            if let Some(group) = groups.get_mut(at) {
                group.add(line, message);
            }
        }
        for group in groups {
            sink.finding(group.finding(rule_of(&group.first)))?;
        }
        Ok(())
    }
}

/// Issues that are one finding.
struct Group {
    first: Issue,
    severity: Severity,
    count: u32,
    lines: Vec<u64>,
    messages: Vec<String>,
}

impl Group {
    fn new(first: Issue, severity: Severity) -> Self {
        Self {
            first,
            severity,
            count: 0,
            lines: Vec::new(),
            messages: Vec::new(),
        }
    }

    fn add(&mut self, line: Option<u64>, message: Text) {
        self.count += 1;
        self.lines.extend(line);
        if let Some(message) = message.some() {
            text::push_new(&mut self.messages, message);
        }
    }

    fn finding(&self, rule: &Rule) -> ReportFinding {
        let mut finding = self.first.finding(rule, self.severity);
        if !self.lines.is_empty() {
            // A finding without CWE is recognised by its description, too: so it is spelt elsewhere.
            finding.description.push_str("\n\n-----\nOccurences:");
        }
        for line in &self.lines {
            // Writing to a string doesn't fail.
            let _ = write!(finding.description, "\nLine: {line}");
        }
        finding.mitigation = Some(self.messages.join("\n______\n")).filter(|m| !m.is_empty());
        finding.nb_occurences = Some(self.count);
        finding
    }
}

impl Issue {
    /// What both kinds of findings have.
    fn finding(&self, rule: &Rule, severity: Severity) -> ReportFinding {
        let title = [&self.description, &self.message]
            .into_iter()
            .find(|t| !t.is_empty());
        let description = if rule.text.is_empty() {
            "No description provided"
        } else {
            &rule.text
        };
        let mut references: Vec<&str> = vec![self.rule.trim()];
        references.extend(rule.links.iter().map(String::as_str));
        ReportFinding {
            title: title.map(|title| title.0.clone()).unwrap_or_default(),
            severity,
            description: description.to_owned(),
            references: Some(references.join("\n")).filter(|r| !r.is_empty()),
            cwe: rule.cwes.first().copied().unwrap_or(0),
            extra_cwes: rule.cwes.iter().skip(1).copied().collect(),
            file_path: self.component.clone().some(),
            static_finding: true,
            ..ReportFinding::default()
        }
    }
}

/// Severities of issues, probabilities of hotspots and impacts.
pub fn severity(text: &str) -> Option<Severity> {
    Some(match text.trim().to_ascii_uppercase().as_str() {
        "BLOCKER" => Severity::Critical,
        "CRITICAL" | "HIGH" => Severity::High,
        "MAJOR" | "MEDIUM" => Severity::Medium,
        "MINOR" | "LOW" => Severity::Low,
        "INFO" => Severity::Info,
        _ => return None,
    })
}
