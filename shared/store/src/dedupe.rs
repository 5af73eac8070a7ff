//! Deduplication settings by level.

use tatami_domain::{DedupeLevel, DedupeLevels, DedupeScope, ProductId};

use crate::db::{
    ABSENT, Item, Table, corrupt, document, number, number_of, read_document, text_of,
};
use crate::{Result, Store, audit, keys};

fn read_level(item: &Item) -> Result<DedupeLevel> {
    let mut level: DedupeLevel = read_document(item)?;
    let (pk, sk) = (text_of(item, "pk"), text_of(item, "sk"));
    let scope = pk.zip(sk).and_then(|(pk, sk)| keys::dedupe_scope(pk, sk));
    level.scope = scope.ok_or_else(|| corrupt(item, "its key is no level"))?;
    level.version = number_of(item, "v").unwrap_or(1);
    Ok(level)
}

/// For the audit log; the system's settings have the id 0 there.
fn note(before: Option<&DedupeLevel>, after: &DedupeLevel) {
    let (object, id) = match after.scope {
        DedupeScope::System => ("deduplication settings", 0),
        DedupeScope::TestType(id) => ("deduplication settings of a test type", id.0),
        DedupeScope::Product(id) => ("deduplication settings of a product", id.0),
    };
    let fields = |level: &DedupeLevel| serde_json::to_value(&level.settings).ok();
    audit::note(object, id, before.and_then(fields), fields(after));
}

impl Store {
    /// The settings of one level; empty ones where nothing was ever set.
    pub async fn dedupe_level(&self, scope: DedupeScope) -> Result<DedupeLevel> {
        match self.db.get(Table::Catalog, &keys::dedupe(scope)).await? {
            Some(item) => read_level(&item),
            None => Ok(DedupeLevel {
                scope,
                ..DedupeLevel::default()
            }),
        }
    }

    /// Every level that was ever set: the system's, test types' and products', by id.
    pub async fn dedupe_level_list(&self) -> Result<Vec<DedupeLevel>> {
        let partitions = keys::DEDUPE_PARTITIONS.map(str::to_owned).to_vec();
        let items = self.db.query_all(Table::Catalog, partitions).await?;
        let mut levels: Vec<DedupeLevel> = items
            .iter()
            .flatten()
            .map(read_level)
            .collect::<Result<_>>()?;
        levels.sort_by_key(|level| level.scope);
        Ok(levels)
    }

    /// Writes a level as it was read and changed; `false` where somebody else was quicker.
    pub async fn put_dedupe_level(&self, level: &DedupeLevel) -> Result<bool> {
        let before = if audit::is_watching() {
            Some(self.dedupe_level(level.scope).await?)
        } else {
            None
        };
        let mut item = document(&keys::dedupe(level.scope), level)?;
        item.insert("v".into(), number(level.version + 1));
        let put = match level.version {
            0 => {
                self.db
                    .put(Table::Catalog, item, Some(ABSENT), vec![])
                    .await
            }
            n => {
                let unchanged = vec![(":v", number(n))];
                self.db
                    .put(Table::Catalog, item, Some("v = :v"), unchanged)
                    .await
            }
        };
        match put {
            Ok(()) => {
                note(before.as_ref(), level);
                Ok(true)
            }
            Err(error) if error.is_condition() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What every level says of a product now.
    pub async fn dedupe_levels(&self, product: ProductId) -> Result<DedupeLevels> {
        let own = self.dedupe_level(DedupeScope::Product(product));
        let common = self
            .db
            .query(Table::Catalog, keys::DEDUPE_PARTITIONS[0], None);
        let (own, common) = tokio::try_join!(own, common)?;
        let mut levels = DedupeLevels {
            product: own.settings,
            ..DedupeLevels::default()
        };
        for item in &common {
            let level = read_level(item)?;
            *levels.level(level.scope, level.test_type.as_deref()) = level.settings;
        }
        Ok(levels)
    }
}
