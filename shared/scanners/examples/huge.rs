//! Reads a generated report of any size through its scanner, dropping the findings, and prints how fast that
//! was and how much memory it took:
//!
//! ```sh
//! cargo run --release -p tatami-scanners --example huge -- nessus 1GB
//! cargo run --release -p tatami-scanners --example huge -- trivy 500MB
//! ```
//!
//! The report is written while it is read; no file is needed. What writing it took is taken off the time.

#[path = "../benches/generate/mod.rs"]
mod generate;

use std::error::Error;
use std::fs;
use std::io::{self, Read};
use std::time::Instant;

use generate::{Generated, KINDS};
use tatami_domain::{ReportFinding, ReportTest};
use tatami_scanners::{Report, Sink, Stop, Warning, by_scan_type};

const MB: f64 = 1_000_000.0;

#[derive(Default)]
struct Counted {
    findings: u64,
    warnings: u64,
}

impl Sink for Counted {
    fn finding(&mut self, _: ReportFinding) -> Result<(), Stop> {
        self.findings += 1;
        Ok(())
    }

    fn warning(&mut self, _: Warning) {
        self.warnings += 1;
    }

    fn test(&mut self, _: ReportTest) {}
}

fn main() -> Result<(), Box<dyn Error>> {
    let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    let usage = || format!("usage: huge {} SIZE, such as 500MB or 1GB", names.join("|"));
    let mut args = std::env::args().skip(1);
    let name = args.next().ok_or_else(usage)?;
    let size = args
        .next()
        .and_then(|size| bytes(&size))
        .ok_or_else(usage)?;
    let kind = KINDS
        .iter()
        .find(|kind| kind.name == name)
        .ok_or_else(usage)?;
    let scanner = by_scan_type(kind.scan_type).ok_or(kind.scan_type)?;

    let mut source = kind.report(size);
    let before = peak_memory()?;
    let start = Instant::now();
    let mut out = Counted::default();
    scanner.parse(Report::new(kind.file, Lent(&mut source))?, &mut out)?;
    let all = start.elapsed();
    let own = all.saturating_sub(source.spent()).as_secs_f64();

    let read = source.made() as f64;
    println!("{name}: {:.0} MB read as {}", read / MB, scanner.scan_type);
    println!(
        "  {:.0} MB/s ({own:.2} s; {:.2} s more to write it)",
        read / MB / own,
        source.spent().as_secs_f64()
    );
    println!(
        "  {} findings ({:.0}/s), {} warnings",
        out.findings,
        out.findings as f64 / own,
        out.warnings
    );
    println!("  peak memory {} MB ({before} MB before)", peak_memory()?);
    Ok(())
}

struct Lent<'g>(&'g mut Generated);

impl Read for Lent<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

/// `500MB`, `1GB` or plain bytes.
fn bytes(text: &str) -> Option<u64> {
    let text = text.to_ascii_uppercase();
    let (number, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text.as_str(), ""),
    };
    let unit = match unit {
        "" => 1,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

/// The most memory that this process ever had, in MB, as the kernel counts it (Linux).
fn peak_memory() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line
        .and_then(|line| line.split_whitespace().next())
        .ok_or("no VmHWM")?;
    Ok(kilobytes.parse::<u64>()? / 1000)
}
