//! What sonar-report writes with `--save-report-json`: the data that its page is made of.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;

use super::issue::{Issue, Issues, Mode};
use super::rule::Rule;
use crate::kit::json::{self, Json, Kind, Outline, Text};
use crate::{Refusal, Report, Sink};

/// The report says how it was made.
pub fn is_one(seen: &Outline) -> bool {
    seen.has("hotspotKeys")
        || seen.has("sonarBaseURL") && (seen.has("projectName") || seen.has("applicationName"))
}

pub fn read(report: Report<'_>, mode: Mode, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let mut issues = None;
    let mut rules = HashMap::new();
    json::read(report, |json| {
        json.object(|json, key| match key {
            "issues" => self::issues(json, issues.get_or_insert_default(), sink),
            "rules" => self::rules(json, &mut rules, sink),
            _ => Ok(()),
        })
    })?;
    let Some(issues) = issues else {
        return Err(
            Refusal::new("this is not a report of sonar-report: it has no \"issues\"")
                .hint("make it by `sonar-report --save-report-json`"),
        );
    };
    // The rules may be all of a server's.
    let wanted: HashSet<&str> = issues.rules().collect();
    rules.retain(|key, _| wanted.contains(key.as_str()));
    let mut texts = HashMap::new();
    for (key, html) in rules {
        texts.insert(key, Rule::from_html(&html)?);
    }
    issues.hand_over(&texts, mode, sink)?;
    Ok(())
}

fn issues(json: &mut Json<'_>, issues: &mut Issues, sink: &mut dyn Sink) -> Result<(), Refusal> {
    json.objects(sink, |json, sink| {
        if let Some(issue) = json.record::<Issue>(sink)? {
            issues.add(issue, |message| sink.warning(json.warning(message)));
        }
        Ok(())
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Source {
    key: Text,
    html_desc: Text,
}

/// The rules' HTML by their keys. Some versions write them as a list.
fn rules(
    json: &mut Json<'_>,
    rules: &mut HashMap<String, String>,
    sink: &mut dyn Sink,
) -> Result<(), Refusal> {
    if json.kind()? == Kind::List {
        return json.records(sink, |Source { key, html_desc }, _| {
            rules.insert(key.0, html_desc.0);
            Ok(())
        });
    }
    if !json.expect(Kind::Object, sink)? {
        return Ok(());
    }
    json.object(|json, key| {
        if let Some(source) = json.record::<Source>(sink)? {
            rules.insert(key.to_owned(), source.html_desc.0);
        }
        Ok(())
    })
}
