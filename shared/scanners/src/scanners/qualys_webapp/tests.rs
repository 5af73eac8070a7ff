use crate::{Collected, Refusal, Report, detect, parsed_json};

const SCAN: &str = include_str!("fixtures/scan.xml");
const WEBAPP: &str = include_str!("fixtures/webapp.xml");

fn parse(text: &str) -> Result<Collected, Refusal> {
    let mut out = Collected::default();
    super::SCANNERS[0].parse(Report::from_bytes("report", text.as_bytes()), &mut out)?;
    Ok(out)
}

#[test]
fn detections_of_one_qid_are_one_finding() {
    for (name, text) in [("scan", SCAN), ("webapp", WEBAPP)] {
        let out = parse(text).unwrap();
        assert_eq!(out.warnings, []);
        insta::assert_json_snapshot!(name, parsed_json("Qualys Webapp Scan", &out).unwrap());
    }
}

#[test]
fn its_reports_are_detected_even_from_a_cut_off_head() {
    for text in [SCAN, WEBAPP, &SCAN[..70], &WEBAPP[..70]] {
        let report = Report::from_bytes("report", text.as_bytes());
        assert_eq!(detect(&report).unwrap().scan_type, "Qualys Webapp Scan");
    }
}

#[test]
fn a_flaw_is_closed_when_all_its_detections_are() {
    let states = |text: &str| {
        let finding = parse(text).unwrap().findings.remove(0);
        (finding.active, finding.is_mitigated)
    };
    assert_eq!(states(SCAN), (Some(true), Some(false)));
    let ignored = SCAN.replacen("<IGNORED>false", "<IGNORED>true", 1);
    assert_eq!(states(&ignored), (Some(false), Some(false)));
    assert_eq!(states(WEBAPP), (Some(false), Some(true)));
    assert_eq!(
        states(&WEBAPP.replacen("FIXED", "NEW", 1)),
        (Some(true), Some(false))
    );
}

#[test]
fn many_places_are_named_one_by_one_up_to_a_number() {
    let start = SCAN.find("            <VULNERABILITY>\n").unwrap();
    let end = SCAN.find("        </VULNERABILITY_LIST>").unwrap();
    let one = "<VULNERABILITY><QID>150003</QID><URL>https://a.test/</URL></VULNERABILITY>";
    let many = [&SCAN[..start], &one.repeat(25), &SCAN[end..]].concat();
    let finding = parse(&many).unwrap().findings.remove(0);
    let steps = finding.steps_to_reproduce.unwrap();
    assert_eq!(steps.lines().count(), 21);
    assert!(steps.ends_with("and at more places\n"), "{steps}");
    assert_eq!(finding.endpoints.len(), 1);
}

#[test]
fn a_broken_record_is_a_warning_and_the_others_stay() {
    let out = parse(&WEBAPP.replacen("<QID>150085</QID>", "", 1)).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (3, 1));
    let record = &out.warnings[0].record;
    assert!(record.starts_with("VULNERABILITY at line 34"), "{record}");

    let out = parse(&SCAN.replacen("shop.example.test/cards", "shop.example.test:x/", 1)).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (3, 1));

    for (from, to) in [
        ("<TITLE>SQL Injection</TITLE>", ""),
        ("<SEVERITY>5</SEVERITY>", "<SEVERITY>9</SEVERITY>"),
        ("<CATEGORY>Confirmed", "<QID>1</QID><CATEGORY>Confirmed"),
    ] {
        let out = parse(&SCAN.replacen(from, to, 1)).unwrap();
        assert_eq!((out.findings.len(), out.warnings.len()), (2, 1), "{to}");
        assert_eq!(out.warnings[0].record, "QID 150003");
    }
}

#[test]
fn what_says_base64_and_is_none_stays() {
    let out = parse(&SCAN.replacen("aHR0cHM6", "not base64!", 1)).unwrap();
    assert!(out.findings[2].description.contains("not base64!"));
}

#[test]
fn a_report_without_detections_is_empty_and_other_shapes_are_refused() {
    for text in [
        "<WAS_SCAN_REPORT><HEADER/></WAS_SCAN_REPORT>",
        "<WAS_WEBAPP_REPORT><RESULTS><WEB_APPLICATION/></RESULTS></WAS_WEBAPP_REPORT>",
    ] {
        let out = parse(text).unwrap();
        assert_eq!((out.findings.len(), out.warnings), (0, vec![]), "{text}");
    }
    for (text, says) in [
        ("", "empty"),
        ("<WAS_SCAN_REPORT/>", "neither"),
        ("<SCAN/>", "<SCAN>"),
        ("a,b", "not XML"),
    ] {
        let refusal = parse(text).unwrap_err().to_string();
        assert!(refusal.contains(says), "{text}: {refusal}");
    }
}

#[test]
fn a_report_that_was_cut_off_is_refused_wherever_the_cut_is() {
    for text in [SCAN, WEBAPP].map(str::trim_end) {
        for end in (0..text.len()).step_by(13) {
            assert!(parse(&text[..end]).is_err(), "cut at {end}");
        }
    }
}
