//! What people are told and how: rows, templates and webhooks; and their alerts.

use jiff::Timestamp;
use tatami_domain::{
    Alert, AlertId, DeliveryId, NotificationRow, NotificationRowId, NotificationTemplate,
    NotificationTemplateId, NotificationWebhook, NotificationWebhookId, Product, User, UserId,
};

use crate::db::{ABSENT, Item, Table, corrupt, document, key_of, number, read_document, text_of};
use crate::{Entity, Result, Store, keys};

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

fn read_alert(item: &Item) -> Result<Alert> {
    let mut alert: Alert = read_document(item)?;
    let id = text_of(item, "sk").and_then(|sk| sk.parse().ok());
    alert.id = AlertId(id.ok_or_else(|| corrupt(item, "its sort key is no id"))?);
    Ok(alert)
}

pub(crate) fn kept_until(created: Timestamp) -> u64 {
    u64::try_from(created.as_second() + KEPT_S).unwrap_or(0)
}

impl Store {
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
