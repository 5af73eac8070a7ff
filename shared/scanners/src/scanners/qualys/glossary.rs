//! The texts of the XML report.

use std::collections::HashMap;

use tatami_domain::Severity;

use super::fields;
use crate::Refusal;
use crate::kit::xml::Xml;
use crate::kit::{html, text};

/// What the glossary says of a QID.
pub struct Details {
    pub title: String,
    pub severity: Severity,
    pub category: String,
    pub threat: String,
    pub impact: String,
    pub solution: String,
    /// Score and metrics.
    pub base_v3: String,
    /// Of CVSS.
    pub version: String,
    pub links: Vec<String>,
}

/// Reads the `<GLOSSARY>` the cursor has just entered; the keys are those of the detections.
pub fn read(xml: &mut Xml<'_>, texts: &mut HashMap<String, Details>) -> Result<(), Refusal> {
    let level = xml.level();
    while xml.next_in(level)? {
        if xml.name() != "VULN_DETAILS_LIST" {
            continue;
        }
        let list = xml.level();
        while xml.next_in(list)? {
            let id = xml.attr("id").unwrap_or_default();
            let details = Details::read(xml)?;
            if !details.title.is_empty() {
                texts.insert(id.trim().to_owned(), details);
            }
        }
    }
    Ok(())
}

impl Details {
    fn read(xml: &mut Xml<'_>) -> Result<Self, Refusal> {
        let mut details = Self {
            title: String::new(),
            severity: Severity::Info,
            category: String::new(),
            threat: String::new(),
            impact: String::new(),
            solution: String::new(),
            base_v3: String::new(),
            version: "3.0".into(),
            links: Vec::new(),
        };
        let level = xml.level();
        while xml.next_in(level)? {
            match xml.name() {
                "TITLE" => xml.text()?.trim().clone_into(&mut details.title),
                "SEVERITY" => {
                    details.severity = fields::severity(&xml.text()?).unwrap_or_default();
                }
                "CATEGORY" => xml.text()?.trim().clone_into(&mut details.category),
                "THREAT" => details.threat = html::to_text(&xml.text()?),
                "IMPACT" => details.impact = html::to_text(&xml.text()?),
                "SOLUTION" => details.solution = html::to_text(&xml.text()?),
                "CVSS3_SCORE" => details.read_score(xml)?,
                "CVE_ID_LIST" | "VENDOR_REFERENCE_LIST" | "BUGTRAQ_ID_LIST" => {
                    details.read_links(xml)?;
                }
                _ => {}
            }
        }
        Ok(details)
    }

    fn read_score(&mut self, xml: &mut Xml<'_>) -> Result<(), Refusal> {
        let score = xml.level();
        while xml.next_in(score)? {
            match xml.name() {
                "CVSS3_BASE" => self.base_v3 = xml.text()?,
                "CVSS3_VERSION" => xml.text()?.trim().clone_into(&mut self.version),
                _ => {}
            }
        }
        Ok(())
    }

    fn read_links(&mut self, xml: &mut Xml<'_>) -> Result<(), Refusal> {
        let list = xml.level();
        while xml.next_in(list)? {
            let reference = xml.level();
            while xml.next_in(reference)? {
                if xml.name() == "URL" {
                    let link = xml.text()?;
                    if !link.trim().is_empty() {
                        text::push_new(&mut self.links, link.trim().to_owned());
                    }
                }
            }
        }
        Ok(())
    }
}
