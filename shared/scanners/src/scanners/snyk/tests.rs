use tatami_domain::Severity;

use crate::{Collected, Refusal, Report, detect, parsed_json};

const PROJECT: &str = include_str!("fixtures/project.json");
const ALL: &str = include_str!("fixtures/all-projects.json");
const CONTAINER: &str = include_str!("fixtures/container.json");
const IAC: &str = include_str!("fixtures/iac.json");
const OPEN_SOURCE_LOG: &str = include_str!("fixtures/open-source.sarif");
const IAC_LOG: &str = include_str!("fixtures/iac.sarif");
const CODE_LOG: &str = include_str!("../snyk_code/fixtures/code.sarif");

fn parse(text: &str) -> Result<Collected, Refusal> {
    let mut out = Collected::default();
    super::SCANNERS[0].parse(Report::from_bytes("report", text.as_bytes()), &mut out)?;
    Ok(out)
}

#[test]
fn what_is_read() {
    for (name, text) in [
        ("project", PROJECT),
        ("all_projects", ALL),
        ("container", CONTAINER),
        ("iac", IAC),
        ("open_source_log", OPEN_SOURCE_LOG),
        ("iac_log", IAC_LOG),
    ] {
        let out = parse(text).unwrap();
        insta::assert_json_snapshot!(name, parsed_json("Snyk Scan", &out).unwrap());
    }
}

#[test]
fn its_reports_are_detected_even_from_a_cut_off_head() {
    let cut = |text: &'static str, at: &str| text.split_at(text.find(at).unwrap()).0;
    for text in [
        PROJECT,
        cut(PROJECT, "\"isPatchable\""),
        cut(ALL, "\"version\""),
        cut(CONTAINER, "\"name\""),
        cut(IAC, "\"ok\""),
        cut(OPEN_SOURCE_LOG, "\"properties\""),
        &IAC_LOG.replace("Snyk IaC", "Snyk Container"),
    ] {
        let report = Report::from_bytes("report", text.as_bytes());
        assert_eq!(detect(&report).unwrap().scan_type, "Snyk Scan", "{text}");
    }
}

#[test]
fn only_upgrades_of_the_vulnerable_package_are_advised() {
    let findings = parse(PROJECT).unwrap().findings;
    assert_eq!(
        findings[0].tags,
        [
            "target_file:package-lock.json",
            "upgrade_to:@tools/forms@3.2.0"
        ]
    );
    assert_eq!(findings[1].tags, ["target_file:package-lock.json"]);
}

#[test]
fn each_grouped_path_is_a_finding() {
    let paths: Vec<_> = parse(ALL)
        .unwrap()
        .findings
        .into_iter()
        .filter_map(|f| f.file_path)
        .collect();
    assert_eq!(
        paths,
        [
            "test.example:app > test.example:codec",
            "test.example:app > test.example:net > test.example:codec"
        ]
    );
}

#[test]
fn the_score_goes_before_the_severity() {
    let severity = |text: &str| parse(text).unwrap().findings[0].severity;
    assert_eq!(severity(ALL), Severity::Critical);
    let unscored = ALL.replacen("\"cvssScore\": 9.1,", "", 1);
    assert_eq!(severity(&unscored), Severity::Critical);
    assert_eq!(
        severity(&unscored.replacen("severityWithCritical", "x", 1)),
        Severity::High
    );
}

#[test]
fn a_log_of_snyk_code_is_read_as_snyk_code_scan_reads_it() {
    let out = parse(CODE_LOG).unwrap();
    assert_eq!(out.findings[0].title, "javascript/OpenDoor_src/door.js");
    assert_eq!(out.test, None);
}

#[test]
fn a_line_1_is_a_place_in_code_but_not_in_a_manifest() {
    assert_eq!(parse(OPEN_SOURCE_LOG).unwrap().findings[0].line, None);
    assert_eq!(parse(IAC_LOG).unwrap().findings[0].line, Some(1));
}

#[test]
fn a_report_without_issues_has_no_findings() {
    for text in [
        r#"{"vulnerabilities": [], "ok": true, "dependencyCount": 3}"#,
        r#"[{"vulnerabilities": [], "ok": true}, {"vulnerabilities": null}]"#,
        r#"{"infrastructureAsCodeIssues": []}"#,
        r#"{"runs": [{"tool": {"driver": {"name": "Snyk IaC"}}, "results": []}]}"#,
    ] {
        let out = parse(text).unwrap();
        assert_eq!((out.findings, out.warnings), (vec![], vec![]), "{text}");
    }
}

#[test]
fn a_broken_issue_is_a_warning_and_the_others_stay() {
    let warned = |text: &str| {
        let out = parse(text).unwrap();
        let records: Vec<_> = out.warnings.into_iter().map(|w| w.record).collect();
        (out.findings.len(), records.join(" "))
    };
    let first = "vulnerabilities[0]".to_owned();
    let id = "\"id\": \"SNYK-JS-PADLEFT-100001\"";
    assert_eq!(
        warned(&PROJECT.replacen(id, "\"id\": \"\"", 1)),
        (1, first.clone())
    );
    let from = "\"from\": [\"shop@1.0.0\", \"@tools";
    assert_eq!(
        warned(&PROJECT.replacen(from, "\"from\": [7, {}, \"", 1)),
        (1, first)
    );
    let title = IAC.replace("ACME-1", "").replace("Missing label", "");
    assert_eq!(warned(&title), (1, "infrastructureAsCodeIssues[1]".into()));
    let rule = OPEN_SOURCE_LOG.replacen("\"ruleId\"", "\"rule\"", 1);
    assert_eq!(warned(&rule), (0, "runs[0].results[0]".into()));
    assert_eq!(warned(ALL).1, "[2]");
    let failed = CONTAINER.replacen(
        "\"applications\": [",
        "\"applications\": [{\"error\": \"no\"},",
        1,
    );
    assert_eq!(warned(&failed), (2, "applications[0]".into()));
    let odd = PROJECT.replacen("\"remediation\": {", "\"remediation\": 1, \"x\": {", 1);
    assert_eq!(warned(&odd), (2, "remediation".into()));
}

#[test]
fn what_is_no_report_of_snyk_is_refused() {
    for (text, says) in [
        ("", "empty"),
        ("{}", "vulnerabilities"),
        ("[]", "vulnerabilities"),
        ("[{}]", "vulnerabilities"),
        ("7", "expected an object"),
        (
            r#"{"ok": false, "error": "no target files", "path": "/"}"#,
            "no target files",
        ),
        (
            r#"[{"ok": false, "error": "no target files"}]"#,
            "no target files",
        ),
        ("<html/>", "JSON"),
    ] {
        let refusal = parse(text).unwrap_err().to_string();
        assert!(refusal.contains(says), "{text}: {refusal}");
    }
}

#[test]
fn a_report_that_was_cut_off_is_refused_wherever_the_cut_is() {
    for text in [PROJECT, ALL, CONTAINER, IAC, OPEN_SOURCE_LOG] {
        let text = text.trim_end();
        for end in (0..text.len()).step_by(97) {
            assert!(parse(&text[..end]).is_err(), "cut at {end}");
        }
    }
}
