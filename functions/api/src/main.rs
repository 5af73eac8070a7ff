//! The api function: the router behind API Gateway.

use mimalloc::MiMalloc;
use tatami_runtime::Services;

/// Findings are many small pieces of memory that live long; this keeps them close together.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    tatami_runtime::init_logging();
    let services = Services::from_env().await?;
    if let Some(password) = services.ensure_admin().await? {
        tracing::warn!(
            password,
            "the first admin was made: user admin, this password"
        );
    }
    let scan_types = tatami_scanners::all().map(|scanner| scanner.scan_type);
    services.store.seed(scan_types).await?;
    // so that the first request doesn't wait for it
    services.refresh_intel().await;
    lambda_http::run(tatami_api::router(services)).await
}
