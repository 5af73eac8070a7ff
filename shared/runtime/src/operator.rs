//! What operators do who have access to the tables.

use jiff::Timestamp;
use tatami_domain::{AuditEntry, User};
use tatami_store::{Record, Store, StoreError};

/// A password that cannot be reset.
#[derive(Debug, thiserror::Error)]
pub enum ResetError {
    /// There is no such user.
    #[error("there is no user \"{0}\"")]
    NoUser(String),
    /// A service account has no password.
    #[error("\"{0}\" is a service account: it has tokens and no password")]
    ServiceAccount(String),
    /// The tables cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The password cannot be hashed.
    #[error(transparent)]
    Hash(#[from] tatami_auth::HashError),
}

/// Gives a user a new random password, which is returned and has to be changed at the first sign-in. Who
/// was disabled may sign in again; whoever is signed in no longer is. API tokens stay good.
pub async fn reset_password(store: &Store, username: &str) -> Result<String, ResetError> {
    let user: Option<User> = store.find(username).await?;
    let user = user.ok_or_else(|| ResetError::NoUser(username.to_owned()))?;
    if user.is_service_account {
        return Err(ResetError::ServiceAccount(username.to_owned()));
    }
    let password = tatami_auth::new_password();
    let hash = tatami_auth::hash_password(&password)?;
    let now = Timestamp::now();
    let record = Record::new(AuditEntry {
        time: now,
        request_id: format!("reset-password-{}", now.as_nanosecond()),
        method: "COMMAND".into(),
        path: "tatami admin reset-password".into(),
        ..AuditEntry::default()
    });
    let reset = async {
        let set = |user: &mut User| {
            user.password_hash = Some(hash.clone());
            user.password_last_reset = Some(now);
            user.must_change_password = true;
            user.is_active = true;
            Ok::<_, StoreError>(())
        };
        store.change(user.id, set).await?;
        store.end_sessions(user.id).await
    };
    record.watch(reset).await?;
    store.end_record(record, 200).await?;
    Ok(password)
}
