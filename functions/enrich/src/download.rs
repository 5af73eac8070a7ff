//! A file from the public network, read while it arrives.

use std::fmt::Display;
use std::io::Read;
use std::time::Duration;

use ureq::Agent;

/// So many redirects are followed.
const REDIRECTS: u32 = 3;
const USER_AGENT: &str = concat!("tatami/", env!("CARGO_PKG_VERSION"));

/// How long a download may take, and how large it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From the first step to the last byte.
    pub timeout: Duration,
    /// As it is sent, in bytes.
    pub bytes: u64,
}

impl Default for Limits {
    /// One minute and 64 MB: the two files have 2 MB each.
    fn default() -> Self {
        Self {
            timeout: Duration::from_mins(1),
            bytes: 64 << 20,
        }
    }
}

/// Reads what is at an address; nothing, where there is no address.
pub(crate) async fn read<T, E>(
    url: Option<String>,
    limits: Limits,
    read: impl FnOnce(&mut dyn Read) -> Result<T, E> + Send + 'static,
) -> Result<Option<T>, String>
where
    T: Send + 'static,
    E: Display,
{
    let Some(url) = url else { return Ok(None) };
    let blocking = move || {
        let answer = agent(&url, limits).get(&url).call();
        let answer = answer.map_err(|error| error.to_string())?;
        let body = answer.into_body().into_with_config().limit(limits.bytes);
        read(&mut body.reader()).map_err(|error| error.to_string())
    };
    let read = tokio::task::spawn_blocking(blocking).await;
    read.unwrap_or_else(|error| Err(format!("reading broke off: {error}")))
        .map(Some)
}

/// What was asked for by HTTPS doesn't come over anything else, however often it is redirected.
fn agent(url: &str, limits: Limits) -> Agent {
    Agent::config_builder()
        .https_only(!url.starts_with("http://"))
        .max_redirects(REDIRECTS)
        .timeout_global(Some(limits.timeout))
        .user_agent(USER_AGENT)
        .build()
        .new_agent()
}

/// An address without what may be a secret in it: a user with a password, a query.
pub(crate) fn shown(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let (scheme, rest) = url[..end].split_once("://").unwrap_or(("", &url[..end]));
    let authority = rest.find('/').unwrap_or(rest.len());
    let start = rest[..authority].rfind('@').map_or(0, |at| at + 1);
    format!("{scheme}://{}", &rest[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_asks_for_http_gets_it() {
        let https_only = |url| agent(url, Limits::default()).config().https_only();
        assert!(https_only("https://a.example/x"));
        assert!(!https_only("http://127.0.0.1/x"));
    }

    #[test]
    fn an_address_is_shown_without_secrets() {
        for (url, expected) in [
            ("https://a.example/x.gz", "https://a.example/x.gz"),
            ("https://u:p@a.example/x?token=1#y", "https://a.example/x"),
            ("http://a.example?key=1", "http://a.example"),
            ("https://a.example/@x", "https://a.example/@x"),
        ] {
            assert_eq!(shown(url), expected);
        }
    }

    #[tokio::test]
    async fn nothing_is_read_where_there_is_no_address() {
        let nobody = |_: &mut dyn Read| -> Result<(), String> { Err("asked".into()) };
        assert_eq!(read(None, Limits::default(), nobody).await, Ok(None));
    }
}
