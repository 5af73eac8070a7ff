//! `audit.xml` of an FPR: what auditors decided and said.

use std::collections::HashMap;

use super::each;
use super::finding::Opinion;
use crate::kit::xml::Xml;
use crate::{Refusal, Report};

const ROOT: &str = "Audit";

/// The id of the tag *Analysis*, which every installation has.
const ANALYSIS: &str = "87f2364f-dcd4-49e6-861d-f8d3f351686b";

/// The audited issues by their instance's id.
#[derive(Debug, Default)]
pub struct Audit(HashMap<String, Issue>);

/// What is known of an audited issue.
#[derive(Debug, Default)]
pub struct Issue {
    pub suppressed: bool,
    pub opinion: Opinion,
}

impl Audit {
    pub fn read(report: Report<'_>) -> Result<Self, Refusal> {
        let mut issues = HashMap::new();
        let mut xml = Xml::open(report)?;
        xml.expect_root(ROOT)?;
        each(&mut xml, |xml| {
            if xml.name() != "IssueList" {
                return Ok(());
            }
            each(xml, |xml| {
                let id = xml.attr("instanceId");
                if let (Some(id), "Issue") = (id, xml.name()) {
                    issues.insert(id, Issue::read(xml)?);
                }
                Ok(())
            })
        })?;
        Ok(Self(issues))
    }

    pub fn of(&self, instance: &str) -> Option<&Issue> {
        self.0.get(instance)
    }
}

impl Issue {
    fn read(xml: &mut Xml<'_>) -> Result<Self, Refusal> {
        let suppressed = xml.attr("suppressed");
        let mut issue = Self {
            suppressed: suppressed.is_some_and(|flag| flag.trim().eq_ignore_ascii_case("true")),
            opinion: Opinion::default(),
        };
        each(xml, |xml| {
            match xml.name() {
                "Tag" if xml.attr("id").as_deref() == Some(ANALYSIS) => {
                    let value = child_text(xml, "Value")?;
                    issue.opinion.tags.push(("Analysis".to_owned(), value));
                }
                "ThreadedComments" => each(xml, |xml| {
                    issue.opinion.comments.push(comment(xml)?);
                    Ok(())
                })?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(issue)
    }
}

fn comment(xml: &mut Xml<'_>) -> Result<(String, String), Refusal> {
    let (mut who, mut when, mut what) = Default::default();
    each(xml, |xml| {
        match xml.name() {
            "Username" => who = xml.text()?,
            "Timestamp" => when = xml.text()?,
            "Content" => what = xml.text()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((format!("{who}, {when}"), what))
}

fn child_text(xml: &mut Xml<'_>, name: &str) -> Result<String, Refusal> {
    let mut text = String::new();
    each(xml, |xml| {
        if xml.name() == name {
            text = xml.text()?;
        }
        Ok(())
    })?;
    Ok(text)
}
