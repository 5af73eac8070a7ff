//! The job that brings findings in line with settings after these changed, one block a message.
//!
//! It goes over the blocks twice. First findings get the keys that will count beside those that do;
//! then the settings change over, so that a re-import finds every finding before and after; then, once
//! imports that were read by the old settings are through, the old keys go and duplicates are decided
//! anew, in the order of ids. Settings that make the same keys and only decide otherwise count at once;
//! the job begins with its second walk. Before a block is touched, what may change of it is kept in S3: rolling
//! back is the same walk towards that. Every write is conditional, and what is done isn't done again.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tatami_blobs::BlobError;
use tatami_dedup_rules::{Keys, reconsider, stand};
use tatami_domain::{
    BlockId, DedupeLevel, DedupeScope, DedupeSettings, Finding, FindingId, Flags, MAX_REHASH_NOTES,
    RehashCounts, RehashJob, RehashJobId, RehashPhase, RehashSaved, RehashState, Test,
};
use tatami_queue::{FindingsMessage, Outgoing};
use tatami_rehash::{Rekey, Wanted};
use tatami_runtime::Services;
use tatami_store::{Change, Claim, Commit, Committed, Member, Scope, Store, StoreError};

use crate::DedupError;

/// How often a block is thought through again when others change the same findings.
const TRIES: u32 = 20;
/// How often findings that came meanwhile are given their keys before the settings change over.
const ROUNDS: u32 = 3;
/// So long a job waits before it looks again for imports under the settings that counted before.
const WAIT_S: u16 = 5;
/// After so long it goes on: such an import hangs.
const WAIT_MOST: SignedDuration = SignedDuration::from_hours(1);
/// A finding and its claims take so many items of a transaction; the delta, the marker and what
/// follows for JIRA take the last.
const ITEMS: usize = Commit::MAX_ITEMS - 3;

/// Does one step of a job and sends for the next.
pub async fn run(services: &Services, id: RehashJobId, step: u64) -> Result<(), DedupError> {
    let store = &services.store;
    let mut job = match store.rehash_job(id).await {
        Err(error) if error.is_not_found() => return Ok(()),
        other => other?,
    };
    if !job.state.is_active() {
        return Ok(());
    }
    if job.step == step + 1 {
        // It came again: whoever did the step may have been stopped before the message for the next.
        return send(services, &job, None).await;
    }
    if job.step != step {
        return Ok(());
    }
    let now = Timestamp::now();
    let blocks = store.blocks_of(job.scope).await?;
    let next = (blocks.iter().map(|(block, _)| *block))
        .find(|block| job.cursor.is_none_or(|cursor| *block > cursor));
    let mut wait = None;
    match (job.phase, next) {
        (RehashPhase::Adding, Some(block)) => {
            job.round_wrote |= walk(services, &mut job, block).await?;
            job.passed(block);
        }
        (RehashPhase::Adding, None) if job.round_wrote && job.rounds < ROUNDS => {
            job.rounds += 1;
            job.begin(RehashPhase::Adding, blocks.len());
        }
        (RehashPhase::Adding, None) => {
            change_over(store, &job).await?;
            job.begin(RehashPhase::Settling, blocks.len());
        }
        (RehashPhase::Settling, Some(_))
            if job.cursor.is_none() && waits(&job, now) && under_way(store, &job).await? =>
        {
            job.waiting_since.get_or_insert(now);
            wait = Some(WAIT_S);
        }
        (RehashPhase::Settling, Some(block)) => {
            walk(services, &mut job, block).await?;
            job.passed(block);
        }
        (RehashPhase::Settling, None) => {
            release(store, &job).await?;
            job.state = if job.back {
                RehashState::RolledBack
            } else {
                RehashState::Done
            };
            job.finished = Some(now);
        }
    }
    job.step += 1;
    job.updated = now;
    if !store.put_rehash_job(&job).await? {
        return Ok(()); // the same message, elsewhere, was quicker
    }
    if job.state.is_active() {
        send(services, &job, wait).await?;
    } else {
        tracing::info!(job = %job.id, counts = ?job.counts, "re-hash job done");
    }
    Ok(())
}

/// May it wait for imports any longer?
fn waits(job: &RehashJob, now: Timestamp) -> bool {
    job.waiting_since
        .is_none_or(|since| now.duration_since(since) < WAIT_MOST)
}

/// Says on a job that one of its messages goes to the dead-letter queue.
pub async fn give_up(
    services: &Services,
    id: RehashJobId,
    error: &DedupError,
) -> Result<(), StoreError> {
    let mut job = match services.store.rehash_job(id).await {
        Err(error) if error.is_not_found() => return Ok(()),
        other => other?,
    };
    if job.state.is_active() {
        job.state = RehashState::Failed;
        job.updated = Timestamp::now();
        if job.errors.len() < MAX_REHASH_NOTES {
            job.errors.push(error.to_string());
        }
        services.store.put_rehash_job(&job).await?;
    }
    Ok(())
}

