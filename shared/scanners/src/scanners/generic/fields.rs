//! The fields of a finding that take one value or several plain ones, for JSON and CSV alike.

use jiff::civil::Date;
use tatami_domain::{ReportFinding, Severity};

use crate::kit::json::Flag;
use crate::kit::{cvss, text};

/// Without these a finding is none.
pub const REQUIRED: [&str; 3] = ["title", "severity", "description"];

/// Puts values into a finding; says what is wrong with them if they cannot be used as they are.
type Put = fn(&mut ReportFinding, &[String]) -> Result<(), String>;

/// A field of a finding.
#[derive(Clone, Copy)]
pub struct Field {
    name: &'static str,
    put: Put,
}

impl Field {
    /// The field of this name.
    pub fn named(name: &str) -> Option<Self> {
        let (name, put) = FIELDS.iter().find(|(known, _)| *known == name)?;
        Some(Self { name, put: *put })
    }

    /// The field of this name in any case, with or without underscores and spaces: `FilePath`.
    pub fn like(name: &str) -> Option<Self> {
        let letters = |name: &str| -> String {
            let letters = name.chars().filter(|c| !matches!(c, '_' | ' '));
            letters.map(|c| c.to_ascii_lowercase()).collect()
        };
        let wanted = letters(name);
        let found = FIELDS.iter().find(|(known, _)| letters(known) == wanted);
        found.and_then(|(name, _)| Self::named(name))
    }

    /// Puts its values into a finding.
    pub fn put(self, finding: &mut ReportFinding, values: &[String]) -> Result<(), String> {
        // A placeholder says that the tool doesn't know; the required texts are taken as they are.
        let unknown = |value: &String| value.trim().is_empty() || value.eq_ignore_ascii_case("n/a");
        if values.iter().all(unknown) && !REQUIRED.contains(&self.name) {
            return Ok(());
        }
        (self.put)(finding, values)
    }
}

/// All fields, in the table's order.
#[cfg(test)]
pub fn names() -> impl Iterator<Item = &'static str> {
    FIELDS.iter().map(|(name, _)| *name)
}

/// A finding before any of its fields is read: the format says that it is dynamic.
pub fn blank() -> ReportFinding {
    ReportFinding {
        dynamic_finding: true,
        ..ReportFinding::default()
    }
}

/// What a finding of this format lacks to be one.
pub fn missing(finding: &ReportFinding, has_severity: bool) -> Option<&'static str> {
    match finding {
        f if f.title.trim().is_empty() => Some("title"),
        _ if !has_severity => Some("severity"),
        f if f.description.trim().is_empty() => Some("description"),
        _ => None,
    }
}

/// Takes a CVSS vector, and its score unless the report has its own.
fn vector(
    values: &[String],
    valid: Option<cvss::Scored>,
    vector: &mut Option<String>,
    score: &mut Option<f64>,
) -> Result<(), String> {
    let Some(valid) = valid else {
        return plain(values, |text| *vector = Some(text));
    };
    *score = score.or(Some(valid.score));
    *vector = Some(valid.vector);
    Ok(())
}

