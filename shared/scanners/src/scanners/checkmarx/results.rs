//! The XML report: `CxXMLResults > Query > Result > Path > PathNode`.

use std::fmt::Write as _;

use jiff::civil::Date;
use tatami_domain::Severity;

use super::ROOT;
use super::shared::{Triage, base_name, cwe, severity, title};
use crate::kit::json::Flag;
use crate::kit::text;
use crate::kit::xml::Xml;
use crate::{Refusal, Report, Sink, Stop, Warning};

/// A kind of flaw.
pub struct Query {
    pub id: String,
    pub name: String,
    pub cwe: u32,
    pub severity: String,
    pub categories: String,
    pub language: String,
    pub group: String,
    /// Of the scan.
    pub date: Option<Date>,
}

/// One way through the code.
pub struct Outcome {
    pub severity: Severity,
    pub status: String,
    pub link: String,
    pub triage: Triage,
    pub false_positive: bool,
    pub id: String,
    pub source: Place,
    pub sink: Place,
    /// All places, as text.
    pub steps: String,
}

#[derive(Debug, Clone, Default)]
pub struct Place {
    pub file: String,
    pub line: Option<u64>,
    pub object: String,
}

impl Outcome {
    pub fn title(&self, query: &Query) -> String {
        match self.sink.file.as_str() {
            "" => query.name.clone(),
            file => format!("{} ({})", query.name, base_name(file)),
        }
    }

    /// What is known of it beside its places.
    pub fn head(&self, query: &Query) -> String {
        let mut head = String::new();
        for (label, value) in [
            ("Category", &query.categories),
            ("Language", &query.language),
            ("Group", &query.group),
            ("Status", &self.status),
        ] {
            if !value.is_empty() {
                let _ = writeln!(head, "**{label}:** {value}");
            }
        }
        if !self.link.is_empty() {
            let _ = writeln!(head, "**Finding Link:** [{0}]({0})", self.link);
        }
        head
    }

    /// Its source and its sink.
    pub fn way(&self) -> String {
        let mut way = Vec::new();
        for (end, place) in [("Source", &self.source), ("Sink", &self.sink)] {
            let line = place
                .line
                .map(|line| format!(" (line {line})"))
                .unwrap_or_default();
            way.push(format!("<b>{end} file: </b>{}{line}", place.file));
            way.push(format!("<b>{end} object: </b> {}", place.object));
        }
        way.join("\n")
    }
}

/// What is done with each result.
pub type Each<'e> = dyn FnMut(&Query, Outcome, &mut dyn Sink) -> Result<(), Stop> + 'e;

/// Shows `each` the results of a report; broken ones are told to `sink`.
pub fn walk(report: Report<'_>, sink: &mut dyn Sink, each: &mut Each<'_>) -> Result<(), Refusal> {
    let mut xml = Xml::open(report)?;
    xml.expect_root(ROOT)?;
    let date = xml.attr("ScanStart").and_then(|start| text::date(&start));
    let root = xml.level();
    while xml.next_in(root)? {
        if xml.name() != "Query" {
            continue;
        }
        let attr = |name| xml.attr(name).unwrap_or_default();
        let query = Query {
            id: attr("id"),
            name: title(&attr("name")),
            cwe: cwe(&attr("cweId")),
            severity: attr("Severity"),
            categories: attr("categories"),
            language: attr("Language"),
            group: title(&attr("group")),
            date,
        };
        let mut number = 0;
        let level = xml.level();
        while xml.next_in(level)? {
            if xml.name() != "Result" {
                continue;
            }
            number += 1;
            let line = xml.position().line;
            match outcome(&mut xml, &query)? {
                Ok(outcome) => each(&query, outcome, sink)?,
                Err(message) => {
                    let name = &query.name;
                    let record = format!("query \"{name}\", result {number}, line {line}");
                    sink.warning(Warning { record, message });
                }
            }
        }
    }
    Ok(())
}

