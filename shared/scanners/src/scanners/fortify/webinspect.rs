//! WebInspect's *Scan Details* as XML: `Scan > Issues > Issue`.

use jiff::civil::Date;
use tatami_domain::{Endpoint, EndpointError, ReportFinding, RequestResponse, Severity};

use super::finding::{Paragraphs, cwes};
use super::{each, open_head, trimmed};
use crate::kit::xml::Xml;
use crate::kit::{html, text};
use crate::{Refusal, Report, Sink, Sniff, Warning};

pub const ROOT: &str = "Scan";

/// Many formats have a `Scan`, only this one a policy before its issues.
pub fn is_one(sniff: &Sniff<'_>) -> bool {
    let Some(mut xml) = open_head(sniff) else {
        return false;
    };
    let mut has_policy = false;
    let root = xml.level();
    while let Ok(true) = xml.next_in(root) {
        match xml.name() {
            "PolicyName" => has_policy = true,
            "Issues" => return has_policy,
            _ => {}
        }
    }
    false
}

pub fn read(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let mut xml = Xml::open(report)?;
    xml.expect_root(ROOT)?;
    let (mut date, mut number, mut has_issues) = (None, 0_u64, false);
    each(&mut xml, |xml| match xml.name() {
        "StartTime" => {
            date = text::date(&xml.text()?);
            Ok(())
        }
        "Issues" => {
            has_issues = true;
            each(xml, |xml| {
                number += 1;
                let record = format!("issue {number}, line {}", xml.position().line);
                let issue = Issue::read(xml)?;
                let warning = |message| Warning {
                    record: record.clone(),
                    message,
                };
                issue.report(date, sink, warning)
            })
        }
        _ => Ok(()),
    })?;
    if has_issues {
        return Ok(());
    }
    Err(Refusal::new("the <Scan> has no <Issues>")
        .hint("export the scan's details from WebInspect, as XML"))
}

#[derive(Default)]
struct Issue {
    name: String,
    severity: String,
    check_type: String,
    engine: String,
    check: String,
    url: String,
    scheme: String,
    host: String,
    port: String,
    /// The session that shows the flaw, and the one that brought it about.
    vulnerable_session: String,
    trigger_session: String,
    response: String,
    /// Heading and HTML.
    sections: Vec<(String, String)>,
    cwes: Vec<u32>,
}

impl Issue {
    /// Reads the `<Issue>` the cursor has just entered.
    fn read(xml: &mut Xml<'_>) -> Result<Self, Refusal> {
        let mut issue = Self::default();
        each(xml, |xml| {
            let field = match xml.name() {
                "Name" => &mut issue.name,
                "Severity" => &mut issue.severity,
                "CheckTypeID" => &mut issue.check_type,
                "EngineType" => &mut issue.engine,
                "VulnerabilityID" => &mut issue.check,
                "URL" => &mut issue.url,
                "Scheme" => &mut issue.scheme,
                "Host" => &mut issue.host,
                "Port" => &mut issue.port,
                "VulnerableSession" => &mut issue.vulnerable_session,
                "TriggerSession" => &mut issue.trigger_session,
                "RawResponse" => &mut issue.response,
                "ReportSection" => {
                    issue.sections.push(section(xml)?);
                    return Ok(());
                }
                "Classifications" => return issue.read_classifications(xml),
                _ => return Ok(()),
            };
            *field = trimmed(xml)?;
            Ok(())
        })?;
        Ok(issue)
    }

    fn read_classifications(&mut self, xml: &mut Xml<'_>) -> Result<(), Refusal> {
        each(xml, |xml| {
            if xml.attr("kind").is_some_and(|kind| kind.trim() == "CWE") {
                let id = xml.attr("identifier").unwrap_or_default();
                self.cwes.extend(cwes(&id));
            }
            Ok(())
        })
    }

