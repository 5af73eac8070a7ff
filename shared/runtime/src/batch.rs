use std::fmt::Display;
use std::future::Future;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use futures::StreamExt as _;
use tatami_domain::ImportId;
use tatami_queue::IMPORT_ATTRIBUTE;

/// After so many receives a message goes to the dead-letter queue (`maxReceiveCount` in the
/// template).
pub const MAX_RECEIVES: u32 = 5;

/// One message of a queue, as it was delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// SQS's id of the message.
    pub id: String,
    /// What was sent.
    pub body: String,
    /// How often it was received, this time included.
    pub receives: u32,
    /// The import that its attribute names.
    pub import: Option<ImportId>,
}

impl Delivery {
    /// Will it go to the dead-letter queue if it fails now?
    pub fn is_last_try(&self) -> bool {
        self.receives >= MAX_RECEIVES
    }
}

impl From<SqsMessage> for Delivery {
    fn from(message: SqsMessage) -> Self {
        let receives = (message.attributes.get("ApproximateReceiveCount"))
            .and_then(|n| n.parse().ok())
            .unwrap_or(1);
        let import = (message.message_attributes.get(IMPORT_ATTRIBUTE))
            .and_then(|a| a.string_value.as_deref()?.parse().ok());
        Self {
            id: message.message_id.unwrap_or_default(),
            body: message.body.unwrap_or_default(),
            receives,
            import,
        }
    }
}

/// Handles each message of a batch by itself, `parallel` at a time: the failure, or even the panic,
/// of one is reported for that one, and the others go on.
pub async fn each_message<F, Fut, E>(
    event: SqsEvent,
    parallel: usize,
    handle: F,
) -> SqsBatchResponse
where
    F: Fn(Delivery) -> Fut,
    Fut: Future<Output = Result<(), E>> + Send + 'static,
    E: Display + Send + 'static,
{
    let failures = futures::stream::iter(event.records)
        .map(|message| {
            let delivery = Delivery::from(message);
            let (id, receives, import) = (delivery.id.clone(), delivery.receives, delivery.import);
            let task = tokio::spawn(handle(delivery));
            async move {
                let error = match task.await {
                    Ok(Ok(())) => return None,
                    Ok(Err(error)) => error.to_string(),
                    Err(error) => format!("the handler broke off: {error}"),
                };
                tracing::error!(message = %id, receives, ?import, %error, "a message failed");
                Some(id)
            }
        })
        .buffer_unordered(parallel.max(1))
        .filter_map(|failure| async move { failure })
        .map(|id| {
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = id;
            failure
        })
        .collect()
        .await;
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = failures;
    response
}
