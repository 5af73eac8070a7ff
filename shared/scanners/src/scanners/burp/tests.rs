use tatami_domain::Severity;

use super::words;
use crate::{Collected, Refusal, Report, detect, parsed_json};

const XML: &str = include_str!("fixtures/report.xml");

fn parse(text: &str) -> Result<Collected, Refusal> {
    let mut out = Collected::default();
    super::SCANNERS[0].parse(Report::from_bytes("report", text.as_bytes()), &mut out)?;
    Ok(out)
}

#[test]
fn issues_of_a_type_are_one_finding() {
    let out = parse(XML).unwrap();
    assert_eq!(out.warnings, []);
    insta::assert_json_snapshot!("report", parsed_json("Burp Scan", &out).unwrap());
    let scripts = &out.findings[0];
    assert_eq!(scripts.severity, Severity::High, "the worst of its issues");
    assert_eq!(
        scripts.param.as_deref(),
        Some("name of an arbitrarily supplied URL parameter, q parameter")
    );
    assert_eq!(
        (scripts.cwe, scripts.extra_cwes.as_slice()),
        (79, [80].as_slice())
    );
    assert_eq!(scripts.requests[0].request, "GET /search?q=x HTTP/1.1\r\n");
    assert_eq!(scripts.requests[1].request, "GET /v1/users?a<b HTTP/1.1");
    assert_eq!(scripts.requests[1].response, "");
}

#[test]
fn what_extensions_report_is_told_apart_by_name() {
    let out = parse(XML).unwrap();
    let of_extensions: Vec<_> = (out.findings.iter())
        .filter(|f| f.vuln_id_from_tool.as_deref() == Some("134217728"))
        .map(|f| (f.title.as_str(), f.severity, f.param.as_deref()))
        .collect();
    assert_eq!(
        of_extensions,
        [
            ("Old library", Severity::Low, None),
            ("Cache poisoning", Severity::Medium, None)
        ]
    );
}

#[test]
fn false_positives_stay_apart() {
    let out = parse(XML).unwrap();
    let last = out.findings.last().unwrap();
    assert_eq!((last.false_p, last.active), (Some(true), Some(false)));
    assert_eq!(last.title, out.findings[0].title);
    assert_eq!(out.findings[0].false_p, None);
}

#[test]
fn its_reports_are_detected_even_from_a_cut_off_head() {
    let cut = XML.find("<serialNumber>").unwrap();
    for text in [XML, &XML[..cut]] {
        let report = Report::from_bytes("report", text.as_bytes());
        assert_eq!(detect(&report).unwrap().scan_type, "Burp Scan");
    }
    let lint = r#"<issues format="6" by="lint 8.0"><issue id="x" message="y"/></issues>"#;
    assert!(detect(&Report::from_bytes("report", lint.as_bytes())).is_err());
}

#[test]
fn a_broken_issue_is_a_warning_and_the_others_stay() {
    let out = parse(&XML.replacen("<name>Old library</name>", "", 1)).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (4, 1));
    assert!(
        out.warnings[0].record.starts_with("issue 3, line "),
        "{:?}",
        out.warnings
    );

    let out = parse(&XML.replacen("<severity>Medium<", "<severity>bad<", 1)).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (4, 1));
    assert_eq!(out.warnings[0].message, "\"bad\" is not a severity of Burp");

    let out = parse(&XML.replacen("example.test:8443", "example.test:port", 1)).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (5, 1));
}

#[test]
fn an_empty_report_has_no_findings() {
    let out = parse(r#"<issues burpVersion="2026.1" exportTime=""></issues>"#).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (0, 0));
}

#[test]
fn what_is_no_burp_report_is_refused() {
    for (text, says) in [
        ("", "empty"),
        ("{}", ""),
        ("<items burpVersion=\"2026.1\"/>", "<items>"),
        ("<issues format=\"6\"/>", "no burpVersion"),
        (
            "<!DOCTYPE issues [<!ENTITY e \"x\">]><issues burpVersion=\"1\"/>",
            "DOCTYPE",
        ),
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

#[test]
fn places_are_put_together() {
    let url = |origin, path| words::endpoint(origin, path).unwrap().to_string();
    assert_eq!(url("https://a.test", ""), "https://a.test");
    assert_eq!(url("https://a.test/", "/x"), "https://a.test/x");
    assert_eq!(url("https://a.test", "x?y=1"), "https://a.test/x?y=1");
    assert_eq!(url("https://a.test", "http://b.test/z"), "http://b.test/z");
    assert!(words::endpoint("", "/x").is_err());
}
