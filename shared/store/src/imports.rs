use std::collections::BTreeSet;
use std::ops::Range;

use aws_sdk_dynamodb::types::AttributeValue;
use tatami_domain::{Import, ImportActions, ImportId, ImportState, TestId};

use crate::db::{
    ABSENT, Item, Table, Update, corrupt, document, number, number_of, numbers_of, read_document,
    text, text_of, to_json,
};
use crate::keys::Key;
use crate::{Result, Store, StoreError, audit, keys};

/// How often a change is tried again when others change the same import.
const TRIES: usize = 20;

/// How far the parts of an import are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// The parts that are in the store.
    pub done: BTreeSet<u64>,
    /// The numbers of its parts; `None` while the parser is reading.
    pub parts: Option<Range<u64>>,
}

impl Progress {
    /// Is every part in?
    pub fn is_complete(&self) -> bool {
        let all = |parts: &Range<u64>| parts.clone().all(|part| self.done.contains(&part));
        self.parts.as_ref().is_some_and(all)
    }

    fn read(item: &Item) -> Self {
        let first = number_of(item, "from_part").unwrap_or(0);
        Self {
            done: numbers_of(item, "done").into_iter().collect(),
            parts: number_of(item, "parts").map(|parts| first..first + parts),
        }
    }
}

/// An import as it is stored.
pub type ImportRecord = Import;

fn state_name(state: ImportState) -> AttributeValue {
    text(state.name())
}

fn read_import(item: &Item) -> Result<Import> {
    let mut import: Import = read_document(item)?;
    let id = text_of(item, "pk").and_then(|pk| pk.rsplit('#').next()?.parse().ok());
    import.id = ImportId(id.ok_or_else(|| corrupt(item, "its partition key is no import"))?);
    let state = text_of(item, "state").unwrap_or_default();
    import.state = serde_json::from_value(state.into()).map_err(|e| corrupt(item, e))?;
    Ok(import)
}

impl Store {
    /// Makes an import and gives it with its id.
    pub async fn create_import(&self, mut import: Import) -> Result<Import> {
        import.id = ImportId(self.next_ids("IMPORT", 1).await?);
        self.put_new_import(&import).await?;
        Ok(import)
    }

    /// The same for one whose id is part of the key of its report.
    pub async fn create_import_at(
        &self,
        mut import: Import,
        key: impl FnOnce(ImportId) -> String,
    ) -> Result<Import> {
        import.id = ImportId(self.next_ids("IMPORT", 1).await?);
        import.key = key(import.id);
        self.put_new_import(&import).await?;
        Ok(import)
    }

    async fn put_new_import(&self, import: &Import) -> Result<()> {
        let mut item = document(&keys::import(import.id), import)?;
        item.insert("state".into(), state_name(import.state));
        self.db.put(Table::Jobs, item, Some(ABSENT), vec![]).await?;
        audit::note(
            "import",
            import.id.0,
            None,
            serde_json::to_value(import).ok(),
        );
        Ok(())
    }

    /// The import that an S3 event stands for: the one made at its first delivery, else a new one.
    /// `event` tells apart two uploads to the same key.
    pub async fn import_of_event(&self, event: &str, import: Import) -> Result<Import> {
        let key = keys::upload_event(&import.bucket, &import.key, event);
        if let Some(known) = self.import_at(&key).await? {
            return match self.import(known).await {
                Err(error) if error.is_not_found() => {
                    let import = Import {
                        id: known,
                        ..import
                    };
                    self.put_new_import(&import).await?;
                    Ok(import)
                }
                other => other,
            };
        }
        let id = self.next_ids("IMPORT", 1).await?;
        let mut item = crate::db::key_item(&key);
        item.insert("import".into(), number(id));
        match self.db.put(Table::Jobs, item, Some(ABSENT), vec![]).await {
            Ok(()) => {
                let import = Import {
                    id: ImportId(id),
                    ..import
                };
                self.put_new_import(&import).await?;
                Ok(import)
            }
            Err(error) if error.is_condition() => {
                let known = self.import_at(&key).await?;
                self.import(known.unwrap_or(ImportId(id))).await
            }
            Err(error) => Err(error),
        }
    }

    async fn import_at(&self, key: &Key) -> Result<Option<ImportId>> {
        let item = self.db.get(Table::Jobs, key).await?;
        Ok(item.and_then(|i| number_of(&i, "import")).map(ImportId))
    }

    /// The import with this id.
    pub async fn import(&self, id: ImportId) -> Result<Import> {
        let item = self.db.get(Table::Jobs, &keys::import(id)).await?;
        let mut import = item.as_ref().map(read_import).transpose()?;
        if self.hides && import.is_some() {
            let gone = self.gone().await?;
            import = import.filter(|import| !gone.import(import));
        }
        import.ok_or_else(|| StoreError::NotFound {
            kind: "import",
            id: id.to_string(),
        })
    }

