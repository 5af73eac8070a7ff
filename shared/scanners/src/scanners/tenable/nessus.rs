//! The XML export: `NessusClientData_v2 > Report > ReportHost > ReportItem`.

use std::fmt::Write as _;

use tatami_domain::{Endpoint, ReportFinding, Severity};

use super::fields;
use crate::kit::cvss::{self, Scored};
use crate::kit::merged::Merged;
use crate::kit::text;
use crate::kit::xml::Xml;
use crate::{Refusal, Report, Sink, Warning};

pub const ROOT: &str = "NessusClientData_v2";

pub fn read(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let mut xml = Xml::open(report)?;
    xml.expect_root(ROOT)?;
    let mut findings = Merged::default();
    let root = xml.level();
    while xml.next_in(root)? {
        if xml.name() != "Report" {
            continue;
        }
        let scan = xml.level();
        while xml.next_in(scan)? {
            if xml.name() != "ReportHost" {
                continue;
            }
            let mut host = Host {
                name: xml.attr("name").unwrap_or_default(),
                fqdn: None,
            };
            let mut number = 0;
            let level = xml.level();
            while xml.next_in(level)? {
                if xml.name() == "HostProperties" {
                    host.read_properties(&mut xml)?;
                } else if xml.name() == "ReportItem" {
                    number += 1;
                    let item = Item::read(&mut xml)?;
                    if let Err(message) = item.add_to(&mut findings, &host) {
                        let record = format!("host {}, item {number}", host.name);
                        sink.warning(Warning { record, message });
                    }
                }
            }
        }
    }
    findings.hand_over(sink)?;
    Ok(())
}

/// The host as it was given to the scanner, and the name it has in the DNS.
struct Host {
    name: String,
    fqdn: Option<String>,
}

impl Host {
    fn read_properties(&mut self, xml: &mut Xml<'_>) -> Result<(), Refusal> {
        let level = xml.level();
        while xml.next_in(level)? {
            if xml.name() == "tag" && xml.attr("name").as_deref() == Some("host-fqdn") {
                self.fqdn = Some(xml.text()?).filter(|fqdn| !fqdn.trim().is_empty());
            }
        }
        Ok(())
    }
}

/// One plugin's result on one port of one host.
#[derive(Default)]
struct Item {
    port: String,
    service: String,
    protocol: String,
    severity: String,
    name: String,
    synopsis: String,
    description: String,
    solution: String,
    output: String,
    /// Values of CVSS with the label to show them under.
    cvss: Vec<(&'static str, String)>,
    v3_vector: Option<String>,
    v3_score: Option<f64>,
    v4: Option<Scored>,
    v4_score: Option<f64>,
    epss: Option<f64>,
    published: String,
    /// The setting that a compliance plugin has checked, and what came of it.
    check: Option<String>,
    passed: bool,
    cves: Vec<String>,
    cwes: Vec<u32>,
    see_also: Vec<String>,
    xrefs: Vec<String>,
}

impl Item {
    /// Reads the `<ReportItem>` the cursor has just entered.
    fn read(xml: &mut Xml<'_>) -> Result<Self, Refusal> {
        let attr = |name| xml.attr(name).unwrap_or_default();
        let mut item = Self {
            port: attr("port"),
            service: attr("svc_name"),
            protocol: attr("protocol"),
            severity: attr("severity"),
            name: attr("pluginName"),
            ..Self::default()
        };
        let level = xml.level();
        while xml.next_in(level)? {
            match xml.name() {
                "plugin_name" if item.name.is_empty() => item.name = xml.text()?,
                "risk_factor" if item.severity.is_empty() => item.severity = xml.text()?,
                "compliance-check-name" => item.check = Some(xml.text()?),
                "compliance-result" => item.passed = xml.text()?.trim() == "PASSED",
                "compliance-solution" if item.solution.is_empty() => item.solution = xml.text()?,
                "compliance-actual-value" if item.output.is_empty() => item.output = xml.text()?,
                "vuln_publication_date" => item.published = xml.text()?,
                "epss_score" => item.epss = xml.text()?.trim().parse().ok(),
                "cvss4_base_score" => item.v4_score = xml.text()?.trim().parse().ok(),
                "cvss4_vector" => item.v4 = cvss::v4(&xml.text()?),
                "synopsis" => item.synopsis = xml.text()?,
                "description" => item.description = xml.text()?,
                "solution" => item.solution = xml.text()?,
                "plugin_output" => item.output = xml.text()?,
                "cve" => item.cves.push(xml.text()?),
                "cwe" => item.cwes.extend(fields::cwe_number(&xml.text()?)),
                "see_also" => item.see_also.push(xml.text()?),
                "xref" => item.xrefs.push(xml.text()?),
                "cvss_vector" => item.cvss("CVSS Vector", xml.text()?),
                "cvss_base_score" => item.cvss("CVSS Base Score", xml.text()?),
                "cvss_temporal_score" => item.cvss("CVSS Temporal Score", xml.text()?),
                "cvss" => item.cvss("CVSS Score", xml.text()?),
                "cvss3_vector" => {
                    let vector = xml.text()?;
                    item.v3_vector = Some(vector.clone());
                    item.cvss("CVSSv3 Vector", vector);
                }
                "cvssv3" | "cvss3_base_score" => {
                    let score = xml.text()?;
                    item.v3_score = score.trim().parse().ok();
                    item.cvss("CVSSv3 Score", score);
                }
                _ => {}
            }
        }
        Ok(item)
    }

