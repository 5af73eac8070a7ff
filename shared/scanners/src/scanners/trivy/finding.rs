//! What becomes of the records of a result.

use tatami_domain::{ReportFinding, Severity};

use super::schema::{Cvss, License, Misconfiguration, Secret, Vulnerability};
use crate::kit::json::Pairs;
use crate::kit::{cvss, text};
use crate::{Sink, Stop};

/// What a result says of all its records.
#[derive(Debug, Default)]
pub struct Context {
    pub target: Option<String>,
    pub class: Option<String>,
    pub kind: Option<String>,
    pub service: Option<String>,
}

pub enum Record {
    Vulnerability(Vulnerability),
    Misconfiguration(Misconfiguration),
    Secret(Secret),
    License(License),
}

impl Context {
    /// Sends the finding that a record is, if it is one.
    pub fn send(&self, record: Record, sink: &mut dyn Sink) -> Result<(), Stop> {
        match record {
            Record::Vulnerability(record) => sink.finding(self.vulnerability(&record)),
            Record::Misconfiguration(record) if record.passed() => Ok(()),
            Record::Misconfiguration(record) => sink.finding(self.misconfiguration(record)),
            Record::Secret(record) => sink.finding(self.secret(&record)),
            Record::License(record) => sink.finding(self.license(record)),
        }
    }

    fn target(&self) -> &str {
        self.target.as_deref().unwrap_or_default()
    }

    fn kind(&self) -> &str {
        self.kind.as_deref().unwrap_or_default()
    }

    /// What findings of all kinds have in common.
    fn finding(&self) -> ReportFinding {
        let tags = [&self.kind, &self.class].into_iter().flatten();
        ReportFinding {
            static_finding: true,
            tags: tags.filter(|tag| !tag.is_empty()).cloned().collect(),
            service: self.service.clone().filter(|service| !service.is_empty()),
            ..ReportFinding::default()
        }
    }

    fn vulnerability(&self, record: &Vulnerability) -> ReportFinding {
        let Vulnerability {
            id,
            package,
            installed,
            fixed,
            ..
        } = record;
        let mut cwes = Vec::new();
        for cwe in record.cwes.0.iter().flat_map(|cwe| text::cwes(cwe)) {
            text::push_new(&mut cwes, cwe);
        }
        let (state_known, affected) = match &*record.status {
            "affected" | "fixed" | "will_not_fix" | "fix_deferred" | "end_of_life" => (true, true),
            "not_affected" => (true, false),
            _ => (false, true),
        };
        let score = chosen_cvss(&record.cvss, &record.severity_source);
        let v3 = score.and_then(|score| cvss::v3(&score.v3_vector));
        let v4 = score.and_then(|score| cvss::v4(&score.v40_vector));
        let v3_score = score.and_then(|score| score.v3_score.0);
        let v4_score = score.and_then(|score| score.v40_score.0);
        let cvssv3_score = v3_score.or(v3.as_ref().map(|v| v.score));
        let cvssv4_score = v4_score.or(v4.as_ref().map(|v| v.score));
        let severity = Severity::from_report(&record.severity)
            .or_else(|| {
                let score = cvssv4_score.or(cvssv3_score);
                score
                    .filter(|_| record.severity.is_empty())
                    .map(cvss::severity)
            })
            .unwrap_or(Severity::Info);
        // Only results of a class that means packages have a file for target.
        let file_path = record.path.clone().some().or_else(|| {
            let of_packages = matches!(self.class.as_deref(), Some("os-pkgs" | "lang-pkgs"));
            of_packages.then(|| self.target().to_owned())
        });
        ReportFinding {
            title: format!("{} {} {}", &**id, &**package, &**installed),
            severity,
            description: format!(
                "{}\n**Target:** {}\n**Type:** {}\n**Fixed version:** {}\n\n{}\n",
                &*record.title,
                self.target(),
                self.kind(),
                &**fixed,
                &*record.description,
            ),
            mitigation: fixed.clone().some(),
            impact: record.status.clone().some(),
            references: lines(record.references.0.iter().map(|url| &**url))
                .or_else(|| record.primary_url.clone().some()),
            cwe: cwes.first().copied().unwrap_or(0),
            extra_cwes: cwes.into_iter().skip(1).collect(),
            vulnerability_ids: vec![id.0.clone()],
            cvssv3: v3.map(|v| v.vector),
            cvssv3_score,
            cvssv4: v4.map(|v| v.vector),
            cvssv4_score,
            component_name: package.clone().some(),
            component_version: installed.clone().some(),
            fix_available: Some(!fixed.is_empty()),
            fix_version: fixed.clone().some(),
            file_path,
            publish_date: text::date(&record.published),
            active: state_known.then_some(affected),
            verified: Some(state_known),
            is_mitigated: (!affected).then_some(true),
            ..self.finding()
        }
    }

