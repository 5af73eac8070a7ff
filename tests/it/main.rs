//! The whole system: reports go in over S3 or the API, findings come out of the API.

mod bad_input;
mod budgets;
mod delivery;
mod imports;
