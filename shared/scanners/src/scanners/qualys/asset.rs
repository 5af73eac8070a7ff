//! The XML report: `HOST_LIST > HOST > VULN_INFO_LIST > VULN_INFO`, and behind it `GLOSSARY >
//! VULN_DETAILS_LIST > VULN_DETAILS`, which holds the texts of each QID once. What the hosts have waits
//! for it.

use std::collections::{BTreeMap, HashMap};

use jiff::civil::Date;
use tatami_domain::{Endpoint, ReportFinding, Severity};

use super::fields;
use super::glossary::{self, Details};
use crate::kit::xml::Xml;
use crate::kit::{cvss, text};
use crate::{Refusal, Report, Sink, Stop, Warning};

pub const ROOT: &str = "ASSET_DATA_REPORT";

pub fn read(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let mut xml = Xml::open_with_doctype(report)?;
    xml.expect_root(ROOT)?;
    let mut detections = Vec::new();
    let mut texts = HashMap::new();
    let mut has_header = false;
    let root = xml.level();
    while xml.next_in(root)? {
        match xml.name() {
            "HEADER" => has_header = true,
            "HOST_LIST" => {
                let list = xml.level();
                while xml.next_in(list)? {
                    if xml.name() == "HOST" {
                        read_host(&mut xml, &mut detections, sink)?;
                    }
                }
            }
            "GLOSSARY" => glossary::read(&mut xml, &mut texts)?,
            "ERROR" => {
                let message = xml.text()?;
                let message = format!("Qualys answered with an error: {}", message.trim());
                return Err(xml.refuse(message).hint("make the report again"));
            }
            _ => {}
        }
    }
    if !has_header && detections.is_empty() {
        let message = format!("the <{ROOT}> has neither a header nor hosts");
        return Err(xml.refuse(message).hint("download the report as XML again"));
    }
    hand_over(detections, &texts, sink)?;
    Ok(())
}

/// A QID without an entry in the glossary has no title and no severity.
fn hand_over(
    detections: Vec<Detection>,
    texts: &HashMap<String, Details>,
    sink: &mut dyn Sink,
) -> Result<(), Stop> {
    let mut unknown: BTreeMap<String, u32> = BTreeMap::new();
    for detection in detections {
        match texts.get(&detection.id) {
            Some(details) => sink.finding(detection.finding(details))?,
            None => *unknown.entry(detection.id).or_default() += 1,
        }
    }
    for (id, times) in unknown {
        sink.warning(Warning {
            record: id,
            message: format!("has no entry in the glossary; left out {times} times"),
        });
    }
    Ok(())
}

