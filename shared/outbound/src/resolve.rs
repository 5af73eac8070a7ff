//! From names to addresses, once for each connection.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Instant;

use http::Uri;
use ureq::config::Config;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::OutboundError;
use crate::target::Target;

/// Finds the addresses of a name. May block; what takes longer than the call may is no longer waited for.
pub trait Resolve: Send + Sync + 'static {
    /// All addresses of a host, with the port to connect to.
    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The resolver of the system.
pub(crate) struct System;

impl Resolve for System {
    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        (host, port).to_socket_addrs().map(Iterator::collect)
    }
}

/// Asks on a thread of its own: the system's resolver has no timeout.
pub(crate) fn resolve_until(
    resolver: &Arc<dyn Resolve>,
    target: &Target,
    deadline: Instant,
) -> Result<Vec<SocketAddr>, OutboundError> {
    let host = target.host().to_owned();
    let failed = |source| OutboundError::Resolve {
        host: target.host().to_owned(),
        source,
    };
    let (sender, answer) = mpsc::sync_channel(1);
    let (resolver, name, port) = (Arc::clone(resolver), host.clone(), target.port());
    // that nobody waits any more is no fault of the thread
    let ask = move || drop(sender.send(resolver.resolve(&name, port)));
    let named = thread::Builder::new().name("resolve".to_owned());
    named.spawn(ask).map_err(failed)?;
    let left = deadline.saturating_duration_since(Instant::now());
    match answer.recv_timeout(left) {
        Ok(Ok(addresses)) if addresses.is_empty() => {
            Err(failed(io::Error::other("the name has no address")))
        }
        Ok(answer) => answer.map_err(failed),
        Err(RecvTimeoutError::Timeout) => Err(OutboundError::Timeout { host }),
        Err(RecvTimeoutError::Disconnected) => {
            Err(failed(io::Error::other("the resolver broke off")))
        }
    }
}

/// Gives the HTTP client the addresses that were judged, whatever the URI is, so that it can't reach others.
#[derive(Debug)]
pub(crate) struct Judged(pub(crate) Vec<SocketAddr>);

impl Resolver for Judged {
    fn resolve(
        &self,
        _: &Uri,
        _: &Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        // the list has room for 16
        let mut addresses = self.empty();
        for address in self.0.iter().take(16) {
            addresses.push(*address);
        }
        Ok(addresses)
    }
}
