use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    EngagementId, Finding, FindingGroupId, ImportId, JiraIssueId, ProductId, TestId, UserId,
};

/// Findings of one test that people look at as one. Which those are, the findings say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are the REST API's")]
pub struct FindingGroup {
    #[serde(skip)]
    pub id: FindingGroupId,
    pub name: String,
    pub test: TestId,
    pub engagement: EngagementId,
    pub product: ProductId,
    pub creator: Option<UserId>,
    /// The import that made it; none for one made by hand.
    pub import: Option<ImportId>,
    pub created: Timestamp,
    /// When it was renamed or findings were put into it.
    pub updated: Timestamp,
    /// Its issue in JIRA, which is also that of its findings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jira_issue: Option<JiraIssueId>,
    /// Somebody asked that it be brought into JIRA, and it wasn't yet.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub jira_push: bool,
}

impl FindingGroup {
    /// The longest name, in characters.
    pub const MAX_NAME: usize = 255;
}

/// What findings of one group have in common: the values of `group_by`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum GroupBy {
    #[serde(rename = "component_name")]
    ComponentName,
    #[serde(rename = "component_name+component_version")]
    ComponentNameAndVersion,
    #[serde(rename = "file_path")]
    FilePath,
    #[serde(rename = "finding_title")]
    FindingTitle,
    #[serde(rename = "vuln_id_from_tool")]
    VulnIdFromTool,
}

impl GroupBy {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::ComponentName,
        Self::ComponentNameAndVersion,
        Self::FilePath,
        Self::FindingTitle,
        Self::VulnIdFromTool,
    ];
    /// The names that clients use, in the order of [`GroupBy::ALL`].
    pub const NAMES: &[&str] = &[
        "component_name",
        "component_name+component_version",
        "file_path",
        "finding_title",
        "vuln_id_from_tool",
    ];

    /// The one of this name.
    pub fn parse(name: &str) -> Option<Self> {
        let at = Self::NAMES.iter().position(|known| *known == name)?;
        Self::ALL.get(at).copied()
    }

    /// The name of the group that a finding belongs into, as DefectDojo's users know it; `None` where
    /// the finding lacks what it is grouped by.
    pub fn group_of(self, finding: &Finding) -> Option<String> {
        let text = |text: &Option<String>| {
            let text = text.as_deref().map(str::trim);
            text.filter(|t| !t.is_empty()).map(str::to_owned)
        };
        let what = match self {
            Self::ComponentName => text(&finding.component_name),
            Self::ComponentNameAndVersion => {
                let none = || "None".to_owned();
                match (
                    text(&finding.component_name),
                    text(&finding.component_version),
                ) {
                    (None, None) => None,
                    (name, version) => Some(format!(
                        "{}:{}",
                        name.unwrap_or_else(none),
                        version.unwrap_or_else(none)
                    )),
                }
            }
            Self::FilePath => text(&finding.file_path).map(|path| format!("Filepath {path}")),
            Self::FindingTitle => Some(finding.title.trim().to_owned()).filter(|t| !t.is_empty()),
            Self::VulnIdFromTool => text(&finding.vuln_id_from_tool),
        };
        what.map(|what| format!("Findings in: {what}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_named_by_what_their_findings_have_in_common() {
        let finding = Finding {
            title: "Outdated".into(),
            component_name: Some("log4j".into()),
            component_version: Some("2.1".into()),
            file_path: Some("pom.xml".into()),
            vuln_id_from_tool: Some("CVE-1".into()),
            ..Finding::default()
        };
        let names = GroupBy::ALL.map(|by| by.group_of(&finding).unwrap());
        assert_eq!(
            names,
            [
                "Findings in: log4j",
                "Findings in: log4j:2.1",
                "Findings in: Filepath pom.xml",
                "Findings in: Outdated",
                "Findings in: CVE-1",
            ]
        );
        let bare = Finding {
            component_version: Some("2.1".into()),
            file_path: Some(" ".into()),
            ..Finding::default()
        };
        let names = GroupBy::ALL.map(|by| by.group_of(&bare));
        let version = Some("Findings in: None:2.1".to_owned());
        assert_eq!(names, [None, version, None, None, None]);
    }

    #[test]
    fn stored_names_are_those_that_clients_use() {
        for (by, name) in GroupBy::ALL.into_iter().zip(GroupBy::NAMES) {
            assert_eq!(serde_json::to_value(by).unwrap(), *name);
            assert_eq!(GroupBy::parse(name), Some(by));
        }
        assert_eq!(GroupBy::parse("title"), None);
    }
}
