use std::io::{Cursor, Write as _};

use tatami_domain::Severity;
use zip::write::{SimpleFileOptions, ZipWriter};

use crate::{Collected, DetectError, Refusal, Report, by_scan_type, detect, parsed_json};

const ISSUES: &str = include_str!("fixtures/issues.json");
const HOTSPOTS: &str = include_str!("fixtures/hotspots.json");
const DATA: &str = include_str!("fixtures/sonar-report.json");
const PAGE: &str = include_str!("fixtures/sonar-report.html");
const SARIF: &str = include_str!("fixtures/export.sarif");

const SCAN: &str = "SonarQube Scan";
const DETAILED: &str = "SonarQube Scan detailed";

fn parse_as(scan_type: &str, bytes: &[u8]) -> Result<Collected, Refusal> {
    let mut out = Collected::default();
    let scanner = by_scan_type(scan_type).unwrap();
    scanner.parse(Report::from_bytes("report", bytes), &mut out)?;
    Ok(out)
}

fn parse(text: &str) -> Result<Collected, Refusal> {
    parse_as(SCAN, text.as_bytes())
}

fn snapshot(name: &str, scan_type: &str, text: &str) {
    let out = parse_as(scan_type, text.as_bytes()).unwrap();
    assert_eq!(out.warnings, []);
    insta::assert_json_snapshot!(name, parsed_json(scan_type, &out).unwrap());
}

fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn issues_and_hotspots_of_the_web_api_are_findings() {
    snapshot("issues", SCAN, ISSUES);
    snapshot("hotspots", SCAN, HOTSPOTS);
    let detailed = parse_as(DETAILED, ISSUES.as_bytes()).unwrap();
    assert_eq!(detailed.findings, parse(ISSUES).unwrap().findings);
}

#[test]
fn sonar_report_s_issues_are_joined_or_not() {
    snapshot("data", SCAN, DATA);
    snapshot("data_detailed", DETAILED, DATA);
    snapshot("page", SCAN, PAGE);
    snapshot("page_detailed", DETAILED, PAGE);
}

#[test]
fn rules_may_be_a_list_and_come_last() {
    let mut data: serde_json::Value = serde_json::from_str(DATA).unwrap();
    let members = data.as_object_mut().unwrap();
    let rules = members.remove("rules").unwrap();
    let mut list = Vec::new();
    for (key, rule) in rules.as_object().unwrap() {
        let mut rule = rule.clone();
        rule["key"] = key.as_str().into();
        list.push(rule);
    }
    let list = serde_json::Value::from(list);
    let start = data.to_string();
    let text = format!("{},\"rules\":{list}}}", &start[..start.len() - 1]);
    assert_eq!(
        parse(&text).unwrap().findings,
        parse(DATA).unwrap().findings
    );
}

#[test]
fn severities_have_their_ranks() {
    let rank = |severity: &str| {
        let text = ISSUES.replacen("\"MAJOR\"", &format!("\"{severity}\""), 1);
        let out = parse(&text).unwrap();
        (out.findings[0].severity, out.warnings.len())
    };
    assert_eq!(rank("BLOCKER"), (Severity::Critical, 0));
    assert_eq!(rank("MINOR"), (Severity::Low, 0));
    assert_eq!(rank(""), (Severity::Info, 0));
    assert_eq!(rank("ODD"), (Severity::Info, 1));
    let rank = |severity: &str| {
        let out = parse(&DATA.replacen("\"MEDIUM\"", &format!("\"{severity}\""), 1)).unwrap();
        (out.findings[2].severity, out.warnings.len())
    };
    assert_eq!(rank("CRITICAL"), (Severity::High, 0));
    assert_eq!(rank("LOW"), (Severity::Low, 0));
    assert_eq!(rank("ODD"), (Severity::Info, 1));
}

