//! Authorities of one's own, for JIRAs and the like whose certificates no public authority signed.

use std::fmt;
use std::str::FromStr;

use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

/// Certificates of authorities that are trusted beside the public ones: PEM, one or several. Empty: only the
/// public ones are.
#[derive(Clone, Default)]
pub struct Authorities(Vec<Certificate<'static>>);

/// A text that isn't certificates of authorities.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthoritiesError {
    /// There is no certificate in it.
    #[error("it has no certificate in PEM: \"-----BEGIN CERTIFICATE-----\" and so on")]
    None,
    /// One of its parts is broken.
    #[error("part {0} of it is no certificate in PEM")]
    Broken(usize),
}

impl Authorities {
    /// How many there are.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Is none trusted but the public ones?
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that are trusted.
    pub(crate) fn roots(&self) -> RootCerts {
        if self.is_empty() {
            return RootCerts::WebPki;
        }
        let public = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
        let public = public.map(|der| Certificate::from_der(der).to_owned());
        let all: Vec<_> = public.chain(self.0.iter().cloned()).collect();
        RootCerts::new_with_certs(&all)
    }
}

impl FromStr for Authorities {
    type Err = AuthoritiesError;

    /// An empty text has none.
    fn from_str(pem: &str) -> Result<Self, AuthoritiesError> {
        if pem.trim().is_empty() {
            return Ok(Self::default());
        }
        let mut certificates = Vec::new();
        for (part, item) in (1..).zip(parse_pem(pem.as_bytes())) {
            match item {
                Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
                _ => return Err(AuthoritiesError::Broken(part)),
            }
        }
        if certificates.is_empty() {
            return Err(AuthoritiesError::None);
        }
        Ok(Self(certificates))
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorities({})", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_read_and_others_are_refused() {
        let none: Authorities = " \n".parse().unwrap();
        assert!(none.is_empty() && matches!(none.roots(), RootCerts::WebPki));
        let refused = |text: &str| text.parse::<Authorities>().unwrap_err();
        assert_eq!(refused("corp.pem"), AuthoritiesError::None);
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert_eq!(refused(key), AuthoritiesError::Broken(1));
        let broken = "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
        assert_eq!(refused(broken), AuthoritiesError::Broken(1));
        let one = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let two: Authorities = format!("{one}{one}").parse().unwrap();
        assert_eq!(two.len(), 2);
    }
}
