//! What becomes of a finding's state: pure.

use jiff::Timestamp;
use tatami_domain::{Finding, FindingId, FindingJira, Flags, UserId};

/// The finding as a duplicate of another: neither active nor verified.
pub fn as_duplicate(
    finding: &Finding,
    of: FindingId,
    by: Option<UserId>,
    now: Timestamp,
) -> Finding {
    let mut new = finding.clone();
    new.set_flags(tatami_dedup_rules::as_duplicate(finding.flags), by, now);
    new.duplicate_finding = Some(of);
    new.duplicate_by = by;
    new.proposed_duplicate = None;
    new
}

/// The finding as an original of its own: active again, unless it was closed or judged.
pub fn as_original(finding: &Finding, by: Option<UserId>, now: Timestamp) -> Finding {
    let mut new = finding.clone();
    let f = finding.flags;
    let flags = Flags {
        duplicate: false,
        active: !f.is_closed(),
        ..f
    };
    new.set_flags(flags, by, now);
    new.duplicate_by = by;
    new.proposed_duplicate = None;
    new
}

/// The finding in the place of its original, whose state it takes over.
pub fn promoted(finding: &Finding, original: &Finding, now: Timestamp) -> Finding {
    let mut new = finding.clone();
    let flags = Flags {
        duplicate: false,
        ..original.flags
    };
    new.set_flags(flags, original.mitigated_by, now);
    new.mitigated = original.mitigated;
    new.mitigated_by = original.mitigated_by;
    new.acceptance = original.acceptance;
    if takes_issue(finding, original) {
        new.jira = original.jira;
    }
    new
}

/// An original as the duplicate of the finding in its place.
pub fn demoted(original: &Finding, heir: &Finding, by: Option<UserId>, now: Timestamp) -> Finding {
    let mut new = as_duplicate(original, heir.id, by, now);
    if takes_issue(heir, original) {
        new.jira = FindingJira::default();
    }
    new
}

/// Does a finding take over the issue of the original in whose place it comes? Not where it has one of its own,
/// nor where that is the issue of a group.
pub fn takes_issue(heir: &Finding, original: &Finding) -> bool {
    heir.jira.issue.is_none() && original.group.is_none()
}

#[cfg(test)]
mod tests {
    use tatami_domain::{FindingGroupId, JiraIssueId, RiskAcceptanceId};

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn open() -> Finding {
        Finding {
            id: FindingId(1),
            flags: Flags {
                verified: true,
                ..Flags::OPEN
            },
            ..Finding::default()
        }
    }

    #[test]
    fn a_duplicate_is_neither_active_nor_verified_and_comes_back_active() {
        let duplicate = as_duplicate(&open(), FindingId(9), None, NOW);
        let f = duplicate.flags;
        assert!(f.duplicate && !f.active && !f.verified);
        assert_eq!(duplicate.duplicate_finding, Some(FindingId(9)));
        let again = as_original(&duplicate, None, NOW);
        assert!(again.flags.active && !again.flags.duplicate && !again.flags.verified);
        assert_eq!(again.duplicate_finding, None);
    }

    #[test]
    fn what_was_closed_before_stays_closed() {
        let mut closed = open();
        closed.flags.is_mitigated = true;
        let again = as_original(&as_duplicate(&closed, FindingId(9), None, NOW), None, NOW);
        assert!(again.flags.is_mitigated && !again.flags.active);
    }

    #[test]
    fn an_issue_has_one_finding_at_a_time() {
        let issue = |finding: &Finding| finding.jira.issue.map(|issue| issue.0);
        let mut root = open();
        root.jira.issue = Some(JiraIssueId(5));
        let mut heir = as_duplicate(&open(), root.id, None, NOW);
        let issues = |heir: &Finding, root: &Finding| {
            let after = (promoted(heir, root, NOW), demoted(root, heir, None, NOW));
            (issue(&after.0), issue(&after.1))
        };
        assert_eq!(issues(&heir, &root), (Some(5), None));
        heir.jira.issue = Some(JiraIssueId(6));
        assert_eq!(issues(&heir, &root), (Some(6), Some(5)));
        heir.jira.issue = None;
        root.group = Some(FindingGroupId(1));
        assert_eq!(issues(&heir, &root), (None, Some(5)));
    }

    #[test]
    fn whoever_is_promoted_takes_over_the_whole_state() {
        let duplicate = as_duplicate(&open(), FindingId(9), None, NOW);
        let mut original = open();
        original.set_flags(
            Flags {
                active: false,
                verified: true,
                is_mitigated: true,
                ..Flags::OPEN
            },
            Some(UserId(3)),
            Timestamp::from_second(77).unwrap(),
        );
        original.acceptance = Some(RiskAcceptanceId(4));
        let new = promoted(&duplicate, &original, NOW);
        assert_eq!(new.flags, original.flags);
        assert_eq!(new.duplicate_finding, None);
        assert_eq!(new.acceptance, original.acceptance);
        assert_eq!(
            (new.mitigated, new.mitigated_by),
            (original.mitigated, original.mitigated_by)
        );
    }
}
