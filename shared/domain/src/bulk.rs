use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    AcceptanceChange, Finding, FlagChange, FlagError, IssueRule, NotAccepted, Severity, UserId,
    WhyNot,
};

/// The same change to many findings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BulkChange {
    /// Delete them; then nothing else counts.
    pub delete: bool,
    /// Flags to set.
    pub flags: FlagChange,
    /// The severity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// When those that are mitigated were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mitigated: Option<Timestamp>,
    /// By whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mitigated_by: Option<UserId>,
    /// The tags, in the place of those there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Tags to add.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add_tags: Vec<String>,
    /// Tags to take away.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove_tags: Vec<String>,
    /// What becomes of their places under a risk acceptance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acceptance: Option<AcceptanceChange>,
    /// They are to be brought into JIRA, as far as this takes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push_to_jira: Option<IssueRule>,
    /// A note for each of them; with a risk acceptance, for those that it changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Why a finding cannot be changed so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BulkError {
    /// The rules of the flags.
    #[error(transparent)]
    Flags(#[from] FlagError),
    /// A duplicate is one of something.
    #[error("it is no duplicate: link it to its original with POST /api/v2/findings/link/")]
    NoDuplicate,
    /// The risk acceptance doesn't take it.
    #[error(transparent)]
    NotAccepted(#[from] NotAccepted),
    /// It may have no issue in JIRA.
    #[error(transparent)]
    NoIssue(#[from] WhyNot),
}

impl BulkChange {
    /// A finding as it will be. `simple_acceptance` is its product's setting.
    pub fn apply(
        &self,
        old: &Finding,
        simple_acceptance: bool,
        by: Option<UserId>,
        now: Timestamp,
    ) -> Result<Finding, BulkError> {
        let mut new = old.clone();
        if let Some(severity) = self.severity {
            new.severity = severity;
        }
        new.change_flags(&self.flags, simple_acceptance, by, now)?;
        if let Some(acceptance) = self.acceptance {
            acceptance.apply(&mut new, by, now)?;
        }
        if new.flags.duplicate && !old.flags.duplicate {
            return Err(BulkError::NoDuplicate);
        }
        if new.flags.is_mitigated {
            new.mitigated = self.mitigated.or(new.mitigated);
            new.mitigated_by = self.mitigated_by.or(new.mitigated_by);
        }
        if let Some(tags) = &self.tags {
            new.tags.clone_from(tags);
        }
        for tag in &self.add_tags {
            if !new.tags.contains(tag) {
                new.tags.push(tag.clone());
            }
        }
        new.tags.retain(|tag| !self.remove_tags.contains(tag));
        if let Some(rule) = self.push_to_jira {
            // an issue that is there follows whatever becomes of its finding
            if new.jira.issue.is_none() {
                rule.check(&new)?;
            }
            new.jira.push = true;
        }
        Ok(new)
    }
}

/// What became of one finding of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BulkOutcome {
    /// It is as asked now.
    Changed,
    /// It was so already.
    Unchanged,
    /// It is gone.
    Deleted,
    /// It wasn't there any more.
    Missing,
    /// It cannot be so.
    Refused,
}

impl BulkOutcome {
    /// Their names in the REST API.
    pub const NAMES: &'static [&'static str] =
        &["changed", "unchanged", "deleted", "missing", "refused"];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Flags;

    #[test]
    fn a_change_is_applied_once_however_often() {
        let change = BulkChange {
            flags: FlagChange {
                is_mitigated: Some(true),
                ..FlagChange::default()
            },
            severity: Some(Severity::Low),
            mitigated: Some(Timestamp::UNIX_EPOCH),
            add_tags: vec!["a".into(), "b".into()],
            remove_tags: vec!["b".into(), "c".into()],
            ..BulkChange::default()
        };
        let old = Finding {
            flags: Flags::OPEN,
            tags: vec!["c".into(), "d".into()],
            ..Finding::default()
        };
        let now = Timestamp::now();
        let new = change.apply(&old, false, None, now).unwrap();
        assert_eq!(new.tags, ["d", "a"]);
        assert!(new.flags.is_mitigated && !new.flags.active);
        assert_eq!(new.mitigated, Some(Timestamp::UNIX_EPOCH));
        assert_eq!(change.apply(&new, false, None, now).unwrap(), new);
        let stored = serde_json::to_string(&change).unwrap();
        assert_eq!(serde_json::from_str::<BulkChange>(&stored).unwrap(), change);
    }

    #[test]
    fn what_may_have_no_issue_is_not_pushed() {
        let push = BulkChange {
            push_to_jira: Some(IssueRule {
                enforce_verified: false,
                minimum: Some(Severity::High),
            }),
            ..BulkChange::default()
        };
        let now = Timestamp::now();
        let mut finding = Finding {
            severity: Severity::High,
            flags: Flags::OPEN,
            ..Finding::default()
        };
        assert!(push.apply(&finding, false, None, now).unwrap().jira.push);
        finding.flags.active = false;
        let refused = push.apply(&finding, false, None, now);
        assert_eq!(refused, Err(BulkError::NoIssue(WhyNot::Inactive)));
        finding.jira.issue = Some(crate::JiraIssueId(3));
        assert!(push.apply(&finding, false, None, now).unwrap().jira.push);
    }

    #[test]
    fn what_the_rules_refuse_is_refused() {
        let accepted = BulkChange {
            flags: FlagChange {
                risk_accepted: Some(true),
                ..FlagChange::default()
            },
            ..BulkChange::default()
        };
        let old = Finding {
            flags: Flags::OPEN,
            ..Finding::default()
        };
        let now = Timestamp::now();
        assert!(accepted.apply(&old, false, None, now).is_err());
        let new = accepted.apply(&old, true, None, now).unwrap();
        assert!(new.flags.risk_accepted && !new.flags.active);
        let duplicate = BulkChange {
            flags: FlagChange {
                duplicate: Some(true),
                ..FlagChange::default()
            },
            ..BulkChange::default()
        };
        let refused = duplicate.apply(&old, false, None, now);
        assert_eq!(refused, Err(BulkError::NoDuplicate));
    }
}
