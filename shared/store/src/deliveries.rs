//! The log of deliveries: a line for each message to one receiver over one channel. Beside it lies what of
//! them waits, so that nobody has to look through the log, and what users collect for a digest.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};
use tatami_domain::{Delivery, DeliveryId, DeliveryState, Receiver, UserId};

use crate::db::{
    ABSENT, Item, Table, Transacted, Update, corrupt, document, key_item, number, number_of,
    read_document, text, text_of,
};
use crate::notifications::kept_until;
use crate::{Result, Store, StoreError, keys};

const KIND: &str = "DELIVERY";
/// So many are made in one transaction, of three items each.
const TOGETHER: usize = 33;
/// How often a transaction is tried again that others were in the way of.
const TRIES: usize = 10;
/// What waits without a time is looked for after so long: its message to the queue was lost.
const LOST: SignedDuration = SignedDuration::from_mins(2);

/// A user who collects messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collecting {
    /// Who.
    pub user: UserId,
    /// When the next digest is due.
    pub due: Timestamp,
    /// Counts what was collected, so that nobody stops while more comes.
    count: u64,
}

fn read_delivery(item: &Item) -> Result<Delivery> {
    let mut delivery: Delivery = read_document(item)?;
    delivery.id = id_of(item)?;
    Ok(delivery)
}

fn id_of(item: &Item) -> Result<DeliveryId> {
    let id = text_of(item, "sk").and_then(|sk| sk.parse().ok());
    id.map(DeliveryId)
        .ok_or_else(|| corrupt(item, "its sort key is no id"))
}

fn milliseconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_millisecond()).unwrap_or(0)
}

fn delivery_item(delivery: &Delivery) -> Result<Item> {
    let mut item = document(&keys::delivery(delivery.id), delivery)?;
    item.insert("tries".into(), number(delivery.tries.into()));
    item.insert("st".into(), text(delivery.state.name()));
    item.insert("ttl".into(), number(kept_until(delivery.created)));
    Ok(item)
}

/// What says of a delivery that it isn't over yet.
fn pending_item(delivery: &Delivery) -> Option<Item> {
    let key = match (delivery.state, delivery.receiver) {
        (DeliveryState::Waiting, _) => keys::waiting(delivery.id),
        (DeliveryState::Collected, Receiver::User(user)) => keys::collected(user, delivery.id),
        _ => return None,
    };
    let mut item = key_item(&key);
    let due = delivery.next_try.unwrap_or(delivery.created + LOST);
    item.insert("due".into(), number(milliseconds(due)));
    item.insert("ttl".into(), number(kept_until(delivery.created)));
    Some(item)
}

impl Store {
    /// Makes a delivery, once for its key; gives the one there is, and whether it was made now.
    pub async fn create_delivery(&self, delivery: Delivery) -> Result<(Delivery, bool)> {
        let key = delivery.key.clone();
        let made = self.create_deliveries(vec![delivery]).await?.pop();
        made.ok_or(StoreError::NotFound {
            kind: "delivery",
            id: key,
        })
    }

    /// Makes deliveries, each once for its key; gives those there are, and whether they were made now.
    pub async fn create_deliveries(
        &self,
        deliveries: Vec<Delivery>,
    ) -> Result<Vec<(Delivery, bool)>> {
        let by_key: BTreeMap<String, Delivery> = (deliveries.into_iter())
            .map(|delivery| (delivery.key.clone(), delivery))
            .collect();
        let all: Vec<Delivery> = by_key.into_values().collect();
        let mut made = Vec::with_capacity(all.len());
        for some in all.chunks(TOGETHER) {
            made.extend(self.create_together(some).await?);
        }
        Ok(made)
    }

