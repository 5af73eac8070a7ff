//! What is joined to findings when they are read and lies in no table: EPSS scores and the KEV catalogue.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use tatami_threat_intel::Intel;

use crate::Store;

/// The tables that count now, for a store and all its clones.
#[derive(Clone, Default)]
pub(crate) struct Held(Arc<RwLock<Arc<Intel>>>);

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").finish_non_exhaustive()
    }
}

impl Store {
    /// What is known of the exploitation of vulnerabilities; empty until somebody has set it.
    pub fn intel(&self) -> Arc<Intel> {
        let held = self.intel.0.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&held)
    }

    /// From now on this is known.
    pub fn set_intel(&self, intel: Intel) {
        let mut held = self.intel.0.write().unwrap_or_else(PoisonError::into_inner);
        *held = Arc::new(intel);
    }
}
