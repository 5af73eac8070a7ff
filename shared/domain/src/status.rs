use serde::{Deserialize, Serialize};

/// The status flags of a finding, with the rules between them (FEATURES: status flags).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(from = "u16", into = "u16")]
#[allow(missing_docs, reason = "the names are the REST API's")]
pub struct Flags {
    pub active: bool,
    pub verified: bool,
    pub false_p: bool,
    pub duplicate: bool,
    pub out_of_scope: bool,
    pub risk_accepted: bool,
    pub under_review: bool,
    pub under_defect_review: bool,
    pub is_mitigated: bool,
}

impl From<u16> for Flags {
    fn from(bits: u16) -> Self {
        let bit = |n: u16| bits & (1 << n) != 0;
        Self {
            active: bit(0),
            verified: bit(1),
            false_p: bit(2),
            duplicate: bit(3),
            out_of_scope: bit(4),
            risk_accepted: bit(5),
            under_review: bit(6),
            under_defect_review: bit(7),
            is_mitigated: bit(8),
        }
    }
}

impl From<Flags> for u16 {
    fn from(f: Flags) -> Self {
        [
            f.active,
            f.verified,
            f.false_p,
            f.duplicate,
            f.out_of_scope,
            f.risk_accepted,
            f.under_review,
            f.under_defect_review,
            f.is_mitigated,
        ]
        .into_iter()
        .enumerate()
        .fold(0, |bits, (n, set)| bits | (Self::from(set) << n))
    }
}

/// The state in one word, as `status=` in filters and `status` in PATCH use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ShortStatus {
    /// Active and nobody works on it.
    Open,
    /// Active and under review, planned, or in progress in JIRA.
    #[serde(rename = "In Progress")]
    InProgress,
    /// Mitigated, and neither a false positive nor out of scope.
    Fixed,
    /// The risk is accepted.
    Accepted,
    /// Not a finding.
    FalsePositive,
    /// Not ours to fix.
    OutOfScope,
    /// The same as an earlier finding.
    Duplicate,
    /// None of these.
    Inactive,
}

impl ShortStatus {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Open,
        Self::InProgress,
        Self::Fixed,
        Self::Accepted,
        Self::FalsePositive,
        Self::OutOfScope,
        Self::Duplicate,
        Self::Inactive,
    ];

    /// The name clients use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "Open",
            Self::InProgress => "In Progress",
            Self::Fixed => "Fixed",
            Self::Accepted => "Accepted",
            Self::FalsePositive => "FalsePositive",
            Self::OutOfScope => "OutOfScope",
            Self::Duplicate => "Duplicate",
            Self::Inactive => "Inactive",
        }
    }

    /// Reads a name; spaces and case don't count.
    pub fn parse(text: &str) -> Option<Self> {
        let word: String = text.chars().filter(|c| *c != ' ' && *c != '_').collect();
        Self::ALL
            .into_iter()
            .find(|s| s.name().replace(' ', "").eq_ignore_ascii_case(&word))
    }
}

/// What a client asks to change; `None` leaves a flag as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct FlagChange {
    pub active: Option<bool>,
    pub verified: Option<bool>,
    pub false_p: Option<bool>,
    pub duplicate: Option<bool>,
    pub out_of_scope: Option<bool>,
    pub risk_accepted: Option<bool>,
    pub under_review: Option<bool>,
    pub under_defect_review: Option<bool>,
    pub is_mitigated: Option<bool>,
}

impl FlagChange {
    /// Does it change nothing?
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The change that brings a finding into the given short status.
    pub fn to_status(status: ShortStatus) -> Self {
        let t = Some(true);
        let f = Some(false);
        let cleared = Self {
            active: f,
            false_p: f,
            duplicate: f,
            out_of_scope: f,
            risk_accepted: f,
            under_review: f,
            is_mitigated: f,
            ..Self::default()
        };
        match status {
            ShortStatus::Open => Self {
                active: t,
                ..cleared
            },
            ShortStatus::InProgress => Self {
                active: t,
                under_review: t,
                ..cleared
            },
            ShortStatus::Fixed => Self {
                is_mitigated: t,
                ..cleared
            },
            ShortStatus::Accepted => Self {
                risk_accepted: t,
                ..cleared
            },
            ShortStatus::FalsePositive => Self {
                false_p: t,
                verified: f,
                ..cleared
            },
            ShortStatus::OutOfScope => Self {
                out_of_scope: t,
                verified: f,
                ..cleared
            },
            ShortStatus::Duplicate => Self {
                duplicate: t,
                verified: f,
                ..cleared
            },
            ShortStatus::Inactive => cleared,
        }
    }
}

