//! Pages of the Web API: `api/issues/search` and `api/hotspots/search`.

use std::collections::HashMap;

use super::record::{Component, Issue};
use crate::kit::json::{self, Json, Outline};
use crate::{Refusal, Report, Sink};

/// What every page has beside its records.
const MARKS: [&str; 3] = ["paging", "total", "effortTotal"];

/// What to send.
pub const HINT: &str = "fetch `api/issues/search` or `api/hotspots/search`";

/// Is this the outline of a page, an empty one too?
pub fn is_one(seen: &Outline) -> bool {
    let hotspot = [
        "hotspots[].component",
        "hotspots[].vulnerabilityProbability",
    ];
    let issue = [
        "issues[].rule",
        "issues[].component",
        "issues[].project",
        "issues[].key",
    ];
    let is_empty = seen.has("hotspots") && !seen.has("hotspots[]");
    seen.has_all(&["issues", "effortTotal", "paging.pageIndex"])
        || seen.has_all(&issue)
        || seen.has_all(&hotspot)
        || is_empty && seen.has_all(&["paging.pageIndex", "components"])
}

pub fn read(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    json::read_lines(report, |json| page(json, sink))
}

fn page(json: &mut Json<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let mut issues = None;
    let mut components = HashMap::new();
    let mut marks = 0;
    json.object(|json, key| match key {
        "issues" | "hotspots" => self::issues(json, issues.get_or_insert_default(), sink),
        "components" => {
            marks += 1;
            json.records(sink, |component: Component, _| {
                components.insert(component.key.0.clone(), component);
                Ok(())
            })
        }
        _ => {
            marks += usize::from(MARKS.contains(&key));
            Ok(())
        }
    })?;
    let issues: Vec<Issue> = match issues {
        // An empty list alone could be anybody's.
        Some(Page { count, issues }) if count + marks > 0 => issues,
        _ => {
            let message = "this is not a page of SonarQube's Web API: it has no issues or hotspots";
            return Err(Refusal::new(message).hint(HINT));
        }
    };
    for issue in issues {
        sink.finding(issue.finding(components.get(&*issue.component)))?;
    }
    Ok(())
}

/// The issues of a page (500 at most) wait for its components, which come after them.
#[derive(Default)]
struct Page {
    count: usize,
    issues: Vec<Issue>,
}

fn issues(json: &mut Json<'_>, page: &mut Page, sink: &mut dyn Sink) -> Result<(), Refusal> {
    json.objects(sink, |json, sink| {
        page.count += 1;
        let Some(issue) = json.record::<Issue>(sink)? else {
            return Ok(());
        };
        if issue.name().is_none() {
            sink.warning(json.warning("has no rule"));
            return Ok(());
        }
        if let Err(unknown) = issue.severity() {
            sink.warning(json.warning(format!("\"{unknown}\" is not a severity")));
        }
        page.issues.push(issue);
        Ok(())
    })
}
