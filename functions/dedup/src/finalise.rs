//! The end of an import: closes what is gone, sums up, tells the others.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use tatami_domain::{
    Engagement, EngagementType, Finding, FindingId, Flags, IdSet, Import, ImportActions, ImportId,
    ImportKind, ImportState, Note, ProductId, Test, TestId,
};
use tatami_queue::{Outgoing, SlaMessage};
use tatami_runtime::Services;
use tatami_store::{Change, Commit, Committed, Marker, Store, StoreError};

use crate::DedupError;

/// So many findings are closed in one transaction, each with its note.
const CLOSE: usize = 48;
/// How often closing is tried again when others change the same findings.
const TRIES: u32 = 20;

/// Finishes an import whose parts are all in. Harmless when it runs again or twice at once.
pub async fn run(services: &Services, import: ImportId) -> Result<(), DedupError> {
    let store = &services.store;
    let mut import = store.import(import).await?;
    if import.state == ImportState::Done {
        return Ok(());
    }
    let missing = |what| DedupError::Incomplete(import.id, what);
    let product = import.product.ok_or_else(|| missing("product"))?;
    let test = import.test.ok_or_else(|| missing("test"))?;
    if import.options.closes_old() {
        match import.options.kind {
            ImportKind::Reimport => close_unseen(store, &import, product, test).await?,
            // what is added to a test that is there supersedes nothing
            ImportKind::Import if import.options.test.is_some() => {}
            ImportKind::Import => close_superseded(store, &import, product, test).await?,
        }
    }
    let actions = store.import_actions(import.id).await?;
    import.counts = actions.counts();
    import.counts.untouched = (actions.untouched.iter())
        .filter(|id| !actions.reactivated.contains(*id) && !actions.closed.contains(*id))
        .count() as u64;
    import.after = Some(store.test_counts(product, test).await?);
    let now = Timestamp::now();
    update_test(store, &import, test, now).await?;
    let body = tatami_queue::write(&SlaMessage::Product { product })?;
    services.sla.send([Outgoing { body, import: None }]).await?;
    let failed = import.state == ImportState::Failed;
    import.state = ImportState::Done;
    import.error = None;
    import.finished = Some(now);
    if failed {
        store.revive_import(&import).await?;
    } else {
        store.save_import(&import).await?;
    }
    tracing::info!(import = %import.id, counts = ?import.counts, "import done");
    store.fold_counts(product).await?;
    Ok(())
}

/// Closes the open findings of the test that the report, and every later one that is on its way, no
/// longer has. The latest report that is in decides, whichever is finished last.
async fn close_unseen(
    store: &Store,
    import: &Import,
    product: ProductId,
    test: TestId,
) -> Result<(), DedupError> {
    let mut imports = store.imports_of(test).await?;
    imports.retain(|other| {
        let reads = other.options.kind == ImportKind::Reimport && other.sequence > 0;
        reads
            && other.state != ImportState::Failed
            && other.options.service == import.options.service
    });
    let finished = |other: &&Import| other.state == ImportState::Done || other.id == import.id;
    let latest = imports
        .iter()
        .filter(finished)
        .map(|other| other.sequence)
        .max();
    let latest = latest.unwrap_or(import.sequence).max(import.sequence);
    let mut keep = IdSet::default();
    for other in imports.iter().filter(|other| other.sequence >= latest) {
        keep.extend(&store.import_actions(other.id).await?.seen);
    }
    if latest == import.sequence {
        keep.extend(&store.import_actions(import.id).await?.seen);
    }
    let blocks = store.test_blocks(test).await?;
    let findings = store.findings_in(&blocks).await?;
    let gone = (findings.into_iter())
        .filter(|f| f.test == test && f.flags.active && !keep.contains(f.id))
        .filter(|f| same_service(f.service.as_deref(), import.options.service.as_deref()))
        .collect();
    close(store, import, product, gone).await
}

/// Closes the findings of other tests of the same type, in the engagement or the product, that the
/// new report no longer has.
async fn close_superseded(
    store: &Store,
    import: &Import,
    product: ProductId,
    test: TestId,
) -> Result<(), DedupError> {
    let mut findings = Vec::new();
    for block in store.view(Some(&[product])).await? {
        findings.extend(block.iter().cloned());
    }
    let here: HashSet<&str> = (findings.iter())
        .filter(|f| f.test == test)
        .flat_map(|f| f.keys.iter().map(String::as_str))
        .collect();
    let in_scope = |f: &Finding| {
        import.options.close_old_findings_product_scope || Some(f.engagement) == import.engagement
    };
    let gone = (findings.iter())
        .filter(|f| f.test != test && Some(f.test_type) == import.test_type && in_scope(f))
        .filter(|f| (f.flags.active || f.flags.risk_accepted) && !f.flags.is_mitigated)
        .filter(|f| same_service(f.service.as_deref(), import.options.service.as_deref()))
        .filter(|f| !f.keys.iter().any(|key| here.contains(key.as_str())))
        .map(|f| Finding::clone(f))
        .collect();
    close(store, import, product, gone).await
}

