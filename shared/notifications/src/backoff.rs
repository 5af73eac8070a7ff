//! When a delivery that failed is tried again.

use std::time::Duration;

const WAITS_SECONDS: [u32; 8] = [10, 30, 120, 600, 1_800, 3_600, 10_800, 21_600];

/// How long to wait after the try of this number, from 1, has failed; none: it's given up. 10 s, 30 s, 2 min,
/// 10 min, 30 min, 1 h, 3 h and 6 h: nine tries in 10 hours and 43 minutes.
///
/// `jitter` is a random number from 0 up to 1 of the caller's, by which a wait is up to a quarter longer, so that what
/// failed together isn't tried again together. Anything outside counts as the nearer end, and NaN as 0.
pub fn backoff(attempt: u32, jitter: f64) -> Option<Duration> {
    let at = usize::try_from(attempt.checked_sub(1)?).ok()?;
    let seconds = f64::from(*WAITS_SECONDS.get(at)?);
    let jitter = if jitter > 0.0 { jitter.min(1.0) } else { 0.0 };
    Some(Duration::from_secs_f64(seconds * (1.0 + jitter / 4.0)))
}

/// May the same request succeed later, after an answer of this HTTP status? After 408 and 425 (timing), 429 (too
/// many) and every 5xx but 501 and 505 (never will). A request without an answer always may.
pub const fn worth_retrying(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..=599) && !matches!(status, 501 | 505)
}
