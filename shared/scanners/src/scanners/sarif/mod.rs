//! # SARIF
//!
//! The Static Analysis Results Interchange Format is the common language of code scanners: `CodeQL`,
//! Semgrep, Checkov, gosec, njsscan, `SpotBugs`, Grype, dependency-check, clang and many more write
//! it.
//!
//! ## Exporting the report
//!
//! Most tools have an option for it, such as `semgrep scan --sarif --output report.sarif`,
//! `codeql database analyze --format=sarif-latest --output=report.sarif` or
//! `grype -o sarif <image>`.
//!
//! ## What is read
//!
//! SARIF 2.1.0 in JSON, see the
//! [standard](https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html) and its
//! [schema](https://json.schemastore.org/sarif-2.1.0.json). All runs of a log are read; a result is
//! a finding at each of its locations, or one without a place. Results of another kind than `fail`
//! are no findings. The import is stored under the test type of the first run's tool: `CodeQL`
//! becomes `CodeQL Scan (SARIF)`.
//!
//! | in the report | in the finding |
//! |---|---|
//! | `message` with its arguments, else the rule's description, name or id | title |
//! | `level`, else the rule's: `error`, `warning`, `note`, `none` | severity: High, Medium, Info, Info |
//! | the rule's `security-severity` | severity by the CVSS scale, and the CVSS score |
//! | `cvssv3_vector`, `cvssv40_vector` of the rule's properties | CVSS |
//! | message, snippet, logical location of what has no file, rule name and descriptions, the last code flow | description |
//! | first location: `uri`, `startLine` | file path, line |
//! | `ruleId` | the tool's vulnerability id; a CVE in it is a vulnerability id |
//! | CWEs in the result's properties, else in the rule's relationships, tags and properties, else in `taxa` | CWE |
//! | `helpUri`, else a link in `help` | references |
//! | `fixes` | mitigation |
//! | `fingerprints` (the first), else `partialFingerprints` (all) | unique id from tool |
//! | `tags` of rule and result | tags |
//! | `suppressions` that are not rejected or under review | false positive, inactive |
//! | `baselineState` `absent` | mitigated, inactive |
//! | `webRequest`, `webResponse` | request and response |
//! | end of the run's last invocation | date |
//!
//! A log of a tool that has a scan type of its own, such as Trivy, is read for that. There a message
//! that names a package line by line (`Package: …`, `Installed Version: …`) gives title, component and
//! severity.
//!
//! Findings are the same where the unique id is, or title, CWE, line, file path and description.

use std::collections::HashMap;

use jiff::civil::Date;
use tatami_domain::{ReportFinding, ReportTest, RequestResponse, Severity};

use self::schema::{
    Artifact, Invocation, Location, Message, Outcome, Reference, Rule, ThreadFlow, Tool, WebMessage,
};
use crate::kit::json::{self, Json, Kind, OneOrMany, Pairs, Text, Texts};
use crate::kit::{cvss, text};
use crate::{Algorithm, Dedupe, Format, Refusal, Report, Scanner, Sink, Sniff, Stop, Warning, all};

mod package;
mod schema;

const SCAN_TYPE: &str = "SARIF";

pub static SCANNERS: &[Scanner] = &[Scanner {
    scan_type: SCAN_TYPE,
    formats: &[Format {
        name: "SARIF",
        extensions: &["sarif", "json"],
    }],
    dedupe: Dedupe {
        algorithm: Algorithm::UniqueIdOrHashCode,
        fields: &[],
        allows_null_cwe: true,
    },
    sarif_drivers: &[],
    detect,
    read,
}];

/// Titles are cut at a word.
const TITLE_WIDTH: usize = 150;

fn detect(sniff: &Sniff<'_>) -> bool {
    let seen = sniff.json();
    let says_so = |text: Option<&str>| text.is_some_and(|t| t.to_ascii_lowercase().contains("sarif"));
    let is_sarif = seen.has("runs[].tool.driver")
        || says_so(seen.text("$schema"))
        || seen.text("version") == Some("2.1.0");
    seen.has("runs") && is_sarif && !all().any(|scanner| scanner.writes_sarif(sniff))
}

/// The name of the tool that wrote a SARIF log, where its head is that far. (A log that is one has
/// `runs[].tool.driver`.)
pub fn driver_of<'s>(sniff: &'s Sniff<'_>) -> Option<&'s str> {
    sniff.json().text("runs[].tool.driver.name")
}

fn read(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    read_as(SCAN_TYPE, report, sink)
}

/// Reads a SARIF log for a scan type, whose name goes into that of the test type.
pub fn read_as(scan_type: &str, report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    if scan_type == SCAN_TYPE {
        return read_log(scan_type, report, sink);
    }
    read_log(scan_type, report, &mut package::Named { sink })
}