    async fn create_together(&self, some: &[Delivery]) -> Result<Vec<(Delivery, bool)>> {
        let names = some
            .iter()
            .map(|delivery| keys::delivery_name(&delivery.key));
        let names: Vec<keys::Key> = names.collect();
        for attempt in 0..TRIES {
            crate::catalog::pause(attempt).await;
            let mut known: HashMap<String, DeliveryId> = HashMap::new();
            for item in self.db.get_many(Table::Jobs, names.clone()).await? {
                let id = number_of(&item, "id");
                let id = id.ok_or_else(|| corrupt(&item, "it names no delivery"))?;
                let name = text_of(&item, "pk").unwrap_or_default();
                known.insert(name.to_owned(), DeliveryId(id));
            }
            let missing = some.iter().zip(&names);
            let missing: Vec<_> = missing
                .filter(|(_, name)| !known.contains_key(&name.pk))
                .collect();
            let mut made = Vec::new();
            let mut items = Vec::new();
            if !missing.is_empty() {
                let first = self.next_ids(KIND, missing.len() as u64).await?;
                for (id, (delivery, name)) in (first..).zip(missing) {
                    let delivery = Delivery {
                        id: DeliveryId(id),
                        ..delivery.clone()
                    };
                    let mut claim = key_item(name);
                    claim.insert("id".into(), number(id));
                    claim.insert("ttl".into(), number(kept_until(delivery.created)));
                    let new = [Some(claim), Some(delivery_item(&delivery)?)];
                    for item in new.into_iter().flatten() {
                        items.push(self.db.put_in(Table::Jobs, item, Some(ABSENT), vec![])?);
                    }
                    if let Some(item) = pending_item(&delivery) {
                        items.push(self.db.put_in(Table::Jobs, item, None, vec![])?);
                    }
                    made.push((delivery, true));
                }
                if self.db.transact(items).await? != Transacted::Done {
                    continue;
                }
            }
            let there = self.deliveries_of(known.into_values().collect()).await?;
            made.extend(there.into_iter().map(|delivery| (delivery, false)));
            return Ok(made);
        }
        Err(StoreError::Contention("deliveries".into()))
    }

    /// The delivery with this id.
    pub async fn delivery(&self, id: DeliveryId) -> Result<Delivery> {
        match self.db.get(Table::Jobs, &keys::delivery(id)).await? {
            Some(item) => read_delivery(&item),
            None => Err(StoreError::NotFound {
                kind: "delivery",
                id: id.to_string(),
            }),
        }
    }

    /// Those of the deliveries that are there, by ascending id.
    pub async fn deliveries_of(&self, mut ids: Vec<DeliveryId>) -> Result<Vec<Delivery>> {
        ids.sort_unstable();
        ids.dedup();
        let keys = ids.into_iter().map(keys::delivery).collect();
        let items = self.db.get_many(Table::Jobs, keys).await?;
        let all: Result<Vec<Delivery>> = items.iter().map(read_delivery).collect();
        let mut all = all?;
        all.sort_by_key(|delivery| delivery.id);
        Ok(all)
    }

    /// Writes a delivery that was read with so many tries and in this state; `false` where somebody else was
    /// quicker.
    pub async fn put_delivery(
        &self,
        delivery: &Delivery,
        tries: u32,
        state: DeliveryState,
    ) -> Result<bool> {
        // Whoever is stopped in between leaves one too many in what waits, and never one too few.
        let pending = pending_item(delivery);
        let over = pending.is_none();
        if let Some(item) = pending {
            self.db.put(Table::Jobs, item, None, vec![]).await?;
        }
        let item = delivery_item(delivery)?;
        let unchanged = vec![(":n", number(tries.into())), (":s", text(state.name()))];
        let put = self
            .db
            .put(Table::Jobs, item, Some("tries = :n AND st = :s"), unchanged);
        match put.await {
            Ok(()) => {}
            Err(error) if error.is_condition() => return Ok(false),
            Err(error) => return Err(error),
        }
        match (state, delivery.receiver) {
            (DeliveryState::Collected, Receiver::User(user)) => {
                self.collected_no_more(user, delivery.id).await?;
            }
            _ if over => self.waits_no_more(delivery.id).await?,
            _ => {}
        }
        Ok(true)
    }

    /// Takes a delivery that is over, or gone, out of what waits.
    pub async fn waits_no_more(&self, id: DeliveryId) -> Result<()> {
        self.db.delete(Table::Jobs, &keys::waiting(id)).await
    }

