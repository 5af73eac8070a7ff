use std::collections::BTreeMap;
use std::time::Duration;

use http::header::{DATE, RETRY_AFTER};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::TransportError;

/// The longest message of an error, in characters.
const MAX_MESSAGE: usize = 500;

/// Why JIRA didn't do what it was asked. Messages are one line of at most 500 characters, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JiraError {
    /// 401.
    #[error(
        "JIRA refuses the credentials: check user and token{}",
        because(message)
    )]
    Unauthorised {
        /// What JIRA says.
        message: String,
    },
    /// 403: the user may not, or JIRA wants a CAPTCHA after failed logins.
    #[error("JIRA forbids this{}", because(message))]
    Forbidden {
        /// What JIRA says, or that somebody must log in with a browser.
        message: String,
    },
    /// 404: it isn't there, or the user may not see it.
    #[error(
        "JIRA has no such thing, or its user may not see it{}",
        because(message)
    )]
    NotFound {
        /// What JIRA says.
        message: String,
    },
    /// 410: this JIRA doesn't have that request any more.
    #[error("JIRA has this no more{}", because(message))]
    Gone {
        /// What JIRA says.
        message: String,
    },
    /// 400, 409, 413 or 422: JIRA doesn't take what was sent.
    #[error("JIRA refuses the request: {}", invalid(messages, fields))]
    Invalid {
        /// About all of it.
        messages: Vec<String>,
        /// About a field, by its id.
        fields: BTreeMap<String, String>,
    },
    /// 429, or 503 that says when to come back.
    #[error("JIRA asks to wait{}", retry_after.map_or_else(String::new, |d| format!(" for {} s", d.as_secs())))]
    RateLimited {
        /// How long, where JIRA says it.
        retry_after: Option<Duration>,
    },
    /// 5xx.
    #[error("JIRA failed with status {status}{}", because(message))]
    Server {
        /// The status.
        status: u16,
        /// What JIRA, or what stands before it, says.
        message: String,
    },
    /// Any other status, a redirect for one.
    #[error(
        "JIRA answered with status {status}: is the address right?{}",
        because(message)
    )]
    Unexpected {
        /// The status.
        status: u16,
        /// What it says, or where it points to.
        message: String,
    },
    /// No answer came.
    #[error("JIRA cannot be reached: {0}")]
    Transport(TransportError),
    /// An answer that isn't what the API promises.
    #[error("the answer of JIRA to \"{what}\" cannot be read: {why}")]
    Unreadable {
        /// The operation.
        what: String,
        /// What is wrong, and where.
        why: String,
    },
    /// The client's own settings.
    #[error("the {what} of JIRA is not usable: {why}")]
    Settings {
        /// Which.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl JiraError {
    /// Whether the same request may succeed later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::Server { .. } => true,
            Self::Transport(error) => error.passing,
            // 408 and 425 are the server's way to say "again".
            Self::Unexpected { status, .. } => matches!(status, 408 | 425),
            _ => false,
        }
    }

    /// What an answer says where it doesn't let us in at all: 401, 403, or what stands for them. For whoever
    /// carries the answers and wants to stop then; `auth` is taken out of the text.
    pub fn refusal(response: &http::Response<Vec<u8>>, auth: &crate::Auth) -> Option<String> {
        if response.status().is_success() {
            return None;
        }
        match Self::of(response) {
            error @ (Self::Unauthorised { .. } | Self::Forbidden { .. }) => {
                let secrets = auth.secrets();
                let error = error.without(&secrets.each_ref().map(String::as_str));
                Some(error.to_string())
            }
            _ => None,
        }
    }

    /// For how long an answer asks to be left alone, if it does; `default` where it doesn't say.
    pub fn pause(response: &http::Response<Vec<u8>>, default: Duration) -> Option<Duration> {
        match Self::of(response) {
            Self::RateLimited { retry_after } => Some(retry_after.unwrap_or(default)),
            _ => None,
        }
    }

    /// Reads an answer whose status isn't 2xx.
    pub(crate) fn of(response: &http::Response<Vec<u8>>) -> Self {
        let status = response.status().as_u16();
        let said = Said::read(response.body());
        let message = || said.one_line();
        match status {
            400 | 409 | 413 | 422 => {
                let mut messages = said.messages;
                if messages.is_empty() && said.fields.is_empty() {
                    messages.push(format!("status {status} without a reason"));
                }
                Self::Invalid {
                    messages,
                    fields: said.fields,
                }
            }
            401 | 403 if needs_captcha(response) => Self::Forbidden {
                message:
                    "it wants a CAPTCHA after failed logins: log in with a browser as its user"
                        .to_owned(),
            },
            401 => Self::Unauthorised { message: message() },
            // Cloud goes on as nobody then, for whom the issue isn't there.
            403 | 404 if login_failed(response) => Self::Unauthorised { message: message() },
            403 => Self::Forbidden { message: message() },
            404 => Self::NotFound { message: message() },
            410 => Self::Gone { message: message() },
            429 => Self::RateLimited {
                retry_after: retry_after(response),
            },
            503 if response.headers().contains_key(RETRY_AFTER) => Self::RateLimited {
                retry_after: retry_after(response),
            },
            500..=599 => Self::Server {
                status,
                message: message(),
            },
            300..=399 => Self::Unexpected {
                status,
                message: header(response, "location")
                    .map(|to| one_line(&format!("it points to {}", without_query(to))))
                    .unwrap_or_default(),
            },
            _ => Self::Unexpected {
                status,
                message: message(),
            },
        }
    }

    /// Takes a secret out of whatever text there is in it.
    pub(crate) fn without(mut self, secrets: &[&str]) -> Self {
        let clean = |text: &mut String| {
            for secret in secrets.iter().filter(|s| !s.is_empty()) {
                if text.contains(secret) {
                    *text = text.replace(secret, "***");
                }
            }
            *text = one_line(text);
        };
        match &mut self {
            Self::Unauthorised { message }
            | Self::Forbidden { message }
            | Self::NotFound { message }
            | Self::Gone { message }
            | Self::Server { message, .. }
            | Self::Unexpected { message, .. }
            | Self::Transport(TransportError { message, .. }) => clean(message),
            Self::Unreadable { why, .. } | Self::Settings { why, .. } => clean(why),
            Self::Invalid { messages, fields } => {
                messages.iter_mut().for_each(clean);
                fields.values_mut().for_each(clean);
            }
            Self::RateLimited { .. } => {}
        }
        self
    }
}

