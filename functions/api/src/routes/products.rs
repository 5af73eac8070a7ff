//! Products, their grade and the state of their SLA.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use futures::{StreamExt as _, TryStreamExt as _};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{
    Branch, Event, EventData, Finding, Membership, Product, ProductAdded, ProductId, ProductType,
    SeverityCounts, SlaConfiguration, UserId,
};
use tatami_store::{Entity as _, Sight, Store};

use super::access::members;
use super::cascade::{self, Rooted};
use super::catalog::{self, ADDED, Filter, How, Resource, constants, id_in_path};
use super::records::{Kept as _, Regulation, metadata};
use crate::Api;
use crate::auth::Caller;
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Object, Target};
use crate::openapi::{Operation, Routes};
use crate::query::Query;
use crate::view::finding::Clock;

/// The metadata of how many products are read side by side.
const PARALLEL: usize = 8;

/// Adds their routes.
pub fn add(routes: &mut Routes) {
    catalog::add::<Product>(routes);
    cascade::add::<Product>(routes);
    let sla = Operation::get(
        "/api/v2/products/{id}/sla_status",
        "The state of its SLA, as last summed up",
    );
    routes.add(&sla, sla_status);
}

const CRITICALITIES: &[&str] = &["very high", "high", "medium", "low", "very low", "none"];
const PLATFORMS: &[&str] = &["web service", "desktop", "iot", "mobile", "web"];
const LIFECYCLES: &[&str] = &["construction", "production", "retirement"];
const ORIGINS: &[&str] = &[
    "third party library",
    "purchased",
    "contractor",
    "internal",
    "open source",
    "outsourced",
];

