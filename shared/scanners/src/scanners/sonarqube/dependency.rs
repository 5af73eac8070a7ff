//! Vulnerable components, as Dependency-Check's plugin reports them to SonarQube.

use crate::kit::text;

/// What Dependency-Check's plugin says in a message, in parts such as `Filename: log4j:1.2`,
/// `Reference: CVE-2021-44228`, `CVSS Score: 10.0` and `Category: CWE-20`.
#[derive(Debug, Default)]
pub struct Dependency {
    pub name: Option<String>,
    pub version: Option<String>,
    pub vulnerability_ids: Vec<String>,
    pub score: Option<f64>,
    pub cwes: Vec<u32>,
}

impl Dependency {
    pub fn of(message: &str) -> Self {
        let mut found = Self::default();
        if !message.starts_with("Filename: ") {
            return found;
        }
        for part in message.split(" | ") {
            let Some((label, value)) = part.split_once(": ") else {
                continue;
            };
            match label {
                "Filename" => {
                    let (name, version) = match value.rsplit_once(':') {
                        Some((name, version)) => (name, Some(version.to_owned())),
                        None => (value, None),
                    };
                    found.name = Some(name.to_owned());
                    found.version = version;
                }
                "Reference" | "References" => {
                    let ids = text::vulnerability_ids(value)
                        .into_iter()
                        .filter(|id| is_id(id));
                    ids.for_each(|id| text::push_new(&mut found.vulnerability_ids, id));
                }
                "CVSS Score" | "Highest CVSS Score" => {
                    let score = value.trim().parse().ok();
                    found.score = score.filter(|score| (0.0..=10.0).contains(score));
                }
                "Category" => {
                    text::cwes(value).for_each(|cwe| text::push_new(&mut found.cwes, cwe));
                }
                _ => {}
            }
        }
        found
    }
}

/// The number of a CVE has four digits or more.
fn is_id(id: &str) -> bool {
    let number = id
        .strip_prefix("CVE-")
        .and_then(|rest| rest.split('-').nth(1));
    number.is_none_or(|number| number.len() >= 4)
}
