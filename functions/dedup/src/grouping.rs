//! Finding groups at the end of an import that asks for them.

use tatami_domain::{Import, ImportActions, Test, TestId};
use tatami_store::{Grouping, Store, StoreError};

/// Puts the findings that the import created into the groups that its `group_by` wants. Without one it
/// costs nothing.
pub async fn run(
    store: &Store,
    import: &Import,
    actions: &ImportActions,
    test: TestId,
) -> Result<(), StoreError> {
    let Some(by) = import.options.group_by else {
        return Ok(());
    };
    if actions.created.is_empty() {
        return Ok(());
    }
    let test: Test = store.get(test).await?;
    let grouping = Grouping {
        test: &test,
        by,
        singles: import.options.groups_single_findings(),
        findings: Some(&actions.created),
        creator: import.by,
        import: Some(import.id),
    };
    let done = store.group_findings(&grouping).await?;
    tracing::info!(import = %import.id, groups = done.created, findings = done.findings, "grouped");
    Ok(())
}
