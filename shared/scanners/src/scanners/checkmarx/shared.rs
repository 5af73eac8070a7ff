//! What the reports of all Checkmarx products have in common.

use std::fmt::Write as _;

use jiff::civil::Date;
use serde::Deserialize;
use tatami_domain::Severity;

use crate::kit::json::{Int, Json, Kind, Text, Texts};
use crate::kit::text;
use crate::{Refusal, Sink};

/// What somebody decided about a result. CxSAST's XML and CxFlow number these states, other reports
/// spell them out as `TO_VERIFY`, `To Verify` or `To verify`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Triage {
    ToVerify,
    NotExploitable,
    Confirmed,
    Urgent,
    ProposedNotExploitable,
    /// A state that an administrator added; it says nothing we know.
    Custom,
}

impl Triage {
    /// A result without a state has not been looked at.
    pub fn from_report(state: &str) -> Self {
        let letters = state.chars().filter(char::is_ascii_alphanumeric);
        let word: String = letters.map(|c| c.to_ascii_lowercase()).collect();
        match word.as_str() {
            "" | "0" | "toverify" => Self::ToVerify,
            "1" | "notexploitable" => Self::NotExploitable,
            "2" | "confirmed" => Self::Confirmed,
            "3" | "urgent" => Self::Urgent,
            "4" | "proposednotexploitable" => Self::ProposedNotExploitable,
            _ => Self::Custom,
        }
    }

    /// Is it still to be dealt with?
    pub fn is_open(self) -> bool {
        self != Self::NotExploitable
    }

    /// Did somebody say that it is real?
    pub fn is_confirmed(self) -> bool {
        matches!(self, Self::Confirmed | Self::Urgent)
    }
}

/// A day, written as a time or as `{"seconds": 1645826108}`.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(from = "AnyMoment")]
pub struct Moment(pub Option<Date>);

#[derive(Deserialize)]
#[serde(untagged)]
enum AnyMoment {
    Since1970 { seconds: Int },
    Other(Texts),
}

impl From<AnyMoment> for Moment {
    fn from(moment: AnyMoment) -> Self {
        Self(match moment {
            AnyMoment::Since1970 { seconds } => seconds
                .0
                .and_then(|seconds| text::date(&seconds.to_string())),
            AnyMoment::Other(texts) => texts.first().and_then(text::date),
        })
    }
}

/// One step of the way from the source of the data to where it does harm.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Node {
    pub file_name: Text,
    pub line: Int,
    pub column: Int,
    pub name: Text,
    pub method: Text,
    pub code: Text,
}

/// The way of the data, one place a line.
pub fn flow(nodes: &[Node]) -> Option<String> {
    let mut flow = String::new();
    for (number, node) in (1..).zip(nodes) {
        // Writing to a string doesn't fail.
        let _ = write!(flow, "{number}. {}", &*node.file_name);
        for at in [node.line.0, node.column.0].into_iter().flatten() {
            let _ = write!(flow, ":{at}");
        }
        let _ = writeln!(flow, " {}", &*node.name);
    }
    (!flow.is_empty()).then_some(flow)
}

/// Name and version of the package that Checkmarx SCA identifies as `<manager>-<name>-<version>`,
/// such as `Maven-org.example:a-lib-1.2.0-jre`. Both names and versions have hyphens in them.
pub fn package(identifier: &str) -> (&str, &str) {
    const MANAGERS: [&str; 22] = [
        "maven",
        "npm",
        "yarn",
        "bower",
        "python",
        "pip",
        "pypi",
        "nuget",
        "php",
        "composer",
        "packagist",
        "ruby",
        "rubygems",
        "go",
        "gomodules",
        "ios",
        "cocoapods",
        "swift",
        "cpp",
        "conan",
        "cargo",
        "rust",
    ];
    let identifier = identifier.trim();
    let rest = match identifier.split_once('-') {
        Some((first, rest)) if MANAGERS.iter().any(|m| first.eq_ignore_ascii_case(m)) => rest,
        _ => identifier,
    };
    let looks_like_version = |at: &usize| {
        let word = rest
            .get(at + 1..)
            .unwrap_or_default()
            .split('-')
            .next()
            .unwrap_or_default();
        let number = word.strip_prefix(['v', 'V']).unwrap_or(word);
        number.starts_with(|c: char| c.is_ascii_digit()) && number.contains('.')
    };
    let mut hyphens = rest
        .match_indices('-')
        .map(|(at, _)| at)
        .filter(|at| *at > 0);
    let version = hyphens.clone().rfind(looks_like_version);
    match version.or_else(|| hyphens.next_back()) {
        Some(at) => {
            let (name, version) = rest.split_at(at);
            (name, version.trim_start_matches('-'))
        }
        None => (rest, ""),
    }
}

/// `89`, `CWE-89` or nothing.
pub fn cwe(text: &str) -> u32 {
    let number = text.trim().parse().ok();
    number.or_else(|| text::cwe(text)).unwrap_or(0)
}

/// A severity, or what to say of a record that has none.
pub fn severity(text: &str) -> Result<Severity, String> {
    Severity::from_report(text).ok_or_else(|| format!("\"{text}\" is not a severity"))
}

/// The name of a query as people read it.
pub fn title(name: &str) -> String {
    name.trim().replace('_', " ")
}

/// The last part of a path.
pub fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Shows `each` the objects in the list `name` of the object that comes next.
pub fn members(
    json: &mut Json<'_>,
    sink: &mut dyn Sink,
    name: &str,
    each: &mut dyn FnMut(&mut Json<'_>, &mut dyn Sink) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    if !json.expect(Kind::Object, sink)? {
        return Ok(());
    }
    json.object(|json, key| {
        if key == name {
            json.objects(sink, |json, sink| each(json, sink))?;
        }
        Ok(())
    })
}

/// Takes the next value as a text.
pub fn word(json: &mut Json<'_>, sink: &mut dyn Sink) -> Result<String, Refusal> {
    Ok(json.record::<Text>(sink)?.unwrap_or_default().0)
}
