//! The SARIF logs of Snyk's products.

use tatami_domain::{ReportFinding, ReportTest, Severity};

use super::code;
use super::schema::{Outcome, Rule, Tool};
use crate::kit::json::Json;
use crate::kit::sarif::{self, Visitor};
use crate::kit::{cvss, text};
use crate::{Refusal, Sink, Sniff, Stop, Warning};

/// The drivers whose results are findings of the scan type `Snyk Scan`.
pub const DEPENDENCY_DRIVERS: &[&str] = &["Snyk Open Source", "Snyk Container", "Snyk IaC"];

/// Is it the head of a log of one of these drivers?
pub fn is_of(sniff: &Sniff<'_>, drivers: &[&str]) -> bool {
    let driver = sniff.json().text("runs[].tool.driver.name");
    driver.is_some_and(|name| is_one_of(name, drivers))
}

fn is_one_of(name: &str, drivers: &[&str]) -> bool {
    drivers
        .iter()
        .any(|driver| driver.eq_ignore_ascii_case(name))
}

/// Reads `runs`, the next value. With a scan type, the tool of the first run names the test type.
pub fn runs(
    json: &mut Json<'_>,
    sink: &mut dyn Sink,
    scan_type: Option<&'static str>,
) -> Result<(), Refusal> {
    sarif::runs(json, sink, &mut Findings { scan_type })
}

struct Findings {
    /// Taken by the first run.
    scan_type: Option<&'static str>,
}

impl Visitor for Findings {
    type Tool = Tool;
    type Outcome = Outcome;

    fn tool(&mut self, tool: &Tool, sink: &mut dyn Sink) {
        let driver = &tool.driver;
        let Some(scan_type) = self.scan_type.take().filter(|_| !driver.name.is_empty()) else {
            return;
        };
        let version = [&driver.version, &driver.semantic_version].into_iter();
        sink.test(ReportTest {
            name: Some(driver.name.0.clone()),
            test_type: Some(text::test_type(&driver.name, scan_type)),
            version: version.map(|v| v.0.clone()).find(|v| !v.is_empty()),
            description: None,
        });
    }

    fn outcome(
        &mut self,
        tool: &Tool,
        outcome: Outcome,
        place: &str,
        sink: &mut dyn Sink,
    ) -> Result<(), Stop> {
        if outcome.rule_id.is_empty() {
            sink.warning(Warning {
                record: place.to_owned(),
                message: "has no ruleId".into(),
            });
            return Ok(());
        }
        let default = Rule::default();
        let rule = tool.driver.rule_of(&outcome).unwrap_or(&default);
        sink.finding(if is_one_of(&tool.driver.name, DEPENDENCY_DRIVERS) {
            finding(&outcome, rule)
        } else {
            code::finding(&outcome, rule)
        })
    }
}

/// A vulnerable package or a misconfiguration. What they are stands in the rule.
fn finding(outcome: &Outcome, rule: &Rule) -> ReportFinding {
    let location = outcome.location();
    let package = location.logical_locations.0.first();
    let package = package.map(|logical| &*logical.fully_qualified_name);
    let component = package.map(|spec| spec.rsplit_once('@').unwrap_or((spec, "")));
    let part = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    // Such as `High severity - Prototype Pollution vulnerability in lodash`.
    let summary = &*rule.short_description.text;
    let (rating, title) = summary.split_once(" severity - ").unwrap_or(("", summary));
    let score = rule.properties.security_severity.first();
    let score = score.and_then(|score| score.trim().parse::<f64>().ok());
    let severity = (Severity::from_report(rating))
        .or_else(|| score.map(cvss::severity))
        .unwrap_or_else(|| outcome.level_severity(rule));
    let help = match &*rule.help.markdown {
        "" => &rule.help.text,
        markdown => markdown,
    };
    let texts = [&*outcome.message.text, &rule.full_description.text, help];
    let texts: Vec<_> = texts.into_iter().filter(|text| !text.is_empty()).collect();
    let fixes = outcome
        .fixes
        .0
        .iter()
        .map(|fix| fix.description.text.0.clone());
    let cwes: Vec<u32> = rule
        .properties
        .tags
        .0
        .iter()
        .filter_map(|tag| text::cwe(tag))
        .collect();
    let region = &location.physical_location.region;
    // Line 1 of a manifest only says that Snyk doesn't know the line.
    let first_known = if component.is_some() { 2 } else { 1 };
    let suppressed = outcome.is_suppressed();
    ReportFinding {
        title: if title.is_empty() {
            outcome.rule_id.0.clone()
        } else {
            title.to_owned()
        },
        severity,
        description: texts.join("\n\n"),
        mitigation: fixes.reduce(|all, fix| all + "\n" + &fix),
        references: part(&rule.help_uri).or_else(|| {
            let id = &*outcome.rule_id;
            (id.starts_with("SNYK-") && component.is_some())
                .then(|| format!("https://security.snyk.io/vuln/{id}"))
        }),
        cwe: cwes.first().copied().unwrap_or(0),
        extra_cwes: cwes.into_iter().skip(1).collect(),
        vulnerability_ids: text::vulnerability_ids(&rule.full_description.text),
        cvssv3_score: score.filter(|score| component.is_some() && (0.0..=10.0).contains(score)),
        component_name: component.and_then(|(name, _)| part(name)),
        component_version: component.and_then(|(_, version)| part(version)),
        file_path: part(&location.physical_location.artifact_location.uri),
        line: region.start_line.0.filter(|line| *line >= first_known),
        vuln_id_from_tool: part(&outcome.rule_id),
        active: suppressed.then_some(false),
        risk_accepted: suppressed.then_some(true),
        static_finding: true,
        ..ReportFinding::default()
    }
}
