//! Duplicates that are proposed: a person confirms or rejects them.

use axum::extract::{Path, State};
use axum::response::Response;
use tatami_auth::Permission;
use tatami_domain::{Finding, FindingId};
use tatami_duplicates::Duplicates;
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
    let finding = permitted(&api, &caller, Permission::EditFinding, &id).await?;
    let duplicates = Duplicates::new(&api.services.store, Some(caller.0.user));
    let finding = duplicates.link(finding.id, proposed(&finding)?).await?;
    detail(&api, &finding).await
}

async fn reject(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response> {
    let finding = permitted(&api, &caller, Permission::EditFinding, &id).await?;
    let by = caller.0.user;
    let finding = alter(&api.services.store, finding, |new| {
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

/// Changes a finding, again where somebody else was quicker.
async fn alter(
    store: &Store,
    finding: Finding,
    change: impl Fn(&mut Finding) -> Result<()>,
) -> Result<Finding> {
    let id = finding.id;
    let mut old = finding;
    for _ in 0..TRIES {
        let mut new = old.clone();
        change(&mut new)?;
        if new == old {
            return Ok(old);
        }
        let update = Change::Update {
            old: Box::new(old),
            new: Box::new(new.clone()),
        };
        if store.commit(&commit(&new, vec![update])).await? == Committed::Yes {
            new.version += 1;
            return Ok(new);
        }
        old = store.finding(id).await?;
    }
    Err(StoreError::Contention(format!("finding {id}")).into())
}
