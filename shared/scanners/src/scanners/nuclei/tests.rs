use tatami_domain::Severity::{Critical, High, Info, Low, Medium};

use crate::{Collected, Refusal, Report, detect, parsed_json};

const LINES: &str = include_str!("fixtures/events.jsonl");
const LIST: &str = include_str!("fixtures/list.json");
const OLD: &str = include_str!("fixtures/old.json");
const LOG: &str = include_str!("fixtures/log.sarif");

fn parse(text: &str) -> Result<Collected, Refusal> {
    let mut out = Collected::default();
    super::SCANNERS[0].parse(Report::from_bytes("report", text.as_bytes()), &mut out)?;
    Ok(out)
}

#[test]
fn what_is_read() {
    for (name, text) in [("lines", LINES), ("list", LIST), ("old", OLD), ("log", LOG)] {
        let out = parse(text).unwrap();
        assert_eq!(out.warnings, []);
        insta::assert_json_snapshot!(name, parsed_json("Nuclei Scan", &out).unwrap());
    }
}

#[test]
fn its_reports_are_detected_even_from_a_cut_off_head() {
    let line = LINES.split_at(LINES.find("\"metadata\"").unwrap()).0;
    let log = LOG.split_at(LOG.find("\"organization\"").unwrap()).0;
    for text in [line, LIST, OLD, log] {
        let report = Report::from_bytes("report", text.as_bytes());
        assert_eq!(detect(&report).unwrap().scan_type, "Nuclei Scan");
    }
}

#[test]
fn a_list_and_lines_say_the_same() {
    let list = format!("[{}]", LINES.trim_end().replace('\n', ","));
    assert_eq!(
        parse(&list).unwrap().findings,
        parse(LINES).unwrap().findings
    );
}

#[test]
fn events_of_one_matcher_and_host_are_one_finding() {
    let findings = parse(LINES).unwrap().findings;
    let counts: Vec<_> = findings
        .iter()
        .map(|f| (f.nb_occurences, f.endpoints.len()))
        .collect();
    assert_eq!(
        counts,
        [(Some(1), 1), (Some(2), 2), (Some(1), 1), (Some(1), 1)]
    );
}

#[test]
fn a_match_in_a_file_has_a_path() {
    let file = LIST
        .replace("\"tcp\"", "\"file\"")
        .replace("db.example.test:22", "/srv/key.pem");
    let out = parse(&file).unwrap();
    assert_eq!(out.findings[0].file_path.as_deref(), Some("/srv/key.pem"));
    assert_eq!(
        (&*out.findings[0].endpoints, &*out.warnings),
        (&[][..], &[][..])
    );
}

#[test]
fn an_empty_file_is_a_report_without_findings() {
    for text in ["", "[]"] {
        let out = parse(text).unwrap();
        assert_eq!((out.findings, out.warnings), (vec![], vec![]), "{text:?}");
    }
}

#[test]
fn a_broken_event_is_a_warning_and_the_others_stay() {
    let warned = |text: &str| {
        let out = parse(text).unwrap();
        let records: Vec<_> = out.warnings.into_iter().map(|w| w.record).collect();
        (out.findings.len(), records.join(" "))
    };
    let broken = LINES.replacen("\"info\":{", "\"info\":7,\"x\":{", 1);
    assert_eq!(warned(&broken), (3, "[0]".into()));
    let nameless = LINES.replacen("\"template-id\":\"CVE-2099-0005\"", "\"x\":1", 1);
    assert_eq!(warned(&nameless), (3, "[0]".into()));
    let placeless = LIST.replace("db.example.test:22", "db.example.test:ssh");
    assert_eq!(warned(&placeless), (1, "[0][0]".into()));
    let rule = LOG.replacen("\"ruleId\"", "\"x\"", 1);
    assert_eq!(warned(&rule), (1, "runs[0].results[0]".into()));
}

#[test]
fn severities_of_a_log_are_nuclei_s_own() {
    let severity = |score: &str| {
        let log = LOG.replacen("\"9.4\"", &format!("\"{score}\""), 1);
        parse(&log).unwrap().findings[0].severity
    };
    for (score, wanted) in [
        ("9.4", Critical),
        ("8", High),
        ("5", Medium),
        ("2", Low),
        ("1", Info),
        ("9.5", Info),
    ] {
        assert_eq!(severity(score), wanted, "{score}");
    }
}

#[test]
fn a_report_that_was_cut_off_is_refused_wherever_the_cut_is() {
    for text in [LIST, OLD, LOG] {
        let text = text.trim_end();
        for end in (1..text.len()).step_by(53) {
            assert!(parse(&text[..end]).is_err(), "cut at {end}");
        }
    }
    let cut = &LINES[..LINES.len() - 20];
    assert!(parse(cut).is_err());
}

#[test]
fn what_is_no_report_of_nuclei_is_refused() {
    for text in [
        "<x/>",
        "nothing",
        "{}",
        "[{}]",
        "{} {\"info\": {\"name\": \"x\"}}",
    ] {
        assert!(parse(text).is_err(), "{text} was read");
    }
}
