//! What was deleted and is still being removed: nobody who looks through a store that hides it sees
//! it, or anything below it.
//!
//! A deletion takes the top of a branch out of the catalog and marks it as gone, in one transaction.
//! Marks are few, lie in one partition, and stay until nothing of the branch is left.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::Future;
use std::sync::Arc;

use tatami_domain::{
    Attachment, Branch, Engagement, EngagementId, Finding, FindingId, Import, ImportState, Product,
    ProductId, ProductType, ProductTypeId, RiskAcceptance, SeverityCounts, Test, TestId,
};
use tokio::sync::OnceCell;

use crate::db::{Table, key_of, read_document, text_of};
use crate::{Entity, FINDING_KIND, ImportLine, Result, Store, keys};

tokio::task_local! {
    static LOOK: Arc<OnceCell<Arc<Gone>>>;
}

/// Within this, what is gone is read once: for a request, to which one moment is now.
pub async fn one_look<F: Future>(work: F) -> F::Output {
    LOOK.scope(Arc::default(), work).await
}

/// What is gone.
#[derive(Debug, Default)]
pub(crate) struct Gone {
    product_types: HashSet<ProductTypeId>,
    /// Those of the types too.
    products: HashSet<ProductId>,
    engagements: HashSet<EngagementId>,
    tests: HashSet<TestId>,
    /// The tests that are gone of products that are not.
    tests_of: BTreeMap<ProductId, HashSet<TestId>>,
}

impl Gone {
    pub fn is_empty(&self) -> bool {
        self.product_types.is_empty()
            && self.products.is_empty()
            && self.engagements.is_empty()
            && self.tests.is_empty()
    }

    pub fn product(&self, id: ProductId) -> bool {
        self.products.contains(&id)
    }

    pub fn finding(&self, finding: &Finding) -> bool {
        self.within(
            Some(finding.product),
            Some(finding.engagement),
            Some(finding.test),
        )
    }

    /// Those who sent it are told how an import ended that was under way.
    pub fn import(&self, import: &Import) -> bool {
        import.state == ImportState::Done
            && self.within(import.product, import.engagement, import.test)
    }

    pub fn line(&self, line: &ImportLine) -> bool {
        line.state == ImportState::Done && self.within(line.product, line.engagement, line.test)
    }

    /// The tests that are gone of a product that is not.
    pub fn tests_of(&self, product: ProductId) -> Option<&HashSet<TestId>> {
        self.tests_of.get(&product)
    }

    fn within(
        &self,
        product: Option<ProductId>,
        engagement: Option<EngagementId>,
        test: Option<TestId>,
    ) -> bool {
        product.is_some_and(|id| self.products.contains(&id))
            || engagement.is_some_and(|id| self.engagements.contains(&id))
            || test.is_some_and(|id| self.tests.contains(&id))
    }

    fn has(&self, kind: &str, id: u64) -> bool {
        match kind {
            ProductType::KIND => self.product_types.contains(&ProductTypeId(id)),
            Product::KIND => self.products.contains(&ProductId(id)),
            Engagement::KIND => self.engagements.contains(&EngagementId(id)),
            Test::KIND => self.tests.contains(&TestId(id)),
            _ => false,
        }
    }
}

/// Is it something that can be gone, or be in something that is?
fn in_tree(kind: &str) -> bool {
    matches!(
        kind,
        ProductType::KIND | Product::KIND | Engagement::KIND | Test::KIND | FINDING_KIND
    )
}

impl Store {
    /// The same store, for those who don't see what was deleted and is still being removed.
    #[must_use]
    pub fn hiding_deleted(mut self) -> Self {
        self.hides = true;
        self
    }

    /// What is gone; nothing in a store that hides nothing.
    pub(crate) async fn gone(&self) -> Result<Arc<Gone>> {
        if !self.hides {
            return Ok(Arc::default());
        }
        match LOOK.try_with(Arc::clone) {
            Ok(look) => {
                let read = look.get_or_try_init(|| async { self.read_gone().await.map(Arc::new) });
                read.await.cloned()
            }
            Err(_) => Ok(Arc::new(self.read_gone().await?)),
        }
    }

    async fn read_gone(&self) -> Result<Gone> {
        let mut gone = Gone::default();
        let mut engagements = Vec::new();
        for item in self.db.query(Table::Catalog, keys::GONE, None).await? {
            match read_document(&item)? {
                Branch::ProductType(id) => {
                    gone.product_types.insert(id);
                    let products = self.below(ProductType::KIND, id.0).await?;
                    let products = products.iter().filter(|(kind, _)| kind == Product::KIND);
                    gone.products.extend(products.map(|(_, id)| ProductId(*id)));
                }
                Branch::Product(id) => {
                    gone.products.insert(id);
                }
                Branch::Engagement(product, id) => {
                    gone.engagements.insert(id);
                    engagements.push((product, id));
                }
                Branch::Test(product, _, id) => {
                    gone.tests.insert(id);
                    gone.tests_of.entry(product).or_default().insert(id);
                }
            }
        }
        for (product, engagement) in engagements {
            let tests = self.below(Engagement::KIND, engagement.0).await?;
            let tests = tests.iter().filter(|(kind, _)| kind == Test::KIND);
            let of_product = gone.tests_of.entry(product).or_default();
            of_product.extend(tests.map(|(_, id)| TestId(*id)));
        }
        let products = &gone.products;
        gone.tests_of
            .retain(|product, _| !products.contains(product));
        Ok(gone)
    }

