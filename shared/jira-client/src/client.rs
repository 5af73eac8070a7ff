use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{JiraError, Operation, ServerInfo, Transport};

/// Bytes of a path segment that stay as they are (RFC 3986, unreserved).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Which of the two kinds of JIRA it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deployment {
    /// Atlassian's own: version 3 of the API, rich text is ADF, users have an `accountId`.
    Cloud,
    /// Data Center or Server: version 2, rich text is wiki markup, users have a `name`.
    DataCenter,
}

impl Deployment {
    /// What stands in paths: `3` or `2`.
    pub fn version(self) -> &'static str {
        match self {
            Self::Cloud => "3",
            Self::DataCenter => "2",
        }
    }

    /// Reads what the server's `deploymentType` says. Servers before 7.1 say nothing.
    pub fn of(info: &ServerInfo) -> Self {
        match info.deployment_type.as_deref() {
            Some(kind) if kind.eq_ignore_ascii_case("cloud") => Self::Cloud,
            _ => Self::DataCenter,
        }
    }
}

/// Who asks.
#[derive(Debug, Clone)]
pub enum Auth {
    /// Cloud: the mail address and an API token. Data Center: name and password.
    Basic {
        /// The name or mail address.
        user: String,
        /// The token or password.
        secret: SecretString,
    },
    /// A personal access token (Data Center), or an OAuth token.
    Bearer(SecretString),
}

impl Auth {
    fn header(&self) -> Result<HeaderValue, JiraError> {
        let text = match self {
            Self::Basic { user, .. } if user.contains(':') => {
                return Err(settings("user", "it has a colon, which no login may have"));
            }
            Self::Basic { .. } => format!("Basic {}", self.encoded().unwrap_or_default()),
            Self::Bearer(secret) => format!("Bearer {}", secret.expose_secret()),
        };
        let mut value = HeaderValue::from_str(&text)
            .map_err(|_| settings("token", "it has characters that no header can hold"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// What basic authentication makes of it, which is as secret as the secret.
    fn encoded(&self) -> Option<String> {
        match self {
            Self::Basic { user, secret } => {
                Some(BASE64_STANDARD.encode(format!("{user}:{}", secret.expose_secret())))
            }
            Self::Bearer(_) => None,
        }
    }

    fn secret(&self) -> &str {
        match self {
            Self::Basic { secret, .. } | Self::Bearer(secret) => secret.expose_secret(),
        }
    }

    /// What must be in no text.
    pub(crate) fn secrets(&self) -> [String; 2] {
        [self.secret().to_owned(), self.encoded().unwrap_or_default()]
    }
}

/// A client of one JIRA. It keeps nothing between requests, tries none of them twice, and has no clock.
#[derive(Debug)]
pub struct Jira<T> {
    base: String,
    deployment: Deployment,
    auth: Auth,
    header: HeaderValue,
    transport: T,
}

impl<T: Transport> Jira<T> {
    /// The base is what users see before `/browse/KEY-1`, with the context path where there is one.
    pub fn new(
        base_url: &str,
        deployment: Deployment,
        auth: Auth,
        transport: T,
    ) -> Result<Self, JiraError> {
        Ok(Self {
            base: base(base_url)?,
            deployment,
            header: auth.header()?,
            auth,
            transport,
        })
    }

    /// Which kind of JIRA it takes this one for.
    pub fn deployment(&self) -> Deployment {
        self.deployment
    }

    /// Where it is, without a slash at the end.
    pub fn base_url(&self) -> &str {
        &self.base
    }

    /// Where people see an issue.
    pub fn browse_url(&self, key: &str) -> String {
        format!("{}/browse/{}", self.base, segment(key))
    }

    /// Makes a request and reads the JSON of its answer.
    pub(crate) async fn read<A: DeserializeOwned>(&self, call: Call<'_>) -> Result<A, JiraError> {
        let what = call.operation;
        let body = self.send(call).await?;
        serde_json::from_slice(&body).map_err(|e| {
            let why = if body.is_empty() {
                "it is empty".to_owned()
            } else {
                e.to_string()
            };
            unreadable(what, why).without(&self.auth.secrets().each_ref().map(String::as_str))
        })
    }

    /// Makes a request whose answer has nothing to read.
    pub(crate) async fn send(&self, call: Call<'_>) -> Result<Vec<u8>, JiraError> {
        let answer = match self.transport.send(self.request(&call)?).await {
            Ok(response) if response.status().is_success() => return Ok(response.into_body()),
            Ok(response) => JiraError::of(&response),
            Err(error) => JiraError::Transport(error),
        };
        Err(answer.without(&self.auth.secrets().each_ref().map(String::as_str)))
    }

    fn request(&self, call: &Call<'_>) -> Result<http::Request<Vec<u8>>, JiraError> {
        let mut request = http::Request::builder()
            .method(http::Method::from(call.operation.method()))
            .uri(self.uri(call))
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, "tatami")
            .header(AUTHORIZATION, self.header.clone());
        let body = match &call.body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                body.to_string().into_bytes()
            }
            None => Vec::new(),
        };
        request
            .body(body)
            .map_err(|e| settings("address", &e.to_string()))
    }

