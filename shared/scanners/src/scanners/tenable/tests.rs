use crate::{Collected, Refusal, Report, detect, parsed_json};

const XML: &str = include_str!("fixtures/scan.nessus");
const NESSUS: &str = include_str!("fixtures/nessus.csv");
const CENTER: &str = include_str!("fixtures/security-center.csv");
const FINDINGS: &str = include_str!("fixtures/findings.csv");

fn parse(text: &str) -> Result<Collected, Refusal> {
    let mut out = Collected::default();
    super::SCANNERS[0].parse(Report::from_bytes("report", text.as_bytes()), &mut out)?;
    Ok(out)
}

fn snapshot(name: &str, text: &str) {
    let out = parse(text).unwrap();
    assert_eq!(out.warnings, []);
    insta::assert_json_snapshot!(name, parsed_json("Tenable Scan", &out).unwrap());
}

#[test]
fn items_of_one_plugin_and_severity_are_one_finding() {
    snapshot("nessus_xml", XML);
}

#[test]
fn each_product_s_csv_is_understood() {
    snapshot("nessus_csv", NESSUS);
    snapshot("security_center_csv", CENTER);
    snapshot("findings_csv", FINDINGS);
}

#[test]
fn the_delimiter_and_encoding_do_not_matter() {
    let expected = parse(FINDINGS).unwrap().findings;
    let wide: Vec<u8> = FINDINGS.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let semicolons = FINDINGS.replace(',', ";");
    for bytes in [semicolons.as_bytes(), &[&[0xFF, 0xFE], &wide[..]].concat()] {
        let mut out = Collected::default();
        let report = Report::from_bytes("report", bytes);
        assert_eq!(detect(&report).unwrap().scan_type, "Tenable Scan");
        super::SCANNERS[0].parse(report, &mut out).unwrap();
        assert_eq!(out.findings, expected);
    }
}

#[test]
fn its_reports_are_detected_even_from_a_cut_off_head() {
    for text in [XML, NESSUS, CENTER, FINDINGS, &XML[..100], &NESSUS[..300]] {
        let report = Report::from_bytes("report", text.as_bytes());
        assert_eq!(detect(&report).unwrap().scan_type, "Tenable Scan");
    }
}

#[test]
fn an_empty_report_has_no_findings() {
    let header = NESSUS.lines().next().unwrap();
    for text in [
        header,
        "<NessusClientData_v2><Report/></NessusClientData_v2>",
    ] {
        let out = parse(text).unwrap();
        assert_eq!((out.findings, out.warnings), (vec![], vec![]), "{text}");
    }
}

#[test]
fn a_broken_record_is_a_warning_and_the_others_stay() {
    let out = parse(&XML.replacen("severity=\"0\"", "severity=\"x\"", 1)).unwrap();
    assert_eq!(out.findings.len(), 3);
    assert_eq!(out.warnings[0].record, "host web1.example.test, item 2");

    let out = parse(&NESSUS.replacen(",None,192", ",Odd,192", 1)).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (1, 1));
    assert_eq!(out.warnings[0].record, "row 4");

    // A port that isn't a number costs the endpoint, not the finding.
    let out = parse(&NESSUS.replacen("udp,0", "udp,domain", 1)).unwrap();
    assert_eq!((out.findings.len(), out.warnings.len()), (2, 1));
}

#[test]
fn what_is_no_tenable_report_is_refused() {
    for (text, says) in [
        ("", "empty"),
        ("<NessusClientData/>", "<NessusClientData>"),
        ("Name,Severity,File\na,High,b\n", "Plugin ID"),
        ("{\"findings\": []}", "lacks the columns"),
        ("<!DOCTYPE a><NessusClientData_v2/>", "DOCTYPE"),
        ("\u{0}\u{1}\u{2}", ""),
    ] {
        let refusal = parse(text).unwrap_err();
        assert!(refusal.to_string().contains(says), "{refusal}");
    }
}

#[test]
fn a_report_that_was_cut_off_is_refused_or_warned_of() {
    let xml = XML.trim_end();
    for end in (0..xml.len()).step_by(7) {
        assert!(parse(&xml[..end]).is_err(), "cut at {end}");
    }
    for text in [NESSUS, CENTER, FINDINGS] {
        for end in 0..text.len() {
            let _ = parse(&text[..end]);
        }
    }
    let cut = NESSUS.find("It should not").unwrap();
    let refusal = parse(&NESSUS[..cut]).unwrap_err();
    assert!(refusal.to_string().contains("cut off"), "{refusal}");
}

