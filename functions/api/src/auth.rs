//! Who is asking: tokens, passwords, and the check before every route but the public ones.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, StatusCode, request};
use jiff::{SignedDuration, Timestamp};
use moka::sync::Cache;
use tatami_auth::{Permission, Permissions, Place, Rights, permissions_of};
use tatami_domain::{
    EngagementId, Group, GroupMember, Membership, Product, ProductId, ProductType, ProductTypeId,
    Role, RoleId, Token, TokenId, User, UserId,
};
use tatami_store::{Entity as _, Store, StoreError};

use crate::Api;
use crate::error::{ApiError, Result};
use crate::session;
use crate::throttle::{self, Attempt};

/// How long a token or password that was right is taken for right without looking.
const REMEMBERED: Duration = Duration::from_secs(30);
/// How many of them are remembered.
const REMEMBERED_MAX: u64 = 10_000;
/// The use of a token is noted once in so long.
const USE_NOTED: SignedDuration = SignedDuration::from_hours(1);

/// Principals by the SHA-256 of what they sent.
pub type Known = Cache<String, Principal>;

/// Nobody known yet.
pub fn nobody() -> Known {
    Cache::builder()
        .time_to_live(REMEMBERED)
        .max_capacity(REMEMBERED_MAX)
        .build()
}

/// Who is asking.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The user behind the token or password.
    pub user: UserId,
    /// Their name.
    pub username: Arc<str>,
    /// The token, where it is one.
    pub token: Option<TokenId>,
    /// What they may do.
    pub rights: Arc<Rights>,
}

/// The user that a request comes from.
#[derive(Debug, Clone)]
pub struct Caller(pub Principal, Store);

impl Caller {
    /// The one permission check. Who may not even see the place is told that nothing is there.
    pub async fn require(&self, permission: Permission, place: Place) -> Result<()> {
        let held = self.held(place).await?;
        if held.contains(permission) {
            return Ok(());
        }
        let hidden = !matches!(place, Place::Everywhere | Place::Somewhere);
        if hidden && !held.contains(Permission::ViewProducts) {
            return Err(ApiError::not_found());
        }
        Err(ApiError::forbidden())
    }

    /// What may be done in a place.
    pub async fn held(&self, place: Place) -> Result<Permissions> {
        let rights = &self.0.rights;
        let product_type = match place.product() {
            Some(product) if rights.ask_for_types() => match self.1.get::<Product>(product).await {
                Ok(product) => Some(product.prod_type),
                Err(error) if error.is_not_found() => None,
                Err(error) => return Err(error.into()),
            },
            _ => None,
        };
        Ok(rights.at(place, product_type))
    }

    /// May they do all that somebody else may? Nobody gives others what they lack, nor takes over who may
    /// more.
    pub async fn require_all(
        &self,
        of: impl IntoIterator<Item = (Place, Permissions)>,
    ) -> Result<()> {
        for (place, permissions) in of {
            if !self.held(place).await?.contains_all(permissions) {
                return Err(ApiError::forbidden());
            }
        }
        Ok(())
    }

    /// Where something may be done, for lists.
    pub async fn visible(&self, permission: Permission) -> Result<Visible> {
        let rights = &self.0.rights;
        if !rights.in_scope(permission) {
            return Err(ApiError::forbidden());
        }
        let mut some = Parts::default();
        for place in rights.places(permission) {
            match place {
                Place::Everywhere | Place::Somewhere => return Ok(Visible::All),
                Place::ProductType(id) => {
                    let products = self.1.children::<Product>(ProductType::KIND, id.0);
                    let ids = products.await?.into_iter().map(|product| product.id);
                    some.products
                        .extend(ids.filter(|id| rights.within_limit(*id)));
                    some.product_types.insert(id);
                }
                Place::Product(id) if rights.within_limit(id) => {
                    some.products.insert(id);
                }
                Place::Engagement(product, id) if rights.within_limit(product) => {
                    some.engagements.insert(id, product);
                }
                Place::Product(_) | Place::Engagement(..) => {}
            }
        }
        Ok(Visible::Some(some))
    }
}

/// What somebody may see.
#[derive(Debug)]
pub enum Visible {
    /// Everything.
    All,
    /// Parts of the product tree.
    Some(Parts),
}

/// Parts of the product tree.
#[derive(Debug, Default)]
pub struct Parts {
    product_types: BTreeSet<ProductTypeId>,
    products: BTreeSet<ProductId>,
    engagements: BTreeMap<EngagementId, ProductId>,
}

impl Visible {
    /// Can this place be seen?
    pub fn sees(&self, place: Place) -> bool {
        let Self::Some(parts) = self else { return true };
        match place {
            Place::Everywhere | Place::Somewhere => false,
            Place::ProductType(id) => parts.product_types.contains(&id),
            Place::Product(id) => parts.products.contains(&id),
            Place::Engagement(product, id) => {
                parts.products.contains(&product) || parts.engagements.contains_key(&id)
            }
        }
    }

    /// The products of which anything can be seen; none where that's all.
    pub fn products(&self) -> Option<BTreeSet<ProductId>> {
        let Self::Some(parts) = self else { return None };
        let of_engagements = parts.engagements.values();
        Some(
            parts
                .products
                .iter()
                .chain(of_engagements)
                .copied()
                .collect(),
        )
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut request::Parts, _: &S) -> Result<Self> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| {
            ApiError::Internal("a route without authentication asks for its caller".into())
        })
    }
}

