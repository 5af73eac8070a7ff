//! Sessions of browsers: a cookie that scripts can't read, and a text that forms of other sites can't
//! send.

use cookie::time::Duration;
use cookie::{Cookie, SameSite};
use http::{HeaderMap, HeaderValue, header};

use crate::error::{ApiError, Result};

/// The cookie's name.
const COOKIE: &str = "tatami_session";
/// The header that every request with a session has to have if it may change something.
const CSRF_HEADER: &str = "x-csrf-token";
/// How long a session lasts.
pub const LASTS: jiff::SignedDuration = jiff::SignedDuration::from_hours(12);

/// The secret of the session that a request comes with.
pub fn secret(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).into_iter();
    let texts = cookies.filter_map(|value| value.to_str().ok());
    let mut cookies = texts.flat_map(|text| Cookie::split_parse(text).flatten());
    let session = cookies.find(|cookie| cookie.name() == COOKIE)?;
    Some(session.value().to_owned())
}

/// What is stored of a session; no API token has the same.
pub fn sha256(secret: &str) -> String {
    tatami_auth::token_sha256(&format!("session {secret}"))
}

/// The text that a page has and other sites don't, to be sent in `X-CSRF-Token`.
pub fn csrf_token(secret: &str) -> String {
    tatami_auth::token_sha256(&format!("csrf {secret}"))
}

/// Refuses what another site may have made a browser send; 403.
pub fn require_csrf_token(headers: &HeaderMap, secret: &str) -> Result<()> {
    let sent = headers
        .get(CSRF_HEADER)
        .and_then(|value| value.to_str().ok());
    if sent == Some(csrf_token(secret).as_str()) {
        return Ok(());
    }
    Err(ApiError::Detail(
        http::StatusCode::FORBIDDEN,
        "CSRF Failed: send the session's csrf_token in the header X-CSRF-Token.".into(),
    ))
}

/// Refuses a sign-in from a form of another site, which would sign somebody in as somebody else; 403.
pub fn require_own_site(headers: &HeaderMap) -> Result<()> {
    let site = headers.get("sec-fetch-site");
    if site.is_some_and(|site| site == "cross-site") {
        return Err(ApiError::Detail(
            http::StatusCode::FORBIDDEN,
            "CSRF Failed: sign in from Tatami's own pages.".into(),
        ));
    }
    Ok(())
}

/// The header that gives a browser its session, or ends it where there is no secret. `base` is Tatami's
/// address.
pub fn set_cookie(secret: Option<&str>, base: &str) -> Result<HeaderValue> {
    let age = match secret {
        Some(_) => LASTS.as_secs(),
        None => 0,
    };
    let cookie = Cookie::build((COOKIE, secret.unwrap_or_default()))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(base.starts_with("https:"))
        .max_age(Duration::seconds(age));
    let text = cookie.build().to_string();
    HeaderValue::try_from(text).map_err(|e| ApiError::Internal(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_found_among_other_cookies() {
        let mut headers = HeaderMap::new();
        assert_eq!(secret(&headers), None);
        headers.append(header::COOKIE, HeaderValue::from_static("a=b; c"));
        headers.append(
            header::COOKIE,
            HeaderValue::from_static("x=1; tatami_session=abc"),
        );
        assert_eq!(secret(&headers).as_deref(), Some("abc"));
    }

    #[test]
    fn scripts_and_other_sites_do_not_get_the_cookie() {
        let cookie = set_cookie(Some("abc"), "https://t.example").unwrap();
        let cookie = cookie.to_str().unwrap();
        for part in [
            "tatami_session=abc",
            "HttpOnly",
            "SameSite=Lax",
            "Secure",
            "Path=/",
            "Max-Age=43200",
        ] {
            assert!(cookie.contains(part), "{cookie}");
        }
        let local = set_cookie(None, "http://127.0.0.1:8080").unwrap();
        let local = local.to_str().unwrap();
        assert!(
            !local.contains("Secure") && local.contains("Max-Age=0"),
            "{local}"
        );
    }

    #[test]
    fn no_text_stands_for_another() {
        let all = [sha256("s"), csrf_token("s"), tatami_auth::token_sha256("s")];
        assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2]);
    }
}
