//! The Lambda function `notify`.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use mimalloc::MiMalloc;
use serde_json::Value;
use tatami_runtime::{Services, init_logging};

/// Findings are many small pieces of memory that live long; this keeps them close together.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> Result<(), Error> {
    init_logging();
    let services = Services::from_env().await?;
    run(service_fn(|event: LambdaEvent<Value>| {
        let services = services.clone();
        async move {
            tatami_notify::handle(&services, event.payload)
                .await
                .map_err(Error::from)
        }
    }))
    .await
}
