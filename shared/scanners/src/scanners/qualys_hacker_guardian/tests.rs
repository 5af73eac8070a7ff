use crate::{Collected, Refusal, Report, detect, parsed_json};

const CSV: &str = include_str!("fixtures/report.csv");

fn parse(text: &str) -> Result<Collected, Refusal> {
    let mut out = Collected::default();
    super::SCANNERS[0].parse(Report::from_bytes("report", text.as_bytes()), &mut out)?;
    Ok(out)
}

#[test]
fn rows_of_one_qid_are_one_finding() {
    let out = parse(CSV).unwrap();
    assert_eq!(out.warnings, []);
    insta::assert_json_snapshot!(
        "csv",
        parsed_json("Qualys Hacker Guardian Scan", &out).unwrap()
    );
}

#[test]
fn it_is_told_from_the_report_of_qualys_pci() {
    let header = CSV.lines().next().unwrap();
    let unquoted = CSV.replace('"', "");
    let marked = format!("\u{FEFF}{header}\n");
    for text in [CSV, &CSV[..700], header, &unquoted, &marked] {
        let found = detect(&Report::from_bytes("report", text.as_bytes()));
        assert_eq!(
            found.unwrap().scan_type,
            "Qualys Hacker Guardian Scan",
            "{text}"
        );
    }
    let words = CSV.replace("\"M\"", "\"Medium\"");
    for text in [&words, header.replace('"', "").as_str()] {
        let found = detect(&Report::from_bytes("report", text.as_bytes()));
        assert_eq!(found.unwrap().scan_type, "Qualys Scan");
    }
}

#[test]
fn a_broken_row_is_a_warning_and_the_others_stay() {
    for (from, to, findings) in [
        ("\"9.8\",\"5\"", "\"9.8\",\"9\"", 2),
        ("\"Old Server\"", "\"\"", 2),
        ("\"900011\"", "\"\"", 2),
        // Only the endpoint is lost.
        ("\"H\",\"0\"", "\"H\",\"http\"", 3),
    ] {
        let out = parse(&CSV.replacen(from, to, 1)).unwrap();
        assert_eq!(out.findings.len(), findings, "{to}");
        assert_eq!(out.warnings.len(), 1, "{to}");
        assert_eq!(out.warnings[0].record, "row 4");
    }
}

#[test]
fn a_report_without_rows_is_empty_and_other_shapes_are_refused() {
    let out = parse(CSV.lines().next().unwrap()).unwrap();
    assert_eq!((out.findings.len(), out.warnings), (0, vec![]));
    for text in [
        "",
        "a,b\n1,2\n",
        "<SCAN/>",
        &CSV[..200],
        &CSV[..CSV.len() - 14],
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
}
