//! What every request has: an id in its answer and in the log, and an end, though its handler panics.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use http::{HeaderName, HeaderValue};
use tracing::Instrument as _;

use crate::error::{ApiError, Broken};
use crate::routes::jira::without_secret;

/// The header with a request's id.
const ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id that is taken from a client, in characters.
const MAX_ID: usize = 128;

/// The id of a request: the client's, where it sent one that can be written anywhere. It is among the
/// extensions of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl Default for RequestId {
    fn default() -> Self {
        Self(uuid::Uuid::new_v4().to_string().into())
    }
}

impl RequestId {
    fn of(request: &Request) -> Self {
        let plain = |c: u8| c.is_ascii_alphanumeric() || b"._:@+/=-".contains(&c);
        let sent = request.headers().get(ID).and_then(|id| id.to_str().ok());
        let sent = sent.filter(|id| !id.is_empty() && id.len() <= MAX_ID && id.bytes().all(plain));
        sent.map_or_else(Self::default, |id| Self(id.into()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Answers a request by `handle`, under an id.
pub async fn identified<F>(mut request: Request, handle: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    let id = RequestId::of(&request);
    request.extensions_mut().insert(id.clone());
    let path = without_secret(request.uri().path()).into_owned();
    let method = request.method().clone();
    let span = tracing::info_span!("request", request_id = id.as_str(), %method, path);
    let handled = AssertUnwindSafe(handle(request)).catch_unwind();
    let answer = async {
        let mut response = handled.await.unwrap_or_else(|panic| {
            let said = panic.downcast_ref::<&str>().copied();
            let said = said.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            ApiError::Internal(said.unwrap_or("it panicked").to_owned()).into_response()
        });
        if let Some(Broken(reason)) = response.extensions_mut().remove::<Broken>() {
            tracing::error!(request_id = id.as_str(), reason, "a request failed");
            response = ApiError::broken(id.as_str());
        }
        let status = response.status().as_u16();
        tracing::debug!(request_id = id.as_str(), status, "answered");
        response
    };
    let mut response = answer.instrument(span).await;
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(ID, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[tokio::test]
    async fn what_broke_stays_in_the_log_and_the_client_has_a_number_to_ask_by() {
        for panics in [false, true] {
            let request = Request::get("/").header("x-request-id", "my-build:7");
            let request = request.body(Body::empty()).unwrap();
            let handle = |_| async move {
                assert!(!panics, "secret");
                ApiError::Internal("secret".into()).into_response()
            };
            let response = identified(request, handle).await;
            assert_eq!(response.status(), 500);
            assert_eq!(response.headers()["x-request-id"], "my-build:7");
            let body = axum::body::to_bytes(response.into_body(), 1000)
                .await
                .unwrap();
            let text = String::from_utf8(body.to_vec()).unwrap();
            assert!(text.contains("\"request_id\":\"my-build:7\""), "{text}");
            assert!(!text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn an_id_that_could_not_be_written_anywhere_is_not_taken() {
        for (sent, taken) in [("a-1", true), ("a b", false), ("a\"b", false), ("", false)] {
            let request = Request::get("/").header("x-request-id", sent);
            let id = RequestId::of(&request.body(Body::empty()).unwrap());
            assert_eq!(id.as_str() == sent, taken, "{sent}");
        }
        let long = "x".repeat(129);
        let request = Request::get("/").header("x-request-id", &long);
        let id = RequestId::of(&request.body(Body::empty()).unwrap());
        assert_ne!(id.as_str(), long);
    }
}
