//! The commands that are clients of a Tatami, or need none.

pub mod acceptances;
pub mod admin;
pub mod audit;
pub mod findings;
pub mod import;
pub mod imports;
pub mod jira;
pub mod metrics;
pub mod notify;
pub mod parse;
pub mod scanners;
pub mod sla;
