use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;
use tatami_domain::Finding;

/// Findings that are found by their keys, of which nothing is copied: a test may have a million.
#[derive(Debug, Default)]
pub struct Keyed {
    findings: Vec<Arc<Finding>>,
    /// Places of findings, and which of its keys it is.
    keys: HashTable<(u32, u32)>,
    hasher: RandomState,
}

impl Keyed {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.findings.len()
    }

    /// The finding at a place.
    pub fn at(&self, place: usize) -> &Finding {
        &self.findings[place]
    }

    /// The finding at a place, to be held on its own.
    pub fn shared(&self, place: usize) -> &Arc<Finding> {
        &self.findings[place]
    }

    /// All of them, in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().map(AsRef::as_ref)
    }

    /// The places of those that have a key.
    pub fn places(&self, key: &str) -> impl Iterator<Item = usize> {
        let same = move |(place, nth): &(u32, u32)| key_at(&self.findings, *place, *nth) == key;
        (self.keys.iter_hash(self.hasher.hash_one(key)))
            .copied()
            .filter(same)
            .map(|(place, _)| place as usize)
    }

    /// One more finding, at the next place.
    pub fn push(&mut self, finding: Arc<Finding>) {
        let place = u32::try_from(self.findings.len()).unwrap_or(u32::MAX);
        self.findings.push(finding);
        let findings = &self.findings;
        for (nth, key) in (0..).zip(&findings[place as usize].keys) {
            let hash = self.hasher.hash_one(key.as_str());
            self.keys.insert_unique(hash, (place, nth), |(place, nth)| {
                self.hasher.hash_one(key_at(findings, *place, *nth))
            });
        }
    }
}

impl FromIterator<Finding> for Keyed {
    fn from_iter<I: IntoIterator<Item = Finding>>(findings: I) -> Self {
        let mut keyed = Self::default();
        for finding in findings {
            keyed.push(Arc::new(finding));
        }
        keyed
    }
}

fn key_at(findings: &[Arc<Finding>], place: u32, nth: u32) -> &str {
    &findings[place as usize].keys[nth as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_found_by_each_of_their_keys() {
        let with_keys = |keys: &[String]| Finding {
            keys: keys.to_vec(),
            ..Finding::default()
        };
        let keyed: Keyed = (0..1_000)
            .map(|n| with_keys(&[format!("a{n}"), format!("b{}", n % 10)]))
            .collect();
        for n in 0..1_000 {
            assert_eq!(keyed.places(&format!("a{n}")).collect::<Vec<_>>(), [n]);
        }
        assert_eq!(keyed.places("b3").count(), 100);
        assert!(keyed.places("b3").all(|place| place % 10 == 3));
        assert_eq!(keyed.places("c").next(), None);
    }
}
