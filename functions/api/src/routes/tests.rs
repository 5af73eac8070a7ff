//! Tests.

use std::collections::HashMap;

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{
    Branch, Engagement, Event, EventData, FindingGroup, Owner, Product, Test, TestAdded, TestId,
    TestType, TestTypeId, UserId,
};
use tatami_duplicates::title_of_test;
use tatami_store::{Entity as _, Store};

use super::attached;
use super::cascade::{self, Rooted};
use super::catalog::{self, ADDED, Filter, How, Resource};
use super::engagements::join_products;
use super::records::{ApiScanConfiguration, Kept as _, check_configuration};
use crate::auth::Caller;
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Object, Target};
use crate::openapi::Routes;
use crate::query::Query;
use crate::view::group::GroupStub;
use crate::view::jira::Issues;

/// The groups of how many tests are read side by side.
const PARALLEL: usize = 8;

/// Adds their routes.
pub fn add(routes: &mut Routes) {
    catalog::add::<Test>(routes);
    cascade::add::<Test>(routes);
}

impl Resource for Test {
    const PATH: &'static str = "/api/v2/tests";
    const SCHEMA: &'static str = "Test";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("engagement", Kind::Ref(Target::Engagement))
            .required()
            .fixed(),
        Field::answer("product", Kind::Ref(Target::Product)),
        Field::new("test_type", Kind::Ref(Target::TestType)).required(),
        Field::new("target_start", Kind::DateTime).required(),
        Field::new("target_end", Kind::DateTime).required(),
        Field::new("scan_type", Kind::Text(200)).nullable(),
        Field::new("title", Kind::Text(255)).nullable(),
        Field::new("description", Kind::Text(0)).nullable(),
        Field::new("environment", Kind::Ref(Target::Environment)).nullable(),
        Field::new("percent_complete", Kind::Integer(0, 100)),
        Field::new("lead", Kind::Ref(Target::User)).nullable(),
        Field::new("version", Kind::Text(100)).nullable(),
        Field::new("build_id", Kind::Text(150)).nullable(),
        Field::new("commit_hash", Kind::Text(150)).nullable(),
        Field::new("branch_tag", Kind::Text(150)).nullable(),
        Field::new("tags", Kind::Texts),
        Field::answer("created", Kind::DateTime),
        Field::answer("updated", Kind::DateTime),
        Field::answer("test_type_name", Kind::Text(0)),
        Field::answer("deduplication_algorithm", Kind::Text(0)),
        Field::answer("hash_code_fields", Kind::Texts).nullable(),
        Field::new(
            "api_scan_configuration",
            Kind::Ref(Target::Record(ApiScanConfiguration::KIND)),
        )
        .nullable(),
        Field::answer("notes", Kind::Other("Note", true)),
        Field::answer("files", Kind::Other("File", true)),
        Field::answer("finding_groups", Kind::Other("FindingGroupStub", true)),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter::of("id", How::Ids),
        Filter::of("engagement", How::Ids),
        Filter::of("product", How::Ids),
        Filter::of("test_type", How::Ids),
        Filter::of("title", How::Contains),
        Filter::of("scan_type", How::Exact),
        Filter::of("version", How::Exact),
        Filter::of("build_id", How::Exact),
        Filter::of("commit_hash", How::Exact),
        Filter::of("branch_tag", How::Exact),
        Filter::of("environment", How::Ids),
        Filter::of("api_scan_configuration", How::Ids),
        Filter::on("notes", "note__ids", How::Ids),
        Filter::of("lead", How::Ids),
        Filter::of("percent_complete", How::Ids),
        Filter::on("engagement__tags", "engagement__tags", How::AnyTag),
        Filter::on("engagement__tags__and", "engagement__tags", How::AllTags),
        Filter::on("not_engagement__tags", "engagement__tags", How::NoTag),
        Filter::on(
            "engagement__product__tags",
            "engagement__product__tags",
            How::AnyTag,
        ),
        Filter::on(
            "engagement__product__tags__and",
            "engagement__product__tags",
            How::AllTags,
        ),
        Filter::on(
            "not_engagement__product__tags",
            "engagement__product__tags",
            How::NoTag,
        ),
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
    const PARENT: Option<(&'static str, &'static str)> = Some(("engagement", Engagement::KIND));
    const VIEW: Permission = Permission::ViewProducts;
    const ADD: Permission = Permission::EditEngagement;
    const EDIT: Permission = Permission::EditEngagement;

    fn fresh() -> Self {
        Self::default()
    }

    fn place(&self) -> Place {
        Place::from(self)
    }

    fn check(&self, _: Option<&Self>) -> Result<()> {
        if self.target_end < self.target_start {
            return Err(ApiError::field("target_end", "It ends before it starts."));
        }
        Ok(())
    }

