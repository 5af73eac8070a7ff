//! Users, and who one is oneself.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{ContactInfo, GroupMember, Membership, Token, User, UserId};
use tatami_store::{Entity as _, Store, StoreError};

use super::contacts;
use super::login::hash_of_new;
use super::permit_over;
use super::tokens::revoke_all;
use crate::Api;
use crate::auth::Caller;
use crate::body::Body;
use crate::conditional::{IfMatch, Version, Versioned};
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Mode, Object, Target, read};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::{Listing, Page};
use crate::prefetch;
use crate::routes::catalog::{
    self, Deletable as _, Filter, How, Resource, constants, id_in_path, merged, parameters,
};
use crate::routes::notifications;

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let list = Operation::get(User::PATH, "A page of the list")
        .query(parameters::<User>())
        .answers(200, Answer::Page("User"));
    routes.add(&list, self::list);
    let create = Operation::post(User::PATH, "Make one")
        .body("UserRequest")
        .answers(201, Answer::One("User"));
    routes.add(&create, self::create);
    let one = format!("{}/{{id}}", User::PATH);
    let get =
        Operation::get(&*one, "One of them; `me` is oneself").answers(200, Answer::One("User"));
    routes.add(&get, self::get);
    let replace = Operation::put(&*one, "Replace one")
        .body("UserRequest")
        .answers(200, Answer::One("User"));
    routes.add(&replace, write);
    let change = Operation::patch(&*one, "Change some of its fields")
        .body("PatchedUserRequest")
        .answers(200, Answer::One("User"));
    routes.add(&change, write);
    let delete = Operation::delete(&*one, "Delete one, with its tokens and memberships")
        .answers(204, Answer::Empty);
    routes.add(&delete, self::delete);
    let preview = Operation::get(
        format!("{one}/delete_preview"),
        "What would be deleted with it",
    )
    .answers(200, Answer::Page("DeletePreview"));
    routes.add(&preview, delete_preview);
    let reset = Operation::post(format!("{one}/reset_api_token"), "Revoke all of its tokens")
        .answers(200, Answer::One("User"));
    routes.add(&reset, reset_api_token);
    let profile = Operation::get("/api/v2/user_profile", "Who one is oneself")
        .answers(200, Answer::One("UserProfile"));
    routes.add(&profile, self::profile);
    routes.schemas("User", User::FIELDS);
    routes.loads(User::KIND, "UserStub", prefetch::load_users);
    routes.schemas(
        "UserProfile",
        &[
            Field::answer("user", Kind::Other("User", false)),
            Field::answer("user_contact_info", Kind::Other("UserContactInfo", false)).nullable(),
        ],
    );
}

impl Resource for User {
    const PATH: &'static str = "/api/v2/users";
    const SCHEMA: &'static str = "User";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("username", Kind::Text(150)).required(),
        Field::new("first_name", Kind::Text(150)),
        Field::new("last_name", Kind::Text(150)),
        Field::new("email", Kind::Text(254)).required(),
        Field::new("password", Kind::Text(0)).write_only(),
        Field::answer("date_joined", Kind::DateTime),
        Field::answer("last_login", Kind::DateTime).nullable(),
        Field::new("is_active", Kind::Bool),
        Field::new("is_staff", Kind::Bool),
        Field::new("is_superuser", Kind::Bool),
        Field::new("is_service_account", Kind::Bool),
        Field::answer("must_change_password", Kind::Bool),
        Field::answer("token_last_reset", Kind::DateTime).nullable(),
        Field::answer("password_last_reset", Kind::DateTime).nullable(),
        Field::new("configuration_permissions", Kind::Refs(Target::Unknown)),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter::of("id", How::Ids),
        Filter::of("username", How::AnyCase),
        Filter::of("first_name", How::Exact),
        Filter::of("last_name", How::Exact),
        Filter::of("email", How::AnyCase),
        Filter::of("is_active", How::Bool),
        Filter::of("is_superuser", How::Bool),
        Filter::of("is_service_account", How::Bool),
        Filter::on("date_joined_after", "date_joined", How::After),
        Filter::on("date_joined_before", "date_joined", How::Before),
        Filter::on("last_login_after", "last_login", How::After),
        Filter::on("last_login_before", "last_login", How::Before),
    ];
    const VIEW: Permission = Permission::ViewUsers;
    const ADD: Permission = Permission::ManageUsers;
    const EDIT: Permission = Permission::ManageUsers;

    fn fresh() -> Self {
        Self {
            is_active: true,
            date_joined: Timestamp::now(),
            ..Self::default()
        }
    }

    fn check(&self, old: Option<&Self>) -> Result<()> {
        let allowed = |c: char| c.is_alphanumeric() || "_.@+-".contains(c);
        if !self.username.chars().all(allowed) {
            let message = "Use letters, digits and the characters @ . + - _ only.";
            return Err(ApiError::field("username", message));
        }
        if old.is_some_and(|old| old.email == self.email) {
            return Ok(());
        }
        let parts = self.email.split_once('@');
        let proper = |(name, host): (&str, &str)| {
            !name.is_empty() && host.contains('.') && !host.contains('@') && !host.ends_with('.')
        };
        if !parts.is_some_and(proper) || self.email.contains(char::is_whitespace) {
            return Err(ApiError::field("email", "Enter a valid email address."));
        }
        Ok(())
    }

    async fn permit(&self, caller: &Caller, store: &Store, old: Option<&Self>) -> Result<()> {
        if let Some(old) = old {
            permit_over(caller, store, old).await?;
        }
        permit_over(caller, store, self).await
    }

    fn changed(api: &Api) {
        api.known.invalidate_all();
    }

    async fn decorate(_: &Store, views: &mut [Object]) -> Result<()> {
        constants(views, &json!({"configuration_permissions": []}));
        Ok(())
    }
}

