//! HTTP client of a Tatami's REST API.

use std::io::{Cursor, Read};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use serde_json::{Map, Value};
use tatami_runtime::Settings;
use ureq::http::{Response, Uri, header};
use ureq::{Agent, Body, SendBody};

use crate::table::plain;

/// Where `tatami serve` listens unless told otherwise.
pub const DEFAULT_URL: &str = "http://127.0.0.1:8080";
/// Where `tatami serve` keeps a token for the commands on the same machine.
const LOCAL_TOKEN: &str = ".tatami/token";
const CONNECT: Duration = Duration::from_secs(10);
/// An import answers after 25 s at the latest.
const ANSWER: Duration = Duration::from_mins(2);
/// How many things of a list are asked for at once.
const PAGE: usize = 500;
/// How much of an answer that isn't JSON is shown.
const SHOWN: usize = 200;

const URL_HELP: &str = "The Tatami to talk to [env: TATAMI_URL] [default: http://127.0.0.1:8080]";
const TOKEN_HELP: &str =
    "A token for it [env: TATAMI_TOKEN] [default on this machine: what .tatami/token holds]";

#[derive(Args, Default)]
pub struct ServerArgs {
    #[arg(long, help = URL_HELP)]
    url: Option<String>,
    #[arg(long, help = TOKEN_HELP)]
    token: Option<String>,
}

/// Talks to one Tatami.
pub struct Client {
    url: String,
    token: Option<String>,
    agent: Agent,
}

/// Status and body of an answer.
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

/// A report to send.
pub struct Report<'a> {
    pub name: &'a str,
    pub size: u64,
    pub bytes: &'a mut dyn Read,
}

impl ServerArgs {
    /// The client for these arguments; what they leave out is the environment's to say.
    pub fn client(&self) -> anyhow::Result<Client> {
        let (url, token) = Settings::client();
        let url = self
            .url
            .clone()
            .or(url)
            .unwrap_or_else(|| DEFAULT_URL.into());
        let mut client = Client::new(&url, self.token.clone().or(token))?;
        if client.token.is_none() && is_this_machine(&client.url) {
            let kept = std::fs::read_to_string(LOCAL_TOKEN).ok();
            client.token = kept
                .map(|token| token.trim().to_owned())
                .filter(|t| !t.is_empty());
        }
        Ok(client)
    }
}

