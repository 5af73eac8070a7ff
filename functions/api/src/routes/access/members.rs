//! Who has which role where. All memberships are one kind; each resource shows those of one sort.

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{Engagement, Group, Membership, MembershipId, Role, RoleId, UserId};
use tatami_store::{Entity, Store};

use super::permit_role;
use crate::Api;
use crate::auth::{Caller, place_of};
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Object, Target};
use crate::openapi::Routes;
use crate::routes::catalog::{self, Deletable, Filter, How, Resource};

/// Adds their routes.
pub fn add(routes: &mut Routes) {
    add_sort::<Global>(routes);
    add_sort::<TypeMember>(routes);
    add_sort::<TypeGroup>(routes);
    add_sort::<ProductMember>(routes);
    add_sort::<ProductGroup>(routes);
    add_sort::<EngagementMember>(routes);
    add_sort::<EngagementGroup>(routes);
}

fn add_sort<S: Sort>(routes: &mut Routes) {
    catalog::add::<Member<S>>(routes);
    catalog::add_delete::<Member<S>>(routes);
}

/// The role of those who are put on the list of authorized users: Analyst.
const AUTHORIZED: RoleId = RoleId(2);

/// Adds to products and product types who has a role in them, each by himself.
pub async fn add_authorized(
    store: &Store,
    views: &mut [Object],
    place: impl Fn(u64) -> Place,
) -> Result<()> {
    let members: Vec<Membership> = store.list().await?;
    for view in views {
        let own = place(view.get("id").and_then(Value::as_u64).unwrap_or_default());
        let here = members.iter().filter(|member| place_of(member) == own);
        let users: Vec<UserId> = here.filter_map(|member| member.user).collect();
        view.insert("authorized_users".into(), json!(users));
    }
    Ok(())
}

/// Makes those, and only those, members of a product or a product type who are on the list, if one was
/// sent. The new ones become analysts there.
pub async fn authorize(
    caller: &Caller,
    store: &Store,
    sent: &Object,
    empty: &Membership,
) -> Result<()> {
    let Some(users) = sent.get("authorized_users").and_then(Value::as_array) else {
        return Ok(());
    };
    let wanted: BTreeSet<UserId> = (users.iter().filter_map(Value::as_u64))
        .map(UserId)
        .collect();
    let place = place_of(empty);
    let members: Vec<Membership> = store.list().await?;
    let members = members
        .into_iter()
        .filter(|member| place_of(member) == place);
    let members: BTreeMap<UserId, Membership> = members
        .filter_map(|member| Some((member.user?, member)))
        .collect();
    let gone = members.iter().filter(|(user, _)| !wanted.contains(user));
    let new = wanted.iter().filter(|user| !members.contains_key(user));
    let (gone, new): (Vec<_>, Vec<_>) = (gone.collect(), new.collect());
    if gone.is_empty() && new.is_empty() {
        return Ok(());
    }
    caller.require(Permission::ManageMembers, place).await?;
    for (_, member) in gone {
        permit_role(caller, store, member.role, place).await?;
        store.delete::<Membership>(member.id).await?;
    }
    for user in new {
        permit_role(caller, store, AUTHORIZED, place).await?;
        let mut member = Membership {
            user: Some(*user),
            role: AUTHORIZED,
            ..empty.clone()
        };
        member.key = member.key_of();
        store.create(member).await?;
    }
    Ok(())
}

/// In what a membership is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    Everything,
    ProductType,
    Product,
    Engagement,
}

/// Who has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    Anybody,
    User,
    Group,
}

/// A sort of memberships.
trait Sort: Send + Sync + 'static {
    const PATH: &'static str;
    const SCHEMA: &'static str;
    const FIELDS: &'static [Field];
    const FILTERS: &'static [Filter];
    const WITHIN: Within;
    const HOLDER: Holder;
}

const ID: Field = Field::answer("id", Kind::Ref(Target::Unknown));
const ROLE: Field = Field::new("role", Kind::Ref(Target::Record(Role::KIND))).required();
const USER: Field = Field::new("user", Kind::Ref(Target::User)).fixed();
const GROUP: Field = Field::new("group", Kind::Ref(Target::Record(Group::KIND))).fixed();

struct Global;

impl Sort for Global {
    const PATH: &'static str = "/api/v2/global_roles";
    const SCHEMA: &'static str = "GlobalRole";
    const FIELDS: &'static [Field] = &[ID, USER.nullable(), GROUP.nullable(), ROLE];
    const FILTERS: &'static [Filter] = &[
        Filter::of("id", How::Ids),
        Filter::of("user", How::Ids),
        Filter::of("group", How::Ids),
        Filter::of("role", How::Ids),
    ];
    const WITHIN: Within = Within::Everything;
    const HOLDER: Holder = Holder::Anybody;
}

