//! One HTTP front door: the credential scope of a signature says which service a request is for;
//! everything that is not signed for one of them goes to the app.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use s3s::service::S3Service;
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt as _;

use crate::Credentials;
use crate::dynamodb::{self, Tables};
use crate::sigv4::{self, SignatureError};
use crate::sqs::{self, Queues};

/// Most bytes of a DynamoDB or SQS request, as DynamoDB has it.
const MAX_JSON_BYTES: usize = 16 * 1024 * 1024;
/// Read buffer of a connection; hyper's default of 400 KB adds up.
const BUFFER_BYTES: usize = 64 * 1024;
/// How long a shutdown waits for requests that are being answered.
const DRAIN: Duration = Duration::from_secs(5);
/// Rest after a failed accept, which is mostly for want of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The services behind the front door.
pub(crate) struct Services {
    pub(crate) credentials: Credentials,
    pub(crate) s3: S3Service,
    pub(crate) queues: Queues,
    pub(crate) tables: Tables,
}

/// Serves until `shutdown`, then lets running requests finish.
pub(crate) async fn serve(
    services: Arc<Services>,
    app: Router,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) {
    let connections = GracefulShutdown::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
        };
        match accepted {
            Ok((stream, peer)) => connect(&services, &app, &connections, stream, peer),
            Err(error) => {
                tracing::warn!(%error, "connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, connections.shutdown())
        .await
        .is_err()
    {
        tracing::debug!("connections were still busy at shutdown");
    }
}

fn connect(
    services: &Arc<Services>,
    app: &Router,
    connections: &GracefulShutdown,
    stream: TcpStream,
    peer: SocketAddr,
) {
    let _ = stream.set_nodelay(true);
    let services = Arc::clone(services);
    let app = app.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let services = Arc::clone(&services);
        let app = app.clone();
        request.extensions_mut().insert(ConnectInfo(peer));
        async move { Ok::<_, Infallible>(services.route(request, app).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let watched = connections.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = watched.await {
            tracing::debug!(%error, "connection ended");
        }
    });
}

impl Services {
    async fn route(&self, request: Request<Incoming>, app: Router) -> Response {
        let (parts, body) = request.into_parts();
        match sigv4::service(&parts) {
            Some("s3") => self.s3(Request::from_parts(parts, body.into())).await,
            Some("dynamodb") => self.dynamodb(&parts, body).await,
            Some("sqs") => self.sqs(&parts, body).await,
            _ => {
                let request = Request::from_parts(parts, Body::new(body));
                app.oneshot(request).await.into_response()
            }
        }
    }

    /// Answers a request of somebody inside the process, which came over no connection.
    pub(crate) async fn answer(&self, request: Request<Bytes>) -> Response {
        let (parts, body) = request.into_parts();
        let target = header(&parts, "x-amz-target");
        match sigv4::service(&parts) {
            Some("dynamodb") => self.tables.handle(target, body).await,
            Some("sqs") => sqs::handle(&self.queues, target, header(&parts, "host"), &body).await,
            _ => self.s3(Request::from_parts(parts, body.into())).await,
        }
    }

    async fn s3(&self, request: Request<s3s::Body>) -> Response {
        match self.s3.call(request).await {
            Ok(response) => response.map(Body::new),
            Err(error) => {
                tracing::error!(?error, "local S3 call failed");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }

    async fn dynamodb(&self, parts: &Parts, body: Incoming) -> Response {
        let body = match self.verified_body(parts, body).await {
            Ok(body) => body,
            Err(Refusal::Body) => {
                return dynamodb::failure(
                    "SerializationException",
                    "the request body is not readable",
                );
            }
            Err(Refusal::Signature(error)) => {
                return dynamodb::failure(error_code(&error), &error.to_string());
            }
        };
        self.tables
            .handle(header(parts, "x-amz-target"), body)
            .await
    }

    async fn sqs(&self, parts: &Parts, body: Incoming) -> Response {
        let refuse = |code: &str, message: &str| {
            sqs::wire_failure(StatusCode::FORBIDDEN, code, code, message)
        };
        let body = match self.verified_body(parts, body).await {
            Ok(body) => body,
            Err(Refusal::Body) => {
                return refuse("InvalidRequest", "the request body is not readable");
            }
            Err(Refusal::Signature(error)) => {
                return refuse(error_code(&error), &error.to_string());
            }
        };
        sqs::handle(
            &self.queues,
            header(parts, "x-amz-target"),
            header(parts, "host"),
            &body,
        )
        .await
    }

    async fn verified_body(&self, parts: &Parts, body: Incoming) -> Result<Bytes, Refusal> {
        let body = Limited::new(body, MAX_JSON_BYTES)
            .collect()
            .await
            .map_err(|_| Refusal::Body)?;
        let body = body.to_bytes();
        sigv4::verify(&self.credentials, parts, &body).map_err(Refusal::Signature)?;
        Ok(body)
    }
}

enum Refusal {
    Body,
    Signature(SignatureError),
}

fn error_code(error: &SignatureError) -> &'static str {
    match error {
        SignatureError::Incomplete => "IncompleteSignatureException",
        SignatureError::UnknownKey => "UnrecognizedClientException",
        SignatureError::Expired | SignatureError::Mismatch => "InvalidSignatureException",
    }
}

fn header<'a>(parts: &'a Parts, name: &str) -> &'a str {
    parts
        .headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}
