//! Leases: for a while, one process alone works on something.

use crate::db::{Table, Update, number, text};
use crate::{Result, Store, keys};

/// What one process alone may work on until it gives it back, or its time is over.
#[derive(Debug)]
pub struct Lease {
    name: String,
    by: String,
}

impl Store {
    /// Takes something for so many seconds; `None` where another has it.
    pub async fn lease(&self, name: &str, seconds: u32) -> Result<Option<Lease>> {
        let by = format!("{:032x}", rand::random::<u128>());
        let now = u64::try_from(self.now().as_second()).unwrap_or(0);
        let end = now + u64::from(seconds);
        let update = Update {
            expression: "SET holder = :by, held_until = :end, #ttl = :ttl",
            condition: Some("attribute_not_exists(pk) OR held_until < :now"),
            values: vec![
                (":by", text(by.clone())),
                (":end", number(end)),
                (":now", number(now)),
                (":ttl", number(end + 3600)),
            ],
        };
        match self
            .db
            .update(Table::Jobs, &keys::lease(name), update)
            .await
        {
            Ok(_) => Ok(Some(Lease {
                name: name.to_owned(),
                by,
            })),
            Err(error) if error.is_condition() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Gives it back, if it's still this one's.
    pub async fn release(&self, lease: Lease) -> Result<()> {
        let update = Update {
            expression: "SET held_until = :never",
            condition: Some("holder = :by"),
            values: vec![(":never", number(0)), (":by", text(lease.by))],
        };
        let key = keys::lease(&lease.name);
        match self.db.update(Table::Jobs, &key, update).await {
            Err(error) if !error.is_condition() => Err(error),
            _ => Ok(()),
        }
    }
}
