//! The client against recorded answers and the official documents, and rich text against its own rules.

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
