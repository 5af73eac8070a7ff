use crate::{Collected, Refusal, Report, detect, parsed_json};

const XML: &str = include_str!("fixtures/report.xml");
const JSON: &str = include_str!("fixtures/report.json");

fn parse(text: &str) -> Result<Collected, Refusal> {
    let mut out = Collected::default();
    super::SCANNERS[0].parse(Report::from_bytes("report", text.as_bytes()), &mut out)?;
    Ok(out)
}

#[test]
fn xml_and_json_say_the_same() {
    let xml = parse(XML).unwrap();
    assert_eq!(xml.findings, parse(JSON).unwrap().findings);
    assert_eq!(xml.warnings, []);
    insta::assert_json_snapshot!("report", parsed_json("ZAP Scan", &xml).unwrap());
}

#[test]
fn its_reports_are_detected_even_from_a_cut_off_head() {
    for text in [XML, JSON, &XML[..300], &JSON[..300], &JSON[..60]] {
        let report = Report::from_bytes("report", text.as_bytes());
        assert_eq!(detect(&report).unwrap().scan_type, "ZAP Scan");
    }
}

#[test]
fn a_gitlab_report_that_carries_zap_s_is_not_taken_for_it() {
    let gitlab = JSON.replacen('{', r#"{"scan": {"type": "dast"}, "#, 1);
    assert!(detect(&Report::from_bytes("report", gitlab.as_bytes())).is_err());
}

#[test]
fn an_empty_report_has_no_findings() {
    for text in [
        r#"<OWASPZAPReport version="2.9.0"></OWASPZAPReport>"#,
        r#"<OWASPZAPReport><site name="http://a.test"><alerts/></site></OWASPZAPReport>"#,
        r#"{"@version": "2.9.0", "site": []}"#,
        r#"{"@version": "2.9.0", "site": {"@name": "http://a.test", "alerts": []}}"#,
    ] {
        assert_eq!(parse(text).unwrap().findings, [], "{text}");
    }
}

#[test]
fn a_broken_alert_is_a_warning_and_the_others_stay() {
    let broken = XML.replacen("<alert>Cross Site Scripting (Reflected)</alert>", "", 1);
    let broken = broken.replacen("<name>Cross Site Scripting (Reflected)</name>", "", 1);
    let out = parse(&broken).unwrap();
    assert_eq!(out.findings.len(), 2);
    assert_eq!(
        out.warnings[0].record,
        "site https://shop.example.test, alert 1"
    );

    let broken = JSON.replacen(r#""riskcode": "1""#, r#""riskcode": "9""#, 1);
    let out = parse(&broken.replacen("Low (False Positive)", "", 1)).unwrap();
    assert_eq!(out.findings.len(), 2);
    assert_eq!(out.warnings[0].record, "site[0].alerts[1]");

    let out = parse(&JSON.replacen(
        r#"api.example.test:8080/""#,
        r#"api.example.test:port/""#,
        1,
    ));
    let out = out.unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (3, 1));
}

#[test]
fn what_is_no_zap_report_is_refused() {
    for (text, says) in [
        ("", "empty"),
        ("<report/>", "<report>"),
        ("{}", "no \"site\""),
        (r#"{"site": 1}"#, ""),
        ("[]", ""),
        (
            "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><OWASPZAPReport/>",
            "DOCTYPE",
        ),
    ] {
        match parse(text) {
            Err(refusal) => assert!(refusal.to_string().contains(says), "{refusal}"),
            Ok(out) => assert!(!out.warnings.is_empty(), "{text} was read"),
        }
    }
}

#[test]
fn a_report_that_was_cut_off_is_refused_wherever_the_cut_is() {
    for text in [XML, JSON] {
        let text = text.trim_end();
        for end in (0..text.len())
            .step_by(7)
            .filter(|end| text.is_char_boundary(*end))
        {
            assert!(parse(&text[..end]).is_err(), "cut at {end}");
        }
    }
}

#[test]
fn what_newer_versions_add_does_no_harm() {
    let json = JSON.replacen(
        "\"site\": [",
        "\"created\": \"2025-03-03T09:30:00Z\", \"insights\": [{\"level\": \"Low\"}], \"sequences\": [], \"site\": [",
        1,
    );
    let json = json.replacen(
        "\"id\": \"1\",",
        "\"id\": \"1\", \"nodeName\": \"search (q)\", \"systemic\": false,",
        1,
    );
    assert_eq!(
        parse(&json).unwrap().findings,
        parse(JSON).unwrap().findings
    );
    let none = JSON.replacen("\"instances\": [", "\"instances\": null, \"was\": [", 1);
    let out = parse(&none).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (3, 0));
    assert_eq!(out.findings[0].endpoints, []);
}

#[test]
fn an_alert_that_is_no_json_costs_only_itself() {
    // ZAP writes node names without escaping them.
    let broken = JSON.replacen(
        "\"id\": \"1\",",
        "\"id\": \"1\", \"nodeName\": \"login ({\"user\",\"pass\"})\",",
        1,
    );
    let out = parse(&broken).unwrap();
    assert_eq!(out.findings.len(), 2);
    assert!(
        out.warnings[0].message.contains("broken JSON"),
        "{:?}",
        out.warnings
    );
}

#[test]
fn bytes_of_an_answer_do_no_harm() {
    let xml = XML.replacen("<evidence>", "<evidence>&#0;&#x1F;", 1);
    assert_eq!(parse(&xml).unwrap().findings.len(), 3);
}
