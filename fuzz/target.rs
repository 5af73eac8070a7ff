//! Feeds reports to the scanners of one folder, or to all detectors, and looks at what they make of them.
//!
//! Which folder is the name of the target. `TATAMI_FUZZ` overrides that, so that `cargo xtask fuzz` builds one
//! program and not hundreds.

#![no_main]

use std::io::{self, Read};
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use tatami_scanners::{Collected, Refusal, Report, Scanner, detect, folders};

/// The scanners under test; none stands for the detectors.
fn scanners() -> &'static [Scanner] {
    static SCANNERS: OnceLock<&'static [Scanner]> = OnceLock::new();
    SCANNERS.get_or_init(|| {
        let name = std::env::var("TATAMI_FUZZ");
        let name = name.as_deref().unwrap_or(env!("CARGO_BIN_NAME"));
        if name == "detect" {
            return &[];
        }
        let folder = folders().find(|(folder, _)| *folder == name);
        folder
            .unwrap_or_else(|| panic!("no scanner's folder is called {name}"))
            .1
    })
}

/// Gives a few bytes at a time, as networks do.
struct Trickle<'b> {
    bytes: &'b [u8],
    turn: usize,
}

impl Read for Trickle<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.turn = self.turn * 7 % 1021 + 1;
        let n = self.turn.min(buf.len());
        self.bytes.read(&mut buf[..n])
    }
}

fn parse(scanner: &Scanner, report: Report<'_>) -> (Collected, Option<Refusal>) {
    let mut out = Collected::default();
    let refusal = scanner.parse(report, &mut out).err();
    (out, refusal)
}

fn check(scanner: &Scanner, bytes: &[u8]) {
    let (out, refusal) = parse(scanner, Report::from_bytes("report", bytes));
    for finding in &out.findings {
        assert!(
            !finding.title.trim().is_empty(),
            "{scanner:?}: a finding without a title: {finding:?}"
        );
    }
    let trickle = Trickle {
        bytes,
        turn: bytes.len(),
    };
    let report = Report::new("report", trickle).expect("memory is readable");
    let (again, refusal_again) = parse(scanner, report);
    assert_eq!(
        out.findings, again.findings,
        "{scanner:?}: other findings the second time"
    );
    assert_eq!(
        out.warnings, again.warnings,
        "{scanner:?}: other warnings the second time"
    );
    assert_eq!(
        out.test, again.test,
        "{scanner:?}: another test the second time"
    );
    assert_eq!(
        refusal, refusal_again,
        "{scanner:?}: another refusal the second time"
    );
}

fuzz_target!(|bytes: &[u8]| {
    if scanners().is_empty() {
        let report = Report::from_bytes("report", bytes);
        let found = detect(&report).map(|scanner| scanner.scan_type);
        let again = detect(&Report::from_bytes("report", bytes)).map(|scanner| scanner.scan_type);
        assert_eq!(found, again);
    }
    for scanner in scanners() {
        check(scanner, bytes);
    }
});
