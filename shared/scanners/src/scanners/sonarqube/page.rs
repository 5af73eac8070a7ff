//! The page that sonar-report makes: a summary, a table of the issues, unless there are none, and, unless
//! it was told not to, a table of the rules.

use std::collections::{HashMap, HashSet};

use memchr::memmem;

use super::issue::{Issue, Issues, Mode};
use super::rule::Rule;
use crate::kit::json::{Int, Text};
use crate::kit::page::{Event, Page};
use crate::kit::xml;
use crate::{Refusal, Report, Sink, Sniff, Warning};

/// Its title ("SonarQube Vulnerability Report"; the word between may be another) and its summary.
pub fn is_one(sniff: &Sniff<'_>) -> bool {
    if !xml::is_markup(sniff) {
        return false;
    }
    let head = sniff.bytes();
    let title = memmem::find(head, b"<title>SonarQube ").and_then(|at| head.get(at..));
    let end = title.and_then(|title| memmem::find(title, b" Report</title>"));
    end.is_some_and(|end| end < 200) && memmem::find(head, b"Number of Issues").is_some()
}

pub fn read(report: Report<'_>, mode: Mode, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let mut page = Page::open(report)?;
    let mut read = Tables::default();
    let mut is_whole = false;
    while let Some(event) = page.next()? {
        match event {
            Event::Start(tag) if tag.name() == "table" => read.table(&mut page, sink)?,
            Event::End(name) if name == "html" => is_whole = true,
            _ => {}
        }
    }
    if !read.is_sonar_s {
        let message =
            "this is not a page of sonar-report: it has no table of issues or their number";
        return Err(Refusal::new(message).hint("make it by `sonar-report`"));
    }
    if !is_whole {
        sink.warning(Warning {
            record: "the end of the page".into(),
            message: "is missing: the page may have been cut off".into(),
        });
    }
    read.issues.hand_over(&read.rules, mode, sink)?;
    Ok(())
}

#[derive(Default)]
struct Tables {
    is_sonar_s: bool,
    issues: Issues,
    rows: u64,
    rules: HashMap<String, Rule>,
}

impl Tables {
    /// Reads the table just entered. Its header tells what it is.
    fn table(&mut self, page: &mut Page<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
        let mut header = Vec::new();
        let mut cells = Vec::new();
        let mut wanted = HashSet::new();
        while let Some(event) = page.next()? {
            match event {
                Event::Start(tag) => match tag.name() {
                    "th" => header.push(text_of(page, "th")?),
                    "td" if is_rules(&header) && cells.len() == 1 => {
                        if wanted.is_empty() {
                            wanted = self.issues.rules().map(str::to_owned).collect();
                        }
                        let key = cells.pop().unwrap_or_default();
                        if wanted.contains(&key) {
                            self.rules.insert(key, Rule::read(page, "td")?);
                        } else {
                            page.pass_over("td")?;
                        }
                    }
                    "td" => cells.push(text_of(page, "td")?),
                    _ => {}
                },
                Event::End(name) if name == "tr" => {
                    let row = std::mem::take(&mut cells);
                    if is_issues(&header) && !row.is_empty() {
                        self.issue(&header, row, page, sink);
                    }
                }
                Event::End(name) if name == "table" => break,
                _ => {}
            }
        }
        self.is_sonar_s |= is_issues(&header) || is_summary(&header);
        Ok(())
    }

    fn issue(&mut self, header: &[String], row: Vec<String>, page: &Page<'_>, sink: &mut dyn Sink) {
        self.rows += 1;
        let number = self.rows;
        let mut warn = |message| {
            let line = page.position().line;
            sink.warning(Warning {
                record: format!("issue {number}, near line {line}"),
                message,
            });
        };
        if row.len() < header.len() {
            return warn("has less cells than the table has columns".into());
        }
        let mut issue = Issue::default();
        for (name, cell) in header.iter().zip(row) {
            let field = match name.as_str() {
                "Rule" => &mut issue.rule,
                "Severity" => &mut issue.severity,
                "Component" => &mut issue.component,
                "Line" => {
                    issue.line = Int(cell.parse().ok());
                    continue;
                }
                "Description" => &mut issue.description,
                "Message" => &mut issue.message,
                "Key" => &mut issue.key,
                _ => continue,
            };
            *field = Text(cell);
        }
        self.issues.add(issue, warn);
    }
}

fn is_summary(header: &[String]) -> bool {
    has(header, &["Severity", "Number of Issues"])
}

fn is_issues(header: &[String]) -> bool {
    has(header, &["Rule", "Severity", "Component"])
}

fn is_rules(header: &[String]) -> bool {
    matches!(header, [rule, description] if rule == "Rule" && description == "Description")
}

fn has(header: &[String], names: &[&str]) -> bool {
    names
        .iter()
        .all(|name| header.iter().any(|own| own == name))
}

fn text_of(page: &mut Page<'_>, element: &str) -> Result<String, Refusal> {
    Ok(page.text_of(element)?.trim().to_owned())
}
