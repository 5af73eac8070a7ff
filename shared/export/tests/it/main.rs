//! Exports are read back by other crates than wrote them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod big;
mod csv;
mod errors;
mod excel;
mod json;
mod table;
