//! The CSV exports. Each product has column names of its own.

use std::fmt::Write as _;

use tatami_domain::{ReportFinding, Severity};

use super::fields;
use crate::kit::csv::{Header, Row, Rows};
use crate::kit::merged::Merged;
use crate::kit::{cvss, text};
use crate::{Refusal, Report, Sink};

type Column = &'static [&'static str];

const PLUGIN: Column = &[
    "Plugin ID",
    "Plugin",
    "definition.id",
    "Plugin Name",
    "definition.name",
];
const NAME: Column = &["Name", "Plugin Name", "definition.name"];
const RISK: Column = &["Risk"];
const SEVERITY: Column = &["Severity", "definition.severity"];
const HOST: Column = &["Host", "asset.host_name", "asset.name"];
const DNS_NAME: Column = &[
    "Host",
    "asset.host_name",
    "DNS Name",
    "asset.fqdn",
    "asset.display_fqdn",
    "asset.fqdns",
    "asset.name",
    "FQDN",
    "URL",
];
const ADDRESS: Column = &[
    "IP Address",
    "asset.display_ipv4_address",
    "asset.ipv4_addresses",
    "asset.ip_addresses",
];
const PORT: Column = &["Port"];
const PROTOCOL: Column = &["Protocol"];
const SYNOPSIS: Column = &["Synopsis", "definition.synopsis"];
const DESCRIPTION: Column = &["Description", "definition.description"];
const SOLUTION: Column = &["Solution", "Steps to Remediate", "definition.solution"];
const SEE_ALSO: Column = &["See Also", "definition.see_also"];
const OUTPUT: Column = &["Plugin Output", "output"];
const CVE: Column = &["CVE", "definition.cve"];
const CPE: Column = &["CPE", "definition.cpe"];
const V3_VECTOR: Column = &["CVSS V3 Vector", "definition.cvss3.base_vector"];
const V3_SCORE: Column = &[
    "CVSS v3.0 Base Score",
    "CVSS V3 Base Score",
    "CVSS3 Base Score",
    "definition.cvss3.base_score",
];
const V4_VECTOR: Column = &[
    "CVSS V4 Vector",
    "CVSS4 Vector",
    "definition.cvss4.base_vector",
];
const V4_SCORE: Column = &[
    "CVSS v4.0 Base Score",
    "CVSS V4 Base Score",
    "CVSS4 Base Score",
    "definition.cvss4.base_score",
];
const CWE: Column = &["CWE", "definition.cwe"];
const STATE: Column = &["Vulnerability State", "state"];
const PUBLISHED: Column = &[
    "Vuln Publication Date",
    "Vulnerability Publication Date",
    "definition.vulnerability_published",
];
const EPSS: Column = &["EPSS Score", "definition.epss.score"];

/// What is told of a finding beside its texts, and under which label.
const RATINGS: &[(&str, Column)] = &[
    ("Severity", &["Risk", "Severity"]),
    (
        "VPR score",
        &[
            "VPR Score",
            "Vulnerability Priority Rating",
            "Vulnerability Priority Rating (VPR)",
            "definition.vpr.score",
        ],
    ),
    ("EPSS Score", EPSS),
    ("Risk Factor", &["Risk Factor"]),
    ("STIG Severity", &["STIG Severity"]),
    ("CVSS v4.0 Base Score", V4_SCORE),
    (
        "CVSS v4.0 Base+Threat Score",
        &["CVSS v4.0 Base+Threat Score"],
    ),
    ("CVSS v3.0 Base Score", V3_SCORE),
    (
        "CVSS v3.0 Temporal Score",
        &[
            "CVSS v3.0 Temporal Score",
            "CVSS V3 Temporal Score",
            "CVSS3 Temporal Score",
        ],
    ),
    ("CVSS v3.0 Vector", &["CVSS3 Vector"]),
    ("Exploit available", &["Exploit Available", "Exploit?"]),
    ("Metasploit", &["Metasploit"]),
    ("Core Impact", &["Core Impact"]),
    ("CANVAS", &["CANVAS"]),
    ("XREF", &["XREF", "Cross References"]),
];

