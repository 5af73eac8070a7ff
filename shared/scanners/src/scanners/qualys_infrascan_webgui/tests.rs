use crate::{Collected, Refusal, Report, detect, parsed_json};

const SCAN: &str = "Qualys Infrastructure Scan (WebGUI XML)";
const XML: &str = include_str!("fixtures/scan.xml");

fn parse(text: &str) -> Result<Collected, Refusal> {
    let mut out = Collected::default();
    super::SCANNERS[0].parse(Report::from_bytes("report", text.as_bytes()), &mut out)?;
    Ok(out)
}

#[test]
fn confirmed_vulnerabilities_are_findings() {
    let out = parse(XML).unwrap();
    assert_eq!(out.warnings, []);
    insta::assert_json_snapshot!("xml", parsed_json(SCAN, &out).unwrap());
}

#[test]
fn its_reports_are_detected_even_from_a_cut_off_head() {
    for text in [XML, &XML[..200]] {
        let report = Report::from_bytes("report", text.as_bytes());
        assert_eq!(detect(&report).unwrap().scan_type, SCAN);
    }
    let other = XML.replacen("value=\"scan/", "value=\"", 1);
    assert!(detect(&Report::from_bytes("report", other.as_bytes())).is_err());
}

#[test]
fn a_broken_vulnerability_is_a_warning_and_the_others_stay() {
    for (from, to, record) in [
        (
            "<TITLE><![CDATA[Weak Cipher Offered]]></TITLE>",
            "",
            "host 192.0.2.10, line 22",
        ),
        (
            "severity=\"5\"",
            "severity=\"9\"",
            "host 192.0.2.11, line 58",
        ),
        ("severity=\"5\"", "", "host 192.0.2.11, line 58"),
    ] {
        let out = parse(&XML.replacen(from, to, 1)).unwrap();
        assert_eq!((out.findings.len(), out.warnings.len()), (1, 1));
        assert!(
            out.warnings[0].record.starts_with(record),
            "{:?}",
            out.warnings
        );
    }
    let out = parse(&XML.replacen("<IP ", "<ERROR number=\"1\">no answer</ERROR><IP ", 1)).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (2, 1));
    assert_eq!(out.warnings[0].message, "no answer");
}

#[test]
fn a_scan_without_flaws_is_empty_and_other_shapes_are_refused() {
    for text in [
        "<SCAN value=\"scan/1\"><HEADER><KEY value=\"DATE\">x</KEY></HEADER></SCAN>",
        "<SCAN value=\"scan/1\"><IP value=\"192.0.2.1\"><VULNS/></IP></SCAN>",
    ] {
        let out = parse(text).unwrap();
        assert_eq!((out.findings.len(), out.warnings), (0, vec![]), "{text}");
    }
    for (text, says) in [
        ("", "empty"),
        ("<SCAN/>", "neither"),
        ("<ASSET_DATA_REPORT/>", "<ASSET_DATA_REPORT>"),
        ("a,b", "not XML"),
    ] {
        let refusal = parse(text).unwrap_err().to_string();
        assert!(refusal.contains(says), "{text}: {refusal}");
    }
}

#[test]
fn a_report_that_was_cut_off_is_refused_wherever_the_cut_is() {
    let whole = XML.split("<!-- CONF").next().unwrap().trim_end();
    for end in (0..whole.len()).step_by(7) {
        assert!(parse(&whole[..end]).is_err(), "cut at {end}");
    }
}
