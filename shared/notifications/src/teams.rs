//! Messages for Microsoft Teams, as the body of a webhook of the Workflows app ("When a Teams webhook request is
//! received"): an Adaptive Card 1.4 in an attachment.
//!
//! What comes from findings stands in text runs, which know no Markdown, so that it can't make links. A message may
//! have about 28 KB (<https://learn.microsoft.com/connectors/teams/#known-issues-and-limitations-with-actions>).

use serde_json::{Value, json};
use tatami_domain::Severity;

use crate::template::Rendered;
use crate::text::cut;
use crate::{Item, Message, texts};

/// A body has so many bytes at most; what is left to 28 KB, a flow may add.
pub const MAX_TEAMS_BYTES: usize = 24 * 1_024;

/// A message with a card. Where it would be too long, lists are shortened and their rest is counted.
pub fn teams(message: &Message) -> Value {
    let mut message = message.fit();
    loop {
        let card = card(&message);
        if size(&card) <= MAX_TEAMS_BYTES || !shorten(&mut message) {
            return card;
        }
    }
}

/// A message with a text of an operator's, which is Markdown.
pub(crate) fn with_text(message: &Message, made: &Rendered) -> Value {
    let message = message.fit();
    let mut max = 8_000;
    loop {
        let text = json!({"type": "TextBlock", "text": cut(&made.body, max), "wrap": true});
        let card = envelope(&message, vec![title(&made.subject, message.severity), text]);
        if size(&card) <= MAX_TEAMS_BYTES || max == 0 {
            return card;
        }
        max /= 2;
    }
}

/// Makes lists half as long; once they are gone, takes the facts away. Could it?
fn shorten(message: &mut Message) -> bool {
    let mut shortened = false;
    for section in &mut message.sections {
        let kept = section.items.len() / 2;
        let gone = (section.items.len() - kept) as u64;
        section.more = section.more.saturating_add(gone);
        shortened |= kept < section.items.len();
        section.items.truncate(kept);
    }
    if !shortened {
        shortened = !message.facts.is_empty();
        message.facts.clear();
    }
    shortened
}

fn size(card: &Value) -> usize {
    card.to_string().len()
}

fn card(message: &Message) -> Value {
    let mut body = vec![title(&message.title, message.severity)];
    let lines = message.summary.lines().filter(|line| !line.is_empty());
    body.extend(lines.map(|line| runs(&[run(line)])));
    for fact in &message.facts {
        body.push(runs(&[
            bold(&format!("{}: ", fact.label)),
            run(&fact.value),
        ]));
    }
    for section in &message.sections {
        let mut heading = runs(&[bold(&section.heading)]);
        heading["separator"] = true.into();
        body.push(heading);
        body.extend(section.items.iter().map(item));
        if section.more > 0 {
            body.push(runs(&[subtle(&texts::more(section.more))]));
        }
    }
    envelope(message, body)
}

fn envelope(message: &Message, mut body: Vec<Value>) -> Value {
    body.push(runs(&[subtle(&message.origin())]));
    let open = message.url.as_ref();
    let open = open.map(|url| json!({"type": "Action.OpenUrl", "title": texts::OPEN, "url": url}));
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": body,
        "actions": open.into_iter().collect::<Vec<_>>(),
    });
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": card,
        }],
    })
}

fn title(text: &str, severity: Option<Severity>) -> Value {
    let colour = match severity {
        Some(Severity::Critical | Severity::High) => "attention",
        Some(Severity::Medium) => "warning",
        _ => "default",
    };
    let run = json!({
        "type": "TextRun", "text": text, "size": "large", "weight": "bolder", "color": colour,
    });
    runs(&[run])
}

fn item(item: &Item) -> Value {
    let mut text = run(&item.text);
    if let Some(url) = &item.url {
        text["selectAction"] = json!({"type": "Action.OpenUrl", "url": url});
    }
    let severity = item.severity.map(|at| subtle(&format!(" · {at}")));
    let all: Vec<Value> = [Some(run("• ")), Some(text), severity]
        .into_iter()
        .flatten()
        .collect();
    let mut item = runs(&all);
    item["spacing"] = "small".into();
    item
}

fn runs(inlines: &[Value]) -> Value {
    json!({"type": "RichTextBlock", "inlines": inlines})
}

fn run(text: &str) -> Value {
    json!({"type": "TextRun", "text": text})
}

fn bold(text: &str) -> Value {
    json!({"type": "TextRun", "text": text, "weight": "bolder"})
}

fn subtle(text: &str) -> Value {
    json!({"type": "TextRun", "text": text, "isSubtle": true})
}
