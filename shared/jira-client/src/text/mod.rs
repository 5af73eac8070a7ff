//! Rich text: Markdown to what JIRA takes, and what JIRA has to text.
//!
//! Markdown is read into a small tree first, which is cut where JIRA wouldn't take it all, and then written as
//! an ADF document ([`adf`], Cloud) or as wiki markup ([`wiki`], Data Center).

mod adf;
mod cut;
mod markdown;
mod plain;
mod wiki;

use serde_json::Value;

pub use plain::from_adf;

/// The most that JIRA takes for a description or a comment, in UTF-16 units as it counts: of wiki markup, and of
/// the JSON text of an ADF document.
pub const MAX_TEXT: usize = 32_767;

/// The most characters that JIRA takes for a summary.
pub const MAX_SUMMARY: usize = 255;

/// The most of a Markdown text that is read at all, in bytes: no more of it could be left.
const MAX_MARKDOWN: usize = 4 * MAX_TEXT;

/// Markdown as an ADF document (version 1 of the schema at
/// <https://unpkg.com/@atlaskit/adf-schema/dist/json-schema/v1/full.json>).
///
/// What is too long ends at a block with a line that says so and links to `whole`.
pub fn adf(markdown: &str, whole: Option<&str>) -> Value {
    let fits = |document: &Value| utf16(&document.to_string()) <= MAX_TEXT;
    cut::fitting(markdown, whole, adf::document, fits)
}

/// Markdown as JIRA's wiki markup, cut like [`adf`].
pub fn wiki(markdown: &str, whole: Option<&str>) -> String {
    cut::fitting(markdown, whole, wiki::markup, |text| {
        utf16(text) <= MAX_TEXT
    })
}

/// A text as a summary: one line of at most 255 characters.
pub fn summary(text: &str) -> String {
    line(text, MAX_SUMMARY)
}

/// A text in one line, in which control characters are spaces and runs of spaces one, and that is cut with
/// an ellipsis.
pub(crate) fn line(text: &str, max: usize) -> String {
    let mut line = String::new();
    let mut length = 0;
    for c in text.chars() {
        let c = if is_control(c) || c.is_whitespace() {
            ' '
        } else {
            c
        };
        if c == ' ' && (line.is_empty() || line.ends_with(' ')) {
            continue;
        }
        // Beyond the basic plane JIRA counts two.
        length += c.len_utf16();
        if length > max {
            while line.encode_utf16().count() >= max {
                line.pop();
            }
            line.truncate(line.trim_end().len());
            line.push('…');
            return line;
        }
        line.push(c);
    }
    line.truncate(line.trim_end().len());
    line
}

/// Control characters, and what XML cannot hold, since JIRA keeps texts in XML too.
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{FFFE}' | '\u{FFFF}')
}

fn utf16(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}
