//! The keys that stored findings have under other settings, computed from what is stored of them and
//! their long texts. The dedup function's job and the REST API's preview share it.

mod preview;

use std::collections::{BTreeMap, HashMap, HashSet};

use tatami_blobs::{BlobError, Blobs};
use tatami_dedup_rules::{Keys, hash_needs_texts, keys_of_stored};
use tatami_domain::{
    DedupeLevels, DedupeScope, DedupeSettings, Engagement, EngagementId, Finding, ImportId,
    ProductId, ResolvedDedupe, Test, TestId, TestType, TestTypeId, Texts,
};
use tatami_store::{Scope, Store, StoreError};

pub use preview::{Example, MAX_PREVIEWED, Preview, preview};

/// Something that is needed cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RekeyError {
    /// DynamoDB.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// S3.
    #[error(transparent)]
    Blobs(#[from] BlobError),
}

/// Settings of one level as they shall be.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Of which level.
    pub scope: DedupeScope,
    /// Name of its test type, where it's the level of one.
    pub test_type: Option<String>,
    /// Its settings.
    pub settings: DedupeSettings,
    /// What counts for each scan type where no level says anything.
    pub scanners: BTreeMap<String, ResolvedDedupe>,
}

impl Wanted {
    /// What would count for reports of a scan type, or findings made by hand (`None`) in tests of a
    /// type, where the other levels say this.
    pub fn resolve(
        &self,
        levels: &DedupeLevels,
        scan_type: Option<&str>,
        test_type: &str,
    ) -> ResolvedDedupe {
        let mut levels = levels.clone();
        *levels.level(self.scope, self.test_type.as_deref()) = self.settings.clone();
        let base = scan_type.and_then(|name| self.scanners.get(name));
        levels.resolve(base.cloned().unwrap_or_default(), test_type)
    }
}

/// Computes keys, and remembers what it had to look up for that.
#[derive(Debug)]
pub struct Rekey<'a> {
    store: &'a Store,
    blobs: &'a Blobs,
    wanted: &'a Wanted,
    levels: HashMap<ProductId, DedupeLevels>,
    /// What tests count as when settings are looked for: their scan type, else their type's name.
    tests: HashMap<TestId, (Option<String>, String)>,
    types: HashMap<TestTypeId, String>,
    /// Does deduplication stay within the engagement?
    imports: HashMap<ImportId, bool>,
    engagements: HashMap<EngagementId, bool>,
}

impl<'a> Rekey<'a> {
    /// Nothing looked up yet.
    pub fn new(store: &'a Store, blobs: &'a Blobs, wanted: &'a Wanted) -> Self {
        Self {
            store,
            blobs,
            wanted,
            levels: HashMap::new(),
            tests: HashMap::new(),
            types: HashMap::new(),
            imports: HashMap::new(),
            engagements: HashMap::new(),
        }
    }

    /// Looks up what the keys of these findings depend on.
    pub async fn prepare<'f>(
        &mut self,
        findings: impl Iterator<Item = &'f Finding> + Clone,
    ) -> Result<(), RekeyError> {
        let products: HashSet<ProductId> = findings.clone().map(|f| f.product).collect();
        for product in products {
            if !self.levels.contains_key(&product) {
                let levels = self.store.dedupe_levels(product).await?;
                self.levels.insert(product, levels);
            }
        }
        let types: HashSet<TestTypeId> = (findings.clone().map(|f| f.test_type))
            .filter(|id| !self.types.contains_key(id))
            .collect();
        for kind in self.store.get_all::<TestType>(types).await? {
            self.types.insert(kind.id, kind.name);
        }
        let tests: HashSet<TestId> = (findings.clone().map(|f| f.test))
            .filter(|id| !self.tests.contains_key(id))
            .collect();
        for test in self.store.get_all::<Test>(tests).await? {
            let kind = self.types.get(&test.test_type).cloned();
            let name = test.scan_type.clone().or(kind).unwrap_or_default();
            self.tests.insert(test.id, (test.scan_type, name));
        }
        let imports: HashSet<ImportId> = (findings.clone().filter_map(|f| f.import))
            .filter(|id| !self.imports.contains_key(id))
            .collect();
        for id in imports {
            let within = match self.store.import(id).await {
                Ok(import) => import.engagement_scope,
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(error.into()),
            };
            self.imports.insert(id, within);
        }
        let engagements: HashSet<EngagementId> = (findings.map(|f| f.engagement))
            .filter(|id| !self.engagements.contains_key(id))
            .collect();
        for engagement in self.store.get_all::<Engagement>(engagements).await? {
            let within = engagement.deduplication_on_engagement;
            self.engagements.insert(engagement.id, within);
        }
        Ok(())
    }

    /// Are its keys affected by the settings? Only for findings that were prepared, as all below.
    pub fn is_affected(&self, finding: &Finding) -> bool {
        match self.wanted.scope {
            DedupeScope::System => true,
            DedupeScope::Product(id) => finding.product == id,
            DedupeScope::TestType(_) => {
                let name = self.test_of(finding).1;
                let wanted = self.wanted.test_type.as_deref().unwrap_or_default();
                name.eq_ignore_ascii_case(wanted)
            }
        }
    }

    /// What counts for it.
    pub fn settings(&self, finding: &Finding) -> ResolvedDedupe {
        let (scan_type, name) = self.test_of(finding);
        // without an import it was made by hand
        let scan_type = scan_type.filter(|_| finding.import.is_some());
        let levels = self
            .levels
            .get(&finding.product)
            .cloned()
            .unwrap_or_default();
        self.wanted.resolve(&levels, scan_type, name)
    }

    fn test_of(&self, finding: &Finding) -> (Option<&str>, &str) {
        match self.tests.get(&finding.test) {
            Some((scan_type, name)) => (scan_type.as_deref(), name),
            None => (None, ""),
        }
    }

    /// Within what it is compared.
    pub fn scope(&self, finding: &Finding) -> Scope {
        let of_import = finding.import.and_then(|id| self.imports.get(&id));
        let within = of_import.or_else(|| self.engagements.get(&finding.engagement));
        match within {
            Some(true) => Scope::Engagement(finding.engagement),
            _ => Scope::Product(finding.product),
        }
    }

    /// Its keys.
    pub async fn keys(&self, finding: &Finding) -> Result<Keys, RekeyError> {
        let settings = self.settings(finding);
        let texts = match &finding.texts {
            Some(at) if hash_needs_texts(finding, &settings) => self.blobs.texts(at).await?,
            _ => Texts::default(),
        };
        Ok(keys_of_stored(finding, &texts, &settings))
    }
}
