//! Secrets that Tatami keeps for people, such as the API keys of their tools: encrypted before they are
//! stored, by XChaCha20-Poly1305 with one key for the whole installation, and never printed.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead as _, Generate as _, Payload};
use chacha20poly1305::{Key, KeyInit as _, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

/// What an encrypted text begins with, so that there can be another way some day.
const VERSION: &str = "x1:";
/// What the purposes of derived keys begin with.
const DERIVED: &str = "tatami key v1 ";
/// Bytes of the nonce in front of the encrypted ones.
const NONCE: usize = 24;

/// Why a secret cannot be encrypted or decrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// There is no key.
    #[error(
        "secrets cannot be kept: set TATAMI_KMS_KEY to a key of AWS KMS, or TATAMI_SECRET_KEY to 32 random \
         bytes in base64 (`openssl rand -base64 32`)"
    )]
    NoKey,
    /// The key isn't one.
    #[error("the key is not 32 bytes in base64: make one by `openssl rand -base64 32`")]
    NotAKey,
    /// The text wasn't encrypted with this key and for this purpose.
    #[error(
        "a stored secret cannot be decrypted: it was encrypted with another key, or was changed"
    )]
    NotOurs,
}

/// The key that all secrets are encrypted with.
#[derive(Clone)]
pub struct SecretKey(Key);

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

impl SecretKey {
    /// Reads a key: 32 bytes in base64.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let bytes = STANDARD.decode(text.trim());
        Self::from_bytes(&bytes.map_err(|_| SecretError::NotAKey)?)
    }

    /// A key of 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SecretError> {
        let key = Key::try_from(bytes).map_err(|_| SecretError::NotAKey)?;
        Ok(Self(key))
    }

    /// A new random key, as [`SecretKey::parse`] reads it.
    pub fn random() -> SecretString {
        STANDARD.encode(Key::generate()).into()
    }

    /// Encrypts a text for a purpose, such as the field that it is stored in; it is decrypted for the same
    /// purpose only, so that nobody can move it elsewhere.
    pub fn encrypt(&self, purpose: &str, text: &SecretString) -> Result<String, SecretError> {
        let nonce = XNonce::generate();
        let payload = Payload {
            msg: text.expose_secret().as_bytes(),
            aad: purpose.as_bytes(),
        };
        let encrypted = self.cipher().encrypt(&nonce, payload);
        let encrypted = encrypted.map_err(|_| SecretError::NotOurs)?;
        let bytes = [nonce.as_slice(), &encrypted].concat();
        Ok(format!("{VERSION}{}", STANDARD.encode(bytes)))
    }

    /// Decrypts what [`SecretKey::encrypt`] made for the same purpose.
    pub fn decrypt(&self, purpose: &str, encrypted: &str) -> Result<SecretString, SecretError> {
        let bytes = encrypted.strip_prefix(VERSION);
        let bytes = bytes.and_then(|text| STANDARD.decode(text).ok());
        let bytes = bytes.ok_or(SecretError::NotOurs)?;
        let (nonce, encrypted) = bytes.split_at_checked(NONCE).ok_or(SecretError::NotOurs)?;
        let nonce = XNonce::try_from(nonce).map_err(|_| SecretError::NotOurs)?;
        let payload = Payload {
            msg: encrypted,
            aad: purpose.as_bytes(),
        };
        let text = self.cipher().decrypt(&nonce, payload);
        let text = text.map_err(|_| SecretError::NotOurs)?;
        let text = String::from_utf8(text).map_err(|_| SecretError::NotOurs)?;
        Ok(text.into())
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.0)
    }

    /// A key of its own for a purpose, such as signing links: who has it learns nothing of this one.
    /// It is the HMAC-SHA-256 of the purpose under this key.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        // to the length of a block as RFC 2104 has it
        let mut block = [0; 64];
        block[..32].copy_from_slice(&self.0);
        let mac = <Hmac<Sha256> as hmac::KeyInit>::new(&block.into());
        mac.chain_update(DERIVED)
            .chain_update(purpose)
            .finalize()
            .into_bytes()
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SecretKey {
        SecretKey::parse(SecretKey::random().expose_secret()).unwrap()
    }

    #[test]
    fn what_was_encrypted_is_decrypted_for_the_same_purpose_only() {
        let key = key();
        let secret = SecretString::from("hunter2 \n");
        let encrypted = key.encrypt("tool.password", &secret).unwrap();
        assert!(!encrypted.contains("hunter2"));
        let again = key.encrypt("tool.password", &secret).unwrap();
        assert_ne!(encrypted, again, "each has a nonce of its own");
        let decrypted = key.decrypt("tool.password", &encrypted).unwrap();
        assert_eq!(decrypted.expose_secret(), "hunter2 \n");
        let refused = |key: &SecretKey, purpose: &str, text: &str| {
            assert_eq!(
                key.decrypt(purpose, text).unwrap_err(),
                SecretError::NotOurs
            );
        };
        refused(&key, "tool.api_key", &encrypted);
        refused(&self::key(), "tool.password", &encrypted);
        let mut changed = encrypted.clone().into_bytes();
        let last = changed.len() - 3;
        changed[last] = if changed[last] == b'A' { b'B' } else { b'A' };
        refused(&key, "tool.password", &String::from_utf8(changed).unwrap());
        for text in ["", "x1:", "x1:AAAA", "hunter2", "x1:?"] {
            refused(&key, "tool.password", text);
        }
    }

    #[test]
    fn derived_keys_are_the_same_each_time_and_one_for_each_purpose() {
        let key = SecretKey::from_bytes(&[7; 32]).unwrap();
        assert_eq!(key.derive("a"), key.clone().derive("a"));
        assert_ne!(key.derive("a"), key.derive("b"));
        assert_ne!(key.derive("a"), self::key().derive("a"));
        // as Python's hmac.new(bytes([7] * 32), b"tatami key v1 a", "sha256") has it
        let hex: Vec<String> = (key.derive("a").iter())
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let hex = hex.concat();
        assert_eq!(
            hex,
            "4c0d7f6e200e974dd7a63fb90c3aa43de7b6dd4155cc57823e3287cdb89e519b"
        );
    }

    #[test]
    fn keys_have_32_bytes_and_are_not_printed() {
        for text in ["", "AAAA", "not base64", &STANDARD.encode([1; 33])] {
            assert_eq!(SecretKey::parse(text).unwrap_err(), SecretError::NotAKey);
        }
        let text = STANDARD.encode([7; 32]);
        let key = SecretKey::parse(&format!(" {text}\n")).unwrap();
        assert_eq!(format!("{key:?}"), "SecretKey(..)");
        assert!(!format!("{:?}", SecretKey::random()).contains('='));
    }
}
