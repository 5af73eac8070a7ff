//! What all work needs, and changes of findings.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use tatami_domain::{
    EngagementId, Event, EventData, Finding, FindingId, IssueRule, JiraChange, JiraInstance,
    JiraObject, JiraProject, JiraUpdate, Note, Product, ProductId, SystemSettings,
};
use tatami_duplicates::{Held, moves};
use tatami_jira_client::{Jira, JiraError, RichText};
use tatami_jira_connection::{Connection, Gate, Trouble, connect};
use tatami_runtime::Services;
use tatami_store::{Change, Commit, Committed, JiraProjects, Store, StoreError};

use crate::error::{JiraFunctionError, Result};
use crate::thing::Thing;

/// How often a change is decided anew when others change the same findings.
const TRIES: u32 = 20;
/// So many findings are changed in one transaction, each with its note and its claims.
const TOGETHER: usize = 12;

/// What work needs, as it is now.
pub(crate) struct Context {
    pub services: Services,
    /// What is being deleted isn't there any more.
    pub store: Store,
    pub settings: SystemSettings,
    pub projects: Arc<JiraProjects>,
    base: String,
    begin: Instant,
}

impl Context {
    pub async fn read(services: &Services) -> Result<Self> {
        let store = services.store.clone().hiding_deleted();
        let (settings, projects) =
            tokio::try_join!(store.system_settings(), store.jira_projects())?;
        let base = services.settings.public_url.as_deref().unwrap_or_default();
        Ok(Self {
            services: services.clone(),
            store,
            settings,
            projects,
            base: base.trim_end_matches('/').to_owned(),
            begin: Instant::now(),
        })
    }

    /// Has this message had its time?
    pub fn is_late(&self) -> bool {
        self.begin.elapsed() > crate::TIME
    }

    /// What goes from there into JIRA; nothing, where JIRA is switched off.
    pub fn project(&self, product: ProductId, engagement: EngagementId) -> Option<JiraProject> {
        let project = self.projects.of(product, engagement);
        project.filter(|_| self.settings.enable_jira)
    }

    /// What findings have to be so that they may have issues.
    pub fn rule(&self) -> IssueRule {
        IssueRule::of(&self.settings)
    }

    /// Where people see something in Tatami.
    pub fn url(&self, object: JiraObject) -> String {
        let base = &self.base;
        match object {
            JiraObject::Finding(id) => format!("{base}/finding/{id}"),
            JiraObject::FindingGroup(id) => format!("{base}/finding_group/{id}"),
            JiraObject::Engagement(id) => format!("{base}/engagement/{id}"),
        }
    }