fn same_service(a: Option<&str>, b: Option<&str>) -> bool {
    a.unwrap_or_default() == b.unwrap_or_default()
}

async fn close(
    store: &Store,
    import: &Import,
    product: ProductId,
    gone: Vec<Finding>,
) -> Result<(), DedupError> {
    let mut by_test: BTreeMap<TestId, Vec<Finding>> = BTreeMap::new();
    for finding in gone {
        by_test.entry(finding.test).or_default().push(finding);
    }
    for (test, findings) in by_test {
        for some in findings.chunks(CLOSE) {
            close_some(store, import, product, test, some.to_vec()).await?;
        }
    }
    Ok(())
}

async fn close_some(
    store: &Store,
    import: &Import,
    product: ProductId,
    test: TestId,
    mut findings: Vec<Finding>,
) -> Result<(), DedupError> {
    for attempt in 0..TRIES {
        if attempt > 0 {
            let ids: Vec<FindingId> = findings.iter().map(|f| f.id).collect();
            findings = store.findings(ids).await?;
            findings.retain(|f| (f.flags.active || f.flags.risk_accepted) && !f.flags.is_mitigated);
        }
        let Some(first) = findings.first() else {
            return Ok(());
        };
        let now = Timestamp::now();
        let unique = format!("{}.{}.{}", first.id, first.version, findings.len());
        let mut actions = ImportActions::default();
        let mut changes = Vec::new();
        let mut notes = Vec::new();
        let ids = store.note_ids(findings.len() as u64).await?;
        for (old, note) in findings.iter().zip(ids) {
            let mut new = old.clone();
            let flags = Flags {
                active: false,
                is_mitigated: true,
                ..old.flags
            };
            new.set_flags(flags, import.by, now);
            new.mitigated = Some(mitigated_at(import.scan_date, now));
            actions.closed.insert(old.id);
            notes.push((old.id, note_of_closing(import, note, now)));
            changes.push(Change::Update {
                old: Box::new(old.clone()),
                new: Box::new(new),
            });
        }
        let commit = Commit {
            product,
            test,
            changes,
            claims: Vec::new(),
            notes,
            unique: format!("I{}.X.{unique}", import.id),
            marker: Some((
                Marker::Closing {
                    import: import.id,
                    unique,
                },
                actions,
            )),
        };
        if store.commit(&commit).await? == Committed::Yes {
            return Ok(());
        }
    }
    Err(StoreError::Contention(format!("findings of test {test}")).into())
}

fn note_of_closing(import: &Import, id: tatami_domain::NoteId, now: Timestamp) -> Note {
    Note {
        id,
        entry: format!("Closed: import {} no longer has it.", import.id),
        author: import.by,
        date: now,
        private: false,
        edited: false,
    }
}

/// The scan's day; for a scan of today, now.
fn mitigated_at(scan_date: Date, now: Timestamp) -> Timestamp {
    if scan_date == now.to_zoned(TimeZone::UTC).date() {
        return now;
    }
    scan_date
        .to_zoned(TimeZone::UTC)
        .map_or(now, |day| day.timestamp())
}

async fn update_test(
    store: &Store,
    import: &Import,
    test: TestId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let options = &import.options;
    let end = mitigated_at(import.scan_date, now);
    let test = store
        .change(test, |test: &mut Test| {
            test.percent_complete = 100;
            test.updated = now;
            test.target_end = test.target_end.max(end);
            test.scan_type
                .get_or_insert_with(|| import.scan_type.clone().unwrap_or_default());
            for (field, given) in [
                (&mut test.version, &options.version),
                (&mut test.build_id, &options.build_id),
                (&mut test.commit_hash, &options.commit_hash),
                (&mut test.branch_tag, &options.branch_tag),
            ] {
                if given.is_some() {
                    field.clone_from(given);
                }
            }
            for tag in &options.tags {
                if !test.tags.contains(tag) {
                    test.tags.push(tag.clone());
                }
            }
            Ok::<_, StoreError>(())
        })
        .await?;
    // An import shows that a CI/CD engagement is still going on.
    let engagement: Engagement = store.get(test.engagement).await?;
    let day = import.scan_date;
    if engagement.engagement_type == EngagementType::CiCd && engagement.target_end < day {
        store
            .change(engagement.id, |engagement: &mut Engagement| {
                engagement.target_end = engagement.target_end.max(day);
                engagement.updated = now;
                Ok::<_, StoreError>(())
            })
            .await?;
    }
    Ok(())
}
