//! What every function needs to run: settings from the environment, logging, AWS clients, secrets, and
//! the wrapper around batches of messages. Only this crate reads the environment.

mod batch;
mod intel;
mod kms;
mod operator;
mod relay;
mod secrets;
mod services;
mod settings;

pub use batch::{Delivery, MAX_RECEIVES, each_message};
pub use intel::IntelError;
pub use kms::KmsError;
pub use operator::{ResetError, reset_password};
pub use relay::RelayError;
pub use secrets::{SecretError, SecretKey};
pub use services::{Services, StartError, dynamodb, http_client, plain_http_client};
pub use settings::{Cut, Settings, SettingsError};

/// Starts logging as JSON lines on standard output, at the level that `TATAMI_LOG` names.
pub fn init_logging() {
    let filter = tracing_subscriber::EnvFilter::new(settings::log_filter());
    // A second call (in tests) finds a logger in place, and that is fine.
    let _ = tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .without_time()
        .try_init();
}
