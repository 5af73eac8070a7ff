//! Where mails go.

use std::path::PathBuf;

use aws_sdk_sesv2::Client;

use crate::folder::Folder;
use crate::ses::Ses;
use crate::smtp::Smtp;
use crate::{Mail, MailError, Mailbox, SmtpSettings};

/// Sends mails. Its clones share a connection.
#[derive(Clone)]
pub struct Mailer(Transport);

#[derive(Clone)]
enum Transport {
    Smtp(Smtp),
    Ses(Ses),
    Folder(Folder),
    Off,
}

/// A mail that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// What the SMTP server said (`250 Ok: queued as …`), the id that SES gave, or the path of the file.
    pub reply: String,
}

impl Mailer {
    /// Sends by SMTP. Reads the certificates that the machine trusts; nothing is connected yet.
    pub fn smtp(settings: SmtpSettings) -> Result<Self, MailError> {
        Smtp::new(settings).map(Transport::Smtp).map(Self)
    }

    /// Sends by SES, with a configuration set where one is named.
    pub fn ses(client: Client, from: Mailbox, configuration_set: Option<String>) -> Self {
        Self(Transport::Ses(Ses {
            client,
            from,
            configuration_set,
        }))
    }

    /// Writes each mail into a folder, as `<message id>.eml`.
    pub fn folder(path: impl Into<PathBuf>, from: Mailbox) -> Self {
        let path = path.into();
        Self(Transport::Folder(Folder { path, from }))
    }

    /// Sends nothing: [`Self::send`] says that mail is not set up.
    pub const fn off() -> Self {
        Self(Transport::Off)
    }

    /// The address that mails come from; none where nothing is sent.
    pub fn from(&self) -> Option<&str> {
        self.sender().map(Mailbox::address)
    }

    /// Sends one mail, in 20 s at most. After a passing error the mail may have been taken all the same; the next try
    /// has the same Message-ID.
    pub async fn send(&self, mail: &Mail) -> Result<Sent, MailError> {
        let from = self.sender().ok_or_else(off)?;
        let mime = mail.to_mime(from)?;
        let reply = match &self.0 {
            Transport::Smtp(smtp) => smtp.send(&mail.to, &mime).await?,
            Transport::Ses(ses) => ses.send(&mail.to, mime).await?,
            Transport::Folder(folder) => folder.send(mail, &mime).await?,
            Transport::Off => return Err(off()),
        };
        Ok(Sent { reply })
    }

    /// Tries all that comes before a mail: connection, TLS and password of an SMTP server; whether SES lets the
    /// account send (`ses:GetAccount`); whether the folder can be made.
    pub async fn test_connection(&self) -> Result<(), MailError> {
        match &self.0 {
            Transport::Smtp(smtp) => smtp.test().await,
            Transport::Ses(ses) => ses.test().await,
            Transport::Folder(folder) => folder.test().await,
            Transport::Off => Err(off()),
        }
    }

    fn sender(&self) -> Option<&Mailbox> {
        match &self.0 {
            Transport::Smtp(smtp) => Some(smtp.from()),
            Transport::Ses(ses) => Some(&ses.from),
            Transport::Folder(folder) => Some(&folder.from),
            Transport::Off => None,
        }
    }
}

fn off() -> MailError {
    MailError::setup("no way to send mails is given")
}
