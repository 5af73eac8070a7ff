//! Findings: the list and one of them. Writing is in `write`, asking for a review in `review`, what is told
//! of both in `told`, notes and tags in `annotate`, many at once in `bulk`, duplicates and merging in
//! `clusters`, proposed ones in `duplicates`, deleting in `remove`.

mod annotate;
pub mod bulk;
mod clusters;
mod duplicates;
pub mod filter;
mod order;
mod remove;
mod requests;
mod review;
mod told;
pub mod write;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{
    Engagement, EngagementId, Finding, FindingGroup, FindingGroupId, FindingId, JiraIssue, Note,
    Product, ProductId, Test, TestId,
};
use tatami_runtime::Services;
use tatami_store::{Entity as _, FINDING_KIND, Sight, Store};

use super::attached::{file_ids, file_views};
use super::catalog::{Resource as _, id_in_path};
use super::records::metadata;
use crate::Api;
use crate::auth::{Caller, Visible};
use crate::conditional::{Version, Versioned};
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Object, Target};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::{Base, Cut, Listing, Page};
use crate::prefetch;
use crate::query::Query;
use crate::view::finding::{Clock, FIELDS, FindingView, Packs};
use crate::view::group::Groups;
use crate::view::note;
use crate::view::related::{self, Related};

pub use filter::parameters;
use filter::{Filters, TagsOf};
use order::Order;

/// A filter over texts looks at those of so many findings at once.
const TEXTS_AT_ONCE: usize = 4_096;

/// Notes and files of how many findings are read side by side.
const PARALLEL: usize = 8;
/// The groups of a finding, where they are to be sent along.
const GROUPS: Field = Field::answer(
    "finding_group_set",
    Kind::Refs(Target::Record(FindingGroup::KIND)),
);
/// Asks for what findings belong to, spelled out.
const RELATED: Field = Field::new("related_fields", Kind::Bool);

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let list = Operation::get(
        "/api/v2/findings",
        "A page of the findings that pass the filters",
    )
    .query(parameters())
    .query([Field::new("o", Kind::Texts), RELATED])
    .answers(200, Answer::Page("Finding"));
    routes.add(&list, self::list);
    let get = Operation::get("/api/v2/findings/{id}", "One of them")
        .query([RELATED])
        .answers(200, Answer::One("Finding"));
    routes.add(&get, self::get);
    write::add(routes);
    review::add(routes);
    annotate::add(routes);
    bulk::add(routes);
    clusters::add(routes);
    remove::add(routes);
    requests::add(routes);
    duplicates::add(routes);
    routes.schemas("Finding", FIELDS);
    related::add(routes);
    let others = &[
        (GROUPS.name, FindingGroup::SCHEMA),
        ("notes", "Note"),
        ("files", "File"),
    ];
    routes.prefetches("/api/v2/findings", "Finding", FIELDS, others);
    routes.loads(FINDING_KIND, "Finding", load);
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    base: Base,
    listing: Listing,
) -> Result<Response> {
    let query = &listing.query;
    let (scope, visible) = seen(&api, &caller, query).await?;
    let clock = Clock::now(&api.services.store).await?;
    let order = Order::read(query, &clock, &scope.names)?;
    let store = &api.services.store;
    let mut cut = Cut::new(&listing, &order)?;
    let found = |finding: &Arc<Finding>| cut.push(order.ranked(finding));
    let filters = filters(store, query, &scope, &clock).await?;
    search(&api, &scope, &visible, &filters, found).await?;
    let (links, page) = cut.page();
    let page: Vec<&Finding> = page.iter().map(|ranked| &*ranked.finding).collect();
    let packs = Packs::load(&api.services.blobs, page.iter().copied()).await?;
    let groups = Groups::load(store, page.iter().copied()).await?;
    let related = related(store, query, &page).await?;
    let views: Vec<FindingView<'_>> = (page.iter())
        .map(|finding| {
            FindingView::new(finding, packs.of(finding), &clock)
                .with_group(finding, &groups)
                .with_related(related.of(finding, groups.issues()))
        })
        .collect();
    let along = along(&api, &caller, &base, query, &page, &views).await?;
    Ok(Json(Page::new(links, views).with_prefetch(along)).into_response())
}