    /// Connects to a JIRA, and says what an error of that means.
    pub async fn link(&self, instance: &JiraInstance) -> Result<Link<'_>> {
        match connect(&self.services, instance).await {
            Ok(connection) => Ok(Link {
                ctx: self,
                connection,
            }),
            Err(error) => {
                let state = self.store.jira_state(instance.id).await?;
                let trouble = Trouble::of_connecting(error, &state, self.store.now())?;
                Err(trouble.into())
            }
        }
    }

    /// Tells of something between a thing and its issue, once for the occasion.
    pub async fn tell(
        &self,
        thing: &Thing,
        what: JiraChange,
        jira_key: Option<&str>,
        occasion: String,
        text: impl Into<String>,
    ) -> Result<()> {
        let (finding, group, id) = match thing.object {
            JiraObject::Finding(id) => (Some(id), None, id.0),
            JiraObject::FindingGroup(id) => (None, Some(id), id.0),
            JiraObject::Engagement(id) => (None, None, id.0),
        };
        let data = EventData::JiraUpdate(JiraUpdate {
            what,
            finding,
            group,
            title: thing.title.clone(),
            jira_key: jira_key.map(ToOwned::to_owned),
            text: text.into(),
        });
        // one id may be a finding's and a group's
        let occasion = format!("{}-{occasion}", mark(thing.object));
        let event = Event::new(&data, id, occasion, Some(thing.product), self.store.now());
        self.store.tell(&event).await?;
        Ok(())
    }

    /// Changes findings of a product by `change`, which is asked again where somebody else was quicker, and
    /// leaves alone what it gives `None` for. Those that change get a note. Gives them as they are then.
    pub async fn change_findings(
        &self,
        product: ProductId,
        ids: &[FindingId],
        note: Option<&str>,
        change: impl Fn(&Finding) -> Option<Finding> + Send + Sync,
    ) -> Result<Vec<Finding>> {
        let mut changed = Vec::new();
        for some in ids.chunks(TOGETHER) {
            changed.extend(self.change_some(product, some, note, &change).await?);
        }
        Ok(changed)
    }

    async fn change_some(
        &self,
        product: ProductId,
        ids: &[FindingId],
        note: Option<&str>,
        change: &(impl Fn(&Finding) -> Option<Finding> + Send + Sync),
    ) -> Result<Vec<Finding>> {
        let store = &self.store;
        for _ in 0..TRIES {
            let mut findings = store.findings(ids.iter().copied()).await?;
            findings.retain(|finding| finding.product == product);
            let mut pairs = Vec::new();
            for old in findings {
                if let Some(new) = change(&old).filter(|new| *new != old) {
                    pairs.push((old, new));
                }
            }
            if pairs.is_empty() {
                return Ok(Vec::new());
            }
            let moving = pairs.iter().filter(|(old, new)| moves(old, new));
            let held = Held::read(store, moving.map(|(old, _)| old)).await?;
            let mut notes = Vec::new();
            if let Some(text) = note {
                let of: Vec<FindingId> = pairs.iter().map(|(old, _)| old.id).collect();
                let note_ids = store.note_ids(product, of.clone()).await?;
                let now = store.now();
                let written = of.into_iter().zip(note_ids);
                notes.extend(written.map(|(of, id)| (of, Note::new(id, text, None, now))));
            }
            let after: Vec<Finding> = pairs.iter().map(|(_, new)| new.clone()).collect();
            let changes: Vec<Change> = (pairs.into_iter())
                .map(|(old, new)| Change::Update {
                    old: Box::new(old),
                    new: Box::new(new),
                })
                .collect();
            let commit = Commit {
                product,
                claims: held.settled(&changes),
                changes,
                notes,
                events: Vec::new(),
                marker: None,
                unique: format!("J{}", uuid::Uuid::new_v4().simple()),
            };
            if commit.items() > Commit::MAX_ITEMS && ids.len() > 1 {
                let (first, second) = ids.split_at(ids.len() / 2);
                let mut all = Box::pin(self.change_some(product, first, note, change)).await?;
                all.extend(Box::pin(self.change_some(product, second, note, change)).await?);
                return Ok(all);
            }
            if store.commit(&commit).await? == Committed::Yes {
                return Ok(after);
            }
        }
        Err(StoreError::Contention(format!("{} findings", ids.len())).into())
    }

    /// A product, which says how its risks are accepted.
    pub async fn product(&self, id: ProductId) -> Result<Product> {
        Ok(self.store.get(id).await?)
    }
}

/// Something's short name: `f7`, `g7`, `e7`.
pub(crate) fn mark(object: JiraObject) -> String {
    match object {
        JiraObject::Finding(id) => format!("f{id}"),
        JiraObject::FindingGroup(id) => format!("g{id}"),
        JiraObject::Engagement(id) => format!("e{id}"),
    }
}

/// Markdown for JIRA; what is cut off is at `url`.
pub(crate) fn rich(markdown: impl Into<String>, url: &str) -> RichText {
    RichText {
        markdown: markdown.into(),
        whole: url.starts_with("http").then(|| url.to_owned()),
    }
}

/// A JIRA that is connected.
pub(crate) struct Link<'c> {
    pub ctx: &'c Context,
    pub connection: Connection,
}

impl Link<'_> {
    pub fn jira(&self) -> &Jira<Gate> {
        &self.connection.jira
    }

    pub fn instance(&self) -> &JiraInstance {
        &self.connection.instance
    }

    /// What JIRA answered, or what its error means.
    pub async fn heard<T>(&self, answer: Result<T, JiraError>) -> Result<T> {
        match answer {
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.connection.trouble(error).await?.into()),
        }
    }

    /// The time by the store's clock.
    pub fn now(&self) -> Timestamp {
        self.ctx.store.now()
    }
}

impl From<Trouble> for JiraFunctionError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Later { seconds, why } => Self::Later { seconds, why },
            Trouble::Shut(why) => Self::Shut(why),
            Trouble::Refused(error) => Self::Refused(error),
        }
    }
}
