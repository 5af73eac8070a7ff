//! Deleting parts of the product tree with all below them: gone at once for everybody, removed by a job.

use axum::Json;
use axum::extract::{Path, State};
use http::{HeaderValue, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_auth::Permission;
use tatami_domain::{
    Attachment, Branch, Engagement, Finding, FindingGroup, JiraIssue, JiraProject, Job, Membership,
    Note, NotificationRow, Owner, Product, ProductType, RiskAcceptance, Test, Work,
};
use tatami_store::{Entity as _, Sight, Store, kind_of};

use super::catalog::{Resource, one};
use super::jobs;
use super::records;
use crate::Api;
use crate::auth::Caller;
use crate::conditional::{IfMatch, Version};
use crate::error::Result;
use crate::openapi::{Answer, Operation, Routes};
use crate::page::{Listing, Page};

/// A resource that is deleted with all below it.
pub trait Rooted: Resource {
    /// Who may delete it.
    const DELETE: Permission;

    /// It and all below it.
    fn branch(&self) -> Branch;

    /// What it is called.
    fn name(&self) -> String;
}

/// Adds the routes by which one of them is deleted.
pub fn add<T: Rooted>(routes: &mut Routes) {
    let path = format!("{}/{{id}}", T::PATH);
    let delete = Operation::delete(
        &*path,
        "Delete it with all below it: gone at once, removed by the job under Location",
    )
    .answers(204, Answer::Empty);
    routes.add(&delete, self::delete::<T>);
    let path = format!("{path}/delete_preview");
    let preview = Operation::get(path, "What would be deleted with it")
        .answers(200, Answer::Page("DeletePreview"));
    routes.add(&preview, self::preview::<T>);
}

async fn delete<T: Rooted>(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
) -> Result<(StatusCode, [(header::HeaderName, HeaderValue); 1])> {
    let store = &api.services.store;
    let entity: T = one(store, &id).await?;
    caller.require(T::DELETE, entity.place()).await?;
    if_match.check(&Version::of(&entity))?;
    let branch = entity.branch();
    let work = Work::Delete {
        branch,
        name: entity.name(),
    };
    // The job's first step does what follows as well, should this request be stopped here.
    let of = store.findings_below(branch).await?;
    let job = jobs::start(&api, Job::new(work, of, caller.0.user, Timestamp::now()), 0).await?;
    store.begin_deletion(branch).await?;
    if let Branch::ProductType(id) = branch {
        // their names are free as well
        for (kind, product) in store.below(ProductType::KIND, id.0).await? {
            store.cut(&kind, product).await?;
        }
    }
    T::changed(&api);
    tracing::info!(kind = branch.kind(), id = branch.id(), by = %caller.0.user, "deleted");
    Ok((StatusCode::NO_CONTENT, [jobs::location(&job)?]))
}

async fn preview<T: Rooted>(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    listing: Listing,
) -> Result<Json<Page<Value>>> {
    let store = &api.services.store;
    let entity: T = one(store, &id).await?;
    caller.require(T::VIEW, entity.place()).await?;
    let branch = entity.branch();
    let mut rows = Rows(Vec::new());
    rows.add(T::SCHEMA, branch.id(), &entity.name());
    rows.below(store, kind_of(branch), branch.id()).await?;
    let members = store.list::<Membership>().await?;
    for member in members.iter().filter(|member| is_in(member, branch)) {
        rows.add("Member", member.id.0, &member.key);
    }
    for import in store.imports_in(branch).await? {
        let scan_type = import.scan_type.unwrap_or_default();
        rows.add("Test_Import", import.id.0, &scan_type);
    }
    Ok(Json(listing.cut(rows.0)))
}

/// Goes the membership with the branch? Those of what is below in it too.
fn is_in(member: &Membership, branch: Branch) -> bool {
    match branch {
        Branch::ProductType(id) => member.product_type == Some(id),
        Branch::Product(id) => member.product == Some(id),
        Branch::Engagement(_, id) => member.engagement == Some(id),
        Branch::Test(..) => false,
    }
}

/// What would be deleted.
struct Rows(Vec<Value>);

impl Rows {
    fn add(&mut self, model: &str, id: u64, name: &str) {
        self.0.push(json!({"model": model, "id": id, "name": name}));
    }

    /// What lies below something: its notes, what the catalog has, and the findings of a test.
    async fn below(&mut self, store: &Store, kind: &str, id: u64) -> Result<()> {
        let owner = match kind {
            Engagement::KIND => Some(Owner::Engagement(id.into())),
            Test::KIND => Some(Owner::Test(id.into())),
            RiskAcceptance::KIND => Some(Owner::RiskAcceptance(id.into())),
            _ => None,
        };
        if let Some(owner) = owner {
            for Note { id, entry, .. } in store.notes(owner).await? {
                self.add("Notes", id.0, &entry);
            }
        }
        if kind == Test::KIND {
            let test: Test = store.get(id.into()).await?;
            let mut findings = Vec::new();
            let see = |finding: &std::sync::Arc<Finding>| {
                findings.push((finding.id.0, finding.title.clone()));
            };
            store.sweep(Sight::Test(test.product, test.id), see).await?;
            for (id, title) in findings {
                self.add("Finding", id, &title);
            }
        }
        for below in store.named_below(kind, id).await? {
            self.add(model(&below.kind), below.id, &below.name);
            Box::pin(self.below(store, &below.kind, below.id)).await?;
        }
        Ok(())
    }
}

/// What clients call a kind.
fn model(kind: &str) -> &str {
    match kind {
        Product::KIND => Product::SCHEMA,
        Engagement::KIND => Engagement::SCHEMA,
        Test::KIND => Test::SCHEMA,
        FindingGroup::KIND => "Finding_Group",
        RiskAcceptance::KIND => "Risk_Acceptance",
        Attachment::KIND => "FileUpload",
        NotificationRow::KIND => NotificationRow::SCHEMA,
        JiraProject::KIND => "JIRA_Project",
        JiraIssue::KIND => "JIRA_Issue",
        other => records::schema_of(other).unwrap_or(other),
    }
}