/// A change of flags that the rules refuse, with the field it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// A duplicate is neither active nor verified.
    #[error("duplicate findings cannot be verified or active")]
    DuplicateAndActive,
    /// A false positive isn't verified.
    #[error("false positive findings cannot be verified")]
    FalsePositiveAndVerified,
    /// An accepted risk isn't active.
    #[error("active findings cannot be risk accepted")]
    ActiveAndAccepted,
    /// The product asks for full risk acceptances.
    #[error(
        "simple risk acceptance is not enabled for this product, use a risk acceptance instead"
    )]
    SimpleAcceptanceOff,
}

impl Flags {
    /// The flags of a new, open finding.
    pub const OPEN: Self = Self {
        active: true,
        verified: false,
        false_p: false,
        duplicate: false,
        out_of_scope: false,
        risk_accepted: false,
        under_review: false,
        under_defect_review: false,
        is_mitigated: false,
    };

    /// Is it mitigated, judged or accepted, so that nobody has to act?
    pub const fn is_closed(self) -> bool {
        self.is_mitigated || self.false_p || self.out_of_scope || self.risk_accepted
    }

    /// Open in the sense of metrics: active and not a duplicate.
    pub const fn is_open(self) -> bool {
        self.active && !self.duplicate
    }

    /// Applies a change under the rules. `simple_acceptance` is the product's own setting.
    pub fn changed(self, change: &FlagChange, simple_acceptance: bool) -> Result<Self, FlagError> {
        let mut next = self;
        let set = |field: &mut bool, value: Option<bool>| {
            if let Some(value) = value {
                *field = value;
            }
        };
        set(&mut next.active, change.active);
        set(&mut next.verified, change.verified);
        set(&mut next.false_p, change.false_p);
        set(&mut next.duplicate, change.duplicate);
        set(&mut next.out_of_scope, change.out_of_scope);
        set(&mut next.risk_accepted, change.risk_accepted);
        set(&mut next.under_review, change.under_review);
        set(&mut next.under_defect_review, change.under_defect_review);
        set(&mut next.is_mitigated, change.is_mitigated);

        if next.duplicate && (next.active || next.verified) {
            // Becoming a duplicate takes both away, unless the client asked for them just now.
            if self.duplicate || change.active == Some(true) || change.verified == Some(true) {
                return Err(FlagError::DuplicateAndActive);
            }
            next.active = false;
            next.verified = false;
        }
        if next.false_p && next.verified {
            if change.verified == Some(true) || change.false_p.is_none() {
                return Err(FlagError::FalsePositiveAndVerified);
            }
            next.verified = false;
        }
        if next.risk_accepted && !self.risk_accepted && !simple_acceptance {
            return Err(FlagError::SimpleAcceptanceOff);
        }
        if next.risk_accepted && next.active {
            if change.active == Some(true) {
                return Err(FlagError::ActiveAndAccepted);
            }
            next.active = false;
        }

        let closes = (next.false_p && change.false_p == Some(true))
            || (next.out_of_scope && change.out_of_scope == Some(true));
        if closes {
            next.is_mitigated = true;
            next.active = false;
            next.verified = false;
        } else if next.active && change.active == Some(true) {
            next.false_p = false;
            next.out_of_scope = false;
            next.is_mitigated = false;
        } else if next.is_mitigated && change.is_mitigated == Some(true) {
            next.active = false;
        }
        Ok(next)
    }

