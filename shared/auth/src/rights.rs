use std::collections::{BTreeSet, HashMap};

use tatami_domain::{EngagementId, Finding, Membership, ProductId, ProductTypeId, Role, Test};

use crate::{Permission, Permissions};

use Permission::{
    AcceptRisk, AddProduct, DeleteEngagement, DeleteFinding, EditEngagement, EditFinding,
    EditProduct, Import, ManageMembers, Report, ViewCommon, ViewProducts,
};

/// Where somebody wants to do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Everywhere: what is common to all.
    Everywhere,
    /// Anywhere at all, where it isn't told yet where.
    Somewhere,
    /// In a product type.
    ProductType(ProductTypeId),
    /// In a product.
    Product(ProductId),
    /// In an engagement of a product.
    Engagement(ProductId, EngagementId),
}

impl Place {
    /// In an engagement, in a product, or everywhere: wherever something is that knows so much of its
    /// place.
    pub fn within(product: Option<ProductId>, engagement: Option<EngagementId>) -> Self {
        match (product, engagement) {
            (Some(product), Some(engagement)) => Self::Engagement(product, engagement),
            (Some(product), None) => Self::Product(product),
            (None, _) => Self::Everywhere,
        }
    }

    /// The product, where it is in one.
    pub fn product(self) -> Option<ProductId> {
        match self {
            Self::Product(product) | Self::Engagement(product, _) => Some(product),
            Self::Everywhere | Self::Somewhere | Self::ProductType(_) => None,
        }
    }
}

impl From<&Finding> for Place {
    fn from(finding: &Finding) -> Self {
        Self::Engagement(finding.product, finding.engagement)
    }
}

impl From<&Test> for Place {
    fn from(test: &Test) -> Self {
        Self::Engagement(test.product, test.engagement)
    }
}

/// Where it counts.
impl From<&Membership> for Place {
    fn from(member: &Membership) -> Self {
        match member.product_type {
            Some(id) => Self::ProductType(id),
            None => Self::within(member.product, member.engagement),
        }
    }
}

impl From<&tatami_domain::Import> for Place {
    fn from(import: &tatami_domain::Import) -> Self {
        Self::within(import.product, import.engagement)
    }
}

const OWNER: Permissions = Permissions::of(&[
    ViewCommon,
    ViewProducts,
    AddProduct,
    EditProduct,
    ManageMembers,
    EditEngagement,
    DeleteEngagement,
    Import,
    EditFinding,
    DeleteFinding,
    AcceptRisk,
    Report,
]);

/// Tatami's own roles with what they may do, in the order of their ids, 1 to 6. Those ids are what the
/// nearest role of DefectDojo has, so that its clients may go on using theirs: 1 API Importer, 2 Writer,
/// 3 Maintainer, 4 Owner, 5 Reader.
pub const BUILTIN_ROLES: [(&str, Permissions); 6] = [
    (
        "Service Account",
        Permissions::of(&[
            ViewCommon,
            ViewProducts,
            AddProduct,
            EditEngagement,
            Import,
            EditFinding,
            AcceptRisk,
            Report,
        ]),
    ),
    (
        "Analyst",
        Permissions::of(&[ViewCommon, ViewProducts, Import, EditFinding, Report]),
    ),
    (
        "Maintainer",
        OWNER.without(Permissions::of(&[
            AddProduct,
            ManageMembers,
            DeleteEngagement,
        ])),
    ),
    ("Product Owner", OWNER),
    (
        "Reporter",
        Permissions::of(&[ViewCommon, ViewProducts, Report]),
    ),
    ("Admin", Permissions::ALL),
];

/// What a role may do.
pub fn permissions_of(role: &Role) -> Permissions {
    if !role.builtin {
        return Permissions::of_names(role.permissions.iter().map(String::as_str));
    }
    let own = BUILTIN_ROLES.iter().find(|(name, _)| *name == role.name);
    own.map_or(Permissions::NONE, |(_, permissions)| *permissions)
}

/// What somebody may do, and where: the union of their roles, cut down to what their token is good for.
#[derive(Debug, Clone, Default)]
pub struct Rights {
    everywhere: Permissions,
    product_types: HashMap<ProductTypeId, Permissions>,
    products: HashMap<ProductId, Permissions>,
    engagements: HashMap<EngagementId, (ProductId, Permissions)>,
    scopes: Option<Permissions>,
    limit: Option<BTreeSet<ProductId>>,
}

impl Rights {
    /// Those of everybody who is known.
    pub fn of_anybody() -> Self {
        Self {
            everywhere: Permissions::of(&[ViewCommon]),
            ..Self::default()
        }
    }

