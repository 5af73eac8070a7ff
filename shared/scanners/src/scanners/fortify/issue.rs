//! What a report says of one issue, and of all issues of a category.

use tatami_domain::{ReportFinding, Severity};

use super::finding::{Opinion, Paragraphs, cwes, file_name, line_number, place, title};
use super::{each, trimmed};
use crate::Refusal;
use crate::kit::xml::Xml;

/// What is said of all issues of a group.
#[derive(Default)]
pub struct Guidance {
    summary: String,
    explanation: String,
    recommendations: String,
    tips: String,
}

impl Guidance {
    /// Reads the `<MajorAttributeSummary>` the cursor has just entered.
    pub fn read(xml: &mut Xml<'_>) -> Result<Self, Refusal> {
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
pub struct Issue {
    pub id: String,
    pub category: String,
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
    pub fn read(xml: &mut Xml<'_>) -> Result<Self, Refusal> {
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
            *field = trimmed(xml)?;
            Ok(())
        })?;
        Ok(issue)
    }

    pub fn finding(&self, guidance: Option<&Guidance>) -> Result<ReportFinding, String> {
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
                "FileName" => self.file = trimmed(xml)?,
                "FilePath" => self.path = trimmed(xml)?,
                "LineStart" => self.line = line_number(&xml.text()?),
                "Snippet" => self.snippet = xml.text()?,
                "TargetFunction" => self.function = trimmed(xml)?,
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
            pair.0 = trimmed(xml)?;
        } else if xml.name() == other {
            pair.1 = trimmed(xml)?;
        }
        Ok(())
    })?;
    Ok(pair)
}