fn read_log(scan_type: &str, report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    json::read(report, |json| {
        let mut runs = None;
        json.object(|json, key| match key {
            "version" => {
                let version = json.value::<Text>()?;
                if version.starts_with("2.1") {
                    return Ok(());
                }
                let message = format!("SARIF version \"{}\" cannot be read", &*version);
                Err(json.refuse(message).hint("export version 2.1.0"))
            }
            "runs" => {
                let mut count = 0;
                json.list(|json| {
                    count += 1;
                    run(json, sink, (count == 1).then_some(scan_type))
                })?;
                runs = Some(count);
                Ok(())
            }
            _ => Ok(()),
        })?;
        let refusal = || Refusal::new("this is not a SARIF log: it has no \"runs\"");
        runs.map(drop).ok_or_else(refusal)
    })
}

/// Reads one run. `test`: it is the first one, whose tool names the test type for this scan type.
fn run(json: &mut Json<'_>, sink: &mut dyn Sink, test: Option<&str>) -> Result<(), Refusal> {
    if !json.expect(Kind::Object, sink)? {
        return Ok(());
    }
    let mut tool = None;
    let mut dated = None;
    let mut artifacts = Vec::new();
    // Members come in any order, and results need the rules, the date and the files of the run.
    let mut waiting: Vec<(String, Outcome)> = Vec::new();
    let mut run: Option<Run> = None;
    let mut has_results = false;
    json.object(|json, key| {
        match key {
            "tool" => tool = Some(json.value::<Tool>()?),
            "invocations" => {
                let all = json.record::<OneOrMany<Invocation>>(sink)?.unwrap_or_default();
                dated = Some(all.0.last().and_then(|last| {
                    text::date(&last.end_time_utc).or_else(|| text::date(&last.start_time_utc))
                }));
            }
            "artifacts" => json.list(|json| {
                let artifact = json.record::<Artifact>(sink)?.unwrap_or_default();
                artifacts.push(artifact.location.uri.0);
                Ok(())
            })?,
            "results" if json.kind()? != Kind::Null => {
                has_results = true;
                if let (Some(date), true, None) = (dated, tool.is_some(), &run) {
                    run = tool.take().map(|tool| Run::new(tool, date, std::mem::take(&mut artifacts)));
                }
                json.list(|json| {
                    let place = json.path();
                    match (json.record::<Outcome>(sink)?, &run) {
                        (Some(outcome), Some(run)) if run.has_files_of(&outcome) => {
                            run.send(&place, &outcome, sink)?;
                        }
                        (Some(outcome), _) => waiting.push((place, outcome)),
                        (None, _) => {}
                    }
                    Ok(())
                })?;
            }
            _ => {}
        }
        Ok(())
    })?;
    if !has_results {
        sink.warning(json.warning("has no results: did the tool run to its end?"));
    }
    let run = match run {
        Some(mut run) => {
            run.artifacts.append(&mut artifacts);
            run
        }
        None => Run::new(tool.unwrap_or_default(), dated.flatten(), artifacts),
    };
    if let Some(scan_type) = test {
        run.tell_test(scan_type, sink);
    }
    for (place, outcome) in waiting {
        run.send(&place, &outcome, sink)?;
    }
    Ok(())
}

/// What the results of a run refer to.
struct Run {
    tool: Tool,
    by_id: HashMap<String, (usize, usize)>,
    date: Option<Date>,
    artifacts: Vec<String>,
}

