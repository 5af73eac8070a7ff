use super::{fields, objects};
use crate::{Collected, Refusal, Report, detect, parsed_json};

const JSON: &str = include_str!("fixtures/findings.json");
const CSV: &str = include_str!("fixtures/findings.csv");

fn parse(text: &str) -> Result<Collected, Refusal> {
    let mut out = Collected::default();
    super::SCANNERS[0].parse(Report::from_bytes("x", text.as_bytes()), &mut out)?;
    Ok(out)
}

fn json(text: &str) -> serde_json::Value {
    parsed_json(super::SCAN_TYPE, &parse(text).unwrap()).unwrap()
}

#[test]
fn json_and_csv_are_read() {
    insta::assert_json_snapshot!("json", json(JSON));
    insta::assert_json_snapshot!("csv", json(CSV));
}

#[test]
fn its_reports_are_detected_even_from_a_cut_off_head() {
    for text in [JSON, &JSON[..300], CSV, &CSV[..400]] {
        let report = Report::from_bytes("x", text.as_bytes());
        assert_eq!(
            detect(&report).unwrap().scan_type,
            super::SCAN_TYPE,
            "{text}"
        );
    }
    for text in [
        r#"{"findings": []}"#,
        r#"{"findings": [{"title": "t", "severity": "Low", "description": "d", "rule_uuid": 1}]}"#,
        r#"{"meta": 1, "findings": [{"title": "t", "severity": "Low", "description": "d"}]}"#,
        "Title,Severity,Description\nt,Low,d\n",
        "Title,Severity,Description,Impact,Mitigation,Asset Group\nt,Low,d,,,\n",
    ] {
        let report = Report::from_bytes("x", text.as_bytes());
        assert!(!(super::SCANNERS[0].detect)(&report.sniff()), "{text}");
    }
}

#[test]
fn an_empty_report_has_no_findings() {
    for text in [r#"{"findings": []}"#, "Title,Severity,Description\n"] {
        assert!(parse(text).unwrap().findings.is_empty(), "{text}");
    }
}

#[test]
fn every_field_of_the_table_is_known_to_the_page() {
    let page = include_str!("mod.rs");
    for field in
        fields::names().filter(|f| !matches!(*f, "thread_id" | "numerical_severity" | "extra_cwes"))
    {
        assert!(
            page.contains(&format!("`{field}`")),
            "{field} is not on the page"
        );
        assert!(objects::is_known(field));
    }
}

#[test]
fn a_broken_finding_is_a_warning_and_the_others_stay() {
    let broken = JSON.replacen("\"title\": \"No description\"", "\"title\": {\"a\": 1}", 1);
    let out = parse(&broken).unwrap();
    assert_eq!(out.findings.len(), 2);
    assert!(out.warnings.iter().any(|w| w.record == "findings[1]"));
    let out = parse(&JSON.replacen("{\"title\": \"No", "7, {\"title\": \"No", 1)).unwrap();
    assert_eq!(out.findings.len(), 2);
    assert!(
        out.warnings
            .iter()
            .any(|w| w.message == "is a number, expected an object")
    );
}