/// Reads the `<Result>` the cursor has just entered, or says why there is no finding in it.
fn outcome(xml: &mut Xml<'_>, query: &Query) -> Result<Result<Outcome, String>, Refusal> {
    let attr = |name| xml.attr(name).unwrap_or_default();
    // Where a report has no paths, this is the source.
    let place = Place {
        file: attr("FileName"),
        line: attr("Line").trim().parse().ok(),
        object: String::new(),
    };
    let stated = attr("Severity");
    let triage = Triage::from_report(&attr("state"));
    let false_positive = xml
        .attr("FalsePositive")
        .and_then(|flag| Flag::from_word(&flag).0);
    let (status, link) = (attr("Status"), attr("DeepLink"));

    let mut id = String::new();
    let mut places: Option<(Place, Place)> = None;
    let mut steps = String::new();
    let result = xml.level();
    while xml.next_in(result)? {
        if xml.name() != "Path" {
            continue;
        }
        // There is one; of more than one the last is the result's, as in other readers.
        let part = |name| xml.attr(name).unwrap_or_default();
        id = part("SimilarityId") + &part("PathId");
        places = None;
        steps.clear();
        let path = xml.level();
        while xml.next_in(path)? {
            if xml.name() == "PathNode" {
                let node = path_node(xml, &mut steps)?;
                places = Some(match places {
                    Some((source, _)) => (source, node),
                    None => (node.clone(), node),
                });
            }
        }
    }
    if query.name.is_empty() {
        return Ok(Err("the query has no name".into()));
    }
    let severity = match severity(&stated).or_else(|_| severity(&query.severity)) {
        Ok(severity) => severity,
        Err(message) => return Ok(Err(message)),
    };
    let (source, sink) = places.unwrap_or_else(|| (place.clone(), place));
    if source.file.is_empty() && sink.file.is_empty() {
        return Ok(Err("the result has neither a path nor a file".into()));
    }
    Ok(Ok(Outcome {
        severity,
        status,
        link,
        triage,
        false_positive: false_positive.unwrap_or(!triage.is_open()),
        id,
        source,
        sink,
        steps,
    }))
}

/// Reads the `<PathNode>` the cursor has just entered and writes it down in `steps`.
fn path_node(xml: &mut Xml<'_>, steps: &mut String) -> Result<Place, Refusal> {
    let mut place = Place::default();
    let mut column = String::new();
    let mut code = Vec::new();
    let node = xml.level();
    while xml.next_in(node)? {
        match xml.name() {
            "FileName" => xml.text()?.trim().clone_into(&mut place.file),
            "Line" => place.line = xml.text()?.trim().parse().ok(),
            "Column" => xml.text()?.trim().clone_into(&mut column),
            "Name" => xml.text()?.trim().clone_into(&mut place.object),
            "Snippet" => snippet(xml, &mut code)?,
            _ => {}
        }
    }
    let line = place.line.map(|line| line.to_string()).unwrap_or_default();
    let known = [
        ("Line Number", &line),
        ("Column", &column),
        ("Source Object", &place.object),
    ];
    for (label, value) in known.into_iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(steps, "**{label}:** {value}");
    }
    for (number, code) in code {
        let _ = writeln!(
            steps,
            "**Number:** {}\n**Code:** {}",
            number.trim(),
            code.trim()
        );
    }
    steps.push_str("-----\n");
    Ok(place)
}

/// The numbers and texts of the lines of a `<Snippet>`.
fn snippet(xml: &mut Xml<'_>, code: &mut Vec<(String, String)>) -> Result<(), Refusal> {
    let snippet = xml.level();
    while xml.next_in(snippet)? {
        let mut line = (String::new(), String::new());
        let level = xml.level();
        while xml.next_in(level)? {
            match xml.name() {
                "Number" => line.0 = xml.text()?,
                "Code" => line.1 = xml.text()?,
                _ => {}
            }
        }
        code.push(line);
    }
    Ok(())
}
