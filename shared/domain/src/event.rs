use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ProductId;

/// What others may want to be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A risk acceptance has expired.
    RiskAcceptanceExpired,
    /// A risk acceptance expires soon.
    RiskAcceptanceExpiring,
    /// Open findings of a product are due soon, today, or were due in the last days.
    SlaDue,
}

impl EventKind {
    /// Their names in the REST API.
    pub const NAMES: &'static [&'static str] = &[
        "risk_acceptance_expired",
        "risk_acceptance_expiring",
        "sla_due",
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// Something that happened and that others may want to be told of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// To what, by its id.
    pub object: u64,
    /// What tells it from others of its kind that happen to the same object: it's the same when the same
    /// happening is told of twice.
    pub occasion: String,
    /// The product that the object belongs to.
    pub product: Option<ProductId>,
    /// When.
    pub time: Timestamp,
    /// What there is to say of it.
    pub data: Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_are_stored() {
        for (name, kind) in EventKind::NAMES.iter().zip([
            EventKind::RiskAcceptanceExpired,
            EventKind::RiskAcceptanceExpiring,
            EventKind::SlaDue,
        ]) {
            assert_eq!(serde_json::to_value(kind).unwrap(), *name);
            assert_eq!(kind.name(), *name);
        }
    }
}
