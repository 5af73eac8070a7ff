//! Tests through the crate's public interface.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on shall stop"
)]

mod backoff;
mod digest;
mod limits;
mod messages;
mod preferences;
mod signature;
mod snapshots;
mod template;
mod unsubscribe;

use tatami_notifications::Options;

/// Options of a mail with all there can be.
fn options() -> Options {
    Options {
        subject_prefix: Some("Security team".into()),
        unsubscribe_url: Some("https://tatami.example.org/unsubscribe/TOKEN".into()),
        settings_url: Some("https://tatami.example.org/notifications".into()),
        ..Options::default()
    }
}
