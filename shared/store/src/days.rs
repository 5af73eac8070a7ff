//! What changed on which day: the state of a product at the end of any day, in the facts that metrics are
//! made of, without reading a finding.
//!
//! The delta of each commit has the facts that it changed, and a fold adds them to the item of their day,
//! in the transaction in which the deltas go. All days up to one, and the deltas since the last fold, add
//! up to the state at the end of that day; all there are to the state now. A day that has grown large is
//! gone on with in another item, so that no fold writes much.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::TransactWriteItem;
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;
use tatami_domain::{ProductId, SeverityCounts, TestId};
use tatami_metrics::{Fact, Facts};

use crate::counts::State;
use crate::db::{Item, Table, corrupt, document, number, number_of, read_document, text_of};
use crate::gone::Gone;
use crate::{Result, Store, StoreError, keys};

/// An item of a day that has so many bytes isn't added to any more.
const PART_BYTES: usize = 48 << 10;
/// How many facts are kept in memory; each takes about 200 bytes.
const MAX_FACTS: u64 = 500_000;
/// The days of how many products are read side by side.
const PARALLEL: usize = 8;
/// What nobody has asked for so long is let go.
const MAX_IDLE: Duration = Duration::from_mins(15);

/// The time, for whoever says on which day something was done.
#[derive(Clone)]
pub(crate) struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    pub fn of(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::of(Timestamp::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").finish_non_exhaustive()
    }
}

/// The folded days of a product.
#[derive(Debug, Default)]
struct Folded {
    /// After so many folds.
    fold: u64,
    days: BTreeMap<Date, Facts>,
    sum: Facts,
}

#[derive(Clone)]
pub(crate) struct Cache(moka::sync::Cache<ProductId, Arc<Folded>>);

impl Default for Cache {
    fn default() -> Self {
        let weigh = |_: &ProductId, folded: &Arc<Folded>| {
            let of_days = folded.days.values().map(Facts::len).sum::<usize>();
            u32::try_from(1 + folded.sum.len() + of_days).unwrap_or(u32::MAX)
        };
        let cache = moka::sync::Cache::builder()
            .max_capacity(MAX_FACTS)
            .weigher(weigh)
            .time_to_idle(MAX_IDLE);
        Self(cache.build())
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

/// What changed on which day in a product, as of now.
#[derive(Debug)]
pub struct Days {
    folded: Arc<Folded>,
    /// What isn't folded yet.
    since: BTreeMap<Date, Facts>,
    /// Tests that are gone and still being removed.
    gone: HashSet<TestId>,
    /// Whether they add up to what there is: before version 0.4 no facts were kept.
    whole: bool,
}

impl Days {
    /// Does every finding of the product appear in it? One that came before facts were kept doesn't.
    pub fn are_whole(&self) -> bool {
        self.whole
    }

    /// The first day on which something was changed.
    pub fn first(&self) -> Option<Date> {
        let firsts = [self.folded.days.keys().next(), self.since.keys().next()];
        firsts.into_iter().flatten().min().copied()
    }

    /// Shows the state at the end of a day, or now: each fact with its number, which is positive.
    pub fn facts(&self, until: Option<Date>, mut see: impl FnMut(&Fact, u64)) {
        let mut show = |facts: &Facts| {
            for (fact, n) in facts.iter() {
                if let Ok(n) = u64::try_from(n)
                    && !self.gone.contains(&fact.test)
                {
                    see(fact, n);
                }
            }
        };
        if until.is_none() && self.since.is_empty() {
            return show(&self.folded.sum);
        }
        let is_until = |day: &Date| until.is_none_or(|until| *day <= until);
        let mut sum = if until.is_none() {
            self.folded.sum.clone()
        } else {
            let mut sum = Facts::default();
            for (_, facts) in self.folded.days.iter().filter(|(day, _)| is_until(day)) {
                sum.merge(facts);
            }
            sum
        };
        for (_, facts) in self.since.iter().filter(|(day, _)| is_until(day)) {
            sum.merge(facts);
        }
        show(&sum);
    }

    /// Shows what changed, day by day: each fact with its number, negative where there are fewer.
    pub fn changes(&self, mut see: impl FnMut(Date, &Fact, i64)) {
        let all = self.folded.days.iter().chain(&self.since);
        for (day, facts) in all {
            for (fact, n) in facts.iter() {
                if !self.gone.contains(&fact.test) {
                    see(*day, fact, n);
                }
            }
        }
    }
}

/// The counts that facts amount to.
fn counts_of<'f>(facts: impl IntoIterator<Item = &'f Facts>) -> SeverityCounts {
    let mut counts = SeverityCounts::default();
    for (fact, n) in facts.into_iter().flat_map(Facts::iter) {
        counts.add_times(fact.severity, fact.flags, n);
    }
    counts
}

fn read_day(item: &Item) -> Result<(Date, u64, Facts)> {
    let place = text_of(item, "sk").and_then(keys::day_of);
    let (day, part) = place.ok_or_else(|| corrupt(item, "its sort key is no day"))?;
    Ok((day, part, read_document(item)?))
}

impl Store {
    /// The UTC day.
    pub(crate) fn today(&self) -> Date {
        Offset::UTC.to_datetime((self.clock.0)()).date()
    }

