use crate::{Collected, Refusal, Report, detect, parsed_json};

const REPORT: &str = include_str!("fixtures/report.json");
const LEGACY: &str = include_str!("fixtures/legacy.json");
const KUBERNETES: &str = include_str!("fixtures/kubernetes.json");
const SARIF: &str = include_str!("fixtures/report.sarif");

fn parse(text: &str) -> Result<Collected, Refusal> {
    let mut out = Collected::default();
    super::SCANNERS[0].parse(Report::from_bytes("trivy.json", text.as_bytes()), &mut out)?;
    Ok(out)
}

fn json(text: &str) -> serde_json::Value {
    parsed_json("Trivy Scan", &parse(text).unwrap()).unwrap()
}

#[test]
fn every_shape_is_read() {
    insta::assert_json_snapshot!("report", json(REPORT));
    insta::assert_json_snapshot!("legacy", json(LEGACY));
    insta::assert_json_snapshot!("kubernetes", json(KUBERNETES));
    insta::assert_json_snapshot!("sarif", json(SARIF));
}

#[test]
fn its_reports_are_detected_even_from_a_cut_off_head() {
    let whole = [REPORT, LEGACY, KUBERNETES, SARIF];
    for text in whole.into_iter().chain([
        &REPORT[..200],
        &LEGACY[..120],
        &KUBERNETES[..150],
        &SARIF[..500],
    ]) {
        let report = Report::from_bytes("x", text.as_bytes());
        assert_eq!(detect(&report).unwrap().scan_type, "Trivy Scan", "{text}");
    }
}

#[test]
fn packages_are_found_in_the_messages_of_its_sarif() {
    let out = parse(SARIF).unwrap();
    assert_eq!(out.test.unwrap().test_type.as_deref(), Some("Trivy Scan"));
    let finding = &out.findings[0];
    assert_eq!(finding.title, "CVE-2030-0001 libfoo 1.2.3");
    assert_eq!(finding.component_name.as_deref(), Some("libfoo"));
    assert_eq!(finding.component_version.as_deref(), Some("1.2.3"));
    assert_eq!(finding.fix_version.as_deref(), Some("1.2.4"));
    // Trivy's own word, not the score's.
    assert_eq!(finding.severity, tatami_domain::Severity::High);
    // Sent as SARIF it is text like any other.
    let mut out = Collected::default();
    let sarif = crate::by_scan_type("SARIF").unwrap();
    sarif
        .parse(Report::from_bytes("x", SARIF.as_bytes()), &mut out)
        .unwrap();
    assert_eq!(out.findings[0].component_name, None);
    assert_eq!(out.findings[0].severity, tatami_domain::Severity::Critical);
}

#[test]
fn the_order_of_keys_does_not_matter() {
    // A map of serde_json is sorted, so that records come before their target.
    for text in [REPORT, LEGACY, KUBERNETES] {
        let sorted: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(
            parse(&sorted.to_string()).unwrap().findings,
            parse(text).unwrap().findings
        );
    }
}

#[test]
fn an_empty_report_has_no_findings() {
    for text in [
        "[]",
        r#"{"SchemaVersion": 2, "ArtifactName": "alpine", "ArtifactType": "container_image"}"#,
        r#"{"SchemaVersion": 2, "Results": null}"#,
        r#"{"Results": [{"Target": "alpine", "Class": "os-pkgs", "Type": "alpine"}]}"#,
        r#"{"ClusterName": "", "Resources": []}"#,
    ] {
        let out = parse(text).unwrap();
        assert!(out.findings.is_empty() && out.warnings.is_empty(), "{text}");
    }
}

#[test]
fn a_broken_record_is_a_warning_and_the_others_stay() {
    let broken = REPORT.replacen("\"libfoo\"", "{\"no\": \"name\"}", 1);
    let out = parse(&broken).unwrap();
    assert_eq!(
        out.findings.len(),
        parse(REPORT).unwrap().findings.len() - 1
    );
    let places: Vec<_> = out.warnings.iter().map(|w| &*w.record).collect();
    assert_eq!(
        places,
        [
            "Results[0].Vulnerabilities[0]",
            "Results[0].Vulnerabilities[2]"
        ]
    );
}