/// Every finding that a query asks for and the caller may see, in no order.
pub async fn selected(api: &Api, caller: &Caller, query: &Query) -> Result<Vec<Arc<Finding>>> {
    let (scope, visible) = seen(api, caller, query).await?;
    let clock = Clock::now(&api.services.store).await?;
    let filters = filters(&api.services.store, query, &scope, &clock).await?;
    let mut all = Vec::new();
    let found = |finding: &Arc<Finding>| all.push(Arc::clone(finding));
    search(api, &scope, &visible, &filters, found).await?;
    Ok(all)
}

/// What a query asks of findings of a scope, and of their issues in JIRA where it does.
async fn filters(store: &Store, query: &Query, scope: &Scope, clock: &Clock) -> Result<Filters> {
    let mut filters = Filters::read(query, clock)?;
    if Filters::want_issues(query) {
        let issues: Vec<JiraIssue> = match scope.products.as_deref() {
            Some([product]) => store.jira_issues_of(*product).await?,
            _ => store.list().await?,
        };
        filters.add_issues(query, &issues, clock.today)?;
    }
    Ok(filters)
}

/// Where a query looks, and what of it the caller may see.
async fn seen(api: &Api, caller: &Caller, query: &Query) -> Result<(Scope, Visible)> {
    let mut scope = scope(api, query).await?;
    let visible = caller.visible(Permission::ViewProducts).await?;
    if let Some(products) = visible.products() {
        scope.narrow(products.into_iter().collect());
    }
    Ok((scope, visible))
}

/// Shows those findings of a scope that may be seen and pass filters.
async fn search(
    api: &Api,
    scope: &Scope,
    visible: &Visible,
    filters: &Filters,
    mut found: impl FnMut(&Arc<Finding>) + Send,
) -> Result<()> {
    let Services { store, blobs, .. } = &*api.services;
    let pass = |finding: &Finding| {
        visible.sees(Place::from(finding)) && scope.covers(finding) && filters.pass(finding)
    };
    if !filters.want_texts() {
        let see = |finding: &Arc<Finding>| {
            if pass(finding) {
                found(finding);
            }
        };
        return Ok(store.visit(scope.sight(), see).await?);
    }
    let mut all: Vec<Arc<Finding>> = Vec::new();
    let see = |finding: &Arc<Finding>| {
        if pass(finding) {
            all.push(Arc::clone(finding));
        }
    };
    store.visit(scope.sight(), see).await?;
    for some in all.chunks(TEXTS_AT_ONCE) {
        let packs = Packs::load(blobs, some.iter().map(AsRef::as_ref)).await?;
        let pass = |finding: &&Arc<Finding>| filters.pass_texts(packs.of(finding));
        some.iter().filter(pass).for_each(&mut found);
    }
    Ok(())
}

/// What findings belong to, where that is asked for.
async fn related(store: &Store, query: &Query, findings: &[&Finding]) -> Result<Related> {
    match query.boolean(RELATED.name)? {
        Some(true) => Related::load(store, findings).await,
        _ => Ok(Related::default()),
    }
}

