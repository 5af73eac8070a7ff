//! Roles: Tatami's own, and those that people make.

use serde_json::{Value, json};
use tatami_auth::{BUILTIN_ROLES, Permission, Permissions, Place, permissions_of};
use tatami_domain::{GroupMember, Membership, Role};
use tatami_store::Store;

use crate::Api;
use crate::auth::Caller;
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Object, Target};
use crate::openapi::Routes;
use crate::routes::catalog::{self, Deletable, Filter, How, Resource};

/// Adds their routes.
pub fn add(routes: &mut Routes) {
    catalog::add::<Role>(routes);
    catalog::add_delete::<Role>(routes);
}

impl Resource for Role {
    const PATH: &'static str = "/api/v2/roles";
    const SCHEMA: &'static str = "Role";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("name", Kind::Text(255)).required(),
        Field::answer("is_owner", Kind::Bool),
        Field::answer("builtin", Kind::Bool),
        Field::new("permissions", Kind::Texts).required(),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter::of("id", How::Ids),
        Filter::of("name", How::Exact),
        Filter::of("builtin", How::Bool),
    ];
    const VIEW: Permission = Permission::ViewCommon;
    const ADD: Permission = Permission::ManageUsers;
    const EDIT: Permission = Permission::ManageUsers;

    fn fresh() -> Self {
        Self::default()
    }

    fn check(&self, old: Option<&Self>) -> Result<()> {
        if old.is_some_and(|old| old.builtin) {
            return Err(ApiError::conflict(
                "This role is one of Tatami's own; make another one.",
            ));
        }
        if BUILTIN_ROLES.iter().any(|(name, _)| *name == self.name) {
            return Err(ApiError::field(
                "name",
                "This is the name of one of Tatami's own roles.",
            ));
        }
        let known = |name: &&String| Permission::of_name(name).is_some();
        if let Some(wrong) = self.permissions.iter().find(|name| !known(name)) {
            let names = Permission::NAMES.join(", ");
            let message = format!("\"{wrong}\" is not a permission. Use some of: {names}.");
            return Err(ApiError::field("permissions", message));
        }
        Ok(())
    }

    async fn permit(&self, caller: &Caller, _: &Store, old: Option<&Self>) -> Result<()> {
        let all = old.map_or(Permissions::NONE, permissions_of) | permissions_of(self);
        caller.require_all([(Place::Everywhere, all)]).await
    }

    fn changed(api: &Api) {
        api.known.invalidate_all();
    }

    async fn decorate(_: &Store, views: &mut [Object]) -> Result<()> {
        for view in views {
            let own = |name: &str| view.get(name).and_then(Value::as_str);
            let builtin = view.get("builtin") == Some(&json!(true));
            let known = BUILTIN_ROLES
                .iter()
                .find(|(name, _)| Some(*name) == own("name"));
            let owner = builtin && own("name") == Some("Product Owner");
            if let Some((_, permissions)) = known.filter(|_| builtin) {
                let names: Vec<&str> = permissions.iter().map(Permission::name).collect();
                view.insert("permissions".into(), json!(names));
            }
            view.insert("is_owner".into(), json!(owner));
        }
        Ok(())
    }
}

impl Deletable for Role {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn users(&self, store: &Store) -> Result<Option<String>> {
        if self.builtin {
            return Ok(Some("Tatami itself".into()));
        }
        let members: Vec<Membership> = store.list().await?;
        let in_groups: Vec<GroupMember> = store.list().await?;
        let roles = members.iter().map(|member| member.role);
        let roles = roles.chain(in_groups.iter().map(|member| member.role));
        let users = roles.filter(|role| *role == self.id).count();
        Ok((users > 0).then(|| format!("{users} members")))
    }
}
