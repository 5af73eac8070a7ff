use jiff::Timestamp;
use tatami_jira_client::JiraError;
use tatami_outbound::OutboundError;
use tatami_runtime::SecretError;
use tatami_store::{JiraState, StoreError};

/// The least and the most seconds until something is tried again.
const LATER_S: std::ops::RangeInclusive<i64> = 5..=900;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody has set one.
    #[error("the JIRA instance has no password: set it")]
    NoPassword,
    /// It can't be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Its address may not be called.
    #[error("the address of JIRA is not usable: {0}")]
    Address(#[from] OutboundError),
    /// It doesn't say which kind it is, or its settings are wrong.
    #[error(transparent)]
    Jira(#[from] JiraError),
    /// DynamoDB.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What an error of JIRA means for what was to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It may work later.
    Later {
        /// In so many seconds, where that's known.
        seconds: Option<u16>,
        /// What is wrong.
        why: String,
    },
    /// The circuit is open: it works again when it is closed.
    Shut(String),
    /// It never will.
    Refused(JiraError),
}

impl Trouble {
    /// By the error, and by how it stands with the JIRA now.
    pub fn of(error: JiraError, state: &JiraState, now: Timestamp) -> Self {
        if let Some((_, why)) = &state.refused {
            return Self::Shut(why.clone());
        }
        if !error.is_passing() {
            return Self::Refused(error);
        }
        let left = state
            .paused_until
            .map(|until| until.as_second() - now.as_second());
        let seconds = left.filter(|left| *left > 0).and_then(|left| {
            let left = (left + 1).clamp(*LATER_S.start(), *LATER_S.end());
            u16::try_from(left).ok()
        });
        Self::Later {
            seconds,
            why: error.to_string(),
        }
    }

    /// The same of a connection that couldn't be made; an error of the store is none of JIRA's.
    pub fn of_connecting(
        error: ConnectError,
        state: &JiraState,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        match error {
            ConnectError::Store(error) => Err(error),
            ConnectError::Jira(error) => Ok(Self::of(error, state, now)),
            // somebody has to set something; until then it's as if JIRA didn't let us in
            other => Ok(Self::Shut(other.to_string())),
        }
    }
}
