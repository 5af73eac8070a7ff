//! The whole of Tatami in one process: AWS endpoints that keep everything in one folder, and a loop for
//! each queue and schedule that calls the very handlers that Lambda calls.
//!
//! ```text
//! aws s3 cp, curl, browser ---> gateway ---> S3, SQS, DynamoDB (tatami-local-aws)
//!                                  |              ^
//!                                  v              | the SDK's calls
//!                                 api        parser, dedup, sla  <--- queues and schedules
//! ```

mod stack;
pub mod tables;
mod workers;

pub use stack::{ACCESS_KEY, Options, REGION, SECRET_KEY, Stack, StackError};