const FIELDS: &[(&str, Put)] = &[
    ("title", |f, v| plain(v, |t| f.title = t)),
    ("severity", |f, v| severity(v, |s| f.severity = s)),
    ("description", |f, v| plain(v, |t| f.description = t)),
    ("mitigation", |f, v| plain(v, |t| f.mitigation = Some(t))),
    ("impact", |f, v| plain(v, |t| f.impact = Some(t))),
    ("references", |f, v| plain(v, |t| f.references = Some(t))),
    ("steps_to_reproduce", |f, v| {
        plain(v, |t| f.steps_to_reproduce = Some(t))
    }),
    ("severity_justification", |f, v| {
        plain(v, |t| f.severity_justification = Some(t))
    }),
    ("cwe", |f, v| cwes(f, v)),
    ("cwes", |f, v| cwes(f, v)),
    ("extra_cwes", |f, v| cwes(f, v)),
    ("cve", |f, v| ids(f, v, true)),
    ("vulnerability_ids", |f, v| ids(f, v, false)),
    ("cvssv3", |f, v| {
        vector(v, cvss::v3(one(v)), &mut f.cvssv3, &mut f.cvssv3_score)
    }),
    ("cvssv3_score", |f, v| decimal(v, |n| f.cvssv3_score = n)),
    ("cvssv4", |f, v| {
        vector(v, cvss::v4(one(v)), &mut f.cvssv4, &mut f.cvssv4_score)
    }),
    ("cvssv4_score", |f, v| decimal(v, |n| f.cvssv4_score = n)),
    ("epss_score", |f, v| decimal(v, |n| f.epss_score = n)),
    ("epss_percentile", |f, v| {
        decimal(v, |n| f.epss_percentile = n)
    }),
    ("known_exploited", |f, v| {
        flag(v, |b| f.known_exploited = Some(b))
    }),
    ("ransomware_used", |f, v| {
        flag(v, |b| f.ransomware_used = Some(b))
    }),
    ("kev_date", |f, v| date(v, |d| f.kev_date = d)),
    ("component_name", |f, v| {
        plain(v, |t| f.component_name = Some(t))
    }),
    ("component_version", |f, v| {
        plain(v, |t| f.component_version = Some(t))
    }),
    ("fix_available", |f, v| {
        flag(v, |b| f.fix_available = Some(b))
    }),
    ("fix_version", |f, v| plain(v, |t| f.fix_version = Some(t))),
    ("file_path", |f, v| plain(v, |t| f.file_path = Some(t))),
    ("line", |f, v| whole(v, |n| f.line = n)),
    ("sast_source_object", |f, v| {
        plain(v, |t| f.sast_source_object = Some(t))
    }),
    ("sast_source_file_path", |f, v| {
        plain(v, |t| f.sast_source_file_path = Some(t))
    }),
    ("sast_source_line", |f, v| {
        whole(v, |n| f.sast_source_line = n)
    }),
    ("sast_sink_object", |f, v| {
        plain(v, |t| f.sast_sink_object = Some(t))
    }),
    ("param", |f, v| plain(v, |t| f.param = Some(t))),
    ("payload", |f, v| plain(v, |t| f.payload = Some(t))),
    ("service", |f, v| plain(v, |t| f.service = Some(t))),
    ("unique_id_from_tool", |f, v| {
        plain(v, |t| f.unique_id_from_tool = Some(t))
    }),
    ("vuln_id_from_tool", |f, v| {
        plain(v, |t| f.vuln_id_from_tool = Some(t))
    }),
    ("date", |f, v| date(v, |d| f.date = d)),
    ("publish_date", |f, v| date(v, |d| f.publish_date = d)),
    ("planned_remediation_date", |f, v| {
        date(v, |d| f.planned_remediation_date = d)
    }),
    ("planned_remediation_version", |f, v| {
        plain(v, |t| f.planned_remediation_version = Some(t))
    }),
    ("effort_for_fixing", |f, v| {
        plain(v, |t| f.effort_for_fixing = Some(t))
    }),
    ("nb_occurences", |f, v| small(v, |n| f.nb_occurences = n)),
    ("scanner_confidence", |f, v| {
        small(v, |n| f.scanner_confidence = n)
    }),
    ("tags", |f, v| tags(f, v)),
    ("static_finding", |f, v| flag(v, |b| f.static_finding = b)),
    ("dynamic_finding", |f, v| flag(v, |b| f.dynamic_finding = b)),
    ("active", |f, v| flag(v, |b| f.active = Some(b))),
    ("verified", |f, v| flag(v, |b| f.verified = Some(b))),
    ("false_p", |f, v| flag(v, |b| f.false_p = Some(b))),
    ("out_of_scope", |f, v| flag(v, |b| f.out_of_scope = Some(b))),
    ("risk_accepted", |f, v| {
        flag(v, |b| f.risk_accepted = Some(b))
    }),
    ("under_review", |f, v| flag(v, |b| f.under_review = Some(b))),
    ("is_mitigated", |f, v| flag(v, |b| f.is_mitigated = Some(b))),
    ("mitigated", |f, v| date(v, |d| f.mitigated = d)),
    ("duplicate", |f, v| flag(v, |b| f.duplicate = Some(b))),
    // Tools send these two along; a finding has nothing to keep of them.
    ("thread_id", |_, _| Ok(())),
    ("numerical_severity", |_, _| Ok(())),
];