    /// The words of `display_status`, in the order clients know.
    pub fn display(self) -> String {
        let mut words = Vec::new();
        if self.under_review {
            words.push("Under Review");
        }
        words.push(if self.active { "Active" } else { "Inactive" });
        for (set, word) in [
            (self.verified, "Verified"),
            (self.is_mitigated, "Mitigated"),
            (self.false_p, "False Positive"),
            (self.out_of_scope, "Out Of Scope"),
            (self.duplicate, "Duplicate"),
            (self.risk_accepted, "Risk Accepted"),
        ] {
            if set {
                words.push(word);
            }
        }
        words.join(", ")
    }

    /// The state in one word. `planned`: a remediation date is set, or
    /// somebody is at it in JIRA.
    pub fn short(self, planned: bool) -> ShortStatus {
        if self.duplicate {
            ShortStatus::Duplicate
        } else if self.false_p {
            ShortStatus::FalsePositive
        } else if self.out_of_scope {
            ShortStatus::OutOfScope
        } else if self.risk_accepted {
            ShortStatus::Accepted
        } else if self.is_mitigated {
            ShortStatus::Fixed
        } else if self.active && (self.under_review || planned) {
            ShortStatus::InProgress
        } else if self.active {
            ShortStatus::Open
        } else {
            ShortStatus::Inactive
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(f: impl FnOnce(&mut FlagChange)) -> FlagChange {
        let mut change = FlagChange::default();
        f(&mut change);
        change
    }

    #[test]
    fn bits_round_trip() {
        for bits in 0..512u16 {
            assert_eq!(u16::from(Flags::from(bits)), bits);
        }
    }

    #[test]
    fn a_false_positive_is_mitigated_and_not_verified_whatever_else_is_said() {
        let verified = Flags {
            verified: true,
            ..Flags::OPEN
        };
        let asked = change(|c| {
            c.false_p = Some(true);
            c.is_mitigated = Some(false);
            c.verified = Some(false);
        });
        let after = verified.changed(&asked, false).unwrap();
        assert!(after.false_p && after.is_mitigated && !after.active && !after.verified);
    }

    #[test]
    fn activating_clears_what_closed_it() {
        let closed = Flags {
            active: false,
            false_p: true,
            is_mitigated: true,
            ..Flags::OPEN
        };
        let after = closed
            .changed(&change(|c| c.active = Some(true)), false)
            .unwrap();
        assert_eq!(after, Flags::OPEN);
    }

    #[test]
    fn contradictions_are_refused() {
        let both = change(|c| {
            c.duplicate = Some(true);
            c.active = Some(true);
        });
        assert_eq!(
            Flags::OPEN.changed(&both, true),
            Err(FlagError::DuplicateAndActive)
        );
        let both = change(|c| {
            c.false_p = Some(true);
            c.verified = Some(true);
        });
        assert_eq!(
            Flags::OPEN.changed(&both, true),
            Err(FlagError::FalsePositiveAndVerified)
        );
        let both = change(|c| {
            c.active = Some(true);
            c.risk_accepted = Some(true);
        });
        assert_eq!(
            Flags::OPEN.changed(&both, true),
            Err(FlagError::ActiveAndAccepted)
        );
        let accept = change(|c| c.risk_accepted = Some(true));
        assert_eq!(
            Flags::OPEN.changed(&accept, false),
            Err(FlagError::SimpleAcceptanceOff)
        );
        assert!(Flags::OPEN.changed(&accept, true).unwrap().risk_accepted);
    }

    #[test]
    fn every_short_status_can_be_reached_from_every_other() {
        let starts = ShortStatus::ALL.map(|s| {
            Flags::default()
                .changed(&FlagChange::to_status(s), true)
                .unwrap()
        });
        for start in starts {
            for wanted in ShortStatus::ALL {
                let after = start.changed(&FlagChange::to_status(wanted), true).unwrap();
                assert_eq!(after.short(false), wanted, "from {start:?}");
            }
        }
    }

    #[test]
    fn display_status_keeps_its_order() {
        let flags = Flags {
            under_review: true,
            verified: true,
            risk_accepted: true,
            active: false,
            ..Flags::OPEN
        };
        assert_eq!(
            flags.display(),
            "Under Review, Inactive, Verified, Risk Accepted"
        );
    }
}
