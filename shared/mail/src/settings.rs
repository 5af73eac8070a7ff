//! How to reach an SMTP server, as one URL.

use std::fmt;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::{MailError, Mailbox};

/// What protects the connection to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte (`smtps://`, RFC 8314).
    Tls,
    /// TLS before anything is said that matters; a server without STARTTLS gets no mail (`smtp://`).
    StartTls,
    /// Nothing (`smtp+plain://`): for a server on the same machine or network. It gets no password.
    Plain,
}

/// An SMTP server and the mailbox that mails come from.
#[derive(Clone, PartialEq, Eq)]
pub struct SmtpSettings {
    pub(crate) security: Security,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) login: Option<Login>,
    pub(crate) from: Mailbox,
    pub(crate) root_certificate: Option<Vec<u8>>,
    pub(crate) timeout: Duration,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

const FORMS: &str = "the SMTP URL must be smtps://user:password@host:465, smtp://user:password@host:587 \
    or smtp+plain://host:25";

impl SmtpSettings {
    /// A mail may take so long, with all that is needed to reach the server.
    pub const TIMEOUT: Duration = Duration::from_secs(20);

    /// Reads `smtps://user:password@host:465`, `smtp://user:password@host:587` or `smtp+plain://host:25`; the ports
    /// are those where none is given, and a server that wants no password is given none. User and password are
    /// percent-encoded. No error shows any of the URL but its scheme.
    pub fn from_url(url: &str, from: Mailbox) -> Result<Self, MailError> {
        let parsed = Url::parse(url.trim()).map_err(|error| {
            setup(&format!(
                "{FORMS}, with user and password percent-encoded: {error}"
            ))
        })?;
        let (security, default_port) = match parsed.scheme() {
            "smtps" => (Security::Tls, 465),
            "smtp" => (Security::StartTls, 587),
            "smtp+plain" => (Security::Plain, 25),
            other => return Err(setup(&format!("{FORMS}, and does not begin with {other}:"))),
        };
        let nothing_else = parsed.query().is_none()
            && parsed.fragment().is_none()
            && matches!(parsed.path(), "" | "/");
        if !nothing_else {
            let reason =
                "nothing may follow the port; /, ? and # in a password are percent-encoded";
            return Err(setup(&format!("{FORMS}: {reason}")));
        }
        let login = login(&parsed)?;
        if security == Security::Plain && login.is_some() {
            return Err(setup(
                "no password is sent without TLS: use smtp:// or smtps:// for a server with a password",
            ));
        }
        Ok(Self {
            security,
            host: host(&parsed)?,
            port: parsed.port().unwrap_or(default_port),
            login,
            from,
            root_certificate: None,
            timeout: Self::TIMEOUT,
        })
    }

    /// Trusts one or more certificates in PEM, besides those that the machine trusts.
    #[must_use]
    pub fn with_root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificate = Some(pem.into());
        self
    }

    /// Another time than [`Self::TIMEOUT`].
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// What protects the connection.
    pub const fn security(&self) -> Security {
        self.security
    }

    /// The name or the IP address of the server.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port of the server.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Who logs in; none where nobody does.
    pub fn user(&self) -> Option<&str> {
        self.login.as_ref().map(|login| login.user.as_str())
    }
}

impl fmt::Debug for SmtpSettings {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpSettings")
            .field("security", &self.security)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("user", &self.user())
            .field("from", &self.from)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

fn setup(reason: &str) -> MailError {
    MailError::setup(reason)
}

fn host(url: &Url) -> Result<String, MailError> {
    let host = decoded(url.host_str().unwrap_or_default(), "host")?;
    if let Some(ip) = host.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')) {
        return Ok(ip.to_owned());
    }
    idna::domain_to_ascii_strict(&host)
        .map_err(|_| setup(&format!("{FORMS}: its host is no name of a server")))
}

fn login(url: &Url) -> Result<Option<Login>, MailError> {
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        ("", Some(_)) => Err(setup(&format!(
            "{FORMS}: there is no user before the password"
        ))),
        (_, None | Some("")) => Err(setup(&format!(
            "{FORMS}: there is no password after the user"
        ))),
        (user, Some(password)) => Ok(Some(Login {
            user: decoded(user, "user")?,
            password: decoded(password, "password")?,
        })),
    }
}

fn decoded(text: &str, what: &str) -> Result<String, MailError> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| setup(&format!("{FORMS}: the {what} is no UTF-8 once decoded")))
}
