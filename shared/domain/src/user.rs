use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{ContactInfoId, ProductId, TokenId, UserId};

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
    pub is_staff: bool,
    /// Has tokens and no login.
    pub is_service_account: bool,
    /// An argon2id hash in PHC form; none: no password login.
    pub password_hash: Option<String>,
    /// The password was given by somebody else and gives no token before it is changed.
    pub must_change_password: bool,
    pub password_last_reset: Option<Timestamp>,
    pub token_last_reset: Option<Timestamp>,
}

/// How a user is reached, and how they like to work.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are the REST API's")]
pub struct ContactInfo {
    #[serde(skip)]
    pub id: ContactInfoId,
    pub user: UserId,
    /// The user's id as text: each user has one at most.
    pub key: String,
    pub title: Option<String>,
    pub phone_number: String,
    pub cell_number: String,
    pub twitter_username: Option<String>,
    pub github_username: Option<String>,
    pub slack_username: Option<String>,
    pub slack_user_id: Option<String>,
    pub block_execution: bool,
    pub deduplication_execution_mode: Option<String>,
    pub ui_use_tailwind: bool,
    /// `daily` or `weekly`: their mails come together; else each at once.
    pub digest: Option<String>,
    /// At which hour of their day, 0 to 23; 8 where none is set.
    pub digest_hour: Option<u8>,
    /// Where they are, as an IANA name; UTC where none is set.
    pub time_zone: Option<String>,
}

/// An API token. Its text is shown once and only its SHA-256 is stored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are the REST API's")]
pub struct Token {
    #[serde(skip)]
    pub id: TokenId,
    pub user: UserId,
    pub name: String,
    /// Of its text, in hex.
    pub sha256: String,
    pub created: Timestamp,
    pub expires: Option<Timestamp>,
    /// To the hour.
    pub last_used: Option<Timestamp>,
    /// Names of the permissions that it's cut down to; none: all of its user's.
    pub scopes: Option<Vec<String>>,
    /// The products that it's good for; none: all of its user's.
    pub products: Option<Vec<ProductId>>,
    /// Is it no API token but a browser's session?
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub session: bool,
}
