use std::collections::HashMap;
use std::fmt::Write as _;
use std::rc::Rc;

use serde::Deserialize;
use tatami_domain::{ReportFinding, Severity};

use super::project::{Waiting, without_version};
use crate::kit::json::{Decimal, List, OneOrMany, Pairs, Text, Texts};
use crate::kit::{cvss, text};

/// What stands for "a component with known vulnerabilities" where Snyk names no weakness.
const VULNERABLE_COMPONENT: u32 = 1035;

/// A vulnerability or a licence issue at one path, or at all its paths.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Vulnerability {
    id: Text,
    title: Text,
    #[serde(rename = "type")]
    kind: Text,
    severity: Text,
    severity_with_critical: Text,
    description: Text,
    references: OneOrMany<Reference>,
    package_name: Text,
    name: Texts,
    version: Text,
    from: Option<From>,
    semver: Pairs<Texts>,
    identifiers: Pairs<List>,
    #[serde(rename = "CVSSv3")]
    vector: Text,
    cvss_score: Decimal,
    cvss_sources: OneOrMany<CvssSource>,
    epss_details: Option<Epss>,
    exploit: Text,
    fixed_in: List,
    publication_time: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reference {
    title: Text,
    url: Text,
}

/// The packages from the project to the vulnerable one; several such paths with `--group-issues`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum From {
    Path(Vec<Text>),
    Paths(Vec<Vec<Text>>),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct CvssSource {
    vector: Text,
    base_score: Decimal,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Epss {
    probability: Decimal,
    percentile: Decimal,
}

/// The texts of a vulnerability, however many paths lead to it.
#[derive(Debug, PartialEq)]
pub struct Advisory {
    pub description: String,
    pub references: String,
}

impl Advisory {
    /// The section of that name in the description, which is Markdown.
    pub fn remediation(&self) -> Option<&str> {
        let (_, section) = self.description.split_once("## Remediation")?;
        let section = section
            .split_once("\n## ")
            .map_or(section, |(section, _)| section);
        Some(section.trim()).filter(|section| !section.is_empty())
    }
}

/// Each advisory once, by the id of its vulnerability.
#[derive(Debug, Default)]
pub struct Advisories(HashMap<String, Rc<Advisory>>);

impl Advisories {
    fn kept(&mut self, id: &str, new: Advisory) -> Rc<Advisory> {
        match self.0.get(id) {
            Some(known) if **known == new => Rc::clone(known),
            _ => {
                let new = Rc::new(new);
                self.0.insert(id.to_owned(), Rc::clone(&new));
                new
            }
        }
    }
}

impl Vulnerability {
    /// A finding for each path; `None` where nothing says which vulnerability it is, and of what.
    pub fn findings(mut self, advisories: &mut Advisories) -> Option<Vec<Waiting>> {
        if self.id.is_empty() || (self.from.is_none() && self.package().is_empty()) {
            return None;
        }
        let paths = match self.from.take() {
            Some(From::Paths(paths)) => paths,
            Some(From::Path(path)) => vec![path],
            None => vec![Vec::new()],
        };
        let new = Advisory {
            description: std::mem::take(&mut self.description.0),
            references: self.references(),
        };
        let advisory = advisories.kept(&self.id, new);
        let waiting = |path: Vec<Text>| Waiting {
            finding: self.finding(&path),
            package: self.package().to_owned(),
            advisory: Some(Rc::clone(&advisory)),
        };
        Some(paths.into_iter().map(waiting).collect())
    }

    fn package(&self) -> &str {
        match &*self.package_name {
            "" => self.name.first().unwrap_or_default(),
            name => name,
        }
    }

    fn is_license(&self) -> bool {
        &*self.kind == "license"
    }

    /// By the CVSS score. Only where there is none, as with licences, Snyk's own severity counts, which
    /// for packages of an operating system is that of its vendor.
    fn severity(&self) -> Severity {
        let by_score = self.score().map(cvss::severity);
        let word = || Severity::from_report(self.own_severity());
        by_score.or_else(word).unwrap_or_default()
    }

    fn own_severity(&self) -> &str {
        match &*self.severity_with_critical {
            "" => &self.severity,
            word => word,
        }
    }

    fn score(&self) -> Option<f64> {
        self.cvss_score
            .0
            .filter(|score| (0.0..=10.0).contains(score))
    }

    fn finding(&self, path: &[Text]) -> ReportFinding {
        let mut cwes = Vec::new();
        let ids = |name: &str| {
            self.identifiers
                .get(name)
                .into_iter()
                .flat_map(|list| &list.0)
        };
        for cwe in ids("CWE").flat_map(|cwe| text::cwes(cwe)) {
            text::push_new(&mut cwes, cwe);
        }
        if cwes.is_empty() && !self.is_license() {
            cwes.push(VULNERABLE_COMPONENT);
        }
        let mut vulnerability_ids = Vec::new();
        for cve in ids("CVE").filter(|cve| !cve.is_empty()) {
            text::push_new(&mut vulnerability_ids, cve.0.clone());
        }
        let names: Vec<_> = path.iter().map(|spec| without_version(spec)).collect();
        let vectors = || self.cvss_sources.0.iter().map(|source| &*source.vector);
        let v3 = [&*self.vector]
            .into_iter()
            .chain(vectors())
            .find_map(cvss::v3);
        let v4 = [&*self.vector]
            .into_iter()
            .chain(vectors())
            .find_map(cvss::v4);
        let is_v4 = v4.as_ref().is_some_and(|v4| v4.vector == *self.vector);
        let score = self.score();
        let fixed: Vec<_> = self.fixed_in.0.iter().map(|version| &**version).collect();
        ReportFinding {
            title: match path.first() {
                Some(project) => format!("{}: {}", &**project, self.title()),
                None => self.title().to_owned(),
            },
            severity: self.severity(),
            description: self.component_details(path),
            severity_justification: Some(self.justification()),
            cwe: cwes.first().copied().unwrap_or(0),
            extra_cwes: cwes.into_iter().skip(1).collect(),
            vulnerability_ids,
            cvssv3_score: v3
                .as_ref()
                .map(|v3| v3.score)
                .filter(|_| is_v4)
                .or(score.filter(|_| !is_v4)),
            cvssv3: v3.map(|v3| v3.vector),
            cvssv4_score: v4
                .as_ref()
                .map(|v4| score.filter(|_| is_v4).unwrap_or(v4.score)),
            cvssv4: v4.map(|v4| v4.vector),
            epss_score: self
                .epss_details
                .as_ref()
                .and_then(|epss| epss.probability.0),
            epss_percentile: self
                .epss_details
                .as_ref()
                .and_then(|epss| epss.percentile.0),
            component_name: Some(self.package().to_owned()).filter(|name| !name.is_empty()),
            component_version: self.version.clone().some(),
            file_path: (!names.is_empty()).then(|| names.join(" > ")),
            vuln_id_from_tool: Some(self.id.0.clone()),
            fix_version: (!fixed.is_empty()).then(|| fixed.join(", ")),
            publish_date: text::date(&self.publication_time),
            static_finding: true,
            ..ReportFinding::default()
        }
    }

    fn title(&self) -> &str {
        if self.title.is_empty() {
            &self.id
        } else {
            &self.title
        }
    }

    fn component_details(&self, path: &[Text]) -> String {
        let vulnerable = self
            .semver
            .get("vulnerable")
            .map(|ranges| ranges.0.join(", "));
        let path: Vec<_> = path.iter().map(|spec| &**spec).collect();
        let vulnerable_path = path.join(" > ");
        let mut details = String::from("## Component Details\n");
        for (name, value) in [
            ("Vulnerable Package", self.package()),
            ("Current Version", &*self.version),
            (
                "Vulnerable Version(s)",
                vulnerable.as_deref().unwrap_or_default(),
            ),
            ("Vulnerable Path", &*vulnerable_path),
        ] {
            if !value.is_empty() {
                // Writing to a string doesn't fail.
                let _ = writeln!(details, "- **{name}**: {value}");
            }
        }
        details.push('\n');
        details
    }

    fn justification(&self) -> String {
        let mut why = format!("Issue severity of: **{}**", self.severity());
        if let Some(score) = self.score() {
            let own = self.own_severity();
            let _ = write!(
                why,
                " from a base CVSS score of: **{score}**\nSeverity in Snyk: {own}"
            );
        }
        if !self.exploit.is_empty() {
            let _ = write!(why, "\nExploit: {}", &*self.exploit);
        }
        why
    }

    fn references(&self) -> String {
        let mut lines = vec![format!(
            "**SNYK ID**: https://security.snyk.io/vuln/{}",
            &*self.id
        )];
        for link in self.references.0.iter().filter(|link| !link.url.is_empty()) {
            lines.push(match &*link.title {
                "" => link.url.0.clone(),
                title => format!("**{title}**: {}", &*link.url),
            });
        }
        lines.join("\n")
    }
}
