use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};

/// What a query or fragment of the canonical text doesn't hold as it is, beside non-ASCII.
const QUERY: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The same for a path.
const PATH: &AsciiSet = &QUERY.add(b'?');

/// Where a dynamic finding was seen: a URL in its parts, or a bare host.
///
/// Cleaning follows what clients of the REST API know: the host is lower-cased, the scheme's usual
/// port is filled in, the path carries no leading slash, query and fragment are percent-decoded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Endpoint {
    /// Scheme, such as `https`, or a transport such as `tcp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// `user` or `user:password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userinfo: Option<String>,
    /// Host name or address, lower case; an IPv6 address without its brackets.
    #[serde(default)]
    pub host: String,
    /// Port number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Path without its leading slash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Query without the question mark, percent-decoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Fragment without the hash sign, percent-decoded.
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
            path: path.and_then(clean_path),
            query: query.filter(|q| !q.is_empty()).map(decoded),
            fragment: fragment.filter(|f| !f.is_empty()).map(decoded),
        })
    }

    /// An endpoint that is only a host, with a transport or scheme and port where they are known.
    pub fn from_parts(host: &str, port: Option<u16>, protocol: Option<&str>) -> Self {
        let protocol = protocol.filter(|p| !p.is_empty()).map(str::to_lowercase);
        Self {
            host: bare(host.trim()).to_lowercase(),
            port: port.or_else(|| protocol.as_deref().and_then(usual_port)),
            protocol,
            ..Self::default()
        }
    }

    /// The same endpoint at a path, with or without its leading slash.
    #[must_use]
    pub fn at_path(mut self, path: &str) -> Self {
        self.path = clean_path(path.trim());
        self
    }

    /// Host and path, the pair by which two findings are held to be at the same place.
    pub fn place(&self) -> (&str, &str) {
        (&self.host, self.path.as_deref().unwrap_or(""))
    }
}

fn clean_path(path: &str) -> Option<String> {
    let path = path.trim_start_matches('/');
    (!path.is_empty()).then(|| path.to_owned())
}

/// Text that is no UTF-8 once decoded stays as it is.
fn decoded(text: &str) -> String {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map_or_else(|_| text.to_owned(), Into::into)
}

/// An address without the brackets of IPv6.
fn bare(host: &str) -> &str {
    let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    inner.unwrap_or(host)
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
        None | Some("") => Ok((bare(host), None)),
        Some(port) => port
            .parse()
            .map(|port| (bare(host), Some(port)))
            .map_err(|_| EndpointError::BadPort(port.to_owned())),
    }
}

/// The port a scheme uses when none is written (IANA service names).
fn usual_port(scheme: &str) -> Option<u16> {
    Some(match scheme {
        "http" | "ws" => 80,
        "https" | "wss" => 443,
        "dict" => 2628,
        "dns" => 53,
        "ftp" => 21,
        "git" => 9418,
        "gopher" => 70,
        "imap" => 143,
        "ipp" | "ipps" => 631,
        "irc" => 194,
        "ircs" => 6697,
        "ldap" => 389,
        "ldaps" => 636,
        "nntp" => 119,
        "pop" => 110,
        "redis" => 6379,
        "rsync" => 873,
        "rtsp" => 554,
        "rtsps" => 322,
        "smb" => 445,
        "snmp" => 161,
        "ssh" | "sftp" => 22,
        "svn" => 3690,
        "telnet" => 23,
        "vnc" => 5900,
        _ => return None,
    })
}

impl fmt::Display for Endpoint {
    /// The canonical text: a port that is the scheme's usual one is left out, the path stands as the
    /// report has it, and what no URL may hold is percent-encoded.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(protocol) = &self.protocol {
            write!(f, "{protocol}://")?;
        }
        if let Some(user) = &self.userinfo {
            write!(f, "{user}@")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        let usual = self.protocol.as_deref().and_then(usual_port);
        if let Some(port) = self.port.filter(|p| usual != Some(*p)) {
            write!(f, ":{port}")?;
        }
        if let Some(path) = &self.path {
            write!(f, "/{}", utf8_percent_encode(path, PATH))?;
        }
        if let Some(query) = &self.query {
            write!(f, "?{}", utf8_percent_encode(query, QUERY))?;
        }
        if let Some(fragment) = &self.fragment {
            write!(f, "#{}", utf8_percent_encode(fragment, QUERY))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_one_canonical_text() {
        for (text, canonical) in [
            ("HTTPS://App.Example.test:443/", "https://app.example.test"),
            (
                "http://app.test:8080/A/b/?q=1",
                "http://app.test:8080/A/b/?q=1",
            ),
            ("http://app.test//login.php", "http://app.test/login.php"),
            (
                "http://app.test?x=%3Cb%3e%20'[1]",
                "http://app.test?x=%3Cb%3E%20'%5B1%5D",
            ),
            (
                "http://app.test/%3Cb%3e/[x] y",
                "http://app.test/%3Cb%3e/%5Bx%5D%20y",
            ),
            ("http://app.test/p#s%2f1", "http://app.test/p#s/1"),
            ("http://app.test/p?x=%FF", "http://app.test/p?x=%FF"),
            ("http://app.test/p?x=a%23b", "http://app.test/p?x=a%23b"),
            ("http://me:pw@app.test/", "http://me:pw@app.test"),
            ("http://[2001:DB8::1]:8080/a", "http://[2001:db8::1]:8080/a"),
            ("2001:db8::1", "[2001:db8::1]"),
            ("//app.test:3306", "app.test:3306"),
            ("app.test/path", "app.test/path"),
            ("rtsp://app.test:554", "rtsp://app.test"),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().to_string(), canonical);
        }
    }

    #[test]
    fn cleaning_a_canonical_text_again_changes_nothing() {
        let once = Endpoint::parse("https://a.test/x y?q=<%25>[#f").unwrap();
        assert_eq!(
            Endpoint::parse(&once.to_string()).unwrap(),
            Endpoint {
                path: Some("x%20y".into()),
                ..once
            }
        );
    }

    #[test]
    fn the_usual_port_is_filled_in() {
        assert_eq!(Endpoint::parse("https://a.test").unwrap().port, Some(443));
        let ssh = Endpoint::from_parts("A.test", None, Some("SSH"));
        assert_eq!(
            (ssh.port, ssh.to_string().as_str()),
            (Some(22), "ssh://a.test")
        );
        let udp = Endpoint::from_parts("a.test", Some(53), Some("udp"));
        assert_eq!(udp.to_string(), "udp://a.test:53");
        let page = Endpoint::from_parts("a.test", None, None).at_path("//x");
        assert_eq!(page.to_string(), "a.test/x");
    }

    #[test]
    fn what_has_no_host_or_a_bad_port_is_an_error() {
        for text in ["", "http://", "http:///favicon.ico", "/path"] {
            assert!(
                matches!(Endpoint::parse(text), Err(EndpointError::NoHost(_))),
                "{text}"
            );
        }
        for text in ["a.test:port", "a.test:70000", "http://a.test:-1/"] {
            assert!(
                matches!(Endpoint::parse(text), Err(EndpointError::BadPort(_))),
                "{text}"
            );
        }
    }
}
