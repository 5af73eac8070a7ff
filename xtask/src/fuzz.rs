//! Fuzzing of the scanners: the list of targets, and runs of them with cargo-fuzz.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Instant;

use crate::new_scanner::FOLDERS;

const MANIFEST: &str = "fuzz/Cargo.toml";
/// Any target will do: each of them takes the part of any other.
const PROGRAM: &str = "detect";
/// In seconds: an input that takes longer is a failure.
const TIMEOUT: u32 = 10;

/// How much fuzzing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    Runs(u64),
    Seconds(u64),
}

/// The targets: the scanners' folders and `detect`.
pub fn targets(root: &Path) -> Result<Vec<String>, String> {
    let folders = root.join(FOLDERS);
    let unreadable = |error| format!("{} cannot be read: {error}", folders.display());
    let mut names = vec![PROGRAM.to_owned()];
    for folder in fs::read_dir(&folders).map_err(unreadable)? {
        let folder = folder.map_err(unreadable)?;
        if folder.path().join("mod.rs").is_file() {
            names.push(folder.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Writes the targets into the manifest of the fuzzing crate.
pub fn write_targets(root: &Path) -> Result<&'static Path, String> {
    let path = root.join(MANIFEST);
    let manifest =
        fs::read_to_string(&path).map_err(|error| format!("{MANIFEST} cannot be read: {error}"))?;
    crate::write(&path, &with_targets(&manifest, &targets(root)?))?;
    Ok(Path::new(MANIFEST))
}

/// Everything before the first target stays.
fn with_targets(manifest: &str, targets: &[String]) -> String {
    let head = manifest.split("[[bin]]").next().unwrap_or(manifest);
    let targets = targets.iter().map(|name| {
        format!("\n[[bin]]\nname = \"{name}\"\npath = \"target.rs\"\ntest = false\ndoc = false\nbench = false\n")
    });
    [head.trim_end(), "\n"].concat() + &targets.collect::<String>()
}

/// Runs targets one after the other; all of them where none is named.
pub fn run(root: &Path, wanted: &[String], bound: Bound) -> Result<(), String> {
    let known = targets(root)?;
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(name)) {
        return Err(format!("there is no target \"{unknown}\""));
    }
    let chosen = if wanted.is_empty() {
        &known[..]
    } else {
        wanted
    };
    let mut failed = Vec::new();
    for name in chosen {
        let start = Instant::now();
        let output = fuzz(root, name, bound)?;
        let seconds = start.elapsed().as_secs();
        if output.status.success() {
            println!("{name}: nothing found. {}", summary(&output));
        } else {
            println!("{name}: FAILED after {seconds} s\n{}", tail(&output));
            failed.push(name.as_str());
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(format!(
        "found something in {}. Again: cargo +nightly fuzz run TARGET fuzz/artifacts/TARGET/crash-...",
        failed.join(", ")
    ))
}

/// What is missing for fuzzing, if anything. Installs cargo-fuzz where it can.
pub fn missing(root: &Path) -> Option<String> {
    let works = |args: &[&str]| nightly(root, args).is_ok_and(|output| output.status.success());
    if !works(&["cargo", "--version"]) {
        return Some("there is no nightly toolchain (`rustup toolchain install nightly`)".into());
    }
    if works(&["cargo", "fuzz", "--version"]) {
        return None;
    }
    println!("installing cargo-fuzz");
    let install = ["cargo", "install", "cargo-fuzz", "--locked"];
    (!works(&install))
        .then(|| "cargo-fuzz cannot be installed (`cargo install cargo-fuzz --locked`)".into())
}

fn nightly(root: &Path, args: &[&str]) -> Result<Output, String> {
    let mut command = Command::new("rustup");
    let command = command
        .args(["run", "nightly"])
        .args(args)
        .current_dir(root);
    command
        .output()
        .map_err(|error| format!("rustup cannot be run: {error}"))
}

fn fuzz(root: &Path, name: &str, bound: Bound) -> Result<Output, String> {
    // What it learns goes into the first folder; the second has the seeds.
    let corpus = format!("fuzz/corpus/{name}");
    let artifacts = format!("fuzz/artifacts/{name}/");
    for folder in [&corpus, &artifacts] {
        fs::create_dir_all(root.join(folder))
            .map_err(|error| format!("{folder} cannot be made: {error}"))?;
    }
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo", "fuzz", "run", PROGRAM, &corpus]);
    let seeds = if name == PROGRAM {
        targets(root)?.iter().map(|name| fixtures(name)).collect()
    } else {
        vec![fixtures(name)]
    };
    command.args(seeds.iter().filter(|folder| root.join(folder).is_dir()));
    let bound = match bound {
        Bound::Runs(runs) => format!("-runs={runs}"),
        Bound::Seconds(seconds) => format!("-max_total_time={seconds}"),
    };
    command.args(["--", &bound, "-rss_limit_mb=1024"]);
    command.args([
        format!("-timeout={TIMEOUT}"),
        format!("-artifact_prefix={artifacts}"),
    ]);
    let command = command.env("TATAMI_FUZZ", name).current_dir(root);
    command
        .output()
        .map_err(|error| format!("rustup cannot be run: {error}"))
}

fn fixtures(name: &str) -> String {
    format!("{FOLDERS}/{name}/fixtures")
}

/// How much was tried, as libFuzzer puts it.
fn summary(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let done = said.lines().rev().find(|line| line.starts_with("Done "));
    done.unwrap_or_default().to_owned()
}

/// The last lines of what a run said.
fn tail(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_listed_in_the_manifest() {
        let root = tempfile::tempdir().unwrap();
        for name in ["zap", "acme"] {
            let folder = root.path().join(FOLDERS).join(name);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("mod.rs"), "").unwrap();
        }
        fs::create_dir_all(root.path().join(FOLDERS).join("empty")).unwrap();
        fs::create_dir_all(root.path().join("fuzz")).unwrap();
        let manifest = root.path().join(MANIFEST);
        fs::write(&manifest, "# head\n\n[[bin]]\nname = \"gone\"\n").unwrap();
        for _ in 0..2 {
            write_targets(root.path()).unwrap();
            let text = fs::read_to_string(&manifest).unwrap();
            let names: Vec<&str> = text
                .lines()
                .filter_map(|line| line.strip_prefix("name = "))
                .collect();
            assert_eq!(names, ["\"acme\"", "\"detect\"", "\"zap\""]);
            assert!(text.starts_with("# head\n\n[[bin]]\n"), "{text}");
        }
    }

    #[test]
    fn an_unknown_target_is_refused() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let refusal = run(&root, &["nope".to_owned()], Bound::Runs(1)).unwrap_err();
        assert!(refusal.contains("nope"), "{refusal}");
    }
}
