//! Signing in and out with a browser.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{Extensions, HeaderMap, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_domain::{Token, User};

use super::login::{FIELDS as SENT, signed_in};
use crate::Api;
use crate::auth::{Caller, must_change};
use crate::body::Body;
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Mode, read};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::Base;
use crate::routes::catalog;
use crate::session::{self, csrf_token};

const PATH: &str = "/api/v2/session";

const FIELDS: &[Field] = &[
    Field::answer("user", Kind::Other("User", false)),
    Field::answer("csrf_token", Kind::Text(64)),
    Field::answer("expires", Kind::DateTime).nullable(),
];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let one = Answer::One("Session");
    let begin = Operation::post(
        "/api/v2/login",
        "Sign in with a browser, which gets a cookie",
    )
    .body("AuthTokenRequest")
    .answers(200, one);
    routes.add_public(&begin, self::begin);
    let get = Operation::get(PATH, "Who is signed in with this browser")
        .may_be_missing()
        .answers(200, one);
    routes.add(&get, self::get);
    let end = Operation::delete(PATH, "Sign out")
        .may_be_missing()
        .answers(204, Answer::Empty);
    routes.add(&end, self::end);
    routes.schemas("Session", FIELDS);
}

async fn begin(
    State(api): State<Api>,
    extensions: Extensions,
    Base(base): Base,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response> {
    session::require_own_site(&headers)?;
    read(&body, SENT, Mode::Create).map_err(ApiError::Fields)?;
    let user = signed_in(&api, &extensions, &body).await?;
    if user.must_change_password {
        return Err(must_change());
    }
    let secret = tatami_auth::new_token();
    let now = Timestamp::now();
    let token = Token {
        user: user.id,
        name: "session".into(),
        sha256: session::sha256(&secret),
        created: now,
        expires: Some(now + session::LASTS),
        session: true,
        ..Token::default()
    };
    let store = &api.services.store;
    let token = store.create(token).await?;
    let login = |user: &mut User| {
        user.last_login = Some(now);
        Ok::<_, ApiError>(())
    };
    let user = store.change(user.id, login).await?;
    let cookie = session::set_cookie(Some(&secret), &base)?;
    let body = view(&api, &user, &token, &secret).await?;
    Ok(([(header::SET_COOKIE, cookie)], body).into_response())
}

async fn view(api: &Api, user: &User, token: &Token, secret: &str) -> Result<Json<Value>> {
    Ok(Json(json!({
        "user": catalog::view(&api.services.store, user).await?,
        "csrf_token": csrf_token(secret),
        "expires": token.expires,
    })))
}

/// The session that the request comes with; 404 where it comes with a token or a password.
async fn own(api: &Api, caller: &Caller, headers: &HeaderMap) -> Result<(Token, String)> {
    let (Some(token), Some(secret)) = (caller.0.token, session::secret(headers)) else {
        return Err(ApiError::not_found());
    };
    let token: Token = api.services.store.get(token).await?;
    if token.sha256 != session::sha256(&secret) {
        return Err(ApiError::not_found());
    }
    Ok((token, secret))
}

async fn get(State(api): State<Api>, caller: Caller, headers: HeaderMap) -> Result<Json<Value>> {
    let (token, secret) = own(&api, &caller, &headers).await?;
    let user: User = api.services.store.get(caller.0.user).await?;
    view(&api, &user, &token, &secret).await
}

async fn end(
    State(api): State<Api>,
    caller: Caller,
    Base(base): Base,
    headers: HeaderMap,
) -> Result<Response> {
    let (token, _) = own(&api, &caller, &headers).await?;
    api.services.store.delete::<Token>(token.id).await?;
    api.known.invalidate_all();
    let cookie = session::set_cookie(None, &base)?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}
