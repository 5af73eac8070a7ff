//! JIRA: where it is, what goes there, and which issue is which finding's.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    EngagementId, Finding, FindingGroupId, FindingId, JiraInstanceId, JiraIssueId, JiraProjectId,
    JiraPushId, ProductId, Severity, SystemSettings, UserId,
};

/// Where a JIRA is and how one signs in there.
///
/// The names are the REST API's, which keeps the documents; what isn't set there has its default here.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are the REST API's")]
pub struct JiraInstance {
    #[serde(skip)]
    pub id: JiraInstanceId,
    pub configuration_name: Option<String>,
    pub url: String,
    /// A user, or the address of an account of Atlassian's; empty with a personal access token.
    pub username: String,
    /// Password, API token or personal access token; encrypted.
    pub password: Option<String>,
    /// `basic` or `bearer` (a personal access token).
    pub authentication: Option<String>,
    /// `cloud` or `data_center`; found out by the first call where it isn't said.
    pub deployment: Option<String>,
    pub default_issue_type: Option<String>,
    /// What counts where a project has none.
    pub issue_template_dir: Option<String>,
    /// The number of the custom field "Epic Name"; 0 where there is none.
    pub epic_name_id: u64,
    /// The transition that reopens an issue; 0: whichever leads out of the states that are done.
    pub open_status_key: u64,
    /// The transition that closes an issue; 0: whichever leads into a state that is done.
    pub close_status_key: u64,
    pub info_mapping_severity: String,
    pub low_mapping_severity: String,
    pub medium_mapping_severity: String,
    pub high_mapping_severity: String,
    pub critical_mapping_severity: String,
    /// Is added to each description.
    pub finding_text: Option<String>,
    /// Names of resolutions, separated by commas, that mean that the risk is accepted.
    pub accepted_mapping_resolution: Option<String>,
    /// The same for false positives.
    pub false_positive_mapping_resolution: Option<String>,
    /// Do issues get a comment when their finding comes due? A project says so as well.
    pub global_jira_sla_notification: bool,
    /// Do later changes of a finding go into its issue by themselves?
    pub finding_jira_sync: bool,
}

impl JiraInstance {
    /// The priority that issues of a severity have.
    pub fn priority(&self, severity: Severity) -> &str {
        match severity {
            Severity::Critical => &self.critical_mapping_severity,
            Severity::High => &self.high_mapping_severity,
            Severity::Medium => &self.medium_mapping_severity,
            Severity::Low => &self.low_mapping_severity,
            Severity::Info => &self.info_mapping_severity,
        }
    }

    /// What a resolution in JIRA says of a finding.
    pub fn verdict(&self, resolution: Option<&str>) -> JiraVerdict {
        let Some(resolution) = resolution.map(str::trim) else {
            return JiraVerdict::Mitigated;
        };
        let names = |list: &Option<String>| {
            let mut names = list.as_deref().unwrap_or_default().split(',');
            names.any(|name| name.trim().to_lowercase() == resolution.to_lowercase())
        };
        if names(&self.accepted_mapping_resolution) {
            JiraVerdict::RiskAccepted
        } else if names(&self.false_positive_mapping_resolution) {
            JiraVerdict::FalsePositive
        } else {
            JiraVerdict::Mitigated
        }
    }
}

/// What becomes of a finding whose issue is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JiraVerdict {
    /// It was fixed.
    Mitigated,
    /// Its risk is taken.
    RiskAccepted,
    /// It never was one.
    FalsePositive,
}

/// What of a product, or of one engagement, goes into which project of which JIRA.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are the REST API's")]
pub struct JiraProject {
    #[serde(skip)]
    pub id: JiraProjectId,
    pub jira_instance: Option<JiraInstanceId>,
    pub product: Option<ProductId>,
    /// An engagement's own settings, which overrule the product's; without an instance or a key of their own
    /// they go where the product's go.
    pub engagement: Option<EngagementId>,
    pub project_key: Option<String>,
    /// `issue_with_description` or `issue_without_description` as in DefectDojo; else with it.
    pub issue_template_dir: Option<String>,
    pub component: Option<String>,
    pub custom_fields: Option<Map<String, Value>>,
    pub close_transition_fields: Option<Map<String, Value>>,
    pub reopen_transition_fields: Option<Map<String, Value>>,
    pub default_assignee: Option<String>,
    /// Separated by spaces.
    pub jira_labels: Option<String>,
    pub add_vulnerability_id_to_jira_label: bool,
    /// Does every finding that may have an issue get one by itself?
    pub push_all_issues: bool,
    pub enable_engagement_epic_mapping: bool,
    pub epic_issue_type_name: Option<String>,
    pub push_notes: bool,
    pub product_jira_sla_notification: bool,
    pub risk_acceptance_expiration_notification: bool,
    pub enabled: bool,
}

