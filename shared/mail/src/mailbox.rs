//! An address with the name of whose it is.

use std::fmt;
use std::str::FromStr;

use lettre::Address;

use crate::MailError;
use crate::header::{display_name, one_line};

/// Where a mail goes to, or comes from.
///
/// The address has a local part of ASCII letters, digits, dots and ``!#$%&'*+-/=?^_`{|}~`` (a dot-atom of RFC 5322,
/// at most 64 octets) and a domain with a dot in it, or `localhost`. An international domain is kept as it
/// is in the DNS (`xn--…`), so that every server takes it; no server must know SMTPUTF8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    name: String,
    pub(crate) address: Address,
}

impl Mailbox {
    /// The longest address, in octets (RFC 5321).
    pub const MAX_ADDRESS: usize = 254;
    /// The longest name that is kept, in characters.
    pub const MAX_NAME: usize = 200;

    /// A mailbox with a name, or without where that is empty. What could end a line in the name becomes a
    /// space; more than [`Self::MAX_NAME`] characters of it are cut.
    pub fn new(name: &str, address: &str) -> Result<Self, MailError> {
        Ok(Self {
            name: one_line(name).chars().take(Self::MAX_NAME).collect(),
            address: parse(address).map_err(|reason| MailError::address(address, reason))?,
        })
    }

    /// The address alone, `user@xn--….example`.
    pub fn address(&self) -> &str {
        self.address.as_ref()
    }

    /// Whose it is; empty where that isn't said.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The domain of the address.
    pub fn domain(&self) -> &str {
        self.address.domain()
    }

    /// As it stands in a header field, in more than one line where it is long.
    pub(crate) fn encoded(&self) -> String {
        if self.name.is_empty() {
            return self.address().to_owned();
        }
        format!("{}\r\n <{}>", display_name(&self.name), self.address)
    }
}

impl FromStr for Mailbox {
    type Err = MailError;

    /// Reads `user@example.com` or `Name <user@example.com>`; quotes around the name are taken off.
    fn from_str(text: &str) -> Result<Self, MailError> {
        let text = text.trim();
        let Some((name, address)) = text.rsplit_once('<') else {
            return Self::new("", text);
        };
        let Some(address) = address.strip_suffix('>') else {
            return Err(MailError::address(text, "has a < without a > at its end"));
        };
        let name = name.trim();
        let unquoted = name.strip_prefix('"').and_then(|n| n.strip_suffix('"'));
        Self::new(unquoted.unwrap_or(name), address)
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() {
            return f.write_str(self.address());
        }
        write!(f, "{} <{}>", self.name, self.address)
    }
}

fn parse(address: &str) -> Result<Address, &'static str> {
    let (local, domain) = address.rsplit_once('@').ok_or("has no @")?;
    let atext = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    let atom = |atom: &str| !atom.is_empty() && atom.bytes().all(atext);
    if local.len() > 64 || !local.split('.').all(atom) {
        return Err(
            "must have 1 to 64 ASCII letters, digits, single dots or !#$%&'*+-/=?^_`{|}~ before its @",
        );
    }
    let domain = idna::domain_to_ascii_strict(domain).map_err(|_| "has no domain after its @")?;
    let top = domain.rsplit('.').next().unwrap_or_default();
    if !domain.contains('.') && domain != "localhost" {
        return Err("has a domain without a dot");
    }
    if top.is_empty() || top.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("has no domain after its @, but a number or a dot at its end");
    }
    if local.len() + 1 + domain.len() > Mailbox::MAX_ADDRESS {
        return Err("is longer than 254 octets");
    }
    Address::new(local, domain).map_err(|_| "is no address that SMTP has")
}
