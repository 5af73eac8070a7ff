//! Finding groups as clients see them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};
use tatami_domain::{
    Finding, FindingGroup, FindingGroupId, JiraIssueId, ProductId, RiskAcceptanceId, Severity,
    SeverityCounts, TestId,
};
use tatami_store::{EndpointBook, Sight, Store};

use crate::Api;
use crate::error::Result;
use crate::fields::{Field, Kind, Object, Target};
use crate::view::acceptance;
use crate::view::finding::Packs;
use crate::view::import::severities;
use crate::view::jira::Issues;

/// The fields of a finding group.
pub const FIELDS: &[Field] = &[
    Field::answer("id", Kind::Ref(Target::Unknown)),
    Field::new("name", Kind::Text(FindingGroup::MAX_NAME)).required(),
    Field::new("test", Kind::Ref(Target::Test))
        .required()
        .fixed(),
    Field::new("findings", Kind::Refs(Target::Finding)).required(),
    Field::answer("engagement", Kind::Ref(Target::Engagement)),
    Field::answer("product", Kind::Ref(Target::Product)),
    Field::answer("creator", Kind::Ref(Target::User)).nullable(),
    Field::answer("import", Kind::Ref(Target::Unknown)).nullable(),
    Field::answer("created", Kind::DateTime),
    Field::answer("updated", Kind::DateTime),
    Field::answer("findings_count", Kind::Integer(0, i64::MAX)),
    Field::answer("severity", Kind::Severity).nullable(),
    Field::answer("active", Kind::Bool),
    Field::answer("statistics", Kind::Other("", false)),
    Field::answer("endpoints", Kind::Texts),
    Field::answer("jira_issue", Kind::Other("JIRAIssue", false)).nullable(),
    Field::new("push_to_jira", Kind::Bool).write_only(),
];

/// The fields of a finding group where it is shown on something else.
pub const STUB: &[Field] = &[
    Field::answer("id", Kind::Ref(Target::Unknown)),
    Field::answer("name", Kind::Text(FindingGroup::MAX_NAME)),
    Field::answer("test", Kind::Ref(Target::Test)),
    Field::answer("jira_issue", Kind::Other("JIRAIssue", false)).nullable(),
];

/// A finding group where it is shown on something else.
#[derive(Debug, Serialize)]
pub struct GroupStub<'a> {
    id: u64,
    name: &'a str,
    test: u64,
    jira_issue: Option<&'a Object>,
}

impl<'a> GroupStub<'a> {
    /// A group with its issue, as far as that's among these.
    pub fn new(group: &'a FindingGroup, issues: &'a Issues) -> Self {
        Self {
            id: group.id.0,
            name: &group.name,
            test: group.test.0,
            jira_issue: issues.view(group.jira_issue),
        }
    }
}

/// The groups of some findings, the risk acceptances that they are under, the books that their endpoints
/// are in, and their issues in JIRA.
#[derive(Default)]
pub struct Groups {
    by_id: HashMap<FindingGroupId, FindingGroup>,
    books: HashMap<ProductId, Arc<EndpointBook>>,
    acceptances: HashMap<RiskAcceptanceId, Object>,
    issues: Issues,
}

impl Groups {
    /// Those that exist.
    pub async fn load(store: &Store, findings: impl IntoIterator<Item = &Finding>) -> Result<Self> {
        let mut ids = BTreeSet::new();
        let mut products = BTreeSet::new();
        let findings: Vec<&Finding> = findings.into_iter().collect();
        for finding in &findings {
            ids.extend(finding.group);
            if !finding.endpoint_ids.is_empty() {
                products.insert(finding.product);
            }
        }
        let mut all = Self::default();
        if !ids.is_empty() {
            let groups: Vec<FindingGroup> = store.get_all(ids).await?;
            all.by_id = groups.into_iter().map(|g| (g.id, g)).collect();
        }
        let issues = findings.iter().filter_map(|finding| finding.jira.issue);
        let issues = issues.chain(all.by_id.values().filter_map(|group| group.jira_issue));
        all.issues = Issues::load(store, issues).await?;
        all.acceptances = acceptance::on_findings(store, findings).await?;
        for product in products {
            all.books.insert(product, store.endpoints(product).await?);
        }
        Ok(all)
    }

