//! Users, and who one is oneself.

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::User;

use super::catalog::id_in_path;
use crate::Api;
use crate::auth::Caller;
use crate::error::Result;
use crate::fields::{Field, Kind, Target};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::{Listing, Page};

const FIELDS: &[Field] = &[
    Field::answer("id", Kind::Ref(Target::Unknown)),
    Field::answer("username", Kind::Text(150)),
    Field::answer("first_name", Kind::Text(150)),
    Field::answer("last_name", Kind::Text(150)),
    Field::answer("email", Kind::Text(254)),
    Field::answer("date_joined", Kind::DateTime),
    Field::answer("last_login", Kind::DateTime).nullable(),
    Field::answer("is_active", Kind::Bool),
    Field::answer("is_staff", Kind::Bool),
    Field::answer("is_superuser", Kind::Bool),
    Field::answer("token_last_reset", Kind::DateTime).nullable(),
    Field::answer("password_last_reset", Kind::DateTime).nullable(),
    Field::answer("configuration_permissions", Kind::Refs(Target::Unknown)),
];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let list = Operation::get("/api/v2/users", "A page of the list")
        .query([
            Field::new("id", Kind::Refs(Target::User)),
            Field::new("username", Kind::Text(0)),
            Field::new("email", Kind::Text(0)),
            Field::new("is_active", Kind::Bool),
            Field::new("is_superuser", Kind::Bool),
        ])
        .answers(200, Answer::Page("User"));
    routes.add(&list, self::list);
    let get = Operation::get("/api/v2/users/{id}", "One of them").answers(200, Answer::One("User"));
    routes.add(&get, self::get);
    let profile = Operation::get("/api/v2/user_profile", "Who one is oneself")
        .answers(200, Answer::One("UserProfile"));
    routes.add(&profile, self::profile);
    routes.schemas("User", FIELDS);
    routes.schemas(
        "UserProfile",
        &[Field::answer("user", Kind::Other("User", false))],
    );
}

fn view(user: &User) -> Value {
    json!({
        "id": user.id,
        "username": user.username,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "email": user.email,
        "date_joined": user.date_joined,
        "last_login": user.last_login,
        "is_active": user.is_active,
        "is_staff": user.is_superuser,
        "is_superuser": user.is_superuser,
        "token_last_reset": null,
        "password_last_reset": null,
        "configuration_permissions": [],
    })
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    listing: Listing,
) -> Result<Json<Page<Value>>> {
    caller.require(Permission::ViewUsers, Place::Everywhere)?;
    let query = &listing.query;
    let mut users: Vec<User> = api.services.store.list().await?;
    if query.get("id").is_some() {
        let ids = query.ids("id")?;
        users.retain(|user| ids.contains(&user.id.0));
    }
    if let Some(text) = query.get("username").map(str::to_lowercase) {
        users.retain(|user| user.username.to_lowercase() == text);
    }
    if let Some(text) = query.get("email").map(str::to_lowercase) {
        users.retain(|user| user.email.to_lowercase() == text);
    }
    if let Some(wanted) = query.boolean("is_active")? {
        users.retain(|user| user.is_active == wanted);
    }
    if let Some(wanted) = query.boolean("is_superuser")? {
        users.retain(|user| user.is_superuser == wanted);
    }
    Ok(Json(listing.cut(users.iter().map(view).collect())))
}

async fn get(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>> {
    let id = match id.as_str() {
        "me" => caller.0.user.0,
        id => id_in_path(id)?,
    };
    if id != caller.0.user.0 {
        caller.require(Permission::ViewUsers, Place::Everywhere)?;
    }
    let user: User = api.services.store.get(id.into()).await?;
    Ok(Json(view(&user)))
}

async fn profile(State(api): State<Api>, caller: Caller) -> Result<Json<Value>> {
    let user: User = api.services.store.get(caller.0.user).await?;
    Ok(Json(json!({"user": view(&user)})))
}
