//! `Idempotency-Key`: a POST that is sent again is not done again. The client makes up a key for what it
//! wants done; whatever comes of it, the same request under the same key has the same answer for a day.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest as _, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tatami_store::{Begun, KeptAnswer, Store, Turn};
use tracing::Instrument as _;

use crate::Api;
use crate::auth::Caller;
use crate::body::not_read;
use crate::error::{ApiError, Result};

/// The header with the key.
pub const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header of an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// The longest key, in characters.
pub const MAX_KEY: usize = 255;

/// Does a POST with a key once.
pub async fn once(
    State(api): State<Api>,
    caller: Caller,
    request: Request,
    next: Next,
) -> Result<Response> {
    let Some(key) = request.headers().get(KEY) else {
        return Ok(next.run(request).await);
    };
    if request.method() != Method::POST {
        return Ok(next.run(request).await);
    }
    let key = key.to_str().unwrap_or_default().trim();
    if key.is_empty() || key.len() > MAX_KEY {
        let message = format!("Use 1 to {MAX_KEY} visible ASCII characters.");
        return Err(ApiError::field("Idempotency-Key", message));
    }
    let key = hex(&Sha256::digest(key));
    let (parts, body) = request.into_parts();
    // a request without its body, for the limit that its extensions carry
    let body = Request::from_parts(parts.clone(), body);
    let body = Bytes::from_request(body, &()).await;
    let body = body.map_err(|e| not_read(&e))?;
    let fingerprint = fingerprint(&parts, &body);
    let store = api.services.store.clone();
    let begun = store.begin_once(caller.0.user.0, &key, &fingerprint, Timestamp::now());
    match begun.await? {
        Begun::First(turn) => {
            let request = Request::from_parts(parts, Body::from(body));
            // It is done and kept though the client doesn't wait for it.
            let doing = async move {
                let response = next.run(request).await;
                keep(&store, &turn, response).await
            };
            let done = tokio::spawn(doing.in_current_span()).await;
            done.map_err(|e| ApiError::Internal(e.to_string()))?
        }
        Begun::Running => Err(ApiError::conflict(
            "The first request under this Idempotency-Key is still being done; try again later.",
        )),
        Begun::Differs => Err(ApiError::Detail(
            StatusCode::UNPROCESSABLE_ENTITY,
            "This Idempotency-Key belongs to another request: use a new one.".into(),
        )),
        Begun::Done(answer) => replayed(answer),
    }
}

/// Keeps an answer. Nothing was done where a request was refused or failed: it may be tried again.
async fn keep(store: &Store, turn: &Turn, response: Response) -> Result<Response> {
    if !response.status().is_success() {
        store.give_up(turn, Timestamp::now()).await?;
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await;
    let body = body.map_err(|e| ApiError::Internal(e.to_string()))?;
    // what is shown once is written nowhere
    let secret = parts.headers.get(header::CACHE_CONTROL) == Some(&NO_STORE);
    let answer = KeptAnswer {
        status: parts.status.as_u16(),
        headers: texts(&parts.headers),
        body: (!secret).then(|| body.to_vec()),
    };
    if let Err(error) = store.keep_answer(turn, &answer, Timestamp::now()).await {
        // It is done, and the client is told so; sent again, it is refused for a while and then done again.
        tracing::error!(%error, "an answer was not kept");
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// The value of `Cache-Control` for answers with a secret in them, which are kept nowhere.
pub const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    headers.iter().filter_map(text).collect()
}

fn replayed(answer: KeptAnswer) -> Result<Response> {
    let Some(body) = answer.body else {
        return Err(ApiError::conflict(
            "This was done; its answer has a secret in it, and was shown once.",
        ));
    };
    let mut response = Body::from(body).into_response();
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
            response.headers_mut().append(name, value);
        }
    }
    let yes = HeaderValue::from_static("true");
    response.headers_mut().insert(REPLAYED, yes);
    Ok(response)
}

/// What makes two requests the same. A client that sends a form again draws another boundary for it, which
/// says nothing.
fn fingerprint(parts: &http::request::Parts, body: &[u8]) -> String {
    let kind = parts.headers.get(header::CONTENT_TYPE);
    let kind = kind
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let (kind, boundary) = match kind.split_once("boundary=") {
        Some((kind, rest)) => {
            let boundary = rest.split(';').next().unwrap_or_default();
            (kind, boundary.trim().trim_matches('"'))
        }
        None => (kind, ""),
    };
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    };
    let path = parts.uri.path_and_query();
    add(path.map_or("", |path| path.as_str()).as_bytes());
    add(kind.trim().to_ascii_lowercase().as_bytes());
    if boundary.is_empty() {
        add(body);
    } else {
        let boundary = format!("--{boundary}");
        let mut rest = body;
        for at in memchr::memmem::find_iter(body, &boundary) {
            let start = body.len() - rest.len();
            add(rest.get(..at - start).unwrap_or_default());
            rest = body.get(at + boundary.len()..).unwrap_or_default();
        }
        add(rest);
    }
    hex(&hash.finalize())
}

fn hex(bytes: &[u8]) -> String {
    format!("{:x}", Bytes::copy_from_slice(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str, kind: &str, body: &str) -> String {
        let request = Request::post(path)
            .header("content-type", kind)
            .body(())
            .unwrap();
        fingerprint(&request.into_parts().0, body.as_bytes())
    }

    #[test]
    fn boundaries_do_not_make_another_request() {
        let form = |boundary: &str, value: &str| {
            let body = format!("--{boundary}\r\nname\r\n\r\n{value}\r\n--{boundary}--\r\n");
            of(
                "/a",
                &format!("multipart/form-data; boundary={boundary}"),
                &body,
            )
        };
        assert_eq!(form("xx", "1"), form("yyyy", "1"));
        assert_ne!(form("xx", "1"), form("xx", "2"));
        assert_ne!(of("/a", "text/plain", "1"), of("/b", "text/plain", "1"));
        assert_ne!(of("/a", "text/plain", "1"), of("/a", "text/html", "1"));
        assert_ne!(of("/a?b=1", "", "1"), of("/a?b=2", "", "1"));
    }
}
