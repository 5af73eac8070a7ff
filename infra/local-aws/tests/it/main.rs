//! The services as the AWS SDKs see them.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod dynamodb;
mod gateway;
mod s3;
mod sqs;

use std::path::Path;

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_http_client::Builder;
use tatami_local_aws::{BucketNotification, Config, LocalAws};

/// The running services, with a client for each.
struct Stack {
    local: LocalAws,
    s3: aws_sdk_s3::Client,
    sqs: aws_sdk_sqs::Client,
    dynamodb: aws_sdk_dynamodb::Client,
}

impl Stack {
    /// Starts with a bucket `reports` whose keys under `in/` are announced in the queue `events`.
    async fn start(data_dir: &Path) -> Self {
        let local = LocalAws::start(Config {
            data_dir: data_dir.to_owned(),
            credentials: tatami_local_aws::Credentials {
                access_key: "tatami".into(),
                secret_key: "tatami-local".into(),
            },
            region: "eu-central-1".into(),
            notifications: vec![BucketNotification {
                bucket: "reports".into(),
                prefix: "in/".into(),
                queue: "events".into(),
            }],
        })
        .await
        .unwrap();
        local.ensure_bucket("reports").await.unwrap();
        local
            .queues()
            .ensure("events", tatami_local_aws::sqs::QueueSettings::default())
            .await
            .unwrap();
        let endpoint = local.endpoint();
        Self {
            local,
            s3: s3_client(&endpoint, "tatami-local"),
            sqs: sqs_client(&endpoint, "tatami-local"),
            dynamodb: dynamodb_client(&endpoint, "tatami-local"),
        }
    }
}

macro_rules! client {
    ($name:ident, $sdk:ident) => {
        fn $name(endpoint: &str, secret: &str) -> $sdk::Client {
            let config = $sdk::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .http_client(Builder::new().build_http())
                .credentials_provider(Credentials::new("tatami", secret, None, None, "test"))
                .region(Region::new("eu-central-1"))
                .endpoint_url(endpoint)
                .build();
            $sdk::Client::from_conf(config)
        }
    };
}

client!(s3_client, aws_sdk_s3);
client!(sqs_client, aws_sdk_sqs);
client!(dynamodb_client, aws_sdk_dynamodb);
