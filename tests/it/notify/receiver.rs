//! A server that webhooks and chats are sent to: it notes what comes and answers as it's told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;

/// What it answers with.
#[derive(Debug, Clone)]
pub enum Answer {
    Status(u16),
    /// A status with a body.
    Body(u16, &'static str),
    /// To a path of its own.
    Redirect(&'static str),
    /// After so many seconds.
    Late(u64),
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Request {
    pub path: String,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }
}

#[derive(Debug, Default)]
struct Noted {
    answers: VecDeque<Answer>,
    requests: Vec<Request>,
}

/// The server.
#[derive(Debug, Clone)]
pub struct Receiver {
    pub url: String,
    noted: Arc<Mutex<Noted>>,
}

impl Receiver {
    pub async fn start() -> Self {
        let noted = Arc::<Mutex<Noted>>::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(take).with_state(Arc::clone(&noted));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, noted }
    }

    /// What it answers next, one request each; with nothing left it's a 200.
    pub fn will(&self, answers: impl IntoIterator<Item = Answer>) {
        self.noted.lock().unwrap().answers.extend(answers);
    }

    /// What came since the last time.
    pub fn take(&self) -> Vec<Request> {
        std::mem::take(&mut self.noted.lock().unwrap().requests)
    }
}

async fn take(
    State(noted): State<Arc<Mutex<Noted>>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answer = {
        let mut noted = noted.lock().unwrap();
        noted.requests.push(Request {
            path: uri.path().to_owned(),
            headers,
            bytes: body.to_vec(),
        });
        noted.answers.pop_front()
    };
    let of = |status| StatusCode::from_u16(status).unwrap();
    match answer {
        None => StatusCode::OK.into_response(),
        Some(Answer::Status(status)) => of(status).into_response(),
        Some(Answer::Body(status, body)) => (of(status), body).into_response(),
        Some(Answer::Redirect(to)) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        Some(Answer::Late(seconds)) => {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            StatusCode::OK.into_response()
        }
    }
}
