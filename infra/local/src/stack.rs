use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use axum::Router;
use secrecy::{ExposeSecret as _, SecretString};
use tatami_domain::{Token, User};
use tatami_local_aws::sqs::{QueueSettings, RedrivePolicy};
use tatami_local_aws::{BucketNotification, Config, LocalAws};
use tatami_runtime::{
    MAX_RECEIVES, SecretError, SecretKey, Services, Settings, SettingsError, StartError,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::workers::{self, FINDINGS_QUEUE, JIRA_QUEUE, NOTIFY_QUEUE, SLA_QUEUE, UPLOADS_QUEUE};

/// The access key that local AWS clients sign with.
pub const ACCESS_KEY: &str = "tatami";
/// The secret that local AWS clients sign with; not a secret, since only this machine is served.
pub const SECRET_KEY: &str = "tatami-local";
/// The region of the local endpoints.
pub const REGION: &str = "eu-west-1";

/// Seconds that a message is hidden while it is worked on; longer than any function runs.
const VISIBILITY_S: i64 = 900;
/// Seconds that a dead letter is kept.
const DEAD_LETTERS_S: i64 = 14 * 24 * 60 * 60;
/// The file in the data folder that keeps the first admin's token, for the commands on this machine.
const TOKEN_FILE: &str = "token";
/// The file in the data folder that keeps the key of secrets.
const KEY_FILE: &str = "secret-key";

/// What to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address and port for the app and the AWS endpoints; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where everything is kept.
    pub data: PathBuf,
}

