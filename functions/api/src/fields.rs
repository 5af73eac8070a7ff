//! Fields of resources: one table each, from which come reading, checking and the OpenAPI schema.
//!
//! Clients send JSON, forms and multipart forms, so `"1"` is an id and `"true"` a boolean; what comes
//! out of here is of the field's own type.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::Method;
use http::request::Parts;
use serde_json::{Map, Value, json};
use tatami_domain::{Severity, parse_bool, parse_date};

use crate::error::Problems;

/// A JSON object.
pub type Object = Map<String, Value>;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Text of at most so many characters (0: any length).
    Text(usize),
    /// Text of at most so many characters that is stored encrypted and never answered.
    Secret(usize),
    /// An address of the web of at most so many characters, or nothing.
    Uri(usize),
    /// One of some texts.
    Choice(&'static [&'static str]),
    /// One of some texts, or nothing.
    OptionalChoice(&'static [&'static str]),
    /// One of the five severities.
    Severity,
    /// True or false.
    Bool,
    /// A whole number in a range.
    Integer(i64, i64),
    /// A number in a range.
    Number(f64, f64),
    /// A decimal number, kept as text.
    Decimal,
    /// A day.
    Date,
    /// A time; a day stands for its start.
    DateTime,
    /// A list of texts, in forms also one text with commas.
    Texts,
    /// A list of some of these texts.
    Choices(&'static [&'static str]),
    /// A list of objects with one text under this name; plain texts do as well. Read as texts.
    Named(&'static str),
    /// The id of something else.
    Ref(Target),
    /// A list of ids.
    Refs(Target),
    /// Whatever JSON there is, of at most so many bytes.
    Json(usize),
    /// Something only answers have: the schema's name, and whether it's a list.
    Other(&'static str, bool),
}

/// What an id points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Target {
    ProductType,
    Product,
    Engagement,
    Test,
    TestType,
    Environment,
    User,
    Finding,
    /// A record of this kind.
    Record(&'static str),
    /// Things that Tatami doesn't have; not looked up.
    Unknown,
}

/// A field of a resource.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Must it be sent when something is made or replaced?
    pub required: bool,
    /// May it be null?
    pub nullable: bool,
    /// Is it only in answers?
    pub read_only: bool,
    /// Is it only sent, and never answered?
    pub write_only: bool,
    /// Can it be set only when something is made?
    pub fixed: bool,
}

impl Field {
    /// An optional field.
    pub const fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            required: false,
            nullable: false,
            read_only: false,
            write_only: false,
            fixed: false,
        }
    }

    /// A field of answers only.
    pub const fn answer(name: &'static str, kind: Kind) -> Self {
        Self {
            read_only: true,
            ..Self::new(name, kind)
        }
    }

    /// Is never answered.
    #[must_use]
    pub const fn write_only(self) -> Self {
        Self {
            write_only: true,
            ..self
        }
    }

    /// Must be sent.
    #[must_use]
    pub const fn required(self) -> Self {
        Self {
            required: true,
            ..self
        }
    }

    /// May be null.
    #[must_use]
    pub const fn nullable(self) -> Self {
        Self {
            nullable: true,
            ..self
        }
    }

    /// Stays as it was made.
    #[must_use]
    pub const fn fixed(self) -> Self {
        Self {
            fixed: true,
            ..self
        }
    }
}

/// What a request is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Make something: POST.
    Create,
    /// Replace it: PUT. Optional fields that aren't sent stay as they are.
    Replace,
    /// Change some fields: PATCH.
    Change,
}

/// What the method of a request is about to do, for handlers of PUT and PATCH both.
impl<S: Send + Sync> FromRequestParts<S> for Mode {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(match parts.method {
            Method::PUT => Self::Replace,
            Method::PATCH => Self::Change,
            _ => Self::Create,
        })
    }
}

