use std::fmt::Write as _;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::FindingId;

/// A set of finding ids, kept as runs, because imports touch neighbours. Written as text such as
/// `1024+399,2050` (a first id, and how many follow it).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IdSet {
    /// Sorted, apart from each other: first and last id of each run.
    runs: Vec<(u64, u64)>,
}

impl IdSet {
    /// Is there nothing in it?
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// How many ids it holds.
    pub fn len(&self) -> u64 {
        self.runs.iter().map(|(a, b)| b - a + 1).sum()
    }

    /// Is the id in it?
    pub fn contains(&self, id: FindingId) -> bool {
        let at = self.runs.partition_point(|(_, last)| *last < id.0);
        self.runs.get(at).is_some_and(|(first, _)| *first <= id.0)
    }

    /// Adds one id.
    pub fn insert(&mut self, id: FindingId) {
        self.insert_run(id.0, id.0);
    }

    /// Adds all of another set.
    pub fn extend(&mut self, other: &Self) {
        for (first, last) in &other.runs {
            self.insert_run(*first, *last);
        }
    }

    /// The ids, ascending.
    pub fn iter(&self) -> impl Iterator<Item = FindingId> + '_ {
        self.runs.iter().flat_map(|(a, b)| *a..=*b).map(FindingId)
    }

    fn insert_run(&mut self, mut first: u64, mut last: u64) {
        // every run that touches or overlaps the new one is melted into it
        let from = self
            .runs
            .partition_point(|(_, b)| b.saturating_add(1) < first);
        let to = self
            .runs
            .partition_point(|(a, _)| *a <= last.saturating_add(1));
        if from < to {
            first = first.min(self.runs[from].0);
            last = last.max(self.runs[to - 1].1);
        }
        self.runs.splice(from..to, [(first, last)]);
    }
}

impl FromIterator<FindingId> for IdSet {
    fn from_iter<I: IntoIterator<Item = FindingId>>(ids: I) -> Self {
        let mut set = Self::default();
        for id in ids {
            set.insert(id);
        }
        set
    }
}

impl Serialize for IdSet {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut text = String::new();
        for (first, last) in &self.runs {
            if !text.is_empty() {
                text.push(',');
            }
            let _ = write!(text, "{first}");
            if last > first {
                let _ = write!(text, "+{}", last - first);
            }
        }
        to.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for IdSet {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let mut set = Self::default();
        for run in text.split(',').filter(|r| !r.is_empty()) {
            let (first, more) = run.split_once('+').unwrap_or((run, "0"));
            let first: u64 = first.parse().map_err(D::Error::custom)?;
            let more: u64 = more.parse().map_err(D::Error::custom)?;
            let last = first
                .checked_add(more)
                .ok_or_else(|| D::Error::custom("a run of ids is too long"))?;
            set.insert_run(first, last);
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn pseudo_random(seed: u64) -> impl Iterator<Item = u64> {
        let mut x = seed;
        std::iter::repeat_with(move || {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (x >> 33) % 60
        })
    }

    #[test]
    fn it_is_the_same_as_a_plain_set() {
        for seed in 0..200 {
            let ids: Vec<u64> = pseudo_random(seed).take(25).collect();
            let plain: BTreeSet<u64> = ids.iter().copied().collect();
            let set: IdSet = ids.iter().copied().map(FindingId).collect();
            assert_eq!(set.len(), plain.len() as u64, "seed {seed}");
            assert!(
                set.iter().map(|i| i.0).eq(plain.iter().copied()),
                "seed {seed}"
            );
            for id in 0..60 {
                assert_eq!(
                    set.contains(FindingId(id)),
                    plain.contains(&id),
                    "seed {seed}"
                );
            }
            let text = serde_json::to_string(&set).unwrap();
            assert_eq!(serde_json::from_str::<IdSet>(&text).unwrap(), set);
        }
    }

    #[test]
    fn neighbours_are_one_run() {
        let set: IdSet = [5, 3, 4, 9].into_iter().map(FindingId).collect();
        assert_eq!(serde_json::to_string(&set).unwrap(), "\"3+2,9\"");
    }
}
