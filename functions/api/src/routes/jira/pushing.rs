//! What may go into JIRA now, and why something may not.

use std::sync::Arc;

use tatami_domain::{
    EngagementId, Finding, IssueRule, JiraObject, JiraProject, OutboxWork, ProductId,
};
use tatami_store::{JiraProjects, Store};

use crate::error::{ApiError, Result};

/// The field by which something is asked to be brought into JIRA.
pub const PUSH: &str = "push_to_jira";

/// What decides about it, as of now.
#[derive(Debug)]
pub struct Pushing {
    enabled: bool,
    rule: IssueRule,
    projects: Arc<JiraProjects>,
}

impl Pushing {
    /// Reads it.
    pub async fn read(store: &Store) -> Result<Self> {
        let settings = store.system_settings().await?;
        Ok(Self {
            enabled: settings.enable_jira,
            rule: IssueRule::of(&settings),
            projects: store.jira_projects().await?,
        })
    }

    /// What findings have to be.
    pub fn rule(&self) -> IssueRule {
        self.rule
    }

    /// Where what is in an engagement goes, or why it doesn't.
    pub fn project(
        &self,
        product: ProductId,
        engagement: EngagementId,
    ) -> Result<JiraProject, String> {
        if !self.enabled {
            return Err("JIRA is switched off in the system settings (enable_jira).".into());
        }
        self.projects.of(product, engagement).ok_or_else(|| {
            format!(
                "Nothing of engagement {engagement} goes into JIRA: product {product} has no enabled \
                 JIRA project with an instance and a key."
            )
        })
    }

    /// May a finding be brought into JIRA? An issue that is there follows whatever becomes of its finding.
    pub fn check(&self, finding: &Finding) -> Result<(), String> {
        self.project(finding.product, finding.engagement)?;
        if finding.jira.issue.is_some() {
            return Ok(());
        }
        let may = self.rule.check(finding);
        may.map_err(|why| format!("Finding {} may have no issue: {why}.", finding.id))
    }

    /// Does a finding get an issue without being asked for?
    pub fn pushes_all(&self, finding: &Finding) -> bool {
        self.enabled
            && self
                .projects
                .pushes_all(finding.product, finding.engagement)
            && self.rule.check(finding).is_ok()
    }
}

/// The same as what is wrong with the field that asks for it.
pub fn refused(why: String) -> ApiError {
    ApiError::field(PUSH, why)
}

/// The work of bringing something into JIRA, or of bringing it up to date there.
pub fn work(product: ProductId, object: JiraObject) -> OutboxWork {
    OutboxWork::Jira {
        product,
        objects: vec![object],
    }
}
