//! SLA configurations of products.

use tatami_auth::Permission;
use tatami_domain::{Product, SlaConfiguration, SlaConfigurationId};
use tatami_store::Store;

use super::catalog::{self, Deletable, Filter, How, Resource};
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Target};
use crate::openapi::Routes;

/// Up to a hundred years.
const DAYS: Kind = Kind::Integer(0, 36_500);

/// Adds their routes.
pub fn add(routes: &mut Routes) {
    catalog::add::<SlaConfiguration>(routes);
    catalog::add_delete::<SlaConfiguration>(routes);
}

impl Resource for SlaConfiguration {
    const PATH: &'static str = "/api/v2/sla_configurations";
    const SCHEMA: &'static str = "SLAConfiguration";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("name", Kind::Text(128)).required(),
        Field::new("description", Kind::Text(512)).nullable(),
        Field::new("critical", DAYS),
        Field::new("enforce_critical", Kind::Bool),
        Field::new("high", DAYS),
        Field::new("enforce_high", Kind::Bool),
        Field::new("medium", DAYS),
        Field::new("enforce_medium", Kind::Bool),
        Field::new("low", DAYS),
        Field::new("enforce_low", Kind::Bool),
        Field::new("restart_sla_on_reactivation", Kind::Bool),
        Field::new("known_exploited_days", DAYS).nullable(),
        Field::new("likely_exploited_days", DAYS).nullable(),
        Field::new("likely_exploited_epss", Kind::Number(0.0, 1.0)),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter::of("id", How::Ids),
        Filter::of("name", How::Contains),
    ];
    const VIEW: Permission = Permission::ViewCommon;
    const ADD: Permission = Permission::ManageCommon;
    const EDIT: Permission = Permission::ManageCommon;

    fn fresh() -> Self {
        Self {
            name: String::new(),
            description: None,
            ..Self::default()
        }
    }
}

impl Deletable for SlaConfiguration {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn users(&self, store: &Store) -> Result<Option<String>> {
        if self.id == SlaConfigurationId::default() {
            let message =
                "This is what counts where a product has nothing else; change it instead.";
            return Err(ApiError::conflict(message));
        }
        let products: Vec<Product> = store.list().await?;
        let users = products
            .iter()
            .filter(|product| product.sla_configuration == self.id);
        let users = users.count();
        Ok((users > 0).then(|| format!("{users} products")))
    }
}
