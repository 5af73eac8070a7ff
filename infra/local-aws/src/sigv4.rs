//! Signature Version 4 of requests with an `Authorization` header, for DynamoDB and SQS.
//!
//! The endpoints share a port with the app, which may be open to a network, and any page in a
//! browser can reach loopback: without this check they would hand out the whole database. S3
//! requests are checked by `s3s`.

use hmac::{Hmac, KeyInit, Mac};
use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str};
use sha2::{Digest, Sha256};

use crate::Credentials;

/// How far the clock of a client may be off.
const MAX_SKEW_S: i64 = 15 * 60;
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Why a signature was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignatureError {
    #[error("the authorization header is incomplete")]
    Incomplete,
    #[error("the security token included in the request is invalid")]
    UnknownKey,
    #[error("signature expired: the clocks differ by more than 15 minutes")]
    Expired,
    #[error("the request signature we calculated does not match the signature you provided")]
    Mismatch,
}

/// The service that the credential scope of a request names, in its header or its query.
pub(crate) fn service(parts: &Parts) -> Option<&str> {
    let scope = match parts.headers.get(http::header::AUTHORIZATION) {
        Some(header) => Authorization::parse(header.to_str().ok()?)?.credential,
        None => parts
            .uri
            .query()?
            .split('&')
            .find_map(|pair| pair.strip_prefix("X-Amz-Credential="))?,
    };
    // In a query the slashes are escaped, in whichever case.
    scope
        .rsplit(['/', '%'])
        .nth(1)
        .map(|part| part.trim_start_matches("2F").trim_start_matches("2f"))
}

/// Checks the signature of a request with its whole body.
pub(crate) fn verify(
    credentials: &Credentials,
    parts: &Parts,
    body: &[u8],
) -> Result<(), SignatureError> {
    let header = |name: &str| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let authorization = header("authorization")
        .and_then(Authorization::parse)
        .ok_or(SignatureError::Incomplete)?;
    let date = header("x-amz-date").ok_or(SignatureError::Incomplete)?;
    let (key_id, scope) = authorization
        .credential
        .split_once('/')
        .ok_or(SignatureError::Incomplete)?;
    if key_id != credentials.access_key {
        return Err(SignatureError::UnknownKey);
    }
    check_age(date)?;

    let canonical = canonical_request(parts, authorization.signed_headers, body)?;
    let to_sign = format!(
        "{ALGORITHM}\n{date}\n{scope}\n{}",
        hex(&Sha256::digest(canonical))
    );
    let mut key = format!("AWS4{}", credentials.secret_key).into_bytes();
    for part in scope.split('/') {
        key = hmac(&key, part)?.finalize().into_bytes().to_vec();
    }
    hmac(&key, &to_sign)?
        .verify_slice(&unhex(authorization.signature).ok_or(SignatureError::Incomplete)?)
        .map_err(|_| SignatureError::Mismatch)
}

struct Authorization<'a> {
    credential: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    fn parse(header: &'a str) -> Option<Self> {
        let rest = header.strip_prefix(ALGORITHM)?;
        let field = |name: &str| {
            rest.split(',')
                .find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
        };
        Some(Self {
            credential: field("Credential")?,
            signed_headers: field("SignedHeaders")?,
            signature: field("Signature")?,
        })
    }
}

fn check_age(date: &str) -> Result<(), SignatureError> {
    let signed = jiff::fmt::strtime::parse("%Y%m%dT%H%M%SZ", date)
        .and_then(|time| time.to_datetime())
        .and_then(|time| time.to_zoned(jiff::tz::TimeZone::UTC))
        .map_err(|_| SignatureError::Incomplete)?;
    let skew_s = jiff::Timestamp::now().as_second() - signed.timestamp().as_second();
    if skew_s.abs() > MAX_SKEW_S {
        Err(SignatureError::Expired)
    } else {
        Ok(())
    }
}

fn canonical_request(
    parts: &Parts,
    signed_headers: &str,
    body: &[u8],
) -> Result<String, SignatureError> {
    let mut canonical = format!("{}\n{}\n", parts.method, parts.uri.path());
    let mut query: Vec<String> = parts
        .uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            format!("{}={}", reencode(name), reencode(value))
        })
        .collect();
    query.sort();
    canonical += &query.join("&");
    canonical.push('\n');

    let signed: Vec<&str> = signed_headers.split(';').collect();
    // A signature that does not cover the host could be replayed against another server.
    if !signed.contains(&"host") {
        return Err(SignatureError::Incomplete);
    }
    for name in signed {
        let values: Vec<&str> = parts
            .headers
            .get_all(name)
            .iter()
            .map(|value| value.to_str().map(str::trim))
            .collect::<Result<_, _>>()
            .map_err(|_| SignatureError::Incomplete)?;
        canonical.extend([name, ":", &values.join(","), "\n"]);
    }
    canonical.extend(["\n", signed_headers, "\n", &hex(&Sha256::digest(body))]);
    Ok(canonical)
}

fn reencode(text: &str) -> String {
    let decoded: Vec<u8> = percent_decode_str(text).collect();
    percent_encoding::percent_encode(&decoded, UNRESERVED).to_string()
}

fn hmac(key: &[u8], data: &str) -> Result<Hmac<Sha256>, SignatureError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| SignatureError::Mismatch)?;
    mac.update(data.as_bytes());
    Ok(mac)
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// The reverse of [`hex`].
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(uri: &str, authorization: Option<&str>) -> Parts {
        let mut request = http::Request::builder().uri(uri);
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn the_scope_names_the_service() {
        let header = "AWS4-HMAC-SHA256 Credential=tatami/20260101/us-east-1/dynamodb/aws4_request, \
                      SignedHeaders=host, Signature=00";
        assert_eq!(service(&parts("/", Some(header))), Some("dynamodb"));
        let query = "/b/k?X-Amz-Credential=tatami%2F20260101%2Fus-east-1%2Fs3%2Faws4_request&a=b";
        assert_eq!(service(&parts(query, None)), Some("s3"));
        assert_eq!(service(&parts("/api/v2/findings?limit=1", None)), None);
        assert_eq!(service(&parts("/", Some("Bearer abc"))), None);
        assert_eq!(service(&parts("/", Some("Token é"))), None);
    }

    #[test]
    fn unsigned_and_forged_requests_are_refused() {
        let credentials = Credentials {
            access_key: "tatami".into(),
            secret_key: "secret".into(),
        };
        let verify = |header| verify(&credentials, &parts("/", header), b"{}");
        assert_eq!(verify(None), Err(SignatureError::Incomplete));
        let other = "AWS4-HMAC-SHA256 Credential=x/20260101/r/sqs/aws4_request, \
                     SignedHeaders=host, Signature=00";
        // Incomplete, as it has no date.
        assert_eq!(verify(Some(other)), Err(SignatureError::Incomplete));
    }
}
