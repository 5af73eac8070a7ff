//! `hash_code` held against what DefectDojo computes of the same samples.
//!
//! The corpus isn't part of the repository. It is looked for in the folder that `TATAMI_CORPUS` names,
//! else in `../shared/corpus` beside the workspace; without it the test says so and passes. What
//! differs is listed by scan type: `cargo test -p tatami-scanners --test it hash_code -- --nocapture`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tatami_dedup_rules::hashes;
use tatami_domain::{ReportFinding, ResolvedDedupe};
use tatami_scanners::{Collected, Report, Scanner, by_scan_type};

/// So many per cent of the findings whose hash is taken without the description have the hash that the
/// peer gives them, at least. Measured: all of 425.
const FLOOR: f64 = 100.0;
/// The same of those whose description, which the scanners word for themselves, is hashed too.
/// Measured: 709 of 1,681.
const FLOOR_WITH_DESCRIPTION: f64 = 42.0;
/// Where only that differs, it's the peer's parser that leaves the CWE unset for one format of a
/// scanner's reports, which hashes as `None`, and sets 0 for another. Here both are 0, so that the
/// same finding has the same hash in each format.
const UNSET_CWE: &str = "cwe";

#[allow(
    clippy::disallowed_methods,
    reason = "where samples lie is told to tests this way"
)]
fn corpus() -> Option<PathBuf> {
    let folder = match std::env::var_os("TATAMI_CORPUS") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus"),
    };
    folder.join("manifest.json").is_file().then_some(folder)
}

