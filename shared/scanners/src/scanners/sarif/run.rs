//! A run: what its results refer to, and the findings that they are.

use std::collections::HashMap;

use jiff::civil::Date;
use tatami_domain::{ReportFinding, ReportTest};

use super::describe::{description, last_flow, steps};
use super::facts::{self, cwes, exchange, is_suppressed, references, unique_id};
use super::schema::{Location, Message, Outcome, Rule, Tool};
use crate::kit::json::{self, Text, Texts};
use crate::kit::{cvss, text};
use crate::{Sink, Stop, Warning};

/// Titles are cut at a word.
const TITLE_WIDTH: usize = 150;

/// What the results of a run refer to.
pub struct Run {
    tool: Tool,
    by_id: HashMap<String, (usize, usize)>,
    date: Option<Date>,
    pub artifacts: Vec<String>,
}

impl Run {
    pub fn new(tool: Tool, date: Option<Date>, artifacts: Vec<String>) -> Self {
        let mut by_id = HashMap::new();
        // Component 0 is the driver, the others are its extensions.
        let components = [&tool.driver].into_iter().chain(&tool.extensions.0);
        for (component, rules) in components.map(|c| &c.rules.0).enumerate() {
            for (index, rule) in rules.iter().enumerate() {
                by_id.entry(rule.id.0.clone()).or_insert((component, index));
            }
        }
        Self {
            tool,
            by_id,
            date,
            artifacts,
        }
    }

    pub fn tell_test(&self, scan_type: &str, sink: &mut dyn Sink) {
        let driver = &self.tool.driver;
        if driver.name.is_empty() {
            return;
        }
        sink.test(ReportTest {
            name: Some(driver.name.0.clone()),
            test_type: Some(text::test_type(&driver.name, scan_type)),
            version: driver.version.clone().some(),
            description: None,
        });
    }

    fn rule_at(&self, component: usize, index: usize) -> Option<&Rule> {
        let component = match component.checked_sub(1) {
            None => &self.tool.driver,
            Some(extension) => self.tool.extensions.0.get(extension)?,
        };
        component.rules.0.get(index)
    }

    /// The rule of a result: by its id (of which `A/B` may be a special case of `A`), else by index.
    fn rule_of(&self, outcome: &Outcome) -> Option<&Rule> {
        let at = |index: &json::Int| usize::try_from(index.0?).ok();
        let mut id = rule_id(outcome);
        while !id.is_empty() {
            if let Some(&(component, index)) = self.by_id.get(id) {
                return self.rule_at(component, index);
            }
            id = id.rsplit_once('/').map_or("", |(general, _)| general);
        }
        if !rule_id(outcome).is_empty() {
            return None;
        }
        let component = at(&outcome.rule.tool_component.index).map_or(0, |extension| extension + 1);
        let index = at(&outcome.rule_index).or_else(|| at(&outcome.rule.index))?;
        self.rule_at(component, index)
    }

    /// Sends a finding for each location of a result.
    pub fn send(&self, place: &str, outcome: &Outcome, sink: &mut dyn Sink) -> Result<(), Stop> {
        if !matches!(&*outcome.kind, "" | "fail") {
            return Ok(());
        }
        let rule = self.rule_of(outcome);
        let Some(finding) = self.finding(outcome, rule) else {
            sink.warning(Warning {
                record: place.to_owned(),
                message: "has neither a message nor a rule that describes it".into(),
            });
            return Ok(());
        };
        let (message, flow) = (self.message(&outcome.message, rule), last_flow(outcome));
        let describe = |location: Option<&Location>| {
            description(message.as_deref(), rule, location, flow, self)
        };
        let [others @ .., last] = &*outcome.locations.0 else {
            return sink.finding(ReportFinding {
                description: describe(None),
                ..finding
            });
        };
        let at = |location: &Location, finding: ReportFinding| ReportFinding {
            description: describe(Some(location)),
            file_path: self.uri(location).map(str::to_owned),
            line: location.physical_location.region.start_line.0,
            ..finding
        };
        for location in others {
            sink.finding(at(location, finding.clone()))?;
        }
        sink.finding(at(last, finding))
    }

