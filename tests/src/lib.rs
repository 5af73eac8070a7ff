//! What the tests and measurements of the whole system share: a stack in a folder of its own, a
//! client, generated reports; and for proofs a laboratory in which messages are delivered by hand and
//! functions die where a test says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "only tests use it"
)]

pub mod jira;
mod lab;
pub mod model;
pub mod play;
pub mod seed;
mod wire;

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use tatami_local::{Options, Stack};
use tempfile::TempDir;

pub use lab::{Holdings, Lab, Message, Queue, Row, words};
pub use wire::{Death, Gate, Place, Wire};

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_mins(2);

/// A client of the REST API.
#[derive(Debug, Clone)]
pub struct Client {
    /// Such as `http://127.0.0.1:8080`.
    pub url: String,
    /// An API token.
    pub token: String,
    agent: ureq::Agent,
}

/// Status and JSON body of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body, null where it isn't JSON.
    pub body: Value,
}

impl Answer {
    /// The body, if the status is the expected one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{:#}", self.body);
        self.body
    }
}

impl Client {
    /// A client with a token.
    pub fn new(url: impl Into<String>, token: impl Into<String>) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        Self {
            url: url.into(),
            token: token.into(),
            agent: config.build().new_agent(),
        }
    }

    async fn blocking(
        &self,
        call: impl FnOnce(&Self) -> Result<ureq::http::Response<ureq::Body>, ureq::Error>
        + Send
        + 'static,
    ) -> Answer {
        let client = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut response = call(&client).expect("the server answers");
            let body = response
                .body_mut()
                .with_config()
                .limit(1 << 30)
                .read_to_string()
                .expect("a body");
            Answer {
                status: response.status().as_u16(),
                body: serde_json::from_str(&body).unwrap_or(Value::Null),
            }
        });
        read.await.expect("the call ends")
    }

    fn auth(&self) -> String {
        format!("Token {}", self.token)
    }

    /// GET of a path below `/api/v2/`.
    pub async fn get(&self, path: &str) -> Answer {
        let url = format!("{}/api/v2/{path}", self.url);
        self.blocking(move |c| c.agent.get(&url).header("Authorization", c.auth()).call())
            .await
    }

    /// POST of JSON.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        let url = format!("{}/api/v2/{path}", self.url);
        self.blocking(move |c| {
            c.agent
                .post(&url)
                .header("Authorization", c.auth())
                .send_json(body)
        })
        .await
    }

    /// PATCH of JSON.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        let url = format!("{}/api/v2/{path}", self.url);
        self.blocking(move |c| {
            c.agent
                .patch(&url)
                .header("Authorization", c.auth())
                .send_json(body)
        })
        .await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        let url = format!("{}/api/v2/{path}", self.url);
        self.blocking(move |c| {
            c.agent
                .delete(&url)
                .header("Authorization", c.auth())
                .call()
        })
        .await
    }

    /// POST of a form with a file.
    pub async fn post_file(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        file_name: &str,
        file: impl Into<Vec<u8>>,
    ) -> Answer {
        const BOUNDARY: &str = "tatami-test-boundary";
        let mut body = Vec::new();
        for (name, value) in fields {
            let part = format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            );
            body.extend(part.into_bytes());
        }
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{file_name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        body.extend(head.into_bytes());
        body.extend(file.into());
        body.extend(format!("\r\n--{BOUNDARY}--\r\n").into_bytes());
        let url = format!("{}/api/v2/{path}", self.url);
        self.blocking(move |c| {
            c.agent
                .post(&url)
                .header("Authorization", c.auth())
                .header(
                    "Content-Type",
                    format!("multipart/form-data; boundary={BOUNDARY}"),
                )
                .send(body)
        })
        .await
    }

    /// Imports a report (`import-scan` or `reimport-scan`) into a product and engagement of these
    /// names, and waits until it's done. Gives the answer of `imports/{id}/`.
    pub async fn import(
        &self,
        endpoint: &str,
        extra: &[(&str, &str)],
        file_name: &str,
        file: impl Into<Vec<u8>>,
    ) -> Value {
        let mut fields = vec![
            ("product_name", "Web shop"),
            ("engagement_name", "Nightly"),
            ("auto_create_context", "true"),
        ];
        fields.retain(|(name, _)| !extra.iter().any(|(other, _)| other == name));
        fields.extend(extra);
        let answer = self
            .post_file(&format!("{endpoint}/"), &fields, file_name, file)
            .await;
        assert!(
            matches!(answer.status, 201 | 202),
            "{} {:#}",
            answer.status,
            answer.body
        );
        let id = answer.body["import_id"].as_u64().expect("an import id");
        self.imported(id).await
    }

    /// Waits for the end of an import.
    pub async fn imported(&self, id: u64) -> Value {
        let started = std::time::Instant::now();
        loop {
            let import = self.get(&format!("imports/{id}/")).await.expect(200);
            if import["state"] == "done" || import["state"] == "failed" {
                return import;
            }
            assert!(started.elapsed() < PATIENCE, "the import hangs: {import:#}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// All findings under a filter, with their true number.
    pub async fn findings(&self, filter: &str) -> Vec<Value> {
        let page = self
            .get(&format!("findings/?limit=100000&{filter}"))
            .await
            .expect(200);
        let results = page["results"].as_array().expect("results").clone();
        assert_eq!(page["count"], results.len(), "the count is exact");
        results
    }
}

/// A stack in a folder of its own.
pub struct Local {
    /// The running stack.
    pub stack: Stack,
    /// A client of its first admin.
    pub client: Client,
    /// Its folder.
    pub data: TempDir,
}

impl Local {
    /// Starts one.
    pub async fn start() -> Self {
        Self::start_in(TempDir::new().expect("a folder")).await
    }

    /// Starts one on a folder that may have been used before.
    pub async fn start_in(data: TempDir) -> Self {
        let options = Options {
            listen: ([127, 0, 0, 1], 0).into(),
            data: data.path().to_owned(),
        };
        let stack = Stack::start(options).await.expect("the stack starts");
        let client = Client::new(&stack.url, stack.token.clone().expect("a token"));
        Self {
            stack,
            client,
            data,
        }
    }

    /// Waits until something is found.
    pub async fn eventually<T, F: Future<Output = Option<T>>>(
        &self,
        what: &str,
        mut look: impl FnMut() -> F,
    ) -> T {
        let started = std::time::Instant::now();
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(started.elapsed() < PATIENCE, "{what} never came");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A report in the generic JSON format with `n` findings of mixed severities; `from` is the number of
/// the first, so that two reports can overlap.
pub fn generic_report(from: usize, n: usize) -> String {
    const SEVERITIES: [&str; 5] = ["Critical", "High", "Medium", "Low", "Info"];
    let mut text = String::from("{\"findings\":[");
    for i in from..from + n {
        if i > from {
            text.push(',');
        }
        let finding = json!({
            "title": format!("Outdated library number {i}"),
            "severity": SEVERITIES[i % 5],
            "description": format!(
                "The component lib{} in version 1.{} has a known weakness (case {i}). An attacker who can \
                 reach the service may read memory that does not belong to the request. It was found \
                 in the lock file of the build and is loaded at start.", i % 97, i % 13),
            "mitigation": format!("Update lib{} to version 2.{} or later and build the image again.", i % 97, i % 13),
            "references": format!("https://advisories.example/{i}"),
            "cwe": 100 + i % 50,
            "cve": format!("CVE-2025-{:05}", 10_000 + i),
            "component_name": format!("lib{}", i % 97),
            "component_version": format!("1.{}", i % 13),
            "file_path": format!("services/app{}/Cargo.lock", i % 7),
            "line": i % 400 + 1,
            "cvssv3": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N",
            "static_finding": true,
            "active": true,
            "verified": false,
        });
        let _ = write!(text, "{finding}");
    }
    text.push_str("]}");
    text
}
