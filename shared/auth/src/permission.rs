use std::ops::{BitAnd, BitOr, BitOrAssign};

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Permission {
    /// Test types, environments and other things common to all; everybody may.
    ViewCommon,
    /// The settings of the system, and what is common to all.
    ManageCommon,
    ViewProducts,
    AddProductType,
    AddProduct,
    EditProduct,
    /// Who has which role in a product or a product type.
    ManageMembers,
    /// Products and product types, with all below them.
    DeleteProduct,
    EditEngagement,
    /// Engagements and tests, with all below them.
    DeleteEngagement,
    Import,
    EditFinding,
    DeleteFinding,
    AcceptRisk,
    Report,
    ViewUsers,
    /// Users, groups, roles, and tokens of others.
    ManageUsers,
    /// The audit log.
    ViewAudit,
}

impl Permission {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::ViewCommon,
        Self::ManageCommon,
        Self::ViewProducts,
        Self::AddProductType,
        Self::AddProduct,
        Self::EditProduct,
        Self::ManageMembers,
        Self::DeleteProduct,
        Self::EditEngagement,
        Self::DeleteEngagement,
        Self::Import,
        Self::EditFinding,
        Self::DeleteFinding,
        Self::AcceptRisk,
        Self::Report,
        Self::ViewUsers,
        Self::ManageUsers,
        Self::ViewAudit,
    ];

    /// The names of all of them.
    pub const NAMES: &[&str] = &[
        "view_common",
        "manage_common",
        "view_products",
        "add_product_type",
        "add_product",
        "edit_product",
        "manage_members",
        "delete_product",
        "edit_engagement",
        "delete_engagement",
        "import",
        "edit_finding",
        "delete_finding",
        "accept_risk",
        "report",
        "view_users",
        "manage_users",
        "view_audit",
    ];

    /// Its name in roles and scopes.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// The permission of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|own| own.name() == name)
    }
}

/// A set of permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions(u32);

impl Permissions {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// All of them.
    pub const ALL: Self = Self((1 << Permission::ALL.len()) - 1);

    /// These.
    pub const fn of(permissions: &[Permission]) -> Self {
        let mut set = 0;
        let mut at = 0;
        while at < permissions.len() {
            set |= 1 << permissions[at] as u32;
            at += 1;
        }
        Self(set)
    }

    /// Those with these names; unknown ones don't count.
    pub fn of_names<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let known = names.into_iter().filter_map(Permission::of_name);
        Self::of(&known.collect::<Vec<_>>())
    }

    /// All but these.
    #[must_use]
    pub const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Is it one of them?
    pub const fn contains(self, permission: Permission) -> bool {
        self.0 & (1 << permission as u32) != 0
    }

    /// Are all of the others among them?
    pub const fn contains_all(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// Is it no permission at all?
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// One by one.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL
            .into_iter()
            .filter(move |permission| self.contains(*permission))
    }
}

impl BitOr for Permissions {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Permissions {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitAnd for Permissions {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_permission_has_its_own_name_and_bit() {
        for (at, permission) in Permission::ALL.into_iter().enumerate() {
            assert_eq!(permission as usize, at);
            assert_eq!(Permission::of_name(permission.name()), Some(permission));
            assert_eq!(
                Permissions::of(&[permission]).iter().collect::<Vec<_>>(),
                [permission]
            );
        }
        assert_eq!(Permissions::ALL.iter().count(), Permission::NAMES.len());
        let some = Permissions::of_names(["import", "no such thing", "report"]);
        assert_eq!(
            some,
            Permissions::of(&[Permission::Import, Permission::Report])
        );
        assert!(Permissions::ALL.contains_all(some) && !some.contains_all(Permissions::ALL));
    }
}
