use serde_json::Value;

use super::{code, json, stderr, stdout, tatami, write};

#[test]
fn nobody_at_home_is_told_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "r.json", "{}");
    let url = "http://127.0.0.1:1";
    let listed = tatami(folder.path(), &["findings", "--url", url]);
    let wanted = "error: cannot reach http://127.0.0.1:1: is Tatami running there?";
    assert_eq!(code(&listed), Some(1));
    assert!(stderr(&listed).starts_with(wanted), "{}", stderr(&listed));

    let args = [
        "import",
        "r.json",
        "--product",
        "p",
        "--engagement",
        "e",
        "--url",
        url,
    ];
    let imported = tatami(folder.path(), &args);
    assert_eq!(code(&imported), Some(1));
    assert!(
        stderr(&imported).contains("r.json: cannot reach"),
        "{}",
        stderr(&imported)
    );
}

#[test]
fn an_import_needs_a_target() {
    let folder = tempfile::tempdir().unwrap();
    let output = tatami(folder.path(), &["import", "r.json", "--product", "p"]);
    assert_eq!(code(&output), Some(1));
    assert!(
        stderr(&output).contains("--engagement NAME"),
        "{}",
        stderr(&output)
    );
}

/// The samples through the whole system, and again with nothing new.
#[test]
fn the_demo_shows_the_samples() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["demo", "--once", "--listen", "127.0.0.1:0"];
    let first = tatami(folder.path(), &args);
    let text = stdout(&first);
    assert_eq!(code(&first), Some(0), "{text}{}", stderr(&first));
    for wanted in [
        "SQL Injection",
        "CVE-2024-29041",
        "Duplicate of",
        "SNMP",
        "delivery note",
        "20 findings.",
    ] {
        assert!(text.contains(wanted), "{wanted} is not in {text}");
    }
    let again = stdout(&tatami(folder.path(), &args));
    assert!(again.contains("20 findings."), "{again}");
}

/// A running Tatami, ended with its handle.
pub struct Served(std::process::Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Serves in a folder on a free port; gives the URL.
pub fn serve(folder: &std::path::Path) -> (Served, String) {
    use std::io::BufRead as _;
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_tatami"))
        .args(["serve", "--listen", "127.0.0.1:0"])
        .current_dir(folder)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let served = Served(child);
    let mut lines = lines.map_while(Result::ok);
    while let Some(line) = lines.next() {
        if let Some(rest) = line.split("http://").nth(1) {
            let address = rest.split([' ', '/']).next().unwrap_or_default();
            let url = format!("http://{address}");
            // It has more to say, and somebody must listen.
            std::thread::spawn(move || lines.for_each(drop));
            return (served, url);
        }
    }
    panic!("it didn't say where it is");
}

#[test]
fn good_reports_go_in_though_others_fail() {
    let folder = tempfile::tempdir().unwrap();
    let (_served, url) = serve(folder.path());
    write(
        folder.path(),
        "good.json",
        r#"{"findings": [{"title": "t", "severity": "High", "description": "d"},
            {"title": "u", "severity": "Low", "description": "d"}]}"#,
    );
    write(folder.path(), "empty.json", "");
    write(
        folder.path(),
        "cut.json",
        r#"{"findings": [{"title": "t", "severity": "High", "#,
    );
    let target = ["--product", "Shop", "--engagement", "CI", "--url", &url];
    let files = [
        "import",
        "cut.json",
        "empty.json",
        "good.json",
        "missing.json",
    ];
    let output = tatami(folder.path(), &[&files[..], &target].concat());
    let (said, told) = (stdout(&output), stderr(&output));
    assert_eq!(code(&output), Some(1), "{said}{told}");
    assert!(
        said.contains("good.json") && said.contains("0/1/0/1/0"),
        "{said}"
    );
    for wanted in [
        "cut.json: ",
        "empty.json: the file is empty",
        "missing.json: cannot open the file",
    ] {
        assert!(told.contains(wanted), "{wanted} is not in {told}");
    }

    let again = [
        "import",
        "good.json",
        "--json",
        "--reimport",
        "--scan-type",
        "generic findings import",
    ];
    let output = tatami(folder.path(), &[&again[..], &target].concat());
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    let record = &json(&output)[0];
    assert_eq!(record["state"], "done");
    assert_eq!(record["counts"]["untouched"], 2, "{record}");

    let list = |more: &[&str]| tatami(folder.path(), &[&["imports", "--url", &url], more].concat());
    let imports = json(&list(&["--json", "--state", "done,failed"]));
    assert_eq!(imports["count"], 3, "{imports}");
    assert_eq!(imports["results"][0]["id"], record["id"], "latest first");
    let said = stdout(&list(&["--state", "failed"]));
    assert!(
        said.contains("cut.json") && said.contains("1 import."),
        "{said}"
    );
    let id = record["id"].to_string();
    assert!(stdout(&list(&[&id])).contains("good.json"), "{id}");
    let failed = imports["results"][2]["id"].to_string();
    let told = stderr(&list(&[&failed]));
    assert!(told.contains("cut.json: "), "{told}");
    assert_eq!(code(&list(&["99"])), Some(1));

    let high = [
        "findings",
        "--json",
        "--product",
        "Shop",
        "--severity",
        "high",
        "--url",
        &url,
    ];
    let listed = json(&tatami(folder.path(), &high));
    assert_eq!(listed["count"], 1, "{listed}");
    let wrong = tatami(
        folder.path(),
        &["findings", "--url", &url, "--token", "nonsense"],
    );
    assert_eq!(code(&wrong), Some(1));
    assert!(
        stderr(&wrong).contains("doesn't take this token"),
        "{}",
        stderr(&wrong)
    );
}

