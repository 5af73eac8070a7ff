//! Findings on their way under acceptances and out of them. What is to be done is written down as a job
//! before anything of it is done, and up to [`AT_ONCE`] findings are done before the answer.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tatami_auth::{Permission, Place};
use tatami_domain::{
    AcceptanceChange, EngagementId, Finding, FindingId, Job, JobState, NotAccepted, Product,
    ProductId, RiskAcceptance, Work,
};
use tatami_duplicates::{
    Done, Duplicates, Listed, acceptance_change, acceptance_job, begin_end, ending_job, finish,
    work_off,
};

use crate::Api;
use crate::auth::Caller;
use crate::error::{ApiError, Problems, Result};
use crate::routes::findings::bulk::{AT_ONCE, STOPPED_S};
use crate::routes::jobs;

/// The findings with these ids, where the caller may accept their risks; that of a field.
pub async fn find(
    api: &Api,
    caller: &Caller,
    field: &str,
    ids: &BTreeSet<FindingId>,
) -> Result<Vec<Finding>> {
    let findings = api.services.store.findings(ids.iter().copied()).await?;
    permit(caller, &findings).await?;
    let mut problems = Problems::default();
    for id in ids {
        if !findings.iter().any(|finding| finding.id == *id) {
            let message = format!("Invalid pk \"{id}\": there is no such object.");
            problems.add(field, message);
        }
    }
    if !problems.is_empty() {
        caller
            .require(Permission::AcceptRisk, Place::Somewhere)
            .await?;
    }
    problems.into_result()?;
    Ok(findings)
}

/// Fails where the caller may not accept the risks of all of them.
pub async fn permit(caller: &Caller, findings: &[Finding]) -> Result<()> {
    let mut places = BTreeSet::new();
    for finding in findings {
        if places.insert((finding.product, finding.engagement)) {
            caller
                .require(Permission::AcceptRisk, Place::from(finding))
                .await?;
        }
    }
    Ok(())
}

/// Fails with the findings that are of another product.
pub fn all_of(product: ProductId, findings: &[Finding], field: &str) -> Result<()> {
    let mut problems = Problems::default();
    for other in findings.iter().filter(|f| f.product != product) {
        let message = format!(
            "Finding {} belongs to product {}, the acceptance to product {product}: one acceptance \
             is for findings of one product.",
            other.id, other.product
        );
        problems.add(field, message);
    }
    problems.into_result()
}

/// The engagement of all of them, where that is one.
pub fn engagement_of(findings: &[Finding]) -> Option<EngagementId> {
    let first = findings.first()?.engagement;
    let all = findings.iter().all(|finding| finding.engagement == first);
    all.then_some(first)
}

/// May risks of a product be accepted like this?
pub async fn check_product(api: &Api, product: ProductId, field: &str) -> Result<()> {
    let product: Product = api.services.store.get(product).await?;
    if product.enable_full_risk_acceptance {
        return Ok(());
    }
    let message = format!(
        "Full risk acceptance is off for product {} (enable_full_risk_acceptance).",
        product.id
    );
    Err(ApiError::field(field, message))
}

/// Of findings those that can come under an acceptance, and why the others cannot.
pub fn sorted(
    acceptance: &RiskAcceptance,
    findings: Vec<Finding>,
    now: Timestamp,
) -> (Vec<Finding>, BTreeMap<FindingId, NotAccepted>) {
    let mut others = BTreeMap::new();
    let fits = |finding: &Finding| {
        let applied =
            AcceptanceChange::Accept(acceptance.id).apply(&mut finding.clone(), None, now);
        match applied {
            Ok(()) => true,
            Err(why) => {
                others.insert(finding.id, why);
                false
            }
        }
    };
    let mut fitting = findings;
    fitting.retain(fits);
    (fitting, others)
}

