//! Who is whose duplicate, as a product's view shows it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tatami_domain::{Finding, FindingId};

/// A chain is not followed further than this; there are none but while an operation is under way.
const MAX_CHAIN: usize = 32;

/// The duplicates of a product, each with what it points to.
#[derive(Debug, Default)]
pub struct Clusters {
    duplicates: Vec<Arc<Finding>>,
    original: HashMap<FindingId, FindingId>,
}

impl Clusters {
    /// Notes a finding, if it's a duplicate.
    pub(crate) fn add(&mut self, finding: &Arc<Finding>) {
        if let Some(original) = finding.duplicate_finding {
            self.original.insert(finding.id, original);
            self.duplicates.push(Arc::clone(finding));
        }
    }

    /// The original at the end of the chain.
    pub fn root(&self, finding: FindingId) -> FindingId {
        let mut root = finding;
        for _ in 0..MAX_CHAIN {
            match self.original.get(&root) {
                Some(next) => root = *next,
                None => break,
            }
        }
        root
    }

    /// The duplicates of an original, those behind a chain too, by ascending id.
    pub fn members(&self, original: FindingId) -> impl Iterator<Item = &Finding> {
        let own = self.duplicates.iter().map(AsRef::as_ref);
        own.filter(move |finding| finding.id != original && self.root(finding.id) == original)
    }

    /// Those of them that point to something else than the original itself.
    pub fn chained(&self, original: FindingId) -> impl Iterator<Item = &Finding> {
        self.members(original)
            .filter(move |finding| finding.duplicate_finding != Some(original))
    }

    /// What others than these point to.
    pub fn pointed_at_from_outside(&self, these: &HashSet<FindingId>) -> HashSet<FindingId> {
        let others = self.original.iter().filter(|(id, _)| !these.contains(id));
        others.map(|(_, original)| *original).collect()
    }

    /// Those that point to this very finding.
    pub fn pointing_at(&self, finding: FindingId) -> impl Iterator<Item = &Finding> {
        let own = self.duplicates.iter().map(AsRef::as_ref);
        own.filter(move |duplicate| duplicate.duplicate_finding == Some(finding))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clusters(pointers: &[(u64, u64)]) -> Clusters {
        let mut clusters = Clusters::default();
        for (id, original) in pointers {
            clusters.add(&Arc::new(Finding {
                id: FindingId(*id),
                duplicate_finding: (*original > 0).then_some(FindingId(*original)),
                ..Finding::default()
            }));
        }
        clusters
    }

    fn ids<'f>(findings: impl Iterator<Item = &'f Finding>) -> Vec<u64> {
        findings.map(|finding| finding.id.0).collect()
    }

    #[test]
    fn a_chain_leads_to_its_original() {
        let clusters = clusters(&[(1, 0), (2, 1), (3, 2), (4, 3), (5, 0), (6, 5)]);
        assert_eq!(clusters.root(FindingId(4)), FindingId(1));
        assert_eq!(clusters.root(FindingId(1)), FindingId(1));
        assert_eq!(ids(clusters.members(FindingId(1))), [2, 3, 4]);
        assert_eq!(ids(clusters.chained(FindingId(1))), [3, 4]);
        assert_eq!(ids(clusters.chained(FindingId(5))), [0u64; 0]);
        assert_eq!(ids(clusters.pointing_at(FindingId(1))), [2]);
    }

    #[test]
    fn a_circle_ends() {
        let clusters = clusters(&[(1, 2), (2, 1)]);
        assert!(clusters.root(FindingId(1)).0 > 0);
    }
}
