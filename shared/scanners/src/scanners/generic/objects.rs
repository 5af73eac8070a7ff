//! Generic findings in JSON.

use serde::Deserialize;
use tatami_domain::{
    AttachedFile, Endpoint, EndpointError, ReportFinding, ReportTest, RequestResponse,
};

use super::SCAN_TYPE;
use super::fields::{self, Field};
use crate::kit::json::{self, Int, Json, Kind, OneOrMany, Text, Texts};
use crate::kit::text;
use crate::{Refusal, Report, Sink};

/// Fields that take more than plain values.
const STRUCTURED: [&str; 7] = [
    "endpoints",
    "files",
    "request",
    "response",
    "request_response",
    "request_response_pairs",
    "unsaved_req_resp",
];

/// What a file may be; a person opens it later.
const FILE_TYPES: [&str; 22] = [
    "txt", "pdf", "json", "xml", "csv", "yml", "yaml", "png", "jpeg", "jpg", "gif", "sarif",
    "xlsx", "doc", "docx", "html", "js", "nessus", "zip", "fpr", "md", "log",
];

/// May a finding have this field?
pub fn is_known(field: &str) -> bool {
    Field::named(field).is_some() || STRUCTURED.contains(&field)
}

pub fn read(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    json::read(report, |json| {
        if json.kind()? == Kind::List {
            let hint = "put the list into an object: {\"findings\": [...]}";
            return Err(json.refuse("the report is a list").hint(hint));
        }
        let mut about = ReportTest::default();
        let mut kept = None;
        json.object(|json, key| {
            match key {
                "name" => about.name = json.value::<Text>()?.some(),
                "type" => about.test_type = json.value::<Text>()?.some(),
                "version" => about.version = json.value::<Text>()?.some(),
                "description" => about.description = json.value::<Text>()?.some(),
                "findings" => kept = Some(findings(json, sink)?),
                _ => {}
            }
            Ok(())
        })?;
        match kept {
            None => {
                let message = "these are no generic findings: there is no list \"findings\"";
                return Err(Refusal::new(message).hint("is this the right scan type?"));
            }
            Some(Kept { seen, kept: 0 }) if seen > 0 => {
                let message = "no finding has all of title, severity and description";
                return Err(Refusal::new(message).hint("is this the right scan type?"));
            }
            Some(_) => {}
        }
        about.test_type = about
            .test_type
            .map(|tool| text::test_type(&tool, SCAN_TYPE));
        if about != ReportTest::default() {
            sink.test(about);
        }
        Ok(())
    })
}

#[derive(Default)]
struct Kept {
    seen: usize,
    kept: usize,
}

fn findings(json: &mut Json<'_>, sink: &mut dyn Sink) -> Result<Kept, Refusal> {
    let mut count = Kept::default();
    json.list(|json| {
        count.seen += 1;
        if !json.expect(Kind::Object, sink)? {
            return Ok(());
        }
        let record = finding(json, sink)?;
        if let Some((line, column)) = record.unknown_at {
            let fields = record.unknown.join(", ");
            let message = format!("{} has fields that are not known: {fields}", json.path());
            let hint = "leave them out, or put what they hold into the description";
            return Err(Refusal::new(message).at(line, column).hint(hint));
        }
        if let Some(field) = fields::missing(&record.finding, record.has_severity) {
            sink.warning(json.warning(format!("has no {field}")));
        } else {
            count.kept += 1;
            sink.finding(record.finding)?;
        }
        Ok(())
    })?;
    Ok(count)
}

struct Record {
    finding: ReportFinding,
    has_severity: bool,
    unknown: Vec<String>,
    unknown_at: Option<(u64, u64)>,
}

