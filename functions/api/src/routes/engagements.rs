//! Engagements.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::{Path, State};
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use serde_json::json;
use tatami_auth::{Permission, Place};
use tatami_domain::{
    AcceptanceState, Branch, Engagement, EngagementAdded, EngagementEnded, EngagementId,
    EngagementStatus, Event, EventData, Owner, Product, ProductId, UserId,
};
use tatami_store::{Entity as _, Store};

use super::attached;
use super::cascade::{self, Rooted};
use super::catalog::{self, ADDED, Filter, How, Resource, constants, id_in_path};
use super::records::{CicdInfrastructure, EngagementPreset, Kept as _};
use crate::Api;
use crate::auth::Caller;
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Object, Target};
use crate::openapi::{Answer, Operation, Routes};
use crate::query::{Query, today};

/// Adds their routes.
pub fn add(routes: &mut Routes) {
    catalog::add::<Engagement>(routes);
    cascade::add::<Engagement>(routes);
    let close = Operation::post("/api/v2/engagements/{id}/close", "Close it")
        .answers(200, Answer::One("Engagement"));
    routes.add(&close, self::close);
    let reopen = Operation::post("/api/v2/engagements/{id}/reopen", "Open it again")
        .answers(200, Answer::One("Engagement"));
    routes.add(&reopen, self::reopen);
}

const TYPES: &[&str] = &[
    "Interactive",
    "CI/CD",
    "Baseline",
    "Targeted",
    "Regression",
    "Incident",
];
const SERVER: Kind = Kind::Ref(Target::Record(CicdInfrastructure::KIND));
const STATES: &[&str] = &[
    "Not Started",
    "Blocked",
    "Cancelled",
    "Completed",
    "In Progress",
    "On Hold",
    "Scheduled",
    "Waiting for Resource",
];

impl Resource for Engagement {
    const PATH: &'static str = "/api/v2/engagements";
    const SCHEMA: &'static str = "Engagement";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("name", Kind::Text(300)),
        Field::new("product", Kind::Ref(Target::Product)).required(),
        Field::new("target_start", Kind::Date).required(),
        Field::new("target_end", Kind::Date).required(),
        Field::new("engagement_type", Kind::Choice(TYPES)),
        Field::new("status", Kind::Choice(STATES)),
        Field::answer("active", Kind::Bool),
        Field::new("description", Kind::Text(2000)).nullable(),
        Field::new("version", Kind::Text(100)).nullable(),
        Field::new("first_contacted", Kind::Date).nullable(),
        Field::new("reason", Kind::Text(2000)).nullable(),
        Field::new("lead", Kind::Ref(Target::User)).nullable(),
        Field::new("build_id", Kind::Text(150)).nullable(),
        Field::new("commit_hash", Kind::Text(150)).nullable(),
        Field::new("branch_tag", Kind::Text(150)).nullable(),
        Field::new("source_code_management_uri", Kind::Text(600)).nullable(),
        Field::new("deduplication_on_engagement", Kind::Bool),
        Field::new("tags", Kind::Texts),
        Field::answer("created", Kind::DateTime),
        Field::answer("updated", Kind::DateTime),
        Field::new("tracker", Kind::Uri(200)).nullable(),
        Field::new("test_strategy", Kind::Uri(200)).nullable(),
        Field::new("threat_model", Kind::Bool),
        Field::new("api_test", Kind::Bool),
        Field::new("pen_test", Kind::Bool),
        Field::new("check_list", Kind::Bool),
        Field::answer("progress", Kind::Text(0)),
        Field::answer("tmodel_path", Kind::Text(0)).nullable(),
        Field::answer("done_testing", Kind::Bool),
        Field::new("requester", Kind::Ref(Target::User)).nullable(),
        Field::new("preset", Kind::Ref(Target::Record(EngagementPreset::KIND))).nullable(),
        Field::new("report_type", Kind::Ref(Target::Unknown)).nullable(),
        Field::new("cicd_scm_server", SERVER).nullable(),
        Field::new("cicd_build_server", SERVER).nullable(),
        Field::new("cicd_orchestration_engine", SERVER).nullable(),
        Field::answer("notes", Kind::Other("Note", true)),
        Field::answer("files", Kind::Other("File", true)),
        Field::answer("risk_acceptance", Kind::Refs(Target::Unknown)),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter::of("id", How::Ids),
        Filter::of("name", How::Contains),
        Filter {
            name: "name_exact",
            field: "name",
            how: How::Exact,
        },
        Filter::of("product", How::Ids),
        Filter::of("status", How::OneOf),
        Filter::of("engagement_type", How::OneOf),
        Filter::of("active", How::Bool),
        Filter::of("version", How::Contains),
        Filter::of("lead", How::Ids),
        Filter::of("requester", How::Ids),
        Filter::of("report_type", How::Ids),
        Filter::of("threat_model", How::Bool),
        Filter::of("api_test", How::Bool),
        Filter::of("pen_test", How::Bool),
        Filter::of("product__prod_type", How::Ids),
        Filter::on("product__tags", "product__tags", How::AnyTag),
        Filter::on("product__tags__and", "product__tags", How::AllTags),
        Filter::on("not_product__tags", "product__tags", How::NoTag),
        Filter::of("target_start", How::Day),
        Filter::of("target_end", How::Day),
        Filter::of("created", How::Day),
        Filter::of("updated", How::Day),
        Filter::TAGS[0],
        Filter::TAGS[1],
        Filter::TAGS[2],
        Filter::TAGS[3],
        Filter::TAGS[4],
        Filter::TAGS[5],
    ];
    const PARENT: Option<(&'static str, &'static str)> = Some(("product", Product::KIND));
    const VIEW: Permission = Permission::ViewProducts;
    const ADD: Permission = Permission::EditEngagement;
    const EDIT: Permission = Permission::EditEngagement;

    fn fresh() -> Self {
        let start = today();
        Self {
            active: true,
            target_start: start,
            target_end: start.checked_add(365.days()).unwrap_or(Date::MAX),
            ..Self::default()
        }
    }

    fn place(&self) -> Place {
        match self.id.0 {
            0 => Place::Product(self.product),
            _ => Place::Engagement(self.product, self.id),
        }
    }

    fn check(&self, old: Option<&Self>) -> Result<()> {
        if self.target_end < self.target_start {
            return Err(ApiError::field("target_end", "It ends before it starts."));
        }
        if old.is_some_and(|old| old.product != self.product) {
            return Err(ApiError::field(
                "product",
                "An engagement with its findings cannot move to another product.",
            ));
        }
        Ok(())
    }

    async fn told(&self, store: &Store, by: UserId) -> Result<Option<Event>> {
        let product: Product = store.get(self.product).await?;
        let data = EventData::EngagementAdded(EngagementAdded {
            engagement: self.id,
            name: self.name.clone(),
            product_name: product.name,
            lead: self.lead,
            target_start: Some(self.target_start),
            target_end: Some(self.target_end),
            by: Some(by),
        });
        let (place, now) = (Some(self.product), Timestamp::now());
        Ok(Some(Event::new(&data, self.id, ADDED, place, now)))
    }

    async fn join(store: &Store, query: &Query, views: &mut [Object]) -> Result<()> {
        if query.pairs().any(|(name, _)| name.contains("product__")) {
            join_products(store, views, "product", "product").await?;
        }
        Ok(())
    }

    async fn decorate(store: &Store, views: &mut [Object]) -> Result<()> {
        attached::decorate(store, views, Self::PATH, |id| Owner::Engagement(id.into())).await?;
        constants(
            views,
            &json!({"progress": "threat_model", "tmodel_path": null, "done_testing": false}),
        );
        add_acceptances(store, views).await
    }
}

