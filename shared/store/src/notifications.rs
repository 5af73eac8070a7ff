//! Messages on their way: webhooks, the log of deliveries, and people's alerts.

use aws_sdk_dynamodb::types::TransactWriteItem;
use jiff::Timestamp;
use tatami_domain::{
    Alert, AlertId, Delivery, DeliveryId, DeliveryState, NotificationRow, NotificationRowId,
    NotificationTemplate, NotificationTemplateId, NotificationWebhook, NotificationWebhookId,
    Product, User, UserId,
};

use crate::db::{
    ABSENT, Item, Table, Transacted, corrupt, document, key_item, key_of, number, number_of,
    read_document, text, text_of,
};
use crate::{Entity, Result, Store, StoreError, keys};

/// So long deliveries and alerts are kept, in seconds: 90 days.
const KEPT_S: i64 = 90 * 24 * 3600;

impl Entity for NotificationWebhook {
    type Id = NotificationWebhookId;
    const KIND: &'static str = "NWEBHOOK";
    const WORD: &'static str = "notification webhook";
    const PRIVATE: &'static [&'static str] = &["header_value", "secret"];

    fn id(&self) -> NotificationWebhookId {
        self.id
    }

    fn set_id(&mut self, id: NotificationWebhookId) {
        self.id = id;
    }
}

impl Entity for NotificationRow {
    type Id = NotificationRowId;
    const KIND: &'static str = "NOTIFICATIONS";
    const WORD: &'static str = "row of notifications";

    fn id(&self) -> NotificationRowId {
        self.id
    }

    /// Whoever reads or makes one sets its id when its other fields are known.
    fn set_id(&mut self, id: NotificationRowId) {
        self.id = id;
        self.identify();
    }

    fn parent(&self) -> Option<(&'static str, u64)> {
        let product = self.product.map(|product| (Product::KIND, product.0));
        product.or_else(|| Some((User::KIND, self.user?.0)))
    }

    fn unique_name(&self) -> Option<(u64, &str)> {
        Some((0, &self.scope))
    }
}

impl Entity for NotificationTemplate {
    type Id = NotificationTemplateId;
    const KIND: &'static str = "NTEMPLATE";
    const WORD: &'static str = "template of notifications";

    fn id(&self) -> NotificationTemplateId {
        self.id
    }

    fn set_id(&mut self, id: NotificationTemplateId) {
        self.id = id;
        self.identify();
    }

    fn unique_name(&self) -> Option<(u64, &str)> {
        Some((0, &self.scope))
    }
}

fn read_delivery(item: &Item) -> Result<Delivery> {
    let mut delivery: Delivery = read_document(item)?;
    let id = text_of(item, "sk").and_then(|sk| sk.parse().ok());
    delivery.id = DeliveryId(id.ok_or_else(|| corrupt(item, "its sort key is no id"))?);
    Ok(delivery)
}

fn read_alert(item: &Item) -> Result<Alert> {
    let mut alert: Alert = read_document(item)?;
    let id = text_of(item, "sk").and_then(|sk| sk.parse().ok());
    alert.id = AlertId(id.ok_or_else(|| corrupt(item, "its sort key is no id"))?);
    Ok(alert)
}

fn kept_until(created: Timestamp) -> u64 {
    u64::try_from(created.as_second() + KEPT_S).unwrap_or(0)
}

impl Store {
    /// Makes a delivery, once for its key; gives the one there is, and whether it was made now.
    pub async fn create_delivery(&self, mut delivery: Delivery) -> Result<(Delivery, bool)> {
        let name = keys::delivery_name(&delivery.key);
        loop {
            if let Some(item) = self.db.get(Table::Jobs, &name).await? {
                let id =
                    number_of(&item, "id").ok_or_else(|| corrupt(&item, "it names no delivery"))?;
                return Ok((self.delivery(DeliveryId(id)).await?, false));
            }
            delivery.id = DeliveryId(self.next_ids("DELIVERY", 1).await?);
            let end = number(kept_until(delivery.created));
            let mut claim = key_item(&name);
            claim.insert("id".into(), number(delivery.id.0));
            claim.insert("ttl".into(), end);
            let items = vec![
                self.db.put_in(Table::Jobs, claim, Some(ABSENT), vec![])?,
                self.delivery_in(&delivery)?,
            ];
            if self.db.transact(items).await? == Transacted::Done {
                return Ok((delivery, true));
            }
        }
    }