/// What an issue is the issue of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JiraObject {
    /// A finding.
    Finding(FindingId),
    /// Several findings of one test.
    FindingGroup(FindingGroupId),
    /// An engagement: its epic.
    Engagement(EngagementId),
}

/// An issue in JIRA, and whose it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JiraIssue {
    /// Part of the key, not of the document.
    #[serde(skip)]
    pub id: JiraIssueId,
    /// Whose it is.
    pub object: JiraObject,
    /// The product of that.
    pub product: ProductId,
    /// The settings it was made under; `None` where they are gone.
    pub project: Option<JiraProjectId>,
    /// Where it is.
    pub instance: JiraInstanceId,
    /// JIRA's id of it, which it keeps for ever.
    pub jira_id: String,
    /// Its key, which changes when it moves into another project.
    pub jira_key: String,
    /// When it was made, or linked.
    pub created: Timestamp,
    /// When it was last changed in JIRA, as far as is known.
    pub changed: Option<Timestamp>,
    /// Were both sides open when they last agreed?
    pub open: bool,
    /// Was it in progress in JIRA then?
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_progress: bool,
    /// The name of its status in JIRA.
    #[serde(default)]
    pub status: String,
    /// Of the fields that were last sent, so that the same isn't sent again; empty: none was.
    #[serde(default)]
    pub sent: String,
    /// Why the last try to bring it up to date failed; `None`: it didn't.
    #[serde(default)]
    pub error: Option<String>,
}

/// An order of somebody's to bring several things into JIRA, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JiraPush {
    /// Part of the key, not of the document.
    #[serde(skip)]
    pub id: JiraPushId,
    /// Who ordered it.
    pub by: Option<UserId>,
    /// When.
    pub created: Timestamp,
    /// When all of it was done.
    pub finished: Option<Timestamp>,
    /// A priority in the place of that of the severity.
    pub priority: Option<String>,
    /// An assignee in the place of the project's.
    pub assignee: Option<String>,
    /// A comment on each, in which `{title}`, `{severity}`, `{id}` and `{url}` are filled in.
    pub comment: Option<String>,
    /// The name of an epic, in the place of its engagement's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// One for each thing, in the order of the request.
    pub results: Vec<JiraPushResult>,
}

/// What became of one thing of an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JiraPushResult {
    /// Which.
    pub object: JiraObject,
    /// Is it through?
    pub done: bool,
    /// Key of its issue.
    pub jira_key: Option<String>,
    /// Why it has none, or isn't as ordered.
    pub error: Option<String>,
}

/// What a finding knows of JIRA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FindingJira {
    /// Its issue, or that of its group.
    #[serde(rename = "i", skip_serializing_if = "Option::is_none")]
    pub issue: Option<JiraIssueId>,
    /// Somebody asked that it be brought there, and it wasn't yet.
    #[serde(rename = "p", skip_serializing_if = "std::ops::Not::not")]
    pub push: bool,
    /// Its issue is in progress.
    #[serde(rename = "w", skip_serializing_if = "std::ops::Not::not")]
    pub in_progress: bool,
}