#[test]
fn what_is_no_trivy_report_is_refused() {
    for (text, says) in [
        ("", "the report is empty"),
        ("{}", "neither \"Results\" nor \"ClusterName\""),
        (
            r#"{"SchemaVersion": 2, "Vulnerabilities": [{"id": 1}]}"#,
            "neither",
        ),
        (r#"[{"severity": "High"}]"#, "neither"),
        (
            r#"{"Results": {"a": 1}}"#,
            "Results is an object, expected a list",
        ),
        (r#"{"Results": [{"a": 1}]}"#, "neither"),
        (
            r#"{"ID": "nsa", "Title": "t", "SummaryControls": []}"#,
            "summary of a compliance report",
        ),
        ("\"text\"", "expected an object"),
        ("<xml/>", "not JSON"),
    ] {
        let refusal = parse(text).unwrap_err().to_string();
        assert!(refusal.contains(says), "{text}: {refusal}");
    }
}

#[test]
fn a_report_that_was_cut_off_is_refused_wherever_the_cut_is() {
    let text = REPORT.trim_end();
    for end in (0..text.len()).step_by(11) {
        assert!(parse(&text[..end]).is_err(), "cut at {end}");
    }
    let refusal = parse(&text[..900]).unwrap_err().to_string();
    assert!(
        refusal.contains("in the middle of Results[0].Vulnerabilities[0]"),
        "{refusal}"
    );
    assert!(refusal.contains("was the upload cut off?"), "{refusal}");
}

#[test]
fn a_compliance_report_has_the_results_of_its_controls() {
    let text = r#"{"ID": "nsa", "Title": "NSA", "Description": "", "Version": "1.0", "RelatedResources": [],
        "Results": [
            {"ID": "1.0", "Name": "Non-root containers", "Severity": "MEDIUM", "Results": [
                {"Target": "Deployment/shop", "Class": "config", "Type": "kubernetes", "Misconfigurations": [
                    {"Type": "Kubernetes Security Check", "ID": "KSV012", "Title": "Runs as root user",
                     "Severity": "MEDIUM", "Status": "FAIL", "CauseMetadata": {"Code": null}}]}]},
            {"ID": "1.1", "Name": "Kept", "Severity": "LOW", "Results": null}]}"#;
    let report = Report::from_bytes("x", text.as_bytes());
    assert_eq!(detect(&report).unwrap().scan_type, "Trivy Scan");
    let out = parse(text).unwrap();
    assert_eq!(out.warnings, []);
    assert_eq!(out.findings.len(), 1);
    assert_eq!(out.findings[0].title, "KSV012 - Runs as root user");
}

#[test]
fn what_is_no_finding_is_left_alone() {
    let text = r#"{"SchemaVersion": 2, "ArtifactName": "a", "Metadata": {"OS": {"Family": "alpine", "EOSL": true}},
        "Results": [
            {"Target": "a", "Class": "os-pkgs", "Type": "alpine", "Packages": [{"Name": "musl"}],
             "ExperimentalModifiedFindings": [{"Type": "vulnerability", "Status": "not_affected",
                "Finding": {"VulnerabilityID": "CVE-2030-0001", "PkgName": "musl", "Severity": "HIGH"}}]},
            {"Target": "b", "Class": "custom", "CustomResources": [{"Type": "t", "Data": {"Severity": "HIGH"}}]},
            {"Target": "c", "Class": "config", "Type": "dockerfile", "MisconfSummary": {"Successes": 1},
             "Misconfigurations": [{"ID": "DS001", "Status": "PASS"}]}]}"#;
    let out = parse(text).unwrap();
    assert!(out.findings.is_empty() && out.warnings.is_empty());
}

#[test]
fn a_resource_that_was_not_scanned_is_told_of() {
    let text = r#"{"ClusterName": "c", "Resources": [
        {"Namespace": "n", "Kind": "Pod", "Name": "p", "Error": "no such image"}]}"#;
    let warnings = parse(text).unwrap().warnings;
    assert_eq!(warnings[0].message, "was not scanned: no such image");
}
