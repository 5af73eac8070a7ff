//! The end of an import: closes what is gone, sums up, tells the others.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use tatami_domain::{
    Engagement, EngagementType, Finding, FindingId, Flags, IdSet, Import, ImportActions, ImportId,
    ImportKind, ImportState, Note, ProductId, Test, TestId,
};
use tatami_queue::{Outgoing, SlaMessage};
use tatami_runtime::Services;
use tatami_store::{Change, Commit, Committed, Marker, Sight, Store, StoreError};

use crate::plan::{CLOSED_BY_REPORT, REACTIVATED, Said, says};
use crate::{DedupError, delete, grouping, jira, told};

/// So many findings are closed in one transaction, each with its note.
const CLOSE: usize = 48;
/// How often closing is tried again when others change the same findings.
const TRIES: u32 = 20;

/// Finishes an import whose parts are all in. Harmless when it runs again or twice at once.
pub async fn run(services: &Services, import: ImportId) -> Result<(), DedupError> {
    let store = &services.store;
    let import = match store.import(import).await {
        // it was deleted with its test
        Err(error) if error.is_not_found() => return Ok(()),
        other => other?,
    };
    if import.state == ImportState::Done || import.deleted {
        return Box::pin(delete::lost(services, &import)).await.map(drop);
    }
    if Box::pin(delete::lost_place(services, &import)).await? {
        return Ok(());
    }
    let finished = Box::pin(finish(services, import.clone())).await;
    if Box::pin(delete::lost(services, &import)).await? {
        return Ok(());
    }
    match finished {
        Ok(product) => Ok(store.fold_counts(product).await?),
        Err(_) if Box::pin(delete::lost_place(services, &import)).await? => Ok(()),
        Err(error) => Err(error),
    }
}

async fn finish(services: &Services, mut import: Import) -> Result<ProductId, DedupError> {
    let store = &services.store;
    let missing = |what| DedupError::Incomplete(import.id, what);
    let product = import.product.ok_or_else(|| missing("product"))?;
    let test = import.test.ok_or_else(|| missing("test"))?;
    count_broken_off(store, &import).await?;
    let later = Later::read(store, &import, test).await?;
    close_unseen(store, &import, &later, product, test).await?;
    // what is added to a test that is there supersedes nothing
    let supersedes = import.options.kind == ImportKind::Import && import.options.test.is_none();
    if supersedes && import.options.closes_old() {
        close_superseded(store, &import, product, test).await?;
    }
    settle(store, &import, &later, product, test).await?;
    let mut actions = store.import_actions(import.id).await?;
    if !actions.gone.is_empty() {
        let gone = store.findings(actions.gone.iter()).await?;
        close(store, &import, &import, product, gone).await?;
        actions = store.import_actions(import.id).await?;
    }
    grouping::run(store, &import, &actions, test).await?;
    Box::pin(jira::push_groups(store, &import, &actions)).await?;
    import.counts = actions.counts();
    import.counts.untouched = (actions.untouched.iter())
        .filter(|id| !actions.created.contains(*id))
        .filter(|id| !actions.reactivated.contains(*id) && !actions.closed.contains(*id))
        .count() as u64;
    import.after = Some(store.test_counts(product, test).await?);
    let now = Timestamp::now();
    if import.replay.is_none() {
        update_test(store, &import, test, now).await?;
        Box::pin(told::run(store, &import, &actions, product, test)).await?;
    }
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
    store.end_import(test, import.id).await?;
    tracing::info!(import = %import.id, counts = ?import.counts, "import done");
    Ok(product)
}

/// Where the report was read more than once, some of the first readings' chunks may have been committed
/// and their parts never done: what they did is of this import too. To the last reading it was there
/// already.
async fn count_broken_off(store: &Store, import: &Import) -> Result<(), StoreError> {
    let progress = store.progress(import.id).await?;
    let first = progress.parts.map_or(0, |parts| parts.start);
    if first == 0 || import.reading == import.sequence {
        return Ok(());
    }
    let actions = store.chunk_actions_before(import.id, first).await?;
    if actions != ImportActions::default() {
        // No reading has as many parts as there are numbers for.
        store.put_part(import.id, first - 1, &actions).await?;
    }
    Ok(())
}

/// The imports of the test that took their places after one. Reports are read side by side and their
/// parts come in any order; what counts in the end is the word of the latest.
struct Later {
    imports: Vec<(Import, ImportActions)>,
    /// Place of the latest one of them that is in whole and closes what it doesn't have.
    closer: Option<usize>,
}

