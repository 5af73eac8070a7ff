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
    let closed = flags.is_mitigated || flags.false_p || flags.out_of_scope || flags.risk_accepted;
    match (existing, closed) {
        (Existing::Active, true) => Outcome::TakeStatus(flags),
        (Existing::Mitigated, false) if do_not_reactivate => Outcome::StaysClosed,
        (Existing::Mitigated, false) => Outcome::Reactivate,
        _ => Outcome::Untouched,
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