#[test]
fn a_dependency_is_told_by_its_message() {
    let message = |text: &str| {
        let old = "Filename: left-pad:1.2.0 | Reference: CVE-2099-12345 | CVSS Score: 9.1";
        let out = parse(&ISSUES.replacen(old, text, 1)).unwrap();
        out.findings.into_iter().nth(1).unwrap()
    };
    let jar = message("Filename: pad-1.jar | Reference: CVE-2099-1 | CVSS Score: unknown");
    assert_eq!(jar.component_name.as_deref(), Some("pad-1.jar"));
    assert_eq!((jar.component_version, jar.cvssv3_score), (None, None));
    assert_eq!(jar.vulnerability_ids, [""; 0]);
    let many = message(
        "Filename: a:b:1 | Highest CVSS Score: 7.5 | References: CVE-2099-1111 (7.5), GHSA-aaaa-bbbb-cccc",
    );
    assert_eq!(many.component_name.as_deref(), Some("a:b"));
    assert_eq!(
        many.vulnerability_ids,
        ["CVE-2099-1111", "GHSA-aaaa-bbbb-cccc"]
    );
    assert_eq!(many.cvssv3_score, Some(7.5));
    assert_eq!(message("See CWE-1 | Category: CWE-2").cwe, 0);
}

#[test]
fn pages_may_come_in_one_file_or_in_an_archive() {
    let (issues, hotspots) = (
        parse(ISSUES).unwrap().findings,
        parse(HOTSPOTS).unwrap().findings,
    );
    let both = [issues, hotspots].concat();
    assert_eq!(
        parse(&format!("{ISSUES}\n{HOTSPOTS}")).unwrap().findings,
        both
    );

    let archive = zip(&[("a/issues.json", ISSUES), ("a/hotspots.json", HOTSPOTS)]);
    for scan_type in [SCAN, DETAILED] {
        assert_eq!(parse_as(scan_type, &archive).unwrap().findings, both);
    }
    assert_eq!(
        detect(&Report::from_bytes("report", &archive))
            .unwrap()
            .scan_type,
        SCAN
    );

    let archive = zip(&[("notes.txt", "hello"), ("report.html", PAGE)]);
    let out = parse_as(DETAILED, &archive).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (3, 1));
    assert_eq!(out.warnings[0].record, "notes.txt");

    let broken = ISSUES.replacen("\"rule\": \"java:S2259\",", "", 1);
    let out = parse_as(SCAN, &zip(&[("issues.json", &broken)])).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (4, 1));
    assert_eq!(out.warnings[0].record, "issues.json: [0].issues[0]");
}

#[test]
fn an_archive_needs_a_page_unless_it_is_empty() {
    let out = parse_as(SCAN, &zip(&[])).unwrap();
    assert_eq!((out.findings, out.warnings), (vec![], vec![]));
    // It could be anybody's.
    let found = detect(&Report::from_bytes("report", &zip(&[])));
    assert_eq!(found.err(), Some(DetectError::Unknown));

    let refusal = parse_as(SCAN, &zip(&[("notes.json", "{\"a\": 1}")])).unwrap_err();
    assert!(
        refusal.to_string().contains("no file in the archive"),
        "{refusal}"
    );
    let cut = &ISSUES[..ISSUES.len() / 2];
    let refusal = parse_as(SCAN, &zip(&[("issues.json", cut)])).unwrap_err();
    assert!(
        refusal.to_string().starts_with("issues.json: "),
        "{refusal}"
    );
}

#[test]
fn sarif_is_read_by_both() {
    for scan_type in [SCAN, DETAILED] {
        for driver in ["SonarQube", "SonarCloud", "Sonarlint"] {
            let text = SARIF.replacen("SonarQube", driver, 1);
            let out = parse_as(scan_type, text.as_bytes()).unwrap();
            assert_eq!((out.findings.len(), out.warnings.len()), (1, 0));
            assert_eq!(out.findings[0].line, Some(31));
        }
    }
}