/// The stack cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// The address cannot be had.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The data folder cannot be used.
    #[error(transparent)]
    Aws(#[from] tatami_local_aws::Error),
    /// A queue cannot be made.
    #[error("the queues cannot be set up: {0}")]
    Queues(#[from] tatami_local_aws::sqs::SqsError),
    /// The environment isn't what it should be.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The store cannot be set up.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The tables cannot be set up.
    #[error(transparent)]
    Store(#[from] tatami_store::StoreError),
    /// There is no data folder.
    #[error("there is no Tatami in {}: name its folder with --data", .0.display())]
    NoData(PathBuf),
    /// The token cannot be kept.
    #[error("cannot write {0}: {1}")]
    TokenFile(PathBuf, std::io::Error),
    /// The key of secrets cannot be read or kept.
    #[error("cannot use {0}: {1}")]
    KeyFile(PathBuf, std::io::Error),
    /// The key of secrets isn't one.
    #[error("{0}: {1}")]
    Key(PathBuf, SecretError),
}

/// The running stack.
pub struct Stack {
    /// Where the app and the AWS endpoints are, such as `http://127.0.0.1:8080`.
    pub url: String,
    /// A token of the first admin.
    pub token: Option<String>,
    /// The first admin's random password, only when it was just made.
    pub password: Option<String>,
    /// What the functions work with, for tests and measurements.
    pub services: Services,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Stack {
    /// Starts everything; the app answers when this returns.
    pub async fn start(options: Options) -> Result<Self, StackError> {
        let listener = TcpListener::bind(options.listen)
            .await
            .map_err(|e| StackError::Listen(options.listen, e))?;
        let address = listener
            .local_addr()
            .map_err(|e| StackError::Listen(options.listen, e))?;
        let url = format!("http://{address}");
        let mut settings = Settings::local()?;
        let aws = LocalAws::start(Config {
            data_dir: options.data.clone(),
            credentials: tatami_local_aws::Credentials {
                access_key: ACCESS_KEY.into(),
                secret_key: SECRET_KEY.into(),
            },
            region: REGION.into(),
            notifications: vec![BucketNotification {
                bucket: settings.uploads_bucket.clone(),
                prefix: String::new(),
                queue: UPLOADS_QUEUE.into(),
            }],
        })
        .await?;
        if settings.secret_key.is_none() {
            settings.secret_key = Some(secret_key(&options.data)?);
        }
        for queue in [
            UPLOADS_QUEUE,
            FINDINGS_QUEUE,
            SLA_QUEUE,
            JIRA_QUEUE,
            NOTIFY_QUEUE,
        ] {
            make_queue(&aws, queue).await?;
        }
        let queue_url = |queue: &str| format!("{}/000000000000/{queue}", aws.endpoint());
        settings.findings_queue_url = queue_url(FINDINGS_QUEUE);
        settings.sla_queue_url = queue_url(SLA_QUEUE);
        settings.jira_queue_url = queue_url(JIRA_QUEUE);
        settings.notify_queue_url = queue_url(NOTIFY_QUEUE);
        settings.public_url.get_or_insert_with(|| url.clone());
        for bucket in [&settings.uploads_bucket, &settings.data_bucket] {
            aws.ensure_bucket(bucket).await?;
        }
        let config = sdk_config(&aws.endpoint()).await;
        let services = Services::new(&config, settings)
            .with_public_endpoint(&config, &url)
            .with_mail(&config, Some(&options.data.join("mail")))
            .map_err(StartError::from)?;
        services.store.create_tables().await?;
        services
            .store
            .seed(tatami_scanners::all().map(|s| s.scan_type))
            .await?;
        let password = services.ensure_admin().await?;
        let token = admin_token(&services, &options.data).await?;

        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        workers::spawn(&services, &aws, &stop, &tasks);
        let app: Router = tatami_api::router(services.clone());
        let (served, stopping) = (tasks.clone(), stop.clone());
        served.spawn(async move {
            aws.serve(listener, app, stopping.cancelled_owned()).await;
            // The functions may still be at work: their AWS goes last.
            tokio::time::sleep(Duration::from_millis(200)).await;
            aws.shutdown().await;
        });
        Ok(Self {
            url,
            token,
            password,
            services,
            stop,
            tasks,
        })
    }

    /// Lets running requests and messages end, then stops. What is still queued goes on at the next
    /// start.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn make_queue(aws: &LocalAws, name: &str) -> Result<(), StackError> {
    let dead_letters = format!("{name}-dlq");
    let settings = QueueSettings {
        retention_s: DEAD_LETTERS_S,
        ..QueueSettings::default()
    };
    aws.queues().ensure(&dead_letters, settings).await?;
    let settings = QueueSettings {
        visibility_s: VISIBILITY_S,
        redrive: Some(RedrivePolicy {
            dead_letters,
            max_receives: MAX_RECEIVES.into(),
        }),
        ..QueueSettings::default()
    };
    aws.queues().ensure(name, settings).await?;
    Ok(())
}

pub(crate) async fn sdk_config(endpoint: &str) -> SdkConfig {
    let credentials = Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "local");
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(credentials)
        .endpoint_url(endpoint)
        .http_client(tatami_runtime::plain_http_client())
        .load()
        .await
}

/// The first admin's token: the preset one, else the one that the data folder keeps, else a new one
/// kept there.
async fn admin_token(
    services: &Services,
    data: &std::path::Path,
) -> Result<Option<String>, StackError> {
    if let Some(preset) = &services.settings.admin_token {
        return Ok(Some(preset.expose_secret().to_owned()));
    }
    let path = data.join(TOKEN_FILE);
    if let Ok(kept) = std::fs::read_to_string(&path) {
        let kept = kept.trim().to_owned();
        let sha256 = tatami_auth::token_sha256(&kept);
        if services.store.find::<Token>(&sha256).await?.is_some() {
            return Ok(Some(kept));
        }
    }
    let Some(admin) = services.store.find::<User>("admin").await? else {
        return Ok(None);
    };
    let token = tatami_auth::new_token();
    let stored = Token {
        user: admin.id,
        name: "local".into(),
        sha256: tatami_auth::token_sha256(&token),
        created: jiff::Timestamp::now(),
        ..Token::default()
    };
    services.store.create(stored).await?;
    write_private(&path, &token).map_err(|e| StackError::TokenFile(path, e))?;
    Ok(Some(token))
}

/// The key of secrets that the data folder keeps, else a new one kept there.
fn secret_key(data: &std::path::Path) -> Result<SecretKey, StackError> {
    let path = data.join(KEY_FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(kept) => SecretString::from(kept),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let new = SecretKey::random();
            let written = write_private(&path, new.expose_secret());
            written.map_err(|error| StackError::KeyFile(path.clone(), error))?;
            new
        }
        Err(error) => return Err(StackError::KeyFile(path, error)),
    };
    SecretKey::parse(text.expose_secret()).map_err(|error| StackError::Key(path, error))
}

fn write_private(path: &std::path::Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)?.write_all(text.as_bytes())
}
