//! The XML of `ReportGenerator` and Audit Workbook: `ReportDefinition > ReportSection > SubSection >
//! IssueListing > Chart > GroupingSection > Issue`.

use std::collections::{HashMap, HashSet};

use tatami_domain::{ReportFinding, Severity};

use super::finding::{Opinion, Paragraphs, cwes, file_name, line_number, place, title};
use super::{each, open_head};
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

/// What is said of all issues of a group.
#[derive(Default)]
struct Guidance {
    summary: String,
    explanation: String,
    recommendations: String,
    tips: String,
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
                "groupTitle" => group = xml.text()?.trim().to_owned(),
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

impl Guidance {
    /// Reads the `<MajorAttributeSummary>` the cursor has just entered.
    fn read(xml: &mut Xml<'_>) -> Result<Self, Refusal> {
        let mut guidance = Self::default();
        each(xml, |xml| {
            if xml.name() != "MetaInfo" {
                return Ok(());
            }
            let (name, value) = name_and_value(xml)?;
            match name.as_str() {
                "Abstract" => guidance.summary = value,
                "Explanation" => guidance.explanation = value,
                "Recommendations" => guidance.recommendations = value,
                "Tips" => guidance.tips = value,
                _ => {}
            }
            Ok(())
        })?;
        Ok(guidance)
    }
}

#[derive(Default)]
struct Issue {
    id: String,
    category: String,
    folder: String,
    kingdom: String,
    summary: String,
    own_summary: String,
    priority: String,
    opinion: Opinion,
    primary: PathElement,
    source: PathElement,
    cwes: Vec<u32>,
}

/// A place in the code.
#[derive(Default)]
struct PathElement {
    file: String,
    path: String,
    line: Option<u64>,
    snippet: String,
    function: String,
}

impl Issue {
    /// Reads the `<Issue>` the cursor has just entered.
    fn read(xml: &mut Xml<'_>) -> Result<Self, Refusal> {
        let mut issue = Self {
            id: xml.attr("iid").unwrap_or_default().trim().to_owned(),
            ..Self::default()
        };
        each(xml, |xml| {
            let field = match xml.name() {
                "Category" => &mut issue.category,
                "Folder" => &mut issue.folder,
                "Kingdom" => &mut issue.kingdom,
                "Abstract" => &mut issue.summary,
                "AbstractCustom" => &mut issue.own_summary,
                "Friority" => &mut issue.priority,
                "Tag" => {
                    issue.opinion.tags.push(name_and_value(xml)?);
                    return Ok(());
                }
                "Comment" => {
                    issue.opinion.comments.push(comment(xml)?);
                    return Ok(());
                }
                "Primary" => return issue.primary.read(xml),
                "Source" => return issue.source.read(xml),
                "ExternalCategory" => {
                    if xml.attr("type").is_some_and(|t| t.trim() == "CWE") {
                        issue.cwes = cwes(&xml.text()?);
                    }
                    return Ok(());
                }
                _ => return Ok(()),
            };
            *field = xml.text()?.trim().to_owned();
            Ok(())
        })?;
        Ok(issue)
    }

    fn finding(&self, guidance: Option<&Guidance>) -> Result<ReportFinding, String> {
        if self.category.is_empty() {
            return Err("the issue has no category".into());
        }
        let stated = [&self.priority, &self.folder];
        let severity = stated.iter().find_map(|text| Severity::from_report(text));
        let Some(severity) = severity else {
            return Err(format!(
                "the issue \"{}\" has no priority from Critical to Low",
                self.category
            ));
        };
        let primary = &self.primary;
        let file = Some(primary.file.as_str()).filter(|file| !file.is_empty());
        let file = file.unwrap_or_else(|| file_name(&primary.path));
        let mut cwes = self.cwes.iter().copied();
        Ok(ReportFinding {
            title: title(&self.category, file, primary.line),
            severity,
            description: self.description(guidance),
            mitigation: guidance.and_then(Guidance::mitigation),
            impact: self.opinion.text(),
            cwe: cwes.next().unwrap_or(0),
            extra_cwes: cwes.collect(),
            file_path: Some(primary.path.clone()).filter(|path| !path.is_empty()),
            line: primary.line,
            unique_id_from_tool: Some(self.id.clone()).filter(|id| !id.is_empty()),
            static_finding: true,
            dynamic_finding: true,
            ..ReportFinding::default()
        })
    }

    fn description(&self, guidance: Option<&Guidance>) -> String {
        let mut text = Paragraphs::default();
        text.table(&[("Category", &self.category), ("Kingdom", &self.kingdom)]);
        let general = guidance.map_or("", |g| g.summary.as_str());
        let summary = [self.summary.as_str(), general];
        text.add(summary.into_iter().find(|s| !s.is_empty()).unwrap_or(""));
        text.add(&self.own_summary);
        self.primary.describe("Location", &mut text);
        self.source.describe("Source", &mut text);
        if let Some(guidance) = guidance {
            text.headed("Explanation", &guidance.explanation);
        }
        text.text()
    }
}

impl Guidance {
    fn mitigation(&self) -> Option<String> {
        let mut text = Paragraphs::default();
        text.add(&self.recommendations);
        text.headed("Tips", &self.tips);
        text.some()
    }
}

impl PathElement {
    fn read(&mut self, xml: &mut Xml<'_>) -> Result<(), Refusal> {
        each(xml, |xml| {
            match xml.name() {
                "FileName" => self.file = xml.text()?.trim().to_owned(),
                "FilePath" => self.path = xml.text()?.trim().to_owned(),
                "LineStart" => self.line = line_number(&xml.text()?),
                "Snippet" => self.snippet = xml.text()?,
                "TargetFunction" => self.function = xml.text()?.trim().to_owned(),
                _ => {}
            }
            Ok(())
        })
    }

    fn describe(&self, label: &str, text: &mut Paragraphs) {
        // `null()` is what Fortify writes where there is no function.
        let function = Some(self.function.as_str()).filter(|f| *f != "null()");
        text.table(&[
            (label, &place(&self.path, self.line)),
            ("Function", function.unwrap_or_default()),
        ]);
        text.code(&self.snippet);
    }
}

fn name_and_value(xml: &mut Xml<'_>) -> Result<(String, String), Refusal> {
    pair(xml, "Name", "Value")
}

fn comment(xml: &mut Xml<'_>) -> Result<(String, String), Refusal> {
    pair(xml, "UserInfo", "Comment")
}

fn pair(xml: &mut Xml<'_>, one: &str, other: &str) -> Result<(String, String), Refusal> {
    let mut pair = (String::new(), String::new());
    each(xml, |xml| {
        if xml.name() == one {
            pair.0 = xml.text()?.trim().to_owned();
        } else if xml.name() == other {
            pair.1 = xml.text()?.trim().to_owned();
        }
        Ok(())
    })?;
    Ok(pair)
}
