//! The XML of `ReportGenerator` and Audit Workbook: `ReportDefinition > ReportSection > SubSection >
//! IssueListing > Chart > GroupingSection > Issue`.

use std::collections::{HashMap, HashSet};

use super::issue::{Guidance, Issue};
use super::{each, open_head, trimmed};
use crate::kit::xml::Xml;
use crate::{Refusal, Report, Sink, Sniff, Warning};

pub const ROOT: &str = "ReportDefinition";

/// Only Fortify's has a template, a logo and a footnote before its sections.
pub fn is_one(sniff: &Sniff<'_>) -> bool {
    let Some(mut xml) = open_head(sniff) else {
        return false;
    };
    let root = xml.level();
    while let Ok(true) = xml.next_in(root) {
        match xml.name() {
            "TemplateName" | "TemplatePath" | "LogoPath" | "Footnote" => return true,
            _ => {}
        }
    }
    false
}

pub fn read(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let mut xml = Xml::open(report)?;
    xml.expect_root(ROOT)
        .map_err(|refusal| refusal.hint("send an FPR, or a report that Fortify wrote as XML"))?;
    let mut reader = Reader {
        sink,
        seen: HashSet::new(),
        guidance: HashMap::new(),
        number: 0,
        listed: 0,
        counted: 0,
        is_template: false,
        has_sections: false,
    };
    each(&mut xml, |xml| {
        if xml.name() != "ReportSection" {
            return Ok(());
        }
        reader.has_sections = true;
        each(xml, |xml| match xml.name() {
            "SubSection" => reader.sub_section(xml),
            _ => Ok(()),
        })
    })?;
    reader.finish(&xml)
}

struct Reader<'s> {
    sink: &'s mut dyn Sink,
    /// The ids of the issues so far: several sections may list the same ones.
    seen: HashSet<String>,
    /// By the group that it was given for, which is a category in most reports.
    guidance: HashMap<String, Guidance>,
    number: u64,
    listed: u64,
    /// The most issues that any listing counts.
    counted: u64,
    is_template: bool,
    has_sections: bool,
}

impl Reader<'_> {
    fn sub_section(&mut self, xml: &mut Xml<'_>) -> Result<(), Refusal> {
        each(xml, |xml| match xml.name() {
            "Text" => {
                self.is_template |= xml.text()?.contains("$TOTAL_FINDINGS$");
                Ok(())
            }
            "IssueListing" => {
                let mut count = 0_u64;
                each(xml, |xml| match xml.name() {
                    "Chart" => each(xml, |xml| match xml.name() {
                        "GroupingSection" => {
                            let stated = xml.attr("count").and_then(|n| n.trim().parse().ok());
                            count = count.saturating_add(stated.unwrap_or(0));
                            self.group(xml)
                        }
                        _ => Ok(()),
                    }),
                    _ => Ok(()),
                })?;
                self.counted = self.counted.max(count);
                Ok(())
            }
            _ => Ok(()),
        })
    }

    fn group(&mut self, xml: &mut Xml<'_>) -> Result<(), Refusal> {
        let mut group = String::new();
        each(xml, |xml| {
            match xml.name() {
                "groupTitle" => group = trimmed(xml)?,
                "MajorAttributeSummary" => {
                    let guidance = Guidance::read(xml)?;
                    self.guidance.insert(group.clone(), guidance);
                }
                "Issue" | "Result" => {
                    self.number += 1;
                    let at = xml.position().line;
                    let issue = Issue::read(xml)?;
                    let is_new = issue.id.is_empty() || self.seen.insert(issue.id.clone());
                    if is_new {
                        self.listed += 1;
                        self.issue(&issue, &group, at)?;
                    }
                }
                _ => {}
            }
            Ok(())
        })
    }

    fn issue(&mut self, issue: &Issue, group: &str, at: u64) -> Result<(), Refusal> {
        let guidance = self.guidance.get(&issue.category);
        match issue.finding(guidance.or_else(|| self.guidance.get(group))) {
            Ok(finding) => self.sink.finding(finding)?,
            Err(message) => self.sink.warning(Warning {
                record: format!("issue {}, line {at}", self.number),
                message,
            }),
        }
        Ok(())
    }

    /// Says what a report without (all of) its issues is.
    fn finish(self, xml: &Xml<'_>) -> Result<(), Refusal> {
        if !self.has_sections {
            return Err(xml.refuse("the report has no sections"));
        }
        let message = if self.listed == 0 && self.is_template {
            "this is the template of a report, not a report: it has no issues yet".to_owned()
        } else if self.counted > self.listed {
            format!(
                "the report counts {} issues and lists {}: make it with the template \
                 DefaultReportDefinitionAllIssues.xml to get all of them",
                self.counted, self.listed
            )
        } else {
            return Ok(());
        };
        let record = ROOT.to_owned();
        self.sink.warning(Warning { record, message });
        Ok(())
    }
}
