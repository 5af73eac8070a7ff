use std::fmt::Write as _;

use serde::Deserialize;
use tatami_domain::{Endpoint, ReportFinding, RequestResponse, Severity};

use crate::kit::html;
use crate::kit::json::{OneOrMany, Text};
use crate::kit::xml::Xml;
use crate::{Refusal, Sink, Stop, Warning};

/// How many places the steps to reproduce name one by one.
const SHOWN: usize = 20;

/// One alert. XML and JSON write the same fields.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Alert {
    pluginid: Text,
    #[serde(rename = "alert")]
    title: Text,
    name: Text,
    riskcode: Text,
    riskdesc: Text,
    confidence: Text,
    desc: Text,
    solution: Text,
    reference: Text,
    otherinfo: Text,
    cweid: Text,
    instances: OneOrMany<Instance>,
}

/// One place an alert was seen at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Instance {
    uri: Text,
    method: Text,
    param: Text,
    attack: Text,
    evidence: Text,
    otherinfo: Text,
    #[serde(alias = "request-header")]
    requestheader: Text,
    #[serde(alias = "request-body")]
    requestbody: Text,
    #[serde(alias = "response-header")]
    responseheader: Text,
    #[serde(alias = "response-body")]
    responsebody: Text,
}

impl Alert {
    /// Reads the `<alertitem>` the cursor has just entered.
    pub fn from_xml(xml: &mut Xml<'_>) -> Result<Self, Refusal> {
        let mut alert = Self::default();
        let mut instances = Vec::new();
        let item = xml.level();
        while xml.next_in(item)? {
            let field = match xml.name() {
                "pluginid" => &mut alert.pluginid,
                "alert" => &mut alert.title,
                "name" => &mut alert.name,
                "riskcode" => &mut alert.riskcode,
                "riskdesc" => &mut alert.riskdesc,
                "confidence" => &mut alert.confidence,
                "desc" => &mut alert.desc,
                "solution" => &mut alert.solution,
                "reference" => &mut alert.reference,
                "otherinfo" => &mut alert.otherinfo,
                "cweid" => &mut alert.cweid,
                "instances" => {
                    let list = xml.level();
                    while xml.next_in(list)? {
                        instances.push(Instance::from_xml(xml)?);
                    }
                    continue;
                }
                _ => continue,
            };
            field.0 = xml.text()?;
        }
        alert.instances.0 = instances;
        Ok(alert)
    }

    /// Hands the alert to the sink as a finding, or says why it cannot.
    pub fn report(
        self,
        sink: &mut dyn Sink,
        warning: impl Fn(String) -> Warning,
    ) -> Result<(), Stop> {
        let title = [&self.title, &self.name].map(|t| t.trim());
        let Some(title) = title.into_iter().find(|t| !t.is_empty()) else {
            sink.warning(warning("the alert has no name".into()));
            return Ok(());
        };
        let Some(severity) = self.severity() else {
            let message = format!("the alert \"{title}\" has no risk of 0 to 3");
            sink.warning(warning(message));
            return Ok(());
        };
        let instances = &self.instances.0;
        let mut endpoints = Vec::new();
        for uri in instances.iter().map(|i| i.uri.trim()) {
            match Endpoint::parse(uri) {
                // One page is one endpoint, whatever was sent to it.
                Ok(page) => endpoints.push(Endpoint {
                    query: None,
                    fragment: None,
                    ..page
                }),
                Err(_) if uri.is_empty() => {}
                Err(error) => sink.warning(warning(error.to_string())),
            }
        }
        endpoints.sort();
        endpoints.dedup();
        let false_positive = self.confidence.trim() == "0";
        sink.finding(ReportFinding {
            title: title.to_owned(),
            severity,
            description: html::to_text(&self.desc),
            mitigation: some(html::to_text(&self.solution)),
            references: some(html::to_text(&self.reference)),
            steps_to_reproduce: self.steps(instances),
            cwe: self.cweid.trim().parse().unwrap_or(0),
            vuln_id_from_tool: some(self.pluginid.trim().to_owned()),
            scanner_confidence: self.confidence(),
            false_p: false_positive.then_some(true),
            active: false_positive.then_some(false),
            endpoints,
            requests: instances.iter().map(Instance::messages).collect(),
            dynamic_finding: true,
            ..ReportFinding::default()
        })
    }

    fn severity(&self) -> Option<Severity> {
        match self.riskcode.trim() {
            "0" => Some(Severity::Info),
            "1" => Some(Severity::Low),
            "2" => Some(Severity::Medium),
            "3" => Some(Severity::High),
            // Such as `Medium (High)`: the risk, then the confidence.
            _ => Severity::from_report(self.riskdesc.split('(').next()?),
        }
    }

    /// On the API's scale from 1 (certain) over 4 (firm) to 7 (tentative).
    fn confidence(&self) -> Option<u32> {
        match self.confidence.trim() {
            "4" | "3" => Some(1),
            "2" => Some(4),
            "1" => Some(7),
            _ => None,
        }
    }

    fn steps(&self, instances: &[Instance]) -> Option<String> {
        let mut steps = String::new();
        for instance in instances.iter().take(SHOWN) {
            instance.describe(&mut steps);
        }
        if instances.len() > SHOWN {
            // Writing to a string doesn't fail.
            let _ = writeln!(steps, "and at {} more places", instances.len() - SHOWN);
        }
        let other = html::to_text(&self.otherinfo);
        if !other.is_empty() {
            let _ = write!(steps, "\n{other}");
        }
        some(steps.trim().to_owned())
    }
}

impl Instance {
    fn from_xml(xml: &mut Xml<'_>) -> Result<Self, Refusal> {
        let mut instance = Self::default();
        let element = xml.level();
        while xml.next_in(element)? {
            let field = match xml.name() {
                "uri" => &mut instance.uri,
                "method" => &mut instance.method,
                "param" => &mut instance.param,
                "attack" => &mut instance.attack,
                "evidence" => &mut instance.evidence,
                "otherinfo" => &mut instance.otherinfo,
                "requestheader" => &mut instance.requestheader,
                "requestbody" => &mut instance.requestbody,
                "responseheader" => &mut instance.responseheader,
                "responsebody" => &mut instance.responsebody,
                _ => continue,
            };
            field.0 = xml.text()?;
        }
        Ok(instance)
    }

    fn describe(&self, steps: &mut String) {
        let _ = writeln!(steps, "{} {}", self.method.trim(), self.uri.trim());
        for (what, text) in [
            ("parameter", &self.param),
            ("attack", &self.attack),
            ("evidence", &self.evidence),
            ("note", &self.otherinfo),
        ] {
            if !text.trim().is_empty() {
                let _ = writeln!(steps, "  {what}: {}", text.trim());
            }
        }
    }

    fn messages(&self) -> RequestResponse {
        let message = |header: &str, body: &str| match (header.trim(), body.trim()) {
            (header, "") => header.to_owned(),
            (header, body) => format!("{header}\n\n{body}"),
        };
        let mut request = message(&self.requestheader, &self.requestbody);
        if request.is_empty() {
            request = format!("{} {}", self.method.trim(), self.uri.trim());
        }
        let mut response = message(&self.responseheader, &self.responsebody);
        if response.is_empty() {
            self.evidence.trim().clone_into(&mut response);
        }
        RequestResponse { request, response }
    }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
