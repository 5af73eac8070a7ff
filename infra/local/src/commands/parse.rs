//! `tatami parse`: what a report says, without a server.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use tatami_scanners::{Collected, Report, Scanner, by_scan_type, detect, parsed_json};

#[derive(Args)]
pub struct ParseArgs {
    /// The scan type; recognised by the report's content where it isn't given
    #[arg(long, value_name = "NAME")]
    scan_type: Option<String>,
    /// The report
    file: PathBuf,
}

/// Prints the scan type and the findings as JSON, or fails with why the report isn't read.
pub fn run(args: &ParseArgs) -> anyhow::Result<()> {
    let report = open(&args.file)?;
    let scanner = choose(args.scan_type.as_deref(), &report)
        .with_context(|| args.file.display().to_string())?;
    let mut parsed = Collected::default();
    (scanner.parse(report, &mut parsed)).with_context(|| args.file.display().to_string())?;
    let value = parsed_json(scanner.scan_type, &parsed)?;
    drop(parsed);
    let mut out = BufWriter::new(std::io::stdout().lock());
    serde_json::to_writer(&mut out, &value).map_err(std::io::Error::from)?;
    writeln!(out)?;
    out.flush()?;
    Ok(())
}

fn open(path: &Path) -> anyhow::Result<Report<'static>> {
    let cannot_read = || format!("cannot read {}", path.display());
    let file = File::open(path).with_context(cannot_read)?;
    if file.metadata().with_context(cannot_read)?.is_dir() {
        bail!("cannot read {}: it is a folder", path.display());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Report::new(name, file).with_context(cannot_read)
}

fn choose(scan_type: Option<&str>, report: &Report<'_>) -> anyhow::Result<&'static Scanner> {
    match scan_type {
        Some(name) => by_scan_type(name).with_context(|| {
            format!("there is no scan type \"{name}\"; `tatami scanners` lists them")
        }),
        None => Ok(detect(report)?),
    }
}
