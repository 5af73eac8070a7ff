//! # Qualys Scan
//!
//! [Qualys VM](https://www.qualys.com/) scans hosts for known vulnerabilities. This reads the reports
//! it makes of them; for the raw results of one scan in XML see *Qualys Infrastructure Scan*, for the
//! lists of VMDR see *Qualys VMDR*.
//!
//! ## Getting a report
//!
//! - *VM/VMDR > Reports > New > Scan Report > Template Based*, format XML or CSV. The template needs
//!   the vulnerability details *Threat*, *Impact*, *Solution* and *Results*, and CVSS version 3.
//! - By the API: `/api/2.0/fo/report/?action=launch` with such a template, then `action=fetch`.
//! - Qualys PCI: the monthly list of vulnerabilities, as CSV.
//!
//! The XML is an `ASSET_DATA_REPORT`, described by `asset_data_report.dtd` in Qualys's [XML/DTD
//! reference](https://cdn2.qualys.com/docs/qualys-api-vmpc-xml-dtd-reference.pdf), the terms of both
//! formats in the [glossary](https://docs.qualys.com/en/vm/latest/knowledgebase/glossary.htm).
//!
//! ## What becomes of it
//!
//! XML: every vulnerability of every host is a finding, with the texts of the glossary. CSV: the rows
//! of one QID are one finding with all their hosts. Lines above the header are left out.
//!
//! | XML | CSV | finding |
//! |---|---|---|
//! | `QID`, `TITLE` | `QID`, `Title` or `VULN TITLE` | title, `QID-105971 \| ...` |
//! | `CVSS3_FINAL`, else `CVSS_FINAL`, else `CVSS3_BASE`, by its rating; else `SEVERITY` | `Severity` 5 to 1; PCI: by name | Critical to Info |
//! | the same score; the vector only of the `CVSS3` ones | `CVSS3`, `CVSS3 Base`, `CVSS3 Temporal`, or `CVSS3.1` and so on | CVSS v3 |
//! | `THREAT`, category, port, `RESULT`, when and how often found | `Threat`, `Results` | description |
//! | `IMPACT`, `SOLUTION` | `Impact`, `Solution` | impact, mitigation |
//! | links of CVEs, vendor and Bugtraq references | `Vendor Reference`, `Bugtraq ID` | references |
//! | | `CVE ID` or `CVEID` | vulnerability ids |
//! | `DNS`, else `IP` | `FQDN`, `DNS`, else `IP` | endpoint |
//! | `LAST_FOUND` | `Last Detected`, `LAST SCAN` | date |
//! | `VULN_STATUS` Fixed, `LAST_FIXED` | `Vuln Status`, `Date Last Fixed` | mitigated; a finding of several rows only if all are |
//! | | `FALSE POSITIVE STATUS` Approved | false positive |
//!
//! Records of *information gathered* (type `Ig`) have neither a status nor a flaw to mend: they are Info
//! and come in closed, unless the report calls them active.
//!
//! Findings are recognised again by title, severity and endpoints.

mod asset;
mod fields;
mod glossary;
mod table;
#[cfg(test)]
mod tests;

use super::qualys_hacker_guardian;
use crate::kit::xml;
use crate::{Algorithm, Dedupe, Format, HashField, Refusal, Report, Scanner, Sink, Sniff};

/// The reports of Qualys VM and PCI.
pub static SCANNERS: &[Scanner] = &[Scanner {
    scan_type: "Qualys Scan",
    formats: &[
        Format {
            name: "XML",
            extensions: &["xml"],
        },
        Format {
            name: "CSV",
            extensions: &["csv"],
        },
    ],
    dedupe: Dedupe {
        algorithm: Algorithm::HashCode,
        fields: &[HashField::Title, HashField::Severity, HashField::Endpoints],
        allows_null_cwe: true,
    },
    sarif_drivers: &[],
    detect,
    read,
}];

fn detect(sniff: &Sniff<'_>) -> bool {
    if let Some(root) = xml::root_of(sniff) {
        return root.name() == asset::ROOT;
    }
    table::is_own(sniff) && !qualys_hacker_guardian::is_own(sniff)
}

fn read(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    if xml::is_markup(&report.sniff()) {
        asset::read(report, sink)
    } else {
        table::read(report, sink)
    }
}
