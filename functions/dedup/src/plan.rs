//! What a chunk of findings does to what is there: pure, so that it can be thought through again when
//! somebody else was quicker.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use tatami_dedup_rules::{
    Existing, Outcome, ReportedState, decide_reimport, may_be_original, share_a_place,
};
use tatami_domain::{Finding, FindingId, Flags, Import, ImportActions, ImportKind, TestId};
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
            self.create(id, finding, &mut plan);
        }
        plan
    }

    fn create(&mut self, id: FindingId, finding: &Finding, plan: &mut Plan) {
        let mut new = finding.clone();
        new.id = id;
        new.version = 0;
        if let Some(original) = self.original_of(finding) {
            new.flags = Flags {
                duplicate: true,
                active: false,
                verified: false,
                ..new.flags
            };
            new.duplicate_finding = Some(original);
            plan.actions.duplicates.insert(id);
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

    /// The earliest finding that a new one is a duplicate of.
    fn original_of(&self, finding: &Finding) -> Option<FindingId> {
        let claims = finding.keys.iter().filter_map(|key| self.claims.get(key));
        let originals = claims
            .flat_map(Claim::originals)
            .filter_map(|id| self.findings.get(&id));
        originals
            .filter(|original| may_be_original(original))
            .filter(|original| share_a_place(&original.endpoint_places, &finding.endpoint_places))
            .map(|original| original.id)
            .min()
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
