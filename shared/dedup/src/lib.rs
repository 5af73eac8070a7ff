//! By what a finding is recognised again, and what an import makes of a finding that is already
//! there. Pure functions: the store and the functions do the rest.

mod decide;
mod keys;

pub use decide::{
    Existing, Outcome, ReportedState, decide_reimport, may_be_original, reported_state,
};
pub use keys::{
    Hashes, Keys, combine, endpoint_places, hashed_values, hashes, keys, share_a_place,
};
