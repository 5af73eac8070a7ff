//! Taking branches of the product tree away, from the top down: nothing is made below what is gone, so
//! that what is found below it then is all there is.

use tatami_domain::{
    Branch, Engagement, Import, ImportError, ImportId, ImportState, Owner, Product, ProductId,
    ProductType, Test, TestId,
};

use crate::catalog::{HELD, TRIES, folded, pause, word_of};
use crate::db::{
    Item, PRESENT, Table, Transacted, document, key_of, number, number_of, read_document, text,
    text_of,
};
use crate::keys::Key;
use crate::{Entity, ImportLine, Result, Store, StoreError, audit, keys};

/// How keys name the kind of a branch's top.
pub fn kind_of(branch: Branch) -> &'static str {
    match branch {
        Branch::ProductType(_) => ProductType::KIND,
        Branch::Product(_) => Product::KIND,
        Branch::Engagement(..) => Engagement::KIND,
        Branch::Test(..) => Test::KIND,
    }
}

/// What the top of a branch is below.
fn parent_of(kind: &str, item: &Item) -> Result<Option<(&'static str, u64)>> {
    let document: serde_json::Value = read_document(item)?;
    let (parent, field) = match kind {
        Product::KIND => (ProductType::KIND, "prod_type"),
        Engagement::KIND => (Product::KIND, "product"),
        Test::KIND => (Engagement::KIND, "engagement"),
        _ => return Ok(None),
    };
    Ok(document[field].as_u64().map(|id| (parent, id)))
}

impl Store {
    /// Takes the top of a branch out of the catalog, with its name, and marks the branch as gone: from
    /// then on nobody sees anything of it. Says whether it was there.
    pub async fn begin_deletion(&self, branch: Branch) -> Result<bool> {
        let key = keys::gone(kind_of(branch), branch.id());
        let mark = document(&key, &branch)?;
        self.take_out(kind_of(branch), branch.id(), Some(mark))
            .await
    }

    /// Nothing of a branch is left.
    pub async fn end_deletion(&self, branch: Branch) -> Result<()> {
        let key = keys::gone(kind_of(branch), branch.id());
        self.db.delete(Table::Catalog, &key).await
    }

    /// Takes something out of the catalog with its name. What lies below it is left, and so is its
    /// place below its parent. Says whether it was there.
    pub async fn cut(&self, kind: &str, id: u64) -> Result<bool> {
        self.take_out(kind, id, None).await
    }

    async fn take_out(&self, kind: &str, id: u64, mark: Option<Item>) -> Result<bool> {
        let key = keys::entity(kind, id);
        for attempt in 0..TRIES {
            pause(attempt).await;
            let Some(item) = self.db.get(Table::Catalog, &key).await? else {
                return Ok(false);
            };
            let unchanged = vec![(":d", item.get("d").cloned().unwrap_or_else(|| text("")))];
            let mut items = vec![(self.db).delete_in(Table::Catalog, &key, "d = :d", unchanged)?];
            if let Some(name) = self.name_held(kind, id, &item).await? {
                let own = vec![(":id", number(id))];
                items.push((self.db).delete_in(Table::Catalog, &name, "id = :id", own)?);
            }
            if let Some(mark) = &mark {
                items.push((self.db).put_in(Table::Catalog, mark.clone(), None, vec![])?);
                if let Some((parent_kind, parent)) = parent_of(kind, &item)? {
                    let link = keys::child(parent_kind, parent, kind, id);
                    items.push((self.db).delete_in(Table::Catalog, &link, PRESENT, vec![])?);
                }
            }
            if self.db.transact(items).await? == Transacted::Done {
                let word = match word_of(kind) {
                    "parent" => kind.to_lowercase(),
                    word => word.to_owned(),
                };
                audit::note(&word, id, Some(read_document(&item)?), None);
                return Ok(true);
            }
        }
        Err(StoreError::Contention(format!("{kind} {id}")))
    }

    /// The name that something holds. Before version 0.3 it wasn't said on the item.
    async fn name_held(&self, kind: &str, id: u64, item: &Item) -> Result<Option<Key>> {
        let key = if let Some(pk) = text_of(item, HELD) {
            keys::name_at(pk)
        } else {
            let document: serde_json::Value = read_document(item)?;
            let Some(name) = document["name"].as_str() else {
                return Ok(None);
            };
            keys::name(kind, 0, &folded(name))
        };
        let held = self.db.get(Table::Catalog, &key).await?;
        let held = held.and_then(|item| number_of(&item, "id"));
        Ok((held == Some(id)).then_some(key))
    }

    /// Takes something from below its parent.
    pub async fn unlink(&self, parent_kind: &str, parent: u64, kind: &str, id: u64) -> Result<()> {
        let key = keys::child(parent_kind, parent, kind, id);
        self.db.delete(Table::Catalog, &key).await
    }

    /// Removes all notes of something.
    pub async fn forget_notes(&self, of: impl Into<Owner>) -> Result<()> {
        let pk = keys::notes(of.into());
        let notes = self.db.query(Table::Findings, &pk, None).await?;
        let gone = notes.iter().map(key_of).collect();
        self.db.delete_all(Table::Findings, gone).await
    }

