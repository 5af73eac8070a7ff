//! A token for a name and a password, and another password.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use http::Extensions;
use http::{StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_domain::{SystemSettings, Token, User};

use crate::Api;
use crate::auth::{by_password, must_change};
use crate::body::Body;
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Mode, Object, read};
use crate::idempotency::NO_STORE;
use crate::openapi::{Answer, Operation, Routes};
use crate::throttle;

/// A name and a password.
pub const FIELDS: &[Field] = &[
    Field::new("username", Kind::Text(150)).required(),
    Field::new("password", Kind::Text(0)).required(),
];

const CHANGE: &[Field] = &[
    FIELDS[0],
    FIELDS[1],
    Field::new("new_password", Kind::Text(0)).required(),
];

/// How hard a password has to be to guess, by zxcvbn's score of 0 to 4.
const HARDNESS: zxcvbn::Score = zxcvbn::Score::Two;

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let token = Operation::post(
        "/api/v2/api-token-auth",
        "A new token for a name and a password",
    )
    .body("AuthTokenRequest")
    .answers(200, Answer::One("AuthToken"));
    routes.add_public(&token, self::token);
    let change = Operation::post(
        "/api/v2/change-password",
        "Another password for a name and a password",
    )
    .body("ChangePasswordRequest")
    .answers(204, Answer::Empty);
    routes.add_public(&change, change_password);
    routes.schemas("AuthToken", &[Field::answer("token", Kind::Text(0))]);
    for (name, fields) in [
        ("AuthTokenRequest", FIELDS),
        ("ChangePasswordRequest", CHANGE),
    ] {
        let properties: Object = (fields.iter())
            .map(|field| (field.name.to_owned(), field.schema()))
            .collect();
        let required: Vec<&str> = fields.iter().map(|field| field.name).collect();
        let schema = json!({"type": "object", "properties": properties, "required": required});
        routes.schema(name, schema);
    }
}

/// The user with the name and the password that were sent.
pub async fn signed_in(api: &Api, extensions: &Extensions, body: &Object) -> Result<User> {
    // a password is taken as it was sent, white space and all
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let address = throttle::address(extensions);
    let user = by_password(
        api,
        text("username").trim(),
        text("password"),
        address.as_deref(),
    );
    let user = user.await?.filter(|user| user.is_active);
    let user = user.ok_or_else(|| {
        let message = "Unable to log in with provided credentials.";
        ApiError::field("non_field_errors", message)
    })?;
    tatami_store::acted_by(user.id, &user.username);
    Ok(user)
}

async fn token(
    State(api): State<Api>,
    extensions: Extensions,
    Body(body): Body,
) -> Result<impl IntoResponse> {
    read(&body, FIELDS, Mode::Create).map_err(ApiError::Fields)?;
    let user = signed_in(&api, &extensions, &body).await?;
    if user.must_change_password {
        return Err(must_change());
    }
    let text = tatami_auth::new_token();
    let now = Timestamp::now();
    let token = Token {
        user: user.id,
        name: "api-token-auth".into(),
        sha256: tatami_auth::token_sha256(&text),
        created: now,
        ..Token::default()
    };
    api.services.store.create(token).await?;
    let login = |user: &mut User| {
        user.last_login = Some(now);
        Ok::<_, ApiError>(())
    };
    api.services.store.change(user.id, login).await?;
    let no_store = [(header::CACHE_CONTROL, NO_STORE)];
    Ok((no_store, Json(json!({"token": text}))))
}

async fn change_password(
    State(api): State<Api>,
    extensions: Extensions,
    Body(body): Body,
) -> Result<StatusCode> {
    read(&body, CHANGE, Mode::Create).map_err(ApiError::Fields)?;
    let user = signed_in(&api, &extensions, &body).await?;
    let new = body["new_password"].as_str().unwrap_or_default();
    if body.get("password").and_then(Value::as_str) == Some(new) {
        let message = "This is the password that you have already.";
        return Err(ApiError::field("new_password", message));
    }
    let hash = hash_of_new(&api, "new_password", new, &user).await?;
    let change = |user: &mut User| {
        user.password_hash = Some(hash.clone());
        user.password_last_reset = Some(Timestamp::now());
        user.must_change_password = false;
        Ok::<_, ApiError>(())
    };
    api.services.store.change(user.id, change).await?;
    api.services.store.end_sessions(user.id).await?;
    api.known.invalidate_all();
    Ok(StatusCode::NO_CONTENT)
}

/// The hash of a new password of a user, if it's as the system's settings want it and hard to guess.
pub async fn hash_of_new(api: &Api, field: &str, password: &str, user: &User) -> Result<String> {
    let settings = api.services.store.system_settings().await?;
    if let Some(message) = unfit(&settings, password) {
        return Err(ApiError::field(field, message));
    }
    if settings.non_common_password_required {
        hard_to_guess(field, password, user)?;
    }
    let password = password.to_owned();
    let hash = tokio::task::spawn_blocking(move || tatami_auth::hash_password(&password));
    let hash = hash.await.map_err(|e| ApiError::Internal(e.to_string()))?;
    hash.map_err(|e| ApiError::Internal(e.to_string()))
}

/// What the settings want and a password lacks.
fn unfit(settings: &SystemSettings, password: &str) -> Option<String> {
    let length = password.chars().count();
    let least = settings.minimum_password_length;
    let most = settings.maximum_password_length;
    let fits = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    if !(fits(least)..=fits(most)).contains(&length) {
        return Some(format!("Use {least} to {most} characters."));
    }
    let has = |kind: fn(char) -> bool| password.chars().any(kind);
    let special = |c: char| !c.is_alphanumeric() && !c.is_whitespace();
    let missing: Vec<&str> = [
        (
            settings.number_character_required,
            has(char::is_numeric),
            "a digit",
        ),
        (
            settings.special_character_required,
            has(special),
            "a special character",
        ),
        (
            settings.lowercase_character_required,
            has(char::is_lowercase),
            "a lowercase letter",
        ),
        (
            settings.uppercase_character_required,
            has(char::is_uppercase),
            "an uppercase letter",
        ),
    ]
    .into_iter()
    .filter(|(wanted, held, _)| *wanted && !held)
    .map(|(_, _, name)| name)
    .collect();
    (!missing.is_empty()).then(|| format!("Use also {}.", missing.join(" and ")))
}

fn hard_to_guess(field: &str, password: &str, user: &User) -> Result<()> {
    let own = [
        &*user.username,
        &*user.email,
        &*user.first_name,
        &*user.last_name,
    ];
    let guess = zxcvbn::zxcvbn(password, &own);
    if guess.score() < HARDNESS {
        let why = guess
            .feedback()
            .and_then(zxcvbn::feedback::Feedback::warning);
        let why = why.map(|why| format!(" {why}")).unwrap_or_default();
        let message = format!("This password is too easy to guess.{why}");
        return Err(ApiError::field(field, message));
    }
    Ok(())
}