#[test]
fn what_is_no_generic_report_is_refused() {
    let finding = r#""title": "t", "severity": "Low", "description": "d""#;
    for (text, says) in [
        (String::new(), "the report is empty"),
        ("{}".into(), "no list \"findings\""),
        (format!("[{{{finding}}}]"), "the report is a list"),
        (
            r#"{"findings": 5}"#.into(),
            "findings is a number, expected a list",
        ),
        (
            r#"{"findings": [{"title": "t"}]}"#.into(),
            "no finding has all of",
        ),
        (
            format!(r#"{{"findings": [{{{finding}, "colour": 1}}]}}"#),
            "not known: colour",
        ),
        (
            format!(r#"{{"findings": [{{{finding}, "files": [{{"title": "run.exe"}}]}}]}}"#),
            "no file name of a known type",
        ),
        ("<xml/>".into(), "not JSON"),
        ("Date,Title\n,t\n".into(), "lacks the columns"),
    ] {
        let refusal = parse(&text).unwrap_err().to_string();
        assert!(refusal.contains(says), "{text}: {refusal}");
    }
}

#[test]
fn a_report_that_was_cut_off_is_refused_wherever_the_cut_is() {
    let text = JSON.trim_end();
    for end in (0..text.len()).step_by(7) {
        assert!(parse(&text[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn columns_have_many_spellings() {
    let text = "TITLE;severity;Description;file_path;FilePath x;Line;CVE;Vulnerability Id\n\
                t;Low;d;a.c;?;4.0;CVE-2030-1;CVE-2030-2\n";
    let out = parse(text).unwrap();
    let finding = &out.findings[0];
    assert_eq!(finding.file_path.as_deref(), Some("a.c"));
    assert_eq!(finding.line, Some(4));
    assert_eq!(finding.vulnerability_ids, ["CVE-2030-1", "CVE-2030-2"]);
    assert_eq!(
        out.warnings[0].message,
        "the column \"FilePath x\" is not known and left out"
    );
}

/// What the documentation of the format promises of each field, as JSON and as a column.
#[test]
fn every_documented_field_arrives() {
    const FIELDS: [(&str, &str, &str); 21] = [
        ("date", "Date", "12/31/2030"),
        ("cwe", "CweId", "79"),
        ("mitigation", "Mitigation", "m"),
        ("impact", "Impact", "i"),
        ("references", "References", "r"),
        ("active", "Active", "FALSE"),
        ("verified", "Verified", "TRUE"),
        ("false_p", "FalsePositive", "TRUE"),
        ("duplicate", "Duplicate", "TRUE"),
        ("is_mitigated", "IsMitigated", "TRUE"),
        ("mitigated", "MitigatedDate", "2030-12-31T11:02:11Z"),
        ("epss_score", "epss_score", "0.5"),
        ("epss_percentile", "epss_percentile", "0.75"),
        (
            "cvssv3",
            "CVSSV3",
            "CVSS:3.1/AV:N/AC:L/PR:H/UI:R/S:C/C:L/I:L/A:N",
        ),
        ("cvssv3_score", "CVSSV3_score", "4.9"),
        ("cvssv4_score", "CVSSV4_score", "7.3"),
        ("known_exploited", "known_exploited", "TRUE"),
        ("ransomware_used", "ransomware_used", "TRUE"),
        ("fix_available", "fix_available", "TRUE"),
        ("fix_version", "fix_version", "1.2"),
        ("kev_date", "kev_date", "20301231"),
    ];
    let members: Vec<_> = FIELDS
        .iter()
        .map(|(name, _, value)| format!("\"{name}\": \"{value}\""))
        .collect();
    let json = format!(
        r#"{{"findings": [{{"title": "t", "severity": "Low", "description": "d", {}}}]}}"#,
        members.join(", ")
    );
    let columns = FIELDS.map(|(_, column, _)| column).join(",");
    let values = FIELDS.map(|(.., value)| value).join(",");
    let csv = format!("Title,Severity,Description,{columns}\nt,Low,d,{values}\n");
    let (json, csv) = (parse(&json).unwrap(), parse(&csv).unwrap());
    assert_eq!((&json.warnings[..], &csv.warnings[..]), (&[][..], &[][..]));
    let finding = &json.findings[0];
    let from_csv = tatami_domain::ReportFinding {
        nb_occurences: None,
        ..csv.findings[0].clone()
    };
    assert_eq!(*finding, from_csv);
    let plain = parse(r#"{"findings": [{"title": "t", "severity": "Low", "description": "d"}]}"#);
    let plain = serde_json::to_value(&plain.unwrap().findings[0]).unwrap();
    let value = serde_json::to_value(finding).unwrap();
    for (name, ..) in FIELDS {
        assert_ne!(value[name], plain[name], "{name}");
    }
    let day = crate::kit::text::date("2030-12-31");
    assert_eq!(
        [finding.date, finding.mitigated, finding.kev_date],
        [day; 3]
    );
    assert_eq!(finding.cvssv3_score, Some(4.9));
}

#[test]
fn values_may_be_of_another_type() {
    let text = r#"{"findings": [{"title": 5, "severity": "low", "description": "d", "cwe": "CWE-79",
        "line": "13", "tags": "a, b", "cve": null, "verified": "yes", "active": 0, "cvssv3_score": "7.5",
        "component_version": 1.5, "vulnerability_ids": ["CVE-2030-1", "GHSA-aaaa-bbbb-cccc"], "service": ""}]}"#;
    let out = parse(text).unwrap();
    assert_eq!(out.warnings, []);
    let finding = &out.findings[0];
    assert_eq!(
        (&*finding.title, finding.cwe, finding.line),
        ("5", 79, Some(13))
    );
    assert_eq!(finding.tags, ["a", "b"]);
    assert_eq!(
        (finding.verified, finding.active),
        (Some(true), Some(false))
    );
    assert_eq!(finding.component_version.as_deref(), Some("1.5"));
    assert_eq!(finding.vulnerability_ids.len(), 2);
    assert_eq!(finding.service, None);
}
