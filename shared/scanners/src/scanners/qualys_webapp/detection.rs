//! A `VULNERABILITY`, `SENSITIVE_CONTENT` or `INFORMATION_GATHERED` of the results.

use std::fmt::Write as _;

use jiff::civil::Date;
use tatami_domain::{Endpoint, ReportFinding, RequestResponse};

use crate::Refusal;
use crate::kit::base64;
use crate::kit::merged::Merged;
use crate::kit::text;
use crate::kit::xml::Xml;

/// How many places the steps to reproduce name one by one.
const SHOWN: usize = 20;

#[derive(Default)]
pub struct Detection {
    qid: String,
    url: String,
    /// The links that lead to it.
    access_path: Vec<String>,
    param: String,
    authentication: String,
    date: Option<Date>,
    is_fixed: bool,
    is_ignored: bool,
    /// What was learnt.
    data: String,
    payloads: Vec<Payload>,
}

/// What was sent, and what came back.
#[derive(Default)]
struct Payload {
    text: String,
    request: String,
    response: String,
}

impl Detection {
    /// Reads the element the cursor has just entered.
    pub fn read(xml: &mut Xml<'_>, is_information: bool) -> Result<Self, Refusal> {
        let mut found = Self::default();
        let (mut first, mut last) = (None, None);
        let level = xml.level();
        while xml.next_in(level)? {
            match xml.name() {
                "QID" => xml.text()?.trim().clone_into(&mut found.qid),
                "URL" => xml.text()?.trim().clone_into(&mut found.url),
                "ACCESS_PATH" => {
                    let path = xml.level();
                    while xml.next_in(path)? {
                        found.access_path.push(xml.text()?.trim().to_owned());
                    }
                }
                "PARAM" => xml.text()?.trim().clone_into(&mut found.param),
                "AUTHENTICATION" => xml.text()?.trim().clone_into(&mut found.authentication),
                "DETECTION_DATE" => found.date = text::date(&xml.text()?),
                "FIRST_TIME_DETECTED" => first = text::date(&xml.text()?),
                "LAST_TIME_DETECTED" => last = text::date(&xml.text()?),
                "STATUS" => found.is_fixed = xml.text()?.trim().eq_ignore_ascii_case("FIXED"),
                "IGNORED" => found.is_ignored = xml.text()?.trim().eq_ignore_ascii_case("true"),
                "DATA" => found.data = decoded(xml)?,
                "PAYLOADS" => {
                    let payloads = xml.level();
                    while xml.next_in(payloads)? {
                        found.payloads.push(Payload::read(xml)?);
                    }
                }
                _ => {}
            }
        }
        if is_information {
            (first, last) = (last, first);
        }
        found.date = found.date.or(first).or(last);
        Ok(found)
    }

    /// Adds it to the finding of its QID; says what is wrong with it.
    pub fn add_to(self, findings: &mut Merged<String>) -> Vec<String> {
        if self.qid.is_empty() {
            return vec!["has no QID".into()];
        }
        let mut is_new = false;
        let finding = findings.entry(self.qid.clone(), || {
            is_new = true;
            ReportFinding {
                vuln_id_from_tool: Some(self.qid.clone()),
                date: self.date,
                active: Some(!self.is_ignored && !self.is_fixed),
                is_mitigated: Some(self.is_fixed),
                ..ReportFinding::default()
            }
        });
        if !is_new {
            finding.date = [finding.date, self.date].into_iter().flatten().min();
            if !self.is_fixed {
                finding.is_mitigated = Some(false);
                finding.active = Some(finding.active == Some(true) || !self.is_ignored);
            }
        }
        self.add_steps(finding);
        if !self.data.is_empty() {
            if !finding.description.is_empty() {
                finding.description.push('\n');
            }
            finding.description.push_str(&self.data);
        }
        let mut wrong = Vec::new();
        for url in self
            .access_path
            .iter()
            .chain([&self.url])
            .filter(|url| !url.is_empty())
        {
            match Endpoint::parse(url) {
                Ok(endpoint) => finding.endpoints.push(endpoint),
                Err(error) => wrong.push(error.to_string()),
            }
        }
        for payload in self.payloads {
            if !payload.request.is_empty() || !payload.response.is_empty() {
                finding.requests.push(RequestResponse {
                    request: payload.request,
                    response: payload.response,
                });
            }
        }
        wrong
    }

    fn add_steps(&self, finding: &mut ReportFinding) {
        if self.url.is_empty() {
            return;
        }
        let steps = finding.steps_to_reproduce.get_or_insert_default();
        match steps.lines().filter(|line| !line.starts_with(' ')).count() {
            SHOWN => steps.push_str("and at more places\n"),
            0..SHOWN => {
                // Writing to a string doesn't fail.
                let _ = writeln!(steps, "{}", self.url);
                let payloads = self
                    .payloads
                    .iter()
                    .map(|payload| ("payload", &payload.text));
                let facts = [
                    ("parameter", &self.param),
                    ("authentication", &self.authentication),
                ];
                for (label, value) in facts.into_iter().chain(payloads) {
                    if !matches!(value.trim(), "" | "N/A") {
                        let _ =
                            writeln!(steps, "  {label}: {}", value.trim().replace('\n', "\n  "));
                    }
                }
            }
            _ => {}
        }
    }
}

impl Payload {
    fn read(xml: &mut Xml<'_>) -> Result<Self, Refusal> {
        let mut payload = Self::default();
        let level = xml.level();
        while xml.next_in(level)? {
            match xml.name() {
                "PAYLOAD" => payload.text = decoded(xml)?,
                "REQUEST" => payload.request = request(xml)?,
                "RESPONSE" => {
                    let mut evidence = String::new();
                    let response = xml.level();
                    while xml.next_in(response)? {
                        match xml.name() {
                            "CONTENTS" => payload.response = decoded(xml)?,
                            "EVIDENCE" => evidence = decoded(xml)?,
                            _ => {}
                        }
                    }
                    if payload.response.is_empty() {
                        payload.response = evidence;
                    }
                }
                _ => {}
            }
        }
        Ok(payload)
    }
}

fn request(xml: &mut Xml<'_>) -> Result<String, Refusal> {
    let (mut method, mut url) = (String::new(), String::new());
    let (mut headers, mut body) = (String::new(), String::new());
    let request = xml.level();
    while xml.next_in(request)? {
        match xml.name() {
            "METHOD" => method = xml.text()?,
            "URL" => url = xml.text()?,
            "BODY" => body = decoded(xml)?,
            "HEADERS" => {
                let list = xml.level();
                while xml.next_in(list)? {
                    let (mut key, mut value) = (String::new(), String::new());
                    let header = xml.level();
                    while xml.next_in(header)? {
                        match xml.name() {
                            "key" => key = xml.text()?,
                            "value" => value = xml.text()?,
                            _ => {}
                        }
                    }
                    let _ = writeln!(headers, "{}: {}", key.trim(), value.trim());
                }
            }
            _ => {}
        }
    }
    let line = format!("{} {}", method.trim(), url.trim());
    let head = format!("{}\n{headers}", line.trim());
    Ok(match body.as_str() {
        "" => head.trim().to_owned(),
        body => format!("{}\n\n{body}", head.trim()),
    })
}

/// The text of an element, which says by an attribute that it's base64.
fn decoded(xml: &mut Xml<'_>) -> Result<String, Refusal> {
    let is_base64 = xml.attr("base64").is_some_and(|flag| flag.trim() == "true");
    let text = xml.text()?;
    if is_base64 && let Some(decoded) = base64::text(&text) {
        return Ok(decoded);
    }
    Ok(text)
}
