use std::fmt::Write as _;

use htmlize::escape_attribute;
use tatami_domain::{ReportFinding, RequestResponse};

use crate::kit::html;
use crate::kit::page::Tag;
use crate::kit::text::push_new;
use crate::scanners::burp::words::{self, sections};

/// The details of one issue, while they are read.
#[derive(Default)]
pub struct Details {
    pub serial: String,
    pub title: String,
    pub path: String,
    /// Headings with what stands below them, as HTML of formatting tags.
    parts: Vec<(String, String)>,
    /// A line begins here, and white space isn't wanted.
    at_line: bool,
    pub messages: Vec<RequestResponse>,
}

impl Details {
    /// Begins the part below a heading such as `Issue detail:`.
    pub fn heading(&mut self, heading: &str) {
        let name = heading.trim().trim_end_matches(':');
        self.parts.push((name.to_owned(), String::new()));
        self.at_line = true;
    }

    /// The heading that was begun last.
    pub fn part(&self) -> &str {
        self.parts.last().map_or("", |(name, _)| name)
    }

    pub fn start(&mut self, tag: &Tag) {
        let Some((_, part)) = self.parts.last_mut() else {
            return;
        };
        self.at_line |= html::is_block(tag.name());
        let name = tag.name();
        let address = (name == "a").then(|| tag.attr("href")).flatten();
        if let Some(address) = address {
            part.push_str("<a href=\"");
            part.push_str(&escape_attribute(&address));
            part.push_str("\">");
        } else if html::is_formatting(name) {
            // Writing to a string doesn't fail.
            let _ = write!(part, "<{name}>");
        }
    }

    pub fn end(&mut self, name: &str) {
        if let Some((_, part)) = self.parts.last_mut().filter(|_| html::is_formatting(name)) {
            let _ = write!(part, "</{name}>");
            self.at_line |= html::is_block(name);
        }
    }

    /// Adds text; where it isn't preformatted, white space is as good as one space.
    pub fn text(&mut self, text: &str, is_preformatted: bool) {
        let Some((_, part)) = self.parts.last_mut() else {
            return;
        };
        if is_preformatted {
            part.push_str(&escape_attribute(text));
            return;
        }
        for (at, word) in text.split(char::is_whitespace).enumerate() {
            if at > 0 && !self.at_line && !part.ends_with(' ') {
                part.push(' ');
            }
            if !word.is_empty() {
                part.push_str(&escape_attribute(word));
                self.at_line = false;
            }
        }
    }

    /// A request or response, by the heading above it.
    pub fn message(&mut self, text: &str) {
        let text = text.trim().to_owned();
        let is_response = self.part().starts_with("Response");
        match self.messages.last_mut() {
            Some(last) if is_response && last.response.is_empty() => last.response = text,
            _ if is_response => self.messages.push(RequestResponse {
                request: String::new(),
                response: text,
            }),
            _ => self.messages.push(RequestResponse {
                request: text,
                response: String::new(),
            }),
        }
    }

    /// What describes this very issue.
    pub fn detail(&self) -> String {
        self.texts(|name| matches!(name, "issue detail" | "issue description"))
    }

    /// What is found out at this very place, other than by the messages.
    pub fn evidence(&self) -> String {
        let known = |name: &str| {
            let first = name.split(' ').next().unwrap_or_default();
            let known = [
                "issue",
                "remediation",
                "references",
                "vulnerability",
                "request",
                "response",
            ];
            known.contains(&first)
        };
        let mut evidence = Vec::new();
        for (name, part) in &self.parts {
            if !known(&name.to_lowercase()) {
                evidence.push((name.as_str(), html::to_text_with_links(part)));
            }
        }
        sections(&evidence)
    }

    /// Fills in what is the same for all issues of a type.
    pub fn fill(&self, finding: &mut ReportFinding) {
        words::fill(&mut finding.impact, || {
            self.texts(|name| name == "issue background")
        });
        words::fill(&mut finding.mitigation, || {
            self.texts(|name| name.contains("remediation"))
        });
        let classes = self.texts(|name| name == "vulnerability classifications");
        words::fill(&mut finding.references, || {
            let references = self.texts(|name| name == "references");
            let classes = classes.clone();
            sections(&[
                ("References", references),
                ("Vulnerability classifications", classes),
            ])
        });
        words::set_cwes(finding, &classes);
        for word in classes.split(|c: char| !c.is_ascii_alphanumeric() && c != '-') {
            let number = word
                .strip_prefix("CWE-")
                .or_else(|| word.strip_prefix("CAPEC-"));
            if number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())) {
                push_new(&mut finding.vulnerability_ids, word.to_owned());
            }
        }
    }

    fn texts(&self, wanted: impl Fn(&str) -> bool) -> String {
        let parts = self
            .parts
            .iter()
            .filter(|(name, _)| wanted(&name.to_lowercase()));
        let texts: Vec<_> = parts
            .map(|(_, part)| html::to_text_with_links(part))
            .collect();
        texts.join("\n\n").trim().to_owned()
    }
}
