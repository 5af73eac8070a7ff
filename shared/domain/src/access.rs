use serde::{Deserialize, Serialize};

use crate::{EngagementId, GroupId, GroupMemberId, MembershipId, ProductId, ProductTypeId};
use crate::{RoleId, UserId};

/// A named set of permissions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are the REST API's")]
pub struct Role {
    #[serde(skip)]
    pub id: RoleId,
    pub name: String,
    /// Is it one of Tatami's own, whose permissions the program knows?
    pub builtin: bool,
    /// Names of permissions, for one that isn't.
    pub permissions: Vec<String>,
}

/// Users who have their roles together.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are the REST API's")]
pub struct Group {
    #[serde(skip)]
    pub id: GroupId,
    pub name: String,
    pub description: Option<String>,
    pub email: Option<String>,
    pub social_provider: Option<String>,
}

/// A user is in a group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are the REST API's")]
pub struct GroupMember {
    #[serde(skip)]
    pub id: GroupMemberId,
    pub group: GroupId,
    pub user: UserId,
    /// What it may do with the group.
    pub role: RoleId,
    /// What may exist only once.
    pub key: String,
}

/// A user or a group has a role: in a product type, in a product, in an engagement of a product; in none
/// of them: everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are the REST API's")]
pub struct Membership {
    #[serde(skip)]
    pub id: MembershipId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_type: Option<ProductTypeId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<ProductId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engagement: Option<EngagementId>,
    pub role: RoleId,
    /// Who has it where: what may exist only once.
    pub key: String,
}

impl Membership {
    /// The key of who has it where.
    pub fn key_of(&self) -> String {
        let part = |letter: char, id: Option<u64>| {
            id.map(|id| format!("{letter}{id}")).unwrap_or_default()
        };
        [
            part('u', self.user.map(u64::from)),
            part('g', self.group.map(u64::from)),
            part('t', self.product_type.map(u64::from)),
            part('p', self.product.map(u64::from)),
            part('e', self.engagement.map(u64::from)),
        ]
        .concat()
    }
}
