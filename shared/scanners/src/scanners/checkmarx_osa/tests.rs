use serde_json::Value;

use crate::{Collected, Refusal, Report, detect, parsed_json};

const REPORT: &str = include_str!("fixtures/osa.json");

fn parse(text: &str) -> Result<Collected, Refusal> {
    let mut out = Collected::default();
    super::SCANNERS[0].parse(Report::from_bytes("report", text.as_bytes()), &mut out)?;
    Ok(out)
}

fn lists() -> (Value, Value) {
    let lists: Vec<Value> = serde_json::from_str(REPORT).unwrap();
    (lists[0].clone(), lists[1].clone())
}

#[test]
fn vulnerabilities_are_put_to_their_libraries() {
    let out = parse(REPORT).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (3, 0));
    insta::assert_json_snapshot!("osa", parsed_json("Checkmarx OSA", &out).unwrap());

    let (vulnerabilities, libraries) = lists();
    let swapped = parse(&format!("[{libraries}, {vulnerabilities}]")).unwrap();
    assert_eq!(swapped.findings, out.findings);
}

#[test]
fn confidence_is_turned_round() {
    let steps = [100.0, 95.0, 70.0, 0.0, -3.0, 1e9].map(super::confidence);
    assert_eq!(steps, [1, 1, 4, 11, 11, 1].map(Some));
}

#[test]
fn its_reports_are_detected_even_from_a_cut_off_head() {
    let (vulnerabilities, libraries) = lists();
    let swapped = format!("[{libraries}, {vulnerabilities}]");
    let clean = format!("[[], {libraries}]");
    for text in [
        REPORT,
        &REPORT[..600],
        &swapped,
        &clean,
        "[\n  [],\n  []\n]\n",
    ] {
        let report = Report::from_bytes("x", text.as_bytes());
        assert_eq!(
            detect(&report).unwrap().scan_type,
            "Checkmarx OSA",
            "{text}"
        );
    }
}

#[test]
fn a_project_without_vulnerabilities_has_no_findings() {
    for text in ["[[], []]".to_owned(), format!("[[], {}]", lists().1)] {
        let out = parse(&text).unwrap();
        assert_eq!((out.findings.len(), out.warnings.len()), (0, 0), "{text}");
    }
}

#[test]
fn a_broken_vulnerability_is_a_warning_and_the_others_stay() {
    for (from, to, record) in [
        (
            r#""libraryId": "76F59F68DE2C8064E535A70E5874405E00000001","#,
            "",
            "[0][0]",
        ),
        (r#"5E00000001","#, r#"5E0000000X","#, "[0][0]"),
        (
            r#""cveName": "CVE-2024-0002""#,
            r#""cveName": []"#,
            "[0][1]",
        ),
        (r#""score": 9.8,"#, "", "[0][1]"),
    ] {
        let out = parse(&REPORT.replacen(from, to, 1)).unwrap();
        assert_eq!(out.findings.len(), 2, "{from}");
        assert_eq!(out.warnings[0].record, record, "{from}");
    }
}

#[test]
fn what_is_no_osa_report_is_refused() {
    let (vulnerabilities, libraries) = lists();
    let no_library = vulnerabilities.to_string().replace("libraryId", "library");
    for (text, says) in [
        (String::new(), "empty"),
        ("{}".into(), "expected a list"),
        ("[]".into(), "there are 0 lists"),
        ("[[]]".into(), "there are 1 lists"),
        ("[[], [], []]".into(), "there are 3 lists"),
        (vulnerabilities.to_string(), "jq -s ."),
        (format!("[{no_library}, {libraries}]"), "no libraryId"),
        (format!("[{vulnerabilities}, []]"), "there is no library"),
    ] {
        let refusal = parse(&text).unwrap_err();
        assert!(refusal.to_string().contains(says), "{text}: {refusal}");
    }
    let text = REPORT.trim_end();
    for end in (0..text.len()).step_by(7) {
        assert!(parse(&text[..end]).is_err(), "cut at {end}");
    }
}
