use crate::{Collected, Refusal, Report, detect, parsed_json};

const RESULTS: &str = include_str!("fixtures/results.json");
const IMPROVED: &str = include_str!("fixtures/improved.json");
const GITLAB: &str = include_str!("fixtures/gitlab.json");
const SARIF: &str = include_str!("fixtures/cli.sarif");

fn parse(text: &str) -> Result<Collected, Refusal> {
    let mut out = Collected::default();
    super::SCANNERS[0].parse(Report::from_bytes("report", text.as_bytes()), &mut out)?;
    Ok(out)
}

fn json(text: &str) -> serde_json::Value {
    parsed_json("Checkmarx One Scan", &parse(text).unwrap()).unwrap()
}

#[test]
fn every_shape_is_read() {
    insta::assert_json_snapshot!("results", json(RESULTS));
    insta::assert_json_snapshot!("improved", json(IMPROVED));
    insta::assert_json_snapshot!("gitlab", json(GITLAB));
}

#[test]
fn the_order_of_keys_does_not_matter() {
    // A map of serde_json is sorted, so that vulnerabilities may come before what they belong to.
    for text in [RESULTS, IMPROVED, GITLAB] {
        let sorted: serde_json::Value = serde_json::from_str(text).unwrap();
        let sorted = parse(&sorted.to_string()).unwrap().findings;
        let findings = parse(text).unwrap().findings;
        assert_eq!(sorted.len(), findings.len());
        assert!(findings.iter().all(|finding| sorted.contains(finding)));
    }
}

#[test]
fn states_say_what_is_open_and_what_is_verified() {
    let state = |at: usize| {
        let finding = &parse(RESULTS).unwrap().findings[at];
        (finding.active, finding.verified, finding.false_p)
    };
    let (yes, no) = (Some(true), Some(false));
    assert_eq!(state(0), (no, yes, yes), "not exploitable");
    assert_eq!(state(1), (yes, no, no), "to verify");
    assert_eq!(state(2), (yes, yes, no), "confirmed");
    assert_eq!(state(3), (yes, no, no), "proposed not exploitable");
    assert_eq!(state(5), (yes, yes, no), "urgent");
    let open = parse(IMPROVED)
        .unwrap()
        .findings
        .into_iter()
        .filter(|f| f.active == yes);
    assert_eq!(open.count(), 2, "in words");
}

#[test]
fn its_reports_are_detected_even_from_a_cut_off_head() {
    let heads = [&RESULTS[..900], &IMPROVED[..700], &GITLAB[..300]];
    for text in [RESULTS, IMPROVED, GITLAB, SARIF].into_iter().chain(heads) {
        let report = Report::from_bytes("x", text.as_bytes());
        assert_eq!(
            detect(&report).unwrap().scan_type,
            "Checkmarx One Scan",
            "{text}"
        );
    }
}

#[test]
fn sarif_of_all_its_writers_is_its_own() {
    for name in super::SCANNERS[0].sarif_drivers {
        let log = SARIF.replace("Checkmarx One", name);
        let report = Report::from_bytes("log", log.as_bytes());
        assert_eq!(detect(&report).unwrap().scan_type, "Checkmarx One Scan");
        let out = parse(&log).unwrap();
        let id = out.findings[0].unique_id_from_tool.as_deref();
        assert_eq!(id, Some("primaryLocationLineHash:587440289"));
    }
}

#[test]
fn an_empty_report_has_no_findings() {
    for text in [
        r#"{"results": [], "totalCount": 0, "scanID": "4fc677bc"}"#,
        r#"{"results": null, "totalCount": 0, "scanID": "4fc677bc"}"#,
        r#"{"reportHeader": {}, "scanResults": {"resultsList": []}, "scaScanResults": {"packages": []}}"#,
        r#"{"reportHeader": {}, "scanResults": null, "iacScanResults": {"technology": null}}"#,
        r#"{"scan": {"scanner": {"id": "CxOne-SAST"}}, "vulnerabilities": []}"#,
    ] {
        let out = parse(text).unwrap();
        assert_eq!((out.findings.len(), out.warnings.len()), (0, 0), "{text}");
    }
}

#[test]
fn a_broken_record_is_a_warning_and_the_others_stay() {
    for (text, from, to, record, left) in [
        (RESULTS, r#""type": "kics","#, "", "results[3]", 5),
        (
            RESULTS,
            r#""severity": "LOW""#,
            r#""severity": "?""#,
            "results[1]",
            5,
        ),
        (
            RESULTS,
            r#""nodes": [{"line": 3,"#,
            r#""nodes": [3, {"line": 3,"#,
            "results[1]",
            5,
        ),
        (
            RESULTS,
            r#""results": ["#,
            r#""results": [7, "#,
            "results[0]",
            6,
        ),
        (
            IMPROVED,
            r#""severity": "High""#,
            "\"a\": 1",
            "scanResults.resultsList[0].vulnerabilities[0]",
            2,
        ),
        (
            IMPROVED,
            r#""queryName": "Deprecated_API","#,
            "",
            "scanResults.resultsList[1]",
            2,
        ),
        (
            GITLAB,
            r#""value": "143486243""#,
            r#""value": """#,
            "vulnerabilities[0]",
            1,
        ),
        (
            GITLAB,
            r#""severity": "High""#,
            r#""severity": []"#,
            "vulnerabilities[1]",
            1,
        ),
    ] {
        let out = parse(&text.replacen(from, to, 1)).unwrap();
        assert_eq!(out.warnings[0].record, record, "{from}");
        assert_eq!(out.findings.len(), left, "{from}");
    }
}

#[test]
fn sections_that_are_not_read_are_told() {
    let out = parse(IMPROVED).unwrap();
    assert_eq!(out.warnings.len(), 1);
    assert_eq!(out.warnings[0].record, "scaScanResults");
    assert!(
        out.warnings[0].message.contains("left out: 1;"),
        "{}",
        out.warnings[0].message
    );
}

#[test]
fn what_is_no_checkmarx_one_report_is_refused() {
    for (text, says) in [
        ("", "empty"),
        ("{}", "no results"),
        (r#"{"results": []}"#, "no results"),
        (r#"{"vulnerabilities": []}"#, "no results"),
        (
            r#"{"scan": {"scanner": {"id": "semgrep"}}, "vulnerabilities": []}"#,
            "no results",
        ),
        (
            r#"{"reportHeader": {}, "scanResults": {"sast": null}}"#,
            "Checkmarx Scan",
        ),
        ("[]", "expected an object"),
        ("<CxXMLResults/>", "Checkmarx Scan"),
    ] {
        let refusal = parse(text).unwrap_err();
        assert!(refusal.to_string().contains(says), "{text}: {refusal}");
    }
}

#[test]
fn a_report_that_was_cut_off_is_refused_wherever_the_cut_is() {
    for text in [RESULTS, IMPROVED, GITLAB] {
        let text = text.trim_end();
        for end in (0..text.len())
            .step_by(23)
            .filter(|end| text.is_char_boundary(*end))
        {
            assert!(parse(&text[..end]).is_err(), "cut at {end}");
        }
    }
}
