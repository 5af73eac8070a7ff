//! `audit.fvdl` of an FPR: a vulnerability as the analysis states it. What it only refers to is in
//! [`super::pools`].

use super::finding::{cwes, line_number};
use super::{each, trimmed};
use crate::Refusal;
use crate::kit::xml::Xml;
use tatami_domain::Severity;

pub const ROOT: &str = "FVDL";

/// From here on an impact or a likelihood is high.
const HIGH: f64 = 2.5;

#[derive(Debug, Default)]
pub struct Vulnerability {
    pub class_id: String,
    pub kingdom: String,
    pub kind: String,
    pub subtype: String,
    pub analyzer: String,
    pub default_severity: String,
    pub instance_id: String,
    pub instance_severity: String,
    pub instance_description: String,
    pub confidence: String,
    pub own: Metadata,
    pub place: Option<Place>,
    /// What its texts have places for.
    pub values: Vec<(String, String)>,
}

/// Where a vulnerability is.
#[derive(Debug)]
pub enum Place {
    Here(Location),
    /// The id of a node in the pool.
    Node(String),
}

#[derive(Debug, Default, Clone)]
pub struct Location {
    pub path: String,
    pub line: Option<u64>,
    pub line_end: Option<u64>,
    /// The snippet's id.
    pub snippet: Option<String>,
}

/// What is known of a rule, or of an instance in its own right.
#[derive(Debug, Default)]
pub struct Metadata {
    pub impact: Option<f64>,
    pub probability: Option<f64>,
    pub accuracy: Option<f64>,
    pub cwes: Vec<u32>,
}

impl Vulnerability {
    /// Reads the `<Vulnerability>` the cursor has just entered.
    pub fn read(xml: &mut Xml<'_>) -> Result<Self, Refusal> {
        let mut it = Self::default();
        each(xml, |xml| match xml.name() {
            "ClassInfo" => each(xml, |xml| {
                let field = match xml.name() {
                    "ClassID" => &mut it.class_id,
                    "Kingdom" => &mut it.kingdom,
                    "Type" => &mut it.kind,
                    "Subtype" => &mut it.subtype,
                    "AnalyzerName" => &mut it.analyzer,
                    "DefaultSeverity" => &mut it.default_severity,
                    _ => return Ok(()),
                };
                *field = trimmed(xml)?;
                Ok(())
            }),
            "InstanceInfo" => each(xml, |xml| {
                let field = match xml.name() {
                    "InstanceID" => &mut it.instance_id,
                    "InstanceSeverity" => &mut it.instance_severity,
                    "InstanceDescription" => &mut it.instance_description,
                    "Confidence" => &mut it.confidence,
                    "MetaInfo" => return it.own.read(xml),
                    _ => return Ok(()),
                };
                *field = trimmed(xml)?;
                Ok(())
            }),
            "AnalysisInfo" => it.read_analysis(xml),
            _ => Ok(()),
        })?;
        Ok(it)
    }

    /// `Type: Subtype`, as Fortify names a category.
    pub fn category(&self) -> String {
        match self.subtype.as_str() {
            "" => self.kind.clone(),
            subtype => format!("{}: {subtype}", self.kind),
        }
    }

    /// Fortify's priority; see the page of the scanner.
    pub fn severity(&self, rule: Option<&Metadata>) -> Severity {
        let known = |of: fn(&Metadata) -> Option<f64>| of(&self.own).or(rule.and_then(of));
        let number = |text: &str| text.parse::<f64>().ok();
        let impact = known(|m| m.impact).or_else(|| number(&self.instance_severity));
        let likelihood = known(|m| m.accuracy)
            .zip(known(|m| m.probability))
            .zip(number(&self.confidence))
            .map(|((accuracy, probability), confidence)| {
                accuracy * probability * confidence / 25.0
            });
        let is_high = |value: Option<f64>| value.is_some_and(|v| v >= HIGH);
        match (is_high(impact), is_high(likelihood)) {
            (true, true) => Severity::Critical,
            (true, false) => Severity::High,
            (false, true) => Severity::Medium,
            (false, false) => Severity::Low,
        }
    }

    /// Looks for the place in whatever elements the analyzers have (`Unified` since 2008). Takes the
    /// default node of the first trace that has a place; without one the last place in it, where the
    /// flaw takes effect.
    fn read_analysis(&mut self, xml: &mut Xml<'_>) -> Result<(), Refusal> {
        each(xml, |xml| match xml.name() {
            // They tell of other places.
            "Context" | "Reason" | "Knowledge" | "AuxiliaryData" | "ExternalEntries" => Ok(()),
            "ReplacementDefinitions" => each(xml, |xml| {
                if let (Some(key), Some(value)) = (xml.attr("key"), xml.attr("value")) {
                    self.values.push((key, value));
                }
                Ok(())
            }),
            "Trace" if self.place.is_some() => Ok(()),
            "Trace" => self.read_trace(xml),
            "SourceLocation" => {
                self.place = Some(Place::Here(Location::of(xml)));
                Ok(())
            }
            _ => self.read_analysis(xml),
        })
    }

    fn read_trace(&mut self, xml: &mut Xml<'_>) -> Result<(), Refusal> {
        let mut has_default = false;
        each(xml, |xml| match xml.name() {
            "Primary" => each(xml, |xml| {
                each(xml, |xml| {
                    if has_default {
                        return Ok(());
                    }
                    if xml.name() == "NodeRef" {
                        self.place = xml.attr("id").map(Place::Node);
                        return Ok(());
                    }
                    has_default = xml.attr("isDefault").as_deref() == Some("true");
                    if let Some(location) = location_in(xml)? {
                        self.place = Some(Place::Here(location));
                    }
                    Ok(())
                })
            }),
            _ => Ok(()),
        })
    }
}

/// The location of the node the cursor has just entered.
pub fn location_in(xml: &mut Xml<'_>) -> Result<Option<Location>, Refusal> {
    let mut location = None;
    each(xml, |xml| {
        if xml.name() == "SourceLocation" {
            location = Some(Location::of(xml));
        }
        Ok(())
    })?;
    Ok(location)
}

impl Location {
    /// Of the `<SourceLocation>` the cursor has just entered.
    fn of(xml: &Xml<'_>) -> Self {
        let line = |name| xml.attr(name).and_then(|text| line_number(&text));
        Self {
            path: xml.attr("path").unwrap_or_default(),
            line: line("line"),
            line_end: line("lineEnd"),
            snippet: xml.attr("snippet"),
        }
    }
}

impl Metadata {
    /// Reads the `<MetaInfo>` the cursor has just entered.
    pub fn read(&mut self, xml: &mut Xml<'_>) -> Result<(), Refusal> {
        each(xml, |xml| {
            let name = xml.attr("name").unwrap_or_default();
            let field = match name.as_str() {
                "Impact" => &mut self.impact,
                "Probability" => &mut self.probability,
                "Accuracy" => &mut self.accuracy,
                "altcategoryCWE" => {
                    self.cwes = cwes(&xml.text()?);
                    return Ok(());
                }
                _ => return Ok(()),
            };
            *field = xml.text()?.trim().parse().ok();
            Ok(())
        })
    }
}