impl FindingJira {
    /// Has it nothing to do with JIRA?
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Why a finding may not have an issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WhyNot {
    /// It's another finding's duplicate, whose issue stands for both.
    #[error("the finding is a duplicate: push its original")]
    Duplicate,
    /// It is closed.
    #[error("the finding is not active")]
    Inactive,
    /// Findings have to be verified first.
    #[error("the finding is not verified, which the system settings ask for")]
    Unverified,
    /// It's less severe than issues are.
    #[error("the severity {} is below the minimum for JIRA, {}", .0.name(), .1.name())]
    BelowMinimum(Severity, Severity),
}

/// May this finding have an issue? `enforce_verified`: only verified ones may; `minimum`: none may that is less
/// severe.
pub fn may_have_issue(
    finding: &Finding,
    enforce_verified: bool,
    minimum: Option<Severity>,
) -> Result<(), WhyNot> {
    if finding.flags.duplicate {
        return Err(WhyNot::Duplicate);
    }
    if !finding.flags.active {
        return Err(WhyNot::Inactive);
    }
    if enforce_verified && !finding.flags.verified {
        return Err(WhyNot::Unverified);
    }
    match minimum {
        // the worst come first
        Some(minimum) if finding.severity > minimum => {
            Err(WhyNot::BelowMinimum(finding.severity, minimum))
        }
        _ => Ok(()),
    }
}

/// What findings have to be so that they may have issues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssueRule {
    /// May only verified ones?
    pub enforce_verified: bool,
    /// The least severity.
    pub minimum: Option<Severity>,
}

impl IssueRule {
    /// By the system's settings.
    pub fn of(settings: &SystemSettings) -> Self {
        Self {
            enforce_verified: settings.enforce_verified_status
                || settings.enforce_verified_status_jira,
            minimum: settings.jira_minimum_severity,
        }
    }

    /// May this finding have an issue?
    pub fn check(self, finding: &Finding) -> Result<(), WhyNot> {
        may_have_issue(finding, self.enforce_verified, self.minimum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Flags;

    #[test]
    fn what_may_have_an_issue_is_active_verified_where_asked_and_severe_enough() {
        let open = Finding {
            severity: Severity::Medium,
            flags: Flags {
                active: true,
                ..Flags::default()
            },
            ..Finding::default()
        };
        assert_eq!(may_have_issue(&open, false, None), Ok(()));
        assert_eq!(may_have_issue(&open, false, Some(Severity::Medium)), Ok(()));
        let error = may_have_issue(&open, false, Some(Severity::High)).unwrap_err();
        let text = "the severity Medium is below the minimum for JIRA, High";
        assert_eq!(error.to_string(), text);
        assert_eq!(may_have_issue(&open, true, None), Err(WhyNot::Unverified));
        let with = |change: fn(&mut Flags)| {
            let mut finding = open.clone();
            change(&mut finding.flags);
            may_have_issue(&finding, true, None)
        };
        assert_eq!(with(|flags| flags.verified = true), Ok(()));
        assert_eq!(with(|flags| flags.active = false), Err(WhyNot::Inactive));
        assert_eq!(with(|flags| flags.duplicate = true), Err(WhyNot::Duplicate));
    }

    #[test]
    fn a_resolution_says_what_becomes_of_a_finding() {
        let instance = JiraInstance {
            accepted_mapping_resolution: Some("Won't Fix, Risk accepted".into()),
            false_positive_mapping_resolution: Some("Invalid".into()),
            ..JiraInstance::default()
        };
        for (resolution, verdict) in [
            (Some("won't fix"), JiraVerdict::RiskAccepted),
            (Some("Risk Accepted"), JiraVerdict::RiskAccepted),
            (Some(" invalid "), JiraVerdict::FalsePositive),
            (Some("Fixed"), JiraVerdict::Mitigated),
            (Some(""), JiraVerdict::Mitigated),
            (None, JiraVerdict::Mitigated),
        ] {
            assert_eq!(instance.verdict(resolution), verdict, "{resolution:?}");
        }
    }

    #[test]
    fn nothing_to_do_with_jira_takes_no_room() {
        let none = serde_json::to_string(&FindingJira::default()).unwrap();
        assert_eq!(none, "{}");
        let all = FindingJira {
            issue: Some(JiraIssueId(7)),
            push: true,
            in_progress: true,
        };
        let text = serde_json::to_string(&all).unwrap();
        assert_eq!(text, r#"{"i":7,"p":true,"w":true}"#);
        assert_eq!(serde_json::from_str::<FindingJira>(&text).unwrap(), all);
    }
}