impl Run {
    fn new(tool: Tool, date: Option<Date>, artifacts: Vec<String>) -> Self {
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

    fn tell_test(&self, scan_type: &str, sink: &mut dyn Sink) {
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
    fn send(&self, place: &str, outcome: &Outcome, sink: &mut dyn Sink) -> Result<(), Stop> {
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
        let describe = |location: Option<&Location>| description(message.as_deref(), rule, location, flow, self);
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
        let (severity, cvssv3_score) = severity(outcome, rule);
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
            cvssv3: vector(|rule| &rule.properties.cvssv3_vector).and_then(cvss::v3).map(|v| v.vector),
            cvssv3_score,
            cvssv4_score: cvssv4.as_ref().map(|v| v.score),
            cvssv4: cvssv4.map(|v| v.vector),
            mitigation: (!fixes.is_empty()).then(|| fixes.join("\n")),
            references: rule.and_then(references),
            cwe: cwes.last().copied().unwrap_or(0),
            extra_cwes: cwes.split_last().map_or_else(Vec::new, |(_, rest)| rest.to_vec()),
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
    fn message(&self, message: &Message, rule: Option<&Rule>) -> Option<String> {
        let by_id = || {
            let of_rule = rule.and_then(|rule| rule.message_strings.get(&message.id));
            of_rule.or_else(|| self.tool.driver.global_message_strings.get(&message.id))
        };
        let own = [&message.text, &message.markdown].into_iter();
        let named = || by_id().into_iter().flat_map(|named| [&named.text, &named.markdown]);
        let text = match &*message.text {
            "" => named().chain(own).find(|text| !text.is_empty())?,
            text => text,
        };
        Some(filled(text, &message.arguments.0)).filter(|text| !text.is_empty())
    }

    /// Have the files come up that a result names by their numbers only?
    fn has_files_of(&self, outcome: &Outcome) -> bool {
        let places = outcome.locations.0.iter().chain(last_flow(outcome).into_iter().flat_map(steps));
        let mut files = places.map(|location| &location.physical_location.artifact_location);
        files.all(|file| {
            let number = file.index.0.filter(|_| file.uri.is_empty());
            number.is_none_or(|number| number < self.artifacts.len() as u64)
        })
    }

    fn uri<'a>(&'a self, location: &'a Location) -> Option<&'a str> {
        let artifact = &location.physical_location.artifact_location;
        if !artifact.uri.is_empty() {
            return Some(&artifact.uri);
        }
        let index = usize::try_from(artifact.index.0?).ok()?;
        self.artifacts.get(index).map(String::as_str).filter(|uri| !uri.is_empty())
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
fn filled(text: &str, arguments: &[Text]) -> String {
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

fn severity(outcome: &Outcome, rule: Option<&Rule>) -> (Severity, Option<f64>) {
    let level = match &*outcome.level {
        "" => rule.map_or("", |rule| &rule.default_configuration.level),
        level => level,
    };
    let by_level = match &*level.to_ascii_lowercase() {
        "error" => Severity::High,
        "note" | "none" => Severity::Info,
        _ => Severity::Medium,
    };
    let Some(word) = rule.and_then(|rule| rule.properties.security_severity.first()) else {
        return (by_level, None);
    };
    match word.trim().parse::<f64>() {
        Ok(score) if (0.0..=10.0).contains(&score) => (cvss::severity(score), Some(score)),
        _ => (Severity::from_report(word).unwrap_or(by_level), None),
    }
}

/// The CWEs in the result's properties, else its rule's, else those it is classified by. The last one
/// is the main one.
fn cwes(outcome: &Outcome, rule: Option<&Rule>) -> Vec<u32> {
    let mut found = Vec::new();
    for cwe in outcome.properties.cwe.0.iter().flat_map(|text| text::cwes(text)) {
        text::push_new(&mut found, cwe);
    }
    if !found.is_empty() {
        return found;
    }
    let related = rule.into_iter().flat_map(|rule| &rule.relationships.0);
    for cwe in related.filter_map(|relationship| taxon_cwe(&relationship.target)) {
        text::push_new(&mut found, cwe);
    }
    let properties = rule.into_iter().map(|rule| &rule.properties);
    let texts = properties.flat_map(|p| p.tags.0.iter().chain(&p.cwe.0));
    for cwe in texts.flat_map(|text| text::cwes(text)) {
        text::push_new(&mut found, cwe);
    }
    if found.is_empty() {
        found.extend(outcome.taxa.0.iter().filter_map(taxon_cwe));
    }
    found
}

/// The number of an entry of the taxonomy CWE.
fn taxon_cwe(taxon: &Reference) -> Option<u32> {
    let is_cwe = taxon.tool_component.name.eq_ignore_ascii_case("CWE");
    let number = taxon.id.parse().ok().filter(|_| is_cwe);
    text::cwe(&taxon.id).or(number)
}

fn references(rule: &Rule) -> Option<String> {
    if !rule.help_uri.is_empty() {
        return Some(rule.help_uri.0.clone());
    }
    let help = &*rule.help.text;
    help.starts_with("http").then(|| help.to_owned())
}

/// Suppressed for good: there is a suppression, and none that is rejected or under review.
fn is_suppressed(outcome: &Outcome) -> bool {
    let all = &outcome.suppressions.0;
    let pending = |status: &str| matches!(status, "rejected" | "underReview");
    !all.is_empty() && !all.iter().any(|suppression| pending(&suppression.status))
}

/// The first fingerprint stands for itself, partial ones make up an id together.
fn unique_id(outcome: &Outcome) -> Option<String> {
    if let Some((_, value)) = latest(&outcome.fingerprints).first() {
        return Some((*value).to_owned()).filter(|id| !id.is_empty());
    }
    let mut partial = latest(&outcome.partial_fingerprints);
    partial.sort_unstable();
    let parts: Vec<_> = partial.iter().map(|(name, value)| format!("{name}:{value}")).collect();
    (!parts.is_empty()).then(|| parts.join("|"))
}

/// Fingerprints by name, of several versions (`name/v1`, `name/v2`) the latest (3.27.17).
fn latest(all: &Pairs<Texts>) -> Vec<(&str, &str)> {
    let mut kept: Vec<(&str, u32, &str)> = Vec::new();
    for (key, values) in &all.0 {
        let value = values.first().unwrap_or_default();
        let version = |last: &str| last.strip_prefix('v').unwrap_or(last).parse::<u32>().ok();
        let (name, version) = key
            .rsplit_once('/')
            .and_then(|(name, last)| Some((name.rsplit('/').next()?, version(last)?)))
            .unwrap_or((key, 0));
        match kept.iter_mut().find(|(known, ..)| *known == name) {
            Some(known) if known.1 < version => *known = (name, version, value),
            Some(_) => {}
            None => kept.push((name, version, value)),
        }
    }
    kept.into_iter().map(|(name, _, value)| (name, value)).collect()
}

/// What a scanner of web applications sent and got.
fn exchange(outcome: &Outcome) -> Option<RequestResponse> {
    let text = |message: &Option<WebMessage>| message.as_ref().map(WebMessage::text);
    let (request, response) = (text(&outcome.web_request), text(&outcome.web_response));
    (request.is_some() || response.is_some()).then(|| RequestResponse {
        request: request.unwrap_or_default(),
        response: response.unwrap_or_default(),
    })
}

fn last_flow(outcome: &Outcome) -> Option<&ThreadFlow> {
    let flows = outcome.code_flows.0.iter().flat_map(|flow| &flow.thread_flows.0);
    flows.rev().find(|flow| !flow.locations.0.is_empty())
}

fn steps(flow: &ThreadFlow) -> impl Iterator<Item = &Location> {
    flow.locations.0.iter().map(|place| &place.location)
}

fn description(
    message: Option<&str>,
    rule: Option<&Rule>,
    location: Option<&Location>,
    flow: Option<&ThreadFlow>,
    run: &Run,
) -> String {
    let mut lines = Vec::new();
    if let Some(message) = message {
        lines.push(format!("**Result message:** {message}"));
    }
    let place = location.map(|location| &location.physical_location);
    if let Some(code) = place.and_then(|p| p.region.code().or_else(|| p.context_region.code())) {
        lines.push(format!("**Snippet:**\n```\n{code}\n```"));
    }
    if let Some(name) = location.filter(|l| run.uri(l).is_none()).and_then(logical_name) {
        lines.push(format!("**Location:** {name}"));
    }
    if let Some(rule) = rule {
        let text = |described: &Option<Message>| {
            let described = described.as_ref();
            described.map(|d| run.message(d, Some(rule)).unwrap_or_default())
        };
        if let Some(name) = &rule.name {
            lines.push(format!("**Rule name:** {}", &**name));
        }
        let short = text(&rule.short_description);
        let full = text(&rule.full_description);
        if let Some(short) = short.as_deref().filter(|short| Some(*short) != message) {
            lines.push(format!("**Rule short description:** {short}"));
        }
        let said = [message, short.as_deref()];
        if let Some(full) = full.as_deref().filter(|full| !said.contains(&Some(*full))) {
            lines.push(format!("**Rule full description:** {full}"));
        }
    }
    if let Some(flow) = flow {
        lines.push("**Code flow:**".to_owned());
        for (number, location) in (1..).zip(steps(flow)) {
            lines.push(flow_step(number, location, run));
        }
    }
    lines.join("\n")
}

/// The name of what lies in no file, or that is known without one.
fn logical_name(location: &Location) -> Option<&str> {
    let names = location.logical_locations.0.iter().flat_map(|l| [&l.fully_qualified_name, &l.name]);
    names.map(|name| &**name).find(|name| !name.is_empty())
}

/// `1. file.c:L3:C5<tab>-<tab>code`, and what the tool says of it on a line of its own.
fn flow_step(number: usize, location: &Location, run: &Run) -> String {
    let mut step = format!("{number}. {}", run.uri(location).unwrap_or_default());
    let region = &location.physical_location.region;
    for (mark, at) in [(":L", region.start_line.0), (":C", region.start_column.0)] {
        if let Some(at) = at {
            step.push_str(mark);
            step.push_str(&at.to_string());
        }
    }
    if let Some(code) = region.code() {
        step.push_str("\t-\t");
        step.push_str(code);
    }
    let message = match &*location.message.markdown {
        "" => run.message(&location.message, None),
        markdown => Some(filled(markdown, &location.message.arguments.0)),
    };
    if let Some(message) = message {
        step.push_str("\n\t");
        step.push_str(&message);
    }
    step
}

#[cfg(test)]
mod tests;
