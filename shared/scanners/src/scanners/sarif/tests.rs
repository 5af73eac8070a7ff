use crate::{Collected, Refusal, Report, detect, parsed_json};

const REPORT: &str = include_str!("fixtures/report.sarif");

fn parse(text: &str) -> Result<Collected, Refusal> {
    let mut out = Collected::default();
    super::SCANNERS[0].parse(Report::from_bytes("x.sarif", text.as_bytes()), &mut out)?;
    Ok(out)
}

#[test]
fn all_runs_are_read() {
    let out = parse(REPORT).unwrap();
    insta::assert_json_snapshot!("report", parsed_json("SARIF", &out).unwrap());
}

#[test]
fn the_order_of_keys_does_not_matter() {
    let sorted: serde_json::Value = serde_json::from_str(REPORT).unwrap();
    let out = parse(&sorted.to_string()).unwrap();
    assert_eq!(out.findings, parse(REPORT).unwrap().findings);
    assert_eq!(out.test, parse(REPORT).unwrap().test);
}

#[test]
fn its_reports_are_detected_even_from_a_cut_off_head() {
    for text in [
        REPORT,
        &REPORT[..200],
        r#"{"runs": [], "version": "2.1.0"}"#,
    ] {
        let report = Report::from_bytes("x", text.as_bytes());
        assert_eq!(detect(&report).unwrap().scan_type, "SARIF", "{text}");
    }
}

#[test]
fn an_empty_log_has_no_findings() {
    for text in [
        r#"{"version": "2.1.0", "runs": []}"#,
        r#"{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x"}}, "results": []}]}"#,
    ] {
        let out = parse(text).unwrap();
        assert!(out.findings.is_empty() && out.warnings.is_empty(), "{text}");
    }
    let failed = r#"{"runs": [{"tool": {"driver": {"name": "x"}}, "results": null}]}"#;
    let told = parse(failed).unwrap().warnings;
    assert_eq!(told[0].record, "runs[0]");
    assert_eq!(
        told[0].message,
        "has no results: did the tool run to its end?"
    );
}

#[test]
fn a_broken_result_is_a_warning_and_the_others_stay() {
    let broken = REPORT.replacen(r#"{"text": "core 1.0 is old"}"#, "5", 1);
    let out = parse(&broken).unwrap();
    assert_eq!(
        out.findings.len(),
        parse(REPORT).unwrap().findings.len() - 1
    );
    let places: Vec<_> = out.warnings.iter().map(|w| &*w.record).collect();
    assert_eq!(places, ["runs[0].results[2]", "runs[0].results[4]"]);
}

#[test]
fn what_is_no_sarif_log_is_refused() {
    for (text, says) in [
        ("", "the report is empty"),
        ("{}", "no \"runs\""),
        ("[]", "expected an object"),
        (r#"{"runs": {}}"#, "runs is an object, expected a list"),
        (
            r#"{"version": "1.0.0", "runs": []}"#,
            "SARIF version \"1.0.0\"",
        ),
        ("<xml/>", "not JSON"),
    ] {
        let refusal = parse(text).unwrap_err().to_string();
        assert!(refusal.contains(says), "{text}: {refusal}");
    }
}

#[test]
fn a_log_that_was_cut_off_is_refused_wherever_the_cut_is() {
    let text = REPORT.trim_end();
    for end in (0..text.len()).step_by(11) {
        assert!(parse(&text[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn arguments_are_filled_in_where_there_are_any() {
    let arguments = ["a".to_owned(), "{0}".to_owned()].map(crate::kit::json::Text);
    for (text, filled) in [
        ("{1} {0} {2} {x} {", "{0} a {2} {x} {"),
        ("no", "no"),
        ("{{0}", "{a"),
        ("", ""),
    ] {
        assert_eq!(super::run::filled(text, &arguments), filled);
    }
}

/// The findings of a log of one run with these members.
fn run(members: &str) -> Vec<tatami_domain::ReportFinding> {
    let out = parse(&format!(
        r#"{{"version": "2.1.0", "runs": [{{{members}}}]}}"#
    ))
    .unwrap();
    assert_eq!(out.warnings, []);
    out.findings
}

#[test]
fn null_is_as_good_as_nothing() {
    let found = run(
        r#""tool": {"driver": {"name": "x", "rules": [{"id": "A", "help": null, "properties": null,
            "defaultConfiguration": null, "relationships": null}], "globalMessageStrings": {"a": null}}},
        "invocations": null, "artifacts": null,
        "results": [{"ruleId": "A", "rule": null, "message": {"text": "m", "arguments": null},
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": "a.c"}, "region": null,
                "contextRegion": null}, "message": null, "logicalLocations": null},
                {"physicalLocation": null}],
            "codeFlows": null, "fingerprints": null, "suppressions": null, "fixes": null,
            "properties": null, "webRequest": null, "taxa": null}]"#,
    );
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].file_path.as_deref(), Some("a.c"));
    assert_eq!(
        run(r#""tool": null, "results": [{"message": {"text": "m"}}]"#).len(),
        1
    );
}

#[test]
fn files_may_be_listed_behind_the_results() {
    let found = run(
        r#""tool": {"driver": {"name": "x"}}, "invocations": [{"startTimeUtc": "2030-02-03T00:00:00Z"}],
        "results": [
            {"message": {"text": "by number"}, "locations": [{"physicalLocation": {"artifactLocation": {"index": 0}}}]},
            {"message": {"text": "by name"}, "locations": [{"physicalLocation": {"artifactLocation": {"uri": "b.c"}}}]}],
        "artifacts": [{"location": {"uri": "a.c"}}]"#,
    );
    let mut files: Vec<_> = found
        .iter()
        .filter_map(|f| f.file_path.as_deref())
        .collect();
    files.sort_unstable();
    assert_eq!(files, ["a.c", "b.c"]);
    assert!(found.iter().all(|f| f.date.is_some()));
}

#[test]
fn results_say_what_they_are_in_several_ways() {
    let found = run(r#""tool": {"driver": {"name": "x"}}, "results": [
            {"message": {"markdown": "*m*"}, "level": "Error", "baselineState": "absent",
             "taxa": [{"id": "79", "toolComponent": {"name": "CWE"}}, {"id": "A1", "toolComponent": {"name": "OWASP"}}],
             "locations": [{"logicalLocations": [{"name": "f", "fullyQualifiedName": "m::f"}]}]},
            {"message": {"text": "web"},
             "webRequest": {"protocol": "HTTP", "version": "1.1", "method": "POST", "target": "/a",
                "headers": {"Host": "a.example.test"}, "body": {"text": "b=1"}},
             "webResponse": {"protocol": "HTTP", "version": "1.1", "statusCode": 200, "reasonPhrase": "OK"}}]"#);
    assert_eq!(found[0].title, "*m*");
    assert_eq!(found[0].severity, tatami_domain::Severity::High);
    assert_eq!(
        (found[0].active, found[0].is_mitigated),
        (Some(false), Some(true))
    );
    assert_eq!(found[0].cwe, 79);
    assert!(found[0].description.contains("**Location:** m::f"));
    let exchange = &found[1].requests[0];
    assert_eq!(
        exchange.request,
        "POST /a HTTP/1.1\nHost: a.example.test\n\nb=1"
    );
    assert_eq!(exchange.response, "HTTP/1.1 200 OK");
}
