//! Messages collected, and sent as one mail.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;

use crate::mail::as_html;
use crate::template::{Own, words};
use crate::{Mail, Message, Options, Topic, texts};

/// So many messages of a topic in a product are shown; the others are counted.
const MAX_OF_A_TOPIC: usize = 10;
/// So many messages are shown in all.
const MAX_SHOWN: usize = 200;

/// How often a user gets mails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Digest {
    /// Each message at once.
    #[default]
    Off,
    /// Those of a day together.
    Daily,
    /// Those of a week together, on Mondays.
    Weekly,
}

/// When a user gets the mail of what was collected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DigestSchedule {
    /// How often.
    pub digest: Digest,
    /// At which hour of their day, 0 to 23; later ones count as 23.
    pub hour: u8,
    /// Where they are, as an IANA name such as `Europe/Berlin`.
    pub time_zone: String,
}

impl Default for DigestSchedule {
    /// Off; at 8 in UTC once it's turned on.
    fn default() -> Self {
        Self {
            digest: Digest::Off,
            hour: 8,
            time_zone: "UTC".into(),
        }
    }
}

/// There is no such time zone.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("\"{0}\" is not a time zone: use an IANA name such as Europe/Berlin")]
pub struct UnknownTimeZone(pub String);

impl DigestSchedule {
    /// When what was collected at this time is sent; none: at once. Where the clocks skip the hour, it is the next.
    pub fn next(&self, after: Timestamp) -> Result<Option<Timestamp>, UnknownTimeZone> {
        let unknown = || UnknownTimeZone(self.time_zone.clone());
        let days: i8 = match self.digest {
            Digest::Off => return Ok(None),
            Digest::Daily => 1,
            Digest::Weekly => 7,
        };
        let zone = if self.time_zone.eq_ignore_ascii_case("utc") {
            TimeZone::UTC
        } else {
            TimeZone::get(&self.time_zone).map_err(|_| unknown())?
        };
        let hour = i8::try_from(self.hour.min(23)).unwrap_or(23);
        let mut day = after.to_zoned(zone.clone()).date();
        if self.digest == Digest::Weekly {
            let back = day.weekday().since(Weekday::Monday);
            day = day.saturating_sub(back.days());
        }
        // the first may be before, and the second is after but at the end of time
        for day in [day, day.saturating_add(days.days())] {
            let at = day.at(hour, 0, 0, 0).to_zoned(zone.clone());
            if let Ok(at) = at.map(|at| at.timestamp()).map_err(|_| unknown())
                && at > after
            {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }
}

/// By name, and by id where names are the same; those without a product come last.
type Group = (bool, String, Option<u64>);

/// Messages as one mail: by product, then by topic, the newest first. Of a topic in a product 10 are shown, and 200 in
/// all; the others are counted. A message that is there twice counts once.
pub fn digest(messages: &[Message], digest: Digest, options: &Options) -> Mail {
    let unique: BTreeMap<&str, &Message> = (messages.iter().rev())
        .map(|message| (message.id.as_str(), message))
        .collect();
    let count = unique.len() as u64;
    let mut groups: BTreeMap<Group, BTreeMap<Topic, Vec<Message>>> = BTreeMap::new();
    for message in unique.into_values() {
        let message = message.fit();
        let product = message.product.as_ref();
        let name = product.map_or_else(String::new, |product| product.name.clone());
        let group = (product.is_none(), name, product.map(|product| product.id.0));
        let topics = groups.entry(group).or_default();
        topics.entry(message.topic).or_default().push(message);
    }
    let mut left = MAX_SHOWN;
    let mut products = Vec::new();
    for ((_, name, id), topics) in groups {
        let shown = topics.into_iter().map(|(topic, messages)| {
            let (shown, more) = newest(messages, &mut left);
            json!({"label": topic.label(), "messages": shown, "more": more})
        });
        let name = id.map(|_| name);
        products.push(json!({"name": name, "topics": shown.collect::<Vec<_>>()}));
    }
    let title = texts::digest_title(digest == Digest::Weekly, count);
    let context = json!({
        "title": title,
        "products": products,
        "reason": options.reason(),
        "unsubscribe_url": options.unsubscribe_url(),
        "settings_url": options.settings_url(),
        "words": words(),
    });
    let text = Own::DigestText.render(&context);
    let text = text.unwrap_or_else(|| title.clone());
    Mail {
        subject: options.subject(&title),
        html: (Own::DigestHtml.render(&context)).unwrap_or_else(|| as_html(&text)),
        text,
    }
}

/// What is shown of messages, and how many more there are.
fn newest(mut messages: Vec<Message>, left: &mut usize) -> (Vec<Value>, usize) {
    messages.sort_by_cached_key(|message| (Reverse(message.time), message.id.clone()));
    let fitting = messages.len().min(MAX_OF_A_TOPIC).min(*left);
    *left -= fitting;
    let more = messages.len() - fitting;
    let shown = messages.into_iter().take(fitting).map(|message| {
        json!({
            "title": message.title, "url": message.url, "severity": message.severity,
            "time": texts::moment(message.time),
        })
    });
    (shown.collect(), more)
}
