//! The SQL of the queues. Every function runs inside a transaction of the database thread.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::{Map, Value, json};

use super::{ACCOUNT, MAX_BATCH, MAX_BYTES, MAX_VISIBILITY_S, MAX_WAIT_S, SqsError, check_range};

/// The bodies stand apart from the queue state, so that receiving a long message does not rewrite it.
pub(crate) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS queue (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    visibility_s INTEGER NOT NULL,
    retention_s INTEGER NOT NULL,
    wait_s INTEGER NOT NULL,
    delay_s INTEGER NOT NULL,
    dead_letters TEXT,
    max_receives INTEGER,
    created_ms INTEGER NOT NULL,
    modified_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY,
    queue INTEGER NOT NULL,
    visible_ms INTEGER NOT NULL,
    receives INTEGER NOT NULL DEFAULT 0,
    sent_ms INTEGER NOT NULL,
    first_received_ms INTEGER,
    source INTEGER,
    message_id TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS message_due ON message (queue, visible_ms, receives);
CREATE TABLE IF NOT EXISTS payload (
    id INTEGER PRIMARY KEY,
    body TEXT NOT NULL,
    attributes TEXT,
    trace TEXT
) STRICT;
";

/// A queue as stored.
#[derive(Debug, Clone)]
pub struct Queue {
    id: i64,
    /// Its name.
    pub name: String,
    /// Its settings.
    pub settings: QueueSettings,
    /// When it was created, in milliseconds since 1970.
    pub created_ms: i64,
    /// When its settings last changed, in milliseconds since 1970.
    pub modified_ms: i64,
}

/// The settings of a queue, with the defaults of SQS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSettings {
    /// Seconds that a received message stays hidden.
    pub visibility_s: i64,
    /// Seconds until a message is dropped.
    pub retention_s: i64,
    /// Seconds that a receive waits for a message.
    pub wait_s: i64,
    /// Seconds until a sent message becomes visible.
    pub delay_s: i64,
    /// Where messages go that nobody can handle.
    pub redrive: Option<RedrivePolicy>,
}

/// After how many receives a message goes to which queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedrivePolicy {
    /// The name of the dead-letter queue.
    pub dead_letters: String,
    /// The receives that a message is given.
    pub max_receives: i64,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            visibility_s: 30,
            retention_s: 4 * 24 * 60 * 60,
            wait_s: 0,
            delay_s: 0,
            redrive: None,
        }
    }
}

impl QueueSettings {
    /// These settings with some changed, named and written as SQS does.
    pub fn with(mut self, attributes: &Map<String, Value>) -> Result<Self, SqsError> {
        for (name, value) in attributes {
            let number = |low, high| check_range(name, integer(name, value)?, low, high);
            match name.as_str() {
                "VisibilityTimeout" => self.visibility_s = number(0, MAX_VISIBILITY_S)?,
                "MessageRetentionPeriod" => self.retention_s = number(60, 14 * 24 * 60 * 60)?,
                "ReceiveMessageWaitTimeSeconds" => self.wait_s = number(0, MAX_WAIT_S)?,
                "DelaySeconds" => self.delay_s = number(0, 15 * 60)?,
                "RedrivePolicy" => self.redrive = redrive_policy(value)?,
                // Accepted, without a meaning here.
                "MaximumMessageSize"
                | "Policy"
                | "RedriveAllowPolicy"
                | "KmsMasterKeyId"
                | "KmsDataKeyReusePeriodSeconds"
                | "SqsManagedSseEnabled" => {}
                _ => return Err(SqsError::InvalidAttributeName(name.clone())),
            }
        }
        Ok(self)
    }
}

fn integer(name: &str, value: &Value) -> Result<i64, SqsError> {
    value
        .as_i64()
        .or_else(|| value.as_str()?.trim().parse().ok())
        .ok_or_else(|| SqsError::InvalidParameterValue(format!("{name} must be a whole number")))
}

fn redrive_policy(value: &Value) -> Result<Option<RedrivePolicy>, SqsError> {
    let text = value.as_str().unwrap_or_default();
    if text.is_empty() {
        return Ok(None);
    }
    let invalid = || SqsError::InvalidParameterValue(format!("invalid RedrivePolicy {text}"));
    let policy: Value = serde_json::from_str(text).map_err(|_| invalid())?;
    let arn = policy["deadLetterTargetArn"].as_str().ok_or_else(invalid)?;
    let max_receives = integer("maxReceiveCount", &policy["maxReceiveCount"])?;
    Ok(Some(RedrivePolicy {
        dead_letters: queue_of_arn(arn)?.to_owned(),
        max_receives: check_range("maxReceiveCount", max_receives, 1, 1000)?,
    }))
}

