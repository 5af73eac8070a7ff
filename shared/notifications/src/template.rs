//! Templates: those that mails are made of, and those that operators put in their place.
//!
//! The language is Jinja's (`minijinja`), without files, includes, macros, and all that makes values of others: no
//! arithmetic, no `~`, no lists or maps of one's own, no functions, no filters with two arguments. A line with only a tag
//! isn't there. A template has the message, with these names:
//!
//! | name | what |
//! |---|---|
//! | `id`, `topic`, `topic_label`, `title`, `summary`, `time`, `origin` | texts; `time` is in ISO 8601, `origin` a line with topic, product and time |
//! | `url`, `severity` | a text or none |
//! | `product` | `id` and `name`, or none |
//! | `object` | the id of what it's about |
//! | `facts` | each with `label` and `value` |
//! | `sections` | each with `heading`, `items` (`text`, `url`, `severity`) and `more`, the number of those not named |
//! | `reason`, `unsubscribe_url`, `settings_url` | of a mail: why one gets it, and addresses or none |
//! | `words` | `open`, `unsubscribe`, `settings`: what stands on links |
//!
//! and the filters `more` (`7|more` is "and 7 more"), `number` (1,234) and `colour` (of a severity). An unknown name is an
//! error; none shows as nothing. Values are escaped for where they go to: HTML in the body of a mail, `& < >` for
//! Slack, the marks of Markdown for Teams. Time and memory are bounded by the instructions that a template may take and
//! the bytes that it may make.

use std::io;
use std::sync::OnceLock;

use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tatami_domain::Severity;
use thiserror::Error;

use crate::text::{clean, one_line};
use crate::{Alert, Channel, Mail, Message, Options, Topic, mail, message, slack, teams, texts};

/// Bytes of a subject or a body.
const MAX_SOURCE: usize = 32 * 1_024;
/// Bytes of what one makes.
const MAX_OUTPUT: usize = 256 * 1_024;
/// Instructions; each 64 bytes that are made count as one too.
const FUEL: u64 = 50_000;

/// What an operator wants said in place of the default, of a topic on a channel.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Template {
    /// The subject of a mail, or the title elsewhere; none: the title of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The whole HTML of a mail; the message's text in Slack (mrkdwn), Teams (Markdown) or an alert (plain).
    pub body: String,
}

/// A template can't be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// The channel has a fixed form.
    #[error("{} has no templates: its body has a fixed form", .0.name())]
    Channel(Channel),
    /// It's too long.
    #[error("the {part} of the template is longer than {MAX_SOURCE} bytes: shorten it")]
    Source {
        /// `subject` or `body`.
        part: &'static str,
    },
    /// What it says is wrong.
    #[error("the {part} of the template is wrong{}: {what}", at(*line))]
    Wrong {
        /// `subject` or `body`.
        part: &'static str,
        /// From 1.
        line: Option<usize>,
        /// What is wrong.
        what: String,
    },
    /// It does too much.
    #[error("the {part} of the template takes too many steps or makes too much text{}: look at its loops", at(*line))]
    TooMuch {
        /// `subject` or `body`.
        part: &'static str,
        /// From 1.
        line: Option<usize>,
    },
    /// It makes nothing.
    #[error("the {part} of the template makes no text: write something outside of conditions")]
    Empty {
        /// `subject` or `body`.
        part: &'static str,
    },
}

fn at(line: Option<usize>) -> String {
    line.map(|line| format!(" in line {line}"))
        .unwrap_or_default()
}

/// What a template has made: one line, and a text that is escaped for its channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// In place of the title.
    pub subject: String,
    /// In place of everything else.
    pub body: String,
}

impl Template {
    /// What a mail is without a template of one's own: where to begin.
    pub fn of_mails() -> Self {
        Self {
            subject: None,
            body: Own::MailHtml.source().to_owned(),
        }
    }

    /// Can it be used? Makes a sample message of the topic with it. Parts that the sample doesn't reach are only read.
    pub fn check(&self, topic: Topic, channel: Channel) -> Result<(), TemplateError> {
        let (_, sample) = message::sample(topic);
        self.render(&sample, channel, &Options::sample()).map(drop)
    }

    /// What it makes of a message.
    pub fn render(
        &self,
        message: &Message,
        channel: Channel,
        options: &Options,
    ) -> Result<Rendered, TemplateError> {
        let escape = match channel {
            Channel::Mail => Escape::Html,
            Channel::Slack => Escape::Slack,
            Channel::MsTeams => Escape::Markdown,
            Channel::Alert => Escape::None,
            Channel::Webhooks => return Err(TemplateError::Channel(channel)),
        };
        let message = message.fit();
        let context = context(&message, options);
        let subject = match &self.subject {
            None => message.title.clone(),
            Some(subject) => one_line(&run(subject, "subject", Escape::None, &context)?, 150),
        };
        if subject.is_empty() {
            return Err(TemplateError::Empty { part: "subject" });
        }
        let body = run(&self.body, "body", escape, &context)?;
        if body.trim().is_empty() {
            return Err(TemplateError::Empty { part: "body" });
        }
        Ok(Rendered { subject, body })
    }

