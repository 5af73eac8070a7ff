//! The list of all imports.
//!
//! An import that is done has a line in one of a few partitions, each of 1,024 ids. One without a line
//! is looked up itself: those on their way and those that failed, which are few, and those whose line
//! was never written. So the list is exact, though line and record aren't written at once.

use std::collections::HashSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tatami_domain::{
    EngagementId, Import, ImportCounts, ImportId, ImportKind, ImportState, ProductId, TestId,
    UserId,
};

use crate::db::{Item, Table, corrupt, document, read_document, text_of};
use crate::{Result, Store, keys};

/// What lists need of an import.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "as in the import's record")]
pub struct ImportLine {
    #[serde(skip)]
    pub id: ImportId,
    /// Lines that are stored are done.
    #[serde(skip)]
    pub state: ImportState,
    #[serde(rename = "k")]
    pub kind: ImportKind,
    /// Of a replay: was it applied?
    #[serde(rename = "r", skip_serializing_if = "Option::is_none")]
    pub replay: Option<bool>,
    #[serde(rename = "s", skip_serializing_if = "Option::is_none")]
    pub scan_type: Option<String>,
    #[serde(rename = "p", skip_serializing_if = "Option::is_none")]
    pub product: Option<ProductId>,
    #[serde(rename = "e", skip_serializing_if = "Option::is_none")]
    pub engagement: Option<EngagementId>,
    #[serde(rename = "t", skip_serializing_if = "Option::is_none")]
    pub test: Option<TestId>,
    #[serde(rename = "b", skip_serializing_if = "Option::is_none")]
    pub by: Option<UserId>,
    #[serde(rename = "c")]
    pub created: Timestamp,
    #[serde(rename = "f", skip_serializing_if = "Option::is_none")]
    pub finished: Option<Timestamp>,
    #[serde(rename = "v", skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(rename = "bi", skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
    #[serde(rename = "ch", skip_serializing_if = "Option::is_none")]
    pub commit_hash: Option<String>,
    #[serde(rename = "bt", skip_serializing_if = "Option::is_none")]
    pub branch_tag: Option<String>,
    #[serde(rename = "n")]
    pub counts: ImportCounts,
    #[serde(rename = "u", skip_serializing_if = "std::ops::Not::not")]
    pub unlisted: bool,
}

impl From<&Import> for ImportLine {
    fn from(import: &Import) -> Self {
        let options = &import.options;
        Self {
            id: import.id,
            state: import.state,
            kind: options.kind,
            replay: import.replay.map(|replay| replay.apply),
            scan_type: import.scan_type.clone(),
            product: import.product,
            engagement: import.engagement,
            test: import.test,
            by: import.by,
            created: import.created,
            finished: import.finished,
            version: options.version.clone(),
            build_id: options.build_id.clone(),
            commit_hash: options.commit_hash.clone(),
            branch_tag: options.branch_tag.clone(),
            counts: import.counts,
            unlisted: import.unlisted,
        }
    }
}

impl ImportLine {
    /// May it have closed findings of other tests than its own?
    pub fn closed_elsewhere(&self) -> bool {
        self.kind == ImportKind::Import && self.counts.closed > 0
    }

    /// When it changed last.
    pub fn modified(&self) -> Timestamp {
        self.finished.unwrap_or(self.created)
    }

    fn read(item: &Item) -> Result<Self> {
        let mut line: Self = read_document(item)?;
        let id = text_of(item, "sk").and_then(|sk| sk.parse().ok());
        line.id = ImportId(id.ok_or_else(|| corrupt(item, "its sort key is no import"))?);
        line.state = ImportState::Done;
        Ok(line)
    }
}

impl Store {
    /// Writes the line of an import that is done; others have none.
    pub(crate) async fn note_done(&self, import: &Import) -> Result<()> {
        if import.state != ImportState::Done {
            return Ok(());
        }
        let line = document(&keys::import_line(import.id), &ImportLine::from(import))?;
        self.db.put(Table::Jobs, line, None, vec![]).await
    }

    /// Takes the line of an import away that is not done any more.
    pub(crate) async fn forget_done(&self, import: ImportId) -> Result<()> {
        let key = keys::import_line(import);
        self.db.delete(Table::Jobs, &key).await
    }

    /// Every import, by ascending id, as of now.
    pub async fn import_lines(&self) -> Result<Vec<ImportLine>> {
        let last = self.last_id("IMPORT").await?;
        let partitions = keys::entity_blocks(last).map(keys::import_lines).collect();
        let items = self.db.query_all(Table::Jobs, partitions).await?;
        let lines = items.iter().flatten().map(ImportLine::read);
        let mut lines = lines.collect::<Result<Vec<_>>>()?;
        let known: HashSet<ImportId> = lines.iter().map(|line| line.id).collect();
        let open = (1..=last).map(ImportId).filter(|id| !known.contains(id));
        for import in self.imports(open).await? {
            lines.push(ImportLine::from(&import));
        }
        let gone = self.gone().await?;
        lines.retain(|line| !gone.line(line));
        lines.sort_unstable_by_key(|line| line.id);
        Ok(lines)
    }
}
