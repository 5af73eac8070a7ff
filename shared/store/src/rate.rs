//! Rates that all processes share: a token bucket for each client, kept as the time at which it would be
//! full again (GCRA), so that it is one number and needs no filling.

use std::time::Duration;

use jiff::Timestamp;

use crate::db::{ABSENT, Table, number, number_of};
use crate::{Result, Store, keys};

/// How often a bucket is tried again that others take from at the same time.
const TRIES: usize = 5;

/// How fast a bucket fills, and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// So many a second; at least 1.
    pub per_second: u64,
    /// So many at most; at least 1.
    pub burst: u64,
}

/// What a bucket gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// So many, at least one.
    Some(u64),
    /// Nothing; there will be one after so long.
    None(Duration),
}

impl Store {
    /// Takes up to `wanted` out of somebody's bucket.
    pub async fn take(&self, who: &str, wanted: u64, rate: Rate, now: Timestamp) -> Result<Taken> {
        let key = keys::rate(who);
        let now_us = u64::try_from(now.as_microsecond()).unwrap_or(0);
        for _ in 0..TRIES {
            let item = self.db.get(Table::Jobs, &key).await?;
            let full_at = item.as_ref().and_then(|item| number_of(item, "full_at"));
            let (taken, then) = decide(full_at.unwrap_or(0), now_us, wanted, rate);
            if matches!(taken, Taken::None(_)) {
                return Ok(taken);
            }
            let mut item = crate::db::key_item(&key);
            item.insert("full_at".into(), number(then));
            item.insert("ttl".into(), number(then / 1_000_000 + 60));
            let put = match full_at {
                None => self.db.put(Table::Jobs, item, Some(ABSENT), vec![]),
                Some(was) => {
                    let unchanged = vec![(":was", number(was))];
                    let condition = Some("full_at = :was");
                    self.db.put(Table::Jobs, item, condition, unchanged)
                }
            };
            match put.await {
                Ok(()) => return Ok(taken),
                Err(error) if error.is_condition() => {}
                Err(error) => return Err(error),
            }
        }
        // Nobody is turned away because many ask at once.
        Ok(Taken::Some(1))
    }
}

/// What is taken at a time from a bucket that would be full at another, in microseconds, and when it will
/// be full then.
fn decide(full_at: u64, now: u64, wanted: u64, rate: Rate) -> (Taken, u64) {
    let each = 1_000_000 / rate.per_second.max(1);
    let each = each.max(1);
    let holds = rate.burst.max(1) * each;
    let full_at = full_at.max(now);
    let missing = full_at - now;
    let there = holds.saturating_sub(missing) / each;
    if there == 0 {
        let wait = (missing + each).saturating_sub(holds);
        return (Taken::None(Duration::from_micros(wait)), full_at);
    }
    let taken = wanted.clamp(1, there);
    (Taken::Some(taken), full_at + taken * each)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        per_second: 10,
        burst: 20,
    };

    #[test]
    fn a_bucket_gives_its_burst_and_then_as_fast_as_it_fills() {
        let start = 1_000_000_000;
        let (taken, full_at) = decide(0, start, 15, RATE);
        assert_eq!(taken, Taken::Some(15));
        let (taken, full_at) = decide(full_at, start, 15, RATE);
        assert_eq!(taken, Taken::Some(5));
        let (taken, full_at) = decide(full_at, start, 1, RATE);
        assert_eq!(taken, Taken::None(Duration::from_millis(100)));
        let (taken, full_at) = decide(full_at, start + 100_000, 5, RATE);
        assert_eq!(taken, Taken::Some(1));
        // it never holds more than its burst
        let (taken, _) = decide(full_at, start + 60_000_000, 100, RATE);
        assert_eq!(taken, Taken::Some(20));
    }
}
