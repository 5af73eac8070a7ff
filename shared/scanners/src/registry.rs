use crate::scanners::FOLDERS;
use crate::{Report, Scanner};

/// Why no scanner could be chosen for a report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DetectError {
    /// There is nothing to look at.
    #[error("the report is empty")]
    Empty,
    /// Nobody knows it.
    #[error("no scanner recognises this report; name its scan type (`tatami scanners` lists them)")]
    Unknown,
    /// More than one scanner says that it's theirs.
    #[error("this report could be of {}; name its scan type", .0.join(" or "))]
    Ambiguous(Vec<&'static str>),
}

/// All scanners, by folder.
pub fn all() -> impl Iterator<Item = &'static Scanner> {
    FOLDERS.iter().flat_map(|(_, scanners)| *scanners)
}

/// The scanner that clients name `scan_type`; case and white space around it don't count.
pub fn by_scan_type(scan_type: &str) -> Option<&'static Scanner> {
    let wanted = scan_type.trim();
    all().find(|s| s.scan_type.eq_ignore_ascii_case(wanted))
}

/// Finds the one scanner whose format the head of the report has.
pub fn detect(report: &Report<'_>) -> Result<&'static Scanner, DetectError> {
    if report.is_empty() {
        return Err(DetectError::Empty);
    }
    let sniff = report.sniff();
    let mut found = all().filter(|s| (s.detect)(&sniff));
    let Some(first) = found.next() else {
        return Err(DetectError::Unknown);
    };
    let others: Vec<_> = found.map(|s| s.scan_type).collect();
    if others.is_empty() {
        return Ok(first);
    }
    let mut names = vec![first.scan_type];
    names.extend(others);
    Err(DetectError::Ambiguous(names))
}
