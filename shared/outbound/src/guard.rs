//! Who may be called.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use ureq::tls::RootCerts;

use crate::address::{METADATA_NAMES, is_global, is_metadata};
use crate::resolve::{Resolve, resolve_until};
use crate::target::Target;
use crate::{AllowList, OutboundError};

pub(crate) struct Guard {
    allow: AllowList,
    resolver: Arc<dyn Resolve>,
    /// The authorities whose certificates are trusted.
    pub(crate) roots: RootCerts,
}

impl Guard {
    pub(crate) fn new(allow: AllowList, resolver: Arc<dyn Resolve>) -> Self {
        Self {
            allow,
            resolver,
            roots: RootCerts::WebPki,
        }
    }

    pub(crate) fn trusting(&self, roots: RootCerts) -> Self {
        Self {
            roots,
            ..Self::new(self.allow.clone(), Arc::clone(&self.resolver))
        }
    }

    pub(crate) const fn allow(&self) -> &AllowList {
        &self.allow
    }

    /// What can be said before a name is resolved.
    pub(crate) fn admit(&self, target: &Target) -> Result<(), OutboundError> {
        let (host, port) = (target.host(), target.port());
        if METADATA_NAMES.contains(&host) && !self.allow.has_very_name(host, port) {
            let host = host.to_owned();
            return Err(OutboundError::Metadata { host });
        }
        // RFC 6761 says so whatever a resolver would answer
        let localhost = host == "localhost" || host.ends_with(".localhost");
        let known = localhost.then_some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        if let Some(address) = target.address().or(known) {
            self.judge(target, address)?;
        }
        let listed = match target.address() {
            Some(address) => self.allow.has_address(address, port),
            None => self.allow.has_name(host, port),
        };
        if !target.is_https() && !listed {
            let host = host.to_owned();
            return Err(OutboundError::PlainHttp { host });
        }
        Ok(())
    }

    /// The addresses of a host, every one of which may be called. Where one may not, none is given: who
    /// mixes them has bad intentions, or a mistake in the DNS.
    pub(crate) fn addresses(
        &self,
        target: &Target,
        deadline: Instant,
    ) -> Result<Vec<SocketAddr>, OutboundError> {
        self.admit(target)?;
        if let Some(address) = target.address() {
            return Ok(vec![SocketAddr::new(address, target.port())]);
        }
        let addresses = resolve_until(&self.resolver, target, deadline)?;
        for address in &addresses {
            self.judge(target, address.ip())?;
        }
        Ok(addresses)
    }

    fn judge(&self, target: &Target, address: IpAddr) -> Result<(), OutboundError> {
        let (host, port) = (target.host(), target.port());
        let allowed = if is_metadata(address) {
            self.allow.has_very_address(address, port)
        } else {
            is_global(address)
                || self.allow.has_address(address, port)
                || self.allow.has_name(host, port)
        };
        if allowed {
            return Ok(());
        }
        let host = host.to_owned();
        Err(OutboundError::NotAllowed { host, address })
    }
}