    /// What the findings of a result have in common; `None` where nothing says what it is.
    fn finding(&self, outcome: &Outcome, rule: Option<&Rule>) -> Option<ReportFinding> {
        let title = (self.message(&outcome.message, rule)).or_else(|| rule.and_then(rule_title))?;
        let rule_id = match rule_id(outcome) {
            "" => rule.map_or("", |rule| &rule.id),
            id => id,
        };
        let cwes = cwes(outcome, rule);
        let (severity, cvssv3_score) = facts::severity(outcome, rule);
        let fixes = outcome.fixes.0.iter().map(|fix| &*fix.description.text);
        let fixes: Vec<_> = fixes.filter(|text| !text.is_empty()).collect();
        let suppressed = is_suppressed(outcome);
        // It was there when the baseline was made.
        let gone = &*outcome.baseline_state == "absent";
        let vector = |of: fn(&Rule) -> &Texts| rule.and_then(|rule| of(rule).first());
        let cvssv4 = vector(|rule| &rule.properties.cvssv40_vector).and_then(cvss::v4);
        let mut tags = Vec::new();
        let rule_tags = rule.into_iter().flat_map(|rule| &rule.properties.tags.0);
        for tag in rule_tags.chain(&outcome.properties.tags.0) {
            let tag = tag.strip_prefix("external/cwe/").unwrap_or(tag);
            text::push_new(&mut tags, tag.to_owned());
        }
        Some(ReportFinding {
            title: text::shorten(&title, TITLE_WIDTH),
            severity,
            cvssv3: vector(|rule| &rule.properties.cvssv3_vector)
                .and_then(cvss::v3)
                .map(|v| v.vector),
            cvssv3_score,
            cvssv4_score: cvssv4.as_ref().map(|v| v.score),
            cvssv4: cvssv4.map(|v| v.vector),
            mitigation: (!fixes.is_empty()).then(|| fixes.join("\n")),
            references: rule.and_then(references),
            cwe: cwes.last().copied().unwrap_or(0),
            extra_cwes: cwes
                .split_last()
                .map_or_else(Vec::new, |(_, rest)| rest.to_vec()),
            vulnerability_ids: text::cve(rule_id).into_iter().collect(),
            unique_id_from_tool: unique_id(outcome),
            vuln_id_from_tool: Some(rule_id.to_owned()).filter(|id| !id.is_empty()),
            date: self.date,
            tags,
            static_finding: true,
            active: (suppressed || gone).then_some(false),
            false_p: suppressed.then_some(true),
            is_mitigated: gone.then_some(true),
            requests: exchange(outcome).into_iter().collect(),
            ..ReportFinding::default()
        })
    }

    /// A message with its arguments filled in; its text may stand in the rule or the driver.
    pub fn message(&self, message: &Message, rule: Option<&Rule>) -> Option<String> {
        let by_id = || {
            let of_rule = rule.and_then(|rule| rule.message_strings.get(&message.id));
            of_rule.or_else(|| self.tool.driver.global_message_strings.get(&message.id))
        };
        let own = [&message.text, &message.markdown].into_iter();
        let named = || {
            by_id()
                .into_iter()
                .flat_map(|named| [&named.text, &named.markdown])
        };
        let text = match &*message.text {
            "" => named().chain(own).find(|text| !text.is_empty())?,
            text => text,
        };
        Some(filled(text, &message.arguments.0)).filter(|text| !text.is_empty())
    }

    /// Have the files come up that a result names by their numbers only?
    pub fn has_files_of(&self, outcome: &Outcome) -> bool {
        let places = outcome
            .locations
            .0
            .iter()
            .chain(last_flow(outcome).into_iter().flat_map(steps));
        let mut files = places.map(|location| &location.physical_location.artifact_location);
        files.all(|file| {
            let number = file.index.0.filter(|_| file.uri.is_empty());
            number.is_none_or(|number| number < self.artifacts.len() as u64)
        })
    }

    pub fn uri<'a>(&'a self, location: &'a Location) -> Option<&'a str> {
        let artifact = &location.physical_location.artifact_location;
        if !artifact.uri.is_empty() {
            return Some(&artifact.uri);
        }
        let index = usize::try_from(artifact.index.0?).ok()?;
        self.artifacts
            .get(index)
            .map(String::as_str)
            .filter(|uri| !uri.is_empty())
    }
}

fn rule_id(outcome: &Outcome) -> &str {
    match &*outcome.rule_id {
        "" => &outcome.rule.id,
        id => id,
    }
}

fn rule_title(rule: &Rule) -> Option<String> {
    let described = [&rule.short_description, &rule.full_description];
    let mut titles = (described.into_iter().flatten().map(|d| &*d.text))
        .chain(rule.name.as_deref())
        .chain([&*rule.id]);
    titles.find(|title| !title.is_empty()).map(str::to_owned)
}

/// Replaces `{0}`, `{1}`, ... by the arguments.
pub fn filled(text: &str, arguments: &[Text]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let argument = after.split_once('}').and_then(|(index, after)| {
            let index: usize = index.parse().ok()?;
            Some((arguments.get(index)?, after))
        });
        rest = if let Some((argument, after)) = argument {
            out.push_str(argument);
            after
        } else {
            out.push('{');
            after
        };
    }
    out + rest
}