/// What findings point to, as far as that is asked for.
async fn along(
    api: &Api,
    caller: &Caller,
    base: &Base,
    query: &Query,
    findings: &[&Finding],
    views: &[FindingView<'_>],
) -> Result<Option<Object>> {
    if query.get(prefetch::NAME).is_none() {
        return Ok(None);
    }
    let mut objects = Vec::with_capacity(views.len());
    for (finding, view) in findings.iter().zip(views) {
        let view = serde_json::to_value(view).map_err(|e| ApiError::Internal(e.to_string()))?;
        let Value::Object(mut view) = view else {
            continue;
        };
        view.insert(GROUPS.name.to_owned(), json!(finding.group));
        objects.push(view);
    }
    let fields: Vec<Field> = FIELDS.iter().copied().chain([GROUPS]).collect();
    let along = prefetch::along(api, caller, query, &fields, &objects).await?;
    let mut along = along.unwrap_or_default();
    let store = &api.services.store;
    let under_id = |view: Value| Some((view["id"].as_u64()?, view));
    if prefetch::asks(query, "notes") {
        let reads: Vec<_> = findings
            .iter()
            .map(|finding| store.notes(finding.id))
            .collect();
        let notes: Vec<Vec<Note>> = stream::iter(reads).buffered(PARALLEL).try_collect().await?;
        let notes = note::views(store, &notes.concat()).await?;
        let notes = notes.into_iter().filter_map(under_id);
        along.insert("notes".into(), prefetch::by_id(notes));
    }
    if prefetch::asks(query, "files") {
        let reads = findings
            .iter()
            .map(|finding| file_views(api, &base.0, finding.id.0, *finding));
        let reads: Vec<_> = reads.collect();
        let files: Vec<Vec<Value>> = stream::iter(reads).buffered(PARALLEL).try_collect().await?;
        let files = files.into_iter().flatten().filter_map(under_id);
        along.insert("files".into(), prefetch::by_id(files));
    }
    Ok(Some(along))
}

/// Reads findings that something points to.
fn load<'a>(
    api: &'a Api,
    caller: &'a Caller,
    ids: Vec<u64>,
) -> BoxFuture<'a, Result<Vec<(u64, Value)>>> {
    Box::pin(async move {
        let Some(visible) = prefetch::visible(caller, Permission::ViewProducts).await? else {
            return Ok(Vec::new());
        };
        let store = &api.services.store;
        let mut findings = store.findings(ids.into_iter().map(FindingId)).await?;
        findings.retain(|finding| visible.sees(Place::from(finding)));
        let packs = Packs::load(&api.services.blobs, &findings).await?;
        let groups = Groups::load(store, &findings).await?;
        let clock = Clock::now(store).await?;
        let view = |finding: &Finding| {
            let view = FindingView::new(finding, packs.of(finding), &clock);
            let view = serde_json::to_value(view.with_group(finding, &groups));
            let view = view.map_err(|e| ApiError::Internal(e.to_string()))?;
            Ok((finding.id.0, view))
        };
        findings.iter().map(view).collect()
    })
}

/// The part of the store that a list has to look at.
#[derive(Default)]
struct Scope {
    /// One test of a product, where only that is asked for.
    test: Option<(ProductId, TestId)>,
    /// Some products; none: all of them.
    products: Option<Vec<ProductId>>,
    /// Some tests, and some engagements, by their tags.
    tests: Option<HashSet<TestId>>,
    engagements: Option<HashSet<EngagementId>>,
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
            let engagements = ids.into_iter().map(EngagementId);
            let engagements = store.get_all::<Engagement>(engagements).await?;
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
        let tests = tests.into_iter().map(TestId);
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
    narrow_by_tags(store, query, &mut scope).await?;
    if let Some(products) = &mut scope.products {
        products.sort_unstable();
        products.dedup();
        scope.test = one_test.filter(|(product, _)| products.contains(product));
    }
    Ok(scope)
}

