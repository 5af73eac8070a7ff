use std::io::{Cursor, Read as _, Write as _};

use tatami_domain::Severity;
use zip::ZipArchive;
use zip::write::{SimpleFileOptions, ZipWriter};

use crate::{Collected, Refusal, Report, detect, parsed_json};

const FPR: &[u8] = include_bytes!("fixtures/results.fpr");
const XML: &str = include_str!("fixtures/report.xml");
const WEBINSPECT: &str = include_str!("fixtures/webinspect.xml");

const OLD: usize = 0;
const NEW: usize = 1;

fn parse_as(version: usize, report: &[u8]) -> Result<Collected, Refusal> {
    let mut out = Collected::default();
    super::SCANNERS[version].parse(Report::from_bytes("report", report), &mut out)?;
    Ok(out)
}

fn parse(report: &[u8]) -> Result<Collected, Refusal> {
    parse_as(NEW, report)
}

fn member(name: &str) -> String {
    let mut text = String::new();
    let mut zip = ZipArchive::new(Cursor::new(FPR)).unwrap();
    zip.by_name(name)
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    text
}

fn zip(members: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in members {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The fixture with another analysis.
fn fpr(fvdl: &str) -> Vec<u8> {
    zip(&[("audit.fvdl", fvdl), ("audit.xml", &member("audit.xml"))])
}

/// The fixture's analysis with one thing changed.
fn changed(from: &str, to: &str) -> String {
    let fvdl = member("audit.fvdl");
    assert!(fvdl.contains(from), "{from} is not in the fixture");
    fvdl.replacen(from, to, 1)
}

#[test]
fn an_fpr_is_read() {
    let out = parse(FPR).unwrap();
    assert_eq!(out.warnings, []);
    insta::assert_json_snapshot!("fpr", parsed_json("Fortify Scan v2", &out).unwrap());
}

#[test]
fn a_report_is_read() {
    let out = parse(XML.as_bytes()).unwrap();
    insta::assert_json_snapshot!("report", parsed_json("Fortify Scan v2", &out).unwrap());
}

#[test]
fn a_scan_of_webinspect_is_read() {
    let out = parse(WEBINSPECT.as_bytes()).unwrap();
    assert_eq!(out.warnings, []);
    insta::assert_json_snapshot!("webinspect", parsed_json("Fortify Scan v2", &out).unwrap());
}

#[test]
fn the_older_type_gives_the_line_of_the_snippet() {
    let lines = |version| {
        let findings = parse_as(version, FPR).unwrap().findings;
        findings.into_iter().map(|f| f.line).collect::<Vec<_>>()
    };
    assert_eq!(lines(NEW), [Some(22), Some(41), Some(7)]);
    assert_eq!(lines(OLD), [Some(19), Some(38), Some(7)]);
    let old = parse_as(OLD, XML.as_bytes()).unwrap();
    assert_eq!(old.findings, parse(XML.as_bytes()).unwrap().findings);
}

#[test]
fn only_suppressed_issues_are_no_longer_active() {
    let states = |report: &[u8]| {
        let findings = parse(report).unwrap().findings;
        findings
            .into_iter()
            .map(|f| (f.active, f.false_p))
            .collect::<Vec<_>>()
    };
    let suppressed = (Some(false), Some(true));
    assert_eq!(states(FPR), [(None, None), suppressed, (None, None)]);
    let unaudited = zip(&[("audit.fvdl", &member("audit.fvdl"))]);
    assert_eq!(states(&unaudited), [(None, None); 3]);
    let audit = member("audit.xml").replace("suppressed=\"true\"", "suppressed=\"false\"");
    let open = zip(&[("audit.fvdl", &member("audit.fvdl")), ("audit.xml", &audit)]);
    assert_eq!(states(&open), [(None, None); 3]);
}

#[test]
fn the_priority_is_made_of_impact_and_likelihood() {
    let severity =
        |from: &str, to: &str| parse(&fpr(&changed(from, to))).unwrap().findings[0].severity;
    assert_eq!(severity("Impact\">5.0", "Impact\">2.5"), Severity::Critical);
    assert_eq!(severity("Impact\">5.0", "Impact\">2.4"), Severity::Medium);
    assert_eq!(
        severity("<Confidence>5.0", "<Confidence>3.9"),
        Severity::High
    );
    let own = |impact| {
        let group =
            format!("Confidence><MetaInfo><Group name=\"Impact\">{impact}</Group></MetaInfo>");
        severity("Confidence>\n", &group)
    };
    assert_eq!(own("1.0"), Severity::Medium);
    assert_eq!(severity("Accuracy\">4.0", "Accuracy\">?"), Severity::High);
    let rule = "<Rule id=\"AAAA0001";
    assert_eq!(severity(rule, "<Rule id=\"BBBB"), Severity::High);
}

#[test]
fn a_vulnerability_without_a_type_is_a_warning_and_the_others_stay() {
    let out = parse(&fpr(&changed("<Type>SQL Injection</Type>", ""))).unwrap();
    assert_eq!(out.findings.len(), 2);
    assert_eq!(
        out.warnings[0].record,
        "audit.fvdl, vulnerability 1, line 10"
    );
}

#[test]
fn pools_before_the_vulnerabilities_are_found_too() {
    let fvdl = member("audit.fvdl");
    let (head, rest) = fvdl.split_once("<Vulnerabilities>").unwrap();
    let (list, pools) = rest.split_once("</Vulnerabilities>").unwrap();
    let pools = pools.replace("</FVDL>", "");
    let turned = format!("{head}{pools}<Vulnerabilities>{list}</Vulnerabilities></FVDL>");
    assert_eq!(
        parse(&fpr(&turned)).unwrap().findings,
        parse(FPR).unwrap().findings
    );
}

#[test]
fn endless_snippets_are_cut() {
    let long = format!("{}é", "x".repeat(4095));
    let fvdl = changed("// the password is swordfish", &format!("{long}{long}"));
    let description = &parse(&fpr(&fvdl)).unwrap().findings[1].description;
    assert!(description.contains("x [...]") && description.len() < 5000);
}

#[test]
fn a_broken_issue_is_a_warning_and_the_others_stay() {
    let broken = XML.replacen("<Friority>Low</Friority>", "", 1);
    let broken = broken.replacen("<Folder>Low</Folder>", "<Folder>Mine</Folder>", 1);
    let out = parse(broken.as_bytes()).unwrap();
    assert_eq!(out.findings.len(), 2);
    assert_eq!(out.warnings[0].record, "issue 3, line 98");

    let broken = WEBINSPECT.replacen("<Severity>4<", "<Severity>9<", 1);
    let out = parse(broken.as_bytes()).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (1, 1));
    assert_eq!(out.warnings[0].record, "issue 2, line 7");

    let broken = WEBINSPECT.replacen("<Port>8080<", "<Port>many<", 1);
    let out = parse(broken.as_bytes()).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (2, 1));
}

