use crate::{Collected, Refusal, Report, detect, parsed_json};

const XML: &str = include_str!("fixtures/scan.nessus");
const NESSUS: &str = include_str!("fixtures/nessus.csv");
const CENTER: &str = include_str!("fixtures/security-center.csv");
const FINDINGS: &str = include_str!("fixtures/findings.csv");

fn parse(text: &str) -> Result<Collected, Refusal> {
    let mut out = Collected::default();
    super::SCANNERS[0].parse(Report::from_bytes("report", text.as_bytes()), &mut out)?;
    Ok(out)
}

fn snapshot(name: &str, text: &str) {
    let out = parse(text).unwrap();
    assert_eq!(out.warnings, []);
    insta::assert_json_snapshot!(name, parsed_json("Tenable Scan", &out).unwrap());
}

#[test]
fn items_of_one_plugin_and_severity_are_one_finding() {
    snapshot("nessus_xml", XML);
}

#[test]
fn each_product_s_csv_is_understood() {
    snapshot("nessus_csv", NESSUS);
    snapshot("security_center_csv", CENTER);
    snapshot("findings_csv", FINDINGS);
}

#[test]
fn the_delimiter_and_encoding_do_not_matter() {
    let expected = parse(FINDINGS).unwrap().findings;
    let wide: Vec<u8> = FINDINGS.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let semicolons = FINDINGS.replace(',', ";");
    for bytes in [semicolons.as_bytes(), &[&[0xFF, 0xFE], &wide[..]].concat()] {
        let mut out = Collected::default();
        let report = Report::from_bytes("report", bytes);
        assert_eq!(detect(&report).unwrap().scan_type, "Tenable Scan");
        super::SCANNERS[0].parse(report, &mut out).unwrap();
        assert_eq!(out.findings, expected);
    }
}

#[test]
fn its_reports_are_detected_even_from_a_cut_off_head() {
    for text in [XML, NESSUS, CENTER, FINDINGS, &XML[..100], &NESSUS[..300]] {
        let report = Report::from_bytes("report", text.as_bytes());
        assert_eq!(detect(&report).unwrap().scan_type, "Tenable Scan");
    }
}

#[test]
fn an_empty_report_has_no_findings() {
    let header = NESSUS.lines().next().unwrap();
    for text in [header, "<NessusClientData_v2><Report/></NessusClientData_v2>"] {
        let out = parse(text).unwrap();
        assert_eq!((out.findings, out.warnings), (vec![], vec![]), "{text}");
    }
}

#[test]
fn a_broken_record_is_a_warning_and_the_others_stay() {
    let out = parse(&XML.replacen("severity=\"0\"", "severity=\"x\"", 1)).unwrap();
    assert_eq!(out.findings.len(), 3);
    assert_eq!(out.warnings[0].record, "host web1.example.test, item 2");

    let out = parse(&NESSUS.replacen(",None,192", ",Odd,192", 1)).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (1, 1));
    assert_eq!(out.warnings[0].record, "row 4");

    // A port that isn't a number costs the endpoint, not the finding.
    let out = parse(&NESSUS.replacen("udp,0", "udp,domain", 1)).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (2, 1));
}

#[test]
fn what_is_no_tenable_report_is_refused() {
    for (text, says) in [
        ("", "empty"),
        ("<NessusClientData/>", "<NessusClientData>"),
        ("Name,Severity,File\na,High,b\n", "Plugin ID"),
        ("{\"findings\": []}", "lacks the columns"),
        ("<!DOCTYPE a><NessusClientData_v2/>", "DOCTYPE"),
        ("\u{0}\u{1}\u{2}", ""),
    ] {
        let refusal = parse(text).unwrap_err();
        assert!(refusal.to_string().contains(says), "{refusal}");
    }
}

#[test]
fn a_report_that_was_cut_off_is_refused_or_warned_of() {
    let xml = XML.trim_end();
    for end in (0..xml.len()).step_by(7) {
        assert!(parse(&xml[..end]).is_err(), "cut at {end}");
    }
    for text in [NESSUS, CENTER, FINDINGS] {
        for end in 0..text.len() {
            let _ = parse(&text[..end]);
        }
    }
    let cut = NESSUS.find("It should not").unwrap();
    let refusal = parse(&NESSUS[..cut]).unwrap_err();
    assert!(refusal.to_string().contains("cut off"), "{refusal}");
}
