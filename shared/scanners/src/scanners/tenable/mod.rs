//! # Tenable Scan
//!
//! [Tenable](https://www.tenable.com/)'s scanners look at hosts and web applications: Nessus,
//! Tenable Vulnerability Management (Tenable.io), Tenable Security Center and Tenable Web App
//! Scanning.
//!
//! ## Getting a report
//!
//! - Nessus: open the scan, *Export > Nessus* (`.nessus`), or *Report > CSV* with at least the columns
//!   Plugin ID, Risk, Host, Port, Protocol, Name, Synopsis, Description, Solution and Plugin Output.
//! - Tenable Vulnerability Management and Web App Scanning: *Scans > (scan) > Export*, Nessus or CSV;
//!   or *Findings > Export > CSV*.
//! - Tenable Security Center: *Analysis > Vulnerability Detail List > Options > Export as CSV*.
//!
//! The XML is described in [Nessus file
//! format](https://docs.tenable.com/quick-reference/nessus-file-format/Nessus-File-Format.pdf), the
//! CSV columns in the [documentation of the
//! exports](https://docs.tenable.com/vulnerability-management/Content/Explore/Findings/ExportFindings.htm).
//!
//! ## What becomes of it
//!
//! XML: the items of all hosts with the same plugin name and severity are one finding. CSV: the rows
//! with the same name, severity, host, port and synopsis are one finding. (A CSV of Security Center has
//! no `Host` column: its rows are joined over all hosts.) Each adds its endpoint and plugin output.
//!
//! | XML | CSV | finding |
//! |---|---|---|
//! | `pluginName`, `plugin_name` | `Name`, `Plugin Name`, `definition.name` | title |
//! | `severity` 4 to 0; with a `cvss3_vector` its rating | `Risk`, else `Severity`, by name or 4 to 0 | Critical to Info |
//! | `synopsis`, `plugin_output` | `Synopsis`, `Plugin Output` | description |
//! | `description`, CVSS values | `Description` | impact |
//! | `solution` | `Solution`, `Steps to Remediate` | mitigation |
//! | `see_also`, `xref`, all of `cve` | `See Also`, plugin id and dates | references |
//! | `cve` (the first) | `CVE` (all of them) | vulnerability ids |
//! | `cwe`, then `CWE:` in `xref` | `CWE` | CWE, further CWEs |
//! | `cvss3_vector`, `cvssv3`, `cvss3_base_score` | `CVSS V3 Vector`, `CVSS v3.0 Base Score` and the like | CVSS v3 |
//! | `cvss4_vector`, `cvss4_base_score` | `CVSS V4 Vector`, `CVSS v4.0 Base Score` and the like | CVSS v4 |
//! | `epss_score` | `EPSS Score` | EPSS |
//! | `vuln_publication_date` | `Vuln Publication Date` | publish date |
//! | | `Vulnerability State`, `state`: `Fixed` | mitigated, inactive |
//! | | `CPE` (the first) | component |
//! | `host-fqdn`, else the host's name, `port`, `svc_name` or `protocol` | `Host`, `DNS Name` or `IP Address`, `Port`, `Protocol` | endpoint |
//!
//! What a compliance plugin has checked is a finding under the name of the check, unless it passed.
//!
//! Findings are recognised again by title, severity, vulnerability ids, CWE and description.

mod fields;
mod nessus;
mod table;
#[cfg(test)]
mod tests;

use crate::kit::{csv, xml};
use crate::{Algorithm, Dedupe, Format, HashField, Refusal, Report, Scanner, Sink, Sniff};

/// Tenable's reports.
pub static SCANNERS: &[Scanner] = &[Scanner {
    scan_type: "Tenable Scan",
    formats: &[
        Format {
            name: "Nessus XML",
            extensions: &["nessus", "xml"],
        },
        Format {
            name: "CSV",
            extensions: &["csv"],
        },
    ],
    dedupe: Dedupe {
        algorithm: Algorithm::HashCode,
        fields: &[
            HashField::Title,
            HashField::Severity,
            HashField::VulnerabilityIds,
            HashField::Cwe,
            HashField::Description,
        ],
        allows_null_cwe: true,
    },
    sarif_drivers: &[],
    detect,
    read,
}];

fn detect(sniff: &Sniff<'_>) -> bool {
    if let Some(root) = xml::root_of(sniff) {
        return root.name() == nessus::ROOT;
    }
    csv::header_of(sniff).is_some_and(table::is_header)
}

fn read(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    if xml::is_markup(&report.sniff()) {
        nessus::read(report, sink)
    } else {
        table::read(report, sink)
    }
}
