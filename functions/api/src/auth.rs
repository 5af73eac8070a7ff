//! Who is asking: tokens, passwords, and the check before every route but the public ones.

use std::sync::LazyLock;
use std::time::Duration;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use jiff::Timestamp;
use moka::sync::Cache;
use tatami_auth::{Permission, Place, Principal};
use tatami_domain::User;

use crate::Api;
use crate::error::{ApiError, Result};

/// How long a token or password that was right is taken for right without looking.
const REMEMBERED: Duration = Duration::from_secs(30);
/// How many of them are remembered.
const REMEMBERED_MAX: u64 = 10_000;

/// Principals by the SHA-256 of what they sent.
pub type Known = Cache<String, Principal>;

/// Nobody known yet.
pub fn nobody() -> Known {
    Cache::builder()
        .time_to_live(REMEMBERED)
        .max_capacity(REMEMBERED_MAX)
        .build()
}

/// The user that a request comes from.
#[derive(Debug, Clone, Copy)]
pub struct Caller(pub Principal);

impl Caller {
    /// The one permission check.
    pub fn require(&self, permission: Permission, place: Place) -> Result<()> {
        Ok(self.0.require(permission, place)?)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let caller = parts.extensions.get::<Self>().copied();
        caller.ok_or_else(|| {
            ApiError::Internal("a route without authentication asks for its caller".into())
        })
    }
}

/// Lets nobody through whom it doesn't know.
pub async fn authenticate(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    match principal(&api, request.headers()).await {
        Ok(principal) => {
            request.extensions_mut().insert(Caller(principal));
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}

async fn principal(api: &Api, headers: &HeaderMap) -> Result<Principal> {
    let header = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let Some((scheme, secret)) = header.and_then(|text| text.trim().split_once(' ')) else {
        return Err(ApiError::unauthorized(
            "Authentication credentials were not provided.",
        ));
    };
    let secret = secret.trim();
    let basic = scheme.eq_ignore_ascii_case("basic");
    if !basic && !scheme.eq_ignore_ascii_case("token") && !scheme.eq_ignore_ascii_case("bearer") {
        return Err(ApiError::unauthorized(
            "Authentication credentials were not provided.",
        ));
    }
    let sha256 = tatami_auth::token_sha256(secret);
    // the same text as a token and as a password are two things
    let key = format!("{}{sha256}", if basic { "b" } else { "t" });
    if let Some(known) = api.known.get(&key) {
        return Ok(known);
    }
    let user = if basic {
        by_basic(api, secret).await?
    } else {
        by_token(api, &sha256).await?
    };
    if !user.is_active {
        return Err(ApiError::unauthorized("This user is disabled."));
    }
    let principal = Principal {
        user: user.id,
        superuser: user.is_superuser,
        active: user.is_active,
    };
    api.known.insert(key, principal);
    Ok(principal)
}

async fn by_token(api: &Api, sha256: &str) -> Result<User> {
    let invalid = || ApiError::unauthorized("Invalid token.");
    let store = &api.services.store;
    let token = store.token(sha256).await?.ok_or_else(invalid)?;
    if token
        .expires
        .is_some_and(|expires| expires <= Timestamp::now())
    {
        return Err(invalid());
    }
    match store.get(token.user).await {
        Err(error) if error.is_not_found() => Err(invalid()),
        other => Ok(other?),
    }
}

async fn by_basic(api: &Api, secret: &str) -> Result<User> {
    let wrong = || ApiError::unauthorized("Invalid username or password.");
    let decoded = STANDARD.decode(secret).ok();
    let text = decoded
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(wrong)?;
    let (username, password) = text.split_once(':').ok_or_else(wrong)?;
    by_password(api, username, password)
        .await?
        .ok_or_else(wrong)
}

/// A hash to compare with where there is no such user, so that both take the same time.
static NOBODYS_HASH: LazyLock<String> =
    LazyLock::new(|| tatami_auth::hash_password(&tatami_auth::new_password()).unwrap_or_default());

/// The user with this name and password.
pub async fn by_password(api: &Api, username: &str, password: &str) -> Result<Option<User>> {
    let user: Option<User> = api.services.store.find(username).await?;
    let hash = user.as_ref().and_then(|user| user.password_hash.clone());
    let password = password.to_owned();
    let verify = move || {
        let known = hash.is_some();
        let hash = hash.as_deref().unwrap_or(&NOBODYS_HASH);
        tatami_auth::verify_password(&password, hash) && known
    };
    let right = tokio::task::spawn_blocking(verify)
        .await
        .map_err(|e| ApiError::Internal(e.to_string()))?;
    Ok(user.filter(|_| right))
}