/// The queue name in an ARN.
pub(super) fn queue_of_arn(arn: &str) -> Result<&str, SqsError> {
    match arn.split(':').collect::<Vec<_>>()[..] {
        ["arn", "aws", "sqs", _, _, name] if !name.is_empty() => Ok(name),
        _ => Err(SqsError::InvalidParameterValue(format!(
            "invalid queue ARN {arn}"
        ))),
    }
}

/// How many messages a queue has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Ready to be received.
    pub visible: i64,
    /// Received, but not yet deleted.
    pub in_flight: i64,
    /// Sent with a delay that is not over.
    pub delayed: i64,
}

/// A message to send.
#[derive(Debug, Clone, Default)]
pub struct NewMessage {
    /// The text.
    pub body: String,
    /// Seconds until it becomes visible; by default what the queue says.
    pub delay_s: Option<i64>,
    /// The message attributes as SQS writes them: name to `{DataType, StringValue}`.
    pub attributes: Option<Map<String, Value>>,
    /// The X-Ray trace header.
    pub trace: Option<String>,
}

impl NewMessage {
    /// The bytes that count against the limit: body, and names, types and values of attributes.
    pub(super) fn len(&self) -> usize {
        let attributes = self.attributes.iter().flatten();
        self.body.len()
            + attributes
                .map(|(name, value)| {
                    let field = |key| value[key].as_str().map_or(0, str::len);
                    name.len() + field("DataType") + field("StringValue") + field("BinaryValue")
                })
                .sum::<usize>()
    }
}

/// A received message.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its id.
    pub message_id: String,
    /// What deletes it, or changes its visibility, until it is received again.
    pub receipt_handle: String,
    /// The text.
    pub body: String,
    /// The message attributes as SQS writes them.
    pub attributes: Option<Map<String, Value>>,
    /// The X-Ray trace header.
    pub trace: Option<String>,
    /// How often it was received, this time included.
    pub receives: i64,
    /// When it was sent, in milliseconds since 1970.
    pub sent_ms: i64,
    /// When it was first received, in milliseconds since 1970.
    pub first_received_ms: i64,
    /// The queue that it failed in, if this is a dead-letter queue.
    pub source: Option<String>,
}

/// The outcome of one look into a queue.
pub(super) struct Received {
    pub messages: Vec<Message>,
    /// The dead-letter queue, if messages were moved there.
    pub moved_to: Option<String>,
    /// Until the next hidden message becomes visible.
    pub next_due: Option<Duration>,
    pub default_wait: Duration,
}

pub(super) fn find(db: &Connection, name: &str) -> Result<Queue, SqsError> {
    db.prepare_cached(
        "SELECT id, name, visibility_s, retention_s, wait_s, delay_s, dead_letters, max_receives,
                created_ms, modified_ms
         FROM queue WHERE name = ?1",
    )?
    .query_row([name], queue_of_row)
    .optional()?
    .ok_or(SqsError::QueueDoesNotExist)
}

fn queue_of_row(row: &Row) -> rusqlite::Result<Queue> {
    let dead_letters: Option<String> = row.get(6)?;
    let max_receives: Option<i64> = row.get(7)?;
    Ok(Queue {
        id: row.get(0)?,
        name: row.get(1)?,
        settings: QueueSettings {
            visibility_s: row.get(2)?,
            retention_s: row.get(3)?,
            wait_s: row.get(4)?,
            delay_s: row.get(5)?,
            redrive: dead_letters
                .zip(max_receives)
                .map(|(dead_letters, max_receives)| RedrivePolicy {
                    dead_letters,
                    max_receives,
                }),
        },
        created_ms: row.get(8)?,
        modified_ms: row.get(9)?,
    })
}