    /// Leaves out what is gone, and what is in something that is.
    pub(crate) async fn hide<T: Entity>(&self, mut entities: Vec<T>) -> Result<Vec<T>> {
        let in_any = |entity: &T| entity.lies_in().iter().any(|(kind, _)| in_tree(kind));
        if !self.hides || !(in_tree(T::KIND) || entities.iter().any(in_any)) {
            return Ok(entities);
        }
        let gone = self.gone().await?;
        if gone.is_empty() {
            return Ok(entities);
        }
        let mut unknown: HashSet<(&'static str, u64)> = HashSet::new();
        for place in entities.iter().filter_map(|entity| unplaced(entity)) {
            unknown.insert(place);
        }
        let there = self.there(unknown, &gone).await?;
        entities.retain(|entity| {
            let own = gone.has(T::KIND, entity.id().into());
            let places = entity.lies_in();
            let above = places.iter().any(|(kind, id)| gone.has(kind, *id));
            let through = unplaced(entity).is_some_and(|place| !there.contains(&place));
            !(own || above || through)
        });
        Ok(entities)
    }

    /// Those of some places that are there and in nothing that is gone.
    pub(crate) async fn there(
        &self,
        places: HashSet<(&'static str, u64)>,
        gone: &Gone,
    ) -> Result<HashSet<(&'static str, u64)>> {
        let mut by_kind: HashMap<&'static str, Vec<u64>> = HashMap::new();
        for (kind, id) in places {
            by_kind.entry(kind).or_default().push(id);
        }
        let mut found = HashSet::new();
        for (kind, ids) in by_kind {
            match kind {
                FINDING_KIND => {
                    let findings = self.findings(ids.into_iter().map(FindingId)).await?;
                    found.extend(findings.iter().map(|finding| (kind, finding.id.0)));
                }
                Test::KIND => {
                    let tests: Vec<Test> = self.read_all(ids).await?;
                    let there = tests
                        .iter()
                        .filter(|t| !gone.within(Some(t.product), Some(t.engagement), Some(t.id)));
                    found.extend(there.map(|test| (kind, test.id.0)));
                }
                RiskAcceptance::KIND => {
                    let acceptances: Vec<RiskAcceptance> = self.read_all(ids).await?;
                    let there = acceptances.iter().filter(|a| !gone.product(a.product));
                    found.extend(there.map(|acceptance| (kind, acceptance.id.0)));
                }
                _ => {
                    let engagements: Vec<Engagement> = self.read_all(ids).await?;
                    let there = engagements
                        .iter()
                        .filter(|e| !gone.within(Some(e.product), Some(e.id), None));
                    found.extend(there.map(|engagement| (kind, engagement.id.0)));
                }
            }
        }
        Ok(found)
    }

    /// Counts of a product without those of its tests that are gone.
    pub(crate) async fn without_gone(
        &self,
        product: ProductId,
        gone: &Gone,
        counts: &SeverityCounts,
    ) -> Result<SeverityCounts> {
        match gone.tests_of(product) {
            None => Ok(*counts),
            Some(tests) => self.counts_without(product, tests).await,
        }
    }

    /// What lies directly below something of the catalog, as kinds and ids: the one place that says what
    /// goes with it. Every entity lies below its parent; what a deletion has to remove besides stands in
    /// the dedup function (`delete.rs`).
    pub async fn below(&self, kind: &str, id: u64) -> Result<Vec<(String, u64)>> {
        let pk = keys::children(kind, id);
        let items = self.db.query(Table::Catalog, &pk, None).await?;
        let child = |sk: &str| keys::child_of(sk).map(|(kind, id)| (kind.to_owned(), id));
        let mut below: Vec<(String, u64)> = items
            .iter()
            .filter_map(|item| child(text_of(item, "sk")?))
            .collect();
        if kind == ProductType::KIND {
            // before version 0.3 a product that moved stayed below its old type too
            let ids = below.iter().map(|(_, id)| *id).collect();
            let mut moved: Vec<Product> = self.read_all(ids).await?;
            moved.retain(|product| product.prod_type.0 != id);
            below.retain(|(_, id)| moved.iter().all(|product| product.id.0 != *id));
        }
        Ok(below)
    }
}

/// Something that lies below something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Below {
    /// How keys name its kind.
    pub kind: String,
    /// Its id.
    pub id: u64,
    /// What it's called.
    pub name: String,
}

impl Store {
    /// What lies directly below something and is there, with what it is called.
    pub async fn named_below(&self, kind: &str, id: u64) -> Result<Vec<Below>> {
        let below = self.below(kind, id).await?;
        let wanted = below.iter().map(|(kind, id)| keys::entity(kind, *id));
        let items = self.db.get_many(Table::Catalog, wanted.collect()).await?;
        let mut by_key: HashMap<keys::Key, String> = HashMap::new();
        for item in &items {
            let document: serde_json::Value = read_document(item)?;
            let mut own = ["name", "title", "file_name", "jira_key", "project_key"].into_iter();
            let name = own.find_map(|field| document[field].as_str());
            by_key.insert(key_of(item), name.unwrap_or_default().to_owned());
        }
        let named = |(kind, id): (String, u64)| {
            let name = by_key.remove(&keys::entity(&kind, id))?;
            Some(Below { kind, id, name })
        };
        Ok(below.into_iter().filter_map(named).collect())
    }
}

/// What an entity is in, where it doesn't say of which product that is.
fn unplaced<T: Entity>(entity: &T) -> Option<(&'static str, u64)> {
    let places = entity.lies_in();
    let told = |(kind, _): &(&str, u64)| matches!(*kind, Product::KIND | ProductType::KIND);
    if places.iter().any(told) {
        return None;
    }
    places
        .into_iter()
        .find(|(kind, _)| matches!(*kind, Engagement::KIND | Test::KIND | FINDING_KIND))
}

/// The name of a file, for whoever looks for its bytes.
pub const FILE_KIND: &str = Attachment::KIND;
