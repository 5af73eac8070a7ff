//! Messages for Slack, as the body of `chat.postMessage` or of an incoming webhook.
//!
//! Block Kit allows 50 blocks, 150 characters in a header, 3,000 in a section, 10 fields of 2,000 and 3,000 in the
//! address of a button (<https://docs.slack.dev/reference/block-kit/blocks>). In mrkdwn `&`, `<` and `>` are escaped, so
//! that nothing can mention somebody or hide an address behind another.

use serde_json::{Value, json};

use crate::template::{Escape, Rendered};
use crate::text::{cut, length};
use crate::{Item, Message, texts};

const MAX_BLOCKS: usize = 50;
const MAX_SECTION: usize = 3_000;
/// A button and the line with topic, product and time.
const LAST_BLOCKS: usize = 2;

/// A message with blocks, and a text for where they aren't shown.
pub fn slack(message: &Message) -> Value {
    let message = message.fit();
    let mut blocks = vec![header(&message.title)];
    blocks.extend(sections(&Escape::Slack.of(&message.summary)));
    if !message.facts.is_empty() {
        let field = |label: &str, value: &str| {
            let (label, value) = (Escape::Slack.of(label), Escape::Slack.of(value));
            mrkdwn(&format!("*{label}*\n{value}"))
        };
        let facts = message.facts.iter();
        let fields: Vec<Value> = facts.map(|fact| field(&fact.label, &fact.value)).collect();
        blocks.push(json!({"type": "section", "fields": fields}));
    }
    for section in &message.sections {
        let mut lines = vec![format!("*{}*", Escape::Slack.of(&section.heading))];
        lines.extend(section.items.iter().map(line));
        if section.more > 0 {
            lines.push(format!("_{}_", texts::more(section.more)));
        }
        blocks.extend(sections(&lines.join("\n")));
    }
    finish(&message, &message.title, blocks)
}

/// A message with a text of an operator's.
pub(crate) fn with_text(message: &Message, made: &Rendered) -> Value {
    let message = message.fit();
    let mut blocks = vec![header(&made.subject)];
    blocks.extend(sections(&made.body));
    finish(&message, &made.subject, blocks)
}

fn finish(message: &Message, title: &str, mut blocks: Vec<Value>) -> Value {
    let room = MAX_BLOCKS - LAST_BLOCKS;
    if blocks.len() > room {
        blocks.truncate(room - 1);
        blocks.extend(sections("…"));
    }
    if let Some(url) = &message.url {
        let text = json!({"type": "plain_text", "text": texts::OPEN});
        let button = json!({"type": "button", "text": text, "url": url});
        blocks.push(json!({"type": "actions", "elements": [button]}));
    }
    let origin = mrkdwn(&Escape::Slack.of(&message.origin()));
    blocks.push(json!({"type": "context", "elements": [origin]}));
    json!({
        "text": Escape::Slack.of(title),
        "blocks": blocks,
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

fn header(title: &str) -> Value {
    let text = json!({"type": "plain_text", "text": cut(title, 150), "emoji": false});
    json!({"type": "header", "text": text})
}

/// Without making links of what looks like one.
fn mrkdwn(text: &str) -> Value {
    json!({"type": "mrkdwn", "text": text, "verbatim": true})
}

fn line(item: &Item) -> String {
    let text = Escape::Slack.of(&item.text);
    let severity = item
        .severity
        .map_or_else(String::new, |at| format!(" · {at}"));
    let link = (item.url.as_deref())
        .map(|url| format!("• <{}|{text}>{severity}", Escape::Slack.of(url)))
        // a link isn't cut
        .filter(|link| length(link) <= MAX_SECTION);
    link.unwrap_or_else(|| format!("• {text}{severity}"))
}

/// Sections for an escaped text: as many lines in each as fit. A longer line is cut between words, or else in one,
/// but not within an escaped character.
fn sections(text: &str) -> Vec<Value> {
    let mut parts: Vec<String> = Vec::new();
    for line in text.lines() {
        let mut rest = line;
        loop {
            let (part, after) = split(rest);
            match parts.last_mut() {
                Some(last) if length(last) + 1 + length(part) <= MAX_SECTION => {
                    last.push('\n');
                    last.push_str(part);
                }
                _ => parts.push(part.to_owned()),
            }
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
    }
    let parts = parts.iter().map(|part| part.trim());
    (parts.filter(|part| !part.is_empty()))
        .map(|part| json!({"type": "section", "text": mrkdwn(part)}))
        .collect()
}

/// What fits, and the rest.
fn split(line: &str) -> (&str, &str) {
    let mut units = 0;
    let over = line.char_indices().find(|(_, c)| {
        units += c.len_utf16();
        units > MAX_SECTION
    });
    let Some((end, _)) = over else {
        return (line, "");
    };
    let fits = &line[..end];
    let entity = fits
        .rfind('&')
        .filter(|at| !fits[*at..].contains(';') && *at + 5 > end);
    let at = fits.rfind(' ').filter(|at| *at > 0).or(entity);
    line.split_at(at.filter(|at| *at > 0).unwrap_or(end))
}
