use std::fmt;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

/// Where a dynamic finding was seen: a URL in its parts, or a bare host.
///
/// Cleaning follows what clients of the REST API know: the host is lower-cased, the scheme's usual
/// port is filled in, the path carries no leading slash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Endpoint {
    /// Scheme, such as `https`, or a transport such as `tcp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// `user` or `user:password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userinfo: Option<String>,
    /// Host name or address, lower case.
    #[serde(default)]
    pub host: String,
    /// Port number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Path without its leading slash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Query without the question mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Fragment without the hash sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fragment: Option<String>,
}

/// A text that holds no usable endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Nothing where the host should be.
    #[error("\"{0}\" has no host")]
    NoHost(String),
    /// The port isn't a number from 0 to 65535.
    #[error("\"{0}\" is not a port: use a number from 0 to 65535")]
    BadPort(String),
}

impl Endpoint {
    /// Reads a URL, `host:port`, or a bare host.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let text = text.trim();
        let (protocol, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
            None => (None, text.strip_prefix("//").unwrap_or(text)),
        };
        let (rest, fragment) = cut(rest, '#');
        let (rest, query) = cut(rest, '?');
        let (authority, path) = cut(rest, '/');
        let (userinfo, hostport) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user.to_owned()), host),
            None => (None, authority),
        };
        let (host, port) = split_port(hostport)?;
        if host.is_empty() {
            return Err(EndpointError::NoHost(text.to_owned()));
        }
        let port = port.or_else(|| protocol.as_deref().and_then(usual_port));
        Ok(Self {
            protocol,
            userinfo,
            host: host.to_lowercase(),
            port,
            path: path.filter(|p| !p.is_empty()).map(str::to_owned),
            query: query.filter(|q| !q.is_empty()).map(str::to_owned),
            fragment: fragment.filter(|f| !f.is_empty()).map(str::to_owned),
        })
    }

    /// An endpoint that is only a host, with a transport or scheme and port where they are known.
    pub fn from_parts(host: &str, port: Option<u16>, protocol: Option<&str>) -> Self {
        let protocol = protocol.filter(|p| !p.is_empty()).map(str::to_lowercase);
        Self {
            host: host.trim().to_lowercase(),
            port: port.or_else(|| protocol.as_deref().and_then(usual_port)),
            protocol,
            ..Self::default()
        }
    }

    /// Host and path, the pair by which two findings are held to be at the same place.
    pub fn place(&self) -> (&str, &str) {
        (&self.host, self.path.as_deref().unwrap_or(""))
    }
}

fn cut(text: &str, at: char) -> (&str, Option<&str>) {
    match text.split_once(at) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), EndpointError> {
    let (host, port) = if let Some(end) = text.rfind(']') {
        // an IPv6 address in brackets
        let (host, rest) = text.split_at(end + 1);
        (host, rest.strip_prefix(':'))
    } else {
        match text.rsplit_once(':') {
            // several colons without brackets: an IPv6 address, no port
            Some((host, _)) if host.contains(':') => (text, None),
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    match port {
        None | Some("") => Ok((host, None)),
        Some(port) => port
            .parse()
            .map(|port| (host, Some(port)))
            .map_err(|_| EndpointError::BadPort(port.to_owned())),
    }
}

/// The port a scheme uses when none is written (IANA service names).
fn usual_port(scheme: &str) -> Option<u16> {
    Some(match scheme {
        "http" | "ws" => 80,
        "https" | "wss" => 443,
        "ftp" => 21,
        "ssh" | "sftp" => 22,
        "ldap" => 389,
        "ldaps" => 636,
        _ => return None,
    })
}

impl fmt::Display for Endpoint {
    /// The canonical text: a port that is the scheme's usual one is left out, the path is decoded.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(protocol) = &self.protocol {
            write!(f, "{protocol}://")?;
        }
        if let Some(user) = &self.userinfo {
            write!(f, "{user}@")?;
        }
        f.write_str(&self.host)?;
        let usual = self.protocol.as_deref().and_then(usual_port);
        if let Some(port) = self.port.filter(|p| usual != Some(*p)) {
            write!(f, ":{port}")?;
        }
        if let Some(path) = &self.path {
            write!(f, "/{}", percent_decode_str(path).decode_utf8_lossy())?;
        }
        if let Some(query) = &self.query {
            write!(f, "?{query}")?;
        }
        if let Some(fragment) = &self.fragment {
            write!(f, "#{fragment}")?;
        }
        Ok(())
    }
}
