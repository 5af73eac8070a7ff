use tatami_jira_client::JiraError;
use tatami_runtime::RelayError;
use tatami_store::StoreError;

/// Why a message or the schedule failed.
#[derive(Debug, thiserror::Error)]
pub enum JiraFunctionError {
    /// The message cannot be read.
    #[error(transparent)]
    Read(#[from] tatami_queue::ReadError),
    /// DynamoDB.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// S3.
    #[error(transparent)]
    Blobs(#[from] tatami_blobs::BlobError),
    /// Findings and their claims.
    #[error(transparent)]
    Duplicates(#[from] tatami_duplicates::DuplicateError),
    /// SQS.
    #[error(transparent)]
    Send(#[from] tatami_queue::SendError),
    /// The outbox could not be swept.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// An event cannot be read.
    #[error(transparent)]
    Event(#[from] tatami_domain::EventError),
    /// Not JSON.
    #[error("not an SQS event or message: {0}")]
    Json(#[from] serde_json::Error),
    /// It may work later.
    #[error("{why}")]
    Later {
        /// In so many seconds, where that's known.
        seconds: Option<u16>,
        /// What is in the way.
        why: String,
    },
    /// Some of it is done.
    #[error("there is more to do than one call has time for")]
    Unfinished,
    /// JIRA doesn't let us in; it works again when somebody has mended that.
    #[error("{0}")]
    Shut(String),
    /// JIRA doesn't take it, and never will as it is.
    #[error("{0}")]
    Refused(JiraError),
    /// It can't be as it was asked for.
    #[error("{0}")]
    Impossible(String),
}

pub(crate) type Result<T, E = JiraFunctionError> = std::result::Result<T, E>;

impl JiraFunctionError {
    pub(crate) fn later(seconds: u16, why: &str) -> Self {
        Self::Later {
            seconds: Some(seconds),
            why: why.to_owned(),
        }
    }

    /// Why it's no use to try it again, where that is so.
    pub(crate) fn is_final(&self) -> Option<String> {
        match self {
            Self::Shut(_) | Self::Refused(_) | Self::Impossible(_) => Some(self.to_string()),
            _ => None,
        }
    }
}
