//! What XML and CSV have in common.

use jiff::civil::Date;
use tatami_domain::{Endpoint, ReportFinding, Severity};

use crate::kit::cvss;

/// Qualys's levels; the PCI export has names or their first letters.
pub fn severity(text: &str) -> Option<Severity> {
    match text.trim() {
        "1" => Some(Severity::Info),
        "2" | "L" => Some(Severity::Low),
        "3" | "M" => Some(Severity::Medium),
        "4" | "H" => Some(Severity::High),
        "5" => Some(Severity::Critical),
        name => Severity::from_report(name),
    }
}

/// A record of something learnt about a host, which is no flaw.
pub fn is_information(kind: &str) -> bool {
    kind.trim().eq_ignore_ascii_case("Ig")
}

/// A score as Qualys writes it, `8.1 (AV:N/AC:H/...)`: the number and what is between the
/// parentheses, if anything.
pub fn scored(text: &str) -> Option<(f64, &str)> {
    let (number, rest) = text
        .trim()
        .split_once([' ', '(', '['])
        .unwrap_or((text.trim(), ""));
    let score: f64 = number.parse().ok().filter(|s| (0.0..=10.0).contains(s))?;
    let metrics = rest.rsplit_once(')').map_or("", |(inner, _)| inner);
    Some((score, metrics.rsplit('(').next().unwrap_or_default()))
}

/// The vector of these metrics, which Qualys writes without its prefix.
pub fn vector(version: &str, metrics: &[&str]) -> Option<String> {
    let metrics: Vec<&str> = metrics.iter().copied().filter(|m| !m.is_empty()).collect();
    let vector = cvss::v3(&format!("CVSS:{version}/{}", metrics.join("/")))?;
    Some(vector.vector)
}

/// The first of these that names a host.
pub fn endpoint(names: &[&str]) -> Option<Endpoint> {
    let unknown = |name: &str| {
        matches!(name, "" | "-") || name.eq_ignore_ascii_case("No registered hostname")
    };
    let name = names
        .iter()
        .map(|name| name.trim())
        .find(|name| !unknown(name))?;
    Some(Endpoint::from_parts(name, None, None))
}

/// Sets the state that a status and the type of the record stand for.
pub fn set_state(finding: &mut ReportFinding, status: &str, kind: &str, fixed: Option<Date>) {
    let status = status.trim();
    let is_fixed = status.eq_ignore_ascii_case("Fixed");
    let has_none = status.is_empty() && is_information(kind);
    let is_open = !is_fixed && !has_none;
    finding.active = Some(is_open);
    finding.is_mitigated = Some(!is_open);
    finding.mitigated = fixed.filter(|_| is_fixed);
}
