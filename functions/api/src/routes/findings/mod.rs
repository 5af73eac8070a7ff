//! Findings: the list and one of them. Writing is in `write`, notes and tags in `annotate`, many at
//! once in `bulk`, duplicates and merging in `clusters`, proposed ones in `duplicates`, deleting in
//! `remove`.

mod annotate;
mod bulk;
mod clusters;
mod duplicates;
mod filter;
mod order;
mod remove;
mod write;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use tatami_auth::{Permission, Place};
use tatami_domain::{Finding, FindingGroup, FindingGroupId, FindingId, Product, ProductId, Test};
use tatami_store::{FINDING_KIND, Sight};

use super::attached::file_ids;
use super::catalog::id_in_path;
use super::records::metadata;
use crate::Api;
use crate::auth::Caller;
use crate::conditional::{Version, Versioned};
use crate::error::Result;
use crate::fields::{Field, Kind};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::{Cut, Listing};
use crate::query::Query;
use crate::view::finding::{Clock, FIELDS, FindingView, Packs};
use crate::view::group::Groups;
use crate::view::note;

use filter::Filters;
use order::Order;

/// A filter over texts looks at those of so many findings at once.
const TEXTS_AT_ONCE: usize = 4_096;

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let list = Operation::get(
        "/api/v2/findings",
        "A page of the findings that pass the filters",
    )
    .query(filter::parameters())
    .query([Field::new("o", Kind::Texts)])
    .answers(200, Answer::Page("Finding"));
    routes.add(&list, self::list);
    let get =
        Operation::get("/api/v2/findings/{id}", "One of them").answers(200, Answer::One("Finding"));
    routes.add(&get, self::get);
    write::add(routes);
    annotate::add(routes);
    bulk::add(routes);
    clusters::add(routes);
    remove::add(routes);
    duplicates::add(routes);
    routes.schemas("Finding", FIELDS);
}

async fn list(State(api): State<Api>, caller: Caller, listing: Listing) -> Result<Response> {
    let query = &listing.query;
    let mut scope = scope(&api, query).await?;
    let visible = caller.visible(Permission::ViewProducts).await?;
    if let Some(products) = visible.products() {
        scope.narrow(products.into_iter().collect());
    }
    let sees = |finding: &Finding| visible.sees(Place::from(finding));
    let clock = Clock::now();
    let filters = Filters::read(query, &clock)?;
    let order = Order::read(query, &clock, &scope.names)?;
    let store = &api.services.store;
    let compare = |a: &Arc<Finding>, b: &Arc<Finding>| order.compare(a, b);
    let mut cut = Cut::new(&listing, compare);
    if filters.want_texts() {
        let mut found: Vec<Arc<Finding>> = Vec::new();
        let see = |finding: &Arc<Finding>| {
            if sees(finding) && filters.pass(finding) {
                found.push(Arc::clone(finding));
            }
        };
        store.visit(scope.sight(), see).await?;
        for some in found.chunks(TEXTS_AT_ONCE) {
            let packs = Packs::load(&api.services.blobs, some.iter().map(AsRef::as_ref)).await?;
            let pass = |finding: &&Arc<Finding>| filters.pass_texts(packs.of(finding));
            (some.iter().filter(pass)).for_each(|finding| cut.push(finding));
        }
    } else {
        let see = |finding: &Arc<Finding>| {
            if sees(finding) && filters.pass(finding) {
                cut.push(finding);
            }
        };
        store.visit(scope.sight(), see).await?;
    }
    let (count, page) = cut.page();
    let packs = Packs::load(&api.services.blobs, page.iter().map(AsRef::as_ref)).await?;
    let groups = Groups::load(store, page.iter().map(AsRef::as_ref)).await?;
    let views: Vec<FindingView<'_>> = (page.iter())
        .map(|finding| {
            FindingView::new(finding, packs.of(finding), &clock).with_group(finding, &groups)
        })
        .collect();
    Ok(Json(listing.page(count, views)).into_response())
}

/// The part of the store that a list has to look at.
#[derive(Default)]
struct Scope {
    /// One test of a product, where only that is asked for.
    test: Option<(ProductId, tatami_domain::TestId)>,
    /// Some products; none: all of them.
    products: Option<Vec<ProductId>>,
    /// The names of the products, where the order asks for them.
    names: HashMap<ProductId, String>,
}