async fn send(services: &Services, job: &RehashJob, wait: Option<u16>) -> Result<(), DedupError> {
    let message = FindingsMessage::Rehash {
        job: job.id,
        step: job.step,
    };
    let body = tatami_queue::write(&message)?;
    if let Some(seconds) = wait {
        services.findings.send_later(body, seconds).await?;
    } else {
        let message = Outgoing { body, import: None };
        services.findings.send([message]).await?;
    }
    Ok(())
}

fn wanted(job: &RehashJob, settings: &DedupeSettings) -> Wanted {
    Wanted {
        scope: job.scope,
        test_type: job.test_type.clone(),
        settings: settings.clone(),
        scanners: job.scanners.clone(),
    }
}

/// Changes a level until nobody else is quicker.
async fn change_level(
    store: &Store,
    scope: DedupeScope,
    change: impl Fn(&mut DedupeLevel),
) -> Result<(), StoreError> {
    for _ in 0..TRIES {
        let old = store.dedupe_level(scope).await?;
        let mut level = old.clone();
        change(&mut level);
        if level == old || store.put_dedupe_level(&level).await? {
            return Ok(());
        }
    }
    Err(StoreError::Contention("deduplication settings".into()))
}

/// From here on the settings count that the job is on the way to.
async fn change_over(store: &Store, job: &RehashJob) -> Result<(), StoreError> {
    let to = job.to_from().0;
    change_level(store, job.scope, |level| {
        level.test_type.clone_from(&job.test_type);
        level.settings = to.clone();
        level.pending = None;
    })
    .await
}

/// The level is free for the next change.
async fn release(store: &Store, job: &RehashJob) -> Result<(), StoreError> {
    change_level(store, job.scope, |level| {
        if level.job == Some(job.id) {
            level.job = None;
        }
    })
    .await
}