    fn uri(&self, call: &Call<'_>) -> String {
        let version = call.version.unwrap_or(self.deployment.version());
        let mut uri = format!("{}/rest/api/{version}", self.base);
        let mut values = call.segments.iter();
        for part in call.operation.path().split('/').skip(1) {
            uri.push('/');
            match values.as_slice().first().filter(|_| part.starts_with('{')) {
                Some(value) => {
                    uri.push_str(&segment(value));
                    values.next();
                }
                None => uri.push_str(part),
            }
        }
        if !call.query.is_empty() {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.extend_pairs(&call.query);
            uri.push('?');
            uri.push_str(&query.finish());
        }
        uri
    }
}

/// Asks an address which kind of JIRA is there. Both kinds answer that in version 2.
pub async fn detect<T: Transport>(
    base_url: &str,
    auth: Auth,
    transport: T,
) -> Result<Deployment, JiraError> {
    let jira = Jira::new(base_url, Deployment::DataCenter, auth, transport)?;
    Ok(Deployment::of(&jira.server_info().await?))
}

/// One request.
pub(crate) struct Call<'a> {
    operation: Operation,
    version: Option<&'static str>,
    segments: &'a [&'a str],
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
}

impl<'a> Call<'a> {
    /// With a value for each name in the operation's path.
    pub(crate) fn new(operation: Operation, segments: &'a [&'a str]) -> Self {
        Self {
            operation,
            version: None,
            segments,
            query: Vec::new(),
            body: None,
        }
    }

    /// In another version of the API than the deployment's.
    pub(crate) fn version(mut self, version: &'static str) -> Self {
        self.version = Some(version);
        self
    }

    pub(crate) fn query(mut self, name: &'static str, value: &(impl ToString + ?Sized)) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    pub(crate) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }
}

pub(crate) fn unreadable(what: Operation, why: impl Into<String>) -> JiraError {
    JiraError::Unreadable {
        what: what.to_string(),
        why: crate::error::one_line(&why.into()),
    }
}

/// Encodes a segment. `.` and `..` would be taken for steps in the path by whoever normalises it.
fn segment(value: &str) -> String {
    match value {
        "." | ".." => value.replace('.', "%2E"),
        value => utf8_percent_encode(value, SEGMENT).to_string(),
    }
}

fn base(url: &str) -> Result<String, JiraError> {
    let wrong = |why: &str| settings("address", why);
    let uri: http::Uri = url
        .trim()
        .parse()
        .map_err(|e: http::uri::InvalidUri| wrong(&e.to_string()))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(wrong("it must begin with https:// or http://"));
    }
    let authority = uri.authority().ok_or_else(|| wrong("it has no host"))?;
    if authority.as_str().contains('@') {
        return Err(wrong(
            "it has a user in it: set user and token on their own",
        ));
    }
    if uri.query().is_some() || url.contains('#') {
        return Err(wrong("leave out what begins with ? or #"));
    }
    Ok(url.trim().trim_end_matches('/').to_owned())
}

fn settings(what: &'static str, why: &str) -> JiraError {
    JiraError::Settings {
        what,
        why: why.to_owned(),
    }
}