/// One `VULN_INFO` and its host.
#[derive(Default)]
struct Detection {
    /// The id that points into the glossary, such as `qid_105971`.
    id: String,
    endpoint: Option<Endpoint>,
    kind: String,
    status: String,
    final_v3: String,
    final_v2: String,
    fixed: Option<Date>,
    last_found: Option<Date>,
    /// What goes into the description, with its labels.
    facts: Vec<(&'static str, String)>,
}

fn read_host(
    xml: &mut Xml<'_>,
    detections: &mut Vec<Detection>,
    sink: &mut dyn Sink,
) -> Result<(), Refusal> {
    let (mut ip, mut dns) = (String::new(), String::new());
    let first = detections.len();
    let host = xml.level();
    while xml.next_in(host)? {
        match xml.name() {
            "IP" => ip = xml.text()?,
            "DNS" => dns = xml.text()?,
            "ERROR" => {
                let (at, message) = (xml.position(), xml.text()?);
                let record = format!("host {}, {at}", ip.trim());
                sink.warning(Warning { record, message });
            }
            "VULN_INFO_LIST" => {
                let list = xml.level();
                while xml.next_in(list)? {
                    let at = xml.position();
                    let detection = Detection::read(xml)?;
                    if detection.id.is_empty() {
                        let record = format!("host {}, {at}", ip.trim());
                        let message = "the vulnerability has no QID".into();
                        sink.warning(Warning { record, message });
                    } else {
                        detections.push(detection);
                    }
                }
            }
            _ => {}
        }
    }
    let endpoint = fields::endpoint(&[&dns, &ip]);
    for detection in detections.iter_mut().skip(first) {
        detection.endpoint.clone_from(&endpoint);
    }
    Ok(())
}

impl Detection {
    fn read(xml: &mut Xml<'_>) -> Result<Self, Refusal> {
        let mut found = Self::default();
        let info = xml.level();
        while xml.next_in(info)? {
            let label = match xml.name() {
                "QID" => {
                    let id = xml.attr("id").unwrap_or_default();
                    let number = xml.text()?;
                    found.id = match id.trim() {
                        "" if number.trim().is_empty() => String::new(),
                        "" => format!("qid_{}", number.trim()),
                        id => id.to_owned(),
                    };
                    continue;
                }
                "TYPE" => {
                    found.kind = xml.text()?;
                    let kind = match found.kind.trim() {
                        "Vuln" => "CONFIRMED",
                        "Practice" => "POTENTIAL",
                        "Ig" => "INFORMATION GATHERED",
                        other => other,
                    };
                    found.facts.push(("Type", kind.to_owned()));
                    continue;
                }
                "VULN_STATUS" => {
                    found.status = xml.text()?;
                    continue;
                }
                "CVSS3_FINAL" => {
                    found.final_v3 = xml.text()?;
                    continue;
                }
                "CVSS_FINAL" => {
                    found.final_v2 = xml.text()?;
                    continue;
                }
                "LAST_FIXED" => {
                    found.fixed = text::date(&xml.text()?);
                    continue;
                }
                "LAST_FOUND" => "Last Found",
                "FIRST_FOUND" => "First Found",
                "TIMES_FOUND" => "Times Found",
                "PORT" => "Port",
                "SERVICE" => "Service",
                "PROTOCOL" => "Protocol",
                "SSL" => "SSL",
                "INSTANCE" => "Instance",
                "RESULT" => "Result Evidence",
                _ => continue,
            };
            let value = xml.text()?;
            if label == "Last Found" {
                found.last_found = text::date(&value);
            }
            found.facts.push((label, value));
        }
        Ok(found)
    }

    fn finding(self, details: &Details) -> ReportFinding {
        let v3 = fields::scored(&self.final_v3);
        let v2 = fields::scored(&self.final_v2);
        let base = fields::scored(&details.base_v3);
        let score = v3.or(v2).or(base);
        let metrics = v3
            .or(base.filter(|_| v2.is_none()))
            .map_or("", |(_, metrics)| metrics);
        let number = self.id.trim_start_matches(|c: char| !c.is_ascii_digit());
        let mut finding = ReportFinding {
            title: format!("QID-{number} | {}", details.title),
            severity: match score {
                _ if fields::is_information(&self.kind) => Severity::Info,
                Some((score, _)) if score > 0.0 => cvss::severity(score),
                _ => details.severity,
            },
            description: self.description(details),
            mitigation: some(&details.solution),
            impact: some(&details.impact),
            references: some(&details.links.join("\n")),
            cvssv3: fields::vector(&details.version, &[metrics]),
            cvssv3_score: score.map(|(score, _)| score),
            vuln_id_from_tool: Some(self.id.clone()),
            date: self.last_found,
            verified: Some(true),
            dynamic_finding: true,
            endpoints: self.endpoint.iter().cloned().collect(),
            ..ReportFinding::default()
        };
        fields::set_state(&mut finding, &self.status, &self.kind, self.fixed);
        finding
    }

    fn description(&self, details: &Details) -> String {
        let mut parts = vec![details.threat.clone()];
        if !details.category.is_empty() {
            parts.push(format!("Category: {}", details.category));
        }
        parts.push(format!("QID: {}", self.id));
        for (label, value) in &self.facts {
            if !value.trim().is_empty() {
                parts.push(format!("{label}: {}", value.trim()));
            }
        }
        parts.join("\n\n").trim().to_owned()
    }
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