    async fn complete(&mut self, store: &Store) -> Result<()> {
        match store.get::<Engagement>(self.engagement).await {
            Ok(engagement) => {
                self.product = engagement.product;
                Ok(())
            }
            Err(error) if error.is_not_found() => Err(ApiError::field(
                "engagement",
                format!(
                    "Invalid pk \"{}\": there is no such object.",
                    self.engagement
                ),
            )),
            Err(error) => Err(error.into()),
        }
    }

    async fn permit(&self, _: &Caller, store: &Store, old: Option<&Self>) -> Result<()> {
        let known = old.and_then(|old| old.api_scan_configuration);
        let new = self.api_scan_configuration.filter(|id| known != Some(*id));
        check_configuration(store, new, self.product).await
    }

    async fn told(&self, store: &Store, by: UserId) -> Result<Option<Event>> {
        let engagement: Engagement = store.get(self.engagement).await?;
        let product: Product = store.get(self.product).await?;
        let test_type: TestType = store.get(self.test_type).await?;
        let data = EventData::TestAdded(TestAdded {
            test: self.id,
            title: title_of_test(store, self).await?,
            test_type: test_type.name,
            engagement: engagement.id,
            engagement_name: engagement.name,
            product_name: product.name,
            by: Some(by),
        });
        let (place, now) = (Some(self.product), Timestamp::now());
        Ok(Some(Event::new(&data, self.id, ADDED, place, now)))
    }

    async fn join(store: &Store, query: &Query, views: &mut [Object]) -> Result<()> {
        let mut noted: HashMap<u64, Vec<u64>> = HashMap::new();
        for id in query.ids("notes")? {
            if let Some(place) = store.note_place(id.into()).await?
                && let Owner::Test(test) = place.owner
            {
                noted.entry(test.0).or_default().push(id);
            }
        }
        for view in views.iter_mut().filter(|_| query.get("notes").is_some()) {
            let id = view["id"].as_u64().unwrap_or_default();
            let ids = noted.remove(&id).unwrap_or_default();
            view.insert("note__ids".into(), json!(ids));
        }
        let asks = |part: &str| query.pairs().any(|(name, _)| name.contains(part));
        if asks("engagement__product__") {
            join_products(store, views, "product", "engagement__product").await?;
        }
        if asks("engagement__tags") {
            let id = |view: &Object| view["engagement"].as_u64().unwrap_or_default().into();
            let engagements: Vec<Engagement> = store.get_all(views.iter().map(id)).await?;
            for view in views {
                let own = engagements.iter().find(|e| e.id == id(view));
                let tags = own.map(|engagement| engagement.tags.as_slice());
                view.insert("engagement__tags".into(), json!(tags.unwrap_or_default()));
            }
        }
        Ok(())
    }

    async fn decorate(store: &Store, views: &mut [Object]) -> Result<()> {
        attached::decorate(store, views, Self::PATH, |id| Owner::Test(id.into())).await?;
        let groups: Vec<_> = (views.iter())
            .map(|view| store.groups_of(TestId(view["id"].as_u64().unwrap_or_default())))
            .collect();
        let groups: Vec<Vec<FindingGroup>> = futures::stream::iter(groups)
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        let issues = groups.iter().flatten().filter_map(|group| group.jira_issue);
        let issues = Issues::load(store, issues).await?;
        for (view, groups) in views.iter_mut().zip(&groups) {
            let stub = |group| GroupStub::new(group, &issues);
            let stubs: Vec<GroupStub<'_>> = groups.iter().map(stub).collect();
            view.insert("finding_groups".into(), json!(stubs));
        }
        let type_id = |view: &Object| TestTypeId(view["test_type"].as_u64().unwrap_or_default());
        let wanted: Vec<TestTypeId> = views.iter().map(type_id).collect();
        let types: Vec<TestType> = store.get_all(wanted).await?;
        for view in views {
            let id = type_id(view);
            let name = types
                .iter()
                .find(|t| t.id == id)
                .map_or("", |t| &t.name)
                .to_owned();
            let scan_type = view["scan_type"].as_str().unwrap_or(&name);
            let dedupe = tatami_scanners::by_scan_type(scan_type).map(|s| s.dedupe);
            let algorithm = dedupe.map_or("legacy", |d| d.algorithm.name());
            let fields = dedupe.filter(|d| !d.fields.is_empty());
            let fields: Option<Vec<&str>> =
                fields.map(|d| d.fields.iter().map(|f| f.name()).collect());
            view.insert("deduplication_algorithm".into(), json!(algorithm));
            view.insert("hash_code_fields".into(), json!(fields));
            view.insert("test_type_name".into(), json!(name));
            if view["environment"] == 0 {
                view.insert("environment".into(), Value::Null);
            }
        }
        Ok(())
    }
}

impl Rooted for Test {
    const DELETE: Permission = Permission::DeleteEngagement;

    fn branch(&self) -> Branch {
        Branch::Test(self.product, self.engagement, self.id)
    }

    fn name(&self) -> String {
        let title = self.title.clone().or_else(|| self.scan_type.clone());
        title.unwrap_or_default()
    }
}