    /// Removes the claims of some keys in a scope of which nothing is left.
    pub async fn forget_claims<'k>(
        &self,
        scope: crate::Scope,
        dedupe_keys: impl IntoIterator<Item = &'k str>,
    ) -> Result<()> {
        let gone = dedupe_keys.into_iter().map(|key| keys::claim(scope, key));
        self.db.delete_all(Table::Findings, gone.collect()).await
    }

    /// Removes what a test has besides findings, imports and what lies below it.
    pub async fn forget_test(&self, product: ProductId, test: TestId) -> Result<()> {
        self.forget_test_counts(product, test).await?;
        self.forget_notes(Owner::Test(test)).await?;
        let pk = keys::imports_of_test(test);
        let places = self.db.query(Table::Jobs, &pk, None).await?;
        let places = places.iter().map(key_of).collect();
        self.db.delete_all(Table::Jobs, places).await?;
        self.db
            .delete(Table::Catalog, &keys::test_state(test))
            .await
    }

    /// How many findings a branch has.
    pub async fn findings_below(&self, branch: Branch) -> Result<u64> {
        let mut sum = 0;
        match branch {
            Branch::ProductType(id) => {
                for (kind, id) in self.below(ProductType::KIND, id.0).await? {
                    if kind == Product::KIND {
                        sum += self.product_counts(ProductId(id)).await?.total().total;
                    }
                }
            }
            Branch::Product(id) => sum = self.product_counts(id).await?.total().total,
            Branch::Engagement(product, id) => {
                for (kind, id) in self.below(Engagement::KIND, id.0).await? {
                    if kind == Test::KIND {
                        let counts = self.test_counts(product, TestId(id)).await?;
                        sum += counts.total().total;
                    }
                }
            }
            Branch::Test(product, _, id) => {
                sum = self.test_counts(product, id).await?.total().total;
            }
        }
        Ok(u64::try_from(sum).unwrap_or(0))
    }

    /// The imports of a branch, those too that never took a place in a test.
    pub async fn imports_in(&self, branch: Branch) -> Result<Vec<ImportLine>> {
        let products = match branch {
            Branch::ProductType(id) => self.below(ProductType::KIND, id.0).await?,
            _ => Vec::new(),
        };
        let within = |line: &ImportLine| match branch {
            Branch::ProductType(_) => line.product.is_some_and(|id| {
                let mut products = products.iter();
                products.any(|(kind, own)| kind == Product::KIND && *own == id.0)
            }),
            Branch::Product(id) => line.product == Some(id),
            Branch::Engagement(_, id) => line.engagement == Some(id),
            Branch::Test(_, _, id) => line.test == Some(id),
        };
        let mut lines = self.import_lines().await?;
        lines.retain(within);
        Ok(lines)
    }

    /// Of the product, the engagement and the test of an import, those that aren't there any more, topmost
    /// first and as messages name them. A test that the import makes has its id before it's there.
    pub async fn missing_places(&self, import: &Import) -> Result<Vec<&'static str>> {
        let made = import.sequence > 0 || import.options.test.is_some();
        let test = import.test.filter(|_| made);
        let places: Vec<(Key, &str)> = [
            (Product::KIND, Product::WORD, import.product.map(u64::from)),
            (
                Engagement::KIND,
                Engagement::WORD,
                import.engagement.map(u64::from),
            ),
            (Test::KIND, Test::WORD, test.map(u64::from)),
        ]
        .into_iter()
        .filter_map(|(kind, word, id)| Some((keys::entity(kind, id?), word)))
        .collect();
        let keys = places.iter().map(|(key, _)| key.clone()).collect();
        let items = self.db.get_many(Table::Catalog, keys).await?;
        let there: Vec<Key> = items.iter().map(key_of).collect();
        let missing = places.into_iter().filter(|(key, _)| !there.contains(key));
        Ok(missing.map(|(_, word)| word).collect())
    }

    /// Lets an import fail whose place was deleted before it was in; it keeps saying where that was. One
    /// that has ended isn't changed.
    pub async fn fail_deleted(&self, import: ImportId, what: &str) -> Result<()> {
        let mut import = match self.import(import).await {
            Err(error) if error.is_not_found() => return Ok(()),
            other => other?,
        };
        import.state = ImportState::Failed;
        import.deleted = true;
        import.finished = Some(jiff::Timestamp::now());
        import.error = Some(ImportError::deleted(what));
        self.save_import(&import).await.map(drop)
    }

    /// Removes what an import has besides its record: its parts and what they did, and the events
    /// that it came from.
    pub async fn forget_import_parts(&self, import: &Import) -> Result<()> {
        let own = keys::import(import.id);
        let items = self.db.query(Table::Jobs, &own.pk, None).await?;
        let mut gone: Vec<Key> = items.iter().map(key_of).collect();
        gone.retain(|key| *key != own);
        let events = keys::upload_events(&import.bucket, &import.key);
        for event in self.db.query(Table::Jobs, &events, None).await? {
            if number_of(&event, "import") == Some(import.id.0) {
                gone.push(key_of(&event));
            }
        }
        self.db.delete_all(Table::Jobs, gone).await
    }

    /// Does another import go back to the same raw report?
    pub async fn shares_report(&self, import: &Import) -> Result<bool> {
        let events = keys::upload_events(&import.bucket, &import.key);
        let events = self.db.query(Table::Jobs, &events, None).await?;
        let mut imports = events.iter().filter_map(|event| number_of(event, "import"));
        Ok(imports.any(|other| other != import.id.0))
    }
}
