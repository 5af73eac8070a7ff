use crate::scanners::FOLDERS;
use crate::{Report, Scanner, Sniff};

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

/// The scanners by the folder of `src/scanners` that they are in.
pub fn folders() -> impl Iterator<Item = (&'static str, &'static [Scanner])> {
    FOLDERS.iter().copied()
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
    recognise(&report.sniff())
}

/// As [`detect`], by the head alone.
pub(crate) fn recognise(sniff: &Sniff<'_>) -> Result<&'static Scanner, DetectError> {
    let mut found = all().filter(|s| (s.detect)(sniff) || s.writes_sarif(sniff));
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

/// The scanners of this one's folder, which read the same reports, each in its way.
pub(crate) fn folder_of(scanner: &Scanner) -> &'static [Scanner] {
    let same = |other: &Scanner| other.scan_type == scanner.scan_type;
    let folder = FOLDERS
        .iter()
        .find(|(_, scanners)| scanners.iter().any(same));
    folder.map_or(&[], |(_, scanners)| scanners)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    fn folder(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src/scanners")
            .join(name)
    }

    fn fixtures(name: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder(name).join("fixtures"))
            .into_iter()
            .flatten();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    #[test]
    fn every_folder_has_a_page_fixtures_and_snapshots() {
        for (name, scanners) in FOLDERS {
            assert!(!scanners.is_empty(), "{name} has no scanner");
            let code = fs::read_to_string(folder(name).join("mod.rs")).unwrap();
            let page: Vec<_> = code.lines().take_while(|l| l.starts_with("//!")).collect();
            assert!(
                page.first().is_some_and(|l| l.starts_with("//! # ")),
                "{name} has no page"
            );
            assert!(page.len() >= 10, "{name}'s page says next to nothing");
            assert!(
                page.iter().any(|l| l.contains("https://")),
                "{name}'s page has no link"
            );
            assert!(!fixtures(name).is_empty(), "{name} has no fixture");
            let snapshots = fs::read_dir(folder(name).join("snapshots"));
            assert!(
                snapshots.is_ok_and(|s| s.count() > 0),
                "{name} has no snapshot"
            );
        }
    }

    #[test]
    fn scan_types_are_unique_and_found_in_any_case() {
        let mut seen = HashSet::new();
        for scanner in all() {
            assert!(
                seen.insert(scanner.scan_type.to_lowercase()),
                "{scanner:?} twice"
            );
            assert!(!scanner.formats.is_empty(), "{scanner:?} has no format");
            let found = by_scan_type(&format!(" {} ", scanner.scan_type.to_uppercase()));
            assert_eq!(found.map(|s| s.scan_type), Some(scanner.scan_type));
        }
    }

    #[test]
    fn all_detectors_run_on_all_fixtures_and_exactly_one_wins() {
        for (name, scanners) in FOLDERS {
            for file in fixtures(name) {
                let bytes = fs::read(&file).unwrap();
                // The name must not matter: people rename reports.
                let found = detect(&Report::from_bytes("report", &bytes));
                let scan_type = found.map(|s| s.scan_type);
                let own = scanners.iter().any(|s| scan_type == Ok(s.scan_type));
                assert!(own, "{}: {scan_type:?}", file.display());
            }
        }
    }

    #[test]
    fn no_scanner_is_upset_by_the_reports_of_others() {
        let files: Vec<_> = FOLDERS
            .iter()
            .flat_map(|(name, _)| fixtures(name))
            .collect();
        for scanner in all() {
            for file in &files {
                let bytes = fs::read(file).unwrap();
                let mut out = crate::Collected::default();
                let read = scanner.parse(Report::from_bytes("report", &bytes), &mut out);
                let silent = read.is_ok() && out.findings.is_empty() && out.warnings.is_empty();
                assert!(!silent, "{scanner:?} finds nothing in {}", file.display());
            }
        }
    }
}
