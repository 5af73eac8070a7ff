use crate::{Collected, Refusal, Report, detect, parsed_json};

const XML: &str = include_str!("fixtures/report.xml");
const CSV: &str = include_str!("fixtures/report.csv");
const PCI: &str = include_str!("fixtures/pci.csv");
const ALL: [(&str, &str); 3] = [("xml", XML), ("csv", CSV), ("pci", PCI)];

fn parse(text: &str) -> Result<Collected, Refusal> {
    let mut out = Collected::default();
    super::SCANNERS[0].parse(Report::from_bytes("report", text.as_bytes()), &mut out)?;
    Ok(out)
}

#[test]
fn each_report_gives_its_findings() {
    for (name, text) in ALL {
        let out = parse(text).unwrap();
        assert_eq!(out.warnings, []);
        insta::assert_json_snapshot!(name, parsed_json("Qualys Scan", &out).unwrap());
    }
}

#[test]
fn its_reports_are_detected_even_from_a_cut_off_head() {
    for text in [
        XML,
        CSV,
        PCI,
        &XML[..300],
        &CSV[..2000],
        &PCI[..600],
        &PCI[..210],
    ] {
        let report = Report::from_bytes("report", text.as_bytes());
        assert_eq!(detect(&report).unwrap().scan_type, "Qualys Scan");
    }
}

#[test]
fn without_a_cvss_score_the_level_counts() {
    let none = XML.replace(">4.3<", ">-<");
    let out = parse(&none).unwrap();
    assert_eq!(out.findings[1].severity.name(), "High");
    assert_eq!(out.findings[1].cvssv3_score, None);
    assert_eq!(parse(XML).unwrap().findings[1].severity.name(), "Medium");
}

#[test]
fn the_state_of_rows_of_one_finding_is_the_most_open() {
    let fixed = CSV.replace("Re-Opened", "Fixed").replace(
        "02/20/2026 10:00:00\",\"CVE-2026-0001\",",
        "02/25/2026 10:00:00\",\"CVE-2026-0001\",",
    );
    let finding = &parse(&fixed).unwrap().findings[0];
    assert_eq!(
        (finding.active, finding.is_mitigated),
        (Some(false), Some(true))
    );
    assert_eq!(finding.mitigated.unwrap().to_string(), "2026-02-25");
    let finding = &parse(CSV).unwrap().findings[0];
    assert_eq!(
        (finding.active, finding.is_mitigated),
        (Some(true), Some(false))
    );
    assert_eq!(finding.mitigated, None);
}

#[test]
fn the_levels_of_vm_and_the_names_of_pci_are_severities() {
    use super::fields::severity;
    let found = ["1", "2", "3", "4", "5", "Low", "medium", "H", "6", ""].map(severity);
    let names = found.map(|s| s.map_or("-", |s| s.name()));
    assert_eq!(
        names,
        [
            "Info", "Low", "Medium", "High", "Critical", "Low", "Medium", "High", "-", "-"
        ]
    );
}

#[test]
fn scores_come_with_and_without_metrics() {
    use super::fields::{scored, vector};
    assert_eq!(scored("8.1 (AV:N/AC:H)"), Some((8.1, "AV:N/AC:H")));
    assert_eq!(scored("7.4"), Some((7.4, "")));
    assert_eq!(scored("5[1] (AV:N)"), Some((5.0, "AV:N")));
    for nothing in ["", "-", "11", "high", "NaN"] {
        assert_eq!(scored(nothing), None, "{nothing}");
    }
    assert_eq!(vector("3.0", &["AV:N", "E:U"]), None);
}

#[test]
fn a_broken_record_is_a_warning_and_the_others_stay() {
    let out = parse(&XML.replacen("<QID id=\"qid_900002\">900002</QID>", "", 1)).unwrap();
    assert_eq!(out.findings.len(), 4);
    assert!(
        out.warnings[0]
            .record
            .starts_with("host 192.0.2.10, line 3"),
        "{:?}",
        out.warnings
    );

    let out = parse(&XML.replacen(
        "<VULN_DETAILS id=\"qid_900001\">",
        "<VULN_DETAILS id=\"x\">",
        1,
    ));
    let out = out.unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (3, 1));
    assert!(
        out.warnings[0].message.contains("2 times"),
        "{:?}",
        out.warnings
    );

    let host = "<HOST><IP>192.0.2.12</IP><ERROR>not yours</ERROR></HOST></HOST_LIST>";
    let out = parse(&XML.replacen("</HOST_LIST>", host, 1)).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (5, 1));

    let out = parse(&PCI.replacen(",Low,", ",Tall,", 1)).unwrap();
    assert_eq!(out.findings.len(), 1);
    assert_eq!(out.warnings[0].record, "row 4");
    let out = parse(&PCI.replacen(",900005,", ",,", 1)).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (1, 1));
}

#[test]
fn an_empty_report_has_no_findings() {
    let header = CSV.lines().nth(5).unwrap();
    let pci = PCI.lines().next().unwrap();
    for text in [
        "<ASSET_DATA_REPORT><HEADER/><APPENDICES/></ASSET_DATA_REPORT>",
        header,
        pci,
    ] {
        let out = parse(text).unwrap();
        assert_eq!((out.findings.len(), out.warnings), (0, vec![]), "{text}");
    }
}

#[test]
fn what_is_no_such_report_is_refused() {
    for (text, says) in [
        ("", "empty"),
        ("<ASSET_DATA_REPORT/>", "neither"),
        (
            "<ASSET_DATA_REPORT><ERROR number=\"2\">no such report</ERROR></ASSET_DATA_REPORT>",
            "no such report",
        ),
        ("<SCAN value=\"scan/1\"><HEADER/></SCAN>", "<SCAN>"),
        (
            "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><ASSET_DATA_REPORT/>",
            "DOCTYPE",
        ),
        ("a,b\n1,2\n", "\"QID\""),
        ("{}", "lacks"),
    ] {
        let refusal = parse(text).unwrap_err().to_string();
        assert!(refusal.contains(says), "{text}: {refusal}");
    }
    let other = include_str!("../qualys_hacker_guardian/fixtures/report.csv");
    let header = other.lines().next().unwrap();
    assert!(
        parse(header)
            .unwrap_err()
            .to_string()
            .contains("Hacker Guardian")
    );
}

#[test]
fn a_report_that_was_cut_off_is_refused() {
    let whole = XML.split("<!-- CONF").next().unwrap().trim_end();
    for end in (0..whole.len()).step_by(11) {
        assert!(parse(&whole[..end]).is_err(), "cut at {end}");
    }
    let cut = CSV.find("Turn the").unwrap();
    assert!(
        parse(&CSV[..cut])
            .unwrap_err()
            .to_string()
            .contains("cut off")
    );
}