#[test]
fn a_report_that_lists_only_some_of_its_issues_says_so() {
    let out = parse(XML.as_bytes()).unwrap();
    assert_eq!(out.findings.len(), 3);
    assert!(
        out.warnings[0]
            .message
            .contains("counts 4 issues and lists 3")
    );
    let complete = XML.replacen("count=\"2\"", "count=\"1\"", 1);
    assert_eq!(parse(complete.as_bytes()).unwrap().warnings, []);
}

#[test]
fn reports_without_issues_have_no_findings() {
    let xml = "<ReportDefinition><TemplateName>T</TemplateName><ReportSection><SubSection>\
               <Text>A total of 0.</Text></SubSection></ReportSection></ReportDefinition>";
    let scan = "<Scan><PolicyName>P</PolicyName><Issues/></Scan>";
    let fvdl = "<FVDL><Vulnerabilities/></FVDL>";
    for report in [xml.into(), scan.into(), zip(&[("audit.fvdl", fvdl)])] {
        for version in [OLD, NEW] {
            let out = parse_as(version, &report).unwrap();
            assert_eq!((out.findings.len(), out.warnings.len()), (0, 0));
        }
        let found = detect(&Report::from_bytes("report", &report));
        assert_eq!(found.unwrap().scan_type, "Fortify Scan v2");
    }
    let template = xml.replace('0', "$TOTAL_FINDINGS$");
    let out = parse(template.as_bytes()).unwrap();
    assert!(out.warnings[0].message.contains("template"));
}

