//! Removes a branch of the product tree that was deleted.
//!
//! From the top down everything is first taken out of the catalog, so that nothing new comes below it,
//! and then removed from the bottom up; what is below it stays known to the last by the links from
//! parents to children. So there is nothing to note down: whoever begins again finds what is left.
//!
//! An import that is under way meanwhile is told (`fail_deleted`). Its messages still come: whoever
//! handles one looks for the test before and after, and where it isn't there removes what it has
//! written itself ([`lost`]).

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Instant;

use futures::future::BoxFuture;
use futures::{StreamExt as _, TryStreamExt as _};
use tatami_domain::{
    AttachmentId, Branch, Engagement, EngagementId, Finding, FindingGroup, FindingId, Import,
    ImportId, JiraIssue, JiraIssueId, JiraObject, Membership, Owner, Product, ProductId,
    ProductType, RiskAcceptance, RiskAcceptanceId, Test, TestId,
};
use tatami_duplicates::{DuplicateError, Duplicates, remove_below};
use tatami_queue::{Outgoing, SlaMessage};
use tatami_runtime::Services;
use tatami_store::{
    Change, Commit, Committed, Entity as _, FILE_KIND, ImportLine, Scope, Sight, Store, StoreError,
    kind_of,
};

use crate::DedupError;

/// How many findings are removed together.
const SOME: usize = 256;
/// So many things are removed side by side.
const PARALLEL: usize = 8;
/// So many findings go in one transaction, beside what each has.
const TOGETHER: usize = Commit::MAX_ITEMS - 3;
/// How often findings are looked at again that others change.
const TRIES: u32 = 20;

/// Goes on removing a branch. Says how many findings are left; `None` when all of it is gone.
pub async fn step(
    services: &Services,
    branch: Branch,
    until: Instant,
) -> Result<Option<u64>, DedupError> {
    let store = &services.store;
    // the request has done it, unless it was stopped
    store.begin_deletion(branch).await?;
    let imports = store.imports_in(branch).await?;
    for import in imports.iter().filter(|import| !import.state.is_final()) {
        store
            .fail_deleted(import.id, &branch.kind().replace('_', " "))
            .await?;
    }
    let mut remover = Remover {
        services,
        imports: &imports,
        until: Some(until),
    };
    let above = match branch {
        Branch::ProductType(_) | Branch::Product(_) => Above::default(),
        Branch::Engagement(product, _) => Above {
            product: Some(product),
            ..Above::default()
        },
        Branch::Test(product, engagement, _) => Above {
            product: Some(product),
            engagement: Some(engagement),
            ..Above::default()
        },
    };
    if !Box::pin(remover.remove(kind_of(branch), branch.id(), above)).await? {
        return Ok(Some(store.findings_below(branch).await?));
    }
    if let (Some(product), false) = (branch.product(), matches!(branch, Branch::Product(_))) {
        let body = tatami_queue::write(&SlaMessage::Product { product })?;
        services.sla.send([Outgoing { body, import: None }]).await?;
        forget_issues(store, product).await?;
    }
    store.end_deletion(branch).await?;
    Ok(None)
}

/// Removes what an import has written into a test that isn't there any more, if it isn't. Whoever writes
/// for an import calls it before, and once more after it has written. Says whether the test is gone.
pub async fn lost(services: &Services, import: &Import) -> Result<bool, DedupError> {
    let store = &services.store;
    let gone = match import.test {
        Some(test) => !store.exists(Test::KIND, test.0).await?,
        None => import.deleted,
    };
    if !gone {
        return Ok(import.deleted); // the job comes to its test yet
    }
    store.fail_deleted(import.id, Test::WORD).await?;
    let mut remover = Remover {
        services,
        imports: &[],
        until: None,
    };
    if let (Some(product), Some(engagement), Some(test)) =
        (import.product, import.engagement, import.test)
    {
        // what was written after the test's own list of blocks was removed
        let written = store.chunk_actions_before(import.id, u64::MAX).await?;
        let blocks: BTreeSet<_> = written.created.iter().map(FindingId::block).collect();
        let blocks: Vec<_> = blocks.into_iter().collect();
        store.add_test_blocks(test, &blocks).await?;
        let product_gone = !store.exists(Product::KIND, product.0).await?;
        let above = Above {
            product: Some(product),
            engagement: Some(engagement),
            product_gone,
            engagement_gone: product_gone || !store.exists(Engagement::KIND, engagement.0).await?,
        };
        Box::pin(remover.remove(Test::KIND, test.0, above)).await?;
        if product_gone {
            store.forget_product(product).await?;
        } else {
            forget_issues(store, product).await?;
        }
    }
    remover.forget_parts(import).await?;
    let told = match store.import(import.id).await {
        Err(error) if error.is_not_found() => false,
        import => import?.deleted,
    };
    if !told {
        store.forget_import(import).await?;
    }
    tracing::info!(import = %import.id, "what an import goes into was deleted");
    Ok(true)
}

