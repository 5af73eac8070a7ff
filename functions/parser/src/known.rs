//! What a test holds before a re-import: most of a report is as it was, and what is as it was doesn't
//! leave the parser.

use std::collections::HashSet;
use std::sync::Arc;

use tatami_dedup_rules::{
    Existing, Outcome, ReportedState, combine, decide_reimport, filled_in, moved,
};
use tatami_domain::{
    Algorithm, Finding, FindingId, ImportActions, ImportOptions, ResolvedDedupe, Test, TestId,
    TestTypeId,
};
use tatami_queue::Reported;
use tatami_store::{Sight, Store, StoreError};

use crate::keyed::Keyed;
use crate::read::Findings;

/// So many findings that are as they were are noted in one item of the store.
const NOTED: usize = 5_000;

/// The findings of a test, by their keys, and which of them the report has.
#[derive(Debug)]
pub struct Known {
    test: TestId,
    test_type: TestTypeId,
    algorithm: Algorithm,
    code_moves: bool,
    do_not_reactivate: bool,
    service: Option<String>,
    findings: Keyed,
    /// How the report has each of the findings.
    seen: Vec<Seen>,
    /// Those that it has just as they are.
    unchanged: Vec<usize>,
}

/// How a report has a finding of the test, the strongest word last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    /// Not at all.
    No,
    /// As closed.
    Closed,
    /// As open, perhaps as closed too.
    Open,
}

impl Known {
    /// Reads the findings of a test.
    pub async fn load(
        store: &Store,
        test: &Test,
        settings: &ResolvedDedupe,
        options: &ImportOptions,
    ) -> Result<Self, StoreError> {
        let mut findings = Keyed::default();
        let all = Sight::Test(test.product, test.id);
        let see = |finding: &Arc<Finding>| findings.push(Arc::clone(finding));
        store.sweep(all, see).await?;
        Ok(Self {
            test: test.id,
            test_type: test.test_type,
            algorithm: settings.algorithm,
            code_moves: settings.code_moves,
            do_not_reactivate: options.do_not_reactivate,
            service: options.service.clone(),
            seen: vec![Seen::No; findings.len()],
            unchanged: Vec::new(),
            findings,
        })
    }

    /// Which test it is.
    pub fn test(&self) -> TestId {
        self.test
    }

    /// Holds a reported finding, whose keys have only its hash yet, against the test: completes its
    /// keys, and gives it back where the store has to hear of it.
    pub fn hold(&mut self, mut finding: Box<Finding>) -> Option<Box<Reported>> {
        let hash = finding.keys.pop().unwrap_or_default();
        let unique = finding.unique_id_from_tool.as_deref();
        finding.keys = combine(self.algorithm, unique, hash, self.test_type);
        let mut places: Vec<usize> = (finding.keys.iter())
            .flat_map(|key| self.findings.places(key))
            .collect();
        places.sort_unstable();
        places.dedup();
        let word = if finding.flags.is_closed() {
            Seen::Closed
        } else {
            Seen::Open
        };
        for place in &places {
            self.seen[*place] = self.seen[*place].max(word);
        }
        if !places.is_empty()
            && places
                .iter()
                .all(|place| self.is_unchanged(*place, &finding))
        {
            self.unchanged.extend(places);
            return None;
        }
        let matched = places.iter().map(|place| self.findings.at(*place).id);
        Some(Box::new(Reported {
            matched: matched.collect(),
            replaces: false,
            finding: *finding,
        }))
    }

    fn is_unchanged(&self, place: usize, reported: &Finding) -> bool {
        let existing = self.findings.at(place);
        let state = ReportedState {
            flags: reported.flags,
        };
        // What the report has as closed goes on, so that its word is noted.
        !reported.flags.is_closed()
            && decide_reimport(Existing::from(existing), state, self.do_not_reactivate)
                == Outcome::Untouched
            && filled_in(existing, reported).is_none()
    }

    /// Looks over all that the store has to hear of, once the report is read. What the report has
    /// as open is open, even if the report has it as closed too.
    pub fn finish(&self, reported: &mut Findings) {
        let open: HashSet<FindingId> = (self.findings.iter().zip(&self.seen))
            .filter(|(_, seen)| **seen == Seen::Open)
            .map(|(finding, _)| finding.id)
            .collect();
        reported.retain(|reported| {
            let matched = &reported.matched;
            let is_open = !matched.is_empty() && matched.iter().all(|id| open.contains(id));
            !(is_open && reported.finding.flags.is_closed())
        });
        self.follow_moves(reported);
    }

