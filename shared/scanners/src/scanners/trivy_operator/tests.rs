use super::records::advisory;
use crate::{Collected, Refusal, Report, detect, parsed_json};

const LIST: &str = include_str!("fixtures/list.json");
const COMPLIANCE: &str = include_str!("fixtures/compliance.json");
const BY_KIND: &str = include_str!("fixtures/by-kind.json");

fn parse(text: &str) -> Result<Collected, Refusal> {
    let mut out = Collected::default();
    super::SCANNERS[0].parse(Report::from_bytes("report.json", text.as_bytes()), &mut out)?;
    Ok(out)
}

fn json(text: &str) -> serde_json::Value {
    parsed_json("Trivy Operator Scan", &parse(text).unwrap()).unwrap()
}

/// The resources of the list.
fn items() -> Vec<serde_json::Value> {
    let list: serde_json::Value = serde_json::from_str(LIST).unwrap();
    list["items"].as_array().unwrap().clone()
}

#[test]
fn every_kind_and_shape_is_read() {
    insta::assert_json_snapshot!("list", json(LIST));
    insta::assert_json_snapshot!("compliance", json(COMPLIANCE));
    insta::assert_json_snapshot!("by_kind", json(BY_KIND));
}

#[test]
fn a_resource_alone_and_in_lists_is_the_same() {
    let whole = parse(LIST).unwrap().findings;
    let items = items();
    let alone: Vec<_> = items[..4]
        .iter()
        .flat_map(|i| parse(&i.to_string()).unwrap().findings)
        .collect();
    assert_eq!(alone, whole);
    for list in [
        serde_json::json!(items),
        serde_json::json!([{"kind": "List", "apiVersion": "v1", "items": items}]),
        serde_json::json!({"vulnerabilityreports.aquasecurity.github.io": items}),
    ] {
        assert_eq!(parse(&list.to_string()).unwrap().findings, whole);
    }
    // One file of several calls of kubectl.
    let lines: Vec<_> = items.iter().map(ToString::to_string).collect();
    assert_eq!(parse(&lines.join("\n")).unwrap().findings, whole);
}

#[test]
fn the_order_of_keys_does_not_matter() {
    let compliance: Vec<serde_json::Value> = serde_json::from_str(COMPLIANCE).unwrap();
    for resource in items()[..4].iter().chain(&compliance) {
        // A map of serde_json is sorted: backwards the metadata comes last of all.
        let members = resource.as_object().unwrap().iter().rev();
        let members: Vec<_> = members
            .map(|(key, value)| format!("\"{key}\": {value}"))
            .collect();
        let backwards = format!("{{{}}}", members.join(", "));
        let expected = parse(&resource.to_string()).unwrap().findings;
        assert_eq!(parse(&backwards).unwrap().findings, expected);
    }
}

#[test]
fn its_reports_are_detected_even_from_a_cut_off_head() {
    for text in [
        LIST,
        &LIST[..120],
        COMPLIANCE,
        &COMPLIANCE[..90],
        BY_KIND,
        &BY_KIND[..120],
    ] {
        let report = Report::from_bytes("x", text.as_bytes());
        assert_eq!(
            detect(&report).unwrap().scan_type,
            "Trivy Operator Scan",
            "{text}"
        );
    }
    let policy = r#"{"apiVersion": "wgpolicyk8s.io/v1alpha2", "kind": "PolicyReport"}"#;
    assert!(!(super::SCANNERS[0].detect)(
        &Report::from_bytes("x", policy.as_bytes()).sniff()
    ));
}

