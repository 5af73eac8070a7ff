use crate::{Collected, Refusal, Report, detect, parsed_json};

const XML: &str = include_str!("fixtures/report.xml");

fn parse(text: &str) -> Result<Collected, Refusal> {
    let mut out = Collected::default();
    super::SCANNERS[0].parse(Report::from_bytes("report", text.as_bytes()), &mut out)?;
    Ok(out)
}

#[test]
fn each_failure_is_a_finding() {
    let out = parse(XML).unwrap();
    assert_eq!(out.warnings, []);
    insta::assert_json_snapshot!("report", parsed_json("Burp Dastardly Scan", &out).unwrap());
    assert_eq!(out.findings[1].title, "Vulnerable JavaScript dependency");
}

#[test]
fn its_reports_are_detected_and_no_other_junit() {
    let cut = XML.find("<testsuite ").unwrap();
    for text in [XML, &XML[..cut]] {
        let report = Report::from_bytes("report", text.as_bytes());
        assert_eq!(detect(&report).unwrap().scan_type, "Burp Dastardly Scan");
    }
    let junit = r#"<testsuites name="pytest tests"><testsuite name="x"/></testsuites>"#;
    assert!(detect(&Report::from_bytes("report", junit.as_bytes())).is_err());
    assert!(parse(junit).is_err());
}

#[test]
fn a_broken_failure_is_a_warning_and_the_others_stay() {
    let out = parse(&XML.replacen("type=\"High\"", "type=\"AssertionError\"", 1)).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (1, 1));
    let record = &out.warnings[0].record;
    assert!(
        record.starts_with("test suite https://shop.example.test:443/search"),
        "{record}"
    );
    let nameless = XML.replacen("name=\"Vulnerable JavaScript dependency\"", "", 1);
    let out = parse(&nameless).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (1, 1));
}

#[test]
fn a_scan_without_issues_has_no_findings() {
    let end = XML.find("    <testsuite failures=\"2\"").unwrap();
    let out = parse(&format!("{}</testsuites>", &XML[..end])).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (0, 0));
}

#[test]
fn what_is_no_report_of_dastardly_is_refused() {
    for (text, says) in [
        ("", "empty"),
        ("{}", ""),
        ("<testsuite name=\"Dastardly\"/>", "<testsuite>"),
        ("<testsuites/>", "not of Dastardly"),
    ] {
        let refusal = parse(text).unwrap_err();
        assert!(refusal.to_string().contains(says), "{refusal}");
    }
}

#[test]
fn a_report_that_was_cut_off_is_refused_wherever_the_cut_is() {
    let text = XML.trim_end();
    for end in (0..text.len()).step_by(7) {
        assert!(parse(&text[..end]).is_err(), "cut at {end}");
    }
}
