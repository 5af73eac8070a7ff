//! The client against recorded answers and the official documents, and rich text against its own rules.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on shall stop"
)]
#![allow(clippy::format_collect, reason = "small texts")]

mod adf;
mod contract;
mod errors;
mod live;
mod new_issue;
mod openapi;
mod recorded;
mod requests;
mod text;
mod webhook;
mod wiki;

/// Reads a variable that only tests know.
#[allow(clippy::disallowed_methods, reason = "no setting of Tatami")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