/// Reads the fields that a body has, each in its own type. Unknown and read-only fields are left out.
pub fn read(body: &Object, fields: &[Field], mode: Mode) -> Result<Object, Problems> {
    let mut read = Object::new();
    let mut problems = Problems::default();
    for field in fields.iter().filter(|f| !f.read_only) {
        if field.fixed && mode != Mode::Create {
            continue;
        }
        match body.get(field.name) {
            None if field.required && mode != Mode::Change => {
                problems.add(field.name, "This field is required.");
            }
            None => {}
            Some(Value::Null) if field.nullable => {
                read.insert(field.name.into(), Value::Null);
            }
            Some(Value::Null) => problems.add(field.name, "This field may not be null."),
            // An empty text is what forms send for nothing at all.
            Some(Value::String(text)) if text.trim().is_empty() => match field.kind {
                _ if field.required => problems.add(field.name, "This field may not be blank."),
                Kind::Text(_) | Kind::Uri(_) | Kind::OptionalChoice(_) => {
                    read.insert(field.name.into(), json!(""));
                }
                Kind::Texts | Kind::Choices(_) | Kind::Named(_) | Kind::Refs(_) => {
                    read.insert(field.name.into(), json!([]));
                }
                _ if field.nullable => {
                    read.insert(field.name.into(), Value::Null);
                }
                _ => {}
            },
            Some(value) => match read_value(value, field.kind) {
                Ok(value) => {
                    read.insert(field.name.into(), value);
                }
                Err(message) => problems.add(field.name, message),
            },
        }
    }
    if problems.is_empty() {
        Ok(read)
    } else {
        Err(problems)
    }
}

fn read_value(value: &Value, kind: Kind) -> Result<Value, String> {
    let not = |what: &str| Err(format!("{} is not {what}.", shown(value)));
    match kind {
        Kind::Text(max) => match value {
            Value::String(text) if text.contains('\0') => not("text without null characters"),
            Value::String(text) => {
                let text = text.trim();
                if max > 0 && text.chars().count() > max {
                    return Err(format!("Use no more than {max} characters."));
                }
                Ok(json!(text))
            }
            Value::Number(number) => read_value(&json!(number.to_string()), kind),
            _ => not("a text"),
        },
        // as it is: white space may be part of a key
        Kind::Secret(max) => match value.as_str() {
            Some(text) if text.chars().count() > max => {
                Err(format!("Use no more than {max} characters."))
            }
            Some(text) => Ok(json!(text)),
            None => Err("This is not a text.".into()),
        },
        Kind::Uri(max) => {
            let text = read_value(value, Kind::Text(max))?;
            let address = text
                .as_str()
                .and_then(|text| text.parse::<http::Uri>().ok());
            let schemes = ["http", "https", "ftp", "ftps"];
            let known = |uri: &http::Uri| {
                uri.host().is_some() && uri.scheme_str().is_some_and(|s| schemes.contains(&s))
            };
            match address.filter(known) {
                Some(_) => Ok(text),
                None => not("an address such as https://example.com/"),
            }
        }
        Kind::Choice(choices) | Kind::OptionalChoice(choices) => {
            let text = value.as_str().filter(|text| choices.contains(text));
            text.map(|text| json!(text))
                .ok_or_else(|| no_choice(value, choices))
        }
        Kind::Severity => match value.as_str().map(str::parse::<Severity>) {
            Some(Ok(severity)) => Ok(json!(severity.name())),
            _ => Err(no_choice(value, &Severity::ALL.map(Severity::name))),
        },
        Kind::Bool => match boolean(value) {
            Some(value) => Ok(json!(value)),
            None => not("a boolean"),
        },
        Kind::Integer(min, max) => match integer(value) {
            Some(n) if (min..=max).contains(&n) => Ok(json!(n)),
            Some(n) => Err(format!("{n} is not between {min} and {max}.")),
            None => not("a whole number"),
        },
        Kind::Number(min, max) => match number(value) {
            Some(n) if (min..=max).contains(&n) => Ok(json!(n)),
            Some(n) => Err(format!("{n} is not between {min} and {max}.")),
            None => not("a number"),
        },
        Kind::Decimal => match (value, number(value)) {
            (Value::String(text), Some(_)) => Ok(json!(text.trim())),
            (_, Some(n)) => Ok(json!(n.to_string())),
            _ => not("a number"),
        },
        Kind::Date => match value.as_str().and_then(parse_date) {
            Some(day) => Ok(json!(day)),
            None => not("a date; use YYYY-MM-DD"),
        },
        Kind::DateTime => match value.as_str().and_then(time) {
            Some(time) => Ok(json!(time)),
            None => not("a time; use YYYY-MM-DDThh:mm:ssZ"),
        },
        Kind::Texts => Ok(json!(texts(value)?)),
        Kind::Choices(choices) => chosen(value, choices),
        Kind::Named(name) => named(value, name).map(|texts| json!(texts)),
        Kind::Ref(_) => match id(value) {
            Some(id) => Ok(json!(id)),
            None => not("an id"),
        },
        Kind::Refs(_) => {
            let items = match value {
                Value::Array(items) => items.iter().map(id).collect(),
                Value::String(text) => text.split(',').map(|t| id(&json!(t.trim()))).collect(),
                one => Some(vec![id(one).unwrap_or(0)]).filter(|ids| ids != &[0]),
            };
            match items {
                Some(ids) => Ok(json!(ids)),
                None => not("a list of ids"),
            }
        }
        Kind::Json(max) if value.to_string().len() > max => {
            Err(format!("Use no more than {max} bytes of JSON."))
        }
        Kind::Json(_) => Ok(value.clone()),
        Kind::Other(..) => not("something that can be set"),
    }
}

