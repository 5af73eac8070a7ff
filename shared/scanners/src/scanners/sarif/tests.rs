use crate::{Collected, Refusal, Report, detect, parsed_json};

const REPORT: &str = include_str!("fixtures/report.sarif");

fn parse(text: &str) -> Result<Collected, Refusal> {
    let mut out = Collected::default();
    super::SCANNERS[0].parse(Report::from_bytes("x.sarif", text.as_bytes()), &mut out)?;
    Ok(out)
}

#[test]
fn all_runs_are_read() {
    let out = parse(REPORT).unwrap();
    insta::assert_json_snapshot!("report", parsed_json("SARIF", &out).unwrap());
}

#[test]
fn the_order_of_keys_does_not_matter() {
    let sorted: serde_json::Value = serde_json::from_str(REPORT).unwrap();
    let out = parse(&sorted.to_string()).unwrap();
    assert_eq!(out.findings, parse(REPORT).unwrap().findings);
    assert_eq!(out.test, parse(REPORT).unwrap().test);
}

#[test]
fn its_reports_are_detected_even_from_a_cut_off_head() {
    for text in [REPORT, &REPORT[..200], r#"{"runs": [], "version": "2.1.0"}"#] {
        let report = Report::from_bytes("x", text.as_bytes());
        assert_eq!(detect(&report).unwrap().scan_type, "SARIF", "{text}");
    }
}

#[test]
fn an_empty_log_has_no_findings() {
    for text in [
        r#"{"version": "2.1.0", "runs": []}"#,
        r#"{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x"}}, "results": []}]}"#,
    ] {
        let out = parse(text).unwrap();
        assert!(out.findings.is_empty() && out.warnings.is_empty(), "{text}");
    }
    let failed = r#"{"runs": [{"tool": {"driver": {"name": "x"}}, "results": null}]}"#;
    let told = parse(failed).unwrap().warnings;
    assert_eq!(told[0].record, "runs[0]");
    assert_eq!(told[0].message, "has no results: did the tool run to its end?");
}

#[test]
fn a_broken_result_is_a_warning_and_the_others_stay() {
    let broken = REPORT.replacen(r#"{"text": "core 1.0 is old"}"#, "5", 1);
    let out = parse(&broken).unwrap();
    assert_eq!(out.findings.len(), parse(REPORT).unwrap().findings.len() - 1);
    let places: Vec<_> = out.warnings.iter().map(|w| &*w.record).collect();
    assert_eq!(places, ["runs[0].results[2]", "runs[0].results[4]"]);
}

#[test]
fn what_is_no_sarif_log_is_refused() {
    for (text, says) in [
        ("", "the report is empty"),
        ("{}", "no \"runs\""),
        ("[]", "expected an object"),
        (r#"{"runs": {}}"#, "runs is an object, expected a list"),
        (r#"{"version": "1.0.0", "runs": []}"#, "SARIF version \"1.0.0\""),
        ("<xml/>", "not JSON"),
    ] {
        let refusal = parse(text).unwrap_err().to_string();
        assert!(refusal.contains(says), "{text}: {refusal}");
    }
}

#[test]
fn a_log_that_was_cut_off_is_refused_wherever_the_cut_is() {
    let text = REPORT.trim_end();
    for end in (0..text.len()).step_by(11) {
        assert!(parse(&text[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn arguments_are_filled_in_where_there_are_any() {
    let arguments = ["a".to_owned(), "{0}".to_owned()].map(crate::kit::json::Text);
    for (text, filled) in [
        ("{1} {0} {2} {x} {", "{0} a {2} {x} {"),
        ("no", "no"),
        ("{{0}", "{a"),
        ("", ""),
    ] {
        assert_eq!(super::filled(text, &arguments), filled);
    }
}
