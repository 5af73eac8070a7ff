//! One call: the request, its redirects, the answer.

use std::io::Read;
use std::net::SocketAddr;
use std::time::Instant;

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Body};

use crate::guard::Guard;
use crate::resolve::Judged;
use crate::target::Target;
use crate::{Limits, OutboundError, redirect};

const USER_AGENT: &str = concat!("tatami/", env!("CARGO_PKG_VERSION"));

/// Headers that belong to a connection or to the framing of a message, not to what is said.
const FRAMING: [HeaderName; 10] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// Blocks until the answer is there, at the latest until the deadline.
pub(crate) fn send(
    guard: &Guard,
    mut target: Target,
    request: Request<Vec<u8>>,
    limits: Limits,
    deadline: Instant,
) -> Result<Response<Vec<u8>>, OutboundError> {
    let (parts, mut body) = request.into_parts();
    let (method, mut headers) = (parts.method, parts.headers);
    for name in &FRAMING {
        headers.remove(name);
    }
    let mut followed = 0;
    loop {
        let addresses = guard.addresses(&target, deadline)?;
        let hop = Hop {
            target: &target,
            limits,
            deadline,
        };
        let answer = hop.exchange(addresses, &method, &headers, &body)?;
        let next = match limits.redirects {
            0 => None,
            _ => redirect::next(&method, &target, answer.status(), answer.headers())?,
        };
        let Some(next) = next else {
            return hop.read(answer);
        };
        if followed == limits.redirects {
            return Err(OutboundError::Redirects {
                host: next.host().to_owned(),
                limit: limits.redirects,
            });
        }
        followed += 1;
        if !next.same_origin(&target) {
            headers = redirect::for_others(&headers);
            body.clear();
        }
        target = next;
    }
}

/// A request to one host and its answer.
struct Hop<'a> {
    target: &'a Target,
    limits: Limits,
    deadline: Instant,
}

impl Hop<'_> {
    /// Sends the request over a new connection to one of the addresses.
    fn exchange(
        &self,
        addresses: Vec<SocketAddr>,
        method: &Method,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Response<Body>, OutboundError> {
        // made anew, so that extensions of the caller's request can't configure the client
        let mut request = Request::new(body);
        *request.method_mut() = method.clone();
        *request.uri_mut() = self.target.uri()?;
        *request.headers_mut() = headers.clone();
        let close = HeaderValue::from_static("close");
        request.headers_mut().insert(header::CONNECTION, close);
        let agent = self.agent(addresses)?;
        let with_body = matches!(*method, Method::POST | Method::PUT | Method::PATCH);
        let answer = if with_body || !body.is_empty() {
            agent.run(request)
        } else {
            agent.run(request.map(|_| ()))
        };
        answer.map_err(|error| self.failed(error))
    }

    /// A client for this connection alone: nothing that an earlier answer said goes along.
    fn agent(&self, addresses: Vec<SocketAddr>) -> Result<Agent, OutboundError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(self.failed(ureq::Error::Timeout(ureq::Timeout::Global)));
        }
        let config = Agent::config_builder()
            .allow_non_standard_methods(true)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .timeout_global(Some(left))
            .user_agent(USER_AGENT)
            .build();
        let connector = DefaultConnector::default();
        Ok(Agent::with_parts(config, connector, Judged(addresses)))
    }

    /// The whole answer.
    fn read(&self, answer: Response<Body>) -> Result<Response<Vec<u8>>, OutboundError> {
        let limit = self.limits.bytes;
        let (parts, body) = answer.into_parts();
        if body.content_length().is_some_and(|length| length > limit) {
            return Err(self.too_large(limit));
        }
        let mut bytes = Vec::new();
        let mut reader = body.into_reader().take(limit.saturating_add(1));
        let read = reader.read_to_end(&mut bytes);
        read.map_err(|error| self.failed(error.into()))?;
        if bytes.len() as u64 > limit {
            return Err(self.too_large(limit));
        }
        let mut whole = Response::new(bytes);
        *whole.status_mut() = parts.status;
        *whole.version_mut() = parts.version;
        *whole.headers_mut() = parts.headers;
        Ok(whole)
    }

    fn too_large(&self, limit: u64) -> OutboundError {
        let host = self.target.host().to_owned();
        OutboundError::TooLarge { host, limit }
    }

    fn failed(&self, error: ureq::Error) -> OutboundError {
        OutboundError::from_client(self.target.host().to_owned(), error)
    }
}
