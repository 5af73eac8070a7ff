//! One part of an import.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use tatami_domain::{
    BlockId, FindingId, Import, ImportActions, ImportId, ImportState, IssueRule, Note, ProductId,
    TestId,
};
use tatami_queue::Reported;
use tatami_runtime::Services;
use tatami_store::{Commit, Committed, Marker, Progress, Scope, Store, StoreError};

use crate::plan::{Plan, STAYS_CLOSED, World};
use crate::{DedupError, delete, finalise, jira};

/// How often a chunk is decided anew when others change the same claims.
const TRIES: u32 = 25;

/// Puts a part's findings into the store; the last part finishes the import.
pub async fn run(
    services: &Services,
    import: ImportId,
    part: u64,
    chunks: Vec<Vec<Reported>>,
) -> Result<(), DedupError> {
    let store = &services.store;
    let (import, progress) = match tokio::try_join!(store.import(import), store.progress(import)) {
        // it was deleted with its test
        Err(error) if error.is_not_found() => return Ok(()),
        read => read?,
    };
    if import.state == ImportState::Done || import.deleted {
        return Box::pin(delete::lost(services, &import)).await.map(drop);
    }
    let worked = work(services, &import, &progress, part, chunks).await;
    match worked {
        Ok(true) => Box::pin(finalise::run(services, import.id)).await,
        // Whoever writes looks afterwards whether it still has a place; finishing looks for itself.
        worked if Box::pin(delete::lost(services, &import)).await? => {
            drop(worked);
            Ok(())
        }
        Ok(false) => Ok(()),
        Err(_) if Box::pin(delete::lost_place(services, &import)).await? => Ok(()),
        Err(error) => Err(error),
    }
}

/// Does a part, if it isn't done. Is the import complete then?
async fn work(
    services: &Services,
    import: &Import,
    progress: &Progress,
    part: u64,
    chunks: Vec<Vec<Reported>>,
) -> Result<bool, DedupError> {
    let store = &services.store;
    if progress.done.contains(&part) {
        return Ok(progress.is_complete());
    }
    let mut worker = Worker::new(store, import)?;
    // what is grouped at the end is brought there in its groups
    if import.options.group_by.is_none() {
        worker.push = jira::rule(store, import).await?;
    }
    let actions = worker.part(part, chunks).await?;
    store.put_part(import.id, part, &actions).await?;
    Ok(store.part_done(import.id, part).await?.is_complete())
}

struct Worker<'a> {
    store: &'a Store,
    import: &'a Import,
    product: ProductId,
    test: TestId,
    scope: Scope,
    now: Timestamp,
    /// Ids given to this part and not used yet.
    ids: Vec<FindingId>,
    /// Which findings are brought into JIRA one by one.
    push: Option<IssueRule>,
}

impl<'a> Worker<'a> {
    fn new(store: &'a Store, import: &'a Import) -> Result<Self, DedupError> {
        let missing = |what| DedupError::Incomplete(import.id, what);
        let product = import.product.ok_or_else(|| missing("product"))?;
        let engagement = import.engagement.ok_or_else(|| missing("engagement"))?;
        Ok(Self {
            store,
            import,
            product,
            test: import.test.ok_or_else(|| missing("test"))?,
            scope: if import.engagement_scope {
                Scope::Engagement(engagement)
            } else {
                Scope::Product(product)
            },
            now: Timestamp::now(),
            ids: Vec::new(),
            push: None,
        })
    }

    async fn part(
        mut self,
        part: u64,
        chunks: Vec<Vec<Reported>>,
    ) -> Result<ImportActions, DedupError> {
        let done = self
            .store
            .chunk_actions(self.import.id, part, chunks.len())
            .await?;
        let mut all = ImportActions::default();
        let mut open = Vec::new();
        for ((chunk, findings), done) in (0u32..).zip(chunks).zip(done) {
            match done {
                Some(actions) => all.merge(&actions),
                None => open.push((chunk, findings)),
            }
        }
        let mut world = self
            .look(open.iter().flat_map(|(_, findings)| findings))
            .await?;
        let new: usize = (open.iter())
            .map(|(_, findings)| world.count_new(findings, self.import))
            .sum();
        self.allocate(new).await?;
        for (chunk, findings) in open {
            let actions = self.chunk(part, chunk, &findings, &mut world).await?;
            all.merge(&actions);
        }
        Ok(all)
    }

