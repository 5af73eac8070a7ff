//! S3, SQS and DynamoDB inside the Tatami process, on one port with the app.
//!
//! [`LocalAws`] keeps everything in one data directory and speaks the wire protocols of AWS, so that
//! the functions use the same SDK clients as in the cloud and the `aws` command works:
//!
//! ```text
//!                        signed for s3        +-> s3        index in local.db, files in objects/
//! http://127.0.0.1:8080  signed for sqs       +-> sqs       local.db
//!                        signed for dynamodb  +-> dynamodb  dynamodb.db
//!                        everything else      +-> the app
//! ```
//!
//! An answered call survives `kill -9`: all three commit before they answer, in SQLite with a
//! write-ahead log. A power cut may lose the last moments, never the consistency of a database.

mod db;
mod dynamodb;
mod gateway;
mod s3;
mod sigv4;
pub mod sqs;

use std::fs::{File, TryLockError};
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::db::Db;
use crate::dynamodb::Tables;
use crate::gateway::Services;
use crate::sqs::Queues;

pub use crate::db::DbError;
pub use crate::s3::BucketNotification;

/// How often expired items, messages and uploads are deleted.
const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// What to start.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where everything is kept; created if absent.
    pub data_dir: PathBuf,
    /// What clients sign with.
    pub credentials: Credentials,
    /// The region in ARNs and events.
    pub region: String,
    /// The buckets whose new objects are announced in queues.
    pub notifications: Vec<BucketNotification>,
}

/// The key pair that all requests must be signed with.
#[derive(Clone)]
pub struct Credentials {
    /// The access key id.
    pub access_key: String,
    /// The secret access key.
    pub secret_key: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key", &self.access_key)
            .finish_non_exhaustive()
    }
}

/// Why the services could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process uses the data directory.
    #[error("data directory {0} is in use by another process")]
    InUse(PathBuf),
    /// A file or the network failed.
    #[error("local services: {0}")]
    Io(#[from] std::io::Error),
    /// The database of S3 and SQS failed.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The queues failed.
    #[error("local SQS: {0}")]
    Sqs(#[from] sqs::SqsError),
    /// The database of DynamoDB failed.
    #[error("local DynamoDB: {0}")]
    DynamoDb(String),
    /// The index of the buckets failed.
    #[error("local S3: {0}")]
    S3(String),
}

/// The running services. They end when this is dropped, or in good order with
/// [`LocalAws::shutdown`].
pub struct LocalAws {
    services: Arc<Services>,
    buckets: s3::Store,
    address: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
    /// Held as long as the data directory is in use.
    _lock: File,
}

impl LocalAws {
    /// Opens the data directory and serves it on a loopback port of its own, without an app, for the
    /// clients inside the process.
    pub async fn start(config: Config) -> Result<Self, Error> {
        let started = SystemTime::now();
        std::fs::create_dir_all(&config.data_dir)?;
        let lock = File::create(config.data_dir.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => Error::InUse(config.data_dir.clone()),
            TryLockError::Error(error) => error.into(),
        })?;

        let schema = [sqs::SCHEMA, s3::SCHEMA].concat();
        let db = Db::open(&config.data_dir.join("local.db"), &schema)?;
        let queues = Queues::new(db.clone(), &config.region);
        queues.release_all().await?;
        let buckets = s3::Store::open(
            &config.data_dir.join("objects"),
            db,
            queues.clone(),
            &config.region,
            config.notifications,
        )?;
        let services = Arc::new(Services {
            s3: buckets.clone().service(&config.credentials),
            credentials: config.credentials,
            queues,
            tables: Tables::open(&config.data_dir.join("dynamodb.db"))?,
        });

        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let local = Self {
            services,
            buckets,
            address: listener.local_addr()?,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            _lock: lock,
        };
        let stopped = local.stop.clone().cancelled_owned();
        let serving = gateway::serve(
            Arc::clone(&local.services),
            Router::new(),
            listener,
            stopped,
        );
        local.tasks.spawn(serving);
        local
            .tasks
            .spawn(local.stop.clone().run_until_cancelled_owned(keep_house(
                Arc::clone(&local.services),
                local.buckets.clone(),
                started,
            )));
        tracing::info!(endpoint = local.endpoint(), "local AWS services started");
        Ok(local)
    }

    /// The endpoint URL for SDK clients inside the process.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers a request of an SDK client in the process without a connection, and for DynamoDB and
    /// SQS without a look at its signature. Tests that make millions of calls use it.
    pub async fn answer(&self, request: http::Request<bytes::Bytes>) -> axum::response::Response {
        self.services.answer(request).await
    }

    /// The queues, without HTTP.
    pub fn queues(&self) -> &Queues {
        &self.services.queues
    }

    /// Creates a bucket, if there is none of that name.
    pub async fn ensure_bucket(&self, name: &str) -> Result<(), Error> {
        self.buckets.ensure_bucket(name).await
    }

    /// Serves the app and the services on one port until `shutdown`, then lets running requests
    /// finish. Handlers of the app find the peer address in `ConnectInfo<SocketAddr>`.
    pub async fn serve(
        &self,
        listener: TcpListener,
        app: Router,
        shutdown: impl Future<Output = ()>,
    ) {
        gateway::serve(Arc::clone(&self.services), app, listener, shutdown).await;
    }

    /// Ends the services once running requests have finished.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for LocalAws {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn keep_house(services: Arc<Services>, buckets: s3::Store, started: SystemTime) {
    buckets.remove_orphans(started).await;
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    loop {
        ticks.tick().await;
        services.tables.sweep().await;
        if let Err(error) = services.queues.sweep().await {
            tracing::warn!(%error, "expired messages could not be deleted");
        }
        if let Err(error) = buckets.sweep().await {
            tracing::warn!(%error, "abandoned uploads could not be deleted");
        }
    }
}
