//! The binary, as people and scripts run it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are tests"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

mod operator;
mod parse;
mod restart;
mod server;
mod snippets;

/// Runs `tatami` in a folder of its own, with nothing of ours in the environment.
fn tatami(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tatami"))
        .args(args)
        .current_dir(folder)
        .env_remove("TATAMI_URL")
        .env_remove("TATAMI_TOKEN")
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn write(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).unwrap();
}

#[test]
fn scanners_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let table = tatami(folder.path(), &["scanners"]);
    assert_eq!(code(&table), Some(0));
    let text = stdout(&table);
    assert!(
        text.contains("Trivy Scan") && text.contains("JSON (.json)"),
        "{text}"
    );
    let list = json(&tatami(folder.path(), &["scanners", "--json"]));
    let generic = list
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["scan_type"] == "Generic Findings Import");
    let dedupe = &generic.unwrap()["dedupe"];
    assert_eq!(dedupe["algorithm"], "hash_code");
    assert_eq!(dedupe["fields"][0], "title");
}