    fn misconfiguration(&self, record: Misconfiguration) -> ReportFinding {
        let mut description = format!(
            "**Target:** {}\n**Type:** {}\n\n{}\n{}\n",
            self.target(),
            &*record.kind,
            &*record.description,
            &*record.message,
        );
        let code = record.cause.code.lines.0;
        if !code.is_empty() {
            description.push_str("Number\tContent\n");
            for line in code {
                let number = line.number.0.map(|n| n.to_string()).unwrap_or_default();
                description.extend([&number, "\t", &*line.content, "\n"]);
            }
            description.push('\n');
        }
        let primary = &*record.primary_url;
        let urls = record.references.0.iter().map(|url| &**url);
        let references = lines(
            [primary]
                .into_iter()
                .chain(urls.filter(|url| *url != primary)),
        );
        ReportFinding {
            title: format!("{} - {}", &*record.id, &*record.title),
            severity: Severity::from_report(&record.severity).unwrap_or(Severity::Info),
            description,
            mitigation: record.resolution.some(),
            impact: record.description.some(),
            references,
            vulnerability_ids: vec![record.id.0],
            file_path: self.target.clone(),
            fix_available: Some(true),
            ..self.finding()
        }
    }

    fn secret(&self, record: &Secret) -> ReportFinding {
        let title = &*record.title;
        ReportFinding {
            title: format!("Secret detected in {} - {title}", self.target()),
            severity: Severity::from_report(&record.severity).unwrap_or(Severity::Info),
            description: format!(
                "{title}\n**Category:** {}\n**Match:** {}\n",
                &*record.category, &*record.matched,
            ),
            file_path: self.target.clone(),
            line: record.start_line.0,
            fix_available: Some(true),
            ..self.finding()
        }
    }

    fn license(&self, record: License) -> ReportFinding {
        let name = &*record.name;
        let confidence = record.confidence.0.map(f64::round);
        ReportFinding {
            title: format!("License detected in {} - {name}", self.target()),
            severity: Severity::from_report(&record.severity).unwrap_or(Severity::Info),
            description: format!(
                "{name}\n**Category:** {}\n**Package:** {}\n",
                &*record.category, &*record.package,
            ),
            references: record.link.some(),
            file_path: record.file_path.some(),
            scanner_confidence: confidence.map(|c| u32::from(c >= 1.0)),
            fix_available: Some(true),
            ..self.finding()
        }
    }
}

/// The scores of the source that Trivy took the severity from, else of the best known source.
fn chosen_cvss<'r>(all: &'r Pairs<Cvss>, severity_source: &str) -> Option<&'r Cvss> {
    let known = [severity_source, "nvd", "ghsa", "redhat", "bitnami"];
    let mut by_source = known.iter().filter_map(|source| all.get(source));
    by_source
        .next()
        .or_else(|| all.0.first().map(|(_, score)| score))
}

/// One text a line; `None` where there is none.
fn lines<'t>(texts: impl Iterator<Item = &'t str>) -> Option<String> {
    let texts: Vec<_> = texts.filter(|text| !text.is_empty()).collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}
