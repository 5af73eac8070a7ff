//! What a result and its rule say, each in a field of its own.

use tatami_domain::{RequestResponse, Severity};

use super::schema::{Outcome, Reference, Rule, WebMessage};
use crate::kit::json::{Pairs, Texts};
use crate::kit::{cvss, text};

pub fn severity(outcome: &Outcome, rule: Option<&Rule>) -> (Severity, Option<f64>) {
    let level = match &*outcome.level {
        "" => rule.map_or("", |rule| &rule.default_configuration.level),
        level => level,
    };
    let by_level = match &*level.to_ascii_lowercase() {
        "error" => Severity::High,
        "note" | "none" => Severity::Info,
        _ => Severity::Medium,
    };
    let Some(word) = rule.and_then(|rule| rule.properties.security_severity.first()) else {
        return (by_level, None);
    };
    match word.trim().parse::<f64>() {
        Ok(score) if (0.0..=10.0).contains(&score) => (cvss::severity(score), Some(score)),
        _ => (Severity::from_report(word).unwrap_or(by_level), None),
    }
}

/// The CWEs in the result's properties, else its rule's, else those it is classified by. The last one
/// is the main one.
pub fn cwes(outcome: &Outcome, rule: Option<&Rule>) -> Vec<u32> {
    let mut found = Vec::new();
    for cwe in outcome
        .properties
        .cwe
        .0
        .iter()
        .flat_map(|text| text::cwes(text))
    {
        text::push_new(&mut found, cwe);
    }
    if !found.is_empty() {
        return found;
    }
    let related = rule.into_iter().flat_map(|rule| &rule.relationships.0);
    for cwe in related.filter_map(|relationship| taxon_cwe(&relationship.target)) {
        text::push_new(&mut found, cwe);
    }
    let properties = rule.into_iter().map(|rule| &rule.properties);
    let texts = properties.flat_map(|p| p.tags.0.iter().chain(&p.cwe.0));
    for cwe in texts.flat_map(|text| text::cwes(text)) {
        text::push_new(&mut found, cwe);
    }
    if found.is_empty() {
        found.extend(outcome.taxa.0.iter().filter_map(taxon_cwe));
    }
    found
}

/// The number of an entry of the taxonomy CWE.
fn taxon_cwe(taxon: &Reference) -> Option<u32> {
    let is_cwe = taxon.tool_component.name.eq_ignore_ascii_case("CWE");
    let number = taxon.id.parse().ok().filter(|_| is_cwe);
    text::cwe(&taxon.id).or(number)
}

pub fn references(rule: &Rule) -> Option<String> {
    if !rule.help_uri.is_empty() {
        return Some(rule.help_uri.0.clone());
    }
    let help = &*rule.help.text;
    help.starts_with("http").then(|| help.to_owned())
}

/// Suppressed for good: there is a suppression, and none that is rejected or under review.
pub fn is_suppressed(outcome: &Outcome) -> bool {
    let all = &outcome.suppressions.0;
    let pending = |status: &str| matches!(status, "rejected" | "underReview");
    !all.is_empty() && !all.iter().any(|suppression| pending(&suppression.status))
}

/// The first fingerprint stands for itself, partial ones make up an id together.
pub fn unique_id(outcome: &Outcome) -> Option<String> {
    if let Some((_, value)) = latest(&outcome.fingerprints).first() {
        return Some((*value).to_owned()).filter(|id| !id.is_empty());
    }
    let mut partial = latest(&outcome.partial_fingerprints);
    partial.sort_unstable();
    let parts: Vec<_> = partial
        .iter()
        .map(|(name, value)| format!("{name}:{value}"))
        .collect();
    (!parts.is_empty()).then(|| parts.join("|"))
}

/// Fingerprints by name, of several versions (`name/v1`, `name/v2`) the latest (3.27.17).
fn latest(all: &Pairs<Texts>) -> Vec<(&str, &str)> {
    let mut kept: Vec<(&str, u32, &str)> = Vec::new();
    for (key, values) in &all.0 {
        let value = values.first().unwrap_or_default();
        let version = |last: &str| last.strip_prefix('v').unwrap_or(last).parse::<u32>().ok();
        let (name, version) = key
            .rsplit_once('/')
            .and_then(|(name, last)| Some((name.rsplit('/').next()?, version(last)?)))
            .unwrap_or((key, 0));
        match kept.iter_mut().find(|(known, ..)| *known == name) {
            Some(known) if known.1 < version => *known = (name, version, value),
            Some(_) => {}
            None => kept.push((name, version, value)),
        }
    }
    kept.into_iter()
        .map(|(name, _, value)| (name, value))
        .collect()
}

/// What a scanner of web applications sent and got.
pub fn exchange(outcome: &Outcome) -> Option<RequestResponse> {
    let text = |message: &Option<WebMessage>| message.as_ref().map(WebMessage::text);
    let (request, response) = (text(&outcome.web_request), text(&outcome.web_response));
    (request.is_some() || response.is_some()).then(|| RequestResponse {
        request: request.unwrap_or_default(),
        response: response.unwrap_or_default(),
    })
}