#[test]
fn what_is_no_report_of_fortify_is_refused() {
    let empty_xml = "<ReportDefinition><TemplateName/></ReportDefinition>";
    for (report, says) in [
        (Vec::new(), "empty"),
        (b"<report/>".to_vec(), "<report>"),
        (b"{}".to_vec(), "not XML"),
        (empty_xml.into(), "no sections"),
        (b"<Scan><Name/></Scan>".to_vec(), "no <Issues>"),
        (member("audit.fvdl").into(), "alone"),
        (zip(&[("x.xml", "<x/>")]), "no audit.fvdl"),
        (
            zip(&[("webinspect.xml", "<Sessions/>")]),
            "Microfocus Webinspect Scan",
        ),
        (fpr("<other/>"), "audit.fvdl: the root element is <other>"),
        (
            zip(&[("audit.fvdl", "<FVDL/>"), ("audit.xml", "<Audit>")]),
            "audit.xml: the report ends inside",
        ),
    ] {
        let refusal = parse(&report).unwrap_err().to_string();
        assert!(refusal.contains(says), "{refusal}");
    }
}

#[test]
fn its_reports_are_detected_even_from_a_cut_off_head() {
    let heads = [XML.as_bytes(), WEBINSPECT.as_bytes()].map(|report| &report[..300]);
    let fvdl = member("audit.fvdl");
    for report in [FPR, heads[0], heads[1], fvdl.as_bytes()] {
        let found = detect(&Report::from_bytes("report", report));
        assert_eq!(found.unwrap().scan_type, "Fortify Scan v2");
    }
    for other in [
        "<ReportDefinition><Name/></ReportDefinition>",
        "<Scan><Issues/></Scan>",
    ] {
        assert!(detect(&Report::from_bytes("report", other.as_bytes())).is_err());
    }
}

#[test]
fn a_report_that_was_cut_off_is_refused_wherever_the_cut_is() {
    for text in [XML.trim_end(), WEBINSPECT.trim_end()] {
        for end in (0..text.len())
            .step_by(7)
            .filter(|end| text.is_char_boundary(*end))
        {
            assert!(parse(&text.as_bytes()[..end]).is_err(), "cut at {end}");
        }
    }
    let fvdl = member("audit.fvdl");
    let fvdl = fvdl.trim_end();
    for end in (0..fvdl.len())
        .step_by(49)
        .filter(|end| fvdl.is_char_boundary(*end))
    {
        assert!(parse(&fpr(&fvdl[..end])).is_err(), "cut at {end}");
    }
}

#[test]
fn sarif_logs_of_its_exporters_are_its_own() {
    for driver in ["Fortify SCA", "Fortify on Demand", "fortify"] {
        let log = format!(
            r#"{{"version": "2.1.0", "runs": [{{"tool": {{"driver": {{"name": "{driver}"}}}},
                "results": [{{"ruleId": "R", "message": {{"text": "m"}}}}]}}]}}"#
        );
        let found = detect(&Report::from_bytes("report", log.as_bytes()));
        assert_eq!(found.unwrap().scan_type, "Fortify Scan v2");
        assert_eq!(parse(log.as_bytes()).unwrap().findings.len(), 1);
    }
}
