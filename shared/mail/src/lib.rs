//! Mails: made of a subject, a text and HTML, and sent one at a time to one mailbox.
//!
//! A [`Mail`] becomes MIME that is ASCII from end to end, and a [`Mailer`] sends it by SMTP, by SES or, for a
//! stack on one machine, into a folder. An error says whether trying again helps
//! ([`MailError::is_passing`]). The environment isn't read here.

mod error;
mod folder;
mod header;
mod mail;
mod mailbox;
mod mailer;
mod ses;
mod settings;
mod smtp;

pub use error::MailError;
pub use mail::Mail;
pub use mailbox::Mailbox;
pub use mailer::{Mailer, Sent};
pub use settings::{Security, SmtpSettings};