impl Later {
    async fn read(store: &Store, import: &Import, test: TestId) -> Result<Self, StoreError> {
        let mut imports = Vec::new();
        let mut closer = None;
        for other in store.imports_after(test, import.sequence).await? {
            let reads = other.options.kind == ImportKind::Reimport;
            if other.id == import.id || !reads || other.state == ImportState::Failed {
                continue;
            }
            // An import that is in whole looks for what is gone only afterwards: it either finds what
            // this one has written, or is found here.
            let same_service = other.options.service == import.options.service;
            let whole = store.progress(other.id).await?.is_complete();
            if whole && same_service && other.options.closes_old() {
                closer = Some(imports.len());
            }
            let actions = store.import_actions(other.id).await?;
            imports.push((other, actions));
        }
        Ok(Self { imports, closer })
    }

    /// The latest of them that has the finding, and in what state.
    fn word(&self, id: FindingId) -> Option<(&Import, Flags)> {
        let mut newest = self.imports.iter().rev();
        newest.find_map(|(import, actions)| Some((import, actions.word(id)?)))
    }

    /// Does the latest that closes what it doesn't have lack the finding, and each one after it?
    fn lack(&self, finding: &Finding) -> bool {
        let Some(place) = self.closer else {
            return false;
        };
        let from = &self.imports[place..];
        let service = from[0].0.options.service.as_deref();
        same_service(finding.service.as_deref(), service)
            && !from.iter().any(|(_, did)| did.seen.contains(finding.id))
    }
}

/// Closes the open findings of the test that the report, and every later one, no longer has. Where a
/// later one is in already, it is the one that closes.
async fn close_unseen(
    store: &Store,
    import: &Import,
    later: &Later,
    product: ProductId,
    test: TestId,
) -> Result<(), DedupError> {
    let own = import.options.kind == ImportKind::Reimport && import.options.closes_old();
    let (by, still) = match later.closer {
        Some(place) => (&later.imports[place].0, &later.imports[place..]),
        None if own => (import, later.imports.as_slice()),
        None => return Ok(()),
    };
    let mut keep = IdSet::default();
    for (_, actions) in still {
        keep.extend(&actions.seen);
    }
    if later.closer.is_none() {
        keep.extend(&store.import_actions(import.id).await?.seen);
    }
    let mut gone = Vec::new();
    let see = |finding: &Arc<Finding>| {
        if finding.flags.active
            && !keep.contains(finding.id)
            && same_service(finding.service.as_deref(), by.options.service.as_deref())
        {
            gone.push(Finding::clone(finding));
        }
    };
    store.sweep(Sight::Test(product, test), see).await?;
    close(store, import, by, product, gone).await
}

/// Gives the findings that imports side by side have changed the state that the latest of them says.
/// Whichever of two is finished last sees all of the other: either this one is the later, and looks
/// at what those beside it did, or it looks at what the later ones say of what it did itself.
async fn settle(
    store: &Store,
    import: &Import,
    later: &Later,
    product: ProductId,
    test: TestId,
) -> Result<(), DedupError> {
    let reads = |other: &Import| other.options.kind == ImportKind::Reimport;
    if later.imports.is_empty() && (import.beside.is_empty() || !reads(import)) {
        return Ok(());
    }
    let own = store.import_actions(import.id).await?;
    let changed = |actions: &ImportActions| {
        let mut all = actions.closed.clone();
        all.extend(&actions.reactivated);
        all.extend(&actions.created);
        all
    };
    let mut words: BTreeMap<FindingId, (Flags, &Import)> = BTreeMap::new();
    for id in changed(&own).iter() {
        if let Some((other, flags)) = later.word(id) {
            words.insert(id, (flags, other));
        }
    }
    if reads(import) {
        for beside in store.imports(import.beside.iter().copied()).await? {
            if beside.test != Some(test) || beside.sequence > import.sequence {
                continue;
            }
            for id in changed(&store.import_actions(beside.id).await?).iter() {
                if let (None, Some(flags)) = (later.word(id), own.word(id)) {
                    words.insert(id, (flags, import));
                }
            }
        }
    }
    let ids: Vec<FindingId> = words.keys().copied().collect();
    for some in ids.chunks(CLOSE) {
        let findings = store.findings(some.iter().copied()).await?;
        let apply = |finding: &Finding, now: Timestamp| {
            let (flags, by) = words.get(&finding.id)?;
            if later.lack(finding) {
                return None;
            }
            match says(finding, *flags, by, now) {
                Said::Nothing | Said::StaysClosed => None,
                Said::Reopened(new) => Some((*new, REACTIVATED.to_owned())),
                Said::Closed(new) => Some((*new, CLOSED_BY_REPORT.to_owned())),
            }
        };
        change_some(store, import, product, test, findings, apply).await?;
    }
    Ok(())
}

