//! A result in words: message, code, rule and the way the data takes.

use super::run::{Run, filled};
use super::schema::{Location, Message, Outcome, Rule, ThreadFlow};

pub fn last_flow(outcome: &Outcome) -> Option<&ThreadFlow> {
    let flows = outcome
        .code_flows
        .0
        .iter()
        .flat_map(|flow| &flow.thread_flows.0);
    flows.rev().find(|flow| !flow.locations.0.is_empty())
}

pub fn steps(flow: &ThreadFlow) -> impl Iterator<Item = &Location> {
    flow.locations.0.iter().map(|place| &place.location)
}

pub fn description(
    message: Option<&str>,
    rule: Option<&Rule>,
    location: Option<&Location>,
    flow: Option<&ThreadFlow>,
    run: &Run,
) -> String {
    let mut lines = Vec::new();
    if let Some(message) = message {
        lines.push(format!("**Result message:** {message}"));
    }
    let place = location.map(|location| &location.physical_location);
    if let Some(code) = place.and_then(|p| p.region.code().or_else(|| p.context_region.code())) {
        lines.push(format!("**Snippet:**\n```\n{code}\n```"));
    }
    if let Some(name) = location
        .filter(|l| run.uri(l).is_none())
        .and_then(logical_name)
    {
        lines.push(format!("**Location:** {name}"));
    }
    if let Some(rule) = rule {
        let text = |described: &Option<Message>| {
            let described = described.as_ref();
            described.map(|d| run.message(d, Some(rule)).unwrap_or_default())
        };
        if let Some(name) = &rule.name {
            lines.push(format!("**Rule name:** {}", &**name));
        }
        let short = text(&rule.short_description);
        let full = text(&rule.full_description);
        if let Some(short) = short.as_deref().filter(|short| Some(*short) != message) {
            lines.push(format!("**Rule short description:** {short}"));
        }
        let said = [message, short.as_deref()];
        if let Some(full) = full.as_deref().filter(|full| !said.contains(&Some(*full))) {
            lines.push(format!("**Rule full description:** {full}"));
        }
    }
    if let Some(flow) = flow {
        lines.push("**Code flow:**".to_owned());
        for (number, location) in (1..).zip(steps(flow)) {
            lines.push(flow_step(number, location, run));
        }
    }
    lines.join("\n")
}

/// The name of what lies in no file, or that is known without one.
fn logical_name(location: &Location) -> Option<&str> {
    let names = location
        .logical_locations
        .0
        .iter()
        .flat_map(|l| [&l.fully_qualified_name, &l.name]);
    names.map(|name| &**name).find(|name| !name.is_empty())
}

/// `1. file.c:L3:C5<tab>-<tab>code`, and what the tool says of it on a line of its own.
fn flow_step(number: usize, location: &Location, run: &Run) -> String {
    let mut step = format!("{number}. {}", run.uri(location).unwrap_or_default());
    let region = &location.physical_location.region;
    for (mark, at) in [(":L", region.start_line.0), (":C", region.start_column.0)] {
        if let Some(at) = at {
            step.push_str(mark);
            step.push_str(&at.to_string());
        }
    }
    if let Some(code) = region.code() {
        step.push_str("\t-\t");
        step.push_str(code);
    }
    let message = match &*location.message.markdown {
        "" => run.message(&location.message, None),
        markdown => Some(filled(markdown, &location.message.arguments.0)),
    };
    if let Some(message) = message {
        step.push_str("\n\t");
        step.push_str(&message);
    }
    step
}
