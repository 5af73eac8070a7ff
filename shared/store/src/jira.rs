//! JIRA: where it is, what goes there, and the issues that are known.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tatami_domain::{
    Engagement, EngagementId, FindingId, JiraInstance, JiraInstanceId, JiraIssue, JiraIssueId,
    JiraObject, JiraProject, JiraProjectId, JiraPush, JiraPushId, Note, NoteId, Product, ProductId,
};

use crate::db::{
    ABSENT, PRESENT, Table, Transacted, Update, document, key_of, number, number_of, read_document,
    text, text_of, to_json,
};
use crate::{Entity, Named, Result, Store, StoreError, audit, keys};

/// Counts the changes of projects, whoever writes them.
pub const JIRA_STAMP: &str = "JIRA";
/// So long it's known that an issue was to be made, in seconds.
const ATTEMPT_KEPT_S: u64 = 24 * 3600;
/// So long a process goes by the projects as it last read them when it writes findings.
const LATELY: Duration = Duration::from_secs(10);

impl Entity for JiraInstance {
    type Id = JiraInstanceId;
    const KIND: &'static str = "JIRAINSTANCE";
    const WORD: &'static str = "JIRA instance";
    const PRIVATE: &'static [&'static str] = &["password"];

    fn id(&self) -> JiraInstanceId {
        self.id
    }

    fn set_id(&mut self, id: JiraInstanceId) {
        self.id = id;
    }
}

impl Entity for JiraProject {
    type Id = JiraProjectId;
    const KIND: &'static str = "JIRAPROJECT";
    const WORD: &'static str = "JIRA project";

    fn id(&self) -> JiraProjectId {
        self.id
    }

    fn set_id(&mut self, id: JiraProjectId) {
        self.id = id;
    }

    fn parent(&self) -> Option<(&'static str, u64)> {
        let product = self.product.map(|id| (Product::KIND, id.0));
        product.or_else(|| Some((Engagement::KIND, self.engagement?.0)))
    }

    fn stamp(_: Option<&Self>, _: Option<&Self>) -> Option<&'static str> {
        Some(JIRA_STAMP)
    }
}

impl Entity for JiraIssue {
    type Id = JiraIssueId;
    const KIND: &'static str = "JIRAISSUE";
    const WORD: &'static str = "JIRA issue";

    fn id(&self) -> JiraIssueId {
        self.id
    }

    fn set_id(&mut self, id: JiraIssueId) {
        self.id = id;
    }

    fn parent(&self) -> Option<(&'static str, u64)> {
        Some((Product::KIND, self.product.0))
    }

    /// An issue is one object's.
    fn unique_name(&self) -> Option<(u64, &str)> {
        Some((self.instance.0, &self.jira_id))
    }
}
impl Named for JiraIssue {}

impl Entity for JiraPush {
    type Id = JiraPushId;
    const KIND: &'static str = "JIRAPUSH";
    const WORD: &'static str = "JIRA push";

    fn id(&self) -> JiraPushId {
        self.id
    }

    fn set_id(&mut self, id: JiraPushId) {
        self.id = id;
    }
}

/// What goes from which product and engagement into JIRA.
#[derive(Debug, Default)]
pub struct JiraProjects {
    of_products: HashMap<ProductId, JiraProject>,
    of_engagements: HashMap<EngagementId, JiraProject>,
}

impl JiraProjects {
    /// Of the projects that there are, the first of each product and engagement.
    pub fn new(projects: Vec<JiraProject>) -> Self {
        let mut all = Self::default();
        for project in projects {
            if let Some(engagement) = project.engagement {
                all.of_engagements.entry(engagement).or_insert(project);
            } else if let Some(product) = project.product {
                all.of_products.entry(product).or_insert(project);
            }
        }
        all
    }

    /// What counts for an engagement of a product: its own settings, going where the product's go unless
    /// they say where; else the product's. `None`: nothing does, or it's switched off.
    pub fn of(&self, product: ProductId, engagement: EngagementId) -> Option<JiraProject> {
        let general = self.of_products.get(&product);
        let project = match (self.of_engagements.get(&engagement), general) {
            (Some(own), Some(general)) => {
                let mut own = own.clone();
                own.jira_instance = own.jira_instance.or(general.jira_instance);
                let key = own.project_key.take().filter(|key| !key.is_empty());
                own.project_key = key.or_else(|| general.project_key.clone());
                own
            }
            (Some(own), None) => own.clone(),
            (None, general) => general?.clone(),
        };
        let named = project
            .project_key
            .as_deref()
            .is_some_and(|key| !key.is_empty());
        (project.enabled && project.jira_instance.is_some() && named).then_some(project)
    }

