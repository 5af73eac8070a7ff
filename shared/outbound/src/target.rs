//! A URL that can be called, in its one canonical form.

use std::net::IpAddr;

use http::Uri;
use url::{Host, Url};

use crate::OutboundError;

/// A URL by HTTP or HTTPS, with a host and a port, without a user and a fragment.
///
/// The URL Standard's parser says what the host is (2130706433 and 0x7f.1 are 127.0.0.1, as browsers and
/// the C library read them), and what it says is what is judged, resolved and sent.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Target {
    url: Url,
    host: String,
    address: Option<IpAddr>,
    port: u16,
}

impl Target {
    /// Reads what somebody wrote.
    pub(crate) fn parse(text: &str) -> Result<Self, OutboundError> {
        // the parser would silently leave out or replace these
        let strange = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
        if text.contains(strange) {
            return bad("it has a blank, a control character or a backslash in it");
        }
        let url = Url::parse(text).or_else(|error| bad(error.to_string()))?;
        let rest = text.get(url.scheme().len()..).unwrap_or_default();
        if !rest.starts_with("://") || rest.starts_with(":///") {
            return bad("it doesn't begin with https:// and a host");
        }
        Self::new(url)
    }

    /// Where a redirect leads to.
    pub(crate) fn join(&self, location: &str) -> Result<Self, OutboundError> {
        let url = self.url.join(location);
        Self::new(url.or_else(|error| bad(error.to_string()))?)
    }

    fn new(mut url: Url) -> Result<Self, OutboundError> {
        if !matches!(url.scheme(), "http" | "https") {
            return bad("it's neither https nor http");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return bad("it has a user or a password in it");
        }
        let Some(port) = url.port_or_known_default().filter(|&port| port > 0) else {
            return bad("there is no port 0");
        };
        let (host, address) = match url.host() {
            Some(Host::Domain(name)) => match canonical_name(name) {
                Some(name) => (name, None),
                None => return bad("its host is no name"),
            },
            Some(Host::Ipv4(address)) => (address.to_string(), Some(address.into())),
            Some(Host::Ipv6(address)) => (format!("[{address}]"), Some(address.into())),
            None => return bad("it has no host"),
        };
        if address.is_none() {
            url.set_host(Some(&host))
                .or_else(|error| bad(error.to_string()))?;
        }
        url.set_fragment(None);
        let target = Self {
            url,
            host,
            address,
            port,
        };
        target.uri()?;
        Ok(target)
    }

    /// The host's canonical name, or its address, with brackets if that's IPv6.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The address, where the host is one.
    pub(crate) const fn address(&self) -> Option<IpAddr> {
        self.address
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    pub(crate) fn same_origin(&self, other: &Self) -> bool {
        self.url.origin() == other.url.origin()
    }

    pub(crate) fn uri(&self) -> Result<Uri, OutboundError> {
        let uri = self.url.as_str().parse();
        uri.or_else(|error: http::uri::InvalidUri| bad(error.to_string()))
    }
}

fn bad<T>(problem: impl Into<String>) -> Result<T, OutboundError> {
    Err(OutboundError::BadUrl {
        problem: problem.into(),
    })
}

/// A name without the dot at its end; none where that isn't one that the DNS can have.
///
/// Takes what the URL Standard's parser has made of it: lower case, Punycode.
pub(crate) fn canonical_name(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let label = |label: &str| (1..=63).contains(&label.len());
    (name.len() <= 253 && name.split('.').all(label)).then(|| name.to_owned())
}

/// A URL without what may be a secret in it: a user with a password, a query, a fragment.
///
/// The paths of some webhooks, such as Slack's, are secrets themselves; of these show the host only.
pub fn shown(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let (scheme, rest) = match url[..end].split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), &url[..end]),
    };
    let authority = rest.find(['/', '\\']).unwrap_or(rest.len());
    let start = rest[..authority].rfind('@').map_or(0, |at| at + 1);
    scheme + &rest[start..]
}
