//! SLA configurations, and which product has which.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use tatami_domain::{Product, SlaConfiguration, SlaConfigurationId, Slas};

use crate::db::{Table, number_of};
use crate::{Entity, Named, Result, Store, keys};

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

    /// Makes the configuration that counts where no other does, under the id 1. Harmless at any time.
    pub async fn seed_sla(&self) -> Result<()> {
        // those that people make get later ids
        self.skip_ids(SlaConfiguration::KIND, 1).await?;
        self.create_reserved(SlaConfiguration::default())
            .await
            .map(drop)
    }
}
