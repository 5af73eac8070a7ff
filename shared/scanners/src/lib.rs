//! Reads the reports of security scanners.
//!
//! One folder in `src/scanners` is one scanner: `mod.rs` (whose rustdoc is the user's page about
//! it), `fixtures/` and snapshots. `build.rs` lists the folders, so there is no registry to keep.
//!
//! ```
//! use tatami_scanners::{by_scan_type, Report, Collected};
//! let report = br#"{"findings": [{"title": "t", "severity": "High", "description": "d"}]}"#;
//! let scanner = by_scan_type("Generic Findings Import").unwrap();
//! let mut out = Collected::default();
//! scanner.parse(Report::from_bytes("report.json", report), &mut out).unwrap();
//! assert_eq!(out.findings[0].title, "t");
//! ```

mod docs;
pub mod kit;
mod output;
mod registry;
mod report;
mod scanner;
mod sink;

pub use docs::scanners_markdown;
pub use output::parsed_json;
pub use registry::{DetectError, all, by_scan_type, detect, folders};
pub use report::{Report, SNIFF_BYTES, Sniff};
pub use scanner::{Format, Scanner};
pub use sink::{Collected, Position, Refusal, Sink, Stop, TOLD, Warning};
pub use tatami_domain::{Algorithm, Dedupe, HashField};

#[allow(missing_docs, clippy::doc_markdown)]
mod scanners {
    include!(concat!(env!("OUT_DIR"), "/registry.rs"));
}
