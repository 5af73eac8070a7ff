use jiff::civil::Date;
use serde::Serialize;

use crate::{BySeverity, Range, Trend};

/// The metrics of a set of findings, as the API answers with them. *Open* is active and no duplicate; *fixed*
/// is mitigated, and neither a false positive, nor out of scope, nor a duplicate.
///
/// A finding that is mitigated without a day counts as fixed where no day is asked for, and nowhere else.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metrics {
    /// The day they hold for (UTC).
    pub today: Date,
    /// What `remediation`, `mttr`, the fixed findings of `sla`, and `trend` look at. The rest is as of today.
    pub range: Range,
    /// Numbers of findings now.
    pub counts: Counts,
    /// Numbers of findings fixed lately.
    pub fixed: Fixed,
    /// CVSS scores of open findings.
    pub cvss: Cvss,
    /// How much of what was discovered in the range is fixed now.
    pub remediation: BySeverity<Remediation>,
    /// How long it took to fix what was fixed in the range.
    pub mttr: BySeverity<Mttr>,
    /// How old open findings are.
    pub ageing: BySeverity<Ageing>,
    /// How findings stand against their due days.
    pub sla: BySeverity<Sla>,
    /// Opened and closed findings of the range, by month or week.
    pub trend: Trend,
}

/// Numbers of findings now; one finding can be in several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// All there are.
    pub total: BySeverity<u64>,
    /// Active and no duplicates.
    pub open: BySeverity<u64>,
    /// Those open ones that are verified.
    pub verified_open: BySeverity<u64>,
    /// With the flag `is_mitigated`, which false positives and what is out of scope have too.
    pub mitigated: BySeverity<u64>,
    /// With the flag `false_p`.
    pub false_positive: BySeverity<u64>,
    /// With the flag `out_of_scope`.
    pub out_of_scope: BySeverity<u64>,
    /// With the flag `risk_accepted`.
    pub risk_accepted: BySeverity<u64>,
    /// With the flag `duplicate`.
    pub duplicates: BySeverity<u64>,
    /// With the flag `under_review`.
    pub under_review: BySeverity<u64>,
}

/// Numbers of fixed findings that were mitigated on the day so many days before today, or later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Fixed {
    /// Mitigated today - 30 days or later.
    pub last_30_days: BySeverity<u64>,
    /// Mitigated today - 60 days or later.
    pub last_60_days: BySeverity<u64>,
    /// Mitigated today - 90 days or later.
    pub last_90_days: BySeverity<u64>,
}

/// CVSS scores of open findings: v4, else v3.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Cvss {
    /// Mean of the scores, 0 to 10; `null` without any.
    pub mean: Option<f64>,
    /// How many have a score.
    pub n: u64,
    /// How many have none.
    pub without_score: u64,
}

/// Findings discovered in the range.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Remediation {
    /// How many of them are fixed now.
    pub fixed: u64,
    /// How many are open now.
    pub open: u64,
    /// fixed / (fixed + open), 0 to 1; `null` without any.
    pub rate: Option<f64>,
}

/// Days from the discovery to the mitigation, of findings that were fixed in the range. Accepted ones are left
/// out; one that was mitigated before it was discovered counts as 0 days.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Mttr {
    /// How many findings.
    pub n: u64,
    /// Arithmetic mean in days; `null` without any.
    pub mean: Option<f64>,
    /// Median in days: the middle value, the mean of the two middle ones where their number is even; `null`
    /// without any.
    pub median: Option<f64>,
    /// 90th percentile in days, by nearest rank: the least value that at least 90 % of the findings don't
    /// exceed, which is the one at place ⌈0.9 n⌉ of the sorted values; `null` without any.
    pub p90: Option<u64>,
}

/// Numbers of open findings by days since their discovery. What was discovered after today is 0 days old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Ageing {
    /// 0 to 29 days.
    pub days_0_to_29: u64,
    /// 30 to 59 days.
    pub days_30_to_59: u64,
    /// 60 to 89 days.
    pub days_60_to_89: u64,
    /// 90 days and more.
    pub days_90_and_more: u64,
}

/// Findings against their due days; the due day itself is still inside.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Sla {
    /// Fixed in the range, on the due day or before.
    pub within: u64,
    /// Fixed in the range, after the due day.
    pub late: u64,
    /// Open, and the due day is over.
    pub breached: u64,
    /// Open, and due within three days, today included.
    pub due_soon: u64,
    /// Open, and due later.
    pub on_track: u64,
    /// Open or fixed in the range, and without a due day.
    pub without_sla: u64,
    /// within / (within + late + breached), 0 to 1; `null` without any.
    pub compliance: Option<f64>,
}