    /// A mail with this subject and HTML; its plain text is the default.
    pub fn mail(&self, message: &Message, options: &Options) -> Result<Mail, TemplateError> {
        let made = self.render(message, Channel::Mail, options)?;
        Ok(Mail {
            subject: options.subject(&made.subject),
            html: made.body,
            ..mail(message, options)
        })
    }

    /// A message for Slack with this title and text.
    pub fn slack(&self, message: &Message) -> Result<serde_json::Value, TemplateError> {
        let made = self.render(message, Channel::Slack, &Options::default())?;
        Ok(slack::with_text(message, &made))
    }

    /// A message for Teams with this title and text.
    pub fn teams(&self, message: &Message) -> Result<serde_json::Value, TemplateError> {
        let made = self.render(message, Channel::MsTeams, &Options::default())?;
        Ok(teams::with_text(message, &made))
    }

    /// An alert with this title and text.
    pub fn alert(&self, message: &Message) -> Result<Alert, TemplateError> {
        let made = self.render(message, Channel::Alert, &Options::default())?;
        Ok(Alert {
            title: made.subject,
            description: clean(&made.body, 2_000),
            ..crate::alert(message)
        })
    }
}

/// How values are escaped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escape {
    None,
    Html,
    Slack,
    Markdown,
}

impl Escape {
    pub(crate) fn of(self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match (self, c) {
                (Self::Html | Self::Slack, '&') => out.push_str("&amp;"),
                (Self::Html | Self::Slack, '<') => out.push_str("&lt;"),
                (Self::Html | Self::Slack, '>') => out.push_str("&gt;"),
                (Self::Html, '"') => out.push_str("&quot;"),
                (Self::Html, '\'') => out.push_str("&#39;"),
                (Self::Markdown, '\\' | '`' | '*' | '_' | '[' | ']' | '~' | '#' | '<' | '|') => {
                    out.extend(['\\', c]);
                }
                _ => out.push(c),
            }
        }
        out
    }

    fn environment(self) -> Environment<'static> {
        let mut env = Environment::new();
        for name in [
            "safe", "batch", "chain", "format", "indent", "pprint", "slice", "zip",
        ] {
            env.remove_filter(name);
        }
        for name in ["debug", "dict", "namespace", "range"] {
            env.remove_global(name);
        }
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        env.set_syntax(syntax());
        env.set_auto_escape_callback(move |_| match self {
            Self::Html => AutoEscape::Html,
            _ => AutoEscape::None,
        });
        // whatever `autoescape` in the template says
        env.set_formatter(move |out, _, value| {
            if value.is_undefined() {
                return Err(Error::from(ErrorKind::UndefinedError));
            }
            if value.is_none() {
                return Ok(());
            }
            if value.as_object().is_some() {
                let what =
                    "a list is shown by a loop over it, and a group of values by one of them";
                return Err(Error::new(ErrorKind::InvalidOperation, what));
            }
            let text = value.to_string();
            let safe = self == Self::None || self == Self::Html && value.is_safe();
            let text = if safe { text } else { self.of(&text) };
            out.write_str(&text).map_err(Error::from)
        });
        env.add_filter("more", texts::more);
        env.add_filter("number", texts::number);
        env.add_filter("colour", |severity: Option<String>| {
            colour(severity.and_then(|name| name.parse().ok()))
        });
        env
    }
}

/// A line that has only a tag isn't there.
fn syntax() -> SyntaxConfig {
    let mut syntax = SyntaxConfig::builder();
    let syntax = syntax.trim_blocks(true).lstrip_blocks(true);
    syntax.build().unwrap_or_default()
}

/// Refuses what makes new values of others. Fuel is charged for what instructions make, but not while a list is
/// written that refers to another one many times over, or compared to one.
fn only_reads(source: &str, part: &'static str) -> Result<(), TemplateError> {
    let mut before = None;
    for token in tokenize(source, false, syntax()) {
        let (token, span) = token.map_err(|error| wrong(part, &error))?;
        let index = matches!(
            before,
            Some(Token::Ident(_) | Token::BracketClose | Token::ParenClose)
        );
        let makes = match &token {
            Token::Plus => "+",
            Token::Mul => "*",
            Token::Pow => "**",
            Token::Mod => "%",
            Token::Div => "/",
            Token::FloorDiv => "//",
            Token::Tilde => "~",
            Token::Comma => ",",
            Token::BraceOpen => "{",
            Token::BracketOpen if !index => "[",
            _ => "",
        };
        if !makes.is_empty() {
            return Err(TemplateError::Wrong {
                part,
                line: Some(span.start_line.into()),
                what: format!(
                    "\"{makes}\" is not allowed: values are shown and compared, but not made of others"
                ),
            });
        }
        before = Some(token);
    }
    Ok(())
}

