//! Events: what others may want to be told of, by the day. Each is written in the transaction of the change
//! that it tells of ([`Store::change_told`]), under a key that it has again when that is done again.

use aws_sdk_dynamodb::types::TransactWriteItem;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use tatami_domain::Event;

use crate::db::{ABSENT, Table, document, number, read_document};
use crate::{Result, Store, keys};

/// So long events are kept, in seconds: 90 days.
const KEPT_S: i64 = 90 * 24 * 3600;

impl Store {
    /// The events of a day (UTC), by their kinds and objects.
    pub async fn events(&self, day: Date) -> Result<Vec<Event>> {
        let items = self.db.query(Table::Jobs, &keys::events(day), None).await?;
        items.iter().map(read_document).collect()
    }

    /// The write of an event; a second one of the same occasion fails.
    pub(crate) fn event_in(&self, event: &Event) -> Result<TransactWriteItem> {
        let day = event.time.to_zoned(TimeZone::UTC).date();
        let key = keys::event(day, event.kind.name(), event.object, &event.occasion);
        let mut item = document(&key, event)?;
        let end = u64::try_from(event.time.as_second() + KEPT_S).unwrap_or(0);
        item.insert("ttl".into(), number(end));
        self.db.put_in(Table::Jobs, item, Some(ABSENT), vec![])
    }
}
