//! Why a mail is not sent.

use std::time::Duration;

use thiserror::Error;

use crate::header::one_line;

/// Why a mail is not sent, and with that what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MailError {
    /// No mail can go to this address, or come from it.
    #[error("the mail address {address:?} {reason}")]
    Address {
        /// As it was given, at most 320 characters of it.
        address: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Something else of the mail cannot be used.
    #[error("the mail's {field}: {reason}")]
    Content {
        /// Which part of the mail, such as `message id`.
        field: &'static str,
        /// What is wrong with it, and what it must be.
        reason: String,
    },
    /// The server will never take this mail.
    #[error("the mail server refuses the mail: {reply}")]
    Refused {
        /// What it said.
        reply: String,
    },
    /// The server doesn't take it now: try again later.
    #[error("the mail could not be sent yet: {reason}")]
    Passing {
        /// What happened.
        reason: String,
    },
    /// No mail at all can be sent until somebody changes the settings, here or of the server.
    #[error("mail is not set up: {reason}")]
    Setup {
        /// What to change.
        reason: String,
    },
}

impl MailError {
    /// The longest reply of a server that is kept, in bytes.
    const MAX_REASON: usize = 500;

    /// Trying again later may help, without anybody changing anything.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Passing { .. })
    }

    pub(crate) fn address(address: &str, reason: &'static str) -> Self {
        let address = address.chars().take(320).collect();
        Self::Address { address, reason }
    }

    pub(crate) fn refused(reply: &str) -> Self {
        let reply = said(reply);
        Self::Refused { reply }
    }

    pub(crate) fn passing(reason: &str) -> Self {
        let reason = said(reason);
        Self::Passing { reason }
    }

    pub(crate) fn setup(reason: &str) -> Self {
        let reason = said(reason);
        Self::Setup { reason }
    }

    pub(crate) fn timeout(timeout: Duration) -> Self {
        Self::passing(&format!("no answer within {timeout:?}"))
    }
}

/// What a server said, as one line that fits into a log.
pub(crate) fn said(text: &str) -> String {
    let mut line = one_line(text);
    line.truncate(line.floor_char_boundary(MailError::MAX_REASON));
    line
}
