//! Every scanner's folder is a target in `fuzz/Cargo.toml`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tatami_scanners::folders;

#[test]
fn every_folder_is_fuzzed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/Cargo.toml");
    let manifest = fs::read_to_string(path).unwrap();
    let targets = manifest.split("[[bin]]").skip(1).map(|target| {
        let name = target.lines().find_map(|line| line.strip_prefix("name = "));
        name.unwrap().trim_matches('"').to_owned()
    });
    let there: BTreeSet<String> = targets.collect();
    let wanted = folders().map(|(folder, _)| folder.to_owned());
    let wanted: BTreeSet<String> = wanted.chain(["detect".to_owned()]).collect();
    let missing: Vec<_> = wanted.difference(&there).collect();
    let stale: Vec<_> = there.difference(&wanted).collect();
    assert!(
        missing.is_empty() && stale.is_empty(),
        "fuzz/Cargo.toml lacks the targets {missing:?} and has {stale:?} too many: run `cargo xtask docs`"
    );
}
