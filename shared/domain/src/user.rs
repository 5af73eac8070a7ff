use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::UserId;

/// Somebody, or a service, that may sign in or hold tokens.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are the REST API's")]
pub struct User {
    #[serde(skip)]
    pub id: UserId,
    pub username: String,
    pub first_name: String,
    pub last_name: String,
    pub email: String,
    pub is_active: bool,
    pub is_superuser: bool,
    pub date_joined: Timestamp,
    pub last_login: Option<Timestamp>,
    /// An argon2id hash in PHC form; none: no password login.
    pub password_hash: Option<String>,
}

/// An API token. Its text is shown once and only its SHA-256 is stored, as the item's key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Token {
    pub user: UserId,
    pub name: String,
    pub created: Timestamp,
    pub expires: Option<Timestamp>,
}
