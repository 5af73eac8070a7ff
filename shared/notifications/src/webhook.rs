//! Messages for webhooks.

use serde_json::{Value, json};
use tatami_domain::Event;

use crate::{Message, Topic};

/// The version of the body. A field that is added leaves it as it is; one that goes or changes makes another.
pub const WEBHOOK_VERSION: u32 = 1;

/// The body of a request.
///
/// | field | what |
/// |---|---|
/// | `version` | [`WEBHOOK_VERSION`] |
/// | `id` | of the message; the same when it's sent again. For a webhook it is the header `X-Tatami-Delivery` too |
/// | `event` | name of the topic, such as `scan_added` |
/// | `kind` | name of the kind of event, such as `sla_due` |
/// | `time` | when it happened, ISO 8601 in UTC |
/// | `title`, `summary` | what people read; plain text |
/// | `severity` | the worst of what it's about, or null |
/// | `url` | where to look, or null |
/// | `product` | `{"id": 7, "name": "Web shop"}`, or null |
/// | `object` | id of what it's about; which sort of thing, depends on `event` |
/// | `data` | the data of the event as `GET /api/v2/events/` has it; for `sla_breach`, that of the one finding |
pub fn webhook(message: &Message, event: &Event) -> Value {
    let message = message.fit();
    json!({
        "version": WEBHOOK_VERSION,
        "id": message.id,
        "event": message.topic.name(),
        "kind": event.kind,
        "time": message.time,
        "title": message.title,
        "summary": message.summary,
        "severity": message.severity,
        "url": message.url,
        "product": message.product,
        "object": message.object,
        "data": data(&message, event),
    })
}

fn data(message: &Message, event: &Event) -> Value {
    if message.topic != Topic::SlaBreach {
        return event.data.clone();
    }
    let parts = ["breached", "due_today", "due_soon"].into_iter();
    let mut findings = parts
        .filter_map(|part| event.data[part]["findings"].as_array())
        .flatten();
    let finding = findings.find(|finding| finding["id"] == message.object);
    json!({"product_name": event.data["product_name"], "finding": finding})
}