pub(super) fn ensure(
    db: &Connection,
    name: &str,
    settings: &QueueSettings,
    now_ms: i64,
) -> Result<(), SqsError> {
    let named_well = (1..=80).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !named_well {
        return Err(SqsError::InvalidParameterValue(
            "a queue name has 1 to 80 letters, digits, hyphens or underscores".into(),
        ));
    }
    if let Some(policy) = &settings.redrive
        && (policy.dead_letters == name || find(db, &policy.dead_letters).is_err())
    {
        return Err(SqsError::InvalidParameterValue(format!(
            "{} cannot be the dead-letter queue: it does not exist, or is the queue itself",
            policy.dead_letters
        )));
    }
    let redrive = settings.redrive.as_ref();
    db.prepare_cached(
        "INSERT INTO queue (name, visibility_s, retention_s, wait_s, delay_s, dead_letters,
                            max_receives, created_ms, modified_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)
         ON CONFLICT (name) DO UPDATE SET
             visibility_s = ?2, retention_s = ?3, wait_s = ?4, delay_s = ?5, dead_letters = ?6,
             max_receives = ?7, modified_ms = ?8",
    )?
    .execute(params![
        name,
        settings.visibility_s,
        settings.retention_s,
        settings.wait_s,
        settings.delay_s,
        redrive.map(|policy| &policy.dead_letters),
        redrive.map(|policy| policy.max_receives),
        now_ms,
    ])?;
    Ok(())
}