    /// Writes the record of an import with its state, unless it has ended meanwhile (then `false`).
    pub async fn save_import(&self, import: &Import) -> Result<bool> {
        let key = keys::import(import.id);
        let update = Update {
            expression: "SET d = :d, #s = :s",
            condition: Some("attribute_exists(pk) AND NOT #s IN (:done, :failed)"),
            values: vec![
                (":d", text(to_json(&key, import)?)),
                (":s", state_name(import.state)),
                (":done", state_name(ImportState::Done)),
                (":failed", state_name(ImportState::Failed)),
            ],
        };
        match self.db.update_state(Table::Jobs, &key, update).await {
            Ok(()) => {
                self.note_done(import).await?;
                Ok(true)
            }
            Err(error) if error.is_condition() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Lets a failed import go on, when its message is delivered again after a fix.
    pub async fn revive_import(&self, import: &Import) -> Result<()> {
        let key = keys::import(import.id);
        if import.state != ImportState::Done {
            self.forget_done(import.id).await?;
        }
        let update = Update {
            expression: "SET d = :d, #s = :s",
            condition: Some("attribute_exists(pk)"),
            values: vec![
                (":d", text(to_json(&key, import)?)),
                (":s", state_name(import.state)),
            ],
        };
        self.db.update_state(Table::Jobs, &key, update).await?;
        self.note_done(import).await
    }

    /// Makes an import that was only noted by hand: done, and before all others of its test, since it has
    /// nothing to say about findings.
    pub async fn note_import(&self, import: Import) -> Result<Import> {
        let import = self.create_import(import).await?;
        if let Some(test) = import.test {
            let mut item = crate::db::key_item(&keys::noted_import_of_test(test, import.id));
            item.insert("import".into(), number(import.id.0));
            self.db.put(Table::Jobs, item, None, vec![]).await?;
        }
        self.note_done(&import).await?;
        Ok(import)
    }

    /// Changes what people may change of an import that has ended.
    pub async fn change_import<E: From<StoreError>>(
        &self,
        id: ImportId,
        change: impl Fn(&mut Import) -> Result<(), E>,
    ) -> Result<Import, E> {
        let key = keys::import(id);
        for _ in 0..TRIES {
            let Some(item) = self.db.get(Table::Jobs, &key).await? else {
                let id = id.to_string();
                return Err(StoreError::NotFound { kind: "import", id }.into());
            };
            let before = read_import(&item)?;
            let mut import = before.clone();
            change(&mut import)?;
            let old = text_of(&item, "d").unwrap_or_default();
            let update = Update {
                expression: "SET d = :d",
                condition: Some("d = :old"),
                values: vec![(":d", text(to_json(&key, &import)?)), (":old", text(old))],
            };
            match self.db.update(Table::Jobs, &key, update).await {
                Ok(_) => {
                    let [before, after] =
                        [&before, &import].map(|side| serde_json::to_value(side).ok());
                    audit::note("import", id.0, before, after);
                    self.note_done(&import).await?;
                    return Ok(import);
                }
                Err(error) if error.is_condition() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Contention(format!("import {id}")).into())
    }

    /// Removes an import that was only noted by hand.
    pub async fn forget_import(&self, import: &Import) -> Result<()> {
        self.forget_done(import.id).await?;
        if let Some(test) = import.test {
            let key = keys::noted_import_of_test(test, import.id);
            self.db.delete(Table::Jobs, &key).await?;
        }
        self.db
            .delete(Table::Jobs, &keys::import(import.id))
            .await?;
        audit::note(
            "import",
            import.id.0,
            serde_json::to_value(import).ok(),
            None,
        );
        Ok(())
    }

    /// Gives an import its place among the imports of a test, from 1, and tells which others had
    /// begun and not ended then.
    pub async fn begin_import(
        &self,
        test: TestId,
        import: ImportId,
    ) -> Result<(u64, Vec<ImportId>)> {
        let update = Update {
            expression: "ADD seq :one, going :import",
            condition: None,
            values: vec![
                (":one", number(1)),
                (":import", AttributeValue::Ns(vec![import.to_string()])),
            ],
        };
        let key = keys::test_state(test);
        let state = self.db.update(Table::Catalog, &key, update).await?;
        let sequence = number_of(&state, "seq").ok_or_else(|| corrupt(&state, "no sequence"))?;
        let mut item = crate::db::key_item(&keys::import_of_test(test, sequence));
        item.insert("import".into(), number(import.0));
        self.db.put(Table::Jobs, item, None, vec![]).await?;
        let going = numbers_of(&state, "going").into_iter().map(ImportId);
        Ok((sequence, going.filter(|id| *id != import).collect()))
    }

    /// Notes that an import of the test has ended.
    pub async fn end_import(&self, test: TestId, import: ImportId) -> Result<()> {
        let update = Update {
            expression: "DELETE going :import",
            condition: Some("attribute_exists(pk)"),
            values: vec![(":import", AttributeValue::Ns(vec![import.to_string()]))],
        };
        let key = keys::test_state(test);
        match self.db.update(Table::Catalog, &key, update).await {
            // the test was deleted
            Err(error) if !error.is_condition() => Err(error),
            _ => Ok(()),
        }
    }

    /// The imports of a test, in the order of their places.
    pub async fn imports_of(&self, test: TestId) -> Result<Vec<Import>> {
        self.imports_after(test, 0).await
    }

    /// The imports of a test that took their places after one, in order.
    pub async fn imports_after(&self, test: TestId, sequence: u64) -> Result<Vec<Import>> {
        let after = keys::import_of_test(test, sequence);
        let items = self
            .db
            .query_after(Table::Jobs, &after.pk, &after.sk)
            .await?;
        self.imports(
            items
                .iter()
                .filter_map(|item| number_of(item, "import"))
                .map(ImportId),
        )
        .await
    }

    /// Those of the imports that exist, by their places.
    pub async fn imports(&self, ids: impl IntoIterator<Item = ImportId>) -> Result<Vec<Import>> {
        let mut ids: Vec<ImportId> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        let wanted = ids.into_iter().map(keys::import).collect();
        let items = self.db.get_many(Table::Jobs, wanted).await?;
        let mut imports: Vec<Import> = items.iter().map(read_import).collect::<Result<_>>()?;
        let gone = self.gone().await?;
        imports.retain(|import| !gone.import(import));
        imports.sort_by_key(|i| (i.sequence, i.id));
        Ok(imports)
    }

    /// Says which parts an import consists of, and from which on they are in already.
    pub async fn set_parts(
        &self,
        import: ImportId,
        parts: Range<u64>,
        done: u64,
    ) -> Result<Progress> {
        let mut update = Update {
            expression: "SET from_part = :from, parts = :n",
            condition: None,
            values: vec![
                (":from", number(parts.start)),
                (":n", number(parts.end - parts.start)),
            ],
        };
        if done < parts.end {
            update.expression = "SET from_part = :from, parts = :n ADD done :done";
            let done = (done..parts.end).map(|part| part.to_string()).collect();
            update.values.push((":done", AttributeValue::Ns(done)));
        }
        let item = self
            .db
            .update(Table::Jobs, &keys::import_progress(import), update)
            .await?;
        Ok(Progress::read(&item))
    }

    /// Notes that a part is in.
    pub async fn part_done(&self, import: ImportId, part: u64) -> Result<Progress> {
        let update = Update {
            expression: "ADD done :p",
            condition: None,
            values: vec![(":p", AttributeValue::Ns(vec![part.to_string()]))],
        };
        let item = self
            .db
            .update(Table::Jobs, &keys::import_progress(import), update)
            .await?;
        Ok(Progress::read(&item))
    }

    /// How far the parts of an import are.
    pub async fn progress(&self, import: ImportId) -> Result<Progress> {
        let item = self
            .db
            .get(Table::Jobs, &keys::import_progress(import))
            .await?;
        Ok(item.map(|i| Progress::read(&i)).unwrap_or_default())
    }

    /// What each of a part's chunks did; `None` for those that were not committed.
    pub async fn chunk_actions(
        &self,
        import: ImportId,
        part: u64,
        chunks: usize,
    ) -> Result<Vec<Option<ImportActions>>> {
        let wanted: Vec<Key> = (0u32..)
            .take(chunks)
            .map(|chunk| keys::import_chunk(import, part, chunk))
            .collect();
        let items = self.db.get_many(Table::Jobs, wanted.clone()).await?;
        let read = |key: &Key| {
            let item = items.iter().find(|i| text_of(i, "sk") == Some(&key.sk));
            item.map(read_document).transpose()
        };
        wanted.iter().map(read).collect()
    }

    /// What the committed chunks of the parts before this one did. Unlike [`Store::import_actions`] it has
    /// chunks of parts that were never done.
    pub async fn chunk_actions_before(&self, import: ImportId, part: u64) -> Result<ImportActions> {
        let pk = keys::import_partition(import);
        let items = self.db.query(Table::Jobs, &pk, Some(keys::CHUNK_PREFIX));
        let mut all = ImportActions::default();
        for item in &items.await? {
            let own = text_of(item, "sk").and_then(keys::chunk_part);
            if own.is_some_and(|own| own < part) {
                all.merge(&read_document(item)?);
            }
        }
        Ok(all)
    }

    /// Keeps what a part did. Writing it again is harmless.
    pub async fn put_part(
        &self,
        import: ImportId,
        part: u64,
        actions: &ImportActions,
    ) -> Result<()> {
        let item = document(&keys::import_part(import, part), actions)?;
        self.db.put(Table::Jobs, item, None, vec![]).await
    }

    /// What an import did so far: its parts, and what it closed.
    pub async fn import_actions(&self, import: ImportId) -> Result<ImportActions> {
        let pk = keys::import_partition(import);
        let (parts, closings) = tokio::try_join!(
            self.db.query(Table::Jobs, &pk, Some(keys::PART_PREFIX)),
            self.db.query(Table::Jobs, &pk, Some(keys::CLOSING_PREFIX)),
        )?;
        let mut all = ImportActions::default();
        for item in parts.iter().chain(&closings) {
            all.merge(&read_document(item)?);
        }
        Ok(all)
    }
}