impl Client {
    /// A client of the Tatami at `url`.
    pub fn new(url: &str, token: Option<String>) -> anyhow::Result<Self> {
        let url = url.trim().trim_end_matches('/').trim_end_matches("/api/v2");
        if !url.starts_with("http://") && !url.starts_with("https://") {
            bail!("\"{url}\" is not the URL of a Tatami: it must start with http:// or https://");
        }
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .user_agent(concat!("tatami/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER));
        if is_this_machine(url) {
            config = config.proxy(None);
        }
        Ok(Self {
            url: url.to_owned(),
            token,
            agent: config.build().new_agent(),
        })
    }

    /// GETs a path below `/api/v2/`.
    pub fn get(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<Answer> {
        let url = self.path(path);
        let mut request = self.agent.get(&url);
        if let Some(token) = self.authorization() {
            request = request.header(header::AUTHORIZATION, token);
        }
        self.answer(
            request
                .query_pairs(query.iter().map(|(n, v)| (*n, v.as_str())))
                .call(),
        )
    }

    /// GETs a path below `/api/v2/` whose answer isn't JSON.
    pub fn get_text(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<String> {
        let url = self.path(path);
        let mut request = self.agent.get(&url);
        if let Some(token) = self.authorization() {
            request = request.header(header::AUTHORIZATION, token);
        }
        let query = query.iter().map(|(n, v)| (*n, v.as_str()));
        let result = request.query_pairs(query).call();
        if result
            .as_ref()
            .is_ok_and(|response| response.status() == 200)
        {
            let mut response = result?;
            return Ok(text_of(&mut response)?);
        }
        Err(self.refusal(&self.answer(result)?))
    }

    /// Gets up to `limit` things of a list, and says how many there are in all.
    pub fn list(
        &self,
        path: &str,
        query: &[(&str, String)],
        limit: usize,
    ) -> anyhow::Result<(u64, Vec<Value>)> {
        let mut all = Vec::new();
        loop {
            let mut query = query.to_vec();
            // a limit of 0 would mean the default one
            query.push(("limit", (limit - all.len()).clamp(1, PAGE).to_string()));
            query.push(("offset", all.len().to_string()));
            let mut answer = self.get(path, &query)?;
            if answer.status != 200 {
                return Err(self.refusal(&answer));
            }
            let count = answer.body["count"].as_u64();
            let count = count.context("the list has no count")?;
            let Value::Array(page) = answer.body["results"].take() else {
                bail!("the list has no results");
            };
            let is_last = page.is_empty();
            all.extend(page);
            all.truncate(limit);
            if is_last || all.len() as u64 >= count || all.len() >= limit {
                return Ok((count, all));
            }
        }
    }

    /// POSTs JSON to a path below `/api/v2/`.
    pub fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        let mut request = self.agent.post(&self.path(path));
        if let Some(token) = self.authorization() {
            request = request.header(header::AUTHORIZATION, token);
        }
        self.answer(request.send_json(body))
    }

    /// POSTs a multipart form with a file to a path below `/api/v2/`.
    pub fn post_form(
        &self,
        path: &str,
        fields: &[(&str, String)],
        report: Report<'_>,
    ) -> anyhow::Result<Answer> {
        let Report { name, size, bytes } = report;
        let boundary = boundary();
        let head = form_head(&boundary, fields, name);
        let tail = format!("\r\n--{boundary}--\r\n");
        let length = head.len() as u64 + size + tail.len() as u64;
        let mut body = Cursor::new(head)
            .chain(bytes.take(size))
            .chain(Cursor::new(tail));
        let mut request = (self.agent.post(&self.path(path)))
            .header(
                header::CONTENT_TYPE,
                format!("multipart/form-data; boundary={boundary}"),
            )
            .header(header::CONTENT_LENGTH, length.to_string());
        if let Some(token) = self.authorization() {
            request = request.header(header::AUTHORIZATION, token);
        }
        self.answer(request.send(SendBody::from_reader(&mut body)))
    }

    /// PUTs a report to a presigned address, which may be anywhere: our token stays here.
    pub fn put(
        &self,
        url: &str,
        headers: &Map<String, Value>,
        report: Report<'_>,
    ) -> anyhow::Result<()> {
        let Report { size, bytes, .. } = report;
        let mut request = self
            .agent
            .put(url)
            .header(header::CONTENT_LENGTH, size.to_string());
        for (name, value) in headers {
            let ours =
                name.eq_ignore_ascii_case("host") || name.eq_ignore_ascii_case("content-length");
            if let (Some(value), false) = (value.as_str(), ours) {
                request = request.header(name, value);
            }
        }
        let mut body = bytes.take(size);
        let place = origin(url);
        let mut response = (request.send(SendBody::from_reader(&mut body)))
            .map_err(|error| anyhow!("the upload to {place} failed: {}", reason(&error)))?;
        let status = response.status().as_u16();
        if status >= 300 {
            let text = text_of(&mut response).unwrap_or_default();
            bail!(
                "the upload to {place} was refused with {status}: {}",
                shown(&text)
            );
        }
        Ok(())
    }

    /// What an answer other than the one hoped for says, as a sentence.
    pub fn refusal(&self, answer: &Answer) -> anyhow::Error {
        let Answer { status, body } = answer;
        let said = message(body);
        match status {
            401 if self.token.is_none() => anyhow!(
                "Tatami at {} wants a token: give one by --token or TATAMI_TOKEN",
                self.url
            ),
            401 => anyhow!("Tatami at {} doesn't take this token: {said}", self.url),
            500.. => anyhow!("Tatami at {} failed with {status}: {said}", self.url),
            _ => anyhow!("Tatami refuses this with {status}: {said}"),
        }
    }

    fn path(&self, path: &str) -> String {
        format!("{}/api/v2/{path}", self.url)
    }

    fn authorization(&self) -> Option<String> {
        self.token.as_ref().map(|token| format!("Token {token}"))
    }

    fn answer(&self, result: Result<Response<Body>, ureq::Error>) -> anyhow::Result<Answer> {
        let unreachable = |error: &ureq::Error| {
            anyhow!(
                "cannot reach {}: is Tatami running there? `tatami serve` starts one ({})",
                self.url,
                reason(error)
            )
        };
        let mut response = result.map_err(|error| match error {
            ureq::Error::Timeout(ureq::Timeout::RecvResponse) => {
                anyhow!(
                    "Tatami at {} doesn't answer within {} s",
                    self.url,
                    ANSWER.as_secs()
                )
            }
            error => unreachable(&error),
        })?;
        let status = response.status().as_u16();
        let text = text_of(&mut response).map_err(|error| unreachable(&error))?;
        match serde_json::from_str(&text) {
            Ok(body) => Ok(Answer { status, body }),
            // what stands before a Tatami, a gateway or proxy, answers in its own way
            Err(_) if status >= 400 => Ok(Answer {
                status,
                body: Value::String(shown(&text)),
            }),
            Err(_) => bail!(
                "{} answers, but not as Tatami does: is it the right address? It says: {}",
                self.url,
                shown(&text)
            ),
        }
    }
}

fn text_of(response: &mut Response<Body>) -> Result<String, ureq::Error> {
    let body = response.body_mut().with_config().limit(u64::MAX);
    let bytes = body.read_to_vec()?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn shown(text: &str) -> String {
    let text = plain(text);
    if text.is_empty() {
        return "nothing".into();
    }
    text.chars().take(SHOWN).collect()
}

/// What went wrong, without what only programmers know.
fn reason(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::Timeout(_) => "it takes too long".into(),
        other => other.to_string(),
    }
}

/// Scheme, host and port of an address: the rest of a presigned one is a secret.
fn origin(url: &str) -> String {
    let uri: Option<Uri> = url.parse().ok();
    let parts = uri
        .as_ref()
        .and_then(|uri| uri.scheme_str().zip(uri.authority()));
    parts.map_or("an unknown place".into(), |(scheme, authority)| {
        format!("{scheme}://{authority}")
    })
}

fn is_this_machine(url: &str) -> bool {
    let uri: Option<Uri> = url.parse().ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
    host == "localhost"
        || host == "[::1]"
        || host
            .parse::<std::net::Ipv4Addr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// The sentence in an answer's body.
fn message(body: &Value) -> String {
    let named = ["message", "detail"]
        .iter()
        .find_map(|name| body.get(name)?.as_str());
    if let Some(text) = named.or(body.as_str()) {
        return plain(text);
    }
    let list = body.as_array().into_iter().flatten();
    let texts: Vec<&str> = list.filter_map(Value::as_str).collect();
    if texts.is_empty() {
        return shown(&body.to_string());
    }
    plain(&texts.join("; "))
}

/// A line that occurs in no report.
fn boundary() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = now.unwrap_or_default().as_nanos();
    format!("tatami-{nanos:x}-{:x}-4f9a1c7be2", std::process::id())
}

fn form_head(boundary: &str, fields: &[(&str, String)], file_name: &str) -> String {
    let mut head = String::new();
    for (name, value) in fields {
        let part = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        );
        head.push_str(&part);
    }
    let file_name: String = (file_name.chars())
        .map(|c| {
            if c.is_control() || matches!(c, '"' | '\\') {
                '_'
            } else {
                c
            }
        })
        .collect();
    let part = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{file_name}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    head + &part
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_token_of_this_machine_goes_to_this_machine_only() {
        for url in [
            "http://127.0.0.1:8080",
            "http://localhost",
            "https://[::1]:8443/x",
        ] {
            assert!(is_this_machine(url), "{url}");
        }
        for url in [
            "https://tatami.example",
            "http://127.0.0.1.evil.example",
            "http://10.0.0.1",
        ] {
            assert!(!is_this_machine(url), "{url}");
        }
    }

    #[test]
    fn urls_are_taken_as_people_write_them() {
        for url in [
            "http://t.example",
            "http://t.example/",
            " http://t.example/api/v2/ ",
        ] {
            let client = Client::new(url, None).unwrap();
            assert_eq!(
                client.path("findings/"),
                "http://t.example/api/v2/findings/"
            );
        }
        assert!(Client::new("t.example", None).is_err());
    }

    #[test]
    fn answers_become_sentences() {
        let client = Client::new("http://t.example", Some("x".into())).unwrap();
        let sentence = |status, body| client.refusal(&Answer { status, body }).to_string();
        assert_eq!(
            sentence(400, json!({"message": "file: empty", "file": ["empty"]})),
            "Tatami refuses this with 400: file: empty"
        );
        assert_eq!(
            sentence(400, json!(["a", "b"])),
            "Tatami refuses this with 400: a; b"
        );
        assert_eq!(
            sentence(502, json!("Bad\n Gateway")),
            "Tatami at http://t.example failed with 502: Bad Gateway"
        );
        assert!(sentence(401, json!({"detail": "Invalid token."})).ends_with("Invalid token."));
    }

    #[test]
    fn file_names_stay_inside_their_quotes() {
        let head = form_head("b", &[("tags", "a".into())], "x\"\r\ny.json");
        assert!(
            head.starts_with(
                "--b\r\nContent-Disposition: form-data; name=\"tags\"\r\n\r\na\r\n--b"
            )
        );
        assert!(head.contains("filename=\"x___y.json\""));
    }
}
