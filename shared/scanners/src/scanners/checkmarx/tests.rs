use super::shared::{Triage, package};
use crate::{Collected, Refusal, Report, by_scan_type, detect, parsed_json};

const XML: &str = include_str!("fixtures/report.xml");
const JSON: &str = include_str!("fixtures/report.json");
const SARIF: &str = include_str!("fixtures/piper.sarif");

const TOGETHER: &str = "Checkmarx Scan";
const DETAILED: &str = "Checkmarx Scan detailed";

fn parse(scan_type: &str, text: &str) -> Result<Collected, Refusal> {
    let mut out = Collected::default();
    let report = Report::from_bytes("report", text.as_bytes());
    by_scan_type(scan_type).unwrap().parse(report, &mut out)?;
    Ok(out)
}

#[test]
fn results_of_a_file_are_put_together() {
    let out = parse(TOGETHER, XML).unwrap();
    assert_eq!(out.warnings, []);
    let [page, db] = &out.findings[..] else {
        panic!("{:?}", out.findings)
    };
    assert_eq!(page.nb_occurences, Some(3));
    assert_eq!(page.vuln_id_from_tool.as_deref(), Some("591,3001"));
    // One of the three is not exploitable, one is confirmed.
    let state = (page.active, page.verified, page.false_p);
    assert_eq!(state, (Some(true), Some(true), Some(false)));
    assert_eq!(
        (db.nb_occurences, db.file_path.as_deref()),
        (Some(1), Some("src/Db.java"))
    );
    insta::assert_json_snapshot!("together", parsed_json(TOGETHER, &out).unwrap());
}