impl Rooted for Engagement {
    const DELETE: Permission = Permission::DeleteEngagement;

    fn branch(&self) -> Branch {
        Branch::Engagement(self.product, self.id)
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

/// Adds the risk acceptances whose findings are all in an engagement.
async fn add_acceptances(store: &Store, views: &mut [Object]) -> Result<()> {
    let product = |view: &Object| ProductId(view["product"].as_u64().unwrap_or_default());
    let products: BTreeSet<ProductId> = views.iter().map(product).collect();
    let mut of_engagements: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for product in products {
        let mut acceptances = store.acceptances_of(product).await?;
        acceptances.retain(|one| one.state() != AcceptanceState::Removed);
        for one in acceptances {
            if let Some(engagement) = one.engagement {
                let own = of_engagements.entry(engagement.0).or_default();
                own.push(one.id.0);
            }
        }
    }
    for view in views {
        let id = view["id"].as_u64().unwrap_or_default();
        let own = of_engagements.remove(&id).unwrap_or_default();
        view.insert("risk_acceptance".into(), json!(own));
    }
    Ok(())
}

/// Adds the type and the tags of the products of these ids to what lists are filtered by, under names
/// that begin like `name`.
pub async fn join_products(
    store: &Store,
    views: &mut [Object],
    field: &str,
    name: &str,
) -> Result<()> {
    let id = |view: &Object| ProductId(view[field].as_u64().unwrap_or_default());
    let products: Vec<Product> = store.get_all(views.iter().map(id)).await?;
    for view in views {
        let product = products.iter().find(|product| product.id == id(view));
        let tags = product.map(|product| product.tags.as_slice());
        view.insert(format!("{name}__tags"), json!(tags.unwrap_or_default()));
        let kind = product.map(|product| product.prod_type);
        view.insert(format!("{name}__prod_type"), json!(kind));
    }
    Ok(())
}

async fn close(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Object>> {
    set_state(&api, &caller, &id, false, EngagementStatus::Completed).await
}

async fn reopen(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Object>> {
    set_state(&api, &caller, &id, true, EngagementStatus::InProgress).await
}

async fn set_state(
    api: &Api,
    caller: &Caller,
    id: &str,
    active: bool,
    status: EngagementStatus,
) -> Result<Json<Object>> {
    let store = &api.services.store;
    let id = EngagementId(id_in_path(id)?);
    let engagement: Engagement = store.get(id).await?;
    caller
        .require(Permission::EditEngagement, engagement.place())
        .await?;
    let product: Product = store.get(engagement.product).await?;
    let change = |engagement: &mut Engagement| {
        let now = Timestamp::now();
        let closes = engagement.active && !active;
        engagement.active = active;
        engagement.status = status;
        engagement.updated = now;
        let event = || closed(engagement, &product, caller.0.user, now);
        Ok::<_, ApiError>(closes.then(event))
    };
    let engagement = store.change_told(id, change).await?;
    Ok(Json(catalog::view(store, &engagement).await?))
}

/// The event that somebody has closed an engagement.
fn closed(engagement: &Engagement, product: &Product, by: UserId, now: Timestamp) -> Event {
    let data = EventData::EngagementClosed(EngagementEnded {
        engagement: engagement.id,
        name: engagement.name.clone(),
        product_name: product.name.clone(),
        target_end: Some(engagement.target_end),
        days: None,
        by: Some(by),
    });
    let (occasion, place) = (now.to_string(), Some(engagement.product));
    Event::new(&data, engagement.id, occasion, place, now)
}
