//! Tags (`ETag`) and conditional requests: `If-None-Match` saves sending what a client has, and `If-Match` lets
//! it write only what it has seen.
//!
//! A tag has two parts. The first is the version of the stored thing, on which writes are conditioned in
//! the store too, so that `If-Match` is checked in one step with the write; the second is the answer as it
//! was sent, which also has what belongs to other things (counts, days left).

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::convert::Infallible;

use crate::error::{ApiError, Result};

/// So many hexadecimal digits of a hash make a part of a tag.
const PART: usize = 16;

/// The version of a stored thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(String);

impl Version {
    /// Of something that the store replaces only as it was read: its document, or a number that counts
    /// its writes.
    pub fn of<T: Serialize>(stored: &T) -> Self {
        Self(hash(&serde_json::to_vec(stored).unwrap_or_default()))
    }
}

fn hash(bytes: &[u8]) -> String {
    let mut hash = format!("{:x}", Bytes::copy_from_slice(&Sha256::digest(bytes)));
    hash.truncate(PART);
    hash
}

/// An answer that shows a thing in a version.
#[derive(Debug)]
pub struct Versioned<T>(pub Version, pub T);

impl<T: IntoResponse> IntoResponse for Versioned<T> {
    fn into_response(self) -> Response {
        let mut response = self.1.into_response();
        response.extensions_mut().insert(self.0);
        response
    }
}

/// The versions that a client wants to write over; empty where it doesn't say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IfMatch(Option<Vec<String>>);

impl IfMatch {
    /// Does the client say what it wants to write over?
    pub fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// Refuses what isn't in a version that the client wants to write over; 412. To be called where the
    /// write is decided, with what is there then.
    pub fn check(&self, version: &Version) -> Result<()> {
        if self.allows(version) {
            return Ok(());
        }
        Err(Self::failed())
    }

    /// 412.
    pub fn failed() -> ApiError {
        ApiError::Detail(
            StatusCode::PRECONDITION_FAILED,
            "This has changed since you read it (If-Match): read it again.".into(),
        )
    }

    /// The same as a question.
    pub fn allows(&self, Version(version): &Version) -> bool {
        let Some(tags) = &self.0 else { return true };
        tags.iter().any(|tag| {
            let known = tag.split_once('-').map_or(tag.as_str(), |(known, _)| known);
            tag == "*" || known == version
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(tags(&parts.headers, &header::IF_MATCH)))
    }
}

/// The tags that a header lists, without their quotes. Whoever compresses an answer on its way makes its
/// tag a weak one (`W/`), which says the same here.
fn tags(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<String>> {
    let values = headers.get_all(name).into_iter();
    let mut tags = values
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .map(|tag| {
            let tag = tag.trim();
            let tag = tag.strip_prefix("W/").unwrap_or(tag);
            tag.trim_matches('"').to_owned()
        })
        .peekable();
    tags.peek()?;
    Some(tags.collect())
}

/// Gives answers of one thing their tag, and spares the client what it has already.
pub async fn tagged(request: Request, next: Next) -> Response {
    let reads = request.method() == Method::GET;
    let known = tags(request.headers(), &header::IF_NONE_MATCH).filter(|_| reads);
    let response = next.run(request).await;
    let is_versioned = response.extensions().get::<Version>().is_some();
    if !response.status().is_success() || !(reads || is_versioned) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let bytes = match axum::body::to_bytes(body, usize::MAX).await {
        Ok(bytes) => bytes,
        Err(error) => return ApiError::Internal(error.to_string()).into_response(),
    };
    let version = parts.extensions.get::<Version>().map(|version| &*version.0);
    let tag = format!("{}-{}", version.unwrap_or_default(), hash(&bytes));
    if let Ok(value) = HeaderValue::try_from(format!("\"{tag}\"")) {
        parts.headers.insert(header::ETAG, value);
    }
    // what somebody may see is nobody else's, and is asked for again each time
    let private = HeaderValue::from_static("private, no-cache");
    let cache = parts.headers.entry(header::CACHE_CONTROL);
    cache.or_insert(private);
    if known.is_some_and(|known| known.iter().any(|k| *k == tag || k == "*")) {
        parts.status = StatusCode::NOT_MODIFIED;
        for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH] {
            parts.headers.remove(name);
        }
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn if_match(value: &'static str) -> IfMatch {
        let headers = HeaderMap::from_iter([(header::IF_MATCH, HeaderValue::from_static(value))]);
        IfMatch(tags(&headers, &header::IF_MATCH))
    }

    #[test]
    fn only_the_version_of_a_tag_counts_for_writes() {
        let version = Version::of(&7);
        let Version(text) = &version;
        assert!(IfMatch::default().allows(&version));
        assert!(if_match("*").allows(&version));
        for (tag, fits) in [
            (format!("\"{text}-0011\""), true),
            (format!("W/\"{text}-0022\""), true),
            (format!("\"other-1\", \"{text}\""), true),
            ("\"other\"".into(), false),
            (format!("\"0011-{text}\""), false),
            ("\"\"".into(), false),
        ] {
            let headers = HeaderMap::from_iter([(header::IF_MATCH, tag.parse().unwrap())]);
            let if_match = IfMatch(tags(&headers, &header::IF_MATCH));
            assert_eq!(if_match.allows(&version), fits, "{tag}");
        }
    }
}
