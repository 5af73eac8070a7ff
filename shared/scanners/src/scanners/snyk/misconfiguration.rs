use serde::Deserialize;
use tatami_domain::{ReportFinding, Severity};

use super::project::Waiting;
use crate::kit::json::{Flag, Int, List, Text};

/// An element of `infrastructureAsCodeIssues`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Misconfiguration {
    id: Text,
    public_id: Text,
    title: Text,
    severity: Text,
    sub_type: Text,
    is_ignored: Flag,
    issue: Text,
    impact: Text,
    resolve: Text,
    documentation: Text,
    references: List,
    line_number: Int,
    /// The setting that is wrong.
    msg: Text,
}

impl Misconfiguration {
    /// `None` where nothing says what it is.
    pub fn finding(self) -> Option<Waiting> {
        let id = self.public_id.some().or(self.id.some());
        let title = self.title.some().or_else(|| id.clone())?;
        let mut lines = Vec::new();
        for (name, value) in [("Resource", self.sub_type), ("Setting", self.msg)] {
            lines.extend(value.some().map(|value| format!("**{name}:** {value}")));
        }
        let issue = self.issue.some().unwrap_or_else(|| title.clone());
        let references: Vec<_> = self
            .documentation
            .some()
            .into_iter()
            .chain(self.references.texts())
            .collect();
        let ignored = self.is_ignored.0 == Some(true);
        let finding = ReportFinding {
            title,
            severity: Severity::from_report(&self.severity).unwrap_or_default(),
            description: [vec![issue], lines].concat().join("\n"),
            impact: self.impact.some(),
            mitigation: self.resolve.some(),
            references: (!references.is_empty()).then(|| references.join("\n")),
            line: self.line_number.0.filter(|line| *line > 0),
            vuln_id_from_tool: id,
            active: ignored.then_some(false),
            risk_accepted: ignored.then_some(true),
            static_finding: true,
            ..ReportFinding::default()
        };
        Some(Waiting {
            finding,
            package: String::new(),
            advisory: None,
        })
    }
}
