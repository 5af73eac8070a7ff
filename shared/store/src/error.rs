use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

/// Something that the store cannot do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such thing.
    #[error("there is no {kind} {id}")]
    NotFound {
        /// What kind of thing.
        kind: &'static str,
        /// Its id or name.
        id: String,
    },
    /// The name is taken.
    #[error("a {kind} with the name \"{name}\" exists already")]
    NameTaken {
        /// What kind of thing.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// Somebody else changed it at the same time, again and again.
    #[error("{0} is being changed by others; try again")]
    Contention(String),
    /// An item that this build cannot read.
    #[error("the item {pk} / {sk} cannot be read: {reason}")]
    Corrupt {
        /// Partition key.
        pk: String,
        /// Sort key.
        sk: String,
        /// What is wrong.
        reason: String,
    },
    /// A condition didn't hold. Mostly handled inside; seen only where the caller set it.
    #[error("the condition of {call} did not hold")]
    Condition {
        /// Which call.
        call: &'static str,
    },
    /// A call failed.
    #[error("{call} failed: {reason}")]
    Call {
        /// Which call.
        call: &'static str,
        /// What DynamoDB said.
        reason: String,
    },
}

impl StoreError {
    pub(crate) fn from_sdk<E>(call: &'static str, error: SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let code = error
            .as_service_error()
            .and_then(ProvideErrorMetadata::code);
        match code {
            Some("ConditionalCheckFailedException") => Self::Condition { call },
            _ => Self::Call {
                call,
                reason: reason(error),
            },
        }
    }

    /// Did a condition fail?
    pub fn is_condition(&self) -> bool {
        matches!(self, Self::Condition { .. })
    }

    /// Is the thing asked for absent?
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

/// What DynamoDB said, or why nothing could be heard of it: short enough for the record of an import.
pub(crate) fn reason<E>(error: SdkError<E>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match error.as_service_error().map(ProvideErrorMetadata::meta) {
        Some(said) => format!(
            "{}: {}",
            said.code().unwrap_or("error"),
            said.message().unwrap_or("no message")
        ),
        None => DisplayErrorContext(error).to_string(),
    }
}
