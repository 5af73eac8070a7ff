//! How fast each scanner reads, in MB/s of its reports, on one core.
//!
//! ```sh
//! cargo bench -p tatami-scanners                       # all
//! cargo bench -p tatami-scanners -- generated/nessus   # some
//! ```
//!
//! `generated` are reports of 4 MB with the shape and the lengths of real ones. `fixtures` are those of every
//! folder, however small: what a report costs beside its records. `detect` chooses among all scanners.

mod generate;

use std::fs;
use std::hint::black_box;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use tatami_domain::{ReportFinding, ReportTest};
use tatami_scanners::{Report, SNIFF_BYTES, Scanner, Sink, Stop, Warning, by_scan_type, detect};

const SIZE: u64 = 4 * 1024 * 1024;

/// Lets go of what it gets.
struct Dropped;

impl Sink for Dropped {
    fn finding(&mut self, finding: ReportFinding) -> Result<(), Stop> {
        drop(black_box(finding));
        Ok(())
    }

    fn warning(&mut self, warning: Warning) {
        black_box(warning);
    }

    fn test(&mut self, _: ReportTest) {}
}

fn read(scanner: &Scanner, bytes: &[u8]) {
    let read = scanner.parse(Report::from_bytes("report", bytes), &mut Dropped);
    black_box(read.is_ok());
}

fn generated(criterion: &mut Criterion) -> io::Result<()> {
    let mut group = criterion.benchmark_group("generated");
    for kind in generate::KINDS {
        let scanner =
            by_scan_type(kind.scan_type).ok_or_else(|| io::Error::other(kind.scan_type))?;
        let bytes = kind.bytes(SIZE)?;
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_with_input(kind.name, &bytes, |bencher, bytes| {
            bencher.iter(|| read(scanner, bytes));
        });
    }
    group.finish();
    Ok(())
}

fn fixtures(criterion: &mut Criterion) -> io::Result<()> {
    let mut group = criterion.benchmark_group("fixtures");
    group.warm_up_time(Duration::from_millis(100));
    group.measurement_time(Duration::from_millis(300));
    for file in fixture_files()? {
        let bytes = fs::read(&file)?;
        let Ok(scanner) = detect(&Report::from_bytes("report", &bytes)) else {
            eprintln!("{} is recognised by no scanner", file.display());
            continue;
        };
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        let folder = file
            .parent()
            .and_then(Path::parent)
            .and_then(Path::file_name);
        let folder = folder.unwrap_or_default().to_string_lossy();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let id = BenchmarkId::new(folder, name);
        group.bench_with_input(id, &bytes, |bencher, bytes| {
            bencher.iter(|| read(scanner, bytes));
        });
    }
    group.finish();
    Ok(())
}

fn detection(criterion: &mut Criterion) -> io::Result<()> {
    let mut group = criterion.benchmark_group("detect");
    for kind in generate::KINDS {
        let bytes = kind.bytes(SNIFF_BYTES as u64)?;
        group.bench_with_input(kind.name, &bytes, |bencher, bytes| {
            bencher.iter(|| {
                let found = detect(&Report::from_bytes("report", bytes));
                black_box(found.is_ok());
            });
        });
    }
    group.finish();
    Ok(())
}

fn fixture_files() -> io::Result<Vec<PathBuf>> {
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/scanners");
    let mut files = Vec::new();
    for folder in fs::read_dir(folders)? {
        for file in fs::read_dir(folder?.path().join("fixtures"))
            .into_iter()
            .flatten()
        {
            files.push(file?.path());
        }
    }
    files.sort();
    Ok(files)
}

fn main() -> io::Result<()> {
    let criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    let mut criterion = criterion.configure_from_args();
    generated(&mut criterion)?;
    fixtures(&mut criterion)?;
    detection(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}
