//! SES, played by a small HTTP server on this machine.

use std::sync::{Arc, Mutex};

use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::config::retry::RetryConfig;
use aws_sdk_sesv2::config::{BehaviorVersion, Config, Credentials, Region};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use mail_parser::MessageParser;
use serde_json::{Value, json};
use tatami_mail::{MailError, Mailer};
use tokio::net::TcpListener;

use crate::{from, mail};

/// Answers each request the same way, and keeps what it was asked.
#[derive(Clone)]
struct Ses {
    status: StatusCode,
    code: &'static str,
    answer: Value,
    requests: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Ses {
    fn new(status: u16, code: &'static str, answer: Value) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap(),
            code,
            answer,
            requests: Arc::default(),
        }
    }

    async fn client(&self) -> Client {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        client(&endpoint)
    }

    async fn mailer(&self) -> Mailer {
        Mailer::ses(self.client().await, from(), Some("tatami".into()))
    }
}

async fn answer(State(ses): State<Ses>, uri: Uri, body: String) -> (StatusCode, HeaderMap, String) {
    let body = serde_json::from_str(&body).unwrap_or_default();
    ses.requests
        .lock()
        .unwrap()
        .push((uri.path().to_owned(), body));
    let mut headers = HeaderMap::new();
    if !ses.code.is_empty() {
        headers.insert("x-amzn-errortype", ses.code.parse().unwrap());
    }
    (ses.status, headers, ses.answer.to_string())
}

fn client(endpoint: &str) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new("key", "secret", None, None, "test"))
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}

#[tokio::test]
async fn the_raw_mail_is_sent() {
    let ses = Ses::new(200, "", json!({"MessageId": "0102-ses"}));
    let mailer = ses.mailer().await;
    assert_eq!(mailer.from(), Some("tatami@sender.example"));
    let sent = mailer.send(&mail()).await.unwrap();
    assert_eq!(sent.reply, "0102-ses");
    let requests = ses.requests.lock().unwrap();
    let [(path, request)] = requests.as_slice() else {
        panic!("{requests:?}")
    };
    assert_eq!(path, "/v2/email/outbound-emails");
    assert_eq!(request["FromEmailAddress"], "tatami@sender.example");
    assert_eq!(
        request["Destination"],
        json!({"ToAddresses": ["ada@example.com"]})
    );
    assert_eq!(request["ConfigurationSetName"], "tatami");
    let raw = request["Content"]["Raw"]["Data"].as_str().unwrap();
    let mime = BASE64_STANDARD.decode(raw).unwrap();
    let message = MessageParser::new().parse(&mime).unwrap();
    assert_eq!(message.subject(), Some("Three new findings in Loom"));
    assert_eq!(
        message.message_id(),
        Some("import-17.user-4@sender.example")
    );
    assert_eq!(message.parts.len(), 3);
}

#[tokio::test]
async fn errors_say_whether_to_try_again() {
    for (status, code, expected) in [
        (429, "TooManyRequestsException", "passing"),
        (400, "TooManyRequestsException", "passing"),
        (400, "LimitExceededException", "passing"),
        (400, "ThrottlingException", "passing"),
        (500, "InternalServiceError", "passing"),
        (503, "ServiceUnavailable", "passing"),
        (400, "MessageRejected", "refused"),
        (400, "BadRequestException", "refused"),
        (400, "SendingPausedException", "setup"),
        (400, "AccountSuspendedException", "setup"),
        (400, "MailFromDomainNotVerifiedException", "setup"),
        (404, "NotFoundException", "setup"),
        (403, "AccessDeniedException", "setup"),
        (403, "InvalidSignatureException", "setup"),
    ] {
        let ses = Ses::new(status, code, json!({"message": "because of that"}));
        let error = ses.mailer().await.send(&mail()).await.unwrap_err();
        let kind = match &error {
            MailError::Passing { .. } => "passing",
            MailError::Refused { .. } => "refused",
            MailError::Setup { .. } => "setup",
            MailError::Address { .. } | MailError::Content { .. } => "ours",
        };
        assert_eq!(kind, expected, "{status} {code}: {error}");
        assert_eq!(error.is_passing(), expected == "passing");
        let shown = error.to_string();
        assert!(
            shown.contains(code) && shown.contains("because of that"),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn nobody_there_is_passing() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let mailer = Mailer::ses(client(&endpoint), from(), None);
    let error = mailer.send(&mail()).await.unwrap_err();
    assert!(error.is_passing(), "{error}");
}

#[tokio::test]
async fn the_connection_test_asks_for_the_account() {
    let ses = Ses::new(200, "", json!({"SendingEnabled": true}));
    ses.mailer().await.test_connection().await.unwrap();
    assert_eq!(ses.requests.lock().unwrap()[0].0, "/v2/email/account");
    let paused = Ses::new(200, "", json!({"SendingEnabled": false}));
    let error = paused.mailer().await.test_connection().await.unwrap_err();
    assert!(matches!(error, MailError::Setup { .. }), "{error}");
    let denied = Ses::new(403, "AccessDeniedException", json!({"message": "no"}));
    let error = denied.mailer().await.test_connection().await.unwrap_err();
    assert!(matches!(error, MailError::Setup { .. }), "{error}");
}
