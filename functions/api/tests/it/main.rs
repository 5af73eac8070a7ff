//! The API over HTTP, on the local stack without the pipeline.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails shall say where"
)]

mod access;
mod app;
mod attached;
mod audit;
mod auth;
mod authorisation;
mod catalog;
mod conditional;
mod contract;
mod dedupe_settings;
mod deletion;
mod duplicates;
mod endpoints;
mod exploitation;
mod finding_groups;
mod findings;
mod history;
mod imports;
mod jira;
mod metrics;
mod notifications;
mod pages;
mod prefetch;
mod protocol;
mod records;
mod risk_acceptance;
mod schema;
mod session;
mod sla;
mod system_settings;
mod told;
