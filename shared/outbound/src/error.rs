//! Why a call has no answer.

use std::io::{self, ErrorKind};
use std::net::IpAddr;

use thiserror::Error;

/// Why a call has no answer. No message has more of a URL in it than its host.
#[derive(Debug, Error)]
pub enum OutboundError {
    /// It isn't a URL that can be called.
    #[error("this URL can't be called: {problem}")]
    BadUrl {
        /// What is wrong with it.
        problem: String,
    },
    /// The host has an address that isn't globally reachable and isn't allowed.
    #[error(
        "{host} is at {address}, which isn't on the public network; an operator can allow it with TATAMI_OUTBOUND_ALLOW"
    )]
    NotAllowed {
        /// The host that was asked for, or redirected to.
        host: String,
        /// The first of its addresses that isn't allowed.
        address: IpAddr,
    },
    /// The host names a service that hands out a cloud's credentials.
    #[error("{host} is a cloud's metadata service, which isn't called")]
    Metadata {
        /// The host that was asked for, or redirected to.
        host: String,
    },
    /// Plain HTTP, and the host isn't on the allow list.
    #[error(
        "{host} is only called by https; an operator can allow http with TATAMI_OUTBOUND_ALLOW"
    )]
    PlainHttp {
        /// The host that was asked for, or redirected to.
        host: String,
    },
    /// A redirect would go from HTTPS to plain HTTP.
    #[error("a redirect to {host} would leave https")]
    Downgrade {
        /// Where it would go to.
        host: String,
    },
    /// A redirect leads to what can't be called.
    #[error("{host} redirects to a URL that can't be called: {problem}")]
    BadRedirect {
        /// The host that answered.
        host: String,
        /// What is wrong with the URL.
        problem: String,
    },
    /// More redirects than are followed.
    #[error("more than {limit} redirects, the last one to {host}")]
    Redirects {
        /// Where the next one leads to.
        host: String,
        /// So many are followed.
        limit: u32,
    },
    /// The host's addresses weren't found.
    #[error("{host} can't be resolved: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver says.
        source: io::Error,
    },
    /// None of the host's addresses takes a connection.
    #[error("{host} can't be connected to: {source}")]
    Connect {
        /// The host.
        host: String,
        /// What the last one of its addresses said.
        source: io::Error,
    },
    /// No encrypted connection, such as for a certificate that isn't trusted.
    #[error("no TLS with {host}: {problem}")]
    Tls {
        /// The host.
        host: String,
        /// What is wrong.
        problem: String,
    },
    /// The call took longer than it may.
    #[error("{host} took too long")]
    Timeout {
        /// The host that was waited for.
        host: String,
    },
    /// The answer is larger than it may be.
    #[error("the answer of {host} has more than {limit} bytes")]
    TooLarge {
        /// The host.
        host: String,
        /// The limit of the body, or of the headers, in bytes.
        limit: u64,
    },
    /// What the two said to each other isn't HTTP.
    #[error("the answer of {host} isn't HTTP")]
    NotHttp {
        /// The host.
        host: String,
    },
    /// The connection ended before the answer was whole.
    #[error("{host} broke off before its answer was whole")]
    BrokenOff {
        /// The host.
        host: String,
    },
}

impl OutboundError {
    /// Whether the same call may succeed later, without anybody changing a setting.
    pub const fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Resolve { .. }
                | Self::Connect { .. }
                | Self::Timeout { .. }
                | Self::BrokenOff { .. }
        )
    }

    pub(crate) fn from_client(host: String, error: ureq::Error) -> Self {
        match error {
            ureq::Error::Timeout(_) => Self::Timeout { host },
            ureq::Error::Io(error) => Self::from_io(host, error),
            ureq::Error::Rustls(_) | ureq::Error::Tls(_) | ureq::Error::TlsRequired => Self::Tls {
                host,
                problem: error.to_string(),
            },
            ureq::Error::LargeResponseHeader(_, limit) => Self::TooLarge {
                host,
                limit: limit as u64,
            },
            _ => Self::NotHttp { host },
        }
    }

    fn from_io(host: String, source: io::Error) -> Self {
        match source.kind() {
            ErrorKind::TimedOut => Self::Timeout { host },
            // this is how the TLS library reports its errors
            ErrorKind::InvalidData => Self::Tls {
                host,
                problem: source.to_string(),
            },
            ErrorKind::ConnectionRefused
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::AddrNotAvailable
            | ErrorKind::PermissionDenied => Self::Connect { host, source },
            _ => Self::BrokenOff { host },
        }
    }
}
