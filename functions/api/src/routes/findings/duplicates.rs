//! Duplicates that are proposed: a person confirms or rejects them.

use axum::extract::{Path, State};
use axum::response::Response;
use jiff::Timestamp;
use tatami_auth::Permission;
use tatami_dedup_rules::as_duplicate;
use tatami_domain::{Finding, FindingId, UserId};
use tatami_store::{Change, Committed, Store, StoreError};

use super::write::{TRIES, commit};
use super::{detail, permitted};
use crate::Api;
use crate::auth::Caller;
use crate::error::{ApiError, Result};
use crate::openapi::{Answer, Operation, Routes};

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let confirm = Operation::post(
        "/api/v2/findings/{id}/duplicate/confirm",
        "It is a duplicate of what is proposed",
    )
    .answers(200, Answer::One("Finding"));
    routes.add(&confirm, self::confirm);
    let reject = Operation::post(
        "/api/v2/findings/{id}/duplicate/reject",
        "It is no duplicate; it is not proposed again",
    )
    .answers(200, Answer::One("Finding"));
    routes.add(&reject, self::reject);
}

async fn confirm(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response> {
    let finding = permitted(&api, caller, Permission::EditFinding, &id).await?;
    let (store, by) = (&api.services.store, caller.0.user);
    let original = original(store, proposed(&finding)?).await?;
    let finding = alter(store, finding, |new, now| {
        proposed(new)?;
        become_duplicate(new, original, by, now);
        Ok(())
    })
    .await?;
    // Chains are flattened: what was a duplicate of this one is one of its original.
    for block in store.view(Some(&[finding.product])).await? {
        let followers = (block.iter()).filter(|f| f.duplicate_finding == Some(finding.id));
        for follower in followers {
            alter(store, Finding::clone(follower), |new, _| {
                if new.duplicate_finding == Some(finding.id) {
                    new.duplicate_finding = Some(original);
                }
                Ok(())
            })
            .await?;
        }
    }
    detail(&api, &finding).await
}

async fn reject(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response> {
    let finding = permitted(&api, caller, Permission::EditFinding, &id).await?;
    let by = caller.0.user;
    let finding = alter(&api.services.store, finding, |new, _| {
        proposed(new)?;
        new.proposed_duplicate = None;
        new.duplicate_by = Some(by);
        Ok(())
    })
    .await?;
    detail(&api, &finding).await
}

fn proposed(finding: &Finding) -> Result<FindingId> {
    finding.proposed_duplicate.ok_or_else(|| {
        ApiError::field(
            "proposed_duplicate",
            "Nothing is proposed for this finding.",
        )
    })
}

/// What a proposal leads to: the original of what has become a duplicate itself.
async fn original(store: &Store, proposed: FindingId) -> Result<FindingId> {
    let finding = match store.finding(proposed).await {
        Err(error) if error.is_not_found() => {
            let message = format!("Finding {proposed} is gone; reject the proposal.");
            return Err(ApiError::field("proposed_duplicate", message));
        }
        other => other?,
    };
    Ok(finding.duplicate_finding.unwrap_or(proposed))
}

fn become_duplicate(finding: &mut Finding, original: FindingId, by: UserId, now: Timestamp) {
    finding.set_flags(as_duplicate(finding.flags), Some(by), now);
    finding.duplicate_finding = Some(original);
    finding.proposed_duplicate = None;
    finding.duplicate_by = Some(by);
}

/// Changes a finding, again where somebody else was quicker.
async fn alter(
    store: &Store,
    finding: Finding,
    change: impl Fn(&mut Finding, Timestamp) -> Result<()>,
) -> Result<Finding> {
    let id = finding.id;
    let mut old = finding;
    for _ in 0..TRIES {
        let mut new = old.clone();
        change(&mut new, Timestamp::now())?;
        if new == old {
            return Ok(old);
        }
        let update = Change::Update {
            old: Box::new(old),
            new: Box::new(new.clone()),
        };
        if store.commit(&commit(&new, update)).await? == Committed::Yes {
            new.version += 1;
            return Ok(new);
        }
        old = store.finding(id).await?;
    }
    Err(StoreError::Contention(format!("finding {id}")).into())
}