/// Lets nobody through whom it doesn't know.
pub async fn authenticate(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let address = throttle::address(request.extensions());
    let principal = principal(
        &api,
        request.method(),
        request.headers(),
        address.as_deref(),
    );
    let principal = match principal.await {
        Ok(principal) => principal,
        Err(error) => return error.into_response(),
    };
    if let Err(error) = api.rates.admit(&api, &principal).await {
        return error.into_response();
    }
    api.services.refresh_intel().await;
    let caller = Caller(principal, api.services.store.clone());
    request.extensions_mut().insert(caller);
    next.run(request).await
}

async fn principal(
    api: &Api,
    method: &Method,
    headers: &HeaderMap,
    address: Option<&str>,
) -> Result<Principal> {
    let header = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    if header.is_none()
        && let Some(secret) = session::secret(headers)
    {
        let principal = by_session(api, &secret).await?;
        if !method.is_safe() {
            session::require_csrf_token(headers, &secret)?;
        }
        return Ok(principal);
    }
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
    let (user, token) = if basic {
        (by_basic(api, secret, address).await?, None)
    } else {
        let (user, token) = by_token(api, &sha256).await?;
        (user, Some(token))
    };
    remember(api, key, &user, token.as_ref()).await
}

/// The principal of a user with a token or without one, who is known by this key from now on.
async fn remember(api: &Api, key: String, user: &User, token: Option<&Token>) -> Result<Principal> {
    if !user.is_active {
        return Err(ApiError::unauthorized("This user is disabled."));
    }
    let principal = Principal {
        user: user.id,
        username: user.username.as_str().into(),
        token: token.map(|token| token.id),
        rights: Arc::new(rights(&api.services.store, user, token).await?),
    };
    api.known.insert(key, principal.clone());
    Ok(principal)
}

async fn by_session(api: &Api, secret: &str) -> Result<Principal> {
    let sha256 = session::sha256(secret);
    let key = format!("s{sha256}");
    if let Some(known) = api.known.get(&key) {
        return Ok(known);
    }
    let (user, token) = by_token(api, &sha256).await?;
    remember(api, key, &user, Some(&token)).await
}

async fn by_token(api: &Api, sha256: &str) -> Result<(User, Token)> {
    let invalid = || ApiError::unauthorized("Invalid token.");
    let store = &api.services.store;
    let token: Token = store.find(sha256).await?.ok_or_else(invalid)?;
    let now = Timestamp::now();
    if token.expires.is_some_and(|expires| expires <= now) {
        return Err(invalid());
    }
    let user = match store.get(token.user).await {
        Err(error) if error.is_not_found() => return Err(invalid()),
        other => other?,
    };
    let fresh = |used: Timestamp| now.duration_since(used) < USE_NOTED;
    if !token.last_used.is_some_and(fresh) {
        let noted = store.change(token.id, |token: &mut Token| {
            token.last_used = Some(now);
            Ok::<(), StoreError>(())
        });
        match noted.await {
            Err(error) if error.is_not_found() => return Err(invalid()),
            Err(error) => tracing::warn!(%error, "the use of a token wasn't noted"),
            Ok(_) => {}
        }
    }
    Ok((user, token))
}

/// What a user may do with a token, or without one.
pub async fn rights(store: &Store, user: &User, token: Option<&Token>) -> Result<Rights> {
    let mut rights = Rights::of_anybody();
    if user.is_superuser {
        rights.grant(Place::Everywhere, Permissions::ALL);
    } else {
        let mut memberships: Vec<Membership> = store.children(User::KIND, user.id.0).await?;
        let groups: Vec<GroupMember> = store.children(User::KIND, user.id.0).await?;
        for group in groups {
            memberships.extend(store.children(Group::KIND, group.group.0).await?);
        }
        let ids: BTreeSet<RoleId> = memberships.iter().map(|member| member.role).collect();
        let roles: Vec<Role> = store.get_all(ids).await?;
        for member in &memberships {
            if let Some(role) = roles.iter().find(|role| role.id == member.role) {
                rights.grant(place_of(member), permissions_of(role));
            }
        }
    }
    if let Some(token) = token {
        let scopes = token.scopes.as_ref();
        let scopes = scopes.map(|names| Permissions::of_names(names.iter().map(String::as_str)));
        let products = token.products.as_ref();
        rights.cut(scopes, products.map(|ids| ids.iter().copied().collect()));
    }
    Ok(rights)
}

/// Where a membership counts.
pub fn place_of(member: &Membership) -> Place {
    Place::from(member)
}

async fn by_basic(api: &Api, secret: &str, address: Option<&str>) -> Result<User> {
    let wrong = || ApiError::unauthorized("Invalid username or password.");
    let decoded = STANDARD.decode(secret).ok();
    let text = decoded
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(wrong)?;
    let (username, password) = text.split_once(':').ok_or_else(wrong)?;
    let user = by_password(api, username, password, address).await?;
    let user = user.ok_or_else(wrong)?;
    if user.must_change_password {
        return Err(must_change());
    }
    Ok(user)
}

/// What somebody is told whose password was given by somebody else.
pub fn must_change() -> ApiError {
    let text = "This password has to be changed first: POST /api/v2/change-password/.";
    ApiError::Detail(StatusCode::FORBIDDEN, text.into())
}

/// A hash to compare with where there is no such user, so that both take the same time.
static NOBODYS_HASH: LazyLock<String> =
    LazyLock::new(|| tatami_auth::hash_password(&tatami_auth::new_password()).unwrap_or_default());

/// The user with this name and password. Wrong ones are counted, and when there are too many of them
/// nothing is looked at.
pub async fn by_password(
    api: &Api,
    username: &str,
    password: &str,
    address: Option<&str>,
) -> Result<Option<User>> {
    let attempt = Attempt::new(username, address);
    attempt.allow(api).await?;
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
    if !right {
        attempt.failed(api).await?;
    }
    Ok(user.filter(|user| right && !user.is_service_account))
}
