//! What a chunk of findings does to what is there: pure, so that it can be thought through again when
//! somebody else was quicker.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use tatami_dedup_rules::{
    Existing, Outcome, ReportedState, as_duplicate, as_false_positive, decide_reimport, filled_in,
    original_of, replaced, was_false_positive,
};
use tatami_domain::{
    DedupeMode, Finding, FindingId, Flags, Import, ImportActions, ImportKind, IssueRule,
    ResolvedDedupe, TestId,
};
use tatami_queue::Reported;
use tatami_store::{Change, Claim, Member};

/// What is known of the world: claims by key, and the findings that they name.
#[derive(Debug, Default)]
pub struct World {
    pub claims: HashMap<String, Claim>,
    pub findings: HashMap<FindingId, Finding>,
    /// Findings of the import's test by key, for claims that don't list all their members.
    pub of_test: HashMap<String, Vec<FindingId>>,
    /// What findings are brought into JIRA, where the sender asked for it and there is where to.
    pub push: Option<IssueRule>,
}

/// What a chunk does.
#[derive(Debug, Default)]
pub struct Plan {
    pub changes: Vec<Change>,
    /// Keys of the claims that changed.
    pub claims: HashSet<String>,
    pub notes: Vec<(FindingId, Cow<'static, str>)>,
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

    /// Takes up to `n` changes of findings that exist and keep their keys out of the plan, with their
    /// notes, and with what they mean for the import; `None` where there are none.
    pub fn take_updates(&mut self, n: usize) -> Option<Self> {
        let mut taken = Self::default();
        for change in std::mem::take(&mut self.changes) {
            let keeps_keys = matches!(&change, Change::Update { old, new } if old.keys == new.keys);
            if taken.changes.len() < n && keeps_keys {
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
                Change::Create(_) | Change::Delete { .. } => None,
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

    /// The findings of the import's test that a reported one is: those with a key in common, else the
    /// one whose code has moved.
    fn matches(&self, reported: &Reported, import: &Import) -> Vec<FindingId> {
        let Some(test) = import.test else {
            return Vec::new();
        };
        let there = |id: &FindingId| {
            let known = self.findings.get(id);
            known.is_some_and(|known| known.test == test)
        };
        if import.options.kind == ImportKind::Replay {
            return reported.matched.iter().copied().filter(there).collect();
        }
        let keys = &reported.finding.keys;
        let mut found: Vec<FindingId> = Vec::new();
        let mut consider = |id: FindingId| {
            let same = |known: &Finding| {
                known.test == test && known.keys.iter().any(|key| keys.contains(key))
            };
            if self.findings.get(&id).is_some_and(same) && !found.contains(&id) {
                found.push(id);
            }
        };
        for key in keys {
            let claims = self.claims.get(key).into_iter();
            claims
                .flat_map(|claim| claim.of_test(test))
                .for_each(&mut consider);
            let listed = self.of_test.get(key).into_iter();
            listed.flatten().copied().for_each(&mut consider);
        }
        reported.matched.iter().copied().for_each(&mut consider);
        if found.is_empty() && reported.replaces {
            found.extend(reported.matched.iter().copied().find(there));
        }
        found
    }

    /// How many new findings the chunk brings.
    pub fn count_new(&self, chunk: &[Reported], import: &Import) -> usize {
        match import.options.kind {
            ImportKind::Import => return chunk.len(),
            ImportKind::Replay => {
                let new = chunk.iter().filter(|r| self.matches(r, import).is_empty());
                return new.count();
            }
            ImportKind::Reimport => {}
        }
        let mut count = 0;
        let mut new: HashSet<&str> = HashSet::new();
        for reported in chunk {
            let keys = &reported.finding.keys;
            let known = keys.iter().any(|key| new.contains(key.as_str()))
                || !self.matches(reported, import).is_empty();
            if !known {
                count += 1;
                new.extend(keys.iter().map(String::as_str));
            }
        }
        count
    }

    /// Decides about a chunk. New findings take their ids from `ids`. What is decided shows in the
    /// world at once, so that the next finding of the chunk sees it.
    pub fn plan(
        &mut self,
        chunk: &[Reported],
        import: &Import,
        ids: &mut impl Iterator<Item = FindingId>,
        now: Timestamp,
    ) -> Plan {
        let mut plan = Plan::default();
        let mut handled: HashSet<FindingId> = HashSet::new();
        let settings = import.settings.clone().unwrap_or_default();
        let settings = &settings;
        for reported in chunk {
            if import.options.kind != ImportKind::Import {
                let matches = self.matches(reported, import);
                if !matches.is_empty() {
                    for id in matches {
                        if handled.insert(id) {
                            plan.actions.see(id, reported.finding.flags);
                            self.hold_against(id, reported, import, now, &mut plan);
                        }
                    }
                    continue;
                }
            }
            let Some(id) = ids.next() else { continue };
            handled.insert(id);
            self.create(id, &reported.finding, settings, now, &mut plan);
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
        new.jira.push = self.pushes(&new);
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
        plan.actions.see(id, finding.flags);
        let written = Finding {
            version: 1,
            ..new.clone()
        };
        self.findings.insert(id, written);
        plan.changes.push(Change::Create(Box::new(new)));
    }

    /// Is this finding, which the import makes or opens again, to be brought into JIRA? One that has an issue
    /// takes it along by itself.
    fn pushes(&self, finding: &Finding) -> bool {
        let may = self.push.map(|rule| rule.check(finding));
        matches!(may, Some(Ok(()))) && finding.jira.issue.is_none()
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
        reported: &Reported,
        import: &Import,
        now: Timestamp,
        plan: &mut Plan,
    ) {
        let Some(old) = self.findings.get(&id).cloned() else {
            return;
        };
        let in_common = |key: &String| reported.finding.keys.contains(key);
        let word = reported.finding.flags;
        let (mut new, said) = if import.options.kind == ImportKind::Replay {
            (replaced(&old, &reported.finding), Said::Nothing)
        } else {
            let said = says(&old, word, import, now);
            if old.keys.iter().any(in_common) {
                (old.clone(), said)
            } else {
                plan.notes.push((id, moved_note(&old, &reported.finding)));
                (replaced(&old, &reported.finding), said)
            }
        };
        match said {
            Said::Nothing => {
                plan.actions.untouched.insert(id);
                if let Some(filled) = filled_in(&new, &reported.finding) {
                    new = filled;
                }
            }
            Said::StaysClosed => {
                plan.actions.untouched.insert(id);
                plan.stay_closed.push(id);
            }
            Said::Reopened(flagged) => {
                plan.actions.reactivated.insert(id);
                plan.notes.push((id, REACTIVATED.into()));
                take_state(&mut new, &flagged);
                new.jira.push |= self.pushes(&new);
            }
            Said::Closed(flagged) => {
                plan.actions.closed.insert(id);
                plan.notes.push((id, CLOSED_BY_REPORT.into()));
                take_state(&mut new, &flagged);
                if reported.finding.mitigated.is_some() && new.flags.is_mitigated {
                    new.mitigated = reported.finding.mitigated;
                }
            }
        }
        if new == old {
            return;
        }
        if new.keys != old.keys {
            self.move_claims(&old, &new, plan);
        }
        let later = Finding {
            version: new.version + 1,
            ..new.clone()
        };
        self.findings.insert(id, later);
        plan.changes.push(Change::Update {
            old: Box::new(old),
            new: Box::new(new),
        });
    }

    /// The claims of the keys that a finding no longer has let it go, those of its new ones take it in.
    fn move_claims(&mut self, old: &Finding, new: &Finding, plan: &mut Plan) {
        for key in old.keys.iter().filter(|key| !new.keys.contains(key)) {
            if let Some(claim) = self.claims.get_mut(key) {
                claim.remove(old.id);
                plan.claims.insert(key.clone());
            }
        }
        for key in &new.keys {
            if let Some(claim) = self.claims.get_mut(key) {
                claim.add(Member {
                    test: new.test,
                    finding: new.id,
                    original: !new.flags.duplicate,
                });
                plan.claims.insert(key.clone());
            }
        }
    }
}

/// What a report's word makes of a finding that is there.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// Nothing.
    Nothing,
    /// It would be opened again, but the sender asked not to.
    StaysClosed,
    /// It is open again: so.
    Reopened(Box<Finding>),
    /// It is closed, as the report says: so.
    Closed(Box<Finding>),
}

/// Holds the state in which the report of an import has a finding against the finding.
pub fn says(finding: &Finding, word: Flags, import: &Import, now: Timestamp) -> Said {
    let state = ReportedState { flags: word };
    let mut new = Box::new(finding.clone());
    match decide_reimport(
        Existing::from(finding),
        state,
        import.options.do_not_reactivate,
    ) {
        Outcome::Untouched => Said::Nothing,
        Outcome::StaysClosed => Said::StaysClosed,
        Outcome::Reactivate => {
            let flags = Flags {
                active: true,
                is_mitigated: false,
                ..finding.flags
            };
            new.set_flags(flags, None, now);
            if import.restart_sla {
                new.sla_start_date = Some(import.scan_date);
            }
            Said::Reopened(new)
        }
        Outcome::TakeStatus(flags) => {
            let flags = Flags {
                under_review: finding.flags.under_review,
                under_defect_review: finding.flags.under_defect_review,
                ..flags
            };
            new.set_flags(flags, None, now);
            Said::Closed(new)
        }
    }
}

/// Gives a finding the state of another.
fn take_state(finding: &mut Finding, like: &Finding) {
    finding.flags = like.flags;
    finding.mitigated = like.mitigated;
    finding.mitigated_by = like.mitigated_by;
    finding.last_status_update = like.last_status_update;
    finding.duplicate_finding = like.duplicate_finding;
    finding.sla_start_date = like.sla_start_date;
}

fn moved_note(old: &Finding, new: &Finding) -> Cow<'static, str> {
    let place = |f: &Finding| {
        let path = f.file_path.as_deref().unwrap_or("no file");
        match f.line {
            Some(line) => format!("{path}:{line}"),
            None => path.to_owned(),
        }
    };
    format!("Moved: from {} to {}.", place(old), place(new)).into()
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
        let chunk: Vec<Reported> = chunk.iter().cloned().map(Reported::from).collect();
        plan_of(world, kind, settings, &chunk)
    }

    fn plan_of(
        world: &mut World,
        kind: ImportKind,
        settings: Option<ResolvedDedupe>,
        chunk: &[Reported],
    ) -> Plan {
        for key in chunk.iter().flat_map(|r| &r.finding.keys) {
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
                Change::Update { .. } | Change::Delete { .. } => None,
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

    #[test]
    fn moved_code_keeps_its_finding_and_moves_its_claims() {
        let old = Finding {
            id: FindingId(1),
            version: 2,
            file_path: Some("a.rs".into()),
            line: Some(3),
            tags: vec!["mine".into()],
            ..reported("h", &[])
        };
        let mut world = world(&[(TEST, old.clone())]);
        let moved = Reported {
            finding: Finding {
                file_path: Some("a.rs".into()),
                line: Some(8),
                ..reported("i", &[])
            },
            matched: vec![old.id],
            replaces: true,
        };
        let plan = plan_of(&mut world, ImportKind::Reimport, None, &[moved]);
        assert!(created(&plan).is_empty());
        let [Change::Update { new, .. }] = plan.changes.as_slice() else {
            panic!("{:?}", plan.changes);
        };
        assert_eq!((new.id, new.line, &new.tags), (old.id, Some(8), &old.tags));
        assert_eq!(plan.notes[0].1, "Moved: from a.rs:3 to a.rs:8.");
        assert!(world.claims["h"].members.is_empty());
        assert_eq!(world.claims["i"].of_test(TEST).next(), Some(old.id));
        assert_eq!(plan.items(), 4, "finding, two claims, note");
    }

    #[test]
    fn only_what_is_open_and_no_duplicate_is_pushed() {
        let pushed = |plan: &Plan| -> Vec<(u64, bool)> {
            let changed = plan.changes.iter().filter_map(|change| change.sides().1);
            changed.map(|new| (new.id.0, new.jira.push)).collect()
        };
        let rule = IssueRule {
            enforce_verified: false,
            minimum: None,
        };
        let chunk = [reported("h", &[]), reported("h", &[])];
        let mut asked = world(&[]);
        asked.push = Some(rule);
        let made = plan(&mut asked, ImportKind::Import, &chunk);
        assert_eq!(pushed(&made), [(100, true), (101, false)]);
        let made = plan(&mut world(&[]), ImportKind::Import, &chunk);
        assert_eq!(pushed(&made), [(100, false), (101, false)]);
        let mut closed = reported("h", &[]);
        closed.id = FindingId(1);
        closed.flags = Flags {
            active: false,
            is_mitigated: true,
            ..Flags::OPEN
        };
        let mut asked = world(&[(TEST, closed)]);
        asked.push = Some(rule);
        let reopened = plan(&mut asked, ImportKind::Reimport, &chunk[..1]);
        assert_eq!(pushed(&reopened), [(1, true)]);
    }

    #[test]
    fn a_finding_that_was_deleted_is_created_anew() {
        let mut world = world(&[(
            TEST,
            Finding {
                id: FindingId(1),
                ..reported("h", &[])
            },
        )]);
        world.findings.clear();
        let plan = plan(&mut world, ImportKind::Reimport, &[reported("h", &[])]);
        assert_eq!(created(&plan), [(100, None)]);
    }
}