#[allow(
    clippy::unnecessary_wraps,
    reason = "a field of the table like the others"
)]
fn plain(values: &[String], put: impl FnOnce(String)) -> Result<(), String> {
    put(values.join("\n"));
    Ok(())
}

fn one(values: &[String]) -> &str {
    values.first().map_or("", |value| value.trim())
}

fn severity(values: &[String], put: impl FnOnce(Severity)) -> Result<(), String> {
    let word = one(values);
    let known = Severity::from_report(word);
    put(known.unwrap_or(Severity::Info));
    if known.is_some() || word.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the severity \"{word}\" is not known and counts as Info"
    ))
}

fn flag(values: &[String], put: impl FnOnce(bool)) -> Result<(), String> {
    match Flag::from_word(one(values)).0 {
        Some(flag) => put(flag),
        None => {
            return Err(format!(
                "\"{}\" is neither true nor false and left out",
                one(values)
            ));
        }
    }
    Ok(())
}

fn decimal(values: &[String], put: impl FnOnce(Option<f64>)) -> Result<(), String> {
    let number = one(values).parse().ok().filter(|n: &f64| n.is_finite());
    put(number);
    number.map(drop).ok_or_else(|| not_a_number(values))
}

fn whole(values: &[String], put: impl FnOnce(Option<u64>)) -> Result<(), String> {
    // Spreadsheets make 42.0 of 42.
    let number = one(values)
        .strip_suffix(".0")
        .unwrap_or(one(values))
        .parse()
        .ok();
    put(number);
    number.map(drop).ok_or_else(|| not_a_number(values))
}

fn small(values: &[String], put: impl FnOnce(Option<u32>)) -> Result<(), String> {
    whole(values, |number| {
        put(number.and_then(|n| u32::try_from(n).ok()));
    })
}

fn not_a_number(values: &[String]) -> String {
    format!("\"{}\" is not a number and left out", one(values))
}

fn date(values: &[String], put: impl FnOnce(Option<Date>)) -> Result<(), String> {
    let date = text::date(one(values));
    put(date);
    date.map(drop)
        .ok_or_else(|| format!("\"{}\" is not a date and left out", one(values)))
}

fn cwes(finding: &mut ReportFinding, values: &[String]) -> Result<(), String> {
    for value in values {
        let cwe = value.trim().parse().ok().or_else(|| text::cwe(value));
        match cwe {
            None => return Err(format!("\"{value}\" is not a CWE and left out")),
            Some(0) => {}
            Some(cwe) if finding.cwe == 0 || finding.cwe == cwe => finding.cwe = cwe,
            Some(cwe) => text::push_new(&mut finding.extra_cwes, cwe),
        }
    }
    Ok(())
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "a field of the table like the others"
)]
fn ids(finding: &mut ReportFinding, values: &[String], first: bool) -> Result<(), String> {
    let ids = &mut finding.vulnerability_ids;
    let before = if first {
        std::mem::take(ids)
    } else {
        Vec::new()
    };
    for id in values
        .iter()
        .map(|id| id.trim())
        .filter(|id| !id.is_empty())
    {
        text::push_new(ids, id.to_owned());
    }
    for id in before {
        text::push_new(ids, id);
    }
    Ok(())
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "a field of the table like the others"
)]
fn tags(finding: &mut ReportFinding, values: &[String]) -> Result<(), String> {
    let one_text = values.len() == 1;
    let parts = values.iter().flat_map(|tag| {
        let separator = |c| one_text && c == ',';
        tag.split(separator)
    });
    for tag in parts.map(str::trim).filter(|tag| !tag.is_empty()) {
        text::push_new(&mut finding.tags, tag.to_owned());
    }
    Ok(())
}