/// Narrows down where to look, by what the query says of the product tree.
async fn scope(api: &Api, query: &Query) -> Result<Scope> {
    let store = &api.services.store;
    let mut scope = Scope::default();
    for name in ["product", "test__engagement__product"] {
        let ids = query.ids(name)?;
        if !ids.is_empty() {
            scope.narrow(ids.into_iter().map(ProductId).collect());
        }
    }
    for name in ["engagement", "test__engagement"] {
        let ids = query.ids(name)?;
        if !ids.is_empty() {
            let engagements = ids.into_iter().map(tatami_domain::EngagementId);
            let engagements = store
                .get_all::<tatami_domain::Engagement>(engagements)
                .await?;
            let mut products: Vec<ProductId> = engagements.iter().map(|e| e.product).collect();
            products.dedup();
            scope.narrow(products);
        }
    }
    let mut one_test = None;
    let groups = query.ids("finding_group")?;
    if !groups.is_empty() {
        let groups = groups.into_iter().map(FindingGroupId);
        let groups = store.get_all::<FindingGroup>(groups).await?;
        if let [group] = &groups[..] {
            one_test = Some((group.product, group.test));
        }
        scope.narrow(groups.iter().map(|group| group.product).collect());
    }
    let tests = query.ids("test")?;
    if !tests.is_empty() {
        let tests = tests.into_iter().map(tatami_domain::TestId);
        let tests = store.get_all::<Test>(tests).await?;
        if let [test] = &tests[..] {
            one_test = Some((test.product, test.id));
        }
        scope.narrow(tests.iter().map(|test| test.product).collect());
    }
    let types = query.ids("test__engagement__product__prod_type")?;
    let name = query
        .get("product_name")
        .map(|text| text.trim().to_lowercase());
    let part = query
        .get("product_name_contains")
        .map(|text| text.trim().to_lowercase());
    let by_name = query
        .all("o")
        .iter()
        .any(|o| o.trim_start_matches('-') == order::PRODUCT_NAME);
    if !types.is_empty() || name.is_some() || part.is_some() || by_name {
        let products: Vec<Product> = store.list().await?;
        if !types.is_empty() || name.is_some() || part.is_some() {
            let wanted = |product: &&Product| {
                let own = product.name.to_lowercase();
                (types.is_empty() || types.contains(&product.prod_type.0))
                    && name.as_ref().is_none_or(|name| own == *name)
                    && part.as_ref().is_none_or(|part| own.contains(part.as_str()))
            };
            scope.narrow(
                products
                    .iter()
                    .filter(wanted)
                    .map(|product| product.id)
                    .collect(),
            );
        }
        if by_name {
            scope.names = products.into_iter().map(|p| (p.id, p.name)).collect();
        }
    }
    if let Some(products) = &mut scope.products {
        products.sort_unstable();
        products.dedup();
        scope.test = one_test.filter(|(product, _)| products.contains(product));
    }
    Ok(scope)
}

impl Scope {
    /// Leaves nothing but these products.
    fn narrow(&mut self, products: Vec<ProductId>) {
        self.products = Some(match self.products.take() {
            Some(known) => known.into_iter().filter(|p| products.contains(p)).collect(),
            None => products,
        });
        let products = self.products.as_deref().unwrap_or_default();
        self.test = self.test.filter(|(product, _)| products.contains(product));
    }

    fn sight(&self) -> Sight<'_> {
        match (self.test, &self.products) {
            (Some((product, test)), _) => Sight::Test(product, test),
            (None, Some(products)) => Sight::Products(products),
            (None, None) => Sight::All,
        }
    }
}

async fn get(State(api): State<Api>, caller: Caller, Path(id): Path<String>) -> Result<Response> {
    let finding = permitted(&api, &caller, Permission::ViewProducts, &id).await?;
    detail(&api, &finding).await
}

/// The finding of a path, where the caller has the permission.
async fn permitted(
    api: &Api,
    caller: &Caller,
    permission: Permission,
    id: &str,
) -> Result<Finding> {
    let finding = api
        .services
        .store
        .finding(FindingId(id_in_path(id)?))
        .await?;
    caller.require(permission, Place::from(&finding)).await?;
    Ok(finding)
}

/// A finding with all that belongs to it.
async fn detail(api: &Api, finding: &Finding) -> Result<Response> {
    let store = &api.services.store;
    let packs = Packs::load(&api.services.blobs, [finding]).await?;
    let notes = note::views(store, &store.notes(finding.id).await?).await?;
    let meta = metadata::of(store, FINDING_KIND, finding.id.0).await?;
    let meta = meta.iter().map(metadata::pair).collect();
    let files = file_ids(store, finding, packs.of(finding).files.len()).await?;
    let groups = Groups::load(store, [finding]).await?;
    let view = FindingView::new(finding, packs.of(finding), &Clock::now())
        .with_group(finding, &groups)
        .with_attached(meta, notes, files);
    Ok(Versioned(version(finding), Json(view)).into_response())
}

/// The version of a finding, on which its writes are conditioned.
fn version(finding: &Finding) -> Version {
    Version::of(&finding.version)
}
