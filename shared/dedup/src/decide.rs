use tatami_domain::{Finding, Flags, ImportOptions};

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
        planned_remediation_date: old.planned_remediation_date,
        planned_remediation_version: old.planned_remediation_version,
        effort_for_fixing: old.effort_for_fixing,
        tags,
        ..reported.clone()
    }
}

/// May a new finding become a duplicate of this one? A mitigated original (unless somebody judged it
/// a false positive or out of scope) is history: what comes back is a new original.
pub fn may_be_original(original: &Finding) -> bool {
    let f = original.flags;
    !f.duplicate && (!f.is_mitigated || f.false_p || f.out_of_scope)
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
