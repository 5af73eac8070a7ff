//! What the reports list: vulnerabilities, checks and secrets.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tatami_domain::{ReportFinding, Severity};

use super::owner::Owner;
use crate::kit::json::{Decimal, Flag, Json, Kind, List, Pairs, Text};
use crate::kit::{cvss, text};
use crate::{Refusal, Sink};

/// One of them, to be told of the resource it's about.
pub enum Record {
    Vulnerability(Vulnerability),
    Check(Check),
    Secret(Secret),
}

/// Reads the lists of a report. `true` if it has any.
pub fn read(
    json: &mut Json<'_>,
    sink: &mut dyn Sink,
    owner: Option<&Owner>,
    waiting: &mut Vec<Record>,
) -> Result<bool, Refusal> {
    if !json.expect(Kind::Object, sink)? {
        return Ok(false);
    }
    let mut has_lists = false;
    json.object(|json, key| {
        has_lists |= matches!(key, "vulnerabilities" | "checks" | "secrets");
        match key {
            "vulnerabilities" => list(json, sink, owner, waiting, Record::Vulnerability),
            "checks" => list(json, sink, owner, waiting, Record::Check),
            "secrets" => list(json, sink, owner, waiting, Record::Secret),
            _ => Ok(()),
        }
    })?;
    Ok(has_lists)
}

fn list<T: DeserializeOwned>(
    json: &mut Json<'_>,
    sink: &mut dyn Sink,
    owner: Option<&Owner>,
    waiting: &mut Vec<Record>,
    wrap: fn(T) -> Record,
) -> Result<(), Refusal> {
    if !json.expect(Kind::List, sink)? {
        return Ok(());
    }
    json.list(|json| {
        let Some(record) = json.record::<T>(sink)?.map(wrap) else {
            return Ok(());
        };
        if let Some(field) = record.lacks() {
            sink.warning(json.warning(format!("has no {field}")));
        } else if record.passed() {
        } else if let Some(owner) = owner {
            sink.finding(owner.finding(record))?;
        } else {
            waiting.push(record);
        }
        Ok(())
    })
}

