//! Failed sign-ins, counted in windows of time that all functions share.

use jiff::Timestamp;

use crate::db::{Table, Update, number, number_of};
use crate::{Result, Store, keys};

/// How long a window is, in seconds.
const WINDOW_S: i64 = 15 * 60;

/// Failed attempts of somebody in the window of now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempts {
    /// How many failed.
    pub failed: u64,
    /// So many seconds until they are forgotten.
    pub left_s: i64,
}

impl Store {
    /// The failed attempts by or at somebody.
    pub async fn attempts(&self, who: &str, now: Timestamp) -> Result<Attempts> {
        let (window, left_s) = window(now);
        let item = self
            .db
            .get(Table::Jobs, &keys::attempts(who, window))
            .await?;
        let failed = item.and_then(|item| number_of(&item, "n")).unwrap_or(0);
        Ok(Attempts { failed, left_s })
    }

    /// Counts one more.
    pub async fn attempt_failed(&self, who: &str, now: Timestamp) -> Result<()> {
        let (window, left_s) = window(now);
        let end = u64::try_from(now.as_second() + left_s).unwrap_or(0);
        let update = Update {
            expression: "ADD n :one SET #ttl = :ttl",
            condition: None,
            values: vec![(":one", number(1)), (":ttl", number(end))],
        };
        let key = keys::attempts(who, window);
        self.db.update(Table::Jobs, &key, update).await.map(drop)
    }
}

/// The number of the window that a time is in, and the seconds until its end.
fn window(now: Timestamp) -> (i64, i64) {
    let second = now.as_second();
    (
        second.div_euclid(WINDOW_S),
        WINDOW_S - second.rem_euclid(WINDOW_S),
    )
}
