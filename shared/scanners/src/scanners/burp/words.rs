//! What all of Burp's reports have in common.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use tatami_domain::{Endpoint, EndpointError, ReportFinding, Severity};

use crate::kit::text;

/// How bad an issue is, and whether somebody has judged it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rating {
    pub severity: Severity,
    pub is_false_positive: bool,
}

impl Rating {
    /// `High`, `info`, `Information`, `undefined`, `False positive`, `false_positive`, in any case.
    pub fn from_report(word: &str) -> Option<Self> {
        let word = word.trim().to_ascii_lowercase().replace('_', " ");
        let is_false_positive = word == "false positive";
        let severity = match word.as_str() {
            "false positive" | "undefined" => Severity::Info,
            word => Severity::from_report(word)?,
        };
        Some(Self {
            severity,
            is_false_positive,
        })
    }

    /// A new finding of this rating.
    pub fn finding(self, title: &str) -> ReportFinding {
        ReportFinding {
            title: title.to_owned(),
            severity: self.severity,
            false_p: self.is_false_positive.then_some(true),
            active: self.is_false_positive.then_some(false),
            dynamic_finding: true,
            ..ReportFinding::default()
        }
    }
}

/// On the API's scale: certain up to 2, firm from 3, tentative from 6.
pub fn confidence(word: &str) -> Option<u32> {
    let is = |wanted: &str| word.trim().eq_ignore_ascii_case(wanted);
    match () {
        () if is("certain") => Some(1),
        () if is("firm") => Some(4),
        () if is("tentative") => Some(7),
        () => None,
    }
}

/// The weaknesses in a text go into a finding that has none yet.
pub fn set_cwes(finding: &mut ReportFinding, classifications: &str) {
    if finding.cwe != 0 {
        return;
    }
    let mut cwes = Vec::new();
    for cwe in text::cwes(classifications) {
        text::push_new(&mut cwes, cwe);
    }
    let mut cwes = cwes.into_iter();
    finding.cwe = cwes.next().unwrap_or(0);
    finding.extra_cwes = cwes.collect();
}

/// The place of an issue: the path may be empty, or an address itself.
pub fn endpoint(origin: &str, path: &str) -> Result<Endpoint, EndpointError> {
    let (origin, path) = (origin.trim().trim_end_matches('/'), path.trim());
    if path.contains("://") && !path.starts_with('/') {
        return Endpoint::parse(path);
    }
    let slash = if path.is_empty() || path.starts_with('/') {
        ""
    } else {
        "/"
    };
    Endpoint::parse(&format!("{origin}{slash}{path}"))
}

/// Sets a text that isn't there yet.
pub fn fill(field: &mut Option<String>, text: impl FnOnce() -> String) {
    if field.is_none() {
        *field = Some(text()).filter(|text| !text.is_empty());
    }
}

/// Titled texts, one after the other; empty ones are left out.
pub fn sections(sections: &[(&str, String)]) -> String {
    let filled = sections.iter().filter(|(_, text)| !text.is_empty());
    let filled: Vec<_> = filled
        .map(|(title, text)| format!("**{title}**\n{text}"))
        .collect();
    filled.join("\n\n")
}

/// Which texts the findings say already; issues of a type like to repeat themselves.
#[derive(Debug, Default)]
pub struct Said(HashSet<u64>);

impl Said {
    /// Does the finding of this key not say it yet? Then it does from now on.
    pub fn is_new(&mut self, key: &impl Hash, text: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        (key, text).hash(&mut hasher);
        !text.is_empty() && self.0.insert(hasher.finish())
    }
}
