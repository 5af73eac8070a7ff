//! By what a finding is recognised again, and what an import makes of a finding that is already
//! there. Pure functions: the store and the functions do the rest.

mod decide;
mod keys;
mod moves;

pub use decide::{
    Existing, Outcome, ReportedState, decide_reimport, filled_in, may_be_original, replaced,
    reported_state,
};
pub use keys::{
    Hashes, Keys, combine, endpoint_places, hashed_values, hashes, keys, share_a_place,
};
pub use moves::{moved, read_again, trace};