    /// Adds what a role gives in a place. `Somewhere` is no place to have a role in.
    pub fn grant(&mut self, place: Place, permissions: Permissions) {
        match place {
            Place::Everywhere => self.everywhere |= permissions,
            Place::Somewhere => {}
            Place::ProductType(id) => *self.product_types.entry(id).or_default() |= permissions,
            Place::Product(id) => *self.products.entry(id).or_default() |= permissions,
            Place::Engagement(product, id) => {
                let own = self.engagements.entry(id);
                own.or_insert((product, Permissions::NONE)).1 |= permissions;
            }
        }
    }

    /// Cuts them down to a token's scopes and products, where it has any.
    pub fn cut(&mut self, scopes: Option<Permissions>, products: Option<BTreeSet<ProductId>>) {
        self.scopes = scopes;
        self.limit = products;
    }

    /// Does it matter of which type a product is?
    pub fn ask_for_types(&self) -> bool {
        !self.product_types.is_empty()
    }

    /// What may be done in a place. For a product, and for what is in it, `product_type` is its type, if
    /// that [matters](Rights::ask_for_types).
    pub fn at(&self, place: Place, product_type: Option<ProductTypeId>) -> Permissions {
        let of_type = |id: ProductTypeId| self.product_types.get(&id).copied();
        let of_type = |id: Option<ProductTypeId>| id.and_then(of_type).unwrap_or_default();
        let of_product = |id| self.products.get(&id).copied().unwrap_or_default();
        let held = match place {
            Place::Everywhere => self.everywhere,
            Place::Somewhere => self.anywhere(),
            Place::ProductType(id) => self.everywhere | of_type(Some(id)),
            Place::Product(id) => self.everywhere | of_type(product_type) | of_product(id),
            Place::Engagement(product, id) => {
                let own = self.engagements.get(&id).map(|(_, own)| *own);
                self.everywhere
                    | of_type(product_type)
                    | of_product(product)
                    | own.unwrap_or_default()
            }
        };
        let within = match (&self.limit, place) {
            (None, _) | (Some(_), Place::Somewhere) => Permissions::ALL,
            (Some(limit), Place::Product(id) | Place::Engagement(id, _)) if limit.contains(&id) => {
                Permissions::ALL
            }
            (Some(_), _) => Permissions::of(&[ViewCommon]),
        };
        held & self.scopes.unwrap_or(Permissions::ALL) & within
    }

    fn anywhere(&self) -> Permissions {
        let types = self.product_types.values();
        let engagements = self.engagements.values().map(|(_, held)| held);
        let all = types.chain(self.products.values()).chain(engagements);
        all.fold(self.everywhere, |sum, held| sum | *held)
    }

    /// The places in which something may be done.
    pub fn places(&self, permission: Permission) -> Vec<Place> {
        if self.at(Place::Everywhere, None).contains(permission) {
            return vec![Place::Everywhere];
        }
        if !self.in_scope(permission) {
            return Vec::new();
        }
        if let Some(limit) = &self.limit
            && self.everywhere.contains(permission)
        {
            return limit.iter().copied().map(Place::Product).collect();
        }
        let has = |held: &Permissions| held.contains(permission);
        let types = self.product_types.iter().filter(|(_, held)| has(held));
        let products = self.products.iter().filter(|(_, held)| has(held));
        let engagements = self.engagements.iter().filter(|(_, (_, held))| has(held));
        (types.map(|(id, _)| Place::ProductType(*id)))
            .chain(products.map(|(id, _)| Place::Product(*id)))
            .chain(engagements.map(|(id, (product, _))| Place::Engagement(*product, *id)))
            .collect()
    }

    /// What was granted, place by place, before any token cuts it down.
    pub fn grants(&self) -> impl Iterator<Item = (Place, Permissions)> {
        let types = self.product_types.iter();
        let products = self.products.iter();
        let engagements = self.engagements.iter();
        std::iter::once((Place::Everywhere, self.everywhere))
            .chain(types.map(|(id, held)| (Place::ProductType(*id), *held)))
            .chain(products.map(|(id, held)| (Place::Product(*id), *held)))
            .chain(
                engagements.map(|(id, (product, held))| (Place::Engagement(*product, *id), *held)),
            )
    }

    /// What a token cuts them down to: permissions, and products.
    pub fn limits(&self) -> (Option<Permissions>, Option<&BTreeSet<ProductId>>) {
        (self.scopes, self.limit.as_ref())
    }

    /// Is it one of those that the token is good for?
    pub fn in_scope(&self, permission: Permission) -> bool {
        (self.scopes).is_none_or(|scopes| scopes.contains(permission))
    }

