use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! integer_id {
    ($($(#[$doc:meta])* $name:ident $(= $default:literal)?),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl Default for $name {
            fn default() -> Self {
                Self(0 $(+ $default)?)
            }
        }

        impl From<u64> for $name {
            fn from(id: u64) -> Self {
                Self(id)
            }
        }

        impl From<$name> for u64 {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.trim().parse().map(Self)
            }
        }
    )*};
}

integer_id! {
    /// Id of a product type.
    ProductTypeId,
    /// Id of a product.
    ProductId,
    /// Id of an engagement.
    EngagementId,
    /// Id of a test.
    TestId,
    /// Id of an SLA configuration; 1 is the one that counts where no other does.
    SlaConfigurationId = 1,
    /// Id of a test type (one for each kind of report).
    TestTypeId,
    /// Id of a development environment.
    EnvironmentId,
    /// Id of a user.
    UserId,
    /// Id of how a user is reached.
    ContactInfoId,
    /// Id of an API token.
    TokenId,
    /// Id of a role.
    RoleId,
    /// Id of a group of users.
    GroupId,
    /// Id of a user's place in a group.
    GroupMemberId,
    /// Id of a role that somebody has somewhere.
    MembershipId,
    /// Id of a finding: `block * 1024 + place in the block`.
    FindingId,
    /// Id of a finding group.
    FindingGroupId,
    /// Id of an endpoint of a product.
    EndpointId,
    /// Id of a note.
    NoteId,
    /// Id of a file that a person attached.
    AttachmentId,
    /// Id of a risk acceptance.
    RiskAcceptanceId,
    /// Id of a JIRA that is known.
    JiraInstanceId,
    /// Id of what goes from a product or engagement into JIRA.
    JiraProjectId,
    /// Id of an issue in JIRA as Tatami knows it.
    JiraIssueId,
    /// Id of an order to bring several things into JIRA.
    JiraPushId,
    /// Id of what somebody is told of, and where.
    NotificationRowId,
    /// Id of what operators say in the place of a message's own text.
    NotificationTemplateId,
    /// Id of a webhook that notifications go to.
    NotificationWebhookId,
    /// Id of what somebody is told when they sign in.
    AlertId,
    /// Id of a message to one receiver over one channel.
    DeliveryId,
    /// Id of one import or re-import.
    ImportId,
    /// Id of one job that gives findings new keys.
    RehashJobId,
    /// Id of a job that works off what a request began.
    JobId,
    /// A run of 1,024 consecutive finding ids that belongs to one product and is one partition.
    BlockId,
}

impl BlockId {
    /// How many finding ids a block holds.
    pub const SIZE: u64 = 1024;

    /// The first finding id of the block.
    pub const fn first(self) -> FindingId {
        FindingId(self.0 * Self::SIZE)
    }
}

impl FindingId {
    /// The block in which the finding lies.
    pub const fn block(self) -> BlockId {
        BlockId(self.0 / BlockId::SIZE)
    }
}
