//! The key of secrets as AWS KMS keeps it: a data key that KMS made, stored as KMS encrypted it, and decrypted
//! by KMS when a function starts. Without the right to use the KMS key, what is stored is of no use.

use aws_config::SdkConfig;
use aws_sdk_kms::Client;
use aws_sdk_kms::error::DisplayErrorContext;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tatami_store::{Store, StoreError};

use crate::{SecretError, SecretKey};

/// What the key is for; KMS decrypts it for nothing else, and its log says so.
const CONTEXT: (&str, &str) = ("tatami", "secrets");

/// Why the key of secrets cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KmsError {
    /// KMS.
    #[error("{call} failed for the key {key}: {reason}")]
    Call {
        /// Which call.
        call: &'static str,
        /// Which KMS key.
        key: String,
        /// What KMS said.
        reason: String,
    },
    /// DynamoDB.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is stored is no key.
    #[error("the stored key of secrets cannot be used: {0}")]
    Key(#[from] SecretError),
}

/// The key of secrets; made where there is none yet, by one of those who start at the same time.
pub(crate) async fn secret_key(
    config: &SdkConfig,
    store: &Store,
    kms_key: &str,
) -> Result<SecretKey, KmsError> {
    let client = Client::new(config);
    let failed = |call, reason| KmsError::Call {
        call,
        key: kms_key.to_owned(),
        reason,
    };
    let stored = if let Some(stored) = store.encrypted_key().await? {
        stored
    } else {
        let made = client
            .generate_data_key_without_plaintext()
            .key_id(kms_key)
            .key_spec(DataKeySpec::Aes256)
            .encryption_context(CONTEXT.0, CONTEXT.1)
            .send()
            .await
            .map_err(|e| {
                let reason = DisplayErrorContext(e).to_string();
                failed("GenerateDataKeyWithoutPlaintext", reason)
            })?;
        let made = made.ciphertext_blob.unwrap_or_else(|| Blob::new([]));
        store.keep_encrypted_key(&STANDARD.encode(made)).await?
    };
    let encrypted = STANDARD.decode(&stored).map_err(|_| SecretError::NotAKey)?;
    let answer = client
        .decrypt()
        .key_id(kms_key)
        .ciphertext_blob(Blob::new(encrypted))
        .encryption_context(CONTEXT.0, CONTEXT.1)
        .send()
        .await
        .map_err(|e| failed("Decrypt", DisplayErrorContext(e).to_string()))?;
    let plain = answer.plaintext.unwrap_or_else(|| Blob::new([]));
    Ok(SecretKey::from_bytes(plain.as_ref())?)
}
