//! What people are told of, and where.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tatami_domain::EventKind;

use crate::texts;

macro_rules! names {
    ($(#[$doc:meta])* $type:ident { $($(#[$variant_doc:meta])* $variant:ident = $name:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $type {
            $($(#[$variant_doc])* #[serde(rename = $name)] $variant),*
        }

        impl $type {
            /// All of them, in the order in which they are shown.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// Their names in the REST API, in the same order.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            /// Its name in the REST API.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),*
                }
            }

            /// The one of this name.
            pub fn from_name(name: &str) -> Option<Self> {
                let at = Self::NAMES.iter().position(|known| *known == name)?;
                Self::ALL.get(at).copied()
            }
        }
    };
}

names! {
    /// What people may want to be told of. The names are DefectDojo's where it has them.
    Topic {
        /// A product type was added.
        ProductTypeAdded = "product_type_added",
        /// A product was added.
        ProductAdded = "product_added",
        /// An engagement was added.
        EngagementAdded = "engagement_added",
        /// A test was added.
        TestAdded = "test_added",
        /// An import has changed findings.
        ScanAdded = "scan_added",
        /// An import has changed nothing.
        ScanAddedEmpty = "scan_added_empty",
        /// Something happened with JIRA.
        JiraUpdate = "jira_update",
        /// An engagement starts soon.
        UpcomingEngagement = "upcoming_engagement",
        /// An engagement should have ended.
        StaleEngagement = "stale_engagement",
        /// An engagement was closed by itself.
        AutoCloseEngagement = "auto_close_engagement",
        /// An engagement was closed by somebody.
        CloseEngagement = "close_engagement",
        /// Somebody was named in a note.
        UserMentioned = "user_mentioned",
        /// A review of code was asked for. Nothing tells of it yet; clients of DefectDojo set it.
        CodeReview = "code_review",
        /// A review of a finding was asked for.
        ReviewRequested = "review_requested",
        /// A finding is due: one message for each.
        SlaBreach = "sla_breach",
        /// Findings of a product are due: one message for all.
        SlaBreachCombined = "sla_breach_combined",
        /// A risk acceptance expires, or has expired.
        RiskAcceptanceExpiration = "risk_acceptance_expiration",
        /// Critical findings are new or open again.
        CriticalFinding = "critical_finding",
        /// An import failed.
        ImportFailed = "import_failed",
        /// Anything else.
        Other = "other",
    }
}

names! {
    /// Where people are told.
    Channel {
        /// The list of alerts in Tatami.
        Alert = "alert",
        /// Mail.
        Mail = "mail",
        /// Slack: a direct message, or the system's channel.
        Slack = "slack",
        /// Microsoft Teams: the system's channel only.
        MsTeams = "msteams",
        /// Webhooks: the user's own, or the system's.
        Webhooks = "webhooks",
    }
}

impl Topic {
    /// The topics that an event belongs to.
    pub const fn of(kind: EventKind) -> &'static [Self] {
        match kind {
            EventKind::RiskAcceptanceExpired | EventKind::RiskAcceptanceExpiring => {
                &[Self::RiskAcceptanceExpiration]
            }
            EventKind::SlaDue => &[Self::SlaBreachCombined, Self::SlaBreach],
            EventKind::ProductTypeAdded => &[Self::ProductTypeAdded],
            EventKind::ProductAdded => &[Self::ProductAdded],
            EventKind::EngagementAdded => &[Self::EngagementAdded],
            EventKind::TestAdded => &[Self::TestAdded],
            EventKind::ScanAdded => &[Self::ScanAdded],
            EventKind::ScanAddedEmpty => &[Self::ScanAddedEmpty],
            EventKind::JiraUpdate => &[Self::JiraUpdate],
            EventKind::UpcomingEngagement => &[Self::UpcomingEngagement],
            EventKind::StaleEngagement => &[Self::StaleEngagement],
            EventKind::AutoCloseEngagement => &[Self::AutoCloseEngagement],
            EventKind::EngagementClosed => &[Self::CloseEngagement],
            EventKind::UserMentioned => &[Self::UserMentioned],
            EventKind::ReviewRequested => &[Self::ReviewRequested],
            EventKind::CriticalFinding => &[Self::CriticalFinding],
            EventKind::ImportFailed => &[Self::ImportFailed],
            EventKind::Other => &[Self::Other],
        }
    }

    /// What people read in place of its name.
    pub const fn label(self) -> &'static str {
        texts::topic(self).0
    }

    /// When one is told.
    pub const fn description(self) -> &'static str {
        texts::topic(self).1
    }

    /// Where one is told who hasn't chosen: in the list of alerts; by mail too of what waits for an answer or is
    /// critical; nowhere of imports that changed nothing and of each single finding that is due.
    pub fn default_channels(self) -> BTreeSet<Channel> {
        let channels: &[Channel] = match self {
            Self::ScanAddedEmpty | Self::SlaBreach => &[],
            Self::UserMentioned | Self::ReviewRequested | Self::CriticalFinding => {
                &[Channel::Alert, Channel::Mail]
            }
            _ => &[Channel::Alert],
        };
        channels.iter().copied().collect()
    }
}

impl Channel {
    /// What people read in place of its name.
    pub const fn label(self) -> &'static str {
        texts::channel(self)
    }
}
