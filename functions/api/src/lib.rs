//! The REST API: the routes of DefectDojo's API v2 and a few of our own, over the store.
//!
//! [`router`] is the whole of it, the same in Lambda and in the local stack. A route is written down
//! once, in its module under `routes`; from there come the handler and the OpenAPI document.

mod audit;
mod auth;
mod body;
mod conditional;
mod error;
mod export;
mod fields;
mod idempotency;
mod openapi;
mod page;
mod prefetch;
mod query;
mod request;
mod routes;
mod session;
mod throttle;
mod view;

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use http::{StatusCode, Uri};
use tatami_runtime::Services;
use tatami_store::Rate;
use tower::ServiceExt as _;

use crate::error::ApiError;
use crate::openapi::{Document, Routes};
use crate::request::identified;

/// Room for the fields and boundaries around a report in a multipart form.
const AROUND_A_REPORT: u64 = 1024 * 1024;

/// What handlers work with.
#[derive(Clone)]
pub(crate) struct Api {
    pub services: Arc<Services>,
    pub known: auth::Known,
    pub rates: throttle::Rates,
    pub loaders: Arc<prefetch::Loaders>,
    /// The OpenAPI document.
    pub document: Arc<Document>,
}

/// The whole API.
pub fn router(mut services: Services) -> Router {
    services.store = services.store.hiding_deleted();
    let rate = services.settings.token_rate.map(|per_second| Rate {
        per_second,
        burst: services.settings.token_burst.unwrap_or(per_second),
    });
    let report_bytes = services.settings.max_report_bytes;
    let file_bytes = report_bytes.saturating_add(AROUND_A_REPORT);
    let file_bytes = usize::try_from(file_bytes).unwrap_or(usize::MAX);
    let Routes {
        public,
        private,
        document,
        loaders,
        ..
    } = routes::all(file_bytes);
    let api = Api {
        services: Arc::new(services),
        known: auth::nobody(),
        rates: throttle::Rates::new(rate),
        loaders: Arc::new(loaders),
        document: Arc::new(Document::new(&document)),
    };
    let private = private
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(from_fn(async |request: Request, next: Next| {
            tatami_store::one_look(next.run(request)).await
        }))
        .layer(from_fn_with_state(api.clone(), audit::record))
        .layer(from_fn_with_state(api.clone(), idempotency::once))
        .layer(from_fn_with_state(api.clone(), auth::authenticate));
    let routes = public
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(api.clone(), audit::record))
        .merge(private)
        .layer(DefaultBodyLimit::max(file_bytes))
        .with_state(api);
    // The path must be put right before the routes see it, so the routes are a service inside.
    Router::new().fallback_service(tower::service_fn(move |request: Request| {
        let routes = routes.clone();
        let handle = async |request| match routes.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        async move { Ok::<_, Infallible>(identified(canonical(request), handle).await) }
    }))
}

async fn not_found() -> ApiError {
    ApiError::not_found()
}

async fn method_not_allowed(request: Request) -> ApiError {
    ApiError::Detail(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("Method \"{}\" not allowed.", request.method()),
    )
}

/// Takes the trailing slash off the path and makes one slash of several.
fn canonical(mut request: Request) -> Request {
    let path = request.uri().path();
    if !path.contains("//") && (path == "/" || !path.ends_with('/')) {
        return request;
    }
    let steps: Vec<&str> = path.split('/').filter(|step| !step.is_empty()).collect();
    let mut text = format!("/{}", steps.join("/"));
    if let Some(query) = request.uri().query() {
        text.push('?');
        text.push_str(query);
    }
    let mut parts = request.uri().clone().into_parts();
    if let Ok(path_and_query) = text.parse() {
        parts.path_and_query = Some(path_and_query);
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_too_many_do_not_count() {
        for (sent, wanted) in [
            ("/api/v2/findings/", "/api/v2/findings"),
            ("/api/v2//findings//7/?a=1//2", "/api/v2/findings/7?a=1//2"),
            (
                "http://t.example//api/v2/findings",
                "http://t.example/api/v2/findings",
            ),
            ("/", "/"),
            ("/health", "/health"),
        ] {
            let request = http::Request::get(sent)
                .body(axum::body::Body::empty())
                .unwrap();
            assert_eq!(canonical(request).uri().to_string(), wanted);
        }
    }
}
