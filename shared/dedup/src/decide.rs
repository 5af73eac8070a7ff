use tatami_domain::{
    Clustering, EndpointId, Finding, FlagChange, Flags, ImportOptions, ResolvedDedupe,
};

use crate::share_a_place;

/// The state that a report and the import's options give a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportedState {
    /// The flags of the finding if it's new.
    pub flags: Flags,
}

/// What a finding of the test looks like to a re-import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Active.
    Active,
    /// Mitigated, and nothing else.
    Mitigated,
    /// False positive, out of scope or accepted: somebody decided.
    Decided,
    /// None of these: inactive, a duplicate.
    Other,
}

/// What a re-import does with a finding that the report still has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Leave it.
    Untouched,
    /// Open it again.
    Reactivate,
    /// It would be opened again, but the sender asked not to.
    StaysClosed,
    /// Take the report's status.
    TakeStatus(Flags),
}

/// The flags of a reported finding: its own word, overruled by what the import says of `active` and
/// `verified`, brought into a state that the rules allow.
pub fn reported_state(reported: Flags, options: &ImportOptions) -> ReportedState {
    let mut flags = reported;
    if let Some(active) = options.active {
        flags.active = active;
    }
    if let Some(verified) = options.verified {
        flags.verified = verified;
    }
    if flags.false_p || flags.out_of_scope {
        flags.is_mitigated = true;
        flags.verified = false;
    }
    if flags.is_mitigated || flags.risk_accepted {
        flags.active = false;
    }
    ReportedState { flags }
}

impl From<&Finding> for Existing {
    fn from(finding: &Finding) -> Self {
        let f = finding.flags;
        if f.duplicate {
            // its original speaks for it: opened again it would be active, which no duplicate is
            Self::Other
        } else if f.false_p || f.out_of_scope || f.risk_accepted {
            Self::Decided
        } else if f.is_mitigated {
            Self::Mitigated
        } else if f.active {
            Self::Active
        } else {
            Self::Other
        }
    }
}

/// The re-import table: `existing` is the finding in the test, `reported` the report's word.
pub fn decide_reimport(
    existing: Existing,
    reported: ReportedState,
    do_not_reactivate: bool,
) -> Outcome {
    let flags = reported.flags;
    match (existing, flags.is_closed()) {
        (Existing::Active, true) => Outcome::TakeStatus(flags),
        (Existing::Mitigated, false) if do_not_reactivate => Outcome::StaysClosed,
        (Existing::Mitigated, false) => Outcome::Reactivate,
        _ => Outcome::Untouched,
    }
}

/// The finding with what its report adds while it stays as it is: an empty component of an active one
/// is filled in, and whether a fix exists follows the report. `None` where that changes nothing.
pub fn filled_in(finding: &Finding, reported: &Finding) -> Option<Finding> {
    let empty = |text: &Option<String>| text.as_deref().unwrap_or_default().is_empty();
    let name = empty(&finding.component_name) && !empty(&reported.component_name);
    let version = empty(&finding.component_version) && !empty(&reported.component_version);
    let available =
        reported.fix_available.is_some() && finding.fix_available != reported.fix_available;
    let fix = reported.fix_version.is_some() && finding.fix_version != reported.fix_version;
    if !finding.flags.active || !(name || version || available || fix) {
        return None;
    }
    let mut filled = finding.clone();
    if name {
        filled.component_name.clone_from(&reported.component_name);
    }
    if version {
        filled
            .component_version
            .clone_from(&reported.component_version);
    }
    if available {
        filled.fix_available = reported.fix_available;
    }
    if fix {
        filled.fix_version.clone_from(&reported.fix_version);
    }
    Some(filled)
}

