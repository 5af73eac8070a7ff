//! By what a finding is recognised again, and what an import makes of a finding that is already
//! there. Pure functions: the store and the functions do the rest.

mod decide;
mod keys;
mod moves;
mod reconsider;

pub use decide::{
    Existing, Outcome, ReportedState, as_duplicate, as_false_positive, cluster, decide_reimport,
    filled_in, may_be_original, original_of, replaced, reported_state, was_false_positive,
};
pub use keys::{
    Hashes, Keys, combine, endpoint_places, hash_needs_texts, hashed_values, hashes, keys,
    keys_of_stored, share_a_place,
};
pub use moves::{moved, read_again, trace};
pub use reconsider::{Standing, reconsider, stand};