pub(super) fn list(db: &Connection, prefix: &str) -> Result<Vec<String>, SqsError> {
    let mut statement = db.prepare_cached(
        "SELECT name FROM queue WHERE substr(name, 1, length(?1)) = ?1 ORDER BY name",
    )?;
    let names = statement.query_map([prefix], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

pub(super) fn count(db: &Connection, queue: &Queue, now_ms: i64) -> Result<Counts, SqsError> {
    Ok(db
        .prepare_cached(
            "SELECT count(*) FILTER (WHERE visible_ms <= ?2),
                    count(*) FILTER (WHERE visible_ms > ?2 AND receives > 0),
                    count(*) FILTER (WHERE visible_ms > ?2 AND receives = 0)
             FROM message WHERE queue = ?1",
        )?
        .query_row([queue.id, now_ms], |row| {
            Ok(Counts {
                visible: row.get(0)?,
                in_flight: row.get(1)?,
                delayed: row.get(2)?,
            })
        })?)
}

pub(super) fn purge(db: &Connection, name: &str) -> Result<(), SqsError> {
    let queue = find(db, name)?;
    db.prepare_cached("DELETE FROM payload WHERE id IN (SELECT id FROM message WHERE queue = ?1)")?
        .execute([queue.id])?;
    db.prepare_cached("DELETE FROM message WHERE queue = ?1")?
        .execute([queue.id])?;
    Ok(())
}

pub(super) fn delete_queue(db: &Connection, name: &str) -> Result<(), SqsError> {
    purge(db, name)?;
    db.prepare_cached("DELETE FROM queue WHERE name = ?1")?
        .execute([name])?;
    Ok(())
}

/// Adds messages to a queue, all or none.
pub(crate) fn send(
    db: &Connection,
    queue: &str,
    messages: &[NewMessage],
    now_ms: i64,
) -> Result<Vec<String>, SqsError> {
    let queue = find(db, queue)?;
    if messages.iter().map(NewMessage::len).sum::<usize>() > MAX_BYTES {
        return Err(SqsError::BatchRequestTooLong);
    }
    let mut insert_message = db.prepare_cached(
        "INSERT INTO message (queue, visible_ms, sent_ms, message_id) VALUES (?1, ?2, ?3, ?4)",
    )?;
    let mut insert_payload = db.prepare_cached(
        "INSERT INTO payload (id, body, attributes, trace) VALUES (?1, ?2, ?3, ?4)",
    )?;
    let mut ids = Vec::with_capacity(messages.len());
    for message in messages {
        let delay_s = message.delay_s.unwrap_or(queue.settings.delay_s);
        let message_id = uuid::Uuid::new_v4().to_string();
        let row = insert_message.insert(params![
            queue.id,
            now_ms + delay_s * 1000,
            now_ms,
            message_id
        ])?;
        let attributes = message
            .attributes
            .as_ref()
            .map(|attributes| json!(attributes).to_string());
        insert_payload.execute(params![row, message.body, attributes, message.trace])?;
        ids.push(message_id);
    }
    Ok(ids)
}

/// Makes every received message visible again.
pub(super) fn release_all(db: &Connection, now_ms: i64) -> Result<usize, SqsError> {
    Ok(db.execute(
        "UPDATE message SET visible_ms = ?1 WHERE receives > 0 AND visible_ms > ?1",
        [now_ms],
    )?)
}

pub(super) fn receive(
    db: &Connection,
    name: &str,
    limit: usize,
    visibility: Option<Duration>,
    now_ms: i64,
) -> Result<Received, SqsError> {
    let queue = find(db, name)?;
    let visibility_ms = visibility.map_or(queue.settings.visibility_s * 1000, |visibility| {
        i64::try_from(visibility.as_millis()).unwrap_or(MAX_VISIBILITY_S * 1000)
    });
    let dead_letters = match &queue.settings.redrive {
        Some(policy) => find(db, &policy.dead_letters)
            .ok()
            .map(|to| (to, policy.max_receives)),
        None => None,
    };
    let mut due = db.prepare_cached(
        "SELECT m.id, m.message_id, m.receives, m.sent_ms, coalesce(m.first_received_ms, ?2),
                (SELECT name FROM queue WHERE id = m.source), p.body, p.attributes, p.trace
         FROM message m JOIN payload p USING (id)
         WHERE m.queue = ?1 AND m.visible_ms <= ?2
         ORDER BY m.visible_ms LIMIT ?3",
    )?;
    let mut take = db.prepare_cached(
        "UPDATE message SET receives = receives + 1, visible_ms = ?2,
                first_received_ms = coalesce(first_received_ms, ?3)
         WHERE id = ?1",
    )?;
    let mut bury = db.prepare_cached(
        "UPDATE message SET queue = ?2, source = queue, visible_ms = ?3 WHERE id = ?1",
    )?;

    let limit = limit.clamp(1, MAX_BATCH);
    let mut messages = Vec::new();
    let mut moved_to = None;
    loop {
        let rows: Vec<(i64, Message)> = due
            .query_map(
                params![queue.id, now_ms, limit - messages.len()],
                message_of_row,
            )?
            .collect::<Result<_, _>>()?;
        let mut again = false;
        for (row, message) in rows {
            // `receives` counts this one too.
            match &dead_letters {
                Some((to, max_receives)) if message.receives > *max_receives => {
                    bury.execute([row, to.id, now_ms])?;
                    moved_to = Some(to.name.clone());
                    again = true;
                }
                _ => {
                    take.execute([row, now_ms + visibility_ms, now_ms])?;
                    messages.push(message);
                }
            }
        }
        // What was buried made room for others. With a visibility of 0 the same ones would return.
        if !again || messages.len() >= limit || (visibility_ms == 0 && !messages.is_empty()) {
            break;
        }
    }
    let next_due = if messages.is_empty() {
        next_due(db, &queue, now_ms)?
    } else {
        None
    };
    let wait_s = u64::try_from(queue.settings.wait_s).unwrap_or_default();
    Ok(Received {
        messages,
        moved_to,
        next_due,
        default_wait: Duration::from_secs(wait_s),
    })
}

fn message_of_row(row: &Row) -> rusqlite::Result<(i64, Message)> {
    let id: i64 = row.get(0)?;
    let message_id: String = row.get(1)?;
    let receives = row.get::<_, i64>(2)? + 1;
    let attributes: Option<String> = row.get(7)?;
    let message = Message {
        receipt_handle: format!("{id}:{receives}:{message_id}"),
        message_id,
        body: row.get(6)?,
        attributes: attributes.and_then(|text| serde_json::from_str(&text).ok()),
        trace: row.get(8)?,
        receives,
        sent_ms: row.get(3)?,
        first_received_ms: row.get(4)?,
        source: row.get(5)?,
    };
    Ok((id, message))
}

fn next_due(db: &Connection, queue: &Queue, now_ms: i64) -> Result<Option<Duration>, SqsError> {
    let visible_ms: Option<i64> = db
        .prepare_cached("SELECT min(visible_ms) FROM message WHERE queue = ?1")?
        .query_row([queue.id], |row| row.get(0))?;
    Ok(
        visible_ms
            .map(|due| Duration::from_millis(u64::try_from(due - now_ms).unwrap_or(0).max(1))),
    )
}

/// Row, receives and message id of a receipt handle.
fn parse_handle(handle: &str) -> Result<(i64, i64, &str), SqsError> {
    let parse = || {
        let (row, rest) = handle.split_once(':')?;
        let (receives, message_id) = rest.split_once(':')?;
        Some((row.parse().ok()?, receives.parse().ok()?, message_id))
    };
    parse().ok_or(SqsError::ReceiptHandleIsInvalid)
}

/// Deletes a message. As in SQS, an outdated handle deletes nothing and is no error.
pub(super) fn delete(db: &Connection, queue: &Queue, handle: &str) -> Result<(), SqsError> {
    let (row, receives, message_id) = parse_handle(handle)?;
    let deleted = db
        .prepare_cached(
            "DELETE FROM message WHERE id = ?1 AND queue = ?2 AND receives = ?3 AND message_id = ?4",
        )?
        .execute(params![row, queue.id, receives, message_id])?;
    if deleted > 0 {
        db.prepare_cached("DELETE FROM payload WHERE id = ?1")?
            .execute([row])?;
    }
    Ok(())
}

pub(super) fn change_visibility(
    db: &Connection,
    queue: &Queue,
    handle: &str,
    seconds: i64,
    now_ms: i64,
) -> Result<(), SqsError> {
    let (row, receives, message_id) = parse_handle(handle)?;
    let changed = db
        .prepare_cached(
            "UPDATE message SET visible_ms = ?5
             WHERE id = ?1 AND queue = ?2 AND receives = ?3 AND message_id = ?4 AND visible_ms > ?6",
        )?
        .execute(params![row, queue.id, receives, message_id, now_ms + seconds * 1000, now_ms])?;
    if changed > 0 {
        Ok(())
    } else {
        Err(SqsError::MessageNotInflight)
    }
}

pub(super) fn redrive(
    db: &Connection,
    dead_letters: &str,
    destination: Option<&str>,
    now_ms: i64,
) -> Result<usize, SqsError> {
    let not_found = |_| SqsError::ResourceNotFound;
    let from = find(db, dead_letters).map_err(not_found)?;
    let to = destination
        .map(|name| find(db, name).map_err(not_found))
        .transpose()?;
    // Messages that were sent here directly know no source: they go to the first queue that has
    // this one for its dead letters.
    let fallback: Option<i64> = db
        .prepare_cached("SELECT min(id) FROM queue WHERE dead_letters = ?1")?
        .query_row([&from.name], |row| row.get(0))?;
    if to.is_none() && fallback.is_none() {
        return Err(SqsError::InvalidParameterValue(
            "source queue must be configured as a dead-letter queue".into(),
        ));
    }
    let moved = db
        .prepare_cached(
            "UPDATE message SET queue = coalesce(?3, (SELECT id FROM queue WHERE id = source), ?4),
                    visible_ms = ?2, sent_ms = ?2, receives = 0, first_received_ms = NULL,
                    source = NULL
             WHERE queue = ?1 AND visible_ms <= ?2",
        )?
        .execute(params![from.id, now_ms, to.map(|queue| queue.id), fallback])?;
    Ok(moved)
}

pub(super) fn sweep(db: &Connection, now_ms: i64) -> Result<usize, SqsError> {
    let expired = "SELECT m.id FROM message m JOIN queue q ON q.id = m.queue
                   WHERE m.sent_ms < ?1 - q.retention_s * 1000";
    db.execute(
        &format!("DELETE FROM payload WHERE id IN ({expired})"),
        [now_ms],
    )?;
    Ok(db.execute(
        &format!("DELETE FROM message WHERE id IN ({expired})"),
        [now_ms],
    )?)
}

/// The attributes of a queue as SQS writes them.
pub(super) fn attributes(
    queue: &Queue,
    counts: Counts,
    arn: impl Fn(&str) -> String,
) -> Map<String, Value> {
    let settings = &queue.settings;
    let numbers = [
        ("ApproximateNumberOfMessages", counts.visible),
        ("ApproximateNumberOfMessagesNotVisible", counts.in_flight),
        ("ApproximateNumberOfMessagesDelayed", counts.delayed),
        ("CreatedTimestamp", queue.created_ms / 1000),
        ("LastModifiedTimestamp", queue.modified_ms / 1000),
        ("VisibilityTimeout", settings.visibility_s),
        ("MessageRetentionPeriod", settings.retention_s),
        ("ReceiveMessageWaitTimeSeconds", settings.wait_s),
        ("DelaySeconds", settings.delay_s),
        (
            "MaximumMessageSize",
            i64::try_from(MAX_BYTES).unwrap_or(i64::MAX),
        ),
    ];
    let mut attributes: Map<String, Value> = numbers
        .map(|(name, value)| (name.to_owned(), json!(value.to_string())))
        .into_iter()
        .collect();
    attributes.insert("QueueArn".into(), json!(arn(&queue.name)));
    if let Some(policy) = &settings.redrive {
        let policy = json!({
            "deadLetterTargetArn": arn(&policy.dead_letters),
            "maxReceiveCount": policy.max_receives,
        });
        attributes.insert("RedrivePolicy".into(), json!(policy.to_string()));
    }
    attributes
}

/// The URL of a queue on the endpoint that was asked.
pub(super) fn url(host: &str, name: &str) -> String {
    format!("http://{host}/{ACCOUNT}/{name}")
}
