//! Files in the formats of FIRST and CISA, written for these tests, and the stored object.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on shall stop"
)]
#![allow(clippy::format_collect, reason = "small files")]

mod epss;
mod format;
mod intel;
mod kev;

use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tatami_threat_intel::{Cve, Epss, Kev, read_epss, read_kev};

const SCORES: &str = include_str!("../fixtures/epss_scores-2026-11-29.csv");
const CATALOGUE: &str = include_str!("../fixtures/known_exploited_vulnerabilities.json");

fn cve(id: &str) -> Cve {
    id.parse().unwrap()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(content).unwrap();
    packed.finish().unwrap()
}

fn scores() -> Epss {
    read_epss(SCORES.as_bytes()).unwrap()
}

fn catalogue() -> Kev {
    read_kev(CATALOGUE.as_bytes()).unwrap()
}

/// Good rows, each with another CVE, without the line of columns.
fn rows(count: usize) -> String {
    let mut rows = String::new();
    for n in 0..count {
        writeln!(rows, "CVE-2023-{:04},0.00123,0.45678", n + 1).unwrap();
    }
    rows
}
