//! A mail as MIME (RFC 5322, RFC 2045, RFC 2046).

use jiff::Timestamp;
use jiff::tz::TimeZone;
use lettre::message::{MultiPart, SinglePart};
use url::Url;

use crate::header::unstructured;
use crate::{MailError, Mailbox};

/// One mail to one mailbox.
///
/// Whatever the texts are, none can add a header field, a part or a recipient: white space, line ends and control
/// characters in a subject or the value of a field become one space, and bodies are encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Who gets it.
    pub to: Mailbox,
    /// One line.
    pub subject: String,
    /// The plain text; lines end with `\n` or `\r\n`.
    pub text: String,
    /// The same as HTML; sent as it is, so whoever makes it escapes what it shows.
    pub html: Option<String>,
    /// The left side of the Message-ID, the same in each try, so that a second copy can be told: 1 to 64 ASCII letters,
    /// digits, `-`, `_`, `=`, `+` and single dots inside. SES puts its own Message-ID in its place.
    pub message_id: String,
    /// Where such mails can be stopped, `http` or `https`. With `https` one click is enough, without asking
    /// again (RFC 8058): a POST with the body `List-Unsubscribe=One-Click`. Mails that have it say that they go to many
    /// (`Precedence: bulk`).
    pub list_unsubscribe: Option<String>,
    /// Further header fields with their values of free text, such as `X-Tatami-Event`, `References`.
    pub headers: Vec<(String, String)>,
}

/// The fields that a mail has by itself; another one of the same name would contradict it.
const OWN: [&str; 16] = [
    "Auto-Submitted",
    "Bcc",
    "Cc",
    "Content-Transfer-Encoding",
    "Content-Type",
    "Date",
    "From",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "Message-ID",
    "MIME-Version",
    "Precedence",
    "Return-Path",
    "Sender",
    "Subject",
    "To",
];
/// The longest URL, in octets: it cannot be broken, and a line has at most 998.
const MAX_URL: usize = 900;

impl Mail {
    /// The mail as MIME of now: ASCII, no line longer than 998 octets, each ended by CRLF.
    pub fn to_mime(&self, from: &Mailbox) -> Result<Vec<u8>, MailError> {
        self.check_message_id()?;
        let date = Timestamp::now().to_zoned(TimeZone::UTC);
        let date = jiff::fmt::rfc2822::to_string(&date)
            .map_err(|error| content("date", &error.to_string()))?;
        let mut head = Head::default();
        head.add("From", &from.encoded());
        head.add("To", &self.to.encoded());
        head.add_text("Subject", &self.subject);
        head.add("Date", &date);
        let message_id = format!("<{}@{}>", self.message_id, from.domain());
        head.add("Message-ID", &message_id);
        head.add("Auto-Submitted", "auto-generated");
        if let Some(url) = &self.list_unsubscribe {
            let url = unsubscribe_url(url)?;
            head.add("Precedence", "bulk");
            head.add("List-Unsubscribe", &format!("<{url}>"));
            if url.scheme() == "https" {
                head.add("List-Unsubscribe-Post", "List-Unsubscribe=One-Click");
            }
        }
        for (name, value) in &self.headers {
            check_name(name)?;
            head.add_text(name, value);
        }
        head.add("MIME-Version", "1.0");
        let mut mime = head.0.into_bytes();
        mime.extend(self.content());
        Ok(mime)
    }

    fn content(&self) -> Vec<u8> {
        let text = SinglePart::plain(clean(&self.text));
        match &self.html {
            None => text.formatted(),
            Some(html) => MultiPart::alternative()
                .singlepart(text)
                .singlepart(SinglePart::html(clean(html)))
                .formatted(),
        }
    }

    fn check_message_id(&self) -> Result<(), MailError> {
        let id = &self.message_id;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=+".contains(&byte);
        let atom = |atom: &str| !atom.is_empty() && atom.bytes().all(allowed);
        if id.len() <= 64 && id.split('.').all(atom) {
            return Ok(());
        }
        let reason = "must have 1 to 64 ASCII letters, digits, -, _, =, + and single dots inside";
        Err(content("message id", reason))
    }
}

/// The header fields, each in its lines.
#[derive(Default)]
struct Head(String);

impl Head {
    /// Adds a field whose value is ASCII and folded already.
    fn add(&mut self, name: &str, value: &str) {
        for piece in [name, ": ", value, "\r\n"] {
            self.0.push_str(piece);
        }
    }

    fn add_text(&mut self, name: &str, value: &str) {
        self.add(name, &unstructured(value, name.len() + 2));
    }
}

fn content(field: &'static str, reason: &str) -> MailError {
    let reason = reason.to_owned();
    MailError::Content { field, reason }
}

fn unsubscribe_url(text: &str) -> Result<Url, MailError> {
    let fault = |reason: &str| content("list unsubscribe URL", reason);
    let url = Url::parse(text).map_err(|error| fault(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(fault("must begin with https:// or http://"));
    }
    let ends = |byte: u8| !byte.is_ascii_graphic() || matches!(byte, b'<' | b'>');
    if url.as_str().len() > MAX_URL || url.as_str().bytes().any(ends) {
        return Err(fault(
            "must have at most 900 octets of ASCII without < and >",
        ));
    }
    Ok(url)
}

fn check_name(name: &str) -> Result<(), MailError> {
    let ftext = |byte: u8| byte.is_ascii_graphic() && byte != b':';
    if name.is_empty() || name.len() > 40 || !name.bytes().all(ftext) {
        let reason = format!(
            "{:?} must have 1 to 40 visible ASCII characters and no colon",
            name.chars().take(80).collect::<String>()
        );
        return Err(content("header name", &reason));
    }
    if OWN.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        let reason = format!("{name} is set by the mail itself");
        return Err(content("header name", &reason));
    }
    Ok(())
}

/// The text with `\n` as its only line end, which the encoding makes a CRLF, and without control characters but the
/// tab: a lone CR or LF in a mail ends it for some servers and not for others.
fn clean(text: &str) -> String {
    let mut cleaned = text.replace("\r\n", "\n").replace('\r', "\n");
    cleaned.retain(|c| !c.is_control() || matches!(c, '\n' | '\t'));
    cleaned
}
