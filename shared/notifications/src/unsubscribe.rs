//! Links by which somebody who reads a mail gets no more of its kind, without signing in.
//!
//! A token says which user, topic and channel; it holds for good, as mails do, and allows nothing else. It is
//! `<user>.<topic>.<channel>` and its HMAC-SHA-256, together in URL-safe base64. The key is derived from the
//! given one for this purpose alone, so that a key may serve others too.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac as _;
use tatami_domain::UserId;
use thiserror::Error;

use crate::signature::mac;
use crate::{Channel, Topic};

const PURPOSE: &[u8] = b"tatami unsubscribe v1";
const MAC_BYTES: usize = 32;

/// A text is no token that was given out under this key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the link to unsubscribe isn't whole or was changed: open it as it stands in the mail")]
pub struct BadToken;

/// The token of a user, for a topic on a channel.
pub fn token(key: &[u8], user: UserId, topic: Topic, channel: Channel) -> String {
    let said = format!("{user}.{}.{}", topic.name(), channel.name());
    let mut bytes = signature(key, said.as_bytes())
        .finalize()
        .into_bytes()
        .to_vec();
    bytes.extend_from_slice(said.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What a token says.
pub fn read(key: &[u8], token: &str) -> Result<(UserId, Topic, Channel), BadToken> {
    let bytes = URL_SAFE_NO_PAD.decode(token.trim()).map_err(|_| BadToken)?;
    let (claimed, said) = bytes.split_at_checked(MAC_BYTES).ok_or(BadToken)?;
    signature(key, said)
        .verify_slice(claimed)
        .map_err(|_| BadToken)?;
    let said = str::from_utf8(said).map_err(|_| BadToken)?;
    let mut parts = said.splitn(3, '.');
    let mut part = || parts.next().ok_or(BadToken);
    let user = part()?.parse().map_err(|_| BadToken)?;
    let topic = Topic::from_name(part()?).ok_or(BadToken)?;
    let channel = Channel::from_name(part()?).ok_or(BadToken)?;
    Ok((user, topic, channel))
}

fn signature(key: &[u8], said: &[u8]) -> hmac::Hmac<sha2::Sha256> {
    let own = mac(key).chain_update(PURPOSE).finalize().into_bytes();
    mac(&own).chain_update(said)
}
