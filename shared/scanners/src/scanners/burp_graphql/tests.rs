use tatami_domain::Severity;

use crate::{Collected, Refusal, Report, detect, parsed_json};

const ISSUES: &str = include_str!("fixtures/issues.json");
const ANSWER: &str = include_str!("fixtures/answer.json");

fn parse(text: &str) -> Result<Collected, Refusal> {
    let mut out = Collected::default();
    super::SCANNERS[0].parse(Report::from_bytes("report", text.as_bytes()), &mut out)?;
    Ok(out)
}

fn json(text: &str) -> serde_json::Value {
    let out = parse(text).unwrap();
    assert_eq!(out.warnings, []);
    parsed_json("Burp GraphQL API", &out).unwrap()
}

#[test]
fn issues_of_a_name_are_one_finding() {
    insta::assert_json_snapshot!("issues", json(ISSUES));
    let out = parse(ISSUES).unwrap();
    let scripts = &out.findings[0];
    assert_eq!(scripts.severity, Severity::High, "the worst of its issues");
    assert_eq!(
        (scripts.cwe, scripts.extra_cwes.as_slice()),
        (79, [80].as_slice())
    );
    let requests: Vec<_> = scripts
        .requests
        .iter()
        .map(|r| r.request.as_str())
        .collect();
    assert_eq!(
        requests,
        [
            "GET /search?q=<script> HTTP/1.1\r\n",
            "GET /search HTTP/1.1",
            "GET / HTTP/1.0"
        ]
    );
    let responses: Vec<_> = scripts
        .requests
        .iter()
        .map(|r| r.response.as_str())
        .collect();
    assert_eq!(
        responses,
        [
            "HTTP/1.1 200 OK\r\n\n[37 bytes snipped]\n",
            "",
            "HTTP/1.1 204"
        ]
    );
}

#[test]
fn false_positives_stay_apart() {
    let out = parse(ISSUES).unwrap();
    let [_, robots, judged] = out.findings.as_slice() else {
        panic!("{} findings", out.findings.len());
    };
    assert_eq!((robots.severity, robots.false_p), (Severity::Low, None));
    assert_eq!(
        (judged.severity, judged.false_p),
        (Severity::Info, Some(true))
    );
}

#[test]
fn answers_of_the_api_are_read_as_they_are() {
    insta::assert_json_snapshot!("answer", json(ANSWER));
    let issue = r#"{"data": {"issue": {"issue_type": {"name": "x"}, "severity": "low"}}}"#;
    assert_eq!(parse(issue).unwrap().findings.len(), 1);
    let report = Report::from_bytes("report", issue.as_bytes());
    assert_eq!(detect(&report).unwrap().scan_type, "Burp GraphQL API");
}

#[test]
fn its_reports_are_detected_even_from_a_cut_off_head() {
    for text in [ISSUES, ANSWER, &ISSUES[..120], &ANSWER[..250]] {
        let report = Report::from_bytes("report", text.as_bytes());
        assert_eq!(detect(&report).unwrap().scan_type, "Burp GraphQL API");
    }
    for text in [
        r#"{"Issues": []}"#,
        r#"{"Issues": [{"severity": "HIGH", "rule_id": "G104"}], "Stats": {}}"#,
    ] {
        assert!(detect(&Report::from_bytes("report", text.as_bytes())).is_err());
    }
}

#[test]
fn a_broken_issue_is_a_warning_and_the_others_stay() {
    for (good, bad, says) in [
        (
            "\"name\": \"Robots.txt file\",",
            "\"name\": null,",
            "no name",
        ),
        (
            "\"severity\": \"low\"",
            "\"severity\": \"?\"",
            "\"?\" is not",
        ),
        ("\"evidence\": null", "\"evidence\": [1]", ""),
    ] {
        let out = parse(&ISSUES.replacen(good, bad, 1)).unwrap();
        assert_eq!((out.findings.len(), out.warnings.len()), (2, 1), "{bad}");
        assert_eq!(out.warnings[0].record, "Issues[1]");
        assert!(out.warnings[0].message.contains(says), "{:?}", out.warnings);
    }
    let out = parse(&ISSUES.replacen("test:8443", "test:port", 1)).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (3, 1));
}

#[test]
fn no_issues_are_no_findings() {
    for text in [
        r#"{"Issues": []}"#,
        r#"{"data": {"scan": {"id": "1", "issues": []}}}"#,
    ] {
        let out = parse(text).unwrap();
        assert_eq!((out.findings.len(), out.warnings.len()), (0, 0), "{text}");
    }
}

#[test]
fn what_has_no_readable_issue_is_refused() {
    for text in [
        "",
        "[]",
        "{}",
        "<issues/>",
        r#"{"issues": []}"#,
        r#"{"Issues": null}"#,
        r#"{"data": {"scan": null}, "errors": [{"message": "no"}]}"#,
        r#"{"Issues": [{"issue_type": {"name": null}, "severity": "high"}]}"#,
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_report_that_was_cut_off_is_refused_wherever_the_cut_is() {
    let text = ISSUES.trim_end();
    for end in (0..text.len()).step_by(7) {
        assert!(parse(&text[..end]).is_err(), "cut at {end}");
    }
}