    fn cvss(&mut self, label: &'static str, value: String) {
        self.cvss.push((label, value));
    }

    fn add_to(self, findings: &mut Merged<(Severity, String)>, host: &Host) -> Result<(), String> {
        if self.passed {
            return Ok(());
        }
        let title = self.check.as_deref().unwrap_or(&self.name).trim();
        if title.is_empty() {
            return Err("the item has no plugin name".into());
        }
        let Some(stated) = fields::severity(&self.severity) else {
            return Err(format!("\"{}\" is not a severity of 0 to 4", self.severity));
        };
        let vector = self.v3_vector.as_deref().and_then(fields::cvss_v3);
        // Older scan policies state the severity by CVSS v2.
        let severity = vector.as_ref().map_or(stated, |v| cvss::severity(v.score));
        let name = host.fqdn.as_deref().unwrap_or(&host.name);
        let endpoint = self.endpoint(name).map_err(|error| error.to_string());

        let mut is_new = false;
        let finding = findings.entry((severity, title.to_owned()), || {
            is_new = true;
            ReportFinding {
                title: title.to_owned(),
                severity,
                description: match self.synopsis.as_str() {
                    "" => String::new(),
                    synopsis => format!("{synopsis}\n\n"),
                },
                mitigation: Some(self.solution.clone()).filter(|s| !s.is_empty()),
                impact: self.impact(),
                references: self.references(),
                cwe: self.cwe(),
                extra_cwes: self.extra_cwes(),
                cvssv3: vector.as_ref().map(|v| v.vector.clone()),
                cvssv3_score: self.v3_score.or(vector.as_ref().map(|v| v.score)),
                cvssv4: self.v4.as_ref().map(|v| v.vector.clone()),
                cvssv4_score: self.v4_score.or(self.v4.as_ref().map(|v| v.score)),
                epss_score: self.epss,
                publish_date: text::date(&self.published),
                dynamic_finding: true,
                ..ReportFinding::default()
            }
        });
        if !self.output.is_empty() {
            let (host, output) = (&host.name, &self.output);
            let port = match self.port.trim() {
                "" | "0" => String::new(),
                port => format!(":{port}"),
            };
            let apart = if is_new { "" } else { "\n\n" };
            let piece = format!("{apart}Plugin Output: {host}{port}\n```\n{output}\n```\n\n");
            text::join(&mut finding.description, &piece);
        }
        // The first CVE stands for the plugin, as it does in the REST API's `cve`; the references
        // name all of them.
        if let Some(cve) = self.cves.first() {
            fields::add_vulnerability_id(finding, cve);
        }
        finding.endpoints.push(endpoint?);
        Ok(())
    }

    /// The service where it is a scheme (`www` is Nessus's word for HTTP, and a question mark
    /// marks a guess), else the transport.
    fn endpoint(&self, host: &str) -> Result<Endpoint, tatami_domain::EndpointError> {
        let service = match self.service.trim().trim_end_matches('?') {
            "www" => "http",
            service => service,
        };
        let is_scheme = Endpoint::from_parts("", None, Some(service)).port.is_some();
        let protocol = if is_scheme { service } else { &self.protocol };
        fields::endpoint(host, &self.port, protocol)
    }

    fn impact(&self) -> Option<String> {
        let mut impact = self.description.clone();
        if !self.cvss.is_empty() && !impact.is_empty() {
            impact.push_str("\n\n");
        }
        for (label, value) in &self.cvss {
            let _ = writeln!(impact, "{label}: {}", value.trim());
        }
        (!impact.is_empty()).then_some(impact)
    }

    fn references(&self) -> Option<String> {
        let all = self.see_also.iter().chain(&self.xrefs).chain(&self.cves);
        let lines: Vec<&str> = all.map(|r| r.trim()).filter(|r| !r.is_empty()).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    fn cwe(&self) -> u32 {
        self.cwes.first().copied().unwrap_or(0)
    }

    /// The other `<cwe>`s, and those that only a cross reference names.
    fn extra_cwes(&self) -> Vec<u32> {
        let named = self
            .xrefs
            .iter()
            .filter(|x| x.trim_start().starts_with("CWE"));
        let named = named.filter_map(|x| fields::cwe_number(x));
        let mut extra: Vec<u32> = Vec::new();
        for cwe in self.cwes.iter().copied().chain(named) {
            if cwe != self.cwe() && !extra.contains(&cwe) {
                extra.push(cwe);
            }
        }
        extra
    }
}
