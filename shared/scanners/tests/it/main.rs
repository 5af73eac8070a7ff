//! Tests of all scanners from the outside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on shall stop"
)]
#![allow(
    clippy::too_many_lines,
    clippy::format_collect,
    reason = "lists of what is tried"
)]

mod fuzz_targets;
mod hash_code;
mod hostile;