    fn delivery_item(delivery: &Delivery) -> Result<Item> {
        let mut item = document(&keys::delivery(delivery.id), delivery)?;
        item.insert("tries".into(), number(delivery.tries.into()));
        item.insert("st".into(), text(delivery.state.name()));
        item.insert("ttl".into(), number(kept_until(delivery.created)));
        Ok(item)
    }

    fn delivery_in(&self, delivery: &Delivery) -> Result<TransactWriteItem> {
        let item = Self::delivery_item(delivery)?;
        self.db.put_in(Table::Jobs, item, Some(ABSENT), vec![])
    }

    /// The delivery with this id.
    pub async fn delivery(&self, id: DeliveryId) -> Result<Delivery> {
        match self.db.get(Table::Jobs, &keys::delivery(id)).await? {
            Some(item) => read_delivery(&item),
            None => Err(StoreError::NotFound {
                kind: "delivery",
                id: id.to_string(),
            }),
        }
    }

    /// Writes a delivery that was read with so many tries and in this state; `false` where somebody else was
    /// quicker.
    pub async fn put_delivery(
        &self,
        delivery: &Delivery,
        tries: u32,
        state: DeliveryState,
    ) -> Result<bool> {
        let item = Self::delivery_item(delivery)?;
        let unchanged = vec![(":n", number(tries.into())), (":s", text(state.name()))];
        let put = self
            .db
            .put(Table::Jobs, item, Some("tries = :n AND st = :s"), unchanged);
        match put.await {
            Ok(()) => Ok(true),
            Err(error) if error.is_condition() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// All deliveries that are kept, newest first.
    pub async fn deliveries(&self) -> Result<Vec<Delivery>> {
        let last = self.last_id("DELIVERY").await?;
        let partitions = keys::entity_blocks(last).map(keys::deliveries).collect();
        let items = self.db.query_all(Table::Jobs, partitions).await?;
        let mut all: Vec<Delivery> = items
            .iter()
            .flatten()
            .map(read_delivery)
            .collect::<Result<_>>()?;
        all.reverse();
        Ok(all)
    }

    /// Puts an alert among a user's, once for the key of its delivery.
    pub async fn put_alert(&self, alert: &Alert, delivery: DeliveryId) -> Result<()> {
        // a delivery has one alert, so that its id can be the alert's
        let alert = Alert {
            id: AlertId(delivery.0),
            ..alert.clone()
        };
        let mut item = document(&keys::alert(alert.user, alert.id), &alert)?;
        item.insert("ttl".into(), number(kept_until(alert.created)));
        match self.db.put(Table::Jobs, item, Some(ABSENT), vec![]).await {
            Err(error) if !error.is_condition() => Err(error),
            _ => Ok(()),
        }
    }

    /// A user's alerts, newest first.
    pub async fn alerts(&self, user: UserId) -> Result<Vec<Alert>> {
        let items = self
            .db
            .query(Table::Jobs, &keys::alerts(user), None)
            .await?;
        let mut all: Vec<Alert> = items.iter().map(read_alert).collect::<Result<_>>()?;
        all.reverse();
        Ok(all)
    }

    /// Notes whether a user has read an alert; nothing happens where it's gone.
    pub async fn mark_alert(&self, alert: &Alert) -> Result<()> {
        let mut item = document(&keys::alert(alert.user, alert.id), alert)?;
        item.insert("ttl".into(), number(kept_until(alert.created)));
        let put = self
            .db
            .put(Table::Jobs, item, Some(crate::db::PRESENT), vec![]);
        match put.await {
            Err(error) if !error.is_condition() => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes some of a user's alerts.
    pub async fn remove_alerts(&self, user: UserId, alerts: &[AlertId]) -> Result<()> {
        let gone = alerts
            .iter()
            .map(|alert| keys::alert(user, *alert))
            .collect();
        self.db.delete_all(Table::Jobs, gone).await
    }

    /// Removes all alerts of a user who is gone.
    pub async fn forget_alerts(&self, user: UserId) -> Result<()> {
        let items = self
            .db
            .query(Table::Jobs, &keys::alerts(user), None)
            .await?;
        let gone = items.iter().map(key_of).collect();
        self.db.delete_all(Table::Jobs, gone).await
    }
}