    /// Finds the code that moved among what is gone and what is new, and tells the new ones which
    /// findings they are.
    fn follow_moves(&self, reported: &mut [Box<Reported>]) {
        let service = self.service.as_deref().unwrap_or_default();
        let gone: Vec<&Finding> = (self.findings.iter().zip(&self.seen))
            .filter(|(finding, seen)| **seen == Seen::No && finding.flags.active)
            .map(|(finding, _)| finding)
            .filter(|f| f.static_finding && f.service.as_deref().unwrap_or_default() == service)
            .collect();
        if gone.is_empty() || !self.code_moves {
            return;
        }
        let new: Vec<usize> = (0..reported.len())
            .filter(|at| reported[*at].matched.is_empty() && reported[*at].finding.static_finding)
            .collect();
        let candidates: Vec<&Finding> = new.iter().map(|at| &reported[*at].finding).collect();
        let pairs: Vec<(FindingId, usize)> = (moved(&gone, &candidates).into_iter())
            .map(|(was, is)| (gone[was].id, new[is]))
            .collect();
        for (was, is) in pairs {
            reported[is].matched = vec![was];
            reported[is].replaces = true;
        }
    }

    /// What the import did with the findings that it left alone, in pieces that each fit an item.
    pub fn actions(&mut self) -> Vec<ImportActions> {
        self.unchanged.sort_unstable();
        self.unchanged.dedup();
        let noted = |places: &[usize]| {
            let mut actions = ImportActions::default();
            for place in places {
                let id = self.findings.at(*place).id;
                actions.seen.insert(id);
                actions.untouched.insert(id);
            }
            actions
        };
        self.unchanged.chunks(NOTED).map(noted).collect()
    }
}

#[cfg(test)]
mod tests {
    use tatami_domain::Flags;

    use super::*;

    fn finding(id: u64, key: &str) -> Finding {
        Finding {
            id: FindingId(id),
            flags: Flags::OPEN,
            keys: vec![key.to_owned()],
            ..Finding::default()
        }
    }

    fn known(findings: Vec<Finding>) -> Known {
        Known {
            test: TestId(1),
            test_type: TestTypeId(1),
            algorithm: Algorithm::HashCode,
            code_moves: true,
            do_not_reactivate: false,
            service: None,
            seen: vec![Seen::No; findings.len()],
            unchanged: Vec::new(),
            findings: findings.into_iter().collect(),
        }
    }

    #[test]
    fn what_is_as_it_was_goes_no_further() {
        let mut known = known(vec![finding(1, "a"), finding(2, "a"), finding(3, "b")]);
        assert!(known.hold(Box::new(finding(0, "a"))).is_none());
        assert!(known.hold(Box::new(finding(0, "a"))).is_none());
        let new = known.hold(Box::new(finding(0, "c"))).unwrap();
        assert!(new.matched.is_empty());
        let actions = known.actions();
        assert_eq!(actions.len(), 1);
        let seen: Vec<u64> = actions[0].seen.iter().map(|id| id.0).collect();
        assert_eq!(seen, [1, 2]);
    }

    #[test]
    fn what_changes_something_goes_on_with_all_its_matches() {
        let mut closed = finding(2, "a");
        closed.flags.active = false;
        closed.flags.is_mitigated = true;
        let mut known = known(vec![finding(1, "a"), closed, finding(3, "b")]);
        let back = known.hold(Box::new(finding(0, "a"))).unwrap();
        assert_eq!(back.matched, [FindingId(1), FindingId(2)]);
        let with_fix = Finding {
            fix_available: Some(true),
            ..finding(0, "b")
        };
        assert!(known.hold(Box::new(with_fix)).is_some());
        assert!(known.actions().is_empty());
    }

    #[test]
    fn what_the_report_has_open_and_closed_is_open() {
        let mut known = known(vec![finding(1, "a"), finding(2, "b")]);
        let closed = |key: &str| {
            let mut finding = finding(0, key);
            finding.flags.active = false;
            finding.flags.is_mitigated = true;
            Box::new(finding)
        };
        let held = ["a", "b"].map(|key| known.hold(closed(key)));
        let mut reported: Findings = held.into_iter().flatten().collect();
        assert!(known.hold(Box::new(finding(0, "a"))).is_none());
        known.finish(&mut reported);
        assert_eq!(reported.len(), 1);
        assert_eq!(reported[0].matched, [FindingId(2)]);
    }

    #[test]
    fn a_moved_finding_is_told_which_it_is() {
        let in_file = |id, key: &str, line| Finding {
            static_finding: true,
            file_path: Some("a.rs".into()),
            line: Some(line),
            trace: "tx".into(),
            ..finding(id, key)
        };
        let mut known = known(vec![in_file(1, "a", 5), in_file(2, "b", 9)]);
        let mut reported = vec![known.hold(Box::new(in_file(0, "c", 10))).unwrap()];
        assert!(known.hold(Box::new(in_file(0, "a", 5))).is_none());
        known.finish(&mut reported);
        assert_eq!(reported[0].matched, [FindingId(2)]);
        assert!(reported[0].replaces);
    }
}
