//! A transport that answers out of a list and keeps what it was asked.

use std::collections::VecDeque;
use std::sync::Mutex;

use http::{Request, Response};
use serde_json::Value;
use tatami_jira_client::{Auth, Deployment, Jira, Transport, TransportError};

/// What the tests log in with; no message may have it.
pub const SECRET: &str = "s3cr3t-token";
pub const BASE: &str = "https://jira.example.com/base";

#[derive(Default)]
pub struct Recorded {
    answers: Mutex<VecDeque<Result<Response<Vec<u8>>, TransportError>>>,
    requests: Mutex<Vec<Request<Vec<u8>>>>,
}

impl Recorded {
    pub fn json(self, status: u16, body: &Value) -> Self {
        self.raw(status, &[], body.to_string().as_bytes())
    }

    pub fn raw(self, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let response = response.body(body.to_vec()).unwrap();
        self.answers.lock().unwrap().push_back(Ok(response));
        self
    }

    pub fn fails(self, message: &str, passing: bool) -> Self {
        self.answers.lock().unwrap().push_back(Err(TransportError {
            message: message.to_owned(),
            passing,
        }));
        self
    }

    /// What was asked, each as `GET /path?query` and its body.
    pub fn asked(&self) -> Vec<(String, Value)> {
        let requests = self.requests.lock().unwrap();
        let one = |request: &Request<Vec<u8>>| {
            let uri = request.uri().path_and_query().unwrap();
            let body = serde_json::from_slice(request.body()).unwrap_or(Value::Null);
            (format!("{} {uri}", request.method()), body)
        };
        requests.iter().map(one).collect()
    }

    pub fn requests(&self) -> Vec<Request<Vec<u8>>> {
        self.requests.lock().unwrap().clone()
    }

    pub fn jira(&self, deployment: Deployment) -> Jira<&Self> {
        Jira::new(BASE, deployment, basic(), self).unwrap()
    }
}

impl Transport for &Recorded {
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, TransportError> {
        self.requests.lock().unwrap().push(request);
        let answer = self.answers.lock().unwrap().pop_front();
        answer.expect("one request more than there are answers")
    }
}

pub fn basic() -> Auth {
    Auth::Basic {
        user: "robot@example.com".to_owned(),
        secret: SECRET.into(),
    }
}
