//! The messages between the functions, with their versions, and sending them to SQS.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tatami_domain::{
    DeliveryId, Finding, FindingId, ImportId, JiraInstanceId, JobId, OutboxEntry, ProductId,
    RehashJobId,
};

/// The version that this build writes.
pub const VERSION: u32 = 2;
/// SQS takes at most this many bytes in one call (a message, or a batch of them).
pub const MAX_CALL_BYTES: usize = 1024 * 1024 - 16 * 1024;
/// SQS takes at most this many messages in one call.
const MAX_CALL_MESSAGES: usize = 10;
/// The message attribute that names the import, so that even an unreadable body can be traced.
pub const IMPORT_ATTRIBUTE: &str = "import";

/// A finding of a report on its way into the store.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Reported {
    /// With its keys and the state that the report gives it, but without an id.
    #[serde(rename = "f")]
    pub finding: Finding,
    /// The findings of the test that it was found to be when the report was read.
    #[serde(rename = "m", default, skip_serializing_if = "Vec::is_empty")]
    pub matched: Vec<FindingId>,
    /// It is the one it was matched with in spite of other keys: its content takes the place of what is
    /// stored there.
    #[serde(rename = "r", default, skip_serializing_if = "std::ops::Not::not")]
    pub replaces: bool,
}

impl From<Finding> for Reported {
    fn from(finding: Finding) -> Self {
        Self {
            finding,
            ..Self::default()
        }
    }
}

/// What the dedup function takes from the queue `findings`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingsMessage {
    /// Some of the findings of a report.
    Part {
        /// The import they belong to.
        import: ImportId,
        /// Which part: a number that no other part of the import has.
        part: u64,
        /// Groups of findings, each small enough for one transaction; equal keys lie together.
        chunks: Vec<Vec<Reported>>,
    },
    /// Every part was in before the number of parts was known: finish the import.
    Finalise {
        /// The import to finish.
        import: ImportId,
    },
    /// The next step of a job that a request began.
    Job {
        /// Which job.
        job: JobId,
        /// Which of its steps.
        step: u64,
    },
    /// What an import goes into was deleted: remove what it left there.
    Deleted {
        /// Which import.
        import: ImportId,
    },
    /// The next step of a job that gives findings new keys.
    Rehash {
        /// Which job.
        job: RehashJobId,
        /// Which of its steps.
        step: u64,
    },
}

/// What the sla function takes from the queue `sla`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlaMessage {
    /// Findings of the product changed: reckon its due dates again.
    Product {
        /// Which product.
        product: ProductId,
    },
}

/// What the jira function takes from the queue `jira`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JiraMessage {
    /// Work from the outbox, which stays there until it's done.
    Work(OutboxEntry),
    /// Something happened to an issue there: it is to be looked at.
    Changed {
        /// JIRA's id of it.
        jira_id: String,
        /// Which JIRA, where that's known.
        instance: Option<JiraInstanceId>,
    },
    /// What changed in a JIRA lately is to be looked at, also where no webhook said so.
    Reconcile {
        /// Which.
        instance: JiraInstanceId,
    },
}

/// What the notify function takes from the queue `notify`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotifyMessage {
    /// Work from the outbox: an event whose receivers are to be told.
    Work(OutboxEntry),
    /// One message to one receiver over one channel.
    Delivery {
        /// Which.
        delivery: DeliveryId,
    },
}

#[derive(Serialize, Deserialize)]
struct Envelope<M> {
    version: u32,
    message: M,
}

/// A message that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Not JSON, or not this message.
    #[error("the message cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Written by a newer build.
    #[error("the message has version {0}, this build reads version {VERSION}")]
    Version(u32),
}

/// A message that could not be sent.
#[derive(Debug, thiserror::Error)]
#[error("sending to {queue} failed: {reason}")]
pub struct SendError {
    /// URL of the queue.
    pub queue: String,
    /// What SQS said.
    pub reason: String,
}

/// Writes a message with its version.
pub fn write<M: Serialize>(message: &M) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Envelope {
        version: VERSION,
        message,
    })
}