#[test]
fn its_reports_are_detected_even_from_a_cut_off_head() {
    let texts = [ISSUES, HOTSPOTS, DATA, PAGE, SARIF];
    for text in
        texts
            .into_iter()
            .chain([&ISSUES[..500], &HOTSPOTS[..400], &DATA[..600], &PAGE[..900]])
    {
        let report = Report::from_bytes("report", text.as_bytes());
        assert_eq!(detect(&report).unwrap().scan_type, SCAN, "{text}");
    }
    for text in [
        r#"{"issues": []}"#,
        r#"{"issues": [{"rule": "a", "severity": "MAJOR", "key": "b"}]}"#,
        r#"{"paging": {"total": 0}, "issues": []}"#,
        "<html><title>SonarQube Scan Report</title><body>nothing else</body></html>",
    ] {
        let found = detect(&Report::from_bytes("report", text.as_bytes()));
        assert_eq!(found.err(), Some(DetectError::Unknown), "{text}");
    }
}

#[test]
fn an_empty_report_has_no_findings() {
    let start = PAGE.find("<h2>Detail of").unwrap();
    let end = PAGE.find("<h3>Known").unwrap();
    let page = format!("{}{}", &PAGE[..start], &PAGE[end..]);
    let issues = r#"{"total": 0, "paging": {"pageIndex": 1, "pageSize": 100, "total": 0},
        "effortTotal": 0, "issues": [], "components": [], "facets": []}"#;
    let hotspots = r#"{"paging": {"pageIndex": 1, "pageSize": 100, "total": 0}, "hotspots": [], "components": []}"#;
    let data =
        r#"{"projectName": "a", "sonarBaseURL": "https://a.test", "rules": {}, "issues": []}"#;
    for text in [&page, issues, hotspots, data] {
        for scan_type in [SCAN, DETAILED] {
            let out = parse_as(scan_type, text.as_bytes()).unwrap();
            assert_eq!((out.findings, out.warnings), (vec![], vec![]), "{text}");
        }
        let report = Report::from_bytes("report", text.as_bytes());
        assert_eq!(detect(&report).unwrap().scan_type, SCAN);
    }
}

#[test]
fn a_broken_record_is_a_warning_and_the_others_stay() {
    let out = parse(&ISSUES.replacen("\"AYx-bug-1\"", "[1]", 1)).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (4, 1));
    assert_eq!(out.warnings[0].record, "[0].issues[0]");

    let out = parse(&DATA.replacen("\"docker:S6471\"", "{}", 1)).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (2, 1));
    assert_eq!(out.warnings[0].record, "issues[3]");

    let out = parse(&PAGE.replacen("<td>/</td>", "", 1)).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (1, 1));
    assert!(
        out.warnings[0].record.starts_with("issue 3, "),
        "{:?}",
        out.warnings
    );
}

#[test]
fn without_rules_the_issues_stay() {
    let end = PAGE.find("<h3>Known").unwrap();
    let out = parse(&format!("{}</div></body></html>", &PAGE[..end])).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (2, 0));
    assert!(out.findings[0].description.starts_with("No description"));
}

#[test]
fn what_is_no_report_of_sonarqube_is_refused() {
    for (text, says) in [
        ("", "empty"),
        ("[]", "expected an object"),
        ("{\"findings\": []}", "has no issues or hotspots"),
        ("{\"issues\": []}", "has no issues or hotspots"),
        (
            "{\"sonarBaseURL\": \"\", \"projectName\": \"a\"}",
            "has no \"issues\"",
        ),
        (
            "<html><title>SonarQube Report</title><table></table></html>",
            "no table of issues",
        ),
        (
            "{\"errors\": [{\"msg\": \"Insufficient privileges\"}]}",
            "has no issues",
        ),
        ("\u{0}\u{1}\u{2}", ""),
    ] {
        for scan_type in [SCAN, DETAILED] {
            let refusal = parse_as(scan_type, text.as_bytes()).unwrap_err();
            assert!(refusal.to_string().contains(says), "{refusal}");
        }
    }
}

#[test]
fn a_report_that_was_cut_off_is_refused_or_warned_of() {
    for text in [ISSUES, HOTSPOTS, DATA] {
        let text = text.trim_end();
        for end in (0..text.len()).step_by(7) {
            assert!(parse(&text[..end]).is_err(), "cut at {end}");
        }
    }
    for end in (0..PAGE.find("</html>").unwrap()).step_by(7) {
        let silent = parse(&PAGE[..end]).is_ok_and(|out| out.warnings.is_empty());
        assert!(!silent, "cut at {end}");
    }
}