/// More than goes through the API at once.
#[test]
fn a_big_report_goes_straight_into_the_bucket() {
    let folder = tempfile::tempdir().unwrap();
    let (_served, url) = serve(folder.path());
    let filler = " ".repeat(21 * 1024 * 1024);
    let report = format!(
        r#"{{"findings": [{{"title": "t", "severity": "High", "description": "d"}}]{filler}}}"#
    );
    write(folder.path(), "big.json", &report);
    let args = [
        "import",
        "big.json",
        "--json",
        "--product",
        "Shop",
        "--engagement",
        "CI",
        "--url",
        &url,
    ];
    let output = tatami(folder.path(), &args);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    let record = &json(&output)[0];
    assert_eq!(record["counts"]["created"], 1, "{record}");
    assert_eq!(record["size"], report.len(), "{record}");
}

#[test]
fn risks_are_accepted_and_metrics_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (_served, url) = serve(folder.path());
    write(
        folder.path(),
        "r.json",
        r#"{"findings": [
            {"title": "a", "severity": "Critical", "description": "d", "date": "2026-01-01"},
            {"title": "b", "severity": "Low", "description": "d", "date": "2026-01-01"}
        ]}"#,
    );
    let run = |args: &[&str]| {
        let output = tatami(folder.path(), &[args, &["--url", &url]].concat());
        assert_eq!(code(&output), Some(0), "{args:?}: {}", stderr(&output));
        stdout(&output)
    };
    run(&["import", "--product", "Shop", "--engagement", "E", "r.json"]);
    let late = run(&["sla", "--product", "Shop"]);
    assert!(late.contains("2 findings."), "{late}");
    let found: Value = serde_json::from_str(&run(&["findings", "--json"])).unwrap();
    let id = found["results"][0]["id"].to_string();
    let said = run(&["accept", &id, "--justification", "known", "--expires", "5"]);
    assert!(said.contains(&format!("{id} changed")), "{said}");
    let listed = run(&["acceptances", "--expires-within", "7"]);
    assert!(listed.contains("1 risk acceptance."), "{listed}");
    let metrics = run(&["metrics", "--product", "Shop", "--format", "json"]);
    let metrics: Value = serde_json::from_str(&metrics).unwrap();
    let counts = &metrics["counts"];
    assert_eq!(
        (&counts["open"]["all"], &counts["risk_accepted"]["all"]),
        (&1.into(), &1.into())
    );
    assert!(run(&["metrics"]).contains("Days to fix"));
    assert!(run(&["metrics", "--products"]).contains("Shop"));
    assert!(run(&["metrics", "--format", "csv"]).contains("counts.open,all,,,1"));
}