/// Texts of which each is one of some.
fn chosen(value: &Value, choices: &[&str]) -> Result<Value, String> {
    let texts = texts(value)?;
    match texts.iter().find(|text| !choices.contains(&text.as_str())) {
        Some(wrong) => Err(no_choice(&json!(wrong), choices)),
        None => Ok(json!(texts)),
    }
}

fn no_choice(value: &Value, choices: &[&str]) -> String {
    format!(
        "{} is not a valid choice. Use one of: {}.",
        shown(value),
        choices.join(", ")
    )
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(100) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A boolean as JSON and forms have it.
pub fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::String(text) => parse_bool(text),
        Value::Number(number) => match number.as_i64() {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
        _ => None,
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            let whole = number.as_f64().filter(|n| n.fract() == 0.0)?;
            format!("{whole:.0}").parse().ok()
        }),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|n| n.is_finite())
}

/// An id as JSON and forms have it.
pub fn id(value: &Value) -> Option<u64> {
    integer(value).and_then(|n| u64::try_from(n).ok())
}

fn time(text: &str) -> Option<jiff::Timestamp> {
    let text = text.trim();
    if text.len() == 10 {
        let day = parse_date(text)?;
        return day
            .to_zoned(jiff::tz::TimeZone::UTC)
            .ok()
            .map(|z| z.timestamp());
    }
    text.parse().ok().or_else(|| {
        // a time without its zone is in UTC
        let local: jiff::civil::DateTime = text.parse().ok()?;
        local
            .to_zoned(jiff::tz::TimeZone::UTC)
            .ok()
            .map(|z| z.timestamp())
    })
}

fn texts(value: &Value) -> Result<Vec<String>, String> {
    let mut list: Vec<String> = Vec::new();
    let mut add = |text: &str| {
        for text in text.split(',').map(str::trim).filter(|t| !t.is_empty()) {
            if !list.iter().any(|known| known == text) {
                list.push(text.to_owned());
            }
        }
    };
    match value {
        Value::String(text) => match serde_json::from_str::<Vec<String>>(text) {
            // forms also carry a list as JSON text
            Ok(items) => items.iter().for_each(|item| add(item)),
            Err(_) => add(text),
        },
        Value::Array(items) => {
            for item in items {
                match item {
                    Value::String(text) => add(text),
                    other => return Err(format!("{} is not a text.", shown(other))),
                }
            }
        }
        other => return Err(format!("{} is not a list of texts.", shown(other))),
    }
    if let Some(long) = list.iter().find(|text| text.chars().count() > 255) {
        return Err(format!(
            "{} has more than 255 characters.",
            shown(&json!(long))
        ));
    }
    Ok(list)
}

fn named(value: &Value, name: &str) -> Result<Vec<String>, String> {
    let Value::Array(items) = value else {
        return texts(value);
    };
    let mut list = Vec::with_capacity(items.len());
    for item in items {
        let text = match item {
            Value::Object(object) => object.get(name).unwrap_or(item),
            other => other,
        };
        let text = match text {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            other => {
                return Err(format!(
                    "{} is not an object with \"{name}\".",
                    shown(other)
                ));
            }
        };
        if !text.is_empty() && !list.contains(&text) {
            list.push(text);
        }
    }
    Ok(list)
}