const PLUGIN_FACTS: &[(&str, Column)] = &[
    (
        "Tenable Plugin ID",
        &["Plugin", "Plugin ID", "definition.id"],
    ),
    (
        "Plugin Publication Date",
        &["Plugin Publication Date", "definition.plugin_published"],
    ),
    (
        "Plugin Modification Date",
        &["Plugin Modification Date", "definition.plugin_updated"],
    ),
];

/// The column sets of Nessus and Tenable.io, of Security Center and of the findings export.
pub fn is_header(header: &Header) -> bool {
    let center = header.has_all(&["Plugin Name", "Severity"])
        && header.has(&["Plugin", "Plugin ID"])
        && header.has(&["IP Address", "DNS Name", "NetBIOS Name"]);
    header.has_all(&["Plugin ID", "Risk", "Name"])
        || center
        || header.has(&["definition.name"]) && header.has(&["severity", "definition.severity"])
}

pub fn read(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let mut rows = Rows::open(report)?;
    rows.require(&[PLUGIN, NAME, &["Risk", "Severity", "definition.severity"]])?;
    let mut findings = Merged::default();
    while let Some(row) = rows.next_row(sink)? {
        if let Err(message) = add(row, &mut findings) {
            sink.warning(row.warning(message));
        }
    }
    findings.hand_over(sink)?;
    Ok(())
}

/// What makes rows one finding: name, severity, host, port and synopsis.
type Key = (String, Severity, String, String, String);

fn add(row: Row<'_>, findings: &mut Merged<Key>) -> Result<(), String> {
    let Some(title) = row.get(NAME) else {
        return Err("the row has no plugin name".into());
    };
    let stated = row.get(RISK).or(row.get(SEVERITY)).unwrap_or("Info");
    let Some(severity) = fields::severity(stated) else {
        return Err(format!("\"{stated}\" is not a severity"));
    };
    let own = |column: Column| row.raw(column).unwrap_or_default().to_owned();
    let key = (
        title.to_owned(),
        severity,
        own(HOST),
        own(PORT),
        own(SYNOPSIS),
    );
    let finding = findings.entry(key, || make(row, title, severity));
    if let Some(output) = row.raw(OUTPUT).filter(|o| !o.is_empty()) {
        text::join(&mut finding.description, &format!("\n\n{output}"));
    }
    for cve in cves(row.get(CVE).unwrap_or_default()) {
        fields::add_vulnerability_id(finding, cve);
    }
    let host = row.get(DNS_NAME).or(row.get(ADDRESS)).unwrap_or_default();
    let (port, protocol) = (row.get(PORT), row.get(PROTOCOL));
    let endpoint = fields::endpoint(host, port.unwrap_or_default(), protocol.unwrap_or_default());
    finding.endpoints.push(endpoint.map_err(|e| e.to_string())?);
    Ok(())
}

fn make(row: Row<'_>, title: &str, severity: Severity) -> ReportFinding {
    let own = |column: Column| row.raw(column).filter(|t| !t.is_empty()).map(str::to_owned);
    let (component_name, component_version) = component(row.get(CPE).unwrap_or_default());
    let vector = row.get(V3_VECTOR).and_then(fields::cvss_v3);
    let score = |column| -> Option<f64> {
        let score = row.get(column)?.parse().ok();
        // A spreadsheet may have cost the score its decimal separator.
        score.filter(|s| (0.0..=10.0).contains(s))
    };
    let v4 = row.get(V4_VECTOR).and_then(cvss::v4);
    let fixed = row
        .get(STATE)
        .is_some_and(|state| state.eq_ignore_ascii_case("fixed"));
    let cwes = row.get(CWE).unwrap_or_default().split([',', ';', '\n']);
    let mut cwes = cwes.filter_map(fields::cwe_number);
    ReportFinding {
        title: title.to_owned(),
        severity,
        description: row.raw(SYNOPSIS).unwrap_or("N/A").to_owned(),
        mitigation: own(SOLUTION),
        impact: own(DESCRIPTION),
        references: references(row),
        steps_to_reproduce: own(&["Plugin Text"]),
        severity_justification: Some(ratings(row)),
        cwe: cwes.next().unwrap_or(0),
        extra_cwes: cwes.collect(),
        cvssv3_score: score(V3_SCORE).or(vector.as_ref().map(|v| v.score)),
        cvssv3: vector.map(|v| v.vector),
        cvssv4_score: score(V4_SCORE).or(v4.as_ref().map(|v| v.score)),
        cvssv4: v4.map(|v| v.vector),
        publish_date: row.get(PUBLISHED).and_then(text::date),
        active: fixed.then_some(false),
        is_mitigated: fixed.then_some(true),
        epss_score: row.get(EPSS).and_then(epss),
        component_name,
        component_version,
        dynamic_finding: true,
        ..ReportFinding::default()
    }
}

