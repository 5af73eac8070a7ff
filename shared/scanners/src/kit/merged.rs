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

    /// Hands all of them to the sink, each endpoint once.
    pub fn hand_over(self, sink: &mut dyn Sink) -> Result<(), Stop> {
        for mut finding in self.list {
            finding.endpoints.sort();
            finding.endpoints.dedup();
            sink.finding(finding)?;
        }
        Ok(())
    }
}