/// What the body of an error says.
#[derive(Default, Deserialize)]
struct Said {
    #[serde(default, rename = "errorMessages")]
    messages: Vec<String>,
    #[serde(default, rename = "errors", deserialize_with = "texts")]
    fields: BTreeMap<String, String>,
    /// What some parts of JIRA have instead.
    #[serde(default)]
    message: Option<String>,
}

impl Said {
    /// JSON as JIRA has it; of anything else, which is mostly HTML of a proxy, only that it isn't.
    fn read(body: &[u8]) -> Self {
        let mut said = serde_json::from_slice::<Self>(body).unwrap_or_else(|_| {
            let text = String::from_utf8_lossy(&body[..body.len().min(4096)]);
            Self {
                messages: title(&text).into_iter().collect(),
                ..Self::default()
            }
        });
        said.messages.extend(said.message.take());
        // A hostile answer of many megabytes must not be kept.
        said.messages.truncate(20);
        for text in said.messages.iter_mut().chain(said.fields.values_mut()) {
            *text = one_line(text);
        }
        said
    }

    fn one_line(&self) -> String {
        invalid(&self.messages, &self.fields)
    }
}

/// The field errors; a value that isn't text is kept as its JSON.
fn texts<'de, D: serde::Deserializer<'de>>(d: D) -> Result<BTreeMap<String, String>, D::Error> {
    let all = Option::<BTreeMap<String, Value>>::deserialize(d)?.unwrap_or_default();
    Ok(all
        .into_iter()
        .take(50)
        .map(|(field, value)| match value {
            Value::String(text) => (field, text),
            other => (field, other.to_string()),
        })
        .collect())
}

/// The title of an HTML page, or a short text as it is.
fn title(body: &str) -> Option<String> {
    let lower = body.to_ascii_lowercase();
    if let Some(start) = lower.find("<title>") {
        let rest = &body[start + "<title>".len()..];
        let end = lower[start + "<title>".len()..].find('<')?;
        return Some(format!("a page \"{}\"", rest[..end].trim()));
    }
    let text = body.trim();
    (!text.is_empty() && !text.starts_with(['<', '{', '['])).then(|| one_line(text))
}

fn invalid(messages: &[String], fields: &BTreeMap<String, String>) -> String {
    let fields = fields.iter().map(|(field, why)| format!("{field}: {why}"));
    let all: Vec<String> = messages.iter().cloned().chain(fields).collect();
    one_line(&all.join("; "))
}

fn because(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(": {message}")
    }
}

/// Without control characters and cut.
pub(crate) fn one_line(text: &str) -> String {
    // The sentence around it needs some room too.
    crate::text::line(text, MAX_MESSAGE - 100)
}

fn header<'a>(response: &'a http::Response<Vec<u8>>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// A query may hold what nobody should read in a log.
fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// Seraph is the part of JIRA that logs users in.
fn login_failed(response: &http::Response<Vec<u8>>) -> bool {
    header(response, "x-seraph-loginreason").is_some_and(|r| r.contains("AUTHENTICATED_FAILED"))
}

fn needs_captcha(response: &http::Response<Vec<u8>>) -> bool {
    let seraph = header(response, "x-seraph-loginreason").unwrap_or_default();
    let denied = header(response, "x-authentication-denied-reason").unwrap_or_default();
    seraph.contains("AUTHENTICATION_DENIED") || denied.starts_with("CAPTCHA_CHALLENGE")
}

/// Seconds, or an HTTP date against the answer's own clock (RFC 9110, 10.2.3).
fn retry_after(response: &http::Response<Vec<u8>>) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = http_date(text)?;
    let now = header(response, DATE.as_str())
        .and_then(http_date)
        .unwrap_or_else(Timestamp::now);
    Some(Duration::try_from(until.duration_since(now)).unwrap_or_default())
}

fn http_date(text: &str) -> Option<Timestamp> {
    let zoned = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(zoned.timestamp())
}