fn references(row: Row<'_>) -> Option<String> {
    let links = row.get(SEE_ALSO).unwrap_or_default();
    let facts = labelled(row, PLUGIN_FACTS).unwrap_or_default();
    let references = format!("{links}\n{facts}");
    Some(references.trim().to_owned()).filter(|r| !r.is_empty())
}

/// The ratings that the row has, and which it lacks.
fn ratings(row: Row<'_>) -> String {
    let mut ratings = labelled(row, RATINGS).unwrap_or_default();
    let lacking = RATINGS
        .iter()
        .filter(|(_, column)| row.get(column).is_none());
    let lacking: Vec<&str> = lacking.map(|(label, _)| *label).collect();
    if !lacking.is_empty() {
        let _ = writeln!(ratings, "Not stated: {}", lacking.join(", "));
    }
    ratings
}

/// The values that the row has, a line each.
fn labelled(row: Row<'_>, facts: &[(&str, Column)]) -> Option<String> {
    let mut lines = String::new();
    for (label, column) in facts {
        if let Some(value) = row.get(column).filter(|v| *v != "null") {
            // Writing to a string doesn't fail.
            let _ = writeln!(lines, "{label}: {value}");
        }
    }
    (!lines.is_empty()).then_some(lines)
}

/// EPSS is written with four decimals. A spreadsheet with another decimal separator turns 0.3833
/// into 3833.
fn epss(text: &str) -> Option<f64> {
    let score: f64 = text.parse().ok()?;
    match score {
        s if (0.0..=1.0).contains(&s) => Some(s),
        s if s > 1.0 && s <= 10_000.0 && s.fract() == 0.0 => Some(s / 10_000.0),
        _ => None,
    }
}

/// Every `CVE-2024-1234` in a text.
fn cves(text: &str) -> impl Iterator<Item = &str> {
    let separator = |c: char| !c.is_ascii_alphanumeric() && c != '-';
    text.split(separator).filter(|word| {
        let mut parts = word.split('-');
        let is_number = |part: Option<&str>| {
            part.is_some_and(|p| p.len() >= 4 && p.bytes().all(|b| b.is_ascii_digit()))
        };
        parts.next().is_some_and(|p| p.eq_ignore_ascii_case("CVE"))
            && is_number(parts.next())
            && is_number(parts.next())
            && parts.next().is_none()
    })
}

/// Product and version of the first CPE, such as `cpe:/a:openbsd:openssh:9.8`.
fn component(text: &str) -> (Option<String>, Option<String>) {
    let Some(at) = text.find("cpe:") else {
        return (None, None);
    };
    let name = text[at..]
        .split([' ', '\n', '\r', ','])
        .next()
        .unwrap_or_default();
    let name = name.strip_prefix("cpe:2.3:").or(name.strip_prefix("cpe:/"));
    let mut parts = name.unwrap_or_default().split(':').skip(2);
    let mut part = || {
        let part = parts.next().filter(|p| !matches!(*p, "" | "*" | "-"))?;
        Some(part.replace('\\', ""))
    };
    (part(), part())
}
