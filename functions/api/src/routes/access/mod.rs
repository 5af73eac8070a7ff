//! Who there is, what they may do, and how they sign in.

pub mod contacts;
mod groups;
mod login;
pub mod members;
mod roles;
mod session;
mod tokens;
mod users;

use tatami_auth::permissions_of;
use tatami_domain::{Role, RoleId};
use tatami_store::{Entity as _, Store};

use crate::auth::{self, Caller};
use crate::error::{ApiError, Result};
use crate::openapi::Routes;

/// Adds their routes.
pub fn add(routes: &mut Routes) {
    login::add(routes);
    session::add(routes);
    users::add(routes);
    contacts::add(routes);
    tokens::add(routes);
    roles::add(routes);
    groups::add(routes);
    members::add(routes);
}

/// Gives somebody's role in a place, or takes it away: nobody gives more than they have, nor takes it
/// from those who have more.
async fn permit_role(
    caller: &Caller,
    store: &Store,
    role: RoleId,
    place: tatami_auth::Place,
) -> Result<()> {
    let role: Role = match store.get(role).await {
        Err(error) if error.is_not_found() => {
            let message = format!("Invalid pk \"{role}\": there is no such object.");
            return Err(ApiError::field(Role::WORD, message));
        }
        found => found?,
    };
    caller.require_all([(place, permissions_of(&role))]).await
}

/// Nobody changes those who may do more than they may themselves.
async fn permit_over(caller: &Caller, store: &Store, user: &tatami_domain::User) -> Result<()> {
    let rights = auth::rights(store, user, None).await?;
    caller.require_all(rights.grants()).await
}
