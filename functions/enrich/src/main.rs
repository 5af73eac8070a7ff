//! The Lambda function `enrich`.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use mimalloc::MiMalloc;
use serde_json::Value;
use tatami_runtime::{Services, init_logging};

/// The scores are many small pieces of memory; this keeps them close together.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> Result<(), Error> {
    init_logging();
    let services = Services::from_env().await?;
    run(service_fn(|event: LambdaEvent<Value>| {
        let services = services.clone();
        async move {
            tatami_enrich::handle(&services, event.payload)
                .await
                .map_err(Error::from)
        }
    }))
    .await
}
