//! Too many wrong passwords, for one account or from one address, and no more are looked at for a
//! while.

use http::Extensions;
use jiff::Timestamp;
use lambda_http::request::RequestContext;

use crate::Api;
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
