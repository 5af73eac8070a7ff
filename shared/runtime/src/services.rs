use std::path::Path;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use tatami_blobs::Blobs;
use tatami_domain::{Token, User};
use tatami_mail::{MailError, Mailbox, Mailer};
use tatami_outbound::Outbound;
use tatami_queue::Sender;
use tatami_store::{Store, StoreError};

use crate::intel::Seen;
use crate::kms::{self, KmsError};
use crate::{SecretError, SecretKey, Settings, SettingsError};

/// Everything a function works with.
#[derive(Debug, Clone)]
pub struct Services {
    /// What the environment says.
    pub settings: Settings,
    /// DynamoDB.
    pub store: Store,
    /// S3.
    pub blobs: Blobs,
    /// The queue to the dedup function.
    pub findings: Sender,
    /// The queue to the sla function.
    pub sla: Sender,
    /// The queue to the jira function.
    pub jira: Sender,
    /// The queue to the notify function.
    pub notify: Sender,
    /// Calls to addresses that people configured.
    pub outbound: Outbound,
    /// Mails; off until [`Services::with_mail`].
    pub mailer: Mailer,
    pub(crate) seen: Seen,
}

/// A function that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The environment is incomplete.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The store cannot be reached or set up.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key of secrets cannot be had.
    #[error(transparent)]
    Kms(#[from] KmsError),
    /// The way that mails go can't be used.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// The first admin's password cannot be hashed.
    #[error("the first admin cannot be made: {0}")]
    Admin(String),
}

impl Services {
    /// Services as the environment of a Lambda function describes them.
    pub async fn from_env() -> Result<Self, StartError> {
        let settings = Settings::from_env()?;
        let config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http_client())
            .load()
            .await;
        let mut services = Self::new(&config, settings).with_mail(&config, None)?;
        if let (None, Some(kms_key)) = (&services.settings.secret_key, &services.settings.kms_key) {
            let key = kms::secret_key(&config, &services.store, kms_key).await?;
            services.settings.secret_key = Some(key);
        }
        Ok(services)
    }

    /// The same, with links to S3 that lead to `endpoint`.
    #[must_use]
    pub fn with_public_endpoint(mut self, config: &SdkConfig, endpoint: &str) -> Self {
        let s3 = aws_sdk_s3::config::Builder::from(config)
            .endpoint_url(endpoint)
            .force_path_style(true)
            .build();
        self.blobs = self.blobs.signing_with(aws_sdk_s3::Client::from_conf(s3));
        self
    }

    /// The same, with mails by the SMTP server of the settings, or else into a folder where one is given, or else
    /// by SES where a sender is set.
    pub fn with_mail(
        mut self,
        config: &SdkConfig,
        folder: Option<&Path>,
    ) -> Result<Self, MailError> {
        let from = self.settings.mail_from.clone();
        self.mailer = match (self.settings.smtp.clone(), folder, from) {
            (Some(smtp), ..) => Mailer::smtp(smtp)?,
            (None, Some(folder), Some(from)) => Mailer::folder(folder, from),
            (None, Some(folder), None) => {
                Mailer::folder(folder, Mailbox::new("Tatami", "tatami@localhost")?)
            }
            (None, None, Some(from)) => Mailer::ses(aws_sdk_sesv2::Client::new(config), from, None),
            (None, None, None) => Mailer::off(),
        };
        Ok(self)
    }

    /// Services on the given AWS configuration.
    pub fn new(config: &SdkConfig, settings: Settings) -> Self {
        let s3 = aws_sdk_s3::config::Builder::from(config)
            // an endpoint of one's own has no name for each bucket
            .force_path_style(config.endpoint_url().is_some())
            .build();
        let s3 = aws_sdk_s3::Client::from_conf(s3);
        let sqs = aws_sdk_sqs::Client::new(config);
        let dynamodb = dynamodb(config);
        Self {
            store: Store::new(dynamodb, settings.tables.clone()),
            blobs: Blobs::new(s3, &settings.uploads_bucket, &settings.data_bucket),
            findings: Sender::new(sqs.clone(), &settings.findings_queue_url),
            sla: Sender::new(sqs.clone(), &settings.sla_queue_url),
            jira: Sender::new(sqs.clone(), &settings.jira_queue_url),
            notify: Sender::new(sqs, &settings.notify_queue_url),
            outbound: Outbound::new(settings.outbound_allow.clone())
                .trusting(&settings.outbound_ca),
            mailer: Mailer::off(),
            seen: Seen::default(),
            settings,
        }
    }

    /// The key that secrets are encrypted with.
    pub fn secret_key(&self) -> Result<&SecretKey, SecretError> {
        self.settings.secret_key.as_ref().ok_or(SecretError::NoKey)
    }

    /// Makes the first admin, where there is no user yet, with the password and token that the
    /// environment presets. Where it presets no password, gives the random one.
    pub async fn ensure_admin(&self) -> Result<Option<String>, StartError> {
        let roles = tatami_auth::BUILTIN_ROLES.map(|(name, _)| name);
        self.store.seed_roles(roles).await?;
        self.store.seed_sla().await?;
        let mut shown = None;
        if !self
            .store
            .list::<User>()
            .await?
            .iter()
            .any(|user| user.is_superuser)
        {
            let preset = self.settings.admin_password.as_ref();
            let preset = preset.map(|password| password.expose_secret().to_owned());
            let password = preset.unwrap_or_else(|| {
                let password = tatami_auth::new_password();
                shown = Some(password.clone());
                password
            });
            let hash = tatami_auth::hash_password(&password)
                .map_err(|e| StartError::Admin(e.to_string()))?;
            let admin = User {
                username: "admin".into(),
                is_active: true,
                is_superuser: true,
                date_joined: Timestamp::now(),
                password_hash: Some(hash),
                must_change_password: shown.is_some(),
                ..User::default()
            };
            let (_, made) = self.store.find_or_create(admin).await?;
            if !made {
                shown = None;
            }
        }
        if let Some(token) = &self.settings.admin_token
            && let Some(admin) = self.store.find::<User>("admin").await?
        {
            let token = Token {
                user: admin.id,
                name: "preset".into(),
                sha256: tatami_auth::token_sha256(token.expose_secret()),
                created: Timestamp::now(),
                ..Token::default()
            };
            self.store.find_or_create(token).await?;
        }
        Ok(shown)
    }
}

/// A client of DynamoDB.
pub fn dynamodb(config: &SdkConfig) -> aws_sdk_dynamodb::Client {
    aws_sdk_dynamodb::Client::new(config)
}

/// HTTPS by rustls with ring: it needs nothing but a C compiler to build.
pub fn http_client() -> aws_sdk_dynamodb::config::SharedHttpClient {
    Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https()
}

/// Plain HTTP, for endpoints on this machine.
pub fn plain_http_client() -> aws_sdk_dynamodb::config::SharedHttpClient {
    Builder::new().build_http()
}