/// What a report says anew of a finding that it was found to be in spite of other keys: the content
/// is the report's, what people and earlier imports made of it stays.
pub fn replaced(finding: &Finding, reported: &Finding) -> Finding {
    let old = finding.clone();
    let mut tags = old.tags;
    tags.extend(reported.tags.iter().cloned());
    tags.sort();
    tags.dedup();
    let endpoint_ids = placed(old.endpoint_ids, &reported.endpoint_ids);
    Finding {
        id: old.id,
        version: old.version,
        product: old.product,
        engagement: old.engagement,
        test: old.test,
        test_type: old.test_type,
        flags: old.flags,
        date: old.date,
        created: old.created,
        mitigated: old.mitigated,
        mitigated_by: old.mitigated_by,
        last_status_update: old.last_status_update,
        sla_start_date: old.sla_start_date,
        duplicate_finding: old.duplicate_finding,
        reporter: old.reporter,
        import: old.import,
        group: old.group,
        acceptance: old.acceptance,
        jira: old.jira,
        proposed_duplicate: old.proposed_duplicate,
        duplicate_by: old.duplicate_by,
        planned_remediation_date: old.planned_remediation_date,
        planned_remediation_version: old.planned_remediation_version,
        effort_for_fixing: old.effort_for_fixing,
        reviewers: old.reviewers,
        review_requested_by: old.review_requested_by,
        defect_review_requested_by: old.defect_review_requested_by,
        last_reviewed: old.last_reviewed,
        last_reviewed_by: old.last_reviewed_by,
        thread_id: old.thread_id,
        url: old.url,
        tags,
        endpoint_ids,
        ..reported.clone()
    }
}

/// Endpoints in the places that they had, without those that are no longer, and new ones behind.
fn placed(old: Vec<EndpointId>, now: &[EndpointId]) -> Vec<EndpointId> {
    let mut finding = Finding {
        endpoint_ids: old.clone(),
        ..Finding::default()
    };
    for id in old.into_iter().filter(|id| !now.contains(id)) {
        finding.remove_endpoint(id);
    }
    for id in now {
        finding.add_endpoint(*id);
    }
    finding.endpoint_ids
}

/// May a new finding become a duplicate of this one? A mitigated original (unless somebody judged it
/// a false positive or out of scope) is history: what comes back is a new original.
pub fn may_be_original(original: &Finding) -> bool {
    let f = original.flags;
    !f.duplicate && (!f.is_mitigated || f.false_p || f.out_of_scope)
}

/// Are two findings of the same key one and the same?
pub fn cluster(original: &Finding, finding: &Finding, clustering: Clustering) -> bool {
    let located = |f: &Finding| f.file_path.as_deref().is_some_and(|path| !path.is_empty());
    let same_line = original.file_path == finding.file_path && original.line == finding.line;
    match clustering {
        Clustering::None => false,
        Clustering::HashAndLocation if located(original) || located(finding) => {
            same_line && share_a_place(&original.endpoint_places, &finding.endpoint_places)
        }
        Clustering::Exact | Clustering::HashAndLocation => {
            share_a_place(&original.endpoint_places, &finding.endpoint_places)
        }
    }
}

/// Of those that have a key in common with a finding, the earliest that it is a duplicate of.
pub fn original_of<'f>(
    finding: &Finding,
    same_key: impl Iterator<Item = &'f Finding>,
    settings: &ResolvedDedupe,
) -> Option<&'f Finding> {
    if !settings.finds_duplicates() {
        return None;
    }
    same_key
        .filter(|original| may_be_original(original))
        .filter(|original| cluster(original, finding, settings.clustering))
        .min_by_key(|original| original.id)
}

/// Does a finding share its key with a false positive, in a product that remembers them?
pub fn was_false_positive<'f>(
    finding: &Finding,
    mut same_key: impl Iterator<Item = &'f Finding>,
    settings: &ResolvedDedupe,
) -> bool {
    settings.false_positive_history
        && same_key.any(|other| {
            other.flags.false_p && share_a_place(&other.endpoint_places, &finding.endpoint_places)
        })
}

/// The flags of a duplicate.
pub fn as_duplicate(flags: Flags) -> Flags {
    Flags {
        duplicate: true,
        active: false,
        verified: false,
        ..flags
    }
}

