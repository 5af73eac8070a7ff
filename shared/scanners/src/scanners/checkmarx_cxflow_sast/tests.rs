use crate::{Collected, Refusal, Report, detect, parsed_json};

const REPORT: &str = include_str!("fixtures/report.json");
const SARIF: &str = include_str!("fixtures/cx.sarif");

fn parse(text: &str) -> Result<Collected, Refusal> {
    let mut out = Collected::default();
    super::SCANNERS[0].parse(Report::from_bytes("report", text.as_bytes()), &mut out)?;
    Ok(out)
}

#[test]
fn every_result_of_an_issue_is_a_finding() {
    let out = parse(REPORT).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (3, 0));
    let states = out
        .findings
        .iter()
        .map(|f| (f.active, f.verified, f.false_p));
    let (yes, no) = (Some(true), Some(false));
    assert_eq!(
        states.collect::<Vec<_>>(),
        [(yes, yes, no), (no, no, yes), (yes, no, no)]
    );
    insta::assert_json_snapshot!(
        "report",
        parsed_json("Checkmarx CxFlow SAST", &out).unwrap()
    );
}

#[test]
fn two_sinks_of_one_source_are_two_findings() {
    let same = REPORT.replace(r#""line": "30""#, r#""line": "21""#);
    let lines: Vec<_> = parse(&same)
        .unwrap()
        .findings
        .iter()
        .map(|f| f.line)
        .collect();
    assert_eq!(lines, [Some(55), Some(61), Some(8)]);
}

#[test]
fn the_date_may_come_after_the_issues() {
    let sorted: serde_json::Value = serde_json::from_str(REPORT).unwrap();
    let details = sorted["additionalDetails"].to_string();
    let late = REPORT.replacen(
        "\"additionalDetails\": {\n    \"flow",
        "\"other\": {\n    \"flow",
        1,
    );
    let late = late.trim_end().strip_suffix('}').unwrap().to_owned();
    let late = format!("{late}, \"additionalDetails\": {details}}}");
    assert_eq!(
        parse(&late).unwrap().findings,
        parse(REPORT).unwrap().findings
    );
}

#[test]
fn its_reports_are_detected_even_from_a_cut_off_head() {
    let sca = SARIF.replace("Checkmarx - SAST", "Checkmarx - SCA");
    for text in [REPORT, &REPORT[..700], SARIF, &sca] {
        let report = Report::from_bytes("x", text.as_bytes());
        assert_eq!(
            detect(&report).unwrap().scan_type,
            "Checkmarx CxFlow SAST",
            "{text}"
        );
    }
    assert_eq!(parse(SARIF).unwrap().findings[0].line, Some(21));
}

#[test]
fn a_broken_issue_is_a_warning_and_the_others_stay() {
    for (from, to, left) in [
        (r#""severity": "Low""#, r#""severity": "Mild""#, 2),
        (r#""vulnerability": "Heap_Inspection","#, "", 2),
        (r#""similarityId": "-5""#, r#""similarityId": {}"#, 2),
        (
            "\"allFalsePositive\": false\n    },",
            "\"allFalsePositive\": false}, 7,",
            3,
        ),
    ] {
        let out = parse(&REPORT.replacen(from, to, 1)).unwrap();
        assert_eq!(out.findings.len(), left, "{from}");
        assert_eq!(out.warnings[0].record, "xissues[1]", "{from}");
    }
    // What CxFlow writes of a package.
    let package = r#"{"vulnerability": "CVE-2024-0001", "severity": "High", "additionalDetails": null,
        "scaDetails": [{}], "details": {}}"#;
    let out =
        parse(&REPORT.replacen("\"xissues\": [", &format!("\"xissues\": [{package},"), 1)).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (3, 1));
    assert_eq!(out.warnings[0].message, "the issue has no results of SAST");
}

#[test]
fn an_empty_report_has_no_findings() {
    let out = parse(r#"{"projectId": "5", "additionalDetails": null, "xissues": []}"#).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (0, 0));
}

#[test]
fn what_is_no_cxflow_report_is_refused() {
    for (text, says) in [
        ("", "empty"),
        ("{}", "xissues"),
        (r#"{"xissues": null}"#, "xissues"),
        (r#"{"unFilteredIssues": []}"#, "xissues"),
        ("[]", "expected an object"),
    ] {
        let refusal = parse(text).unwrap_err();
        assert!(refusal.to_string().contains(says), "{text}: {refusal}");
    }
    let text = REPORT.trim_end();
    for end in (0..text.len()).step_by(23) {
        assert!(parse(&text[..end]).is_err(), "cut at {end}");
    }
}
