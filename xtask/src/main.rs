//! Chores of this repository: `cargo xtask --help`.

mod fuzz;
mod new_scanner;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use fuzz::Bound;
use new_scanner::{Format, NewScanner};

#[derive(Parser)]
#[command(name = "cargo xtask", about)]
struct Chore {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Lays out the folder of a new scanner, with a page, a mapping and tests to write.
    NewScanner {
        /// The folder's name, such as `acme_cloud`.
        name: String,
        /// The format of its reports.
        #[arg(long, value_enum, default_value_t = Format::Json)]
        format: Format,
        /// What clients send as `scan_type`; without it made of the name: `Acme Cloud Scan`.
        #[arg(long)]
        scan_type: Option<String>,
    },
    /// Writes docs/scanners.md and the list of fuzzing targets from the scanners' folders.
    Docs,
    /// Looks for reports that scanners panic at, with a nightly toolchain and cargo-fuzz.
    Fuzz {
        /// Folders of scanners, or `detect`; without any, all of them.
        targets: Vec<String>,
        /// How many inputs to try on each.
        #[arg(long, conflicts_with = "seconds")]
        runs: Option<u64>,
        /// How long to try each.
        #[arg(long, default_value_t = 30)]
        seconds: u64,
        /// Do nothing where the nightly toolchain is missing or cargo-fuzz cannot be had.
        #[arg(long)]
        if_possible: bool,
    },
}

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    match run(Chore::parse().command, &root) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command, root: &Path) -> Result<(), String> {
    match command {
        Command::NewScanner {
            name,
            format,
            scan_type,
        } => {
            let scanner = NewScanner::new(&name, format, scan_type)?;
            for file in scanner.write(root)? {
                println!("wrote {}", file.display());
            }
            println!("wrote {}", fuzz::write_targets(root)?.display());
            println!("{}", scanner.next_step());
            Ok(())
        }
        Command::Docs => {
            let path = PathBuf::from("docs/scanners.md");
            write(&root.join(&path), &tatami_scanners::scanners_markdown())?;
            println!("wrote {}", path.display());
            println!("wrote {}", fuzz::write_targets(root)?.display());
            Ok(())
        }
        Command::Fuzz {
            targets,
            runs,
            seconds,
            if_possible,
        } => match fuzz::missing(root) {
            Some(missing) if if_possible => {
                println!("SKIPPED, nothing was fuzzed: {missing}");
                Ok(())
            }
            Some(missing) => Err(missing),
            None => {
                let bound = runs.map_or(Bound::Seconds(seconds), Bound::Runs);
                fuzz::run(root, &targets, bound)
            }
        },
    }
}

/// Writes a file and makes its folder.
fn write(path: &Path, text: &str) -> Result<(), String> {
    let written = match path.parent() {
        Some(folder) => fs::create_dir_all(folder).and_then(|()| fs::write(path, text)),
        None => fs::write(path, text),
    };
    written.map_err(|error| format!("{} cannot be written: {error}", path.display()))
}