    /// Is a product one of those that the token is good for?
    pub fn within_limit(&self, product: ProductId) -> bool {
        (self.limit.as_ref()).is_none_or(|limit| limit.contains(&product))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: ProductTypeId = ProductTypeId(1);
    const PRODUCT: ProductId = ProductId(2);
    const ENGAGEMENT: EngagementId = EngagementId(3);

    fn role(name: &str) -> Permissions {
        permissions_of(&Role {
            name: name.into(),
            builtin: true,
            ..Role::default()
        })
    }

    #[test]
    fn the_matrix_of_roles() {
        let may = |name: &str, permission| role(name).contains(permission);
        for (permission, wanted) in [
            (ViewProducts, [true, true, true, true, true]),
            (AddProduct, [true, true, false, false, true]),
            (EditProduct, [true, true, false, false, false]),
            (ManageMembers, [true, true, false, false, false]),
            (DeleteEngagement, [true, true, false, false, false]),
            (DeleteFinding, [true, true, false, false, false]),
            (
                Permission::DeleteProduct,
                [true, false, false, false, false],
            ),
            (EditEngagement, [true, true, false, false, true]),
            (Import, [true, true, true, false, true]),
            (EditFinding, [true, true, true, false, true]),
            (AcceptRisk, [true, true, false, false, true]),
            (Report, [true, true, true, true, true]),
            (Permission::ManageUsers, [true, false, false, false, false]),
            (Permission::ViewAudit, [true, false, false, false, false]),
            (Permission::ViewUsers, [true, false, false, false, false]),
            (Permission::ManageCommon, [true, false, false, false, false]),
        ] {
            let roles = [
                "Admin",
                "Product Owner",
                "Analyst",
                "Reporter",
                "Service Account",
            ];
            assert_eq!(
                roles.map(|name| may(name, permission)),
                wanted,
                "{permission:?}"
            );
        }
        let custom = Role {
            name: "Admin".into(),
            permissions: vec!["import".into()],
            ..Role::default()
        };
        assert_eq!(permissions_of(&custom), Permissions::of(&[Import]));
    }

    #[test]
    fn roles_reach_down_and_not_up_or_sideways() {
        let engagement = Place::Engagement(PRODUCT, ENGAGEMENT);
        let all = [
            Place::ProductType(TYPE),
            Place::Product(PRODUCT),
            engagement,
            Place::ProductType(ProductTypeId(9)),
            Place::Product(ProductId(9)),
            Place::Engagement(PRODUCT, EngagementId(9)),
            Place::Everywhere,
            Place::Somewhere,
        ];
        for (held, wanted) in [
            (
                Place::ProductType(TYPE),
                [true, true, true, false, false, true, false, true],
            ),
            (
                Place::Product(PRODUCT),
                [false, true, true, false, false, true, false, true],
            ),
            (
                engagement,
                [false, false, true, false, false, false, false, true],
            ),
            (Place::Everywhere, [true; 8]),
            (Place::Somewhere, [false; 8]),
        ] {
            let mut rights = Rights::of_anybody();
            rights.grant(held, role("Analyst"));
            let may = all.map(|place| {
                let product_type = match place {
                    Place::Product(PRODUCT) | Place::Engagement(PRODUCT, _) => Some(TYPE),
                    _ => None,
                };
                rights.at(place, product_type).contains(Import)
            });
            assert_eq!(may, wanted, "{held:?}");
            assert!(rights.at(Place::Everywhere, None).contains(ViewCommon));
        }
    }

    #[test]
    fn roles_add_up_and_tokens_cut_down() {
        let mut rights = Rights::of_anybody();
        rights.grant(Place::Product(PRODUCT), role("Reporter"));
        rights.grant(Place::Product(PRODUCT), role("Analyst"));
        let here = Place::Product(PRODUCT);
        assert!(rights.at(here, None).contains(Import));
        rights.cut(Some(Permissions::of(&[ViewProducts])), None);
        assert_eq!(rights.at(here, None), Permissions::of(&[ViewProducts]));
        assert_eq!(rights.places(Import), []);
        assert_eq!(rights.places(ViewProducts), [here]);

        let mut admin = Rights::of_anybody();
        admin.grant(Place::Everywhere, Permissions::ALL);
        admin.cut(None, Some(BTreeSet::from([PRODUCT])));
        assert_eq!(admin.at(here, None), Permissions::ALL);
        let nothing = Permissions::of(&[ViewCommon]);
        assert_eq!(admin.at(Place::Product(ProductId(9)), None), nothing);
        assert_eq!(admin.at(Place::Everywhere, None), nothing);
        assert_eq!(admin.at(Place::ProductType(TYPE), None), nothing);
        assert_eq!(admin.places(Import), [here]);
        assert!(!admin.within_limit(ProductId(9)));
    }
}