async fn list(state: State<Api>, caller: Caller, listing: Listing) -> Result<Json<Page<Object>>> {
    caller.require(User::VIEW, Place::Everywhere).await?;
    catalog::list::<User>(state, caller, listing).await
}

/// The user of a path, where the caller has the permission; everybody may look at themselves.
async fn permitted(api: &Api, caller: &Caller, permission: Permission, id: &str) -> Result<User> {
    let id = match id {
        "me" => caller.0.user,
        id => UserId(id_in_path(id)?),
    };
    if id != caller.0.user || permission != Permission::ViewUsers {
        caller.require(permission, Place::Everywhere).await?;
    }
    Ok(api.services.store.get(id).await?)
}

async fn get(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Versioned<Json<Object>>> {
    let user = permitted(&api, &caller, Permission::ViewUsers, &id).await?;
    catalog::versioned(&api.services.store, &user).await
}

async fn create(
    State(api): State<Api>,
    caller: Caller,
    Body(body): Body,
) -> Result<(StatusCode, Versioned<Json<Object>>)> {
    caller.require(User::ADD, Place::Everywhere).await?;
    let sent = read(&body, User::FIELDS, Mode::Create).map_err(ApiError::Fields)?;
    let store = &api.services.store;
    let mut user = merged(&User::fresh(), &sent, true)?;
    user.check(None)?;
    user.permit(&caller, store, None).await?;
    if let Some(hash) = sent_password(&api, &body, &user).await? {
        user.password_hash = Some(hash);
        user.must_change_password = true;
    }
    let user = store.create(user).await.map_err(taken)?;
    Ok((StatusCode::CREATED, catalog::versioned(store, &user).await?))
}

async fn write(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
    mode: Mode,
    Body(body): Body,
) -> Result<Versioned<Json<Object>>> {
    let store = &api.services.store;
    let old = permitted(&api, &caller, User::EDIT, &id).await?;
    if_match.check(&Version::of(&old))?;
    let sent = read(&body, User::FIELDS, mode).map_err(ApiError::Fields)?;
    let wanted = merged(&old, &sent, false)?;
    wanted.check(Some(&old))?;
    wanted.permit(&caller, store, Some(&old)).await?;
    let password = sent_password(&api, &body, &wanted).await?;
    let by_another = old.id != caller.0.user;
    let apply = |user: &mut User| {
        if_match.check(&Version::of(user))?;
        let mut new = merged(user, &sent, false)?;
        if let Some(hash) = &password {
            new.password_hash = Some(hash.clone());
            new.password_last_reset = Some(Timestamp::now());
            new.must_change_password = by_another;
        }
        *user = new;
        Ok(())
    };
    let user = change_user(store, old.id, apply).await?;
    if password.is_some() || !user.is_active {
        store.end_sessions(user.id).await?;
    }
    User::changed(&api);
    catalog::versioned(store, &user).await
}

/// The hash of a password that was sent; none where none was.
async fn sent_password(api: &Api, body: &Object, user: &User) -> Result<Option<String>> {
    // a password is taken as it was sent, white space and all
    match body.get("password").and_then(Value::as_str) {
        None | Some("") => Ok(None),
        Some(_) if user.is_service_account => {
            let message = "A service account has tokens and no password.";
            Err(ApiError::field("password", message))
        }
        Some(password) => hash_of_new(api, "password", password, user).await.map(Some),
    }
}

/// Changes a user, but not the last active superuser into something else; 409.
async fn change_user(
    store: &Store,
    id: UserId,
    mut change: impl FnMut(&mut User) -> Result<()>,
) -> Result<User> {
    let leads = |user: &User| user.is_superuser && user.is_active;
    let mut old = None;
    let user = store.change::<User, ApiError>(id, |user| {
        old = Some(user.clone());
        change(user)
    });
    let user = user.await.map_err(|error| match error {
        ApiError::Fields(problems) => ApiError::Fields(problems.renamed("name", "username")),
        other => other,
    })?;
    let Some(old) = old.filter(|old| leads(old) && !leads(&user)) else {
        return Ok(user);
    };
    // of several at once that leave nobody, each finds nobody and takes itself back
    if !store.list::<User>().await?.iter().any(leads) {
        let back = |user: &mut User| {
            user.is_superuser = old.is_superuser;
            user.is_active = old.is_active;
            Ok::<_, StoreError>(())
        };
        store.change(id, back).await?;
        return Err(ApiError::conflict(
            "This is the last active superuser; make another one first.",
        ));
    }
    Ok(user)
}

fn taken(error: StoreError) -> ApiError {
    match ApiError::from(error) {
        ApiError::Fields(problems) => ApiError::Fields(problems.renamed("name", "username")),
        other => other,
    }
}

async fn delete(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
) -> Result<StatusCode> {
    let store = &api.services.store;
    let user = permitted(&api, &caller, User::EDIT, &id).await?;
    permit_over(&caller, store, &user).await?;
    if_match.check(&Version::of(&user))?;
    if user.id == caller.0.user {
        return Err(ApiError::conflict("Nobody can delete themselves."));
    }
    let off = |user: &mut User| {
        if_match.check(&Version::of(user))?;
        user.is_active = false;
        Ok(())
    };
    change_user(store, user.id, off).await?;
    User::changed(&api);
    revoke_all(store, user.id).await?;
    for member in store.children::<Membership>(User::KIND, user.id.0).await? {
        gone(store.delete::<Membership>(member.id).await)?;
    }
    for member in store.children::<GroupMember>(User::KIND, user.id.0).await? {
        gone(store.delete::<GroupMember>(member.id).await)?;
    }
    if let Some(info) = contacts::of(store, user.id).await? {
        gone(store.delete::<ContactInfo>(info.id).await)?;
    }
    notifications::forget(store, user.id).await?;
    gone(store.delete::<User>(user.id).await)?;
    Ok(StatusCode::NO_CONTENT)
}

/// What somebody else has deleted is as gone.
fn gone(deleted: std::result::Result<(), StoreError>) -> Result<()> {
    match deleted {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(()),
    }
}

async fn delete_preview(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    listing: Listing,
) -> Result<Json<Page<Value>>> {
    let store = &api.services.store;
    let user = permitted(&api, &caller, User::EDIT, &id).await?;
    let mut rows = vec![json!({"model": "User", "id": user.id, "name": user.username})];
    for token in store.children::<Token>(User::KIND, user.id.0).await? {
        rows.push(json!({"model": "Token", "id": token.id, "name": token.name}));
    }
    for member in store.children::<Membership>(User::KIND, user.id.0).await? {
        rows.push(json!({"model": "Member", "id": member.id, "name": member.key}));
    }
    for member in store.children::<GroupMember>(User::KIND, user.id.0).await? {
        rows.push(json!({"model": "DojoGroupMember", "id": member.id, "name": member.key}));
    }
    if let Some(info) = contacts::of(store, user.id).await? {
        rows.push(json!({"model": "UserContactInfo", "id": info.id, "name": info.name()}));
    }
    Ok(Json(listing.cut(rows)))
}

async fn reset_api_token(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Object>> {
    let store = &api.services.store;
    let user = permitted(&api, &caller, User::EDIT, &id).await?;
    permit_over(&caller, store, &user).await?;
    revoke_all(store, user.id).await?;
    let reset = |user: &mut User| {
        user.token_last_reset = Some(Timestamp::now());
        Ok::<_, StoreError>(())
    };
    let user = store.change(user.id, reset).await?;
    User::changed(&api);
    Ok(Json(catalog::view(store, &user).await?))
}

async fn profile(State(api): State<Api>, caller: Caller) -> Result<Json<Value>> {
    let store = &api.services.store;
    let user: User = store.get(caller.0.user).await?;
    let contact = contacts::view_of(store, user.id).await?;
    let user = catalog::view(store, &user).await?;
    Ok(Json(json!({"user": user, "user_contact_info": contact})))
}
