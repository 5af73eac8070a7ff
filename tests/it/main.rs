//! The whole system: reports go in over S3 or the API, findings come out of the API; and the proofs that
//! they come out right, however messages are delivered.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

mod acceptances;
mod bad_input;
mod budgets;
mod bulk;
mod concurrency;
mod deletion;
mod delivery;
mod duplicates;
mod endpoints;
mod enrich;
mod events;
mod faults;
mod groups;
mod history;
mod imports;
mod jira;
mod metrics;
mod model;
mod moves;
mod notify;
mod order;
mod pushed;
mod rehash;
mod sla;
mod trouble;
mod unchanged;