macro_rules! sorts {
    ($($name:ident: $path:literal, $schema:literal, $within:ident $in:literal, $holder:ident $field:ident;)*) => {$(
        struct $name;

        impl Sort for $name {
            const PATH: &'static str = $path;
            const SCHEMA: &'static str = $schema;
            const FIELDS: &'static [Field] = &[
                ID,
                Field::new($in, Kind::Ref(Target::$within)).required().fixed(),
                $field.required(),
                ROLE,
            ];
            const FILTERS: &'static [Filter] = &[
                Filter::of("id", How::Ids),
                Filter::of($in, How::Ids),
                Filter::of($field.name, How::Ids),
                Filter::of("role", How::Ids),
            ];
            const WITHIN: Within = Within::$within;
            const HOLDER: Holder = Holder::$holder;
        }
    )*};
}

sorts! {
    TypeMember: "/api/v2/product_type_members", "ProductTypeMember", ProductType "product_type", User USER;
    TypeGroup: "/api/v2/product_type_groups", "ProductTypeGroup", ProductType "product_type", Group GROUP;
    ProductMember: "/api/v2/product_members", "ProductMember", Product "product", User USER;
    ProductGroup: "/api/v2/product_groups", "ProductGroup", Product "product", Group GROUP;
    EngagementMember: "/api/v2/engagement_members", "EngagementMember", Engagement "engagement", User USER;
    EngagementGroup: "/api/v2/engagement_groups", "EngagementGroup", Engagement "engagement", Group GROUP;
}

/// A membership of a sort.
struct Member<S>(Membership, PhantomData<fn() -> S>);

impl<S> Clone for Member<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<S> Serialize for Member<S> {
    fn serialize<T: Serializer>(&self, serializer: T) -> std::result::Result<T::Ok, T::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, S> Deserialize<'de> for Member<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        Membership::deserialize(deserializer).map(|own| Self(own, PhantomData))
    }
}

impl<S: Sort> Entity for Member<S> {
    type Id = MembershipId;
    const KIND: &'static str = Membership::KIND;
    const WORD: &'static str = Membership::WORD;

    fn id(&self) -> MembershipId {
        self.0.id
    }

    fn set_id(&mut self, id: MembershipId) {
        self.0.id = id;
    }

    fn parent(&self) -> Option<(&'static str, u64)> {
        self.0.parent()
    }

    fn unique_name(&self) -> Option<(u64, &str)> {
        self.0.unique_name()
    }

    fn lies_in(&self) -> Vec<(&'static str, u64)> {
        self.0.lies_in()
    }
}

impl<S: Sort> Resource for Member<S> {
    const PATH: &'static str = S::PATH;
    const SCHEMA: &'static str = S::SCHEMA;
    const FIELDS: &'static [Field] = S::FIELDS;
    const FILTERS: &'static [Filter] = S::FILTERS;
    const VIEW: Permission = match S::WITHIN {
        Within::Everything => Permission::ViewUsers,
        _ => Permission::ViewProducts,
    };
    const ADD: Permission = Self::EDIT;
    const EDIT: Permission = match S::WITHIN {
        Within::Everything => Permission::ManageUsers,
        _ => Permission::ManageMembers,
    };

    fn fresh() -> Self {
        Self(Membership::default(), PhantomData)
    }

    fn is_one(&self) -> bool {
        let own = &self.0;
        let within = match (own.product_type, own.product, own.engagement) {
            (Some(_), _, _) => Within::ProductType,
            (_, _, Some(_)) => Within::Engagement,
            (_, Some(_), None) => Within::Product,
            (None, None, None) => Within::Everything,
        };
        let held = match S::HOLDER {
            Holder::Anybody => true,
            Holder::User => own.user.is_some(),
            Holder::Group => own.group.is_some(),
        };
        within == S::WITHIN && held
    }

    fn place(&self) -> Place {
        place_of(&self.0)
    }

    fn check(&self, _: Option<&Self>) -> Result<()> {
        if self.0.user.is_some() == self.0.group.is_some() {
            return Err(ApiError::field("user", "Name either a user or a group."));
        }
        Ok(())
    }

    async fn complete(&mut self, store: &Store) -> Result<()> {
        if let Some(engagement) = self.0.engagement {
            match store.get::<Engagement>(engagement).await {
                Ok(engagement) => self.0.product = Some(engagement.product),
                Err(error) if error.is_not_found() => {
                    let message = format!("Invalid pk \"{engagement}\": there is no such object.");
                    return Err(ApiError::field("engagement", message));
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.0.key = self.0.key_of();
        Ok(())
    }

    async fn permit(&self, caller: &Caller, store: &Store, old: Option<&Self>) -> Result<()> {
        if let Some(old) = old {
            permit_role(caller, store, old.0.role, old.place()).await?;
        }
        permit_role(caller, store, self.0.role, self.place()).await
    }

    fn changed(api: &Api) {
        api.known.invalidate_all();
    }
}

impl<S: Sort> Deletable for Member<S> {
    fn name(&self) -> String {
        self.0.key.clone()
    }

    async fn users(&self, _: &Store) -> Result<Option<String>> {
        Ok(None)
    }
}
