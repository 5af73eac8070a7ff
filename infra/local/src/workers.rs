//! What Lambda's event sources do: take messages from a queue, call the function with the same event
//! JSON, delete what it handled and leave the rest for another try.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};
use tatami_local_aws::LocalAws;
use tatami_local_aws::sqs::{Message, Queues};
use tatami_runtime::Services;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The queue of S3's events.
pub(crate) const UPLOADS_QUEUE: &str = "tatami-uploads";
/// The queue to the dedup function.
pub(crate) const FINDINGS_QUEUE: &str = "tatami-findings";
/// The queue to the sla function.
pub(crate) const SLA_QUEUE: &str = "tatami-sla";

/// The queue to the jira function.
pub(crate) const JIRA_QUEUE: &str = "tatami-jira";
/// The queue to the notify function.
pub(crate) const NOTIFY_QUEUE: &str = "tatami-notify";

/// How long one look into an empty queue waits.
const POLL: Duration = Duration::from_secs(20);
/// The pause after a queue could not be read.
const AFTER_FAULT: Duration = Duration::from_secs(1);
/// Seconds until a failed message is tried again, times the number of its tries.
const RETRY_S: i64 = 2;
/// The pause between scheduled runs of the notify function; in the template it's longer.
const NOTIFY_PAUSE: Duration = Duration::from_secs(30);
/// The pause between scheduled runs of the jira function; in the template it's longer.
const JIRA_PAUSE: Duration = Duration::from_mins(1);
/// The hour (UTC) of the daily schedule, as in the template.
const DAILY_HOUR: i8 = 2;

/// Starts the loops. They end when `stop` is cancelled, after the messages at hand.
pub fn spawn(services: &Services, aws: &LocalAws, stop: &CancellationToken, tasks: &TaskTracker) {
    let start = |queue, batch, workers| {
        let source = Source {
            queues: aws.queues().clone(),
            queue,
            batch,
            stop: stop.clone(),
        };
        (source, workers)
    };
    // Two of each: two imports may be read at once, and two parts stored.
    let (source, workers) = start(UPLOADS_QUEUE, 1, 2);
    for _ in 0..workers {
        let services = services.clone();
        tasks.spawn(source.clone().run(move |event| {
            let services = services.clone();
            async move { tatami_parser::handle(&services, event).await }
        }));
    }
    let (source, workers) = start(FINDINGS_QUEUE, 1, 2);
    for _ in 0..workers {
        let services = services.clone();
        tasks.spawn(source.clone().run(move |event| {
            let services = services.clone();
            async move { tatami_dedup::handle(&services, event).await }
        }));
    }
    let (source, _) = start(SLA_QUEUE, 10, 1);
    let for_queue = services.clone();
    tasks.spawn(source.run(move |event| {
        let services = for_queue.clone();
        async move { tatami_sla::handle(&services, event).await }
    }));
    let (source, _) = start(JIRA_QUEUE, 1, 1);
    let for_queue = services.clone();
    tasks.spawn(source.run(move |event| {
        let services = for_queue.clone();
        async move { tatami_jira::handle(&services, event).await }
    }));
    let (source, _) = start(NOTIFY_QUEUE, 10, 1);
    let for_queue = services.clone();
    tasks.spawn(source.run(move |event| {
        let services = for_queue.clone();
        async move { tatami_notify::handle(&services, event).await }
    }));
    let for_schedule = services.clone();
    tasks.spawn(every(NOTIFY_PAUSE, stop.clone(), move |event| {
        let services = for_schedule.clone();
        async move { tatami_notify::handle(&services, event).await }
    }));
    let for_schedule = services.clone();
    tasks.spawn(every(JIRA_PAUSE, stop.clone(), move |event| {
        let services = for_schedule.clone();
        async move { tatami_jira::handle(&services, event).await }
    }));
    tasks.spawn(daily(services.clone(), stop.clone()));
}

#[derive(Clone)]
struct Source {
    queues: Queues,
    queue: &'static str,
    batch: usize,
    stop: CancellationToken,
}

impl Source {
    async fn run<F, Fut, E>(self, handle: F)
    where
        F: Fn(Value) -> Fut,
        Fut: Future<Output = Result<Value, E>>,
        E: Display,
    {
        while !self.stop.is_cancelled() {
            let receive = self
                .queues
                .receive(self.queue, self.batch, None, Some(POLL));
            let messages = tokio::select! {
                () = self.stop.cancelled() => return,
                messages = receive => messages,
            };
            match messages {
                Ok(messages) if messages.is_empty() => {}
                Ok(messages) => self.deliver(messages, &handle).await,
                Err(error) => {
                    tracing::error!(queue = self.queue, %error, "the queue cannot be read");
                    tokio::time::sleep(AFTER_FAULT).await;
                }
            }
        }
    }