    /// Does each finding of an engagement that may have an issue get one?
    pub fn pushes_all(&self, product: ProductId, engagement: EngagementId) -> bool {
        let any = |project: &JiraProject| project.push_all_issues;
        (self.of_engagements.get(&engagement).is_some_and(any)
            || self.of_products.get(&product).is_some_and(any))
            && (self.of(product, engagement)).is_some_and(|project| project.push_all_issues)
    }

    /// Does anything of a product, or of its engagements, go into JIRA?
    pub fn of_any(&self, product: Option<ProductId>) -> bool {
        !self.of_engagements.is_empty()
            || product.is_some_and(|product| self.of_products.contains_key(&product))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &JiraProject> {
        self.of_products
            .values()
            .chain(self.of_engagements.values())
    }
}

/// What was read last: when, at which stamp, and what.
type Known = (Instant, u64, Arc<JiraProjects>);

#[derive(Clone, Default)]
pub(crate) struct Cache(Arc<RwLock<Option<Known>>>);

impl Cache {
    /// This process has changed a project.
    pub fn forget(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn known(&self) -> Option<Known> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

/// How it stands with a JIRA.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct JiraState {
    /// Since when nothing is sent there, because it doesn't let us in, and what it said.
    pub refused: Option<(Timestamp, String)>,
    /// Until when it asked to be left alone.
    pub paused_until: Option<Timestamp>,
    /// Up to when its changes are known.
    pub reconciled: Option<Timestamp>,
    /// Who we are there: JIRA's id of the account.
    pub account: Option<String>,
    /// Which kind of JIRA is at which address, where that was found out.
    pub deployment: Option<(String, String)>,
    /// When all that is known to be there was last looked at.
    pub swept: Option<Timestamp>,
    /// When it was last tried whether it lets us in again.
    pub tried: Option<Timestamp>,
}

/// What came over into a comment, or from one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum JiraComment {
    /// A comment that became a note, by JIRA's id of it.
    In(String),
    /// A note that became a comment.
    Out(NoteId),
    /// An event that became a comment, by a text that names it.
    Event(String),
}

impl Store {
    /// What goes into JIRA, as of now. Where nothing has changed since the last time, that costs one read of
    /// a small item.
    pub async fn jira_projects(&self) -> Result<Arc<JiraProjects>> {
        let item = self
            .db
            .get(Table::Catalog, &keys::stamp(JIRA_STAMP))
            .await?;
        let stamp = item.and_then(|item| number_of(&item, "n")).unwrap_or(0);
        let projects = match self.jira.known() {
            Some((_, at, projects)) if at == stamp => projects,
            _ if stamp == 0 => Arc::default(),
            _ => Arc::new(JiraProjects::new(self.list().await?)),
        };
        let known = Some((Instant::now(), stamp, Arc::clone(&projects)));
        *self.jira.0.write().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(projects)
    }

    /// The same as it was some seconds ago, for those who write findings: what they miss, the next
    /// reconciliation finds.
    ///
    /// Boxed here: those who write findings may lie deep, and this is seldom more than a look into memory.
    pub(crate) fn jira_projects_lately(&self) -> BoxFuture<'_, Result<Arc<JiraProjects>>> {
        match self.jira.known() {
            Some((at, _, projects)) if at.elapsed() < LATELY => {
                Box::pin(std::future::ready(Ok(projects)))
            }
            _ => Box::pin(self.jira_projects()),
        }
    }

    /// How it stands with a JIRA.
    pub async fn jira_state(&self, instance: JiraInstanceId) -> Result<JiraState> {
        let item = self
            .db
            .get(Table::Jobs, &keys::jira_state(instance))
            .await?;
        item.as_ref()
            .map_or_else(|| Ok(JiraState::default()), read_document)
    }

    /// Changes how it stands with a JIRA.
    pub async fn change_jira_state(
        &self,
        instance: JiraInstanceId,
        change: impl Fn(&mut JiraState),
    ) -> Result<()> {
        let key = keys::jira_state(instance);
        loop {
            let item = self.db.get(Table::Jobs, &key).await?;
            let old = item.as_ref().and_then(|item| text_of(item, "d"));
            let mut state = match &item {
                Some(item) => read_document(item)?,
                None => JiraState::default(),
            };
            change(&mut state);
            let (condition, mut values) = match old {
                Some(old) => ("d = :old", vec![(":old", text(old))]),
                None => (ABSENT, vec![]),
            };
            values.push((":d", text(to_json(&key, &state)?)));
            let update = Update {
                expression: "SET d = :d",
                condition: Some(condition),
                values,
            };
            match self.db.update(Table::Jobs, &key, update).await {
                Err(error) if error.is_condition() => {}
                done => return done.map(drop),
            }
        }
    }

