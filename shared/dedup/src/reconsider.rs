use jiff::Timestamp;
use tatami_domain::{DedupeMode, Finding, FindingId, Flags, ResolvedDedupe};

use crate::{as_duplicate, cluster, original_of};

/// What becomes of a finding when keys change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It stays as it is.
    Stays,
    /// It is a duplicate no more.
    Original,
    /// It is a duplicate of this one.
    DuplicateOf(FindingId),
    /// A person is asked whether it is a duplicate of this one.
    Proposed(FindingId),
}

/// Decides anew whether a finding is a duplicate, after its keys have changed. `same_key` are those
/// that have a key in common with it now; only earlier ones matter, and they have been decided before.
/// What a person has decided stays, and so does a duplicate that still shares a key with its original.
pub fn reconsider(finding: &Finding, same_key: &[&Finding], settings: &ResolvedDedupe) -> Standing {
    let flags = finding.flags;
    let by_hand = flags.duplicate && finding.duplicate_finding.is_none();
    if finding.duplicate_by.is_some() || by_hand {
        return Standing::Stays;
    }
    let earlier = (same_key.iter().copied()).filter(|other| other.id < finding.id);
    let still = |other: &Finding| {
        Some(other.id) == finding.duplicate_finding
            && !other.flags.duplicate
            && (!settings.finds_duplicates() || cluster(other, finding, settings.clustering))
    };
    if flags.duplicate && earlier.clone().any(still) {
        return Standing::Stays;
    }
    let original = original_of(finding, earlier, settings).map(|original| original.id);
    let decided = flags.false_p || flags.out_of_scope || flags.risk_accepted || flags.is_mitigated;
    match (original, settings.mode) {
        (Some(id), _) if flags.duplicate => Standing::DuplicateOf(id),
        (None, _) if flags.duplicate => Standing::Original,
        (Some(_), _) if decided || flags.under_review => Standing::Stays,
        (Some(id), DedupeMode::Automatic) => Standing::DuplicateOf(id),
        (Some(id), DedupeMode::Manual) => Standing::Proposed(id),
        (None, _) if finding.proposed_duplicate.is_some() => Standing::Original,
        (None, _) => Standing::Stays,
    }
}

/// Puts a finding into its standing.
pub fn stand(finding: &mut Finding, standing: Standing, now: Timestamp) {
    match standing {
        Standing::Stays => {}
        Standing::Proposed(original) => finding.proposed_duplicate = Some(original),
        Standing::DuplicateOf(original) => {
            finding.set_flags(as_duplicate(finding.flags), None, now);
            finding.duplicate_finding = Some(original);
            finding.proposed_duplicate = None;
        }
        Standing::Original => {
            let f = finding.flags;
            let closed = f.is_mitigated || f.false_p || f.out_of_scope || f.risk_accepted;
            let flags = Flags {
                active: if f.duplicate { !closed } else { f.active },
                duplicate: false,
                ..f
            };
            finding.set_flags(flags, None, now);
            finding.duplicate_finding = None;
            finding.proposed_duplicate = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use tatami_domain::UserId;

    use super::*;

    fn finding(id: u64) -> Finding {
        Finding {
            id: FindingId(id),
            flags: Flags::OPEN,
            ..Finding::default()
        }
    }

    fn duplicate(id: u64, of: u64) -> Finding {
        let mut finding = finding(id);
        stand(
            &mut finding,
            Standing::DuplicateOf(FindingId(of)),
            Timestamp::UNIX_EPOCH,
        );
        finding
    }

    fn decide(finding: &Finding, same_key: &[Finding]) -> Standing {
        let same_key: Vec<&Finding> = same_key.iter().collect();
        reconsider(finding, &same_key, &ResolvedDedupe::default())
    }

    #[test]
    fn the_earliest_is_the_original() {
        let others = [finding(3), finding(2), finding(9)];
        assert_eq!(
            decide(&finding(5), &others),
            Standing::DuplicateOf(FindingId(2))
        );
        assert_eq!(decide(&finding(1), &others), Standing::Stays);
        let manual = ResolvedDedupe {
            mode: DedupeMode::Manual,
            ..ResolvedDedupe::default()
        };
        let standing = reconsider(&finding(5), &[&others[0], &others[1]], &manual);
        assert_eq!(standing, Standing::Proposed(FindingId(2)));
    }

    #[test]
    fn a_duplicate_goes_with_its_original_or_stands_alone() {
        assert_eq!(
            decide(&duplicate(5, 2), &[finding(1), finding(2)]),
            Standing::Stays
        );
        assert_eq!(decide(&duplicate(5, 2), &[]), Standing::Original);
        let chain = [finding(1), duplicate(2, 1)];
        assert_eq!(
            decide(&duplicate(5, 2), &chain),
            Standing::DuplicateOf(FindingId(1))
        );
        let mut closed = finding(2);
        closed.flags.is_mitigated = true;
        closed.flags.active = false;
        assert_eq!(decide(&duplicate(5, 2), &[closed.clone()]), Standing::Stays);
        assert_eq!(decide(&finding(5), &[closed]), Standing::Stays);
        let mut alone = duplicate(5, 2);
        stand(&mut alone, Standing::Original, Timestamp::UNIX_EPOCH);
        assert_eq!((alone.flags, alone.duplicate_finding), (Flags::OPEN, None));
    }

    #[test]
    fn what_a_person_decided_stays() {
        let rejected = Finding {
            duplicate_by: Some(UserId(1)),
            ..finding(5)
        };
        assert_eq!(decide(&rejected, &[finding(1)]), Standing::Stays);
        let mut by_hand = finding(5);
        by_hand.flags = as_duplicate(by_hand.flags);
        assert_eq!(decide(&by_hand, &[]), Standing::Stays);
        let mut accepted = finding(5);
        accepted.flags.risk_accepted = true;
        accepted.flags.active = false;
        assert_eq!(decide(&accepted, &[finding(1)]), Standing::Stays);
    }
}
