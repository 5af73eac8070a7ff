//! Orders to bring several things into JIRA: one after the other, with what became of each.

use tatami_domain::{JiraPush, JiraPushId, JiraPushResult};
use tatami_store::StoreError;

use crate::context::Context;
use crate::error::{JiraFunctionError, Result};
use crate::fields::Order;
use crate::sync::{Outcome, sync};
use crate::thing::{get, there};

/// Works an order off, from where it was left.
pub(crate) async fn ordered(ctx: &Context, id: JiraPushId) -> Result<()> {
    let Some(push) = get::<JiraPush>(&ctx.store, id).await? else {
        return Ok(());
    };
    let text = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    let order = Order {
        priority: text(&push.priority),
        assignee: text(&push.assignee),
        comment: text(&push.comment),
        epic: text(&push.summary),
        name: format!("push-{id}"),
    };
    let mut failed = None;
    for (n, result) in push.results.iter().enumerate() {
        if result.done {
            continue;
        }
        if ctx.is_late() {
            return Err(JiraFunctionError::Unfinished);
        }
        match sync(ctx, result.object, Some(&order)).await {
            Ok(outcome) => note(ctx, id, n, outcome).await?,
            Err(error @ JiraFunctionError::Later { .. }) => failed = failed.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }
    let now = ctx.store.now();
    let finished = ctx.store.change(id, |push: &mut JiraPush| {
        push.finished = push.finished.or(Some(now));
        Ok::<_, StoreError>(())
    });
    there(finished.await)?;
    Ok(())
}

async fn note(ctx: &Context, id: JiraPushId, n: usize, outcome: Outcome) -> Result<()> {
    let (jira_key, error) = match outcome {
        Ok(key) => (key, None),
        Err(why) => (None, Some(why)),
    };
    let noted = ctx.store.change(id, |push: &mut JiraPush| {
        if let Some(result) = push.results.get_mut(n) {
            *result = JiraPushResult {
                object: result.object,
                done: true,
                jira_key: jira_key.clone().or_else(|| result.jira_key.clone()),
                error: error.clone(),
            };
        }
        Ok::<_, StoreError>(())
    });
    there(noted.await)?;
    Ok(())
}