/// Of findings those that can come under an acceptance. Duplicates are left out; what is under another one
/// is refused.
pub fn acceptable(
    acceptance: &RiskAcceptance,
    findings: Vec<Finding>,
    now: Timestamp,
) -> Result<Vec<Finding>> {
    let (fitting, others) = sorted(acceptance, findings, now);
    let mut problems = Problems::default();
    for (id, why) in others {
        if why != NotAccepted::Duplicate {
            problems.add("accepted_findings", format!("Finding {id}: {why}."));
        }
    }
    problems.into_result()?;
    Ok(fitting)
}

/// What was done to findings, or the job that does it.
#[derive(Debug)]
pub struct Moved {
    /// The job.
    pub job: Job,
    /// What became of each; nothing where they are left to the job.
    pub done: Vec<Done>,
}

impl Moved {
    /// Are they left to the job?
    pub fn is_left(&self) -> bool {
        self.job.state == JobState::Running
    }
}

/// Changes the places of findings under an acceptance. The job is on its way before `write` is done: whatever
/// stops the request, either nothing of it happens or all.
pub async fn change(
    api: &Api,
    caller: &Caller,
    acceptance: &RiskAcceptance,
    places: AcceptanceChange,
    findings: &[Finding],
    write: impl Future<Output = Result<()>> + Send,
) -> Result<Moved> {
    let store = &api.services.store;
    let duplicates = Duplicates::new(store, Some(caller.0.user));
    let change = acceptance_change(acceptance, places);
    let id = store.reserve_job().await?;
    let blobs = &api.services.blobs;
    let now = Timestamp::now();
    let made = acceptance_job(&duplicates, blobs, id, &change, findings, now);
    let (job, listed) = made.await?;
    jobs::send(api, &job, STOPPED_S).await?;
    write.await?;
    do_now(api, &duplicates, job, &listed).await
}

/// Lets an acceptance end, if it is as `wanted` when that begins; gives it as it is then.
pub async fn end(
    api: &Api,
    caller: &Caller,
    acceptance: &RiskAcceptance,
    removes: bool,
    wanted: impl Fn(&RiskAcceptance) -> Result<()>,
) -> Result<RiskAcceptance> {
    let store = &api.services.store;
    let blobs = &api.services.blobs;
    let now = Timestamp::now();
    let by = Some(caller.0.user);
    let acceptance = begin_end(store, acceptance, removes, by, now, wanted).await?;
    let Some(ending) = &acceptance.ending else {
        return Ok(acceptance);
    };
    let job = Box::pin(ending_job(store, blobs, &acceptance, ending)).await?;
    jobs::send(api, &job, STOPPED_S).await?;
    let listed: Vec<Listed> = match &job.work {
        Work::Bulk { list, .. } => blobs.json(&tatami_blobs::list_key(list)).await?,
        Work::Delete { .. } => Vec::new(),
    };
    let duplicates = Duplicates::new(store, by);
    do_now(api, &duplicates, job, &listed).await?;
    Ok(store.get(acceptance.id).await?)
}

/// Works a job off, where it is small; else sends for it.
async fn do_now(
    api: &Api,
    duplicates: &Duplicates<'_>,
    mut job: Job,
    listed: &[Listed],
) -> Result<Moved> {
    let blobs = &api.services.blobs;
    let store = &api.services.store;
    if listed.len() > AT_ONCE {
        jobs::send(api, &job, 0).await?;
        let done = Vec::new();
        return Ok(Moved { job, done });
    }
    let all = 0..listed.len();
    let done = Box::pin(work_off(duplicates, blobs, &job.work, listed, all)).await?;
    Box::pin(finish(store, blobs, &job)).await?;
    let now = Timestamp::now();
    job.state = JobState::Done;
    job.done = job.of;
    job.step += 1;
    job.updated = now;
    job.finished = Some(now);
    // where it was so slow that the job went on, that says so itself
    store.put_job(&job).await?;
    Ok(Moved { job, done })
}