fn finding(json: &mut Json<'_>, sink: &mut dyn Sink) -> Result<Record, Refusal> {
    let mut finding = fields::blank();
    let mut has_severity = false;
    let mut unknown = Vec::new();
    let mut unknown_at = None;
    let mut exchange = Exchange::default();
    json.object(|json, key| {
        match key {
            "endpoints" => endpoints(&mut finding, json, sink)?,
            "files" => files(&mut finding, json, sink)?,
            "request" => exchange.request = json.record::<Text>(sink)?.unwrap_or_default(),
            "response" => exchange.response = json.record::<Text>(sink)?.unwrap_or_default(),
            "request_response" | "request_response_pairs" | "unsaved_req_resp" => {
                let pairs = json
                    .record::<OneOrMany<Exchange>>(sink)?
                    .unwrap_or_default();
                let pairs = pairs.0.into_iter().filter_map(Exchange::pair);
                finding.requests.extend(pairs);
            }
            _ => {
                let Some(field) = Field::named(key) else {
                    unknown_at = unknown_at.or_else(|| Some(json.place()));
                    unknown.push(key.to_owned());
                    return Ok(());
                };
                let values = json.record::<Texts>(sink)?.unwrap_or_default().0;
                has_severity |= key == "severity" && !values.is_empty();
                if let Err(message) = field.put(&mut finding, &values) {
                    sink.warning(json.warning(message));
                }
            }
        }
        Ok(())
    })?;
    finding.requests.extend(exchange.pair());
    Ok(Record {
        finding,
        has_severity,
        unknown,
        unknown_at,
    })
}

/// A request and its response.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Exchange {
    #[serde(alias = "req")]
    request: Text,
    #[serde(alias = "resp")]
    response: Text,
}

impl Exchange {
    fn pair(self) -> Option<RequestResponse> {
        let is_empty = self.request.is_empty() && self.response.is_empty();
        let pair = RequestResponse {
            request: self.request.0,
            response: self.response.0,
        };
        Some(pair).filter(|_| !is_empty)
    }
}

/// A place in its parts, or in one text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Place {
    Url(Text),
    Parts(Box<Parts>),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Parts {
    protocol: Text,
    userinfo: Text,
    host: Text,
    port: Int,
    path: Text,
    query: Text,
    fragment: Text,
}

impl Place {
    fn endpoint(self) -> Result<Endpoint, EndpointError> {
        let parts = match self {
            Self::Url(url) => return Endpoint::parse(&url),
            Self::Parts(parts) => parts,
        };
        let host = parts.host.trim();
        if host.is_empty() {
            return Err(EndpointError::NoHost(parts.path.0));
        }
        let port = match parts.port.0 {
            None => None,
            Some(port) => {
                let number = u16::try_from(port);
                Some(number.map_err(|_| EndpointError::BadPort(port.to_string()))?)
            }
        };
        let without = |text: &Text, lead: char| {
            let text = text.strip_prefix(lead).unwrap_or(text);
            (!text.is_empty()).then(|| text.to_owned())
        };
        Ok(Endpoint {
            userinfo: parts.userinfo.clone().some(),
            path: without(&parts.path, '/'),
            query: without(&parts.query, '?'),
            fragment: without(&parts.fragment, '#'),
            ..Endpoint::from_parts(host, port, Some(&parts.protocol))
        })
    }
}

fn endpoints(
    finding: &mut ReportFinding,
    json: &mut Json<'_>,
    sink: &mut dyn Sink,
) -> Result<(), Refusal> {
    let places = json.record::<OneOrMany<Place>>(sink)?.unwrap_or_default();
    for place in places.0 {
        match place.endpoint() {
            Ok(endpoint) => text::push_new(&mut finding.endpoints, endpoint),
            Err(error) => sink.warning(json.warning(error.to_string())),
        }
    }
    Ok(())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    title: Text,
    data: Text,
}

fn files(
    finding: &mut ReportFinding,
    json: &mut Json<'_>,
    sink: &mut dyn Sink,
) -> Result<(), Refusal> {
    let (line, column) = json.place();
    let files = json.record::<OneOrMany<File>>(sink)?.unwrap_or_default();
    for file in files.0 {
        let ending = file
            .title
            .rsplit_once('.')
            .map(|(_, ending)| ending.to_ascii_lowercase());
        if !ending.is_some_and(|ending| FILE_TYPES.contains(&ending.as_str())) {
            let message = format!(
                "{}: \"{}\" is no file name of a known type",
                json.path(),
                &*file.title
            );
            let hint = format!("use one of: {}", FILE_TYPES.join(", "));
            return Err(Refusal::new(message).at(line, column).hint(hint));
        }
        finding.files.push(AttachedFile {
            title: file.title.0,
            data: file.data.0,
        });
    }
    Ok(())
}
