//! Events: what others may want to be told of, by the day. Each is written in the transaction of the change
//! that it tells of (`outbox.rs`), under a key that it has again when that is done again.

use jiff::civil::Date;
use tatami_domain::Event;

use crate::db::{Table, read_document};
use crate::{Result, Store, keys};

impl Store {
    /// The events of a day (UTC), by their kinds and objects.
    pub async fn events(&self, day: Date) -> Result<Vec<Event>> {
        let items = self.db.query(Table::Jobs, &keys::events(day), None).await?;
        items.iter().map(read_document).collect()
    }
}
