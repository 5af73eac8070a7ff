use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;
use tatami_domain::RequestResponse;

use crate::kit::html;
use crate::kit::json::{Int, OneOrMany, Text};

/// One of [the evidences](https://portswigger.net/burp/extensibility/dast/graphql-api/evidence.html): a
/// `Request`, a `Response`, an `HttpInteraction` with both, or a `DescriptiveEvidence` with neither.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Evidence {
    title: Text,
    description_html: Text,
    request_index: Int,
    request_segments: OneOrMany<Segment>,
    response_index: Int,
    response_segments: OneOrMany<Segment>,
    request: OneOrMany<Segment>,
    response: OneOrMany<Segment>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Segment {
    data_html: Text,
    highlight_html: Text,
    snip_length: Int,
}

/// Requests and responses of the same index make a pair.
pub fn pairs(evidences: Vec<Evidence>) -> Vec<RequestResponse> {
    let mut pairs: BTreeMap<u64, RequestResponse> = BTreeMap::new();
    let mut interactions = Vec::new();
    for evidence in evidences {
        if !evidence.request_segments.0.is_empty() {
            let index = evidence.request_index.0.unwrap_or(0);
            pairs.entry(index).or_default().request = text(&evidence.request_segments.0);
        }
        if !evidence.response_segments.0.is_empty() {
            let index = evidence.response_index.0.unwrap_or(0);
            pairs.entry(index).or_default().response = text(&evidence.response_segments.0);
        }
        let interaction = RequestResponse {
            request: text(&evidence.request.0),
            response: text(&evidence.response.0),
        };
        if interaction != RequestResponse::default() {
            interactions.push(interaction);
        }
    }
    pairs.into_values().chain(interactions).collect()
}

/// What Burp says of interactions and of evidence that is no message.
pub fn notes(evidences: &[Evidence]) -> Option<String> {
    let said = evidences.iter().filter(|e| !e.description_html.is_empty());
    let notes: Vec<_> = said
        .map(|e| {
            format!(
                "{}: {}",
                &*e.title,
                html::to_text_with_links(&e.description_html)
            )
        })
        .collect();
    (!notes.is_empty()).then(|| notes.join("\n\n"))
}

fn text(segments: &[Segment]) -> String {
    let mut text = String::new();
    for segment in segments {
        text.push_str(&html::unescape(&segment.data_html));
        text.push_str(&html::unescape(&segment.highlight_html));
        if let Some(length) = segment.snip_length.0 {
            // Writing to a string doesn't fail.
            let _ = write!(text, "\n[{length} bytes snipped]\n");
        }
    }
    text
}