/// Backgrounds on which white text can be read (4.5 : 1).
fn colour(severity: Option<Severity>) -> &'static str {
    match severity {
        Some(Severity::Critical) => "#8b1a2b",
        Some(Severity::High) => "#b3401b",
        Some(Severity::Medium) => "#8a6100",
        Some(Severity::Low) => "#2f6b4f",
        Some(Severity::Info) | None => "#4a5568",
    }
}

/// The values that a template has.
fn context(message: &Message, options: &Options) -> serde_json::Value {
    let mut context = json!({
        "topic_label": message.topic.label(),
        "origin": message.origin(),
        "reason": options.reason(),
        "unsubscribe_url": options.unsubscribe_url(),
        "settings_url": options.settings_url(),
        "words": words(),
    });
    if let (Some(all), Ok(serde_json::Value::Object(own))) =
        (context.as_object_mut(), serde_json::to_value(message))
    {
        all.extend(own);
    }
    context
}

pub(crate) fn words() -> serde_json::Value {
    json!({
        "open": texts::OPEN, "unsubscribe": texts::UNSUBSCRIBE, "settings": texts::SETTINGS,
        "no_product": texts::NO_PRODUCT,
    })
}

fn run(
    source: &str,
    part: &'static str,
    escape: Escape,
    context: &serde_json::Value,
) -> Result<String, TemplateError> {
    if source.len() > MAX_SOURCE {
        return Err(TemplateError::Source { part });
    }
    only_reads(source, part)?;
    let mut env = escape.environment();
    env.set_fuel(Some(FUEL));
    let mut out = Bounded(Vec::new());
    let template = env.template_from_named_str(part, source);
    let template = template.map_err(|error| wrong(part, &error))?;
    let made = template.render_captured_to(Value::from(Serde(context)), &mut out);
    made.map(drop).map_err(|error| match wrong(part, &error) {
        TemplateError::Wrong { line, what, .. } if error.kind() == ErrorKind::UndefinedError => {
            let names = template.undeclared_variables(false).into_iter();
            let mut unknown: Vec<String> =
                names.filter(|name| context.get(name).is_none()).collect();
            unknown.sort();
            let what = match &*unknown {
                [] => what,
                unknown => format!("{what}, messages have no {}", unknown.join(", ")),
            };
            TemplateError::Wrong { part, line, what }
        }
        other => other,
    })?;
    // templates write whole characters
    Ok(String::from_utf8_lossy(&out.0).into_owned())
}

fn wrong(part: &'static str, error: &Error) -> TemplateError {
    let line = error.line();
    match error.kind() {
        ErrorKind::OutOfFuel | ErrorKind::WriteFailure => TemplateError::TooMuch { part, line },
        kind => TemplateError::Wrong {
            part,
            line,
            what: match error.detail() {
                Some(detail) => format!("{kind}, {detail}"),
                None => kind.to_string(),
            },
        },
    }
}

/// Takes no more than it may.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The templates that come with this crate.
#[derive(Clone, Copy)]
pub(crate) enum Own {
    MailHtml,
    MailText,
    DigestHtml,
    DigestText,
}

impl Own {
    pub(crate) const fn source(self) -> &'static str {
        match self {
            Self::MailHtml => include_str!("templates/mail.html"),
            Self::MailText => include_str!("templates/mail.txt"),
            Self::DigestHtml => include_str!("templates/digest.html"),
            Self::DigestText => include_str!("templates/digest.txt"),
        }
    }

    /// None where it's wrong, which a test rules out.
    pub(crate) fn render(self, context: &serde_json::Value) -> Option<String> {
        static HTML: OnceLock<Environment<'static>> = OnceLock::new();
        static TEXT: OnceLock<Environment<'static>> = OnceLock::new();
        let env = match self {
            Self::MailHtml | Self::DigestHtml => HTML.get_or_init(|| Escape::Html.environment()),
            Self::MailText | Self::DigestText => TEXT.get_or_init(|| Escape::None.environment()),
        };
        let made = env.render_str(self.source(), Value::from(Serde(context)));
        made.ok().filter(|made| !made.trim().is_empty())
    }

    /// The same of a message.
    pub(crate) fn of(self, message: &Message, options: &Options) -> Option<String> {
        self.render(&context(message, options))
    }
}