    async fn deliver<F, Fut, E>(&self, messages: Vec<Message>, handle: &F)
    where
        F: Fn(Value) -> Fut,
        Fut: Future<Output = Result<Value, E>>,
        E: Display,
    {
        let event = json!({ "Records": messages.iter().map(record).collect::<Vec<_>>() });
        let failed: Vec<String> = match handle(event).await {
            Ok(response) => (response["batchItemFailures"]
                .as_array()
                .into_iter()
                .flatten())
            .filter_map(|failure| Some(failure["itemIdentifier"].as_str()?.to_owned()))
            .collect(),
            Err(error) => {
                tracing::error!(queue = self.queue, %error, "the function failed");
                messages.iter().map(|m| m.message_id.clone()).collect()
            }
        };
        let (retry, done): (Vec<Message>, Vec<Message>) = messages
            .into_iter()
            .partition(|m| failed.contains(&m.message_id));
        if !done.is_empty() {
            let handles = done.into_iter().map(|m| m.receipt_handle).collect();
            if let Err(error) = self.queues.delete(self.queue, handles).await {
                tracing::error!(queue = self.queue, %error, "handled messages stay in the queue");
            }
        }
        if !retry.is_empty() {
            let later = retry
                .into_iter()
                .map(|m| (m.receipt_handle, RETRY_S * m.receives))
                .collect();
            if let Err(error) = self.queues.change_visibility(self.queue, later).await {
                tracing::error!(queue = self.queue, %error, "failed messages wait out their time");
            }
        }
    }
}

/// A message as Lambda hands it to a function.
fn record(message: &Message) -> Value {
    let attributes: serde_json::Map<String, Value> = (message.attributes.iter().flatten())
        .map(|(name, value)| {
            let value = json!({
                "stringValue": value["StringValue"],
                "binaryValue": value["BinaryValue"],
                "dataType": value["DataType"],
                "stringListValues": [],
                "binaryListValues": [],
            });
            (name.clone(), value)
        })
        .collect();
    json!({
        "messageId": message.message_id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": {
            "ApproximateReceiveCount": message.receives.to_string(),
            "SentTimestamp": message.sent_ms.to_string(),
            "ApproximateFirstReceiveTimestamp": message.first_received_ms.to_string(),
            "SenderId": "local",
        },
        "messageAttributes": attributes,
        "eventSource": "aws:sqs",
    })
}

/// Calls the scheduled functions at the start, for the days that nothing ran, and then daily. Nothing is
/// loaded from elsewhere unless an address is set for it: a stack on a laptop or in a test doesn't call
/// out by itself.
async fn daily(services: Services, stop: CancellationToken) {
    let settings = &services.settings;
    let enriches = settings.epss_url.is_some() || settings.kev_url.is_some();
    loop {
        let event = json!({ "source": "aws.events", "detail-type": "Scheduled Event" });
        // first, for due dates depend on it
        if enriches && let Err(error) = tatami_enrich::handle(&services, event.clone()).await {
            tracing::error!(%error, "the EPSS scores or the KEV catalogue are not those of today");
        }
        if let Err(error) = tatami_sla::handle(&services, event).await {
            tracing::error!(%error, "the daily SLA run failed");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(until_next_run(Timestamp::now())) => {}
        }
    }
}

/// Calls a function by its schedule, from one pause to the next.
async fn every<F, Fut, E>(pause: Duration, stop: CancellationToken, handle: F)
where
    F: Fn(Value) -> Fut,
    Fut: Future<Output = Result<Value, E>>,
    E: Display,
{
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let event = json!({ "source": "aws.events", "detail-type": "Scheduled Event" });
        if let Err(error) = handle(event).await {
            tracing::error!(%error, "a scheduled run failed");
        }
    }
}

fn until_next_run(now: Timestamp) -> Duration {
    let now = now.to_zoned(TimeZone::UTC);
    let today = now.date().at(DAILY_HOUR, 0, 0, 0).to_zoned(TimeZone::UTC);
    let next = today.and_then(|today| {
        if today > now {
            Ok(today)
        } else {
            today.checked_add(1.day())
        }
    });
    let wait = next.map_or(86_400, |next| {
        next.timestamp().as_second() - now.timestamp().as_second()
    });
    Duration::from_secs(wait.max(1).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daily_run_is_at_two() {
        let at = |text: &str| until_next_run(text.parse().unwrap()).as_secs();
        assert_eq!(at("2026-01-31T01:00:00Z"), 3600);
        assert_eq!(at("2026-01-31T02:00:00Z"), 86_400);
        assert_eq!(at("2026-01-31T23:00:00Z"), 3 * 3600);
    }
}