/// The flags of a false positive.
pub fn as_false_positive(flags: Flags) -> Flags {
    let change = FlagChange {
        false_p: Some(true),
        verified: Some(false),
        ..FlagChange::default()
    };
    // nothing in it contradicts itself
    flags.changed(&change, false).unwrap_or(flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(change: impl FnOnce(&mut Flags)) -> ReportedState {
        let mut flags = Flags::OPEN;
        change(&mut flags);
        reported_state(flags, &ImportOptions::default())
    }

    #[test]
    fn the_table() {
        let open = closed(|_| ());
        let mitigated = closed(|f| f.is_mitigated = true);
        let accepted = closed(|f| f.risk_accepted = true);
        let false_p = closed(|f| f.false_p = true);
        let decide = |e, r| decide_reimport(e, r, false);
        assert_eq!(decide(Existing::Active, open), Outcome::Untouched);
        for gone in [mitigated, accepted, false_p] {
            assert_eq!(
                decide(Existing::Active, gone),
                Outcome::TakeStatus(gone.flags)
            );
            assert!(!gone.flags.active);
            assert_eq!(decide(Existing::Mitigated, gone), Outcome::Untouched);
            assert_eq!(decide(Existing::Decided, gone), Outcome::Untouched);
        }
        assert_eq!(decide(Existing::Mitigated, open), Outcome::Reactivate);
        assert_eq!(
            decide_reimport(Existing::Mitigated, open, true),
            Outcome::StaysClosed
        );
        assert_eq!(decide(Existing::Decided, open), Outcome::Untouched);
        assert_eq!(decide(Existing::Other, open), Outcome::Untouched);
    }

    #[test]
    fn a_duplicate_is_not_opened_again() {
        let flags = Flags {
            active: false,
            duplicate: true,
            is_mitigated: true,
            ..Flags::OPEN
        };
        let duplicate = Finding {
            flags,
            ..Finding::default()
        };
        let decided = decide_reimport(Existing::from(&duplicate), closed(|_| ()), false);
        assert_eq!(decided, Outcome::Untouched);
    }

    #[test]
    fn the_import_overrules_the_report() {
        let options = ImportOptions {
            active: Some(false),
            verified: Some(true),
            ..ImportOptions::default()
        };
        let state = reported_state(Flags::OPEN, &options);
        assert!(!state.flags.active && state.flags.verified);
    }

    #[test]
    fn clusters_are_as_narrow_as_the_settings_say() {
        let at = |path: Option<&str>, line, places: &[u32]| Finding {
            file_path: path.map(str::to_owned),
            line,
            endpoint_places: places.to_vec(),
            ..Finding::default()
        };
        let file = at(Some("a"), Some(1), &[]);
        let moved = at(Some("a"), Some(2), &[]);
        let (page, other_page) = (at(None, None, &[1, 2]), at(None, None, &[3]));
        for (a, b, exact, location) in [
            (&file, &file, true, true),
            (&file, &moved, true, false),
            (&file, &page, false, false),
            (&page, &at(None, None, &[2]), true, true),
            (&page, &other_page, false, false),
            (&at(None, None, &[]), &at(None, Some(4), &[]), true, true),
        ] {
            assert!(!cluster(a, b, Clustering::None));
            assert_eq!(cluster(a, b, Clustering::Exact), exact, "{a:?} {b:?}");
            assert_eq!(
                cluster(a, b, Clustering::HashAndLocation),
                location,
                "{a:?} {b:?}"
            );
        }
    }

    #[test]
    fn a_false_positive_is_one_by_the_status_rules() {
        let verified = Flags {
            verified: true,
            ..Flags::OPEN
        };
        let flags = as_false_positive(verified);
        assert!(flags.false_p && flags.is_mitigated && !flags.active && !flags.verified);
    }

    #[test]
    fn a_mitigated_original_is_history_unless_it_was_judged() {
        let with = |change: fn(&mut Flags)| {
            let mut finding = Finding {
                flags: Flags::OPEN,
                ..Finding::default()
            };
            change(&mut finding.flags);
            may_be_original(&finding)
        };
        assert!(with(|_| ()));
        assert!(!with(|f| f.is_mitigated = true));
        assert!(with(|f| {
            f.is_mitigated = true;
            f.false_p = true;
        }));
        assert!(!with(|f| f.duplicate = true));
    }
}
