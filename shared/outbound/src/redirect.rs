//! Where a redirect leads to, and what goes along.

use http::header::{ACCEPT, ACCEPT_LANGUAGE, LOCATION, USER_AGENT};
use http::{HeaderMap, Method, StatusCode};

use crate::OutboundError;
use crate::target::Target;

/// The target of a redirect that is followed; none where the answer is an answer.
pub(crate) fn next(
    method: &Method,
    from: &Target,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<Option<Target>, OutboundError> {
    let safe = matches!(*method, Method::GET | Method::HEAD);
    let repeated = matches!(status.as_u16(), 307 | 308);
    if !(repeated || safe && matches!(status.as_u16(), 301..=303)) {
        return Ok(None);
    }
    let Some(location) = headers.get(LOCATION) else {
        return Ok(None);
    };
    let bad = |problem: String| OutboundError::BadRedirect {
        host: from.host().to_owned(),
        problem,
    };
    let location = str::from_utf8(location.as_bytes()).map_err(|error| bad(error.to_string()))?;
    let to = from.join(location).map_err(|error| match error {
        OutboundError::BadUrl { problem } => bad(problem),
        other => other,
    })?;
    if !safe && !to.same_origin(from) {
        return Ok(None);
    }
    if from.is_https() && !to.is_https() {
        let host = to.host().to_owned();
        return Err(OutboundError::Downgrade { host });
    }
    Ok(Some(to))
}

/// The headers that another origin may see. Nobody can know what a header of one's own is good for, so
/// everything else is taken for a secret.
pub(crate) fn for_others(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for name in [ACCEPT, ACCEPT_LANGUAGE, USER_AGENT] {
        for value in headers.get_all(&name) {
            kept.append(&name, value.clone());
        }
    }
    kept
}