/// Reads a message of this version.
pub fn read<M: DeserializeOwned>(body: &str) -> Result<M, ReadError> {
    #[derive(Deserialize)]
    struct Head {
        version: u32,
    }
    let head: Head = serde_json::from_str(body)?;
    if head.version != VERSION {
        return Err(ReadError::Version(head.version));
    }
    let envelope: Envelope<M> = serde_json::from_str(body)?;
    Ok(envelope.message)
}

/// A body to send, with the import that it belongs to.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The message as written by [`write`].
    pub body: String,
    /// For [`IMPORT_ATTRIBUTE`].
    pub import: Option<ImportId>,
}

/// Sends to one queue.
#[derive(Debug, Clone)]
pub struct Sender {
    client: Client,
    url: String,
}

impl Sender {
    /// A sender to the queue at `url`.
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        Self {
            client,
            url: url.into(),
        }
    }

    /// Sends messages, as many in a call as SQS takes. Either all are sent or there is an error;
    /// sending them all again is safe.
    pub async fn send(
        &self,
        messages: impl IntoIterator<Item = Outgoing>,
    ) -> Result<(), SendError> {
        let mut call = Vec::new();
        let mut bytes = 0;
        for message in messages {
            if !call.is_empty()
                && (call.len() == MAX_CALL_MESSAGES || bytes + message.body.len() > MAX_CALL_BYTES)
            {
                self.send_call(std::mem::take(&mut call)).await?;
                bytes = 0;
            }
            bytes += message.body.len();
            call.push(message);
        }
        if call.is_empty() {
            return Ok(());
        }
        self.send_call(call).await
    }

    /// Sends one message that is delivered no earlier than in `seconds`, at most 900.
    pub async fn send_later(&self, body: String, seconds: u16) -> Result<(), SendError> {
        let sent = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .delay_seconds(i32::from(seconds))
            .send()
            .await;
        sent.map(drop).map_err(|e| SendError {
            queue: self.url.clone(),
            reason: DisplayErrorContext(e).to_string(),
        })
    }

    async fn send_call(&self, messages: Vec<Outgoing>) -> Result<(), SendError> {
        let failed = |reason: String| SendError {
            queue: self.url.clone(),
            reason,
        };
        let mut entries = Vec::with_capacity(messages.len());
        for (n, message) in messages.into_iter().enumerate() {
            let mut entry = SendMessageBatchRequestEntry::builder()
                .id(n.to_string())
                .message_body(message.body);
            if let Some(import) = message.import {
                let attribute = MessageAttributeValue::builder()
                    .data_type("Number")
                    .string_value(import.to_string())
                    .build()
                    .map_err(|e| failed(e.to_string()))?;
                entry = entry.message_attributes(IMPORT_ATTRIBUTE, attribute);
            }
            entries.push(entry.build().map_err(|e| failed(e.to_string()))?);
        }
        let answer = self
            .client
            .send_message_batch()
            .queue_url(&self.url)
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(|e| failed(DisplayErrorContext(e).to_string()))?;
        match answer.failed().first() {
            None => Ok(()),
            Some(first) => Err(failed(format!(
                "{} of the messages were refused, the first with {}",
                answer.failed().len(),
                first.message().unwrap_or(first.code())
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_round_trip() {
        let message = FindingsMessage::Part {
            import: ImportId(3),
            part: 1,
            chunks: vec![vec![Reported {
                finding: Finding {
                    title: "t".into(),
                    ..Finding::default()
                },
                matched: vec![FindingId(7)],
                replaces: true,
            }]],
        };
        assert_eq!(
            read::<FindingsMessage>(&write(&message).unwrap()).unwrap(),
            message
        );
    }

    #[test]
    fn a_newer_version_is_refused_by_its_number() {
        let error = read::<FindingsMessage>(r#"{"version":999,"import":4}"#).unwrap_err();
        assert!(error.to_string().contains("version 999"), "{error}");
    }
}
