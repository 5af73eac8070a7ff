//! What clients see of findings and imports.

pub mod finding;
pub mod group;
pub mod import;
pub mod note;
pub mod related;