/// An XML report of one host with these properties and items.
fn host(properties: &str, items: &str) -> Collected {
    let text = format!(
        "<NessusClientData_v2><Report xmlns:cm=\"http://www.nessus.org/cm\"><ReportHost name=\"192.0.2.1\">\
         <HostProperties>{properties}</HostProperties>{items}</ReportHost></Report></NessusClientData_v2>"
    );
    let out = parse(&text).unwrap();
    assert_eq!(out.warnings, []);
    out
}

#[test]
fn a_host_goes_by_its_name_in_the_dns() {
    let item =
        r#"<ReportItem port="443" svc_name="www" protocol="tcp" severity="1" pluginName="P"/>"#;
    let named = host(r#"<tag name="host-fqdn">web.example.test</tag>"#, item);
    assert_eq!(named.findings[0].endpoints[0].host, "web.example.test");
    assert_eq!(host("", item).findings[0].endpoints[0].host, "192.0.2.1");
}

#[test]
fn newer_ratings_are_read() {
    let vector = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:N/VA:N/SC:N/SI:N/SA:N";
    let out = host(
        "",
        &format!(
            "<ReportItem port=\"0\" protocol=\"tcp\" pluginName=\"P\"><risk_factor>High</risk_factor>\
         <cvss4_base_score>8.7</cvss4_base_score><cvss4_vector>{vector}</cvss4_vector>\
         <epss_score>0.25</epss_score><vuln_publication_date>2030/01/02</vuln_publication_date></ReportItem>"
        ),
    );
    let csv = format!(
        "Plugin ID,Name,Risk,Host,CVSS4 Vector,CVSS v4.0 Base Score,EPSS Score,Vuln Publication Date\n\
         1,P,High,192.0.2.1,{vector},8.7,0.25,2030/01/02\n"
    );
    for finding in [&out.findings[0], &parse(&csv).unwrap().findings[0]] {
        assert_eq!(finding.severity, tatami_domain::Severity::High);
        assert_eq!(finding.cvssv4.as_deref(), Some(vector));
        assert_eq!(
            (finding.cvssv4_score, finding.epss_score),
            (Some(8.7), Some(0.25))
        );
        assert_eq!(finding.publish_date, crate::kit::text::date("2030-01-02"));
    }
}

#[test]
fn checks_of_one_compliance_plugin_stay_apart() {
    let check = |name: &str, result: &str| {
        format!(
            "<ReportItem port=\"0\" protocol=\"tcp\" severity=\"3\" pluginName=\"Unix Compliance Checks\">\
         <cm:compliance-check-name>{name}</cm:compliance-check-name>\
         <cm:compliance-result>{result}</cm:compliance-result>\
         <cm:compliance-actual-value>0644</cm:compliance-actual-value>\
         <cm:compliance-solution>Set 0600</cm:compliance-solution></ReportItem>"
        )
    };
    let items = [
        check("1.1 a", "FAILED"),
        check("1.2 b", "PASSED"),
        check("1.3 c", "WARNING"),
    ];
    let out = host("", &items.concat());
    let titles: Vec<_> = out.findings.iter().map(|f| &*f.title).collect();
    assert_eq!(titles, ["1.1 a", "1.3 c"]);
    assert_eq!(out.findings[0].mitigation.as_deref(), Some("Set 0600"));
    assert!(out.findings[0].description.contains("0644"));
}

#[test]
fn rows_say_whether_they_are_fixed_and_where_they_were_found() {
    let text = "definition.name,definition.severity,state,asset.fqdns,port,definition.cwe\n\
                A,CRITICAL,FIXED,\"a.example.test, b.example.test\",443.0,\"CWE-79,89\"\n\
                B,LOW,ACTIVE,https://a.example.test/x,,\n";
    let report = Report::from_bytes("x", text.as_bytes());
    assert_eq!(detect(&report).unwrap().scan_type, "Tenable Scan");
    let out = parse(text).unwrap();
    assert_eq!(out.warnings, []);
    let [fixed, open] = &out.findings[..] else {
        panic!("{out:?}")
    };
    assert_eq!(
        (fixed.active, fixed.is_mitigated),
        (Some(false), Some(true))
    );
    assert_eq!((fixed.cwe, &fixed.extra_cwes[..]), (79, &[89][..]));
    assert_eq!(fixed.endpoints[0].to_string(), "a.example.test:443");
    assert_eq!((open.active, open.is_mitigated), (None, None));
    assert_eq!(open.endpoints[0].to_string(), "https://a.example.test/x");
}
