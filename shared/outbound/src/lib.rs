//! Calls to addresses that people configured: JIRA, webhooks, Slack, Teams, URLs of tools.
//!
//! Whoever may save such a URL must not reach what only this machine can reach. So a host's addresses are
//! resolved once and judged, and exactly these are connected to; a redirect is a call of its own and is
//! judged like the first one. Only what is globally reachable may be called, by HTTPS, unless the operator
//! allows more ([`AllowList`]). Services of clouds that hand out credentials stay out of reach even for
//! allowed hosts.
//!
//! Every call has a connection of its own, without cookies, without a proxy of the environment.

mod address;
mod allow;
mod authorities;
mod call;
mod error;
mod guard;
mod redirect;
mod resolve;
mod target;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Request, Response, Uri};

pub use allow::{AllowList, AllowListError};
pub use authorities::{Authorities, AuthoritiesError};
pub use error::OutboundError;
pub use resolve::Resolve;
pub use target::shown;

use guard::Guard;
use resolve::System;
use target::Target;

/// The client. Clones share what they have.
#[derive(Clone)]
pub struct Outbound {
    guard: Arc<Guard>,
}

/// What a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From resolving the first host to the last byte, redirects included.
    pub timeout: Duration,
    /// The body of the answer, in bytes.
    pub bytes: u64,
    /// How many redirects are followed, one more is an error. With 0 a redirect is an answer like others.
    pub redirects: u32,
}

impl Default for Limits {
    /// 30 seconds, 1 MB, 3 redirects.
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            bytes: 1 << 20,
            redirects: 3,
        }
    }
}

impl Outbound {
    /// With the resolver of the system.
    pub fn new(allow: AllowList) -> Self {
        Self::with_resolver(allow, System)
    }

    /// The same, that trusts the certificates of some more authorities.
    #[must_use]
    pub fn trusting(self, authorities: &Authorities) -> Self {
        let guard = self.guard.trusting(authorities.roots());
        Self {
            guard: Arc::new(guard),
        }
    }

    /// With another resolver, for tests.
    pub fn with_resolver(allow: AllowList, resolver: impl Resolve) -> Self {
        let guard = Guard::new(allow, Arc::new(resolver));
        Self {
            guard: Arc::new(guard),
        }
    }

    /// Sends a request and reads the whole answer, whatever its status is.
    ///
    /// The request needs an absolute URI; headers that frame a message (`Host`, `Content-Length`,
    /// `Connection` and the like) are set here, those of the request don't count. Redirects of GET and HEAD
    /// are followed. Other methods are only sent again where a 307 or 308 stays at the origin; any
    /// other redirect is their answer. At another origin only `Accept`, `Accept-Language` and `User-Agent`
    /// arrive. A call that nobody waits for any more still ends by itself, at its timeout.
    pub async fn send(
        &self,
        request: Request<Vec<u8>>,
        limits: Limits,
    ) -> Result<Response<Vec<u8>>, OutboundError> {
        let guard = Arc::clone(&self.guard);
        let target = Target::parse(&request.uri().to_string())?;
        let host = target.host().to_owned();
        let deadline = Instant::now() + limits.timeout.min(LONGEST);
        let call = move || call::send(&guard, target, request, limits, deadline);
        let answer = tokio::task::spawn_blocking(call).await;
        answer.unwrap_or(Err(OutboundError::BrokenOff { host }))
    }

    /// What can be said of a URL without asking anybody: its form, its scheme, and its host where that is
    /// an address or names one. For when somebody saves a URL; [`Outbound::send`] looks at it again.
    pub fn check(&self, url: &str) -> Result<(), OutboundError> {
        self.uri(url).map(|_| ())
    }

    /// Checks a URL and gives it as a request takes it: the host in lower case and in Punycode, without a
    /// fragment, with what isn't ASCII percent-encoded.
    pub fn uri(&self, url: &str) -> Result<Uri, OutboundError> {
        let target = Target::parse(url)?;
        self.guard.admit(&target)?;
        target.uri()
    }
}

/// No call takes a day, and the sum with an instant can't overflow.
const LONGEST: Duration = Duration::from_hours(24);

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Outbound");
        debug.field("allow", self.guard.allow());
        debug.finish_non_exhaustive()
    }
}