#[test]
fn a_file_whose_results_are_all_false_positives_is_closed() {
    let both = XML.replace(r#"FalsePositive="False""#, r#"FalsePositive="True""#);
    let both = both
        .replace(r#"state="0""#, r#"state="1""#)
        .replace(r#"state="2""#, r#"state="1""#);
    let page = &parse(TOGETHER, &both).unwrap().findings[0];
    let state = (page.active, page.verified, page.false_p);
    assert_eq!(state, (Some(false), Some(false), Some(true)));
}

#[test]
fn in_detail_every_result_is_a_finding() {
    let out = parse(DETAILED, XML).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (4, 0));
    insta::assert_json_snapshot!("detailed", parsed_json(DETAILED, &out).unwrap());

    let twice = XML.replace(
        r#"PathId="2" SimilarityId="14232851""#,
        r#"PathId="1" SimilarityId="-1880573550""#,
    );
    assert_eq!(
        parse(DETAILED, &twice).unwrap().findings.len(),
        3,
        "the same path of the same query"
    );
}

#[test]
fn json_has_results_by_engine() {
    let out = parse(TOGETHER, JSON).unwrap();
    assert_eq!(out.warnings, []);
    assert_eq!(out.findings, parse(DETAILED, JSON).unwrap().findings);
    insta::assert_json_snapshot!("json", parsed_json(TOGETHER, &out).unwrap());

    // A map of serde_json is sorted, so that vulnerabilities may come before what they belong to.
    let sorted: serde_json::Value = serde_json::from_str(JSON).unwrap();
    let sorted = parse(TOGETHER, &sorted.to_string()).unwrap().findings;
    assert_eq!(sorted.len(), 4);
    assert!(out.findings.iter().all(|finding| sorted.contains(finding)));
}

#[test]
fn sarif_of_its_converters_has_a_finding_for_each_result() {
    for name in ["Checkmarx SCA", "checkmarx cxsast"] {
        let log = SARIF.replace("Checkmarx SCA", name);
        let report = Report::from_bytes("log", log.as_bytes());
        assert_eq!(detect(&report).unwrap().scan_type, DETAILED);
        let out = parse(DETAILED, &log).unwrap();
        assert_eq!(
            out.findings[0].file_path.as_deref(),
            Some("src/web/Page.java")
        );
    }
}

#[test]
fn its_reports_are_detected_even_from_a_cut_off_head() {
    for text in [XML, JSON, &XML[..900], &JSON[..700]] {
        let report = Report::from_bytes("report", text.as_bytes());
        assert_eq!(detect(&report).unwrap().scan_type, TOGETHER, "{text}");
    }
}

#[test]
fn an_empty_report_has_no_findings() {
    for text in [
        r#"<CxXMLResults ScanStart="Sunday, February 25, 2018 11:35:52 AM"/>"#,
        r#"<CxXMLResults><Query id="1" name="a" cweId="1"/></CxXMLResults>"#,
        r#"{"reportHeader": {}, "scanResults": {"sast": null, "sca": {"packages": []}}}"#,
        r#"{"reportHeader": {}, "scanResults": {}}"#,
    ] {
        for scan_type in [TOGETHER, DETAILED] {
            let out = parse(scan_type, text).unwrap();
            assert_eq!((out.findings.len(), out.warnings.len()), (0, 0), "{text}");
        }
    }
}

#[test]
fn a_broken_result_is_a_warning_and_the_others_stay() {
    let broken = XML.replace("name=\"Stored_XSS\"", "name=\"\"");
    let out = parse(DETAILED, &broken).unwrap();
    assert_eq!(out.findings.len(), 3);
    assert_eq!(out.warnings[0].record, "query \"\", result 1, line 58");

    let broken = XML.replace(r#""Information""#, r#""Grave""#);
    let out = parse(TOGETHER, &broken).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (1, 1));
    assert_eq!(out.warnings[0].message, "\"Grave\" is not a severity");

    let broken = XML.replace(r#"FileName="src/Db.java""#, "");
    let out = parse(TOGETHER, &broken).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (1, 1));

    for (from, to, record) in [
        (
            r#""severity": "Critical""#,
            r#""severity": 5"#,
            "scanResults.sca.packages[0].vulnerabilities[0]",
        ),
        (
            r#""line": 1,"#,
            r#""fileName": 1,"#,
            "scanResults.kics.results[0].vulnerabilities[0]",
        ),
        (
            r#""queryName": "SQL_Injection","#,
            "",
            "scanResults.sast.languages[0].queries[0]",
        ),
    ] {
        let out = parse(TOGETHER, &JSON.replace(from, to)).unwrap();
        assert_eq!(out.warnings[0].record, record);
        assert!(out.findings.len() >= 2, "{record}");
    }
}

#[test]
fn what_is_no_checkmarx_report_is_refused() {
    for (text, says) in [
        ("", "empty"),
        ("<report/>", "<report>"),
        ("{}", "by engine"),
        (r#"{"scanResults": null}"#, "by engine"),
        (
            r#"{"scanResults": {"resultsList": []}}"#,
            "Checkmarx One Scan",
        ),
        ("[]", "expected an object"),
        (
            "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><CxXMLResults/>",
            "DOCTYPE",
        ),
    ] {
        let refusal = parse(TOGETHER, text).unwrap_err();
        assert!(refusal.to_string().contains(says), "{text}: {refusal}");
    }
}

#[test]
fn a_report_that_was_cut_off_is_refused_wherever_the_cut_is() {
    for text in [XML, JSON] {
        let text = text.trim_end();
        for end in (0..text.len())
            .step_by(41)
            .filter(|end| text.is_char_boundary(*end))
        {
            assert!(parse(DETAILED, &text[..end]).is_err(), "cut at {end}");
        }
    }
}

#[test]
fn states_are_understood_as_number_and_in_words() {
    for (state, triage) in [
        ("0", Triage::ToVerify),
        ("TO_VERIFY", Triage::ToVerify),
        ("Not exploitable", Triage::NotExploitable),
        ("2", Triage::Confirmed),
        ("URGENT", Triage::Urgent),
        ("Proposed Not Exploitable", Triage::ProposedNotExploitable),
        ("5", Triage::Custom),
        ("Waits for Bob", Triage::Custom),
    ] {
        assert_eq!(Triage::from_report(state), triage);
        assert_eq!(triage.is_open(), triage != Triage::NotExploitable);
    }
}

#[test]
fn packages_are_told_from_their_versions() {
    for (identifier, name, version) in [
        ("Npm-jquery-2.1.4", "jquery", "2.1.4"),
        (
            "Maven-org.example:log4j-1.2-api-2.17.0",
            "org.example:log4j-1.2-api",
            "2.17.0",
        ),
        (
            "Maven-org.example:guava-31.0-jre",
            "org.example:guava",
            "31.0-jre",
        ),
        ("Go-example.test/x-y-v1.2.3", "example.test/x-y", "v1.2.3"),
        ("tar-1.34+dfsg-1+deb11u1", "tar", "1.34+dfsg-1+deb11u1"),
        ("Python-tool-1.0.0-beta-2", "tool", "1.0.0-beta-2"),
        ("Npm-odd-7", "odd", "7"),
        ("name", "name", ""),
        ("-1.0", "-1.0", ""),
        ("", "", ""),
    ] {
        assert_eq!(package(identifier), (name, version), "{identifier}");
    }
}