/// Closes the findings of other tests of the same type, in the engagement or the product, that the
/// new report no longer has.
async fn close_superseded(
    store: &Store,
    import: &Import,
    product: ProductId,
    test: TestId,
) -> Result<(), DedupError> {
    let mut here: HashSet<String> = HashSet::new();
    let own = |finding: &Arc<Finding>| here.extend(finding.keys.iter().cloned());
    store.sweep(Sight::Test(product, test), own).await?;
    let in_scope = |f: &Finding| {
        import.options.close_old_findings_product_scope || Some(f.engagement) == import.engagement
    };
    let mut gone = Vec::new();
    let see = |f: &Arc<Finding>| {
        if f.test != test
            && Some(f.test_type) == import.test_type
            && in_scope(f)
            && (f.flags.active || f.flags.risk_accepted)
            && !f.flags.is_mitigated
            && same_service(f.service.as_deref(), import.options.service.as_deref())
            && !f.keys.iter().any(|key| here.contains(key))
        {
            gone.push(Finding::clone(f));
        }
    };
    store.sweep(Sight::Products(&[product]), see).await?;
    close(store, import, import, product, gone).await
}

fn same_service(a: Option<&str>, b: Option<&str>) -> bool {
    a.unwrap_or_default() == b.unwrap_or_default()
}

/// Closes findings in the name of the import `by`, and notes it on `import`, which is being finished.
async fn close(
    store: &Store,
    import: &Import,
    by: &Import,
    product: ProductId,
    gone: Vec<Finding>,
) -> Result<(), DedupError> {
    let mut by_test: BTreeMap<TestId, Vec<Finding>> = BTreeMap::new();
    for finding in gone {
        by_test.entry(finding.test).or_default().push(finding);
    }
    let apply = |finding: &Finding, now: Timestamp| {
        let still =
            (finding.flags.active || finding.flags.risk_accepted) && !finding.flags.is_mitigated;
        if !still {
            return None;
        }
        let mut new = finding.clone();
        let flags = Flags {
            active: false,
            is_mitigated: true,
            ..finding.flags
        };
        new.set_flags(flags, by.by, now);
        new.mitigated = Some(mitigated_at(by.scan_date, now));
        Some((new, format!("Closed: import {} no longer has it.", by.id)))
    };
    for (test, findings) in by_test {
        for some in findings.chunks(CLOSE) {
            change_some(store, import, product, test, some.to_vec(), apply).await?;
        }
    }
    Ok(())
}

/// Changes findings of a test, each with a note, in one transaction; decided again where somebody else
/// changed one of them.
async fn change_some(
    store: &Store,
    import: &Import,
    product: ProductId,
    test: TestId,
    mut findings: Vec<Finding>,
    apply: impl Fn(&Finding, Timestamp) -> Option<(Finding, String)>,
) -> Result<(), DedupError> {
    for attempt in 0..TRIES {
        if attempt > 0 {
            let ids: Vec<FindingId> = findings.iter().map(|f| f.id).collect();
            findings = store.findings(ids).await?;
        }
        let now = Timestamp::now();
        let wanted: Vec<_> = (findings.iter())
            .filter_map(|old| Some((old, apply(old, now)?)))
            .collect();
        let Some((first, _)) = wanted.first() else {
            return Ok(());
        };
        let unique = format!("{}.{}.{}", first.id, first.version, wanted.len());
        let owners = wanted.iter().map(|(old, _)| old.id).collect();
        let ids = store.note_ids(product, owners).await?;
        let mut actions = ImportActions::default();
        let mut changes = Vec::new();
        let mut notes = Vec::new();
        for ((old, (new, entry)), id) in wanted.into_iter().zip(ids) {
            let actions = if new.flags.active {
                &mut actions.reactivated
            } else {
                &mut actions.closed
            };
            actions.insert(old.id);
            notes.push((old.id, Note::new(id, entry, import.by, now)));
            changes.push(Change::Update {
                old: Box::new(old.clone()),
                new: Box::new(new),
            });
        }
        let commit = Commit {
            product,
            changes,
            claims: Vec::new(),
            notes,
            unique: format!("I{}.X.{unique}", import.id),
            events: Vec::new(),
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
            test.api_scan_configuration = options
                .api_scan_configuration
                .or(test.api_scan_configuration);
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
