use jiff::Timestamp;
use serde::{Deserialize as _, Deserializer, de};
use serde_json::Value;

/// Reads a time as JIRA writes it, `2026-01-02T03:04:05.000+0000`, or as RFC 3339 has it.
pub fn parse(text: &str) -> Result<Timestamp, jiff::Error> {
    text.parse()
        .or_else(|_| Timestamp::strptime("%Y-%m-%dT%H:%M:%S%.f%z", text))
}

/// Nothing, a text as [`parse`] reads it, or milliseconds since 1970, which some webhooks have.
pub(crate) fn optional<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    match Option::<Value>::deserialize(deserializer)? {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => parse(&text).map(Some).map_err(de::Error::custom),
        Some(Value::Number(number)) => number
            .as_i64()
            .ok_or_else(|| de::Error::custom(format!("{number} is no time in milliseconds")))
            .and_then(|ms| Timestamp::from_millisecond(ms).map_err(de::Error::custom))
            .map(Some),
        Some(_) => Err(de::Error::custom("a time is neither text nor a number")),
    }
}