    /// Reads what decisions about these findings need.
    async fn look<'f>(
        &self,
        reported: impl Iterator<Item = &'f Reported> + Clone,
    ) -> Result<World, DedupError> {
        let matched = reported.clone().flat_map(|r| r.matched.iter().copied());
        let matched = self.store.findings(matched).await?;
        // The claims of a finding that moves are changed too.
        let moving: HashSet<FindingId> = (reported.clone())
            .filter(|r| r.replaces)
            .flat_map(|r| r.matched.iter().copied())
            .collect();
        let left = matched.iter().filter(|f| moving.contains(&f.id));
        let keys: HashSet<&str> = (reported.map(|r| &r.finding).chain(left))
            .flat_map(|f| &f.keys)
            .map(String::as_str)
            .collect();
        let claims = self.store.claims(self.scope, keys).await?;
        let mut world = World {
            of_test: HashMap::new(),
            push: self.push,
            findings: matched.into_iter().map(|f| (f.id, f)).collect(),
            claims,
        };
        let cut = |c: &tatami_store::Claim| c.overflow && c.of_test(self.test).next().is_none();
        if world.claims.values().any(cut) {
            let blocks = self.store.test_blocks(self.test).await?;
            for finding in self.store.findings_in(&blocks).await? {
                if finding.test != self.test {
                    continue;
                }
                for key in finding
                    .keys
                    .iter()
                    .filter(|key| world.claims.contains_key(*key))
                {
                    world
                        .of_test
                        .entry(key.clone())
                        .or_default()
                        .push(finding.id);
                }
            }
        }
        for finding in self.store.findings(world.wanted(self.test)).await? {
            world.findings.insert(finding.id, finding);
        }
        Ok(world)
    }

    async fn allocate(&mut self, n: usize) -> Result<(), DedupError> {
        if n == 0 {
            return Ok(());
        }
        let mut ids = self.store.allocate(self.product, n as u64).await?;
        let mut blocks: Vec<BlockId> = ids.iter().map(|id| id.block()).collect();
        blocks.dedup();
        self.store.add_test_blocks(self.test, &blocks).await?;
        ids.reverse(); // taken from the end, lowest first
        self.ids.splice(0..0, ids);
        Ok(())
    }

    async fn chunk(
        &mut self,
        part: u64,
        chunk: u32,
        findings: &[Reported],
        world: &mut World,
    ) -> Result<ImportActions, DedupError> {
        for attempt in 0..TRIES {
            if attempt > 0 {
                // Somebody holds one of the keys now: look again, a little later each time.
                pause(attempt).await;
                let done = self
                    .store
                    .chunk_actions(self.import.id, part, chunk as usize + 1)
                    .await?;
                if let Some(Some(actions)) = done.into_iter().next_back() {
                    return Ok(actions);
                }
                world.renew(self.look(findings.iter()).await?);
                let missing = world
                    .count_new(findings, self.import)
                    .saturating_sub(self.ids.len());
                self.allocate(missing).await?;
            }
            let before = self.ids.clone();
            let ids = &mut self.ids;
            let mut next = std::iter::from_fn(|| ids.pop());
            let plan = world.plan(findings, self.import, &mut next, self.now);
            self.note_what_stays_closed(&plan).await?;
            if plan.is_empty() {
                return Ok(plan.actions);
            }
            let (actions, keys) = (plan.actions.clone(), plan.claims.clone());
            if self.commit(part, chunk, attempt, plan, world).await? == Committed::Yes {
                for key in keys {
                    if let Some(claim) = world.claims.get_mut(&key) {
                        claim.written();
                    }
                }
                return Ok(actions);
            }
            self.ids = before;
        }
        Err(StoreError::Contention(format!("a key of import {}", self.import.id)).into())
    }

    async fn commit(
        &self,
        part: u64,
        chunk: u32,
        attempt: u32,
        mut plan: Plan,
        world: &World,
    ) -> Result<Committed, DedupError> {
        // Many findings of the test with the same key, all coming back at once, are more than one
        // transaction takes: those that are there already go ahead in transactions of their own.
        let mut ahead = 0;
        while plan.items() + 3 > Commit::MAX_ITEMS {
            let Some(some) = plan.take_updates((Commit::MAX_ITEMS - 3) / 2) else {
                break;
            };
            let commit = Commit {
                product: self.product,
                notes: self.notes(&some.notes).await?,
                changes: some.changes,
                claims: Vec::new(),
                unique: format!("I{}.{part}.{chunk}.{attempt}.{ahead}", self.import.id),
                events: Vec::new(),
                marker: Some((
                    Marker::Closing {
                        import: self.import.id,
                        unique: format!("{part}.{chunk}.{attempt}.{ahead}"),
                    },
                    some.actions,
                )),
            };
            if self.store.commit(&commit).await? == Committed::Conflict {
                return Ok(Committed::Conflict);
            }
            ahead += 1;
        }
        let commit = Commit {
            product: self.product,
            notes: self.notes(&plan.notes).await?,
            changes: plan.changes,
            claims: (plan.claims.iter())
                .filter_map(|key| world.claims.get(key).cloned())
                .collect(),
            unique: format!("I{}.{part}.{chunk}", self.import.id),
            events: Vec::new(),
            marker: Some((
                Marker::Chunk {
                    import: self.import.id,
                    part,
                    chunk,
                },
                plan.actions,
            )),
        };
        Ok(self.store.commit(&commit).await?)
    }

    async fn notes(
        &self,
        notes: &[(FindingId, Cow<'static, str>)],
    ) -> Result<Vec<(FindingId, Note)>, DedupError> {
        let owners = notes.iter().map(|(finding, _)| *finding).collect();
        let ids = self.store.note_ids(self.product, owners).await?;
        Ok((notes.iter().zip(ids))
            .map(|((finding, entry), id)| {
                let entry = entry.clone();
                (*finding, Note::new(id, entry, self.import.by, self.now))
            })
            .collect())
    }

    async fn note_what_stays_closed(&self, plan: &Plan) -> Result<(), DedupError> {
        for finding in &plan.stay_closed {
            let known = self.store.notes(*finding).await?;
            if !known.iter().any(|note| note.entry == STAYS_CLOSED) {
                for (finding, note) in self.notes(&[(*finding, STAYS_CLOSED.into())]).await? {
                    self.store.put_note(finding, &note).await?;
                }
            }
        }
        Ok(())
    }
}

async fn pause(attempt: u32) {
    let most = 20u64 << attempt.min(6);
    let millis = most / 2 + rand::random_range(0..=most / 2);
    tokio::time::sleep(Duration::from_millis(millis)).await;
}