    /// What changed on which day in a product. Where nothing was folded since the last time, that reads
    /// its counts and nothing else.
    pub async fn days(&self, product: ProductId) -> Result<Days> {
        let days = self.days_of(&[product]).await?.remove(&product);
        days.ok_or_else(|| StoreError::Contention(format!("product {product}")))
    }

    /// The same for some products at once.
    pub async fn days_of(&self, products: &[ProductId]) -> Result<BTreeMap<ProductId, Days>> {
        let gone = self.gone().await?;
        let mut states = match products {
            [] => return Ok(BTreeMap::new()),
            [one] => BTreeMap::from([(*one, self.count_state(*one).await?)]),
            _ => self.count_states().await?,
        };
        let reads: Vec<_> = (products.iter())
            .map(|product| (*product, states.remove(product).unwrap_or_default()))
            .map(|(product, state)| self.days_at(product, state, &gone))
            .collect();
        let reads = futures::stream::iter(reads).buffer_unordered(PARALLEL);
        reads.try_collect().await
    }

    async fn days_at(
        &self,
        product: ProductId,
        mut state: State,
        gone: &Gone,
    ) -> Result<(ProductId, Days)> {
        if gone.product(product) {
            state = State::default();
        }
        for _ in 0..20 {
            let Some(folded) = self.folded(product, &state).await? else {
                state = self.count_state(product).await?; // a fold came between the two reads
                continue;
            };
            let mut since: BTreeMap<Date, Facts> = BTreeMap::new();
            for delta in state.deltas.values() {
                if let Some(day) = delta.day {
                    since.entry(day).or_default().merge(&delta.facts);
                }
            }
            let kept = counts_of([&folded.sum].into_iter().chain(since.values()));
            let days = Days {
                whole: kept == state.counts(),
                gone: gone.tests_of(product).cloned().unwrap_or_default(),
                folded,
                since,
            };
            return Ok((product, days));
        }
        Err(StoreError::Contention(format!("product {product}")))
    }

    /// The folded days as of a state; none where they are of a later one.
    async fn folded(&self, product: ProductId, state: &State) -> Result<Option<Arc<Folded>>> {
        let fold = state.base.fold;
        if fold == 0 {
            return Ok(Some(Arc::default()));
        }
        if let Some(known) = self.days.0.get(&product)
            && known.fold == fold
        {
            return Ok(Some(known));
        }
        let mut folded = Folded {
            fold,
            ..Folded::default()
        };
        let partition = keys::days(product);
        for item in self.db.query(Table::Findings, &partition, None).await? {
            if number_of(&item, "fold").unwrap_or(0) > fold {
                return Ok(None);
            }
            let (day, _, facts) = read_day(&item)?;
            folded.sum.merge(&facts);
            folded.days.entry(day).or_default().merge(&facts);
        }
        let folded = Arc::new(folded);
        self.days.0.insert(product, Arc::clone(&folded));
        Ok(Some(folded))
    }

    /// The write by which a fold adds facts to a day; none where they add up to nothing.
    pub(crate) async fn day_in(
        &self,
        product: ProductId,
        day: Date,
        mut facts: Facts,
        fold: u64,
    ) -> Result<Option<TransactWriteItem>> {
        if facts.is_empty() {
            return Ok(None);
        }
        let prefix = keys::day_prefix(day);
        let partition = keys::days(product);
        let parts = self.db.query(Table::Findings, &partition, Some(&prefix));
        let (mut part, mut known) = (0, None);
        if let Some(last) = parts.await?.last() {
            let (_, last_part, before) = read_day(last)?;
            if text_of(last, "d").map_or(0, str::len) < PART_BYTES {
                facts.merge(&before);
                part = last_part;
                known = Some(number_of(last, "fold").unwrap_or(0));
            } else {
                part = last_part + 1;
            }
        }
        let mut item = document(&keys::day(product, day, part), &facts)?;
        item.insert("fold".into(), number(fold));
        self.put_fold(item, known).map(Some)
    }
}
