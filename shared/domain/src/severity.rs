use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How bad a finding is. Ordered from `Critical` (first in every list) to `Info`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
pub enum Severity {
    /// S0
    Critical,
    /// S1
    High,
    /// S2
    Medium,
    /// S3
    Low,
    /// S4
    #[default]
    Info,
}

/// A text that is none of the five severities.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a severity: use Critical, High, Medium, Low or Info")]
pub struct UnknownSeverity(pub String);

impl Severity {
    /// All five, worst first.
    pub const ALL: [Self; 5] = [
        Self::Critical,
        Self::High,
        Self::Medium,
        Self::Low,
        Self::Info,
    ];

    /// The name clients send and receive.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Critical => "Critical",
            Self::High => "High",
            Self::Medium => "Medium",
            Self::Low => "Low",
            Self::Info => "Info",
        }
    }

    /// `S0` (Critical) to `S4` (Info), the `numerical_severity` of the REST API.
    pub const fn numerical(self) -> &'static str {
        match self {
            Self::Critical => "S0",
            Self::High => "S1",
            Self::Medium => "S2",
            Self::Low => "S3",
            Self::Info => "S4",
        }
    }

    /// 0 for Critical to 4 for Info.
    pub const fn rank(self) -> usize {
        self as usize
    }

    /// Reads a severity as reports write it: any case, and the common words for `Info`.
    pub fn from_report(text: &str) -> Option<Self> {
        let word = text.trim();
        if word.eq_ignore_ascii_case("informational")
            || word.eq_ignore_ascii_case("information")
            || word.eq_ignore_ascii_case("none")
        {
            return Some(Self::Info);
        }
        Self::ALL
            .into_iter()
            .find(|s| word.eq_ignore_ascii_case(s.name()))
    }
}

impl FromStr for Severity {
    type Err = UnknownSeverity;

    /// Accepts exactly the five names, as API parameters must.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|s| text == s.name())
            .ok_or_else(|| UnknownSeverity(text.to_owned()))
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
