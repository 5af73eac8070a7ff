//! The improved scan report: a section for each engine, and what to know of each CWE at its end.

use std::collections::HashMap;

use serde::Deserialize;
use tatami_domain::{ReportFinding, Severity};

use super::iac;
use crate::kit::json::{Int, Json, Kind, List, OneOrMany, Outline, Text};
use crate::scanners::checkmarx::shared::{Moment, Node, cwe, members, severity, title, word};
use crate::{Refusal, Sink, Stop};

/// Sections of engines whose results the report lists in ways of their own.
const NOT_READ: [&str; 3] = [
    "scaScanResults",
    "containerScanResults",
    "apiSecScanResults",
];

/// Is it the head of such a report?
pub fn is_report(json: &Outline) -> bool {
    json.has_all(&["reportHeader", "scanResults.resultsList"])
        || json.has_all(&["reportHeader", "iacScanResults"])
        || json.has_all(&["reportHeader", "scaScanResults"])
}

/// The findings of SAST, which wait for what the report says of their CWEs.
#[derive(Default)]
pub struct Improved {
    waiting: Vec<Waiting>,
    advice: HashMap<u32, Advice>,
}

/// A finding whose description has yet to be put together.
struct Waiting {
    finding: ReportFinding,
    query: String,
    places: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Advice {
    cwe_id: Text,
    cause: Text,
    risk: Text,
    general_recommendations: Text,
}

impl Improved {
    /// Reads a member of the report. `true` if it is a section with results.
    pub fn section(
        &mut self,
        key: &str,
        json: &mut Json<'_>,
        sink: &mut dyn Sink,
    ) -> Result<bool, Refusal> {
        match key {
            "scanResults" => return self.scan_results(json, sink),
            "iacScanResults" => {
                members(json, sink, "technology", &mut |json, sink| {
                    iac::technology(json, sink)
                })?;
            }
            "vulnerabilityDetails" => {
                let advice = &mut self.advice;
                json.records(sink, |one: Advice, _| {
                    advice.insert(cwe(&one.cwe_id), one);
                    Ok(())
                })?;
                return Ok(false);
            }
            key if NOT_READ.contains(&key) => not_read(json, sink)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// `false` for the results of another report, which are by engine.
    fn scan_results(&mut self, json: &mut Json<'_>, sink: &mut dyn Sink) -> Result<bool, Refusal> {
        if json.kind()? == Kind::Null {
            json.skip()?;
            return Ok(true);
        }
        if !json.expect(Kind::Object, sink)? {
            return Ok(false);
        }
        let mut is_list = false;
        json.object(|json, key| {
            if key == "resultsList" {
                is_list = true;
                json.objects(sink, |json, sink| self.query(json, sink))?;
            }
            Ok(())
        })?;
        Ok(is_list)
    }

    fn query(&mut self, json: &mut Json<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
        let (mut name, mut path, mut description) = (String::new(), String::new(), String::new());
        let mut categories = String::new();
        let mut number = 0;
        let start = self.waiting.len();
        json.object(|json, key| {
            match key {
                "queryName" => name = word(json, sink)?,
                "queryPath" => path = word(json, sink)?,
                "description" => description = word(json, sink)?,
                "cweId" => number = cwe(&word(json, sink)?),
                "categories" => {
                    json.records(sink, |category: Category, _| {
                        category.list(&mut categories);
                        Ok(())
                    })?;
                }
                "vulnerabilities" => json.objects(sink, |json, sink| {
                    let Some(one) = json.record::<Vulnerability>(sink)? else {
                        return Ok(());
                    };
                    match severity(&one.severity) {
                        Ok(severity) => self.waiting.push(one.waiting(severity)),
                        Err(message) => sink.warning(json.warning(message)),
                    }
                    Ok(())
                })?,
                _ => {}
            }
            Ok(())
        })?;
        let named = if path.is_empty() { name } else { path };
        if named.trim().is_empty() && self.waiting.len() > start {
            sink.warning(json.warning("has no name, its vulnerabilities are left out"));
            self.waiting.truncate(start);
        }
        for Waiting { finding, query, .. } in self.waiting.iter_mut().skip(start) {
            finding.title = title(&named);
            finding.cwe = number;
            finding.references = Some(categories.clone()).filter(|text| !text.is_empty());
            query.clone_from(&description);
        }
        Ok(())
    }

    /// Hands the findings over, now that all is known.
    pub fn hand_over(self, sink: &mut dyn Sink) -> Result<(), Stop> {
        for Waiting {
            mut finding,
            query,
            places,
        } in self.waiting
        {
            let advice = self.advice.get(&finding.cwe);
            let cause = advice.map_or("", |advice| &advice.cause);
            finding.description = format!("{query}\n\n{cause}");
            if !places.is_empty() {
                finding.description.extend(["\n---\n", &places]);
            }
            finding.impact = advice.and_then(|advice| advice.risk.clone().some());
            finding.mitigation =
                advice.and_then(|advice| advice.general_recommendations.clone().some());
            sink.finding(finding)?;
        }
        Ok(())
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Category {
    name: Text,
    sub_categories: List,
}

impl Category {
    fn list(self, text: &mut String) {
        text.extend(["- ", &*self.name, "\n"]);
        for part in self.sub_categories.texts() {
            text.extend(["\t- ", &part, "\n"]);
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Vulnerability {
    state: Text,
    severity: Text,
    found_date: Moment,
    destination_file_name: Text,
    destination_line: Int,
    nodes: OneOrMany<Node>,
}

impl Vulnerability {
    fn waiting(self, severity: Severity) -> Waiting {
        let place = |node: Node| {
            let line = node.line.0.map(|line| line.to_string()).unwrap_or_default();
            format!(
                "**File Name**: {}\n**Method**: {}\n**Line**: {line}\n**Code Snippet**: {}\n",
                &*node.file_name, &*node.method, &*node.code,
            )
        };
        let places: Vec<String> = self.nodes.0.into_iter().map(place).collect();
        Waiting {
            finding: ReportFinding {
                date: self.found_date.0,
                file_path: self.destination_file_name.some(),
                line: self.destination_line.0,
                tags: vec!["sast".into()],
                dynamic_finding: true,
                ..super::finding(severity, &self.state)
            },
            query: String::new(),
            places: places.join("\n---\n"),
        }
    }
}

/// Passes over a section; a warning tells how much was in it.
fn not_read(json: &mut Json<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    if !json.expect(Kind::Object, sink)? {
        return Ok(());
    }
    let mut records = 0;
    json.object(|json, _| {
        if json.kind()? == Kind::List {
            json.list(|_| {
                records += 1;
                Ok(())
            })?;
        }
        Ok(())
    })?;
    if records > 0 {
        let message = format!(
            "entries left out: {records}; of an improved scan report only the sections of SAST and \
             infrastructure as code are read, `cx results show --report-format json` has all"
        );
        sink.warning(json.warning(message));
    }
    Ok(())
}
