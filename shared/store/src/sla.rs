//! SLA configurations, which product has which, and how the findings of products stand against them.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tatami_domain::{Event, Product, ProductId, SlaConfiguration, SlaConfigurationId, Slas};

use crate::db::{
    Item, Table, Transacted, Update, corrupt, document, number_of, read_document, text, text_of,
    to_json,
};
use crate::{Entity, Named, Result, Store, keys};

/// The attribute of a summary that says on which day the daily run was through with the product.
const SWEPT: &str = "swept";

/// Counts the changes of what is due when, in any configuration and of any product.
const STAMP: &str = "SLA";

impl Entity for SlaConfiguration {
    type Id = SlaConfigurationId;
    const KIND: &'static str = "SLA";
    const WORD: &'static str = "SLA configuration";

    fn id(&self) -> SlaConfigurationId {
        self.id
    }

    fn set_id(&mut self, id: SlaConfigurationId) {
        self.id = id;
    }

    fn unique_name(&self) -> Option<(u64, &str)> {
        Some((0, &self.name))
    }

    fn stamp(_: Option<&Self>, _: Option<&Self>) -> Option<&'static str> {
        Some(STAMP)
    }
}
impl Named for SlaConfiguration {}

/// The stamp that a change of a product moves: only where it gets another configuration.
pub(crate) fn stamp_of_product(
    old: Option<&Product>,
    new: Option<&Product>,
) -> Option<&'static str> {
    let of = |product: Option<&Product>| product.map(|p| p.sla_configuration).unwrap_or_default();
    (of(old) != of(new)).then_some(STAMP)
}

/// What was read last, and at which stamp.
type Known = (u64, Arc<Slas>);

#[derive(Clone, Default)]
pub(crate) struct Cache(Arc<RwLock<Option<Known>>>);

impl Cache {
    fn at(&self, stamp: u64) -> Option<Arc<Slas>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (at, slas) = known.as_ref()?;
        (*at == stamp).then(|| Arc::clone(slas))
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

impl Store {
    /// Which configuration counts for which product, as of now. Where nothing has changed since the last
    /// time, that costs one read of a small item.
    pub async fn slas(&self) -> Result<Arc<Slas>> {
        let item = self.db.get(Table::Catalog, &keys::stamp(STAMP)).await?;
        let stamp = item.and_then(|item| number_of(&item, "n")).unwrap_or(0);
        if let Some(slas) = self.slas.at(stamp) {
            return Ok(slas);
        }
        let (configurations, products) =
            tokio::try_join!(self.list::<SlaConfiguration>(), self.list::<Product>())?;
        let assigned = products
            .into_iter()
            .map(|product| (product.id, product.sla_configuration))
            .filter(|(_, configuration)| *configuration != SlaConfigurationId::default());
        let slas = Arc::new(Slas::new(configurations, assigned));
        let mut known = self.slas.0.write().unwrap_or_else(PoisonError::into_inner);
        *known = Some((stamp, Arc::clone(&slas)));
        Ok(slas)
    }

    /// Keeps a product's SLA summary, whatever its shape; see the sla function.
    pub async fn put_sla_summary<T: Serialize>(
        &self,
        product: ProductId,
        summary: &T,
    ) -> Result<()> {
        let key = keys::sla_summary(product);
        let update = Update {
            expression: "SET d = :d",
            condition: None,
            values: vec![(":d", text(to_json(&key, summary)?))],
        };
        self.db
            .update(Table::Findings, &key, update)
            .await
            .map(drop)
    }

    /// Keeps the summary of the daily run, and the event that tells of it, once a day; `false` where that
    /// was done.
    pub async fn tell_sla<T: Serialize>(
        &self,
        product: ProductId,
        summary: &T,
        day: Date,
        event: Option<&Event>,
    ) -> Result<bool> {
        let mut item = document(&keys::sla_summary(product), summary)?;
        item.insert(SWEPT.into(), text(day.to_string()));
        let condition = Some("attribute_not_exists(swept) OR swept < :day");
        let values = vec![(":day", text(day.to_string()))];
        let items = vec![self.db.put_in(Table::Findings, item, condition, values)?];
        let events = event.map(std::slice::from_ref).unwrap_or_default();
        let told = self.transact_telling(items, events, vec![]).await?;
        Ok(told == Transacted::Done)
    }

    /// The day on which the daily run was last through with each of these products.
    pub async fn sla_swept(&self, products: &[ProductId]) -> Result<BTreeMap<ProductId, Date>> {
        let wanted = products.iter().map(|product| keys::sla_summary(*product));
        let items = self.db.get_many(Table::Findings, wanted.collect()).await?;
        let swept = |item: &Item| {
            let product = text_of(item, "pk").and_then(keys::product_of_summary);
            let product = product.ok_or_else(|| corrupt(item, "it is no product's"))?;
            let day = text_of(item, SWEPT).and_then(|day| day.parse().ok());
            Ok(day.map(|day| (product, day)))
        };
        items
            .iter()
            .filter_map(|item| swept(item).transpose())
            .collect()
    }

    /// A product's SLA summary as the sla function last wrote it.
    pub async fn sla_summary<T: DeserializeOwned>(&self, product: ProductId) -> Result<Option<T>> {
        let key = keys::sla_summary(product);
        let item = self.db.get(Table::Findings, &key).await?;
        item.as_ref().map(read_document).transpose()
    }

    /// Makes the configuration that counts where no other does, under the id 1. Harmless at any time.
    pub async fn seed_sla(&self) -> Result<()> {
        // those that people make get later ids
        self.skip_ids(SlaConfiguration::KIND, 1).await?;
        self.create_reserved(SlaConfiguration::default())
            .await
            .map(drop)
    }
}
