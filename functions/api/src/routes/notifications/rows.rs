//! Of what whom is told, and where: a row for the system, for each user and each product of theirs, and one of
//! what users have who haven't chosen.

use serde_json::json;
use tatami_auth::{Permission, Place};
use tatami_domain::NotificationRow;
use tatami_notifications::{Channel, Topic};
use tatami_store::Store;

use super::{manages, may_over};
use crate::auth::Caller;
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Object, Target};
use crate::openapi::Routes;
use crate::routes::catalog::{self, Deletable, Filter, How, Resource};

const CHANNELS: Kind = Kind::Choices(Channel::NAMES);

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    catalog::add::<NotificationRow>(routes);
    catalog::add_delete::<NotificationRow>(routes);
}

/// A field of a topic.
const fn topic(topic: Topic) -> Field {
    Field::new(topic.name(), CHANNELS)
}

impl Resource for NotificationRow {
    const PATH: &'static str = "/api/v2/notifications";
    const SCHEMA: &'static str = "Notifications";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("product", Kind::Ref(Target::Product)).nullable(),
        Field::new("user", Kind::Ref(Target::User)).nullable(),
        Field::new("template", Kind::Bool),
        topic(Topic::ProductTypeAdded),
        topic(Topic::ProductAdded),
        topic(Topic::EngagementAdded),
        topic(Topic::TestAdded),
        topic(Topic::ScanAdded),
        topic(Topic::ScanAddedEmpty),
        topic(Topic::JiraUpdate),
        topic(Topic::UpcomingEngagement),
        topic(Topic::StaleEngagement),
        topic(Topic::AutoCloseEngagement),
        topic(Topic::CloseEngagement),
        topic(Topic::UserMentioned),
        topic(Topic::CodeReview),
        topic(Topic::ReviewRequested),
        topic(Topic::SlaBreach),
        topic(Topic::SlaBreachCombined),
        topic(Topic::RiskAcceptanceExpiration),
        topic(Topic::CriticalFinding),
        topic(Topic::ImportFailed),
        topic(Topic::Other),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter::of("id", How::Ids),
        Filter::of("user", How::Ids),
        Filter::of("product", How::Ids),
        Filter::of("template", How::Bool),
    ];
    const VIEW: Permission = Permission::ViewCommon;
    const ADD: Permission = Permission::ViewCommon;
    const EDIT: Permission = Permission::ViewCommon;

    fn fresh() -> Self {
        Self::default()
    }

    fn check(&self, _: Option<&Self>) -> Result<()> {
        let wrong = |field: &str, message: &str| Err(ApiError::field(field, message));
        match (self.template, self.user, self.product) {
            (true, Some(_), _) | (true, _, Some(_)) => wrong(
                "template",
                "The template is nobody's and for no product: leave user and product out.",
            ),
            (false, None, Some(_)) => {
                wrong("user", "What is for a product is a user's: say whose.")
            }
            _ => Ok(()),
        }
    }

    async fn may(&self, caller: &Caller, _: Permission) -> Result<()> {
        match may_over(caller, self.user).await {
            // a new one isn't somebody else's yet
            Err(_) if self.id.0 == 0 => Err(ApiError::forbidden()),
            may => may,
        }
    }

    async fn shown(mut all: Vec<Self>, caller: &Caller) -> Result<Vec<Self>> {
        caller.require(Self::VIEW, Place::Everywhere).await?;
        if !manages(caller).await? {
            all.retain(|row| row.user == Some(caller.0.user));
        }
        Ok(all)
    }

    async fn permit(&self, caller: &Caller, _: &Store, old: Option<&Self>) -> Result<()> {
        self.may(caller, Self::EDIT).await?;
        match self.product {
            Some(product) if old.is_none_or(|old| old.product != self.product) => {
                let place = Place::Product(product);
                caller.require(Permission::ViewProducts, place).await
            }
            _ => Ok(()),
        }
    }

    async fn decorate(_: &Store, views: &mut [Object]) -> Result<()> {
        for view in views {
            let whole = view["product"].is_null();
            for topic in Topic::ALL {
                let usual = || {
                    if whole {
                        json!(topic.default_channels())
                    } else {
                        json!([])
                    }
                };
                view.entry(topic.name()).or_insert_with(usual);
            }
        }
        Ok(())
    }
}

impl Deletable for NotificationRow {
    fn name(&self) -> String {
        format!("notifications {}", self.id)
    }

    async fn users(&self, _: &Store) -> Result<Option<String>> {
        Ok(None)
    }
}

/// A list of channels as rows have it.
pub fn names(channels: impl IntoIterator<Item = Channel>) -> Vec<String> {
    channels
        .into_iter()
        .map(|channel| channel.name().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_topic_has_a_field() {
        let fields: Vec<&str> = NotificationRow::FIELDS
            .iter()
            .map(|field| field.name)
            .collect();
        assert_eq!(fields[4..], *Topic::NAMES);
    }

    #[test]
    fn a_row_is_kept_with_its_topics_beside_its_fields() {
        let row: NotificationRow = serde_json::from_value(json!({
            "user": 3, "product": null, "template": false, "scan_added": ["mail"],
        }))
        .unwrap();
        assert_eq!(row.topics["scan_added"], ["mail"]);
        let kept: Value = serde_json::to_value(&row).unwrap();
        assert_eq!(kept["scan_added"], json!(["mail"]));
        assert_eq!(kept.as_object().unwrap().len(), 4);
    }
}
