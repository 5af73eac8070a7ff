//! Requests that may come twice and are done once: who does one, and what was answered.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::db::{Item, Table, corrupt, document, key_item, number, number_of, read_document, text};
use crate::{Result, Store, StoreError, keys};

/// How long an answer is kept, in seconds.
const KEPT_S: i64 = 24 * 60 * 60;
/// Whoever does a request has so long for it; then it counts as given up. In seconds.
const DOING_S: i64 = 60;
/// So many bytes of an answer go into one item, of which DynamoDB takes 400 KB.
const PIECE: usize = 350 * 1024;
/// How often a request is looked at again that changes while it is looked at.
const TRIES: usize = 5;

/// An answer that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeptAnswer {
    /// Its HTTP status.
    pub status: u16,
    /// Names and values of its headers.
    pub headers: Vec<(String, String)>,
    /// Its body; none where it must not be kept.
    pub body: Option<Vec<u8>>,
}

/// A request that one caller does, and nobody else.
#[derive(Debug)]
pub struct Turn {
    user: u64,
    key: String,
    fingerprint: String,
    holder: String,
}

/// What is to be done with a request.
#[derive(Debug)]
pub enum Begun {
    /// To do it, and to say how it ended: [`Store::keep_answer`] or [`Store::give_up`].
    First(Turn),
    /// To wait: somebody else does it.
    Running,
    /// To refuse it: the key belongs to another request.
    Differs,
    /// To answer with what was answered.
    Done(KeptAnswer),
}

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    status: u16,
    headers: Vec<(String, String)>,
    /// In how many pieces its body lies; none where it isn't kept.
    pieces: Option<usize>,
}

impl Store {
    /// Begins a user's request under a key of the client's. `key` and `fingerprint` are hashes: of the
    /// key, and of all that makes two requests the same.
    pub async fn begin_once(
        &self,
        user: u64,
        key: &str,
        fingerprint: &str,
        now: Timestamp,
    ) -> Result<Begun> {
        let turn = Turn {
            user,
            key: key.to_owned(),
            fingerprint: fingerprint.to_owned(),
            holder: format!("{:032x}", rand::random::<u128>()),
        };
        let at = keys::idempotent(user, key);
        for _ in 0..TRIES {
            let item = turn.item(None, now, DOING_S)?;
            let free = Some("attribute_not_exists(pk) OR ends <= :now");
            let values = vec![(":now", number(seconds(now, 0)))];
            match self.db.put(Table::Jobs, item, free, values).await {
                Ok(()) => return Ok(Begun::First(turn)),
                Err(error) if error.is_condition() => {}
                Err(error) => return Err(error),
            }
            let Some(item) = self.db.get(Table::Jobs, &at).await? else {
                continue;
            };
            if number_of(&item, "ends").is_none_or(|ends| ends <= seconds(now, 0)) {
                continue; // given up just now
            }
            if crate::db::text_of(&item, "fingerprint") != Some(fingerprint) {
                return Ok(Begun::Differs);
            }
            if !item.contains_key("d") {
                return Ok(Begun::Running);
            }
            return Ok(Begun::Done(self.kept(user, key, &item).await?));
        }
        Err(StoreError::Contention("this request".into()))
    }

    async fn kept(&self, user: u64, key: &str, item: &Item) -> Result<KeptAnswer> {
        let head: Head = read_document(item)?;
        let body = match head.pieces {
            None => None,
            Some(pieces) => {
                let mut body = Vec::new();
                for piece in 0..pieces {
                    let at = keys::idempotent_piece(user, key, piece);
                    let found = self.db.get(Table::Jobs, &at).await?;
                    let bytes = found.as_ref().and_then(|item| item.get("b")?.as_b().ok());
                    let bytes = bytes.ok_or_else(|| corrupt(item, "a piece of it is gone"))?;
                    body.extend_from_slice(bytes.as_ref());
                }
                Some(body)
            }
        };
        Ok(KeptAnswer {
            status: head.status,
            headers: head.headers,
            body,
        })
    }

    /// Keeps the answer of a request for those who send it again.
    pub async fn keep_answer(
        &self,
        turn: &Turn,
        answer: &KeptAnswer,
        now: Timestamp,
    ) -> Result<()> {
        let pieces = answer.body.as_deref().map(|body| body.chunks(PIECE));
        // The pieces first: an answer that is there can be read.
        for (n, piece) in pieces.clone().into_iter().flatten().enumerate() {
            let mut item = key_item(&keys::idempotent_piece(turn.user, &turn.key, n));
            item.insert("b".into(), AttributeValue::B(Blob::new(piece)));
            item.insert("ttl".into(), number(seconds(now, KEPT_S)));
            self.db.put(Table::Jobs, item, None, vec![]).await?;
        }
        let head = Head {
            status: answer.status,
            headers: answer.headers.clone(),
            pieces: pieces.map(|pieces| pieces.len()),
        };
        self.settle(turn, turn.item(Some(&head), now, KEPT_S)?)
            .await
    }

    /// Gives a request up of which nothing was done: it may be tried again.
    pub async fn give_up(&self, turn: &Turn, now: Timestamp) -> Result<()> {
        self.settle(turn, turn.item(None, now, 0)?).await
    }

    /// Writes how a request ended, unless its turn is over and somebody else has it.
    async fn settle(&self, turn: &Turn, item: Item) -> Result<()> {
        let held = Some("holder = :holder");
        let values = vec![(":holder", text(&turn.holder))];
        match self.db.put(Table::Jobs, item, held, values).await {
            Err(error) if error.is_condition() => Ok(()),
            other => other,
        }
    }
}

impl Turn {
    fn item(&self, head: Option<&Head>, now: Timestamp, ends_s: i64) -> Result<Item> {
        let key = keys::idempotent(self.user, &self.key);
        let mut item = match head {
            Some(head) => document(&key, head)?,
            None => key_item(&key),
        };
        item.insert("fingerprint".into(), text(&self.fingerprint));
        item.insert("holder".into(), text(&self.holder));
        item.insert("ends".into(), number(seconds(now, ends_s)));
        item.insert("ttl".into(), number(seconds(now, ends_s)));
        Ok(item)
    }
}

/// A time some seconds from another, in seconds since 1970.
fn seconds(now: Timestamp, after_s: i64) -> u64 {
    u64::try_from(now.as_second().saturating_add(after_s)).unwrap_or(0)
}