    fn report(
        self,
        date: Option<Date>,
        sink: &mut dyn Sink,
        warning: impl Fn(String) -> Warning,
    ) -> Result<(), Refusal> {
        if self.name.is_empty() {
            sink.warning(warning("the issue has no name".into()));
            return Ok(());
        }
        let Some(severity) = self.severity() else {
            let message = format!("the issue \"{}\" has no severity of 0 to 4", self.name);
            sink.warning(warning(message));
            return Ok(());
        };
        let endpoints = match self.endpoint() {
            Ok(endpoint) => endpoint.into_iter().collect(),
            Err(error) => {
                sink.warning(warning(error.to_string()));
                Vec::new()
            }
        };
        let mut cwes = self.cwes.iter().copied();
        sink.finding(ReportFinding {
            severity,
            description: self.description(),
            mitigation: self.section("Fix"),
            impact: self.section("Implication"),
            steps_to_reproduce: self.section("Execution"),
            references: self.section("Reference Info"),
            cwe: cwes.next().unwrap_or(0),
            extra_cwes: cwes.collect(),
            endpoints,
            date,
            static_finding: true,
            dynamic_finding: true,
            requests: self.messages(),
            title: self.name,
            ..ReportFinding::default()
        })?;
        Ok(())
    }

    fn severity(&self) -> Option<Severity> {
        match self.severity.as_str() {
            "0" => Some(Severity::Info),
            "1" => Some(Severity::Low),
            "2" => Some(Severity::Medium),
            "3" => Some(Severity::High),
            "4" => Some(Severity::Critical),
            name => Severity::from_report(name),
        }
    }

    /// Its page; where an attack has made the address unreadable, its host.
    fn endpoint(&self) -> Result<Option<Endpoint>, EndpointError> {
        if let Ok(page) = Endpoint::parse(&self.url) {
            return Ok(Some(Endpoint {
                query: None,
                fragment: None,
                ..page
            }));
        }
        if self.host.is_empty() {
            return Ok(None);
        }
        let port = match self.port.as_str() {
            "" => None,
            port => Some(
                port.parse()
                    .map_err(|_| EndpointError::BadPort(port.to_owned()))?,
            ),
        };
        Ok(Some(Endpoint::from_parts(
            &self.host,
            port,
            Some(&self.scheme),
        )))
    }

    /// Without the sessions: they are of this scan and would make it another finding in the next.
    fn description(&self) -> String {
        let mut text = Paragraphs::default();
        text.add(&self.section("Summary").unwrap_or_default());
        text.table(&[
            ("URL", &self.url),
            ("Check type", &self.check_type),
            ("Engine", &self.engine),
            ("Vulnerability id", &self.check),
        ]);
        text.text()
    }

    /// The text of all report sections with this heading.
    fn section(&self, heading: &str) -> Option<String> {
        let mut text = Paragraphs::default();
        for (_, html) in self.sections.iter().filter(|(name, _)| name == heading) {
            text.add(&html::to_text(&with_addresses(html)));
        }
        text.some()
    }

    fn messages(&self) -> Vec<RequestResponse> {
        let requests = [&self.trigger_session, &self.vulnerable_session];
        let mut requests: Vec<_> = requests.into_iter().filter(|r| !r.is_empty()).collect();
        requests.dedup();
        let last = requests.len().saturating_sub(1);
        let message = |(at, request): (usize, &&String)| RequestResponse {
            request: (*request).clone(),
            response: Some(&self.response)
                .filter(|_| at == last)
                .cloned()
                .unwrap_or_default(),
        };
        requests.iter().enumerate().map(message).collect()
    }
}

/// Puts the address of each link before it, unless it is the link's text.
fn with_addresses(html: &str) -> String {
    const HREF: &str = "<a href=\"";
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some((before, link)) = rest.split_once(HREF) {
        out.push_str(before);
        let address = link.split_once('"').map_or("", |(address, _)| address);
        let text = link.split_once("</a>").map_or("", |(text, _)| text);
        if !text.ends_with(&format!(">{address}")) {
            out.push_str(address);
            out.push(' ');
        }
        out.push_str(HREF);
        rest = link;
    }
    out.push_str(rest);
    out
}

fn section(xml: &mut Xml<'_>) -> Result<(String, String), Refusal> {
    let (mut name, mut html) = (String::new(), String::new());
    each(xml, |xml| {
        match xml.name() {
            "Name" => name = trimmed(xml)?,
            "SectionText" => html = xml.text()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((name, html))
}