impl Resource for Product {
    const PATH: &'static str = "/api/v2/products";
    const SCHEMA: &'static str = "Product";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("name", Kind::Text(255)).required(),
        Field::new("description", Kind::Text(4000)).required(),
        Field::new("prod_type", Kind::Ref(Target::ProductType)).required(),
        Field::answer("created", Kind::DateTime),
        Field::answer("updated", Kind::DateTime),
        Field::new("business_criticality", Kind::Choice(CRITICALITIES)).nullable(),
        Field::new("platform", Kind::Choice(PLATFORMS)).nullable(),
        Field::new("lifecycle", Kind::Choice(LIFECYCLES)).nullable(),
        Field::new("origin", Kind::Choice(ORIGINS)).nullable(),
        Field::new("user_records", Kind::Integer(0, 2_147_483_647)).nullable(),
        Field::new("revenue", Kind::Decimal).nullable(),
        Field::new("external_audience", Kind::Bool),
        Field::new("internet_accessible", Kind::Bool),
        Field::new("enable_product_tag_inheritance", Kind::Bool),
        Field::new("enable_simple_risk_acceptance", Kind::Bool),
        Field::new("enable_full_risk_acceptance", Kind::Bool),
        Field::new("disable_sla_breach_notifications", Kind::Bool),
        Field::new("product_manager", Kind::Ref(Target::User)).nullable(),
        Field::new("technical_contact", Kind::Ref(Target::User)).nullable(),
        Field::new("team_manager", Kind::Ref(Target::User)).nullable(),
        Field::new("regulations", Kind::Refs(Target::Record(Regulation::KIND))),
        Field::new("tags", Kind::Texts),
        Field::answer("findings_count", Kind::Integer(0, i64::MAX)),
        Field::answer("findings_list", Kind::Refs(Target::Finding)),
        Field::answer("prod_numeric_grade", Kind::Integer(5, 100)),
        Field::answer("product_meta", Kind::Other("Metadata", true)),
        Field::new(
            "sla_configuration",
            Kind::Ref(Target::Record(SlaConfiguration::KIND)),
        ),
        Field::new("authorized_users", Kind::Refs(Target::User)),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter::of("id", How::Ids),
        Filter::of("name", How::Contains),
        Filter {
            name: "name_exact",
            field: "name",
            how: How::Exact,
        },
        Filter::of("description", How::Contains),
        Filter::of("prod_type", How::Ids),
        Filter::of("business_criticality", How::OneOf),
        Filter::of("platform", How::OneOf),
        Filter::of("lifecycle", How::OneOf),
        Filter::of("origin", How::OneOf),
        Filter::of("external_audience", How::Bool),
        Filter::of("internet_accessible", How::Bool),
        Filter::of("product_manager", How::Ids),
        Filter::of("technical_contact", How::Ids),
        Filter::of("team_manager", How::Ids),
        Filter::of("regulations", How::Ids),
        Filter::of("revenue", How::Exact),
        Filter::of("user_records", How::Ids),
        Filter::of("prod_numeric_grade", How::Ids),
        Filter::of("outside_of_sla", How::Bool),
        // always 0, in DefectDojo too
        Filter::of("tid", How::Ids),
        Filter::of("created", How::Day),
        Filter::of("updated", How::Day),
        Filter::TAGS[0],
        Filter::TAGS[1],
        Filter::TAGS[2],
        Filter::TAGS[3],
        Filter::TAGS[4],
        Filter::TAGS[5],
    ];
    const VIEW: Permission = Permission::ViewProducts;
    const ADD: Permission = Permission::AddProduct;
    const EDIT: Permission = Permission::EditProduct;

    fn fresh() -> Self {
        Self {
            enable_full_risk_acceptance: true,
            ..Self::default()
        }
    }

    fn place(&self) -> Place {
        match self.id.0 {
            0 => Place::ProductType(self.prod_type),
            _ => Place::Product(self.id),
        }
    }

    /// Who moves a product into another type could have made it there.
    async fn permit(&self, caller: &Caller, _: &Store, old: Option<&Self>) -> Result<()> {
        match old {
            Some(old) if old.prod_type != self.prod_type => {
                let there = Place::ProductType(self.prod_type);
                caller.require(Permission::AddProduct, there).await
            }
            _ => Ok(()),
        }
    }

    async fn apply(
        &self,
        caller: &Caller,
        store: &Store,
        sent: &Object,
        _: Option<&Self>,
    ) -> Result<()> {
        let here = Membership {
            product: Some(self.id),
            ..Membership::default()
        };
        members::authorize(caller, store, sent, &here).await
    }

    async fn told(&self, store: &Store, by: UserId) -> Result<Option<Event>> {
        let product_type: ProductType = store.get(self.prod_type).await?;
        let data = EventData::ProductAdded(ProductAdded {
            product: self.id,
            name: self.name.clone(),
            product_type_name: product_type.name,
            by: Some(by),
        });
        let (place, now) = (Some(self.id), Timestamp::now());
        Ok(Some(Event::new(&data, self.id, ADDED, place, now)))
    }

    fn changed(api: &Api) {
        api.known.invalidate_all();
    }

    async fn join(store: &Store, query: &Query, views: &mut [Object]) -> Result<()> {
        let id = |view: &Object| ProductId(view["id"].as_u64().unwrap_or_default());
        if query.get("prod_numeric_grade").is_some() {
            let counts = store.counts_by_product().await?;
            for view in views.iter_mut() {
                let counts = counts.get(&id(view)).copied().unwrap_or_default();
                view.insert("prod_numeric_grade".into(), json!(grade(&counts)));
            }
        }
        for view in views.iter_mut().filter(|_| query.get("tid").is_some()) {
            view.insert("tid".into(), json!(0));
        }
        if query.get("outside_of_sla").is_some() {
            let clock = Clock::now(store).await?;
            let mut late: HashSet<ProductId> = HashSet::new();
            let see = |finding: &Arc<Finding>| {
                let is_late = |days: i64| days < 0;
                if finding.flags.is_open() && clock.days_remaining(finding).is_some_and(is_late) {
                    late.insert(finding.product);
                }
            };
            store.visit(Sight::All, see).await?;
            for view in views.iter_mut() {
                view.insert("outside_of_sla".into(), json!(late.contains(&id(view))));
            }
        }
        Ok(())
    }

    async fn decorate(store: &Store, views: &mut [Object]) -> Result<()> {
        constants(
            views,
            &json!({
                "findings_list": [],
            }),
        );
        members::add_authorized(store, views, |id| Place::Product(ProductId(id))).await?;
        let reads: Vec<_> = (views.iter())
            .map(|view| metadata::of(store, Self::KIND, view["id"].as_u64().unwrap_or_default()))
            .collect();
        let metadata: Vec<_> = futures::stream::iter(reads)
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        for (view, metadata) in views.iter_mut().zip(&metadata) {
            let pairs: Value = metadata.iter().map(metadata::pair).collect();
            view.insert("product_meta".into(), pairs);
        }
        let id = |view: &Object| ProductId(view["id"].as_u64().unwrap_or_default());
        let counts = match views {
            [] => return Ok(()),
            [one] => [(id(one), store.product_counts(id(one)).await?)].into(),
            _ => store.counts_by_product().await?,
        };
        for view in views {
            let counts = counts.get(&id(view)).copied().unwrap_or_default();
            view.insert("findings_count".into(), json!(counts.total().total));
            view.insert("prod_numeric_grade".into(), json!(grade(&counts)));
        }
        Ok(())
    }
}

impl Rooted for Product {
    const DELETE: Permission = Permission::DeleteProduct;

    fn branch(&self) -> Branch {
        Branch::Product(self.id)
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

/// The grade of a product by its active findings.
fn grade(counts: &SeverityCounts) -> u8 {
    let [critical, high, medium, low, _] = counts
        .0
        .map(|counts| u64::try_from(counts.active).unwrap_or(0));
    tatami_metrics::grade(critical, high, medium, low)
}

async fn sla_status(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>> {
    let product: Product = api.services.store.get(id_in_path(&id)?.into()).await?;
    caller
        .require(Permission::ViewProducts, Place::Product(product.id))
        .await?;
    match api.services.store.sla_summary(product.id).await? {
        Some(summary) => Ok(Json(summary)),
        None => Err(ApiError::Detail(
            StatusCode::NOT_FOUND,
            "The SLA of this product has not been summed up yet.".into(),
        )),
    }
}
