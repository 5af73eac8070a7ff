//! Groups of users, and who is in them.

use serde_json::{Value, json};
use tatami_auth::{Permission, permissions_of};
use tatami_domain::{Group, GroupMember, Membership, Role};
use tatami_store::{Entity as _, Store};

use crate::Api;
use crate::auth::{Caller, place_of};
use crate::error::Result;
use crate::fields::{Field, Kind, Object, Target};
use crate::openapi::Routes;
use crate::routes::catalog::{self, Deletable, Filter, How, Resource};

/// Adds their routes.
pub fn add(routes: &mut Routes) {
    catalog::add::<Group>(routes);
    catalog::add_delete::<Group>(routes);
    catalog::add::<GroupMember>(routes);
    catalog::add_delete::<GroupMember>(routes);
}

impl Resource for Group {
    const PATH: &'static str = "/api/v2/dojo_groups";
    const SCHEMA: &'static str = "DojoGroup";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("name", Kind::Text(255)).required(),
        Field::new("description", Kind::Text(4000)).nullable(),
        Field::new("email", Kind::Text(254)).nullable(),
        Field::new("social_provider", Kind::Text(10)).nullable(),
        Field::answer("users", Kind::Refs(Target::User)),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter::of("id", How::Ids),
        Filter::of("name", How::Contains),
        Filter::of("social_provider", How::Exact),
    ];
    const VIEW: Permission = Permission::ViewUsers;
    const ADD: Permission = Permission::ManageUsers;
    const EDIT: Permission = Permission::ManageUsers;

    fn fresh() -> Self {
        Self::default()
    }

    fn changed(api: &Api) {
        api.known.invalidate_all();
    }

    async fn decorate(store: &Store, views: &mut [Object]) -> Result<()> {
        let members: Vec<GroupMember> = store.list().await?;
        for view in views {
            let id = view.get("id").and_then(Value::as_u64);
            let own = members.iter().filter(|member| Some(member.group.0) == id);
            let users: Vec<u64> = own.map(|member| member.user.0).collect();
            view.insert("users".into(), json!(users));
        }
        Ok(())
    }
}

impl Deletable for Group {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn users(&self, store: &Store) -> Result<Option<String>> {
        let members: Vec<GroupMember> = store.list().await?;
        let users = members
            .iter()
            .filter(|member| member.group == self.id)
            .count();
        if users > 0 {
            return Ok(Some(format!("{users} users")));
        }
        let roles: Vec<Membership> = store.children(Self::KIND, self.id.0).await?;
        Ok((!roles.is_empty()).then(|| format!("{} roles", roles.len())))
    }
}

impl Resource for GroupMember {
    const PATH: &'static str = "/api/v2/dojo_group_members";
    const SCHEMA: &'static str = "DojoGroupMember";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("group", Kind::Ref(Target::Record(Group::KIND)))
            .required()
            .fixed(),
        Field::new("user", Kind::Ref(Target::User))
            .required()
            .fixed(),
        Field::new("role", Kind::Ref(Target::Record(Role::KIND))).required(),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter::of("id", How::Ids),
        Filter::of("group", How::Ids),
        Filter::of("user", How::Ids),
    ];
    const VIEW: Permission = Permission::ViewUsers;
    const ADD: Permission = Permission::ManageUsers;
    const EDIT: Permission = Permission::ManageUsers;

    fn fresh() -> Self {
        Self::default()
    }

    async fn complete(&mut self, _: &Store) -> Result<()> {
        self.key = format!("g{}u{}", self.group, self.user);
        Ok(())
    }

    /// Who joins a group has its roles, so they are given by whom adds him.
    async fn permit(&self, caller: &Caller, store: &Store, _: Option<&Self>) -> Result<()> {
        let roles: Vec<Membership> = store.children(Group::KIND, self.group.0).await?;
        let known: Vec<Role> = store
            .get_all(roles.iter().map(|member| member.role))
            .await?;
        let mut given = Vec::new();
        for member in &roles {
            if let Some(role) = known.iter().find(|role| role.id == member.role) {
                given.push((place_of(member), permissions_of(role)));
            }
        }
        caller.require_all(given).await
    }

    fn changed(api: &Api) {
        api.known.invalidate_all();
    }
}

impl Deletable for GroupMember {
    fn name(&self) -> String {
        format!("user {} in group {}", self.user, self.group)
    }

    async fn users(&self, _: &Store) -> Result<Option<String>> {
        Ok(None)
    }
}
