//! One call: the request, its redirects, the answer.

use std::io::Read;
use std::net::SocketAddr;
use std::time::Instant;

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use ureq::tls::{RootCerts, TlsConfig};
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
            roots: &guard.roots,
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
    roots: &'a RootCerts,
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
        let agent = self.agent(addresses);
        let with_body = matches!(*method, Method::POST | Method::PUT | Method::PATCH);
        let answer = if with_body || !body.is_empty() {
            agent.run(request)
        } else {
            agent.run(request.map(|_| ()))
        };
        answer.map_err(|error| self.failed(error))
    }

    /// A client for this connection alone: nothing that an earlier answer said goes along.
    fn agent(&self, addresses: Vec<SocketAddr>) -> Agent {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let tls = TlsConfig::builder().root_certs(self.roots.clone()).build();
        let config = Agent::config_builder()
            .allow_non_standard_methods(true)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .timeout_global(Some(left))
            .tls_config(tls)
            .user_agent(USER_AGENT)
            .build();
        Agent::with_parts(config, DefaultConnector::default(), Judged(addresses))
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

#[cfg(test)]
mod tests {
    //! HTTPS, with an authority of its own for the tests.
    //!
    //! Its files were made with openssl: P-256, 100 years, the authority's key thrown away.

    use std::io::{self, BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::{ServerConfig, ServerConnection, StreamOwned};

    use super::*;
    use crate::Authorities;
    use crate::resolve::Resolve;

    const AUTHORITY: &[u8] = include_bytes!("../tests/fixtures/authority.der");
    /// For `a.example` and 127.0.0.1, by that authority.
    const CERTIFICATE: &[u8] = include_bytes!("../tests/fixtures/server.der");
    const KEY: &[u8] = include_bytes!("../tests/fixtures/server.key.der");

    struct Here(u16);

    impl Resolve for Here {
        fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
            Ok(vec![SocketAddr::from(([127, 0, 0, 1], self.0))])
        }
    }

    /// Answers every request the same; gives its port.
    fn server(answer: &'static str) -> u16 {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth();
        let key = PrivatePkcs8KeyDer::from(KEY).into();
        let config = config.with_single_cert(vec![CERTIFICATE.into()], key);
        let config = Arc::new(config.unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = StreamOwned::new(connection, stream.unwrap());
                // a client that doesn't trust it hangs up
                let _ = serve(&mut stream, answer);
            }
        });
        port
    }

    fn serve(stream: &mut (impl Read + Write), answer: &str) -> io::Result<()> {
        let mut lines = BufReader::new(&mut *stream).lines();
        while lines
            .next()
            .transpose()?
            .is_some_and(|line| !line.is_empty())
        {}
        stream.write_all(answer.as_bytes())?;
        stream.flush()
    }

    /// A call of a host on the allow list, with the authority trusted or not.
    fn call(
        answer: &'static str,
        host: &str,
        trusted: bool,
    ) -> Result<Response<Vec<u8>>, OutboundError> {
        let port = server(answer);
        let allow = "a.example, b.example, 127.0.0.1".parse().unwrap();
        let mut guard = Guard::new(allow, Arc::new(Here(port)));
        if trusted {
            let der = STANDARD.encode(AUTHORITY);
            let pem = format!("-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n");
            guard = guard.trusting(pem.parse::<Authorities>().unwrap().roots());
        }
        let url = format!("https://{host}:{port}/x");
        let deadline = Instant::now() + Duration::from_secs(20);
        let request = Request::get(&url).body(Vec::new()).unwrap();
        let target = Target::parse(&url).unwrap();
        send(&guard, target, request, Limits::default(), deadline)
    }

    const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

    #[test]
    fn the_certificate_is_that_of_the_host() {
        for host in ["a.example", "A.example.", "127.0.0.1", "127.1"] {
            let answer = call(HELLO, host, true).unwrap();
            assert_eq!(answer.body(), b"hello", "{host}");
        }
    }

    #[test]
    fn another_certificate_is_refused() {
        for (host, trusted) in [
            ("a.example", false),
            ("127.0.0.1", false),
            ("b.example", true),
        ] {
            let error = call(HELLO, host, trusted).unwrap_err();
            assert!(
                matches!(error, OutboundError::Tls { .. }),
                "{host}: {error:?}"
            );
            assert!(!error.is_passing());
        }
    }

    #[test]
    fn no_redirect_leaves_https() {
        let away = "HTTP/1.1 302 Found\r\nLocation: http://b.example/\r\nContent-Length: 0\r\n\r\n";
        let error = call(away, "a.example", true).unwrap_err();
        assert!(matches!(error, OutboundError::Downgrade { host } if host == "b.example"));
    }
}
