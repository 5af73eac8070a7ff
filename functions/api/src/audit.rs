//! Every request that may change something leaves an entry in the audit log.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use tatami_domain::AuditEntry;
use tatami_store::Record;
use tracing::Instrument as _;

use crate::Api;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::request::RequestId;
use crate::routes::jira::without_secret;
use crate::throttle;

/// Runs a request and records what it changes.
///
/// It runs to its end even where the client goes away in the middle, so that nothing is left half done
/// and the entry says what was done.
pub async fn record(State(api): State<Api>, request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let record = Record::new(entry(&request));
    let work = async move {
        let response = record.watch(next.run(request)).await;
        let status = response.status().as_u16();
        if let Err(error) = api.services.store.end_record(record, status).await {
            // what it had begun stays in the log as a request that broke off
            tracing::error!(%error, "a request's entry in the audit log has no end");
        }
        // before the answer, after which a function may be stopped
        api.services.relay().await;
        response
    };
    match tokio::spawn(work.in_current_span()).await {
        Ok(response) => response,
        Err(error) => ApiError::Internal(error.to_string()).into_response(),
    }
}

fn entry(request: &Request) -> AuditEntry {
    let extensions = request.extensions();
    let id = extensions.get::<RequestId>().cloned();
    let caller = extensions.get::<Caller>().map(|caller| &caller.0);
    AuditEntry {
        time: Timestamp::now(),
        request_id: id.unwrap_or_default().as_str().to_owned(),
        user: caller.map(|who| who.user),
        username: caller.map(|who| who.username.to_string()),
        token: caller.and_then(|who| who.token),
        address: throttle::address(extensions),
        method: request.method().to_string(),
        path: without_secret(request.uri().path()).into_owned(),
        ..AuditEntry::default()
    }
}
