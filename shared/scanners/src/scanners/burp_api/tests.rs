use tatami_domain::Severity;

use crate::{Collected, Refusal, Report, detect, parsed_json};

const SCAN: &str = include_str!("fixtures/scan.json");

fn parse(text: &str) -> Result<Collected, Refusal> {
    let mut out = Collected::default();
    super::SCANNERS[0].parse(Report::from_bytes("report", text.as_bytes()), &mut out)?;
    Ok(out)
}

#[test]
fn each_issue_is_a_finding() {
    let out = parse(SCAN).unwrap();
    assert_eq!(out.warnings, []);
    insta::assert_json_snapshot!("scan", parsed_json("Burp REST API", &out).unwrap());
    let [cookie, command, backup] = out.findings.as_slice() else {
        panic!("{} findings", out.findings.len());
    };
    assert_eq!(
        cookie.requests[0].response,
        "HTTP/1.1 200 OK\r\nSet-Cookie: basket=1\n[37 bytes snipped]\n"
    );
    let requests: Vec<_> = command
        .requests
        .iter()
        .map(|r| r.request.as_str())
        .collect();
    assert_eq!(requests, ["ONE", "TWO", "THREE"]);
    assert_eq!(
        (backup.severity, backup.false_p),
        (Severity::Info, Some(true))
    );
}

#[test]
fn its_reports_are_detected_even_from_a_cut_off_head() {
    let head = &SCAN[..SCAN.find("\"scan_status\"").unwrap()];
    let events = &SCAN[SCAN.find("\"issue_events\": [").unwrap()..];
    let events_first = format!("{{{}", &events[..400]);
    for text in [SCAN, &events_first] {
        let report = Report::from_bytes("report", text.as_bytes());
        assert_eq!(
            detect(&report).unwrap().scan_type,
            "Burp REST API",
            "{text}"
        );
    }
    assert!(detect(&Report::from_bytes("report", head.as_bytes())).is_err());
}

#[test]
fn a_broken_issue_is_a_warning_and_the_others_stay() {
    for (good, bad, says) in [
        (
            "\"name\": \"OS command injection\"",
            "\"name\": null",
            "no name",
        ),
        (
            "\"severity\": \"high\"",
            "\"severity\": \"?\"",
            "\"?\" is not",
        ),
        ("\"evidence\": []", "\"evidence\": [1]", ""),
    ] {
        let out = parse(&SCAN.replacen(good, bad, 1)).unwrap();
        assert_eq!((out.findings.len(), out.warnings.len()), (2, 1), "{bad}");
        let warning = &out.warnings[0];
        assert!(warning.record.starts_with("issue_events["), "{warning:?}");
        assert!(warning.message.contains(says), "{warning:?}");
    }
    let out = parse(&SCAN.replacen("test:8443", "test:port", 1)).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (3, 1));
}

#[test]
fn a_scan_without_issues_has_no_findings() {
    for text in [
        r#"{"task_id": "3", "issue_events": []}"#,
        r#"{"task_id": "3", "issue_events": null}"#,
        r#"{"task_id": "3", "issue_events": [{"id": "1", "type": "other"}]}"#,
    ] {
        assert_eq!(parse(text).unwrap().findings, [], "{text}");
    }
}

#[test]
fn what_is_no_answer_of_the_api_is_refused() {
    for text in [
        "",
        "{}",
        "[]",
        "<issues/>",
        r#"{"scan_metrics": {"issue_events": 1}}"#,
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_report_that_was_cut_off_is_refused_wherever_the_cut_is() {
    let text = SCAN.trim_end();
    for end in (0..text.len()).step_by(7) {
        assert!(parse(&text[..end]).is_err(), "cut at {end}");
    }
}
