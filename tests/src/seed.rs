//! Randomness that can be had again: `TATAMI_TEST_SEED=17` runs a test's seed 17 alone,
//! `TATAMI_TEST_RUNS=10000` that many instead of the usual number.

use std::ops::Range;

#[allow(clippy::disallowed_methods, reason = "it tells tests, not functions")]
fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number")),
    )
}

/// The seeds to run: `usual` many, from 0, unless the environment says otherwise.
pub fn seeds(usual: u64) -> Range<u64> {
    match variable("TATAMI_TEST_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..variable("TATAMI_TEST_RUNS").unwrap_or(usual),
    }
}

/// How to have a failure again.
pub fn again(test: &str, seed: u64) -> String {
    format!("to have it again: TATAMI_TEST_SEED={seed} cargo test -p tatami-tests --test it {test}")
}

/// Says how to have it again when the test panics while this lives.
#[derive(Debug)]
pub struct Witness {
    test: &'static str,
    seed: u64,
}

impl Witness {
    /// A witness of one run.
    pub fn new(test: &'static str, seed: u64) -> Self {
        Self { test, seed }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", again(self.test, self.seed));
        }
    }
}