/// Forgets those issues in JIRA of a product that are nobody's any more. Boxed here, since what waits for it lies
/// deep already.
fn forget_issues(store: &Store, product: ProductId) -> BoxFuture<'_, Result<(), DedupError>> {
    Box::pin(forget_all_issues(store, product))
}

async fn forget_all_issues(store: &Store, product: ProductId) -> Result<(), DedupError> {
    let issues = store.jira_issues_of(product).await?;
    if issues.is_empty() {
        return Ok(());
    }
    // that of a finding may be the one of another in its place
    let mut held: HashSet<JiraIssueId> = HashSet::new();
    let see = |finding: &Arc<Finding>| held.extend(finding.jira.issue);
    store.sweep(Sight::Products(&[product]), see).await?;
    for issue in issues {
        let is_there = match issue.object {
            JiraObject::Finding(_) if held.contains(&issue.id) => true,
            JiraObject::Finding(finding) => !store.findings([finding]).await?.is_empty(),
            JiraObject::FindingGroup(group) => store.exists(FindingGroup::KIND, group.0).await?,
            JiraObject::Engagement(id) => store.exists(Engagement::KIND, id.0).await?,
        };
        if !is_there {
            store.forget_jira_issue(issue.id).await?;
        }
    }
    Ok(())
}

/// Was the test of an import deleted, or what it's in? What was written into a test that is gone is removed;
/// where it's still there the import fails, and the job comes to the test and to what is in it.
pub async fn lost_place(services: &Services, import: &Import) -> Result<bool, DedupError> {
    let missing = services.store.missing_places(import).await?;
    if missing.contains(&Test::WORD) {
        return lost(services, import).await;
    }
    if let Some(word) = missing.first() {
        services.store.fail_deleted(import.id, word).await?;
    }
    Ok(!missing.is_empty())
}

/// What is known of where something is.
#[derive(Debug, Clone, Copy, Default)]
struct Above {
    product: Option<ProductId>,
    engagement: Option<EngagementId>,
    product_gone: bool,
    engagement_gone: bool,
}

struct Remover<'a> {
    services: &'a Services,
    /// The imports of the branch.
    imports: &'a [ImportLine],
    /// When another step has to go on.
    until: Option<Instant>,
}