/// Narrows down by tags of tests, engagements and products, and by what else the query says of products.
async fn narrow_by_tags(store: &Store, query: &Query, scope: &mut Scope) -> Result<()> {
    if let Some(wish) = TagsOf::read(query, "test") {
        let mut tests: Vec<Test> = store.list().await?;
        tests.retain(|test| wish.pass(&test.tags));
        scope.narrow(tests.iter().map(|test| test.product).collect());
        scope.tests = Some(tests.iter().map(|test| test.id).collect());
    }
    if let Some(wish) = TagsOf::read(query, "test__engagement") {
        let mut engagements: Vec<Engagement> = store.list().await?;
        engagements.retain(|engagement| wish.pass(&engagement.tags));
        scope.narrow(engagements.iter().map(|e| e.product).collect());
        scope.engagements = Some(engagements.iter().map(|e| e.id).collect());
    }
    let tags = TagsOf::read(query, "test__engagement__product");
    let lifecycles = query.all("product_lifecycle");
    let inherited = query.all("inherited_tags");
    if tags.is_some() || !lifecycles.is_empty() || !inherited.is_empty() {
        let wanted = |product: &&Product| {
            let lifecycle = product.lifecycle.as_deref().unwrap_or_default();
            let inherits = product.enable_product_tag_inheritance
                && product
                    .tags
                    .iter()
                    .any(|tag| inherited.contains(&tag.as_str()));
            tags.as_ref().is_none_or(|wish| wish.pass(&product.tags))
                && (lifecycles.is_empty() || lifecycles.contains(&lifecycle))
                && (inherited.is_empty() || inherits)
        };
        let products: Vec<Product> = store.list().await?;
        let wanted = products.iter().filter(wanted).map(|product| product.id);
        scope.narrow(wanted.collect());
    }
    Ok(())
}

impl Scope {
    /// Is the finding of those tests and engagements that the query speaks of?
    fn covers(&self, finding: &Finding) -> bool {
        let test = self.tests.as_ref();
        let engagement = self.engagements.as_ref();
        test.is_none_or(|tests| tests.contains(&finding.test))
            && engagement.is_none_or(|all| all.contains(&finding.engagement))
    }

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

async fn get(
    State(api): State<Api>,
    caller: Caller,
    base: Base,
    Path(id): Path<String>,
    query: Query,
) -> Result<Response> {
    let finding = permitted(&api, &caller, Permission::ViewProducts, &id).await?;
    let texts = Packs::load(&api.services.blobs, [&finding]).await?;
    let clock = Clock::now(&api.services.store).await?;
    let groups = Groups::load(&api.services.store, [&finding]).await?;
    let related = related(&api.services.store, &query, &[&finding]).await?;
    let view = whole(&api, &finding, &texts, &groups, &clock).await?;
    let view = [view.with_related(related.of(&finding, groups.issues()))];
    let along = along(&api, &caller, &base, &query, &[&finding], &view).await?;
    let [view] = view;
    let answer = Json(WithPrefetch {
        view,
        prefetch: along,
    });
    Ok(Versioned(version(&finding), answer).into_response())
}

/// A finding with what it points to.
#[derive(Serialize)]
struct WithPrefetch<'a> {
    #[serde(flatten)]
    view: FindingView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefetch: Option<Object>,
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

/// The view of a finding with all that belongs to it.
async fn whole<'a>(
    api: &Api,
    finding: &'a Finding,
    packs: &'a Packs,
    groups: &'a Groups,
    clock: &Clock,
) -> Result<FindingView<'a>> {
    let store = &api.services.store;
    let notes = note::views(store, &store.notes(finding.id).await?).await?;
    let meta = metadata::of(store, FINDING_KIND, finding.id.0).await?;
    let meta = meta.iter().map(metadata::pair).collect();
    let files = file_ids(store, finding, packs.of(finding).files.len()).await?;
    let view = FindingView::new(finding, packs.of(finding), clock);
    Ok(view
        .with_group(finding, groups)
        .with_attached(meta, notes, files))
}

/// A finding with all that belongs to it.
async fn detail(api: &Api, finding: &Finding) -> Result<Response> {
    let packs = Packs::load(&api.services.blobs, [finding]).await?;
    let groups = Groups::load(&api.services.store, [finding]).await?;
    let clock = Clock::now(&api.services.store).await?;
    let view = whole(api, finding, &packs, &groups, &clock).await?;
    Ok(Versioned(version(finding), Json(view)).into_response())
}

/// The version of a finding, on which its writes are conditioned.
fn version(finding: &Finding) -> Version {
    Version::of(&finding.version)
}