/// Are imports under way whose report was read by other settings than those that count now?
async fn under_way(store: &Store, job: &RehashJob) -> Result<bool, DedupError> {
    let tests: Vec<Test> = match job.scope {
        DedupeScope::Product(product) => {
            let mut tests = Vec::new();
            for engagement in store.engagements_of(product).await? {
                tests.extend(store.tests_of(engagement.id).await?);
            }
            tests
        }
        DedupeScope::System | DedupeScope::TestType(_) => store.list().await?,
    };
    let wanted = wanted(job, job.to_from().0);
    for test in tests {
        for import in store.imports_of(test.id).await? {
            if import.state.is_final() {
                continue;
            }
            let levels = store.dedupe_levels(test.product).await?;
            let name = import.scan_type.as_deref().unwrap_or_default();
            let now = wanted.resolve(&levels, Some(name), name);
            if import.settings.as_ref().is_some_and(|then| *then != now) {
                tracing::info!(job = %job.id, import = %import.id, "waiting for an import");
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// What a walk over a block works with.
struct World {
    /// The block's findings that are affected, by id.
    findings: Vec<Finding>,
    /// The keys that they shall have.
    targets: HashMap<FindingId, Keys>,
    claims: HashMap<Scope, HashMap<String, Claim>>,
    /// Those, and all that they are compared with.
    known: HashMap<FindingId, Finding>,
}

/// A finding that changes, and its claims that do.
struct Update {
    old: Finding,
    new: Finding,
    scope: Scope,
    claims: Vec<String>,
}

/// Brings one block where the job's phase wants it. Was anything written?
async fn walk(
    services: &Services,
    job: &mut RehashJob,
    block: BlockId,
) -> Result<bool, DedupError> {
    let store = &services.store;
    let wanted = wanted(job, job.to_from().0);
    let mut wrote = false;
    for attempt in 0..TRIES {
        if attempt > 0 {
            pause(attempt).await;
            if store.rehash_job(job.id).await?.step != job.step {
                return Ok(wrote); // somebody else did the step
            }
        }
        let mut findings = store.findings_in(&[block]).await?;
        let mut rekey = Rekey::new(store, &services.blobs, &wanted);
        rekey.prepare(findings.iter()).await?;
        findings.retain(|finding| rekey.is_affected(finding));
        let saved = if job.back {
            // findings that came after the job go by the settings alone
            match services.blobs.kept_before(job.id, block).await {
                Err(BlobError::NotFound { .. }) => Vec::new(),
                other => other?,
            }
        } else {
            let now = || findings.iter().map(RehashSaved::from).collect();
            services.blobs.keep_before(job.id, block, now).await?
        };
        let saved: HashMap<FindingId, RehashSaved> =
            saved.into_iter().map(|saved| (saved.id, saved)).collect();
        let mut world = look(store, &rekey, findings, job.back.then_some(&saved)).await?;
        let updates = match job.phase {
            RehashPhase::Adding => world.add(&rekey),
            RehashPhase::Settling => world.settle(&rekey, job.back.then_some(&saved)),
        };
        wrote |= !updates.is_empty();
        if commit(store, job, updates, &mut world.claims).await? {
            if job.phase == RehashPhase::Settling && !job.back {
                job.counts += counts(&world, &saved);
            }
            return Ok(wrote);
        }
    }
    Err(StoreError::Contention(format!("block {block}")).into())
}

/// Against what was kept, so that a walk done twice counts once.
fn counts(world: &World, saved: &HashMap<FindingId, RehashSaved>) -> RehashCounts {
    let mut counts = RehashCounts::default();
    for finding in &world.findings {
        if let (Some(before), Some(after)) = (saved.get(&finding.id), world.known.get(&finding.id))
        {
            counts.add(before, after);
        }
    }
    counts
}

/// Reads what decisions about these findings need. `saved`: what they shall go back to.
async fn look(
    store: &Store,
    rekey: &Rekey<'_>,
    findings: Vec<Finding>,
    saved: Option<&HashMap<FindingId, RehashSaved>>,
) -> Result<World, DedupError> {
    let mut targets = HashMap::with_capacity(findings.len());
    let mut keys: HashMap<Scope, HashSet<String>> = HashMap::new();
    for finding in &findings {
        let target = match saved.and_then(|saved| saved.get(&finding.id)) {
            Some(saved) => Keys {
                keys: saved.keys.clone(),
                hash_code: saved.hash_code.clone(),
            },
            None => rekey.keys(finding).await?,
        };
        let of_scope = keys.entry(rekey.scope(finding)).or_default();
        of_scope.extend(target.keys.iter().chain(&finding.keys).cloned());
        targets.insert(finding.id, target);
    }
    let mut claims = HashMap::new();
    for (scope, keys) in keys {
        let of_scope = store.claims(scope, keys.iter().map(String::as_str)).await?;
        claims.insert(scope, of_scope);
    }
    let originals = (claims.values().flat_map(HashMap::values)).flat_map(Claim::originals);
    let wanted: HashSet<FindingId> = originals
        .chain(findings.iter().filter_map(|f| f.duplicate_finding))
        .collect();
    let others = store.findings(wanted).await?;
    let mut known: HashMap<FindingId, Finding> = others.into_iter().map(|f| (f.id, f)).collect();
    known.extend(findings.iter().map(|f| (f.id, f.clone())));
    Ok(World {
        findings,
        targets,
        claims,
        known,
    })
}

impl World {
    /// Gives findings the keys that will count beside those that do.
    fn add(&mut self, rekey: &Rekey<'_>) -> Vec<Update> {
        let mut updates = Vec::new();
        for old in &self.findings {
            let Some(target) = self.targets.get(&old.id) else {
                continue;
            };
            let mut keys = target.keys.clone();
            keys.extend(
                old.keys
                    .iter()
                    .filter(|key| !target.keys.contains(key))
                    .cloned(),
            );
            let added: Vec<&String> = (keys.iter())
                .filter(|key| !old.keys.contains(key))
                .collect();
            if added.is_empty() {
                continue;
            }
            let scope = rekey.scope(old);
            let mut touched = Vec::new();
            for key in added {
                if let Some(claim) = claim(&mut self.claims, scope, key) {
                    claim.mark(member(old));
                    touched.push(key.clone());
                }
            }
            let new = Finding {
                keys,
                ..old.clone()
            };
            self.known.insert(new.id, new.clone());
            updates.push(Update {
                old: old.clone(),
                new,
                scope,
                claims: touched,
            });
        }
        updates
    }

    /// Takes the keys away that no longer count, and decides about duplicates, in the order of ids.
    fn settle(
        &mut self,
        rekey: &Rekey<'_>,
        saved: Option<&HashMap<FindingId, RehashSaved>>,
    ) -> Vec<Update> {
        let now = Timestamp::now();
        let mut updates = Vec::new();
        for old in &self.findings {
            let Some(target) = self.targets.get(&old.id) else {
                continue;
            };
            let scope = rekey.scope(old);
            let mut new = Finding {
                keys: target.keys.clone(),
                hash_code: target.hash_code.clone(),
                ..old.clone()
            };
            if let Some(saved) = saved.and_then(|saved| saved.get(&old.id)) {
                restore(&mut new, saved, now);
            } else {
                let claims = self.claims.get(&scope);
                let known = &self.known;
                let claimed = (new.keys.iter())
                    .filter_map(|key| claims?.get(key))
                    .flat_map(Claim::originals);
                let same_key: Vec<&Finding> = (claimed.chain(old.duplicate_finding))
                    .filter_map(|id| known.get(&id))
                    .filter(|other| other.keys.iter().any(|key| target.keys.contains(key)))
                    .collect();
                let standing = reconsider(old, &same_key, &rekey.settings(old));
                stand(&mut new, standing, now);
            }
            self.known.insert(new.id, new.clone());
            if new == *old {
                continue;
            }
            let mut touched = Vec::new();
            for key in old.keys.iter().filter(|key| !new.keys.contains(key)) {
                if let Some(claim) = claim(&mut self.claims, scope, key) {
                    claim.remove(new.id);
                    touched.push(key.clone());
                }
            }
            let moved = new.flags.duplicate != old.flags.duplicate;
            for key in new
                .keys
                .iter()
                .filter(|key| moved || !old.keys.contains(key))
            {
                if let Some(claim) = claim(&mut self.claims, scope, key) {
                    claim.mark(member(&new));
                    touched.push(key.clone());
                }
            }
            updates.push(Update {
                old: old.clone(),
                new,
                scope,
                claims: touched,
            });
        }
        updates
    }
}

fn claim<'c>(
    claims: &'c mut HashMap<Scope, HashMap<String, Claim>>,
    scope: Scope,
    key: &str,
) -> Option<&'c mut Claim> {
    claims.get_mut(&scope)?.get_mut(key)
}

fn member(finding: &Finding) -> Member {
    Member {
        test: finding.test,
        finding: finding.id,
        original: !finding.flags.duplicate,
    }
}

/// Makes a finding the duplicate, or the original, that it was, unless a person has decided since.
fn restore(finding: &mut Finding, saved: &RehashSaved, now: Timestamp) {
    let same = finding.duplicate_finding == saved.duplicate_finding
        && finding.proposed_duplicate == saved.proposed_duplicate
        && finding.flags.duplicate == saved.flags.duplicate;
    if same || finding.duplicate_by != saved.duplicate_by {
        return;
    }
    let f = finding.flags;
    if f.duplicate != saved.flags.duplicate {
        let closed = f.is_mitigated || f.false_p || f.out_of_scope || f.risk_accepted;
        let flags = Flags {
            duplicate: saved.flags.duplicate,
            active: saved.flags.active && !closed,
            verified: saved.flags.verified && !f.false_p,
            ..f
        };
        finding.set_flags(flags, None, now);
    }
    finding.duplicate_finding = saved.duplicate_finding;
    finding.proposed_duplicate = saved.proposed_duplicate;
}

/// Writes updates, as many at once as a transaction takes; `false` where somebody else was quicker with
/// one of them.
async fn commit(
    store: &Store,
    job: &RehashJob,
    updates: Vec<Update>,
    claims: &mut HashMap<Scope, HashMap<String, Claim>>,
) -> Result<bool, StoreError> {
    let mut some = Vec::new();
    let mut items = 0;
    for update in updates {
        let more = 1 + update.claims.len();
        if items + more > ITEMS {
            let full = std::mem::take(&mut some);
            if !commit_some(store, job, full, claims).await? {
                return Ok(false);
            }
            items = 0;
        }
        items += more;
        some.push(update);
    }
    commit_some(store, job, some, claims).await
}

async fn commit_some(
    store: &Store,
    job: &RehashJob,
    updates: Vec<Update>,
    claims: &mut HashMap<Scope, HashMap<String, Claim>>,
) -> Result<bool, StoreError> {
    let Some(first) = updates.first() else {
        return Ok(true);
    };
    let touched: HashSet<(Scope, String)> = (updates.iter())
        .flat_map(|update| update.claims.iter().map(|key| (update.scope, key.clone())))
        .collect();
    let commit = Commit {
        product: first.new.product,
        unique: format!("R{}.{}.{}", job.id, first.new.id, first.old.version),
        claims: (touched.iter())
            .filter_map(|(scope, key)| claims.get(scope)?.get(key).cloned())
            .collect(),
        notes: Vec::new(),
        events: Vec::new(),
        marker: None,
        changes: (updates.into_iter())
            .map(|update| Change::Update {
                old: Box::new(update.old),
                new: Box::new(update.new),
            })
            .collect(),
    };
    if store.commit(&commit).await? == Committed::Conflict {
        return Ok(false);
    }
    for (scope, key) in touched {
        if let Some(claim) = claim(claims, scope, &key) {
            claim.written();
        }
    }
    Ok(true)
}

async fn pause(attempt: u32) {
    let most = 20u64 << attempt.min(6);
    tokio::time::sleep(Duration::from_millis(rand::random_range(most / 2..=most))).await;
}
