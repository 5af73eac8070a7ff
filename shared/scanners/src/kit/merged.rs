//! Several records of a report that are one finding.

use std::collections::HashMap;
use std::hash::Hash;

use tatami_domain::ReportFinding;

use crate::{Sink, Stop};

/// Findings by what makes them one, in the order they came up.
#[derive(Debug)]
pub struct Merged<K> {
    places: HashMap<K, usize>,
    list: Vec<ReportFinding>,
}

impl<K> Default for Merged<K> {
    fn default() -> Self {
        Self {
            places: HashMap::new(),
            list: Vec::new(),
        }
    }
}

impl<K: Hash + Eq> Merged<K> {
    /// The finding of this key, made by `make` when it is new.
    pub fn entry(&mut self, key: K, make: impl FnOnce() -> ReportFinding) -> &mut ReportFinding {
        let at = *self.places.entry(key).or_insert(self.list.len());
        if at == self.list.len() {
            self.list.push(make());
        }
        &mut self.list[at]
    }

    /// All of them, each endpoint once.
    pub fn findings(self) -> impl Iterator<Item = ReportFinding> {
        self.list.into_iter().map(|mut finding| {
            finding.endpoints.sort();
            finding.endpoints.dedup();
            finding
        })
    }

    /// Hands all of them to the sink.
    pub fn hand_over(self, sink: &mut dyn Sink) -> Result<(), Stop> {
        self.findings()
            .try_for_each(|finding| sink.finding(finding))
    }
}
