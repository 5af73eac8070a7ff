//! How a try to send something ends.

use std::time::Duration;

use http::{Response, StatusCode, header::RETRY_AFTER};
use tatami_notifications::worth_retrying;
use tatami_outbound::OutboundError;
use tatami_runtime::SecretError;

/// No receiver makes us wait longer than that.
const LONGEST: Duration = Duration::from_hours(1);
/// The longest reason that is kept, in bytes.
const MAX_REASON: usize = 500;

/// How a try ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was taken.
    Sent,
    /// There is nothing to send it with, or nowhere to.
    Skipped(String),
    /// It won't ever be taken as it is.
    Refused(String),
    /// It may be taken later.
    Later {
        /// What happened.
        reason: String,
        /// How long the receiver wants to be left alone.
        wait: Option<Duration>,
    },
}

impl Outcome {
    pub(crate) fn later(reason: impl Into<String>) -> Self {
        Self::Later {
            reason: reason.into(),
            wait: None,
        }
    }

    /// Of an answer by HTTP that isn't a good one.
    pub(crate) fn of_status<B>(who: &str, answer: &Response<B>) -> Self {
        let status = answer.status();
        let reason = format!("{who} answered {}", status.as_u16());
        if status.is_redirection() {
            return Self::Refused(format!(
                "{reason}: redirects are not followed, use the address that it leads to"
            ));
        }
        if !worth_retrying(status.as_u16()) {
            return Self::Refused(reason);
        }
        let seconds = answer.headers().get(RETRY_AFTER);
        let seconds = seconds.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        Self::Later {
            reason,
            wait: seconds.map(|seconds| Duration::from_secs(seconds).min(LONGEST)),
        }
    }

    /// Is this the end of whom it was sent to, and not only of the message?
    pub(crate) fn is_gone<B>(answer: &Response<B>) -> bool {
        answer.status() == StatusCode::GONE
    }
}

impl From<OutboundError> for Outcome {
    fn from(error: OutboundError) -> Self {
        let reason = error.to_string();
        if error.is_passing() {
            Self::later(reason)
        } else {
            Self::Refused(reason)
        }
    }
}

impl From<SecretError> for Outcome {
    fn from(error: SecretError) -> Self {
        Self::Refused(error.to_string())
    }
}

/// A reason as it's kept: no line as long as an answer may be.
pub(crate) fn cut(mut reason: String) -> String {
    reason.truncate(reason.floor_char_boundary(MAX_REASON));
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, after: Option<&str>) -> Outcome {
        let mut answer = Response::builder().status(status);
        if let Some(after) = after {
            answer = answer.header(RETRY_AFTER, after);
        }
        Outcome::of_status("it", &answer.body(()).unwrap())
    }

    #[test]
    fn some_answers_are_for_good_and_some_are_not() {
        for status in [400, 401, 403, 404, 410, 501, 301, 307] {
            let outcome = of(status, Some("5"));
            assert!(matches!(outcome, Outcome::Refused(_)), "{status}");
        }
        for status in [408, 425, 429, 500, 502, 503, 504] {
            let wait = Some(Duration::from_secs(5));
            let Outcome::Later { wait: found, .. } = of(status, Some("5")) else {
                panic!("{status}")
            };
            assert_eq!(found, wait);
        }
        let waits = |after| match of(429, after) {
            Outcome::Later { wait, .. } => wait,
            other => panic!("{other:?}"),
        };
        assert_eq!(waits(None), None);
        assert_eq!(waits(Some("Wed, 21 Oct 2026 07:28:00 GMT")), None);
        assert_eq!(waits(Some("999999999")), Some(LONGEST));
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        assert_eq!(cut("é".repeat(400)).len(), MAX_REASON);
    }
}
