use std::rc::Rc;

use serde::Deserialize;
use tatami_domain::ReportFinding;

use super::issue::{Advisories, Advisory, Vulnerability};
use super::log;
use super::misconfiguration::Misconfiguration;
use crate::kit::json::{Json, Kind, List, Pairs, Text};
use crate::{Refusal, Sink};

/// What came of reading a project.
pub enum Read {
    Whole,
    /// Snyk itself failed, with this message.
    Failed(String),
    /// It's something else.
    Unknown,
}

/// What a project says of all its issues. Snyk writes it after them, so that they wait: in short,
/// for the texts of a vulnerability are the same at each of its paths.
#[derive(Default)]
struct Project {
    target_file: String,
    upgrades: Vec<(String, Upgrade)>,
    advisories: Advisories,
    waiting: Vec<Waiting>,
}

pub struct Waiting {
    pub finding: ReportFinding,
    /// The package as `upgrades` names it.
    pub package: String,
    /// None of a misconfiguration.
    pub advisory: Option<Rc<Advisory>>,
}

/// A direct dependency to be upgraded.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Upgrade {
    upgrade_to: Text,
    /// The vulnerable packages that it replaces, with their versions.
    upgrades: List,
}

/// Reads the object of a project, or a SARIF log.
pub fn read(json: &mut Json<'_>, sink: &mut dyn Sink) -> Result<Read, Refusal> {
    let mut project = Project::default();
    let mut whole = false;
    let mut error = String::new();
    json.object(|json, key| {
        match key {
            "vulnerabilities" => {
                whole = true;
                json.objects(sink, |json, sink| {
                    if let Some(issue) = json.record::<Vulnerability>(sink)? {
                        match issue.findings(&mut project.advisories) {
                            Some(findings) => project.waiting.extend(findings),
                            None => sink.warning(json.warning("has no id, or names no package")),
                        }
                    }
                    Ok(())
                })?;
            }
            "infrastructureAsCodeIssues" => {
                whole = true;
                json.objects(sink, |json, sink| {
                    if let Some(issue) = json.record::<Misconfiguration>(sink)? {
                        match issue.finding() {
                            Some(finding) => project.waiting.push(finding),
                            None => sink.warning(json.warning("has neither a title nor an id")),
                        }
                    }
                    Ok(())
                })?;
            }
            "applications" => json.objects(sink, |json, sink| {
                match read(json, sink)? {
                    Read::Whole => {}
                    Read::Failed(error) => sink.warning(json.warning(not_tested(&error))),
                    Read::Unknown => sink.warning(json.warning("has no \"vulnerabilities\"")),
                }
                Ok(())
            })?,
            "runs" => {
                whole = true;
                log::runs(json, sink, None)?;
            }
            "displayTargetFile" => project.target_file = text(json, sink)?,
            "targetFile" if project.target_file.is_empty() => {
                project.target_file = text(json, sink)?;
            }
            "remediation" if json.expect(Kind::Object, sink)? => json.object(|json, key| {
                if key == "upgrade" {
                    let upgrades = json.record::<Pairs<Upgrade>>(sink)?;
                    project.upgrades = upgrades.unwrap_or_default().0;
                }
                Ok(())
            })?,
            "error" => error = text(json, sink)?,
            _ => {}
        }
        Ok(())
    })?;
    if !whole {
        return Ok(if error.is_empty() {
            Read::Unknown
        } else {
            Read::Failed(error)
        });
    }
    for waiting in std::mem::take(&mut project.waiting) {
        sink.finding(project.finding(waiting))?;
    }
    Ok(Read::Whole)
}

fn text(json: &mut Json<'_>, sink: &mut dyn Sink) -> Result<String, Refusal> {
    Ok(json.record::<Text>(sink)?.unwrap_or_default().0)
}

pub fn not_tested(error: &str) -> String {
    format!("Snyk could not test it: {error}")
}

impl Project {
    /// The finding with what only the project knows.
    fn finding(&self, waiting: Waiting) -> ReportFinding {
        let Waiting {
            mut finding,
            package,
            advisory,
        } = waiting;
        let Some(advisory) = advisory else {
            finding.file_path = Some(self.target_file.clone()).filter(|file| !file.is_empty());
            return finding;
        };
        finding.description.push_str(&advisory.description);
        finding.references = Some(advisory.references.clone()).filter(|links| !links.is_empty());
        let mut steps = Vec::new();
        steps.extend(advisory.remediation().map(str::to_owned));
        if !self.target_file.is_empty() {
            finding
                .tags
                .push(format!("target_file:{}", self.target_file));
        }
        for (direct, upgrade) in &self.upgrades {
            let replaces = |spec: &Text| without_version(spec) == package;
            if !upgrade.upgrades.0.iter().any(replaces) {
                continue;
            }
            let to = &*upgrade.upgrade_to;
            finding.tags.push(format!("upgrade_to:{to}"));
            let mut step = format!("Upgrade from {direct} to {to}, which also updates:");
            for spec in &upgrade.upgrades.0 {
                step.push_str("\n- ");
                step.push_str(spec);
            }
            steps.push(step);
        }
        if !steps.is_empty() && !self.target_file.is_empty() {
            steps.push(format!("Upgrade location: {}", self.target_file));
        }
        finding.mitigation = (!steps.is_empty()).then(|| steps.join("\n\n"));
        finding
    }
}

/// `@scope/name@1.0` without the version.
pub fn without_version(spec: &str) -> &str {
    match spec.rsplit_once('@') {
        Some((name, _)) if !name.is_empty() => name,
        _ => spec,
    }
}
