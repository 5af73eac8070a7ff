//! Entries in the list of alerts.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Message;

/// What a user sees in their list. The lengths are DefectDojo's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// One line, at most 250 characters.
    pub title: String,
    /// Plain text, at most 2,000 characters.
    pub description: String,
    /// Where to look.
    pub url: Option<String>,
    /// Label of the topic, at most 100 characters.
    pub source: String,
    /// When it happened.
    pub created: Timestamp,
}

/// A message as an alert: its summary, and a line for each fact.
pub fn alert(message: &Message) -> Alert {
    let message = message.fit();
    let facts = message.facts.iter();
    let facts = facts.map(|fact| format!("{}: {}", fact.label, fact.value));
    let summary = Some(message.summary.clone()).filter(|summary| !summary.is_empty());
    let lines: Vec<String> = summary.into_iter().chain(facts).collect();
    Alert {
        title: message.title,
        description: crate::text::clean(&lines.join("\n"), 2_000),
        url: message.url,
        source: message.topic.label().to_owned(),
        created: message.time,
    }
}
