//! What is known of a vulnerability beside the report that names it: how likely it is exploited (EPSS,
//! of FIRST) and whether it is (KEV, CISA's catalogue).
//!
//! Once a day two public files are read ([`read_epss`], [`read_kev`]) and become one object of about
//! 1 MB ([`Intel::to_bytes`]). Who reads findings loads it whole ([`Intel::from_bytes`]) and joins it to
//! them ([`Intel::of`]); no finding is rewritten when it changes. No I/O but the readers given
//! to it.

mod cve;
mod epss;
mod format;
mod input;
mod intel;
mod kev;

pub use cve::{Cve, NoCve};
pub use epss::{Epss, EpssError, Score, Scores, read_epss};
pub use format::FormatError;
pub use input::Warnings;
pub use intel::Intel;
pub use kev::{Catalogue, Kev, KevEntry, KevError, read_kev};
