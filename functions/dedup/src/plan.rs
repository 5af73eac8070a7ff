//! What a chunk of findings does to what is there: pure, so that it can be thought through again when
//! somebody else was quicker.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use tatami_dedup_rules::{
    Existing, Outcome, ReportedState, as_duplicate, as_false_positive, decide_reimport,
    original_of, was_false_positive,
};
use tatami_domain::{
    DedupeMode, Finding, FindingId, Flags, Import, ImportActions, ImportKind, ResolvedDedupe,
    TestId,
};
use tatami_store::{Change, Claim, Member};

/// What is known of the world: claims by key, and the findings that they name.
#[derive(Debug, Default)]
pub struct World {
    pub claims: HashMap<String, Claim>,
    pub findings: HashMap<FindingId, Finding>,
    /// Findings of the import's test by key, for claims that don't list all their members.
    pub of_test: HashMap<String, Vec<FindingId>>,
}

/// What a chunk does.
#[derive(Debug, Default)]
pub struct Plan {
    pub changes: Vec<Change>,
    /// Keys of the claims that changed.
    pub claims: HashSet<String>,
    pub notes: Vec<(FindingId, &'static str)>,
    /// Findings that stay closed because the sender asked so; they get one note in their life.
    pub stay_closed: Vec<FindingId>,
    pub actions: ImportActions,
}

/// The note on a finding that a report brings back.
pub const REACTIVATED: &str = "Reactivated: a re-import found it again.";
/// The note on a finding that a report no longer shows as open.
pub const CLOSED_BY_REPORT: &str = "Closed: the report states it so.";
/// The note on a finding that a re-import leaves closed on demand.
pub const STAYS_CLOSED: &str =
    "A re-import found it again; it stays closed, as do_not_reactivate asks.";

impl Plan {
    /// Does it write nothing?
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.claims.is_empty() && self.notes.is_empty()
    }

    /// Takes up to `n` changes of findings that exist out of the plan, with their notes, and with
    /// what they mean for the import; `None` where there are none.
    pub fn take_updates(&mut self, n: usize) -> Option<Self> {
        let mut taken = Self::default();
        for change in std::mem::take(&mut self.changes) {
            if taken.changes.len() < n && matches!(change, Change::Update { .. }) {
                taken.changes.push(change);
            } else {
                self.changes.push(change);
            }
        }
        if taken.changes.is_empty() {
            return None;
        }
        let ids: HashSet<FindingId> = (taken.changes.iter())
            .filter_map(|change| match change {
                Change::Update { new, .. } => Some(new.id),
                Change::Create(_) => None,
            })
            .collect();
        let notes = std::mem::take(&mut self.notes);
        (taken.notes, self.notes) = notes.into_iter().partition(|(id, _)| ids.contains(id));
        for id in ids {
            if self.actions.reactivated.contains(id) {
                taken.actions.reactivated.insert(id);
            }
            if self.actions.closed.contains(id) {
                taken.actions.closed.insert(id);
            }
        }
        Some(taken)
    }

    /// How many items its transaction has, without the delta and the marker.
    pub fn items(&self) -> usize {
        self.changes.len() + self.claims.len() + self.notes.len()
    }
}

impl World {
    /// What was read anew replaces what was known.
    pub fn renew(&mut self, fresh: Self) {
        self.claims.extend(fresh.claims);
        self.findings.extend(fresh.findings);
        self.of_test.extend(fresh.of_test);
    }

    /// The findings that a decision about these claims needs: originals, and those of the test.
    pub fn wanted(&self, test: TestId) -> Vec<FindingId> {
        let named = self
            .claims
            .values()
            .flat_map(|claim| claim.of_test(test).chain(claim.originals()));
        let listed = self.of_test.values().flatten().copied();
        named
            .chain(listed)
            .filter(|id| !self.findings.contains_key(id))
            .collect()
    }

    fn matches(&self, finding: &Finding, import: &Import) -> Vec<FindingId> {
        let Some(test) = import.test else {
            return Vec::new();
        };
        let mut found: Vec<FindingId> = Vec::new();
        for key in &finding.keys {
            let claimed = self
                .claims
                .get(key)
                .into_iter()
                .flat_map(|claim| claim.of_test(test));
            let listed = self.of_test.get(key).into_iter().flatten().copied();
            for id in claimed.chain(listed) {
                if !found.contains(&id) {
                    found.push(id);
                }
            }
        }
        found
    }

