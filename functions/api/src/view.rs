//! What clients see of findings and imports.

pub mod acceptance;
pub mod finding;
pub mod group;
pub mod import;
pub mod jira;
pub mod note;
pub mod related;
