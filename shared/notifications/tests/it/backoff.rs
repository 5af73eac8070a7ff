use std::time::Duration;

use tatami_notifications::{backoff, worth_retrying};

#[test]
fn waits_grow_and_end_with_the_ninth_try() {
    let waits: Vec<u64> = (1..)
        .map_while(|attempt| backoff(attempt, 0.0))
        .map(|wait| wait.as_secs())
        .collect();
    assert_eq!(waits, [10, 30, 120, 600, 1_800, 3_600, 10_800, 21_600]);
    assert_eq!(waits.iter().sum::<u64>() / 60, 10 * 60 + 42);
    for attempt in [0, 9, 10, u32::MAX] {
        assert_eq!(backoff(attempt, 0.5), None, "{attempt}");
    }
}

#[test]
fn jitter_makes_a_wait_a_quarter_longer_at_most() {
    assert_eq!(backoff(3, 0.5), Some(Duration::from_secs(135)));
    for (jitter, seconds) in [
        (1.0, 150),
        (7.0, 150),
        (-1.0, 120),
        (f64::NAN, 120),
        (f64::INFINITY, 150),
    ] {
        assert_eq!(
            backoff(3, jitter),
            Some(Duration::from_secs(seconds)),
            "{jitter}"
        );
    }
}

#[test]
fn what_may_succeed_later_is_tried_again() {
    for status in [408, 425, 429, 500, 502, 503, 504, 599] {
        assert!(worth_retrying(status), "{status}");
    }
    for status in [
        200, 204, 301, 400, 401, 403, 404, 410, 413, 501, 505, 600, 0,
    ] {
        assert!(!worth_retrying(status), "{status}");
    }
}