impl Remover<'_> {
    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Removes something with all below it; `false` where the time was too short.
    async fn remove(&mut self, kind: &str, id: u64, above: Above) -> Result<bool, DedupError> {
        let store = &self.services.store;
        store.cut(kind, id).await?;
        let mut here = above;
        match kind {
            Product::KIND => {
                here.product = Some(ProductId(id));
                here.product_gone = true;
                here.engagement_gone = true;
            }
            Engagement::KIND => {
                here.engagement = Some(EngagementId(id));
                here.engagement_gone = true;
            }
            JiraIssue::KIND => self.forget_comments(JiraIssueId(id)).await?,
            Test::KIND if !Box::pin(self.empty(TestId(id), here)).await? => return Ok(false),
            FILE_KIND => {
                let blobs = &self.services.blobs;
                blobs.remove_attachment(AttachmentId(id)).await?;
            }
            _ => {}
        }
        for (child_kind, child) in store.below(kind, id).await? {
            if !Box::pin(self.remove(&child_kind, child, here)).await? {
                return Ok(false);
            }
            store.unlink(kind, id, &child_kind, child).await?;
            if self.is_over() {
                return Ok(false);
            }
        }
        match kind {
            ProductType::KIND => {
                self.forget_members(|member| member.product_type.is_some_and(|own| own.0 == id))
                    .await?;
            }
            Product::KIND => {
                self.forget_imports(|import| import.product.is_some_and(|own| own.0 == id))
                    .await?;
                self.forget_members(|member| member.product.is_some_and(|own| own.0 == id))
                    .await?;
                store.forget_product(ProductId(id)).await?;
            }
            Engagement::KIND => {
                self.forget_imports(|import| import.engagement.is_some_and(|own| own.0 == id))
                    .await?;
                self.forget_members(|member| member.engagement.is_some_and(|own| own.0 == id))
                    .await?;
                store
                    .forget_notes(Owner::Engagement(EngagementId(id)))
                    .await?;
            }
            RiskAcceptance::KIND => {
                let acceptance = RiskAcceptanceId(id);
                store
                    .forget_notes(Owner::RiskAcceptance(acceptance))
                    .await?;
            }
            Test::KIND => {
                self.forget_imports(|import| import.test.is_some_and(|own| own.0 == id))
                    .await?;
                if let Some(product) = here.product {
                    store.forget_test(product, TestId(id)).await?;
                }
            }
            _ => {}
        }
        Ok(true)
    }

    fn forget_comments(&self, issue: JiraIssueId) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.services.store.forget_jira_comments(issue))
    }

    /// Removes the findings of a test, and then its imports: how findings are compared, their import
    /// says.
    async fn empty(&mut self, test: TestId, at: Above) -> Result<bool, DedupError> {
        let store = &self.services.store;
        for block in store.test_blocks(test).await? {
            let mut findings = store.findings_in(&[block]).await?;
            findings.retain(|finding| finding.test == test);
            for some in findings.chunks(SOME) {
                if self.is_over() {
                    return Ok(false);
                }
                Box::pin(self.remove_findings(some, at)).await?;
            }
        }
        for import in store.imports_of(test).await? {
            if self.is_over() {
                return Ok(false);
            }
            self.forget(import.id).await?;
        }
        Ok(true)
    }

    /// Removes findings of one test. Their claims go first where nothing else is left that they are
    /// compared with: only the findings tell which claims there are.
    async fn remove_findings(&self, findings: &[Finding], at: Above) -> Result<(), DedupError> {
        let store = &self.services.store;
        let parts: Vec<_> = (findings.iter())
            .map(|finding| self.remove_parts(finding, at))
            .collect();
        let parts = futures::stream::iter(parts).buffer_unordered(PARALLEL);
        parts.try_collect::<Vec<()>>().await?;
        let keys = || findings.iter().flat_map(|f| &f.keys).map(String::as_str);
        if let (true, Some(engagement)) = (at.engagement_gone, at.engagement) {
            store
                .forget_claims(Scope::Engagement(engagement), keys())
                .await?;
        }
        if let (true, Some(product)) = (at.product_gone, at.product) {
            // nothing outside can be a duplicate of them
            store.forget_claims(Scope::Product(product), keys()).await?;
            self.remove_at_once(product, findings).await?;
        } else {
            let duplicates = Duplicates::new(store, None);
            let ids = findings.iter().map(|finding| finding.id);
            Box::pin(duplicates.delete_all(ids)).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Removes what lies below a finding, its own texts, and the notes where these don't go with it.
    async fn remove_parts(&self, finding: &Finding, at: Above) -> Result<(), DedupError> {
        let Services { store, blobs, .. } = self.services;
        if at.product_gone {
            store.forget_notes(finding.id).await?;
        }
        remove_below(store, blobs, finding).await.map_err(failed)
    }

    async fn remove_at_once(
        &self,
        product: ProductId,
        findings: &[Finding],
    ) -> Result<(), DedupError> {
        let store = &self.services.store;
        for some in findings.chunks(TOGETHER) {
            let mut some = some.to_vec();
            let mut attempt = 0;
            while let Some(first) = some.first() {
                let commit = Commit {
                    product,
                    unique: format!("X{}.{}.{}", first.id, first.version, some.len()),
                    changes: (some.iter())
                        .map(|finding| Change::Delete {
                            old: Box::new(finding.clone()),
                            notes: Vec::new(),
                        })
                        .collect(),
                    claims: Vec::new(),
                    notes: Vec::new(),
                    events: Vec::new(),
                    marker: None,
                };
                if store.commit(&commit).await? == Committed::Yes {
                    break;
                }
                attempt += 1;
                if attempt > TRIES {
                    return Err(StoreError::Contention(format!("finding {}", first.id)).into());
                }
                some = store.findings(some.iter().map(|f| f.id)).await?;
            }
        }
        Ok(())
    }

    /// Removes the imports of the branch that are in a place.
    async fn forget_imports(&self, here: impl Fn(&ImportLine) -> bool) -> Result<(), DedupError> {
        for import in self.imports.iter().filter(|import| here(import)) {
            self.forget(import.id).await?;
        }
        Ok(())
    }

    /// Removes an import with its raw report, and packs; of one that failed since its place was deleted
    /// the record stays and says so.
    async fn forget(&self, import: ImportId) -> Result<(), DedupError> {
        let store = &self.services.store;
        let import = match store.import(import).await {
            Err(error) if error.is_not_found() => return Ok(()),
            other => other?,
        };
        self.forget_parts(&import).await?;
        if !import.deleted {
            store.forget_import(&import).await?;
        }
        Ok(())
    }

    async fn forget_parts(&self, import: &Import) -> Result<(), DedupError> {
        let Services { store, blobs, .. } = self.services;
        blobs.remove_import(import.id).await?;
        if !import.key.is_empty() && !store.shares_report(import).await? {
            blobs.remove(&import.bucket, &import.key).await?;
        }
        store.forget_import_parts(import).await?;
        Ok(())
    }

    async fn forget_members(&self, here: impl Fn(&Membership) -> bool) -> Result<(), DedupError> {
        let store = &self.services.store;
        for member in store.list::<Membership>().await?.iter().filter(|m| here(m)) {
            match store.delete::<Membership>(member.id).await {
                Err(error) if error.is_not_found() => {}
                other => other?,
            }
        }
        Ok(())
    }
}

/// What failed, as this function has it.
pub fn failed(error: DuplicateError) -> DedupError {
    match error {
        DuplicateError::Store(error) => error.into(),
        DuplicateError::Blobs(error) => error.into(),
        other => DedupError::Duplicates(other),
    }
}