    /// How many new findings the chunk brings.
    pub fn count_new(&self, chunk: &[Finding], import: &Import) -> usize {
        if import.options.kind == ImportKind::Import {
            return chunk.len();
        }
        let mut count = 0;
        let mut new: HashSet<&str> = HashSet::new();
        for finding in chunk {
            let known = finding.keys.iter().any(|key| new.contains(key.as_str()))
                || !self.matches(finding, import).is_empty();
            if !known {
                count += 1;
                new.extend(finding.keys.iter().map(String::as_str));
            }
        }
        count
    }

    /// Decides about a chunk. New findings take their ids from `ids`. What is decided shows in the
    /// world at once, so that the next finding of the chunk sees it.
    pub fn plan(
        &mut self,
        chunk: &[Finding],
        import: &Import,
        ids: &mut impl Iterator<Item = FindingId>,
        now: Timestamp,
    ) -> Plan {
        let mut plan = Plan::default();
        let mut handled: HashSet<FindingId> = HashSet::new();
        let settings = import.settings.clone().unwrap_or_default();
        let settings = &settings;
        for finding in chunk {
            if import.options.kind == ImportKind::Reimport {
                let matches = self.matches(finding, import);
                if !matches.is_empty() {
                    for id in matches {
                        plan.actions.seen.insert(id);
                        if handled.insert(id) {
                            self.hold_against(id, finding, import, now, &mut plan);
                        }
                    }
                    continue;
                }
            }
            let Some(id) = ids.next() else { continue };
            handled.insert(id);
            self.create(id, finding, settings, now, &mut plan);
        }
        plan
    }

    fn create(
        &mut self,
        id: FindingId,
        finding: &Finding,
        settings: &ResolvedDedupe,
        now: Timestamp,
        plan: &mut Plan,
    ) {
        let mut new = finding.clone();
        new.id = id;
        new.version = 0;
        if was_false_positive(finding, self.same_key(finding), settings) {
            new.set_flags(as_false_positive(new.flags), None, now);
        } else if let Some(original) = original_of(finding, self.same_key(finding), settings) {
            match settings.mode {
                DedupeMode::Automatic => {
                    new.flags = as_duplicate(new.flags);
                    new.duplicate_finding = Some(original.id);
                    plan.actions.duplicates.insert(id);
                }
                DedupeMode::Manual => new.proposed_duplicate = Some(original.id),
            }
        }
        for key in &new.keys {
            if let Some(claim) = self.claims.get_mut(key) {
                claim.add(Member {
                    test: new.test,
                    finding: id,
                    original: !new.flags.duplicate,
                });
                plan.claims.insert(key.clone());
            }
        }
        plan.actions.created.insert(id);
        plan.actions.seen.insert(id);
        let written = Finding {
            version: 1,
            ..new.clone()
        };
        self.findings.insert(id, written);
        plan.changes.push(Change::Create(Box::new(new)));
    }

    /// The findings that a new one may be a duplicate of, by their keys.
    fn same_key(&self, finding: &Finding) -> impl Iterator<Item = &Finding> {
        let claims = finding.keys.iter().filter_map(|key| self.claims.get(key));
        claims
            .flat_map(Claim::originals)
            .filter_map(|id| self.findings.get(&id))
    }

    fn hold_against(
        &mut self,
        id: FindingId,
        reported: &Finding,
        import: &Import,
        now: Timestamp,
        plan: &mut Plan,
    ) {
        let Some(old) = self.findings.get(&id) else {
            return; // deleted meanwhile
        };
        let state = ReportedState {
            flags: reported.flags,
        };
        let mut new = old.clone();
        match decide_reimport(Existing::from(old), state, import.options.do_not_reactivate) {
            Outcome::Untouched => {
                plan.actions.untouched.insert(id);
                fill_in(&mut new, reported);
            }
            Outcome::StaysClosed => {
                plan.actions.untouched.insert(id);
                plan.stay_closed.push(id);
            }
            Outcome::Reactivate => {
                plan.actions.reactivated.insert(id);
                plan.notes.push((id, REACTIVATED));
                let flags = Flags {
                    active: true,
                    is_mitigated: false,
                    ..old.flags
                };
                new.set_flags(flags, None, now);
            }
            Outcome::TakeStatus(flags) => {
                plan.actions.closed.insert(id);
                plan.notes.push((id, CLOSED_BY_REPORT));
                let flags = Flags {
                    under_review: old.flags.under_review,
                    under_defect_review: old.flags.under_defect_review,
                    ..flags
                };
                new.set_flags(flags, None, now);
                if reported.mitigated.is_some() && flags.is_mitigated {
                    new.mitigated = reported.mitigated;
                }
            }
        }
        if new != *old {
            let old = Box::new(old.clone());
            let mut later = new.clone();
            later.version += 1;
            self.findings.insert(id, later);
            plan.changes.push(Change::Update {
                old,
                new: Box::new(new),
            });
        }
    }
}

