use crate::{Collected, Refusal, Report, detect, parsed_json};

const ISSUES: &str = include_str!("fixtures/issues.json");

fn parse(text: &str) -> Result<Collected, Refusal> {
    let mut out = Collected::default();
    super::SCANNERS[0].parse(Report::from_bytes("report", text.as_bytes()), &mut out)?;
    Ok(out)
}

#[test]
fn what_is_read() {
    let out = parse(ISSUES).unwrap();
    assert_eq!(out.warnings, []);
    insta::assert_json_snapshot!("issues", parsed_json("Snyk Issue API Scan", &out).unwrap());
}

#[test]
fn its_pages_are_detected_even_from_a_cut_off_head() {
    let (head, _) = ISSUES.split_at(ISSUES.find("\"ignored\"").unwrap());
    let empty = r#"{"jsonapi": {"version": "1.0"}, "data": [],
        "links": {"self": "/rest/orgs/1/issues?version=2024-10-15"}}"#;
    for text in [ISSUES, head, empty] {
        let report = Report::from_bytes("report", text.as_bytes());
        assert_eq!(detect(&report).unwrap().scan_type, "Snyk Issue API Scan");
    }
    let other = r#"{"jsonapi": {"version": "1.0"}, "data": [{"type": "issue", "attributes": {}}]}"#;
    assert!(detect(&Report::from_bytes("report", other.as_bytes())).is_err());
}

#[test]
fn an_empty_page_has_no_findings() {
    let out = parse(r#"{"jsonapi": {"version": "1.0"}, "data": []}"#).unwrap();
    assert_eq!((out.findings, out.warnings), (vec![], vec![]));
}

#[test]
fn a_broken_issue_is_a_warning_and_the_others_stay() {
    for (from, to) in [
        ("\"type\": \"issue\"", "\"type\": \"project\""),
        ("\"title\": \"Open Door\"", "\"title\": []"),
    ] {
        let out = parse(&ISSUES.replacen(from, to, 1)).unwrap();
        assert_eq!((out.findings.len(), out.warnings.len()), (1, 1), "{to}");
        assert_eq!(out.warnings[0].record, "data[0]");
    }
}

#[test]
fn what_is_no_page_of_issues_is_refused() {
    for text in ["", "{}", "[]", "<x/>", r#"{"errors": []}"#] {
        assert!(parse(text).is_err(), "{text} was read");
    }
    let text = ISSUES.trim_end();
    for end in (0..text.len()).step_by(53) {
        assert!(parse(&text[..end]).is_err(), "cut at {end}");
    }
}
