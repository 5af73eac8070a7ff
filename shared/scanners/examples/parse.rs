//! `cargo run -p tatami-scanners --example parse -- [--scan-type NAME] FILE`: what `tatami parse`
//! prints, without building the rest of Tatami. For working on a scanner.

use std::error::Error;
use std::fs::File;

use tatami_scanners::{Collected, Report, by_scan_type, detect, parsed_json};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let mut scan_type = None;
    let mut path = args.next().ok_or("usage: parse [--scan-type NAME] FILE")?;
    if path == "--scan-type" {
        scan_type = args.next();
        path = args.next().ok_or("usage: parse [--scan-type NAME] FILE")?;
    }
    let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
    let report = Report::new(name, File::open(&path)?)?;
    let scanner = match scan_type {
        Some(name) => by_scan_type(&name).ok_or_else(|| format!("no scan type \"{name}\""))?,
        None => detect(&report)?,
    };
    let mut out = Collected::default();
    if let Err(refusal) = scanner.parse(report, &mut out) {
        eprintln!("{refusal}");
        std::process::exit(2);
    }
    println!("{}", parsed_json(scanner.scan_type, &out)?);
    Ok(())
}
