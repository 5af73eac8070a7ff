use std::fmt::Write as _;

use serde::Deserialize;
use tatami_domain::{ReportFinding, Severity};

use crate::kit::json::{Decimal, Flag, Int, OneOrMany, Text};
use crate::kit::{cvss, text};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Issue {
    id: Text,
    #[serde(rename = "type")]
    kind: Text,
    attributes: Attributes,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Attributes {
    title: Text,
    description: Text,
    effective_severity_level: Text,
    status: Text,
    ignored: Flag,
    created_at: Text,
    key: Text,
    resolution: Option<Resolution>,
    classes: OneOrMany<Class>,
    problems: OneOrMany<Problem>,
    coordinates: OneOrMany<Coordinate>,
    severities: OneOrMany<Rating>,
    risk: Option<Risk>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Resolution {
    resolved_at: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Class {
    id: Text,
    source: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    id: Text,
    source: Text,
    #[serde(rename = "type")]
    kind: Text,
    url: Text,
    updated_at: Text,
}

/// Where an issue is, and what can be done there.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Coordinate {
    is_fixable_manually: Flag,
    is_fixable_snyk: Flag,
    is_fixable_upstream: Flag,
    is_patchable: Flag,
    is_pinnable: Flag,
    is_upgradeable: Flag,
    reachability: Text,
    remedies: OneOrMany<Remedy>,
    representations: OneOrMany<Representation>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Remedy {
    description: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Representation {
    #[serde(rename = "sourceLocation")]
    source: Option<Source>,
    dependency: Option<Dependency>,
    #[serde(rename = "resourcePath")]
    resource: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Source {
    file: Text,
    commit_id: Text,
    region: Region,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Region {
    start: Spot,
    end: Spot,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Spot {
    line: Int,
    column: Int,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Dependency {
    package_name: Text,
    package_version: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Rating {
    source: Text,
    score: Decimal,
    vector: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Risk {
    score: RiskScore,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RiskScore {
    value: Decimal,
    model: Text,
}

impl Issue {
    /// The finding, or why there is none.
    pub fn finding(self) -> Result<ReportFinding, String> {
        if &*self.kind != "issue" {
            return Err(format!("is of type \"{}\", not \"issue\"", &*self.kind));
        }
        let issue = &self.attributes;
        let Some(title) = [&issue.title, &issue.key]
            .into_iter()
            .find(|t| !t.is_empty())
        else {
            return Err("has no title".into());
        };
        let places = || {
            issue
                .coordinates
                .0
                .iter()
                .flat_map(|c| &c.representations.0)
        };
        let source = places().find_map(|place| place.source.as_ref());
        let dependency = places().find_map(|place| place.dependency.as_ref());
        let mut cwes = Vec::new();
        for class in issue
            .classes
            .0
            .iter()
            .filter(|c| matches!(&*c.source, "" | "CWE"))
        {
            for cwe in text::cwes(&class.id) {
                text::push_new(&mut cwes, cwe);
            }
        }
        let mut vulnerability_ids = Vec::new();
        for problem in issue
            .problems
            .0
            .iter()
            .filter(|problem| !problem.id.is_empty())
        {
            text::push_new(&mut vulnerability_ids, problem.id.0.clone());
        }
        let of_snyk = |rating: &&Rating| rating.source.eq_ignore_ascii_case("Snyk");
        let ratings = &issue.severities.0;
        let rating = ratings.iter().find(of_snyk).or_else(|| ratings.first());
        let v3 = rating.and_then(|rating| cvss::v3(&rating.vector));
        let v4 = rating.and_then(|rating| cvss::v4(&rating.vector));
        let score = rating.and_then(|rating| rating.score.0);
        let ignored = issue.ignored.0 == Some(true);
        let resolved = !matches!(&*issue.status, "" | "open");
        let lines = |texts: Vec<String>| (!texts.is_empty()).then(|| texts.join("\n"));
        let remedies = issue.coordinates.0.iter().flat_map(|c| &c.remedies.0);
        let urls = issue.problems.0.iter().map(|problem| &problem.url);
        let text = |text: &Text| text.clone().some();
        Ok(ReportFinding {
            title: title.0.clone(),
            severity: Severity::from_report(&issue.effective_severity_level).unwrap_or_default(),
            description: text(&issue.description).unwrap_or_else(|| title.0.clone()),
            mitigation: lines(
                remedies
                    .filter_map(|remedy| text(&remedy.description))
                    .collect(),
            ),
            impact: lines(issue.details()),
            references: lines(urls.filter_map(text).collect()),
            severity_justification: issue.risk.as_ref().and_then(Risk::describe),
            cwe: cwes.first().copied().unwrap_or(0),
            extra_cwes: cwes.into_iter().skip(1).collect(),
            vuln_id_from_tool: vulnerability_ids
                .first()
                .cloned()
                .or_else(|| text(&issue.key)),
            vulnerability_ids,
            unique_id_from_tool: text(&self.id),
            cvssv3_score: v3.as_ref().and_then(|v3| score.or(Some(v3.score))),
            cvssv3: v3.map(|v3| v3.vector),
            cvssv4_score: v4.as_ref().and_then(|v4| score.or(Some(v4.score))),
            cvssv4: v4.map(|v4| v4.vector),
            component_name: dependency.and_then(|d| text(&d.package_name)),
            component_version: dependency.and_then(|d| text(&d.package_version)),
            file_path: source.and_then(|source| text(&source.file)),
            line: source.and_then(|source| source.region.start.line.0),
            fix_available: Some(issue.coordinates.0.iter().any(Coordinate::is_fixable)),
            date: text::date(&issue.created_at),
            active: Some(!ignored && !resolved),
            verified: ignored.then_some(true),
            false_p: ignored.then_some(true),
            is_mitigated: resolved.then_some(true),
            mitigated: (issue.resolution.as_ref().filter(|_| resolved))
                .and_then(|resolution| text::date(&resolution.resolved_at)),
            static_finding: true,
            ..ReportFinding::default()
        })
    }
}

impl Attributes {
    /// The problems and all places, a line each.
    fn details(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = |name: &str, value: &str| {
            if !value.is_empty() {
                lines.push(format!("{name}: {value}"));
            }
        };
        for problem in &self.problems.0 {
            line("id", &problem.id);
            line("Source", &problem.source);
            line("Type", &problem.kind);
            line("Last Updated", &problem.updated_at);
        }
        for coordinate in &self.coordinates.0 {
            for place in &coordinate.representations.0 {
                if let Some(source) = &place.source {
                    line("Source Location", &source.describe());
                    line("Commit", &source.commit_id);
                }
                if let Some(package) = &place.dependency {
                    let (name, version) = (&*package.package_name, &*package.package_version);
                    line("Package", &format!("{name} {version}"));
                }
                line("Resource", &place.resource);
            }
            line("Reachable", &coordinate.reachability);
        }
        lines
    }
}

impl Source {
    fn describe(&self) -> String {
        let Region { start, end } = &self.region;
        let mut out = self.file.0.clone();
        for (name, from, to) in [
            ("Lines", start.line, end.line),
            ("Columns", start.column, end.column),
        ] {
            if let (Some(from), Some(to)) = (from.0, to.0) {
                // Writing to a string doesn't fail.
                let _ = write!(out, ", {name}: {from}-{to}");
            }
        }
        out
    }
}

impl Coordinate {
    fn is_fixable(&self) -> bool {
        let by_hand = [
            self.is_fixable_manually,
            self.is_fixable_snyk,
            self.is_fixable_upstream,
        ];
        let by_update = [self.is_patchable, self.is_pinnable, self.is_upgradeable];
        by_hand
            .into_iter()
            .chain(by_update)
            .any(|flag| flag.0 == Some(true))
    }
}

impl Risk {
    fn describe(&self) -> Option<String> {
        let value = self.score.value.0?;
        Some(format!(
            "Risk Score: {value} (Model: {})",
            &*self.score.model
        ))
    }
}
