//! A token for a name and a password.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_domain::Token;

use crate::Api;
use crate::auth::by_password;
use crate::body::Body;
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Mode, read};
use crate::openapi::{Answer, Operation, Routes};

const FIELDS: &[Field] = &[
    Field::new("username", Kind::Text(150)).required(),
    Field::new("password", Kind::Text(0)).required(),
];

/// Adds the route.
pub fn add(routes: &mut Routes) {
    let token = Operation::post(
        "/api/v2/api-token-auth",
        "A new token for a name and a password",
    )
    .body("AuthTokenRequest")
    .answers(200, Answer::One("AuthToken"));
    routes.add_public(&token, self::token);
    routes.schemas("AuthToken", &[Field::answer("token", Kind::Text(0))]);
    let texts: serde_json::Map<String, Value> = (FIELDS.iter())
        .map(|field| (field.name.to_owned(), field.schema()))
        .collect();
    let credentials =
        json!({"type": "object", "properties": texts, "required": ["username", "password"]});
    routes.schema("AuthTokenRequest", credentials);
}

async fn token(State(api): State<Api>, Body(body): Body) -> Result<Json<Value>> {
    let sent = read(&body, FIELDS, Mode::Create).map_err(ApiError::Fields)?;
    let username = sent["username"].as_str().unwrap_or_default();
    // a password is taken as it was sent, white space and all
    let password = body["password"].as_str().unwrap_or_default();
    let user = by_password(&api, username, password)
        .await?
        .filter(|user| user.is_active);
    let Some(user) = user else {
        let message = "Unable to log in with provided credentials.";
        return Err(ApiError::field("non_field_errors", message));
    };
    let text = tatami_auth::new_token();
    let token = Token {
        user: user.id,
        name: "api-token-auth".into(),
        created: Timestamp::now(),
        expires: None,
    };
    let sha256 = tatami_auth::token_sha256(&text);
    api.services.store.put_token(&sha256, &token).await?;
    Ok(Json(json!({"token": text})))
}
