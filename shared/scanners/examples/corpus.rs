//! Reads all samples of a corpus folder time and again and prints findings per second of CPU time, with the ratio to
//! those of `DefectDojo` 3.2's parsers. What else the machine does hardly counts:
//!
//! ```sh
//! cargo run --release -p tatami-scanners --example corpus -- ../shared/corpus
//! cargo run --release -p tatami-scanners --example corpus -- ../shared/corpus --only trivy,zap --rounds 50
//! ```
//!
//! A corpus has a folder for each parser, with samples and, beside each, what should come out of it
//! (`<sample>.golden.json`). A sample is read once for each scan type that it has a result of. Those that are refused
//! are read as well: they count as time, not as findings.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;
use tatami_scanners::{Collected, Report, Scanner, by_scan_type};

/// Findings per second of the peer's parsers on one core.
const PEER: f64 = 610.0;

struct Sample {
    name: String,
    bytes: Vec<u8>,
    scanner: &'static Scanner,
}

#[derive(Default)]
struct Sum {
    bytes: usize,
    findings: usize,
    time: Duration,
}

impl Sum {
    fn print(&self, name: &str, samples: usize) {
        let seconds = self.time.as_secs_f64();
        let rate = self.findings as f64 / seconds;
        println!(
            "{name:28} {samples:6} {:9} {rate:12.0} {:8.0} {:8.0}",
            self.findings,
            self.bytes as f64 / 1e6 / seconds,
            rate / PEER
        );
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let usage = "usage: corpus FOLDER [--only PARSER,...] [--rounds N]";
    let mut args = std::env::args().skip(1);
    let folder = PathBuf::from(args.next().ok_or(usage)?);
    let (mut only, mut rounds) = (None, 20);
    while let Some(arg) = args.next() {
        let value = args.next().ok_or(usage)?;
        match arg.as_str() {
            "--only" => only = Some(value),
            "--rounds" => rounds = value.parse()?,
            _ => return Err(usage.into()),
        }
    }
    let only: Option<Vec<&str>> = only.as_deref().map(|only| only.split(',').collect());
    println!(
        "{:28} {:>6} {:>9} {:>12} {:>8} {:>8}",
        "parser", "reads", "findings", "findings/s", "MB/s", "x peer"
    );
    let mut all = Sum::default();
    let mut reads = 0;
    for parser in folders(&folder)? {
        let name = parser
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if only
            .as_ref()
            .is_some_and(|only| !only.contains(&name.as_str()))
        {
            continue;
        }
        let samples = samples(&parser)?;
        if samples.is_empty() {
            continue;
        }
        let sum = measure(&samples, rounds);
        sum.print(&name, samples.len());
        all.bytes += sum.bytes;
        all.findings += sum.findings;
        all.time += sum.time;
        reads += samples.len();
    }
    all.print("all", reads);
    Ok(())
}

fn measure(samples: &[Sample], rounds: usize) -> Sum {
    let mut sum = Sum::default();
    for _ in 0..rounds {
        for sample in samples {
            let start = cpu_time();
            let mut out = Collected::default();
            let report = Report::from_bytes(sample.name.as_str(), &sample.bytes);
            // A refusal is an outcome as well.
            let _ = sample.scanner.parse(report, &mut out);
            sum.time += cpu_time().saturating_sub(start);
            sum.bytes += sample.bytes.len();
            sum.findings += out.findings.len();
        }
    }
    sum
}

/// What the process has taken so far, on whatever core.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

fn folders(corpus: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(corpus)?.map(|entry| entry.map(|entry| entry.path()));
    let mut folders = entries.collect::<io::Result<Vec<_>>>()?;
    folders.retain(|path| path.is_dir());
    folders.sort();
    Ok(folders)
}

/// The samples of a folder and of those below it, one for each scan type that there is a scanner for.
fn samples(folder: &Path) -> Result<Vec<Sample>, Box<dyn Error>> {
    let mut samples = Vec::new();
    for below in folders(folder)? {
        samples.extend(self::samples(&below)?);
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let golden = path.with_file_name(format!("{name}.golden.json"));
        if !golden.is_file() {
            continue;
        }
        let golden: Value = serde_json::from_slice(&fs::read(golden)?)?;
        let results = golden["results"].as_array().into_iter().flatten();
        for scanner in results.filter_map(|result| by_scan_type(result["scan_type"].as_str()?)) {
            samples.push(Sample {
                name: name.clone(),
                bytes: fs::read(&path)?,
                scanner,
            });
        }
    }
    Ok(samples)
}