#[test]
fn an_empty_report_has_no_findings() {
    for text in [
        "[]",
        r#"{"apiVersion": "v1", "items": [], "kind": "List"}"#,
        r#"{"apiVersion": "v1", "items": null, "kind": "List"}"#,
        r#"{"vulnerabilityreports.aquasecurity.github.io": []}"#,
        r#"{"apiVersion": "aquasecurity.github.io/v1alpha1", "kind": "VulnerabilityReport",
            "report": {"vulnerabilities": []}}"#,
        r#"{"apiVersion": "aquasecurity.github.io/v1alpha1", "kind": "ConfigAuditReport",
            "report": {"checks": null}}"#,
    ] {
        let out = parse(text).unwrap();
        assert!(out.findings.is_empty() && out.warnings.is_empty(), "{text}");
    }
}

#[test]
fn components_are_no_findings() {
    let warnings = parse(LIST).unwrap().warnings;
    assert_eq!(warnings.len(), 1);
    assert_eq!(
        warnings[0].message,
        "SbomReports list components and no findings"
    );
    let refusal = parse(&items()[4].to_string()).unwrap_err().to_string();
    assert!(refusal.contains("SbomReports only"), "{refusal}");
}

#[test]
fn a_resource_without_results_is_told_of() {
    for text in [
        r#"{"apiVersion": "aquasecurity.github.io/v1alpha1", "kind": "ClusterComplianceReport",
            "spec": {"compliance": {"controls": []}}, "status": {}}"#,
        r#"{"apiVersion": "aquasecurity.github.io/v1alpha1", "kind": "VulnerabilityReport"}"#,
    ] {
        let out = parse(text).unwrap();
        assert_eq!(out.findings, []);
        assert!(
            out.warnings[0].message.ends_with("has no results yet"),
            "{text}"
        );
    }
}

#[test]
fn a_broken_record_is_a_warning_and_the_others_stay() {
    let whole = parse(LIST).unwrap().findings.len();
    let out = parse(&LIST.replacen("\"unpack\",", "{\"no\": \"name\"},", 1)).unwrap();
    assert_eq!(out.findings.len(), whole - 1);
    assert_eq!(
        out.warnings[0].record,
        "[0].items[0].report.vulnerabilities[0]"
    );
    let out = parse(&LIST.replacen("\"KSV014\"", "\"\"", 1)).unwrap();
    assert_eq!(out.findings.len(), whole - 1);
    assert_eq!(out.warnings[0].message, "has no checkID");
    let out =
        parse(&LIST.replacen("\"items\": [", "\"items\": [7, {\"kind\": \"Pod\"},", 1)).unwrap();
    assert_eq!(out.findings.len(), whole);
    let told: Vec<_> = out
        .warnings
        .iter()
        .map(|w| (&*w.record, &*w.message))
        .collect();
    assert_eq!(told[0], ("[0].items[0]", "is a number, expected an object"));
    assert_eq!(
        told[1],
        ("[0].items[1]", "Pod is no report of the Trivy Operator")
    );
}

#[test]
fn what_is_no_report_of_the_operator_is_refused() {
    for (text, says) in [
        ("", "the report is empty"),
        ("{}", "no reports of the Trivy Operator"),
        (r#"{"SchemaVersion": 2, "Results": []}"#, "no reports"),
        (r#"[{"kind": "Pod", "apiVersion": "v1"}]"#, "no reports"),
        (
            r#"{"apiVersion": "wgpolicyk8s.io/v1alpha2", "kind": "PolicyReport", "results": []}"#,
            "no reports",
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
    for text in [LIST.trim_end(), COMPLIANCE.trim_end(), BY_KIND.trim_end()] {
        for end in (0..text.len()).step_by(11) {
            assert!(parse(&text[..end]).is_err(), "cut at {end}");
        }
    }
}

#[test]
fn checks_have_one_id_in_all_spellings() {
    for (check, id) in [
        ("KSV014", "AVD-KSV-0014"),
        ("KSV-0014", "AVD-KSV-0014"),
        ("AVD-KSV-0014", "AVD-KSV-0014"),
        ("KCV0048", "AVD-KCV-0048"),
        ("CVE-2030-0001", "CVE-2030-0001"),
        ("KSVx", "KSVx"),
    ] {
        assert_eq!(advisory(check), id);
    }
}
