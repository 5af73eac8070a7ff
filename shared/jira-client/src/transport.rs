use std::future::Future;

/// Carries requests to JIRA: over the network in Tatami, out of a list in tests.
///
/// It must not follow redirects to another host, since the credentials go with every request, and it
/// should bound the time and the size of an answer.
pub trait Transport: Send + Sync {
    /// Sends one request and waits for the whole answer, whatever its status.
    fn send(
        &self,
        request: http::Request<Vec<u8>>,
    ) -> impl Future<Output = Result<http::Response<Vec<u8>>, TransportError>> + Send;
}

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TransportError {
    /// In one line, without credentials.
    pub message: String,
    /// Whether the same request may succeed later: a timeout or a refused connection, but no wrong
    /// certificate.
    pub passing: bool,
}
