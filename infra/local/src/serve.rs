//! `tatami serve`, and the stack for `tatami demo`.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use tatami_local::{ACCESS_KEY, REGION, SECRET_KEY, Stack};
use tatami_runtime::Settings;
use tokio::signal::unix::{SignalKind, signal};

/// What to serve, and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address and port.
    pub listen: SocketAddr,
    /// The data folder.
    pub data: PathBuf,
}

/// A running stack.
pub struct Running {
    /// Where it answers.
    pub url: String,
    /// A token of the first admin.
    pub token: String,
    stack: Stack,
}

/// Starts the program over with two arenas for glibc's allocator. By default each of the many threads
/// gets one of its own, which keeps what it once used, and the server holds memory that nobody needs.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn share_memory() {
    use std::os::unix::process::CommandExt as _;
    if Settings::knows_arenas() {
        return;
    }
    if let Ok(program) = std::env::current_exe() {
        let mut again = std::process::Command::new(program);
        again.args(std::env::args_os().skip(1));
        again.env("MALLOC_ARENA_MAX", "2");
        // What returns is only an error, and without it everything works just as well.
        let error = again.exec();
        tracing::debug!(%error, "the allocator keeps its defaults");
    }
}

/// Elsewhere the allocator is left alone.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn share_memory() {}

/// Serves until SIGTERM or ctrl-c.
pub async fn run(options: Options) -> anyhow::Result<()> {
    start(options).await?.wait().await
}

/// Starts the stack and says where everything is.
pub async fn start(options: Options) -> anyhow::Result<Running> {
    init_logging();
    let data = options.data.clone();
    let stack = Stack::start(tatami_local::Options {
        listen: options.listen,
        data: options.data,
    })
    .await
    .context("Tatami cannot start")?;
    let token = stack.token.clone().unwrap_or_default();
    let url = &stack.url;
    let user = match &stack.password {
        Some(password) => format!("admin, password {password} (shown only now)"),
        None => "admin, with the password of the first start".into(),
    };
    let said = format!(
        "Tatami is ready on {url} (data in {})\n  \
           REST API     {url}/api/v2/\n  \
           User         {user}\n  \
           Token        {token}\n  \
           S3, DynamoDB and SQS answer on the same address:\n    \
             export AWS_ACCESS_KEY_ID={ACCESS_KEY} AWS_SECRET_ACCESS_KEY={SECRET_KEY} \
                    AWS_REGION={REGION}\n    \
             aws --endpoint-url {url} s3 cp report.json \
                 s3://{}/inbox/my-product/my-engagement/report.json\n",
        data.display(),
        stack.services.settings.uploads_bucket
    );
    // Whoever closed the output still wants the server.
    let _ = std::io::stdout().write_all(said.as_bytes());
    Ok(Running {
        url: url.clone(),
        token,
        stack,
    })
}

impl Running {
    /// Goes on serving until SIGTERM or ctrl-c, then stops.
    pub async fn wait(self) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        self.stop().await;
        Ok(())
    }

    /// Stops it.
    pub async fn stop(self) {
        self.stack.stop().await;
    }
}

/// Logs to standard error, warnings and worse unless `TATAMI_LOG` asks for more.
fn init_logging() {
    let filter = Settings::log_filter().unwrap_or_else(|| "warn".into());
    let _ = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .try_init();
}
