//! Metrics of findings. A [`Fact`] is what metrics need of one finding; [`Facts`] counts equal ones, so that
//! sums can be kept up to date by what each commit changed; [`Measure`] makes [`Metrics`] of facts.
//!
//! All days are UTC days. Pure functions: the store keeps the sums, the API answers with the metrics.

mod by_severity;
mod day;
mod fact;
mod facts;
mod grade;
mod measure;
mod metrics;
mod period;

pub use by_severity::BySeverity;
pub use fact::Fact;
pub use facts::Facts;
pub use grade::{GradeThresholds, grade, letter};
pub use measure::{DUE_SOON_DAYS, Measure};
pub use metrics::{Ageing, Counts, Cvss, Fixed, Metrics, Mttr, Remediation, Sla};
pub use period::{MAX_PERIODS, Period, Range, Step, Trend};
