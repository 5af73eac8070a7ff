//! `audit.fvdl` of an FPR: what its vulnerabilities refer to.
//!
//! All of it comes behind the vulnerabilities, and most of it (the nodes of all traces) is of no use
//! for findings. So the file is read twice: first this keeps what the vulnerabilities ask for, then
//! they are read one by one.

use std::collections::{HashMap, HashSet};

use jiff::civil::Date;

use super::finding::Paragraphs;
use super::fvdl::{Location, Metadata, Place, ROOT, Vulnerability, location_in};
use super::prose::Prose;
use super::{each, trimmed};
use crate::kit::text;
use crate::kit::xml::Xml;
use crate::{Refusal, Report};

/// How much is kept of one snippet (minified code has endless lines), and of all.
const MAX_SNIPPET: usize = 4 * 1024;
const MAX_SNIPPETS: usize = 64 * 1024 * 1024;

#[derive(Debug, Default)]
pub struct Pools {
    /// The day of the analysis.
    pub date: Option<Date>,
    /// The size of the snippets that were left out for want of room.
    pub left_out: usize,
    /// How many lists of vulnerabilities there are in the analysis.
    pub lists: usize,
    wanted_nodes: HashSet<String>,
    wanted_snippets: HashSet<String>,
    nodes: HashMap<String, Location>,
    snippets: HashMap<String, Snippet>,
    descriptions: HashMap<String, Description>,
    rules: HashMap<String, Metadata>,
    kept: usize,
    came_early: bool,
    knows_wishes: bool,
}

#[derive(Debug, Default)]
pub struct Snippet {
    pub start: Option<u64>,
    pub text: String,
}

/// The texts about a class of vulnerabilities.
#[derive(Debug, Default)]
pub struct Description {
    pub summary: Prose,
    pub explanation: Prose,
    pub recommendations: Prose,
    pub tips: Vec<Prose>,
    pub references: String,
}

impl Pools {
    /// Keeps what the vulnerabilities of the analysis refer to. `false`: read it again, the pools were
    /// before the vulnerabilities, against the format's schema.
    pub fn gather(&mut self, report: Report<'_>) -> Result<bool, Refusal> {
        self.came_early = false;
        self.lists = 0;
        let mut xml = Xml::open(report)?;
        xml.expect_root(ROOT)?;
        each(&mut xml, |xml| match xml.name() {
            "CreatedTS" => {
                self.date = xml.attr("date").and_then(|date| text::date(&date));
                Ok(())
            }
            "Vulnerabilities" => self.read_wishes(xml),
            "UnifiedNodePool" => self.read_nodes(xml),
            "Description" => self.read_description(xml),
            "Snippets" => self.read_snippets(xml),
            "EngineData" => self.read_rules(xml),
            _ => Ok(()),
        })?;
        Ok(!self.came_early)
    }

    fn read_wishes(&mut self, xml: &mut Xml<'_>) -> Result<(), Refusal> {
        self.knows_wishes = true;
        self.lists += 1;
        each(xml, |xml| {
            match Vulnerability::read(xml)?.place {
                Some(Place::Here(location)) => self.wanted_snippets.extend(location.snippet),
                Some(Place::Node(id)) => {
                    self.wanted_nodes.insert(id);
                }
                None => {}
            }
            Ok(())
        })
    }

    fn read_nodes(&mut self, xml: &mut Xml<'_>) -> Result<(), Refusal> {
        self.came_early |= !self.knows_wishes;
        each(xml, |xml| {
            let id = xml.attr("id").filter(|id| self.wanted_nodes.contains(id));
            if let Some(id) = id
                && let Some(location) = location_in(xml)?
            {
                self.wanted_snippets.extend(location.snippet.clone());
                self.nodes.insert(id, location);
            }
            Ok(())
        })
    }

    fn read_snippets(&mut self, xml: &mut Xml<'_>) -> Result<(), Refusal> {
        self.came_early |= !self.knows_wishes;
        each(xml, |xml| {
            let id = xml
                .attr("id")
                .filter(|id| self.wanted_snippets.contains(id));
            let Some(id) = id else {
                return Ok(());
            };
            let mut snippet = Snippet::default();
            each(xml, |xml| {
                match xml.name() {
                    "StartLine" => snippet.start = xml.text()?.trim().parse().ok(),
                    "Text" => snippet.text = shortened(xml.text()?),
                    _ => {}
                }
                Ok(())
            })?;
            if self.kept + snippet.text.len() > MAX_SNIPPETS {
                self.left_out += snippet.text.len();
                snippet.text.clear();
            }
            self.kept += snippet.text.len();
            self.snippets.insert(id, snippet);
            Ok(())
        })
    }

    fn read_description(&mut self, xml: &mut Xml<'_>) -> Result<(), Refusal> {
        let class_id = xml.attr("classID").unwrap_or_default();
        let mut it = Description::default();
        let mut references = Paragraphs::default();
        each(xml, |xml| match xml.name() {
            "Abstract" => prose(xml, &mut it.summary),
            "Explanation" => prose(xml, &mut it.explanation),
            "Recommendations" => prose(xml, &mut it.recommendations),
            "Tips" => each(xml, |xml| {
                it.tips.push(Prose::new(&xml.text()?));
                Ok(())
            }),
            "References" => each(xml, |xml| {
                let mut parts = Vec::new();
                each(xml, |xml| {
                    parts.push(trimmed(xml)?);
                    Ok(())
                })?;
                parts.retain(|part| !part.is_empty());
                references.add(&parts.join(", "));
                Ok(())
            }),
            _ => Ok(()),
        })?;
        it.references = references.text().replace("\n\n", "\n");
        self.descriptions.insert(class_id, it);
        Ok(())
    }

    fn read_rules(&mut self, xml: &mut Xml<'_>) -> Result<(), Refusal> {
        each(xml, |xml| {
            if xml.name() != "RuleInfo" {
                return Ok(());
            }
            each(xml, |xml| {
                let id = xml.attr("id").unwrap_or_default();
                let mut rule = Metadata::default();
                each(xml, |xml| match xml.name() {
                    "MetaInfo" => rule.read(xml),
                    _ => Ok(()),
                })?;
                self.rules.insert(id, rule);
                Ok(())
            })
        })
    }

    pub fn location<'l>(&'l self, place: &'l Place) -> Option<&'l Location> {
        match place {
            Place::Here(location) => Some(location),
            Place::Node(id) => self.nodes.get(id),
        }
    }

    pub fn snippet(&self, location: &Location) -> Option<&Snippet> {
        self.snippets.get(location.snippet.as_ref()?)
    }

    pub fn description(&self, class_id: &str) -> Option<&Description> {
        self.descriptions.get(class_id)
    }

    pub fn rule(&self, class_id: &str) -> Option<&Metadata> {
        self.rules.get(class_id)
    }
}

fn prose(xml: &mut Xml<'_>, field: &mut Prose) -> Result<(), Refusal> {
    *field = Prose::new(&xml.text()?);
    Ok(())
}

fn shortened(mut text: String) -> String {
    if text.len() > MAX_SNIPPET {
        text.truncate(text.floor_char_boundary(MAX_SNIPPET));
        text.push_str(" [...]");
    }
    text
}
