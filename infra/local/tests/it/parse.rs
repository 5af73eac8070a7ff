use super::{code, json, stderr, stdout, tatami, write};

const GENERIC: &str =
    r#"{"findings": [{"title": "t", "severity": "High", "description": "d", "cwe": 79}]}"#;

#[test]
fn a_report_is_recognised_and_printed() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "r.json", GENERIC);
    for args in [
        &["parse", "r.json"][..],
        &["parse", "--scan-type", "generic findings import", "r.json"],
    ] {
        let output = tatami(folder.path(), args);
        assert_eq!((code(&output), stderr(&output).as_str()), (Some(0), ""));
        let parsed = json(&output);
        assert_eq!(parsed["scan_type"], "Generic Findings Import");
        assert_eq!(parsed["findings"].as_array().unwrap().len(), 1);
        assert_eq!(parsed["findings"][0]["cwe"], 79);
        assert_eq!(parsed["findings"][0]["active"], true);
    }
}

#[test]
fn a_broken_record_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        "r.json",
        r#"{"SchemaVersion": 2, "ArtifactName": "a", "Results": [{"Target": "t", "Class": "os-pkgs",
            "Vulnerabilities": [{"PkgName": "no id"},
            {"VulnerabilityID": "CVE-2030-1", "PkgName": "p", "Severity": "LOW"}]}]}"#,
    );
    let output = tatami(folder.path(), &["parse", "r.json"]);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    let parsed = json(&output);
    assert_eq!(parsed["findings"].as_array().unwrap().len(), 1);
    assert_eq!(parsed["warnings"].as_array().unwrap().len(), 1);
}

#[test]
fn what_cannot_be_read_is_told_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "good.json", GENERIC);
    write(folder.path(), "cut.json", &GENERIC[..50]);
    write(folder.path(), "empty.json", "");
    write(folder.path(), "letter.txt", "Dear all,");
    for (args, wanted) in [
        (&["cut.json"][..], "line 1"),
        (&["empty.json"], "empty.json: the report is empty"),
        (
            &["--scan-type", "SARIF", "empty.json"],
            "empty.json: the report is empty",
        ),
        (&["letter.txt"], "no scanner recognises this report"),
        (&["missing.json"], "cannot read missing.json: No such file"),
        (&["."], "cannot read .: it is a folder"),
        (
            &["--scan-type", "Nonsense", "good.json"],
            "there is no scan type \"Nonsense\"",
        ),
        (&["--scan-type", "SARIF", "good.json"], "good.json: "),
    ] {
        let output = tatami(folder.path(), &[&["parse"], args].concat());
        let said = stderr(&output);
        assert_eq!(
            (code(&output), stdout(&output).as_str()),
            (Some(2), ""),
            "{args:?}: {said}"
        );
        assert!(
            said.starts_with("error: ") && said.contains(wanted),
            "{args:?}: {said}"
        );
        assert_eq!(said.trim_end().lines().count(), 1, "{args:?}: {said}");
    }
}