    /// What tells issues of this installation from those of others: 8 hexadecimal digits, made once.
    pub async fn installation(&self) -> Result<String> {
        let key = keys::installation();
        loop {
            if let Some(item) = self.db.get(Table::Catalog, &key).await? {
                return read_document(&item);
            }
            let own = format!("{:08x}", rand::random::<u32>());
            let item = document(&key, &own)?;
            match self
                .db
                .put(Table::Catalog, item, Some(ABSENT), vec![])
                .await
            {
                Err(error) if error.is_condition() => {}
                made => return made.map(|()| own),
            }
        }
    }

    /// When it was last tried to make an issue of something, if nobody knows how that ended.
    pub async fn jira_attempt(&self, object: JiraObject) -> Result<Option<Timestamp>> {
        let item = self
            .db
            .get(Table::Jobs, &keys::jira_attempt(object))
            .await?;
        item.as_ref().map(read_document).transpose()
    }

    /// An issue is about to be made of something.
    pub async fn begin_jira_attempt(&self, object: JiraObject) -> Result<()> {
        let now = self.now();
        let mut item = document(&keys::jira_attempt(object), &now)?;
        let end = u64::try_from(now.as_second()).unwrap_or(0) + ATTEMPT_KEPT_S;
        item.insert("ttl".into(), number(end));
        self.db.put(Table::Jobs, item, None, vec![]).await
    }

    /// It's known how the attempt ended.
    pub async fn end_jira_attempt(&self, object: JiraObject) -> Result<()> {
        self.db
            .delete(Table::Jobs, &keys::jira_attempt(object))
            .await
    }

    /// The comments of an issue that came over, either way.
    pub async fn jira_comments(&self, issue: JiraIssueId) -> Result<Vec<JiraComment>> {
        let pk = keys::jira_comments(issue);
        let items = self.db.query(Table::Jobs, &pk, None).await?;
        let read = items
            .iter()
            .filter_map(|item| keys::jira_comment_at(text_of(item, "sk")?));
        Ok(read.collect())
    }

    /// A comment has become a note of a finding, or a note or an event a comment. A note is written once:
    /// says whether it was now.
    pub async fn note_jira_comment(
        &self,
        issue: JiraIssueId,
        comment: &JiraComment,
        note: Option<(FindingId, &Note)>,
    ) -> Result<bool> {
        let marker = document(&keys::jira_comment(issue, comment), &())?;
        let mut items = vec![self.db.put_in(Table::Jobs, marker, Some(ABSENT), vec![])?];
        if let Some((finding, note)) = note {
            let item = document(&keys::note(finding.into(), note.id), note)?;
            items.push(self.db.put_in(Table::Findings, item, None, vec![])?);
            let finding = keys::finding(finding);
            items.push(self.db.check_in(Table::Findings, &finding, PRESENT)?);
        }
        let done = self.db.transact(items).await? == Transacted::Done;
        if let (true, Some((finding, note))) = (done, note) {
            let fields = audit::note_fields(finding, note);
            audit::note("note", note.id.0, None, fields);
        }
        Ok(done)
    }

    /// Forgets which comments of an issue came over.
    pub async fn forget_jira_comments(&self, issue: JiraIssueId) -> Result<()> {
        let items = self
            .db
            .query(Table::Jobs, &keys::jira_comments(issue), None)
            .await?;
        let keys = items.iter().map(key_of).collect();
        self.db.delete_all(Table::Jobs, keys).await
    }

    /// Forgets an issue, with what is known of its comments.
    pub async fn forget_jira_issue(&self, issue: JiraIssueId) -> Result<()> {
        self.forget_jira_comments(issue).await?;
        match self.delete::<JiraIssue>(issue).await {
            Err(StoreError::NotFound { .. }) => Ok(()),
            done => done,
        }
    }

    /// The issues of a product that are known, by ascending id.
    pub async fn jira_issues_of(&self, product: ProductId) -> Result<Vec<JiraIssue>> {
        self.children(Product::KIND, product.0).await
    }
}