/// An empty component is filled in; whether a fix exists follows the report.
fn fill_in(finding: &mut Finding, reported: &Finding) {
    let empty = |text: &Option<String>| text.as_deref().unwrap_or_default().is_empty();
    if empty(&finding.component_name) && !empty(&reported.component_name) {
        finding.component_name.clone_from(&reported.component_name);
    }
    if empty(&finding.component_version) && !empty(&reported.component_version) {
        finding
            .component_version
            .clone_from(&reported.component_version);
    }
    if reported.fix_available.is_some() {
        finding.fix_available = reported.fix_available;
    }
    if reported.fix_version.is_some() {
        finding.fix_version.clone_from(&reported.fix_version);
    }
}

#[cfg(test)]
mod tests {
    use tatami_domain::{Clustering, ImportOptions, ProductId};
    use tatami_store::Scope;

    use super::*;

    const TEST: TestId = TestId(7);

    fn reported(key: &str, places: &[u32]) -> Finding {
        Finding {
            title: key.to_owned(),
            test: TEST,
            flags: Flags::OPEN,
            keys: vec![key.to_owned()],
            endpoint_places: places.to_vec(),
            ..Finding::default()
        }
    }

    fn import(kind: ImportKind) -> Import {
        Import {
            test: Some(TEST),
            options: ImportOptions {
                kind,
                ..ImportOptions::default()
            },
            ..Import::default()
        }
    }

    fn world(known: &[(TestId, Finding)]) -> World {
        let mut world = World::default();
        for (test, finding) in known {
            for key in &finding.keys {
                let scope = Scope::Product(ProductId(1));
                let claim = world.claims.entry(key.clone());
                claim
                    .or_insert_with(|| Claim::unheld(scope, key))
                    .add(Member {
                        test: *test,
                        finding: finding.id,
                        original: !finding.flags.duplicate,
                    });
            }
            world.findings.insert(finding.id, finding.clone());
        }
        world
    }

    fn plan(world: &mut World, kind: ImportKind, chunk: &[Finding]) -> Plan {
        plan_with(world, kind, None, chunk)
    }

    fn plan_with(
        world: &mut World,
        kind: ImportKind,
        settings: Option<ResolvedDedupe>,
        chunk: &[Finding],
    ) -> Plan {
        for key in chunk.iter().flat_map(|f| &f.keys) {
            let claim = world.claims.entry(key.clone());
            claim.or_insert_with(|| Claim::unheld(Scope::Product(ProductId(1)), key));
        }
        let import = Import {
            settings,
            ..import(kind)
        };
        let new = world.count_new(chunk, &import);
        let mut ids = (100..).map(FindingId).take(new);
        let plan = world.plan(chunk, &import, &mut ids, Timestamp::UNIX_EPOCH);
        assert_eq!(ids.next(), None, "as many ids are used as were counted");
        plan
    }

    fn created(plan: &Plan) -> Vec<(u64, Option<u64>)> {
        (plan.changes.iter())
            .filter_map(|change| match change {
                Change::Create(new) => Some((new.id.0, new.duplicate_finding.map(|id| id.0))),
                Change::Update { .. } => None,
            })
            .collect()
    }

    #[test]
    fn the_second_of_a_key_in_an_import_is_a_duplicate_of_the_first() {
        let chunk = [reported("h", &[]), reported("h", &[]), reported("i", &[])];
        let plan = plan(&mut world(&[]), ImportKind::Import, &chunk);
        assert_eq!(created(&plan), [(100, None), (101, Some(100)), (102, None)]);
        assert_eq!(plan.actions.duplicates.len(), 1);
    }

    #[test]
    fn the_second_of_a_key_in_a_reimport_is_the_first() {
        let chunk = [reported("h", &[]), reported("h", &[])];
        let plan = plan(&mut world(&[]), ImportKind::Reimport, &chunk);
        assert_eq!(created(&plan), [(100, None)]);
        assert_eq!(plan.actions.seen.len(), 1);
    }