impl Record {
    /// The id without which it's none.
    fn lacks(&self) -> Option<&'static str> {
        let (id, name) = match self {
            Self::Vulnerability(record) => (&record.id, "vulnerabilityID"),
            Self::Check(record) => (&record.id, "checkID"),
            Self::Secret(record) => (&record.title, "title"),
        };
        id.is_empty().then_some(name)
    }

    fn passed(&self) -> bool {
        matches!(self, Self::Check(check) if check.success.0 == Some(true))
    }

    /// As a finding without its resource.
    pub fn finding(self) -> ReportFinding {
        match self {
            Self::Vulnerability(record) => record.finding(),
            Self::Check(record) => record.finding(),
            Self::Secret(record) => record.finding(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Vulnerability {
    #[serde(rename = "vulnerabilityID")]
    id: Text,
    resource: Text,
    installed_version: Text,
    fixed_version: Text,
    published_date: Text,
    severity: Text,
    title: Text,
    description: Text,
    #[serde(rename = "cvsssource")]
    cvss_source: Text,
    cvss: Pairs<Cvss>,
    score: Decimal,
    primary_link: Text,
    links: List,
    target: Text,
    class: Text,
    package_type: Text,
    package_path: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Cvss {
    v3_vector: Text,
    v40_vector: Text,
    v40_score: Decimal,
}

impl Vulnerability {
    fn finding(self) -> ReportFinding {
        let score = self.chosen_cvss();
        let v3 = score.and_then(|score| cvss::v3(&score.v3_vector));
        let v4 = score.and_then(|score| cvss::v4(&score.v40_vector));
        let cvssv4_score = score.and_then(|score| score.v40_score.0);
        let mut description = format!(
            "{}\n**Fixed version:** {}\n",
            &*self.title, &*self.fixed_version
        );
        if !self.description.is_empty() && *self.description != *self.title {
            description.extend(["\n", &*self.description, "\n"]);
        }
        let of_package = matches!(&*self.class, "os-pkgs" | "lang-pkgs");
        let target = self.target.some().filter(|_| of_package);
        let mut links = vec![self.primary_link.0];
        for link in self.links.texts() {
            text::push_new(&mut links, link);
        }
        links.retain(|link| !link.is_empty());
        ReportFinding {
            title: format!(
                "{} {} {}",
                &*self.id, &*self.resource, &*self.installed_version
            ),
            severity: severity(&self.severity),
            description,
            mitigation: self.fixed_version.clone().some(),
            references: (!links.is_empty()).then(|| links.join("\n")),
            vulnerability_ids: vec![self.id.0],
            cvssv3_score: self.score.0.or(v3.as_ref().map(|v| v.score)),
            cvssv3: v3.map(|v| v.vector),
            cvssv4_score: cvssv4_score.or(v4.as_ref().map(|v| v.score)),
            cvssv4: v4.map(|v| v.vector),
            component_name: self.resource.some(),
            component_version: self.installed_version.some(),
            fix_available: Some(!self.fixed_version.is_empty()),
            fix_version: self.fixed_version.some(),
            file_path: self.package_path.some().or(target),
            publish_date: text::date(&self.published_date),
            tags: [self.package_type, self.class]
                .into_iter()
                .filter_map(Text::some)
                .collect(),
            static_finding: true,
            ..ReportFinding::default()
        }
    }

    fn chosen_cvss(&self) -> Option<&Cvss> {
        let known = [&*self.cvss_source, "nvd", "ghsa", "redhat", "bitnami"];
        let mut by_source = known.iter().filter_map(|source| self.cvss.get(source));
        by_source
            .next()
            .or_else(|| self.cvss.0.first().map(|(_, score)| score))
    }
}

/// A check of a resource, or of one target in a compliance report.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Check {
    #[serde(rename = "checkID")]
    pub id: Text,
    pub title: Text,
    pub description: Text,
    pub severity: Text,
    pub category: Text,
    pub messages: List,
    pub remediation: Text,
    pub success: Flag,
    pub target: Text,
}

impl Check {
    fn finding(self) -> ReportFinding {
        let parts = self
            .remediation
            .some()
            .into_iter()
            .chain(self.messages.texts());
        let mitigation = parts.collect::<Vec<_>>().join("\n\n");
        ReportFinding {
            title: format!("{} - {}", &*self.id, &*self.title),
            severity: severity(&self.severity),
            description: self.description.0,
            fix_available: Some(!mitigation.is_empty()),
            mitigation: Some(mitigation).filter(|text| !text.is_empty()),
            references: Some(page(&self.id)),
            vulnerability_ids: vec![advisory(&self.id)],
            tags: self.category.some().into_iter().collect(),
            static_finding: true,
            ..ReportFinding::default()
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Secret {
    target: Text,
    #[serde(rename = "ruleID")]
    rule: Text,
    title: Text,
    category: Text,
    severity: Text,
    #[serde(rename = "match")]
    matched: Text,
}

impl Secret {
    fn finding(self) -> ReportFinding {
        ReportFinding {
            title: format!("Secret detected in {} - {}", &*self.target, &*self.title),
            severity: severity(&self.severity),
            description: format!(
                "{}\n**Category:** {}\n**Rule:** {}\n**Match:** {}\n",
                &*self.title, &*self.category, &*self.rule, &*self.matched,
            ),
            references: self.rule.some(),
            file_path: self.target.some(),
            fix_available: Some(true),
            static_finding: true,
            ..ReportFinding::default()
        }
    }
}

pub fn severity(word: &str) -> Severity {
    Severity::from_report(word).unwrap_or(Severity::Info)
}

/// The page about a check.
pub fn page(check: &str) -> String {
    format!(
        "https://avd.aquasec.com/misconfig/kubernetes/{}",
        check.to_ascii_lowercase()
    )
}

/// A check under its name in the vulnerability database: `KSV014`, `KSV-0014` and `AVD-KSV-0014` are
/// all `AVD-KSV-0014`.
pub fn advisory(check: &str) -> String {
    let bare = check.strip_prefix("AVD-").unwrap_or(check);
    for kind in ["KSV", "KCV"] {
        let number = bare
            .strip_prefix(kind)
            .map(|rest| rest.trim_start_matches('-'));
        if let Some(number) = number.and_then(|n| n.parse::<u32>().ok()) {
            return format!("AVD-{kind}-{number:04}");
        }
    }
    check.to_owned()
}
