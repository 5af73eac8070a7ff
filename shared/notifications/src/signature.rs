//! Signatures of requests to webhooks.
//!
//! A request has these headers:
//!
//! - `X-Tatami-Timestamp`: when it was signed, in seconds since 1970.
//! - `X-Tatami-Signature`: `v1=<hex>`, the HMAC-SHA-256 of `<timestamp>.<body>` under the secret of the webhook. While a
//!   secret is replaced there are two, separated by a comma; one has to be right.
//! - `X-Tatami-Delivery`: the id of the message, the same whenever it is tried again.
//! - `X-Tatami-Event`: the topic, such as `scan_added`.
//!
//! Who receives it computes the HMAC over the bytes as they came, compares in constant time, and refuses timestamps that
//! are more than some minutes away: [`verify`].

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// Header with the time of signing.
pub const TIMESTAMP_HEADER: &str = "X-Tatami-Timestamp";
/// Header with the signatures.
pub const SIGNATURE_HEADER: &str = "X-Tatami-Signature";
/// Header with the id of the message.
pub const DELIVERY_HEADER: &str = "X-Tatami-Delivery";
/// Header with the name of the topic.
pub const EVENT_HEADER: &str = "X-Tatami-Event";

const VERSION: &str = "v1=";

/// A request isn't believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// The time of signing is too far away.
    #[error(
        "the request was signed {0} seconds away from now: check the clocks, or it was sent again by somebody else"
    )]
    Timestamp(u64),
    /// There is no signature of the version `v1`.
    #[error("the header X-Tatami-Signature has no signature that begins with v1=")]
    Missing,
    /// No signature is right.
    #[error(
        "no signature fits the body and the time: compare the secret, and sign the bytes as they came"
    )]
    Wrong,
}

/// The HMAC-SHA-256 of what is put into it.
pub(crate) fn mac(key: &[u8]) -> Hmac<Sha256> {
    // to the length of a block as RFC 2104 has it, so that no key is an error
    let mut block = [0; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    Hmac::new(&block.into())
}

fn signed(secret: &[u8], timestamp: Timestamp, body: &[u8]) -> Hmac<Sha256> {
    let seconds = timestamp.as_second().to_string();
    mac(secret)
        .chain_update(seconds)
        .chain_update(".")
        .chain_update(body)
}

/// The signature of a body, as `v1=<hex>`.
pub fn sign(secret: &[u8], timestamp: Timestamp, body: &[u8]) -> String {
    let mac = signed(secret, timestamp, body).finalize().into_bytes();
    format!("{VERSION}{}", hex(&mac))
}

/// The signatures under all of these secrets, separated by commas, while one takes the place of another.
pub fn sign_all<S: AsRef<[u8]>>(
    secrets: impl IntoIterator<Item = S>,
    timestamp: Timestamp,
    body: &[u8],
) -> String {
    let signatures = secrets.into_iter();
    let signatures: Vec<String> = signatures
        .map(|secret| sign(secret.as_ref(), timestamp, body))
        .collect();
    signatures.join(",")
}

/// Is a signature of the header right, and was the body signed at most `tolerance_seconds` ago or ahead?
pub fn verify(
    secret: &[u8],
    header: &str,
    timestamp: Timestamp,
    body: &[u8],
    now: Timestamp,
    tolerance_seconds: u64,
) -> Result<(), SignatureError> {
    let away = now.as_second().abs_diff(timestamp.as_second());
    if away > tolerance_seconds {
        return Err(SignatureError::Timestamp(away));
    }
    let mut found = false;
    for signature in header.split(',') {
        let Some(digits) = signature.trim().strip_prefix(VERSION) else {
            continue;
        };
        found = true;
        let claimed = unhex(digits).unwrap_or_default();
        // compares in constant time
        if signed(secret, timestamp, body)
            .verify_slice(&claimed)
            .is_ok()
        {
            return Ok(());
        }
    }
    Err(if found {
        SignatureError::Wrong
    } else {
        SignatureError::Missing
    })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |n: u8| char::from_digit(u32::from(n), 16).unwrap_or_default();
    (bytes.iter())
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |pair: &[u8; 2]| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok();
    pairs.iter().map(byte).collect()
}