    #[test]
    fn findings_at_different_places_are_no_duplicates() {
        let chunk = [
            reported("h", &[1]),
            reported("h", &[2]),
            reported("h", &[2, 3]),
        ];
        let plan = plan(&mut world(&[]), ImportKind::Import, &chunk);
        assert_eq!(created(&plan), [(100, None), (101, None), (102, Some(101))]);
    }

    #[test]
    fn what_comes_back_after_it_was_closed_elsewhere_is_a_new_original() {
        let mut old = Finding {
            id: FindingId(1),
            test: TestId(1),
            ..reported("h", &[])
        };
        let as_duplicate = plan(
            &mut world(&[(TestId(1), old.clone())]),
            ImportKind::Import,
            &[reported("h", &[])],
        );
        assert_eq!(created(&as_duplicate), [(100, Some(1))]);
        old.flags.active = false;
        old.flags.is_mitigated = true;
        let as_original = plan(
            &mut world(&[(TestId(1), old)]),
            ImportKind::Import,
            &[reported("h", &[])],
        );
        assert_eq!(created(&as_original), [(100, None)]);
    }

    #[test]
    fn settings_say_what_a_finding_with_an_original_becomes() {
        let settings = |change: fn(&mut ResolvedDedupe)| {
            let mut settings = ResolvedDedupe::default();
            change(&mut settings);
            let chunk = [reported("h", &[]), reported("h", &[])];
            plan_with(&mut world(&[]), ImportKind::Import, Some(settings), &chunk)
        };
        let disabled: fn(&mut ResolvedDedupe) = |s| s.enabled = false;
        let unclustered: fn(&mut ResolvedDedupe) = |s| s.clustering = Clustering::None;
        for off in [disabled, unclustered] {
            let plan = settings(off);
            assert_eq!(created(&plan), [(100, None), (101, None)]);
            assert_eq!(plan.claims.len(), 1, "keys are kept for re-imports");
        }
        let plan = settings(|s| s.mode = DedupeMode::Manual);
        let Change::Create(second) = &plan.changes[1] else {
            panic!("it is new");
        };
        assert!(second.flags.active && !second.flags.duplicate);
        assert_eq!(second.proposed_duplicate, Some(FindingId(100)));
        assert_eq!(plan.actions.duplicates.len(), 0);
    }

    #[test]
    fn what_was_a_false_positive_is_one_again_where_that_is_remembered() {
        let mut old = Finding {
            id: FindingId(1),
            test: TestId(1),
            ..reported("h", &[])
        };
        old.flags = as_false_positive(old.flags);
        let chunk = [reported("h", &[])];
        for (remembered, duplicate) in [(true, None), (false, Some(1))] {
            let settings = ResolvedDedupe {
                false_positive_history: remembered,
                ..ResolvedDedupe::default()
            };
            let known = &[(TestId(1), old.clone())];
            let plan = plan_with(
                &mut world(known),
                ImportKind::Import,
                Some(settings),
                &chunk,
            );
            assert_eq!(created(&plan), [(100, duplicate)]);
            let Change::Create(new) = &plan.changes[0] else {
                panic!("it is new");
            };
            assert_eq!(new.flags.false_p, remembered);
            assert_eq!(new.mitigated.is_some(), remembered);
        }
    }

    #[test]
    fn an_unchanged_reimport_writes_nothing() {
        let old = Finding {
            id: FindingId(1),
            version: 3,
            ..reported("h", &[])
        };
        let plan = plan(
            &mut world(&[(TEST, old)]),
            ImportKind::Reimport,
            &[reported("h", &[])],
        );
        assert!(plan.is_empty());
        assert!(plan.actions.untouched.contains(FindingId(1)));
    }

    #[test]
    fn every_finding_of_the_key_comes_back_once() {
        let closed = |id| {
            let mut finding = Finding {
                id: FindingId(id),
                version: 1,
                ..reported("h", &[])
            };
            finding.flags.active = false;
            finding.flags.is_mitigated = true;
            (TEST, finding)
        };
        let chunk = [reported("h", &[]), reported("h", &[])];
        let mut plan = plan(
            &mut world(&[closed(1), closed(2)]),
            ImportKind::Reimport,
            &chunk,
        );
        assert_eq!(plan.actions.reactivated.len(), 2);
        assert_eq!(plan.notes.len(), 2);
        let ahead = plan.take_updates(1).unwrap();
        assert_eq!((ahead.changes.len(), ahead.notes.len()), (1, 1));
        assert_eq!(ahead.actions.reactivated.len(), 1);
        assert_eq!((plan.changes.len(), plan.notes.len()), (1, 1));
    }
}