    /// Takes a delivery that is over out of what its user has collected.
    pub async fn collected_no_more(&self, user: UserId, id: DeliveryId) -> Result<()> {
        self.db
            .delete(Table::Jobs, &keys::collected(user, id))
            .await
    }

    /// The deliveries whose time for a try has come, or whose message to the queue was lost; those that
    /// have waited longest first.
    pub async fn deliveries_due(&self) -> Result<Vec<DeliveryId>> {
        let now = milliseconds(self.now());
        let partitions = keys::waiting_partitions();
        let mut due = Vec::new();
        for item in (self.db.query_all(Table::Jobs, partitions).await?.iter()).flatten() {
            let at = number_of(item, "due").unwrap_or(0);
            if at <= now {
                due.push((at, id_of(item)?));
            }
        }
        due.sort_unstable();
        Ok(due.into_iter().map(|(_, id)| id).collect())
    }

    /// Notes that a user collects messages, for a digest that is due then if none is due before.
    pub async fn collect(&self, user: UserId, due: Timestamp) -> Result<()> {
        let update = Update {
            expression: "SET due = if_not_exists(due, :due) ADD n :one",
            condition: None,
            values: vec![(":due", number(milliseconds(due))), (":one", number(1))],
        };
        let key = keys::collecting(user);
        self.db.update(Table::Jobs, &key, update).await.map(drop)
    }

    /// The users whose digests are due.
    pub async fn digests_due(&self) -> Result<Vec<Collecting>> {
        let items = self.db.query(Table::Jobs, keys::COLLECTING, None).await?;
        let now = self.now();
        let mut due = Vec::new();
        for item in &items {
            let number = |name| number_of(item, name).and_then(|n| i64::try_from(n).ok());
            let at = number("due").and_then(|at| Timestamp::from_millisecond(at).ok());
            let collecting = Collecting {
                user: UserId(id_of(item)?.0),
                due: at.ok_or_else(|| corrupt(item, "no time"))?,
                count: number_of(item, "n").unwrap_or(0),
            };
            if collecting.due <= now {
                due.push(collecting);
            }
        }
        Ok(due)
    }

    /// What a user has collected, oldest first; so many at most.
    pub async fn collected(&self, user: UserId, most: usize) -> Result<Vec<Delivery>> {
        let partition = keys::all_collected(user);
        let items = self.db.query(Table::Jobs, &partition, None).await?;
        let ids: Result<Vec<DeliveryId>> = items.iter().take(most).map(id_of).collect();
        self.deliveries_of(ids?).await
    }

    /// Has the next digest of somebody due at this time, if nobody else has seen to it.
    pub async fn collect_until(&self, collecting: &Collecting, next: Timestamp) -> Result<()> {
        let update = Update {
            expression: "SET due = :next",
            condition: Some("due = :due"),
            values: vec![
                (":next", number(milliseconds(next))),
                (":due", number(milliseconds(collecting.due))),
            ],
        };
        let key = keys::collecting(collecting.user);
        match self.db.update(Table::Jobs, &key, update).await {
            Err(error) if !error.is_condition() => Err(error),
            _ => Ok(()),
        }
    }

    /// Notes that a user collects nothing any more; nothing happens if something was collected since.
    pub async fn stop_collecting(&self, collecting: &Collecting) -> Result<()> {
        let key = keys::collecting(collecting.user);
        let unchanged = vec![(":n", number(collecting.count))];
        let item = (self.db).delete_in(Table::Jobs, &key, "n = :n", unchanged)?;
        self.db.transact(vec![item]).await.map(drop)
    }

    /// All deliveries that are kept, newest first.
    pub async fn deliveries(&self) -> Result<Vec<Delivery>> {
        let last = self.last_id(KIND).await?;
        let partitions = keys::entity_blocks(last).map(keys::deliveries).collect();
        let items = self.db.query_all(Table::Jobs, partitions).await?;
        let mut all: Vec<Delivery> = items
            .iter()
            .flatten()
            .map(read_delivery)
            .collect::<Result<_>>()?;
        all.reverse();
        Ok(all)
    }
}
