use std::fmt::Write as _;

use serde::Deserialize;
use tatami_domain::RequestResponse;

use crate::kit::base64;
use crate::kit::json::{Int, OneOrMany, Text};

/// A piece of evidence of any kind: `FirstOrderEvidence` and `InformationListEvidence` have one message,
/// `StoredEvidence` has two, `DiffableEvidence`, `TimingBasedEvidence`, `CollaboratorEvidence` and
/// `DynamicJavascriptAnalysisEvidence` hold further evidence.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Exhibit {
    request_response: Option<Message>,
    originating_request_response: Option<Message>,
    retrieval_request_response: Option<Message>,
    first_evidence: Option<Box<Exhibit>>,
    second_evidence: Option<Box<Exhibit>>,
    evidence: Option<Box<Exhibit>>,
    composable_evidence: Option<Box<Exhibit>>,
    http_event: Option<Box<Exhibit>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message {
    request: OneOrMany<Segment>,
    response: OneOrMany<Segment>,
}

/// A piece of a message: `DataSegment`, `HighlightSegment`, or `SnipSegment`, which has no data.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Segment {
    data: Text,
    length: Int,
}

impl Exhibit {
    pub fn messages(self) -> Vec<RequestResponse> {
        let own = [
            self.request_response,
            self.originating_request_response,
            self.retrieval_request_response,
        ];
        let inner = [
            self.first_evidence,
            self.second_evidence,
            self.evidence,
            self.composable_evidence,
            self.http_event,
        ];
        let own = own.into_iter().flatten().map(|message| RequestResponse {
            request: text(&message.request.0),
            response: text(&message.response.0),
        });
        let inner = inner
            .into_iter()
            .flatten()
            .flat_map(|evidence| evidence.messages());
        own.chain(inner).collect()
    }
}

fn text(segments: &[Segment]) -> String {
    let mut text = String::new();
    for segment in segments {
        if segment.data.is_empty() {
            let length = segment.length.0.unwrap_or(0);
            // Writing to a string doesn't fail.
            let _ = write!(text, "\n[{length} bytes snipped]\n");
        } else {
            let data = base64::text(&segment.data);
            text.push_str(data.as_deref().unwrap_or(&segment.data));
        }
    }
    text
}
