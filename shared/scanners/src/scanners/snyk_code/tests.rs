use tatami_domain::Severity;

use crate::{Collected, Refusal, Report, by_scan_type, detect, parsed_json};

const LOG: &str = include_str!("fixtures/code.sarif");

fn parse(text: &str) -> Result<Collected, Refusal> {
    let mut out = Collected::default();
    super::SCANNERS[0].parse(Report::from_bytes("report", text.as_bytes()), &mut out)?;
    Ok(out)
}

#[test]
fn what_is_read() {
    let out = parse(LOG).unwrap();
    assert_eq!(out.warnings, []);
    insta::assert_json_snapshot!("code", parsed_json("Snyk Code Scan", &out).unwrap());
}

#[test]
fn its_logs_are_detected_even_from_a_cut_off_head() {
    let (head, _) = LOG.split_at(LOG.find("\"rules\"").unwrap());
    for text in [LOG, head] {
        let report = Report::from_bytes("report", text.as_bytes());
        assert_eq!(detect(&report).unwrap().scan_type, "Snyk Code Scan");
    }
}

#[test]
fn severities_go_by_the_score_then_by_the_level() {
    let severity = |score: &str| {
        let log = LOG.replacen("\"priorityScore\": 804", score, 1);
        parse(&log).unwrap().findings[0].severity
    };
    for (score, wanted) in [
        (900, Severity::Critical),
        (899, Severity::High),
        (699, Severity::Medium),
        (399, Severity::Low),
    ] {
        assert_eq!(severity(&format!("\"priorityScore\": {score}")), wanted);
    }
    assert_eq!(severity("\"x\": 1"), Severity::Medium);
}

#[test]
fn ignored_results_are_inactive() {
    let state = |log: &str| {
        let finding = parse(log).unwrap().findings.pop().unwrap();
        (finding.active, finding.false_p, finding.risk_accepted)
    };
    assert_eq!(state(LOG), (Some(false), None, Some(true)));
    let harmless = LOG.replace("wont-fix", "not-vulnerable");
    assert_eq!(state(&harmless), (Some(false), Some(true), None));
    let asked = LOG.replace("\"accepted\"", "\"underReview\"");
    assert_eq!(state(&asked), (None, None, None));
}

#[test]
fn sent_as_plain_sarif_it_is_read_as_that() {
    let mut out = Collected::default();
    let sarif = by_scan_type("SARIF").unwrap();
    sarif
        .parse(Report::from_bytes("report", LOG.as_bytes()), &mut out)
        .unwrap();
    assert_eq!(out.findings.len(), 2);
}

#[test]
fn a_broken_result_is_a_warning_and_the_others_stay() {
    let out = parse(&LOG.replacen("\"ruleId\"", "\"rule\"", 1)).unwrap();
    assert_eq!(out.findings.len(), 1);
    assert_eq!(out.warnings[0].record, "runs[0].results[0]");
    let out = parse(&LOG.replacen(
        "\"level\": \"note\",\n          \"message\": {",
        "\"message\": 7, \"x\": {",
        1,
    ))
    .unwrap();
    assert_eq!(out.findings.len(), 1);
    assert_eq!(out.warnings[0].record, "runs[0].results[1]");
}

#[test]
fn an_empty_log_has_no_findings_but_names_its_tool() {
    let log = r#"{"runs": [{"tool": {"driver": {"name": "SnykCode", "version": "1.0.0"}}, "results": []}]}"#;
    let out = parse(log).unwrap();
    assert_eq!((out.findings, out.warnings), (vec![], vec![]));
    let test = out.test.unwrap();
    assert_eq!(
        test.test_type.as_deref(),
        Some("SnykCode Scan (Snyk Code Scan)")
    );
    assert_eq!(test.version.as_deref(), Some("1.0.0"));
}

#[test]
fn what_is_no_log_is_refused() {
    for text in ["", "{}", "[]", "<x/>", r#"{"vulnerabilities": []}"#] {
        assert!(parse(text).is_err(), "{text} was read");
    }
    let text = LOG.trim_end();
    for end in (0..text.len()).step_by(53) {
        assert!(parse(&text[..end]).is_err(), "cut at {end}");
    }
}
