//! Mails.

use serde::{Deserialize, Serialize};

use crate::template::{Escape, Own};
use crate::text::{is_url, one_line};
use crate::{Message, texts};

/// A mail but for its addresses. Where there is [`unsubscribe_url`](field@Options::unsubscribe_url), it belongs into the header
/// `List-Unsubscribe` too (RFC 8058).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// One line of at most 200 characters.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The same as a whole HTML document that loads nothing.
    pub html: String,
}

/// Why somebody gets a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// They have chosen so.
    #[default]
    Settings,
    /// They have chosen so for the product.
    Product,
    /// They are a superuser, and the system's settings say so.
    Superuser,
    /// The event names them.
    Named,
    /// It goes to the address of the system.
    System,
}

/// What a mail says beside the message.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Why one gets it.
    pub reason: Reason,
    /// Stands before the subject in brackets, such as the name of the team.
    pub subject_prefix: Option<String>,
    /// Where one stops mails of its kind; see [`crate::unsubscribe`].
    pub unsubscribe_url: Option<String>,
    /// Where one changes the settings.
    pub settings_url: Option<String>,
}

impl Options {
    pub(crate) fn sample() -> Self {
        Self {
            reason: Reason::Settings,
            subject_prefix: Some("Tatami".into()),
            unsubscribe_url: Some("https://tatami.example.org/unsubscribe/TOKEN".into()),
            settings_url: Some("https://tatami.example.org/notifications".into()),
        }
    }

    pub(crate) fn subject(&self, title: &str) -> String {
        match self
            .subject_prefix
            .as_deref()
            .map(|prefix| one_line(prefix, 40))
        {
            Some(prefix) if !prefix.is_empty() => format!("[{prefix}] {title}"),
            _ => title.to_owned(),
        }
    }

    pub(crate) fn reason(&self) -> String {
        texts::reason(self.reason)
    }

    pub(crate) fn unsubscribe_url(&self) -> Option<&str> {
        self.unsubscribe_url.as_deref().filter(|url| is_url(url))
    }

    pub(crate) fn settings_url(&self) -> Option<&str> {
        self.settings_url.as_deref().filter(|url| is_url(url))
    }
}

/// A message as a mail.
pub fn mail(message: &Message, options: &Options) -> Mail {
    let message = message.fit();
    let plain = || format!("{}\n\n{}\n", message.title, message.summary);
    let text = Own::MailText.of(&message, options).unwrap_or_else(plain);
    let html = Own::MailHtml.of(&message, options);
    Mail {
        subject: options.subject(&message.title),
        html: html.unwrap_or_else(|| as_html(&text)),
        text,
    }
}

/// A plain text as HTML.
pub(crate) fn as_html(text: &str) -> String {
    format!("<pre>{}</pre>", Escape::Html.of(text))
}
