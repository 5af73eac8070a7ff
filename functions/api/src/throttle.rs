//! Too many wrong passwords, for one account or from one address, and no more are looked at for a
//! while. Too many requests with one token, and they have to wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Extensions;
use jiff::Timestamp;
use lambda_http::request::RequestContext;
use moka::sync::Cache;
use tatami_store::{Rate, Taken};
use tokio::sync::Mutex;

use crate::Api;
use crate::auth::Principal;
use crate::error::{ApiError, Result};

/// So many wrong passwords an account may have in a quarter of an hour.
const OF_ACCOUNT: u64 = 10;
/// So many may come from one address.
const FROM_ADDRESS: u64 = 50;

/// From where a request comes, as API Gateway saw it; unknown without one.
pub fn address(extensions: &Extensions) -> Option<String> {
    match extensions.get::<RequestContext>()? {
        RequestContext::ApiGatewayV2(context) => context.http.source_ip.clone(),
        _ => None,
    }
}

/// Who tries to sign in.
#[derive(Debug)]
pub struct Attempt {
    /// Under which names failures are counted, and how many are too many.
    counted: Vec<(String, u64)>,
}

impl Attempt {
    /// Somebody with a name, from an address where that is known.
    pub fn new(username: &str, address: Option<&str>) -> Self {
        // names may be of any length, keys not
        let name = tatami_auth::token_sha256(&username.trim().to_lowercase());
        let mut counted = vec![(format!("account {name}"), OF_ACCOUNT)];
        counted.extend(address.map(|address| (format!("address {address}"), FROM_ADDRESS)));
        Self { counted }
    }

    /// Whoever sends something to a webhook, from an address where that is known.
    pub fn of_webhook(address: Option<&str>) -> Self {
        let counted = address.map(|address| (format!("webhook {address}"), FROM_ADDRESS));
        Self {
            counted: counted.into_iter().collect(),
        }
    }

    /// Refuses it where too many failed before; 429.
    pub async fn allow(&self, api: &Api) -> Result<()> {
        let now = Timestamp::now();
        for (who, most) in &self.counted {
            let attempts = api.services.store.attempts(who, now).await?;
            if attempts.failed >= *most {
                let text = "Too many failed attempts to sign in; try again later.".into();
                return Err(ApiError::Later(attempts.left_s, text));
            }
        }
        Ok(())
    }

    /// Counts it as failed.
    pub async fn failed(&self, api: &Api) -> Result<()> {
        let now = Timestamp::now();
        for (who, _) in &self.counted {
            api.services.store.attempt_failed(who, now).await?;
        }
        Ok(())
    }
}

/// How many tokens' buckets one process remembers.
const BUCKETS: u64 = 10_000;
/// For how long, after their last request.
const REMEMBERED: Duration = Duration::from_mins(10);
/// A process takes this part of a burst at once.
const SHARE: u64 = 10;

/// How often each token may ask.
///
/// The bucket of a token lies in the store and is shared by all processes. So that not every request
/// costs a write, a process takes a tenth of a burst at a time and gives it out by itself. In `t` seconds
/// a token therefore gets no more requests through than the burst, `t` times the rate, and a
/// tenth of a burst for each process that had some left; on average never more than the rate.
#[derive(Clone)]
pub struct Rates {
    rate: Option<Rate>,
    held: Cache<String, Arc<Mutex<Held>>>,
}

/// What a process has of a token's bucket.
#[derive(Default)]
struct Held {
    left: u64,
    /// Until then there is nothing to be had.
    empty_until: Option<Instant>,
}

impl Rates {
    /// At this rate; none: as often as they like.
    pub fn new(rate: Option<Rate>) -> Self {
        let held = Cache::builder()
            .max_capacity(BUCKETS)
            .time_to_idle(REMEMBERED)
            .build();
        Self { rate, held }
    }

    /// Lets a request through, or says when to come again; 429.
    pub async fn admit(&self, api: &Api, principal: &Principal) -> Result<()> {
        let Some(rate) = self.rate else { return Ok(()) };
        let who = match principal.token {
            Some(token) => format!("token {token}"),
            None => format!("user {}", principal.user),
        };
        let held = self.held.get_with(who.clone(), Arc::default);
        let mut held = held.lock().await;
        let now = Instant::now();
        if let Some(wait) = held
            .empty_until
            .and_then(|then| then.checked_duration_since(now))
        {
            return Err(too_often(rate, wait));
        }
        if held.left == 0 {
            let wanted = (rate.burst / SHARE).max(1);
            let taken = api
                .services
                .store
                .take(&who, wanted, rate, Timestamp::now());
            match taken.await? {
                Taken::Some(some) => held.left = some,
                Taken::None(wait) => {
                    held.empty_until = now.checked_add(wait);
                    return Err(too_often(rate, wait));
                }
            }
        }
        held.empty_until = None;
        held.left -= 1;
        Ok(())
    }
}

fn too_often(rate: Rate, wait: Duration) -> ApiError {
    let wait_s = i64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(i64::MAX);
    let text = format!(
        "Too many requests: a token has {} a second, and {} at once.",
        rate.per_second, rate.burst
    );
    ApiError::Later(wait_s.max(1), text)
}
