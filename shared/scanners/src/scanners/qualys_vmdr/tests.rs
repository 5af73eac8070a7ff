use crate::{Collected, Refusal, Report, detect, parsed_json};

const QID: &str = include_str!("fixtures/qid.csv");
const CVE: &str = include_str!("fixtures/cve.csv");
const WRAPPED: &str = include_str!("fixtures/wrapped.csv");

fn parse(text: &str) -> Result<Collected, Refusal> {
    let mut out = Collected::default();
    super::SCANNERS[0].parse(Report::from_bytes("report", text.as_bytes()), &mut out)?;
    Ok(out)
}

#[test]
fn each_row_is_a_finding() {
    for (name, text) in [("qid", QID), ("cve", CVE), ("wrapped", WRAPPED)] {
        let out = parse(text).unwrap();
        assert_eq!(out.warnings, []);
        insta::assert_json_snapshot!(name, parsed_json("Qualys VMDR", &out).unwrap());
    }
}

#[test]
fn lines_above_the_header_may_stay_or_go() {
    let lines: Vec<&str> = QID.lines().skip(3).collect();
    let findings = parse(&lines.join("\n")).unwrap().findings;
    assert_eq!(findings, parse(QID).unwrap().findings);
}

#[test]
fn only_what_is_fixed_or_ignored_is_closed() {
    for (status, active) in [
        ("NEW", true),
        ("ACTIVE", true),
        ("", true),
        ("fixed", false),
    ] {
        let out = parse(&QID.replace("REOPENED", status)).unwrap();
        assert_eq!(out.findings[0].active, Some(active), "{status}");
    }
}

#[test]
fn its_reports_are_detected_even_from_a_cut_off_head() {
    for text in [QID, CVE, WRAPPED, &QID[..700], &CVE[..500]] {
        let report = Report::from_bytes("report", text.as_bytes());
        assert_eq!(detect(&report).unwrap().scan_type, "Qualys VMDR");
    }
}

#[test]
fn a_broken_row_is_a_warning_and_the_others_stay() {
    for (from, to) in [
        (
            "\"Product at Its End\",\"5\"",
            "\"Product at Its End\",\"9\"",
        ),
        ("\"Product at Its End\"", "\"'-\""),
        (
            "\"900003\",\"Product at Its End\",\"5\",\"5\",\"Confirmed\"",
            "\"900003\"",
        ),
    ] {
        let out = parse(&QID.replacen(from, to, 1)).unwrap();
        let titles: Vec<_> = out.findings.iter().map(|f| f.title.as_str()).collect();
        assert_eq!(titles, ["Weak Cipher Offered", "Debug Page Found"]);
        assert_eq!(out.warnings.len(), 1);
        assert_eq!(out.warnings[0].record, "row 6");
    }
}

#[test]
fn a_list_without_rows_is_empty_and_other_shapes_are_refused() {
    let lines: Vec<&str> = QID.lines().take(4).collect();
    let out = parse(&lines.join("\n")).unwrap();
    assert_eq!((out.findings.len(), out.warnings), (0, vec![]));
    let preamble = lines[..3].join("\n");
    for text in [
        "",
        "a,b\n1,2\n",
        "<SCAN/>",
        "{}",
        &preamble,
        &QID[..QID.len() - 12],
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
}