    /// Their issues in JIRA.
    pub fn issues(&self) -> &Issues {
        &self.issues
    }

    /// The group of a finding.
    pub fn of(&self, finding: &Finding) -> Option<&FindingGroup> {
        self.by_id.get(&finding.group?)
    }

    /// The risk acceptance that a finding is under, with this finding.
    pub fn acceptance_of(&self, finding: &Finding) -> Option<Object> {
        let mut acceptance = self.acceptances.get(&finding.acceptance?)?.clone();
        acceptance.insert("accepted_findings".into(), json!([finding.id]));
        Some(acceptance)
    }

    /// The ids of a finding's endpoints, without those that were deleted.
    pub fn endpoints_of(&self, finding: &Finding) -> Vec<u64> {
        let Some(book) = self.books.get(&finding.product) else {
            return Vec::new();
        };
        let ids = finding.endpoints_with_places().map(|(_, id)| id);
        ids.filter(|id| book.get(*id).is_some())
            .map(u64::from)
            .collect()
    }
}

/// Adds to groups what follows from their findings, and their issues in JIRA.
pub async fn decorate(api: &Api, views: &mut [Object]) -> Result<()> {
    let issue = |view: &Object| view.get("jira_issue")?.as_u64().map(JiraIssueId);
    let issues = views.iter().filter_map(issue);
    let issues = Issues::load(&api.services.store, issues).await?;
    for view in views.iter_mut() {
        // what was decorated already has it as it's shown
        if !view.get("jira_issue").is_some_and(Value::is_object) {
            let issue = json!(issues.view(issue(view)));
            view.insert("jira_issue".to_owned(), issue);
        }
    }
    let id = |view: &Object, name: &str| view[name].as_u64().unwrap_or_default();
    let tests: BTreeSet<(ProductId, TestId)> = (views.iter())
        .map(|view| (ProductId(id(view, "product")), TestId(id(view, "test"))))
        .collect();
    for (product, test) in tests {
        let mut members: HashMap<u64, Vec<Arc<Finding>>> = HashMap::new();
        let see = |finding: &Arc<Finding>| {
            if let Some(group) = finding.group {
                let group = members.entry(group.0).or_default();
                group.push(Arc::clone(finding));
            }
        };
        let store = &api.services.store;
        store.visit(Sight::Test(product, test), see).await?;
        for view in views.iter_mut().filter(|view| id(view, "test") == test.0) {
            let members = members.remove(&id(view, "id")).unwrap_or_default();
            let members: Vec<&Finding> = members.iter().map(AsRef::as_ref).collect();
            let cut = |finding: &&Finding| finding.endpoints.len() >= Finding::INLINE_ENDPOINTS;
            let packs =
                Packs::load(&api.services.blobs, members.iter().copied().filter(cut)).await?;
            add_members(view, &members, &packs);
        }
    }
    Ok(())
}

fn add_members(view: &mut Object, members: &[&Finding], packs: &Packs) {
    let counts: SeverityCounts = members.iter().copied().collect();
    let worst: Option<Severity> = members.iter().map(|f| f.severity).min();
    let endpoints: BTreeSet<&str> = (members.iter())
        .flat_map(|finding| packs.endpoints_of(finding))
        .map(String::as_str)
        .collect();
    let ids: Vec<u64> = members.iter().map(|f| f.id.0).collect();
    let fields = json!({
        "findings": ids,
        "findings_count": members.len(),
        "severity": worst.map(Severity::name),
        "active": members.iter().any(|f| f.flags.active),
        "statistics": severities(&counts),
        "endpoints": endpoints,
    });
    if let Value::Object(fields) = fields {
        view.extend(fields);
    }
}