fn read(path: &Path) -> Value {
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[derive(Default)]
struct Sum {
    equal: usize,
    all: usize,
    /// What the hashes that differ rest on, with how often and an example.
    why: BTreeMap<String, (usize, String)>,
}

impl Sum {
    fn percent(&self) -> f64 {
        if self.all == 0 {
            return 100.0;
        }
        self.equal as f64 * 100.0 / self.all as f64
    }
}

/// Sums of findings hashed without (0) and with (1) their description.
type Sums = [Sum; 2];

#[test]
fn hash_codes_are_those_of_the_peer() {
    let Some(corpus) = corpus() else {
        println!("skipped: there is no corpus; name its folder in TATAMI_CORPUS");
        return;
    };
    let mut by_scan_type: BTreeMap<String, Sums> = BTreeMap::new();
    let manifest = read(&corpus.join("manifest.json"));
    for entry in manifest["files"].as_array().expect("files") {
        if entry["group"] != "A" {
            continue;
        }
        let file = entry["file"].as_str().expect("a path");
        let golden = read(&corpus.join(format!("{file}.golden.json")));
        let bytes = fs::read(corpus.join(file)).expect("a sample");
        for result in golden["results"].as_array().into_iter().flatten() {
            let scan_type = result["scan_type"].as_str().expect("a scan type");
            let Some(scanner) = self::by_scan_type(scan_type) else {
                continue;
            };
            let sums = by_scan_type.entry(scan_type.to_owned()).or_default();
            compare(file, &bytes, scanner, result, sums);
        }
    }
    let mut total = Sums::default();
    for (scan_type, sums) in &by_scan_type {
        for ((sum, total), what) in sums.iter().zip(&mut total).zip(["", " (description)"]) {
            total.equal += sum.equal;
            total.all += sum.all;
            if sum.all > 0 {
                println!("{:6}/{:<6} {scan_type}{what}", sum.equal, sum.all);
            }
            for (why, (n, example)) in &sum.why {
                println!("{n:13}   {why}: {example}");
                let fields: Vec<&str> = why.split(", ").collect();
                let known = fields.contains(&"description") || fields == [UNSET_CWE];
                assert!(known, "{scan_type}: {n} differ in \"{why}\": {example}");
            }
        }
    }
    for (sum, floor) in total.iter().zip([FLOOR, FLOOR_WITH_DESCRIPTION]) {
        println!(
            "{} of {} hashes: {:.2} %",
            sum.equal,
            sum.all,
            sum.percent()
        );
        assert!(sum.all > 0, "the corpus has samples of group A");
        assert!(sum.percent() >= floor, "less than {floor} %");
    }
}

#[test]
fn scanners_deduplicate_as_the_peer_does() {
    let Some(corpus) = corpus() else {
        println!("skipped: there is no corpus; name its folder in TATAMI_CORPUS");
        return;
    };
    let facts = read(&corpus.join("dedupe-settings.json"));
    let mut compared = 0;
    for scanner in tatami_scanners::all() {
        let theirs = &facts["scan_types"][scanner.scan_type];
        if theirs.is_null() {
            println!("{} is a scan type of our own", scanner.scan_type);
            continue;
        }
        let ours = scanner.dedupe;
        let fields: Vec<&str> = ours.fields.iter().map(|field| field.name()).collect();
        let fields = Some(fields).filter(|fields| !fields.is_empty());
        let name = scanner.scan_type;
        assert_eq!(theirs["algorithm"], ours.algorithm.name(), "{name}");
        assert_eq!(theirs["hash_fields"], Value::from(fields), "{name}");
        assert_eq!(
            theirs["hash_allows_null_cwe"], ours.allows_null_cwe,
            "{name}"
        );
        compared += 1;
    }
    assert!(compared > 0, "none of the scanners is known to the peer");
}

/// Pairs findings of equal hash, whatever their order, and says of the others which fields differ.
fn compare(file: &str, bytes: &[u8], scanner: &Scanner, result: &Value, sums: &mut Sums) {
    let mut out = Collected::default();
    let parsed = scanner.parse(Report::from_bytes(file, bytes), &mut out);
    if result["error"].is_object() || parsed.is_err() {
        return;
    }
    let dedupe = ResolvedDedupe::from(&scanner.dedupe);
    let mut ours: Vec<(String, &ReportFinding)> = (out.findings.iter())
        .map(|finding| (hashes(finding, &dedupe).compatible, finding))
        .collect();
    let mut left = Vec::new();
    for theirs in result["findings"].as_array().into_iter().flatten() {
        if theirs["hash_code_set_by_parser"] == true {
            continue;
        }
        let sum = &mut sums[usize::from(hashes_description(result, theirs))];
        sum.all += 1;
        let hash = theirs["hash_code"].as_str().unwrap_or_default();
        match ours.iter().position(|(ours, _)| ours == hash) {
            Some(at) => {
                ours.swap_remove(at);
                sum.equal += 1;
            }
            None => left.push(theirs),
        }
    }
    let mut ours: Vec<Value> = (ours.into_iter())
        .map(|(_, finding)| as_theirs(finding))
        .collect();
    for theirs in left {
        // the finding that agrees in most fields
        let closest = (ours.iter().enumerate())
            .map(|(at, finding)| (differing(result, theirs, finding), at))
            .min_by_key(|(fields, _)| fields.len());
        let (why, example) = match closest {
            Some((fields, at)) => {
                let ours = ours.swap_remove(at);
                let example = fields.first().map_or(String::new(), |name| {
                    format!("{} is {}", shown(&theirs[name]), shown(&ours[name]))
                });
                (fields.join(", "), example)
            }
            None => ("no such finding".into(), String::new()),
        };
        let sum = &mut sums[usize::from(hashes_description(result, theirs))];
        let example = format!("{file}, {}: {example}", shown(&theirs["title"]));
        let entry = sum.why.entry(why).or_insert((0, example));
        entry.0 += 1;
    }
}

const LEGACY: [&str; 5] = ["title", "cwe", "line", "file_path", "description"];

/// The fields that the peer hashes of this finding.
fn fields<'v>(result: &'v Value, theirs: &Value) -> Vec<&'v str> {
    let null_cwe = theirs["cwe"].as_u64().unwrap_or(0) == 0;
    match result["hash_fields"].as_array() {
        Some(fields) if !null_cwe || result["hash_allows_null_cwe"] == true => {
            fields.iter().filter_map(Value::as_str).collect()
        }
        _ => LEGACY.to_vec(),
    }
}

fn hashes_description(result: &Value, theirs: &Value) -> bool {
    fields(result, theirs).contains(&"description")
}

/// A finding of ours, with its endpoints as a golden has them.
fn as_theirs(finding: &ReportFinding) -> Value {
    let mut value = serde_json::to_value(finding).expect("a finding");
    let urls = finding
        .endpoints
        .iter()
        .map(|e| json!({"url": e.to_string()}));
    value["endpoints"] = urls.collect();
    value
}

/// The hashed fields in which the two differ.
fn differing<'v>(result: &'v Value, theirs: &Value, ours: &Value) -> Vec<&'v str> {
    let mut fields = fields(result, theirs);
    fields.push("service");
    fields.retain(|name| hashed(&theirs[*name]) != hashed(&ours[*name]));
    fields
}

/// A value as it goes into the hash.
fn hashed(value: &Value) -> String {
    match value {
        Value::Null => "None".into(),
        Value::Array(list) if list.is_empty() => "None".into(),
        Value::String(text) => text.clone(),
        Value::Array(list) => {
            let mut texts: Vec<String> = list.iter().map(hashed).collect();
            texts.sort();
            texts.dedup();
            texts.concat()
        }
        Value::Object(endpoint) => hashed(&endpoint["url"]),
        other => other.to_string(),
    }
}

fn shown(value: &Value) -> String {
    value.to_string().chars().take(60).collect()
}