impl Field {
    /// The field as a property of an OpenAPI schema.
    pub fn schema(&self) -> Value {
        let mut schema = match self.kind {
            Kind::Text(0) => json!({"type": "string"}),
            Kind::Text(max) | Kind::Secret(max) => json!({"type": "string", "maxLength": max}),
            Kind::Uri(max) => json!({"oneOf": [
                {"type": "string", "format": "uri", "maxLength": max},
                {"type": "string", "maxLength": 0},
            ]}),
            Kind::Choice(choices) | Kind::OptionalChoice(choices) => {
                let mut values: Vec<Value> = choices.iter().map(|c| json!(c)).collect();
                if matches!(self.kind, Kind::OptionalChoice(_)) {
                    values.push(json!(""));
                }
                if self.nullable {
                    values.push(Value::Null);
                }
                json!({"type": "string", "enum": values})
            }
            Kind::Severity => {
                json!({"type": "string", "enum": Severity::ALL.map(Severity::name)})
            }
            Kind::Bool => json!({"type": "boolean"}),
            Kind::Integer(min, max) => json!({"type": "integer", "minimum": min, "maximum": max}),
            Kind::Number(min, max) => {
                json!({"type": "number", "format": "double", "minimum": min, "maximum": max})
            }
            Kind::Decimal => json!({"type": "string", "format": "decimal"}),
            Kind::Date => json!({"type": "string", "format": "date"}),
            Kind::DateTime => json!({"type": "string", "format": "date-time"}),
            Kind::Texts => json!({"type": "array", "items": {"type": "string"}}),
            Kind::Choices(choices) => {
                json!({"type": "array", "items": {"type": "string", "enum": choices}})
            }
            Kind::Named(name) => json!({"type": "array", "items": {
                "type": "object", "properties": {name: {"type": "string"}}, "required": [name],
            }}),
            Kind::Ref(_) => json!({"type": "integer"}),
            Kind::Refs(_) => json!({"type": "array", "items": {"type": "integer"}}),
            Kind::Json(_) => json!({}),
            Kind::Other(name, list) => {
                let one = match name {
                    "" => json!({"type": "object"}),
                    name => json!({"$ref": format!("#/components/schemas/{name}")}),
                };
                if list {
                    json!({"type": "array", "items": one})
                } else if self.nullable && name.is_empty() {
                    json!({"type": "object"})
                } else if self.nullable {
                    json!({"allOf": [one]})
                } else {
                    return one;
                }
            }
        };
        if self.nullable {
            schema["nullable"] = json!(true);
        }
        if self.read_only {
            schema["readOnly"] = json!(true);
        }
        if self.write_only {
            schema["writeOnly"] = json!(true);
        }
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &[Field] = &[
        Field::new("name", Kind::Text(5)).required(),
        Field::new("prod_type", Kind::Ref(Target::ProductType)).required(),
        Field::new("active", Kind::Bool),
        Field::new("end", Kind::Date).nullable(),
        Field::new("tags", Kind::Texts),
        Field::new("start", Kind::DateTime),
        Field::new("ids", Kind::Named("vulnerability_id")),
        Field::answer("created", Kind::DateTime),
    ];

    fn object(value: Value) -> Object {
        let Value::Object(object) = value else {
            panic!("no object")
        };
        object
    }

    #[test]
    fn values_come_out_in_their_own_types() {
        let body = object(json!({
            "name": " Shop ", "prod_type": "1", "active": "True", "end": "", "tags": "a, b,a",
            "start": "2026-01-02", "ids": [{"vulnerability_id": "CVE-1"}, "CVE-2", "CVE-1"],
            "created": "x", "unknown": 7,
        }));
        let read = read(&body, FIELDS, Mode::Create).unwrap();
        let expected = json!({
            "name": "Shop", "prod_type": 1, "active": true, "end": null, "tags": ["a", "b"],
            "start": "2026-01-02T00:00:00Z", "ids": ["CVE-1", "CVE-2"],
        });
        assert_eq!(Value::Object(read), expected);
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let body = object(json!({
            "name": "too long", "active": "perhaps", "end": "soon", "tags": [1],
        }));
        let problems = read(&body, FIELDS, Mode::Create).unwrap_err();
        let text = format!("{problems:?}");
        for field in ["name", "prod_type", "active", "end", "tags"] {
            assert!(text.contains(&format!("\"{field}\"")), "{field} in {text}");
        }
        // a number is taken for a text, as long as one may be
        assert!(read(&object(json!({"name": 12345})), FIELDS, Mode::Change).is_ok());
        assert!(read(&object(json!({"name": 123_456})), FIELDS, Mode::Change).is_err());
        assert!(read(&object(json!({"name": null})), FIELDS, Mode::Change).is_err());
        assert!(read(&object(json!({"name": " "})), FIELDS, Mode::Change).is_err());
        assert!(
            read(&Object::new(), FIELDS, Mode::Change)
                .unwrap()
                .is_empty()
        );
    }
}
