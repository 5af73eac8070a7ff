//! The whole system: reports go in over S3 or the API, findings come out of the API.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

mod bad_input;
mod budgets;
mod delivery;
mod imports;
mod rehash;
