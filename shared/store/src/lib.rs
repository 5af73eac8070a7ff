//! DynamoDB: the product tree, findings, claims, counts and imports.
//!
//! Only this crate knows tables and keys (`keys.rs`). Three tables, each with a text partition key
//! `pk` and a text sort key `sk`:
//!
//! - *catalog*: product types, products, engagements, tests, test types, environments, users,
//!   tokens, deduplication settings, and the counters that give them their ids;
//! - *findings*: findings in blocks of 1,024, claims, notes, count deltas and their bases;
//! - *jobs*: imports with their parts and what they did.
//!
//! An item's document is JSON in the attribute `d`; what conditions and updates need stands beside
//! it as attributes of its own.

mod acceptances;
mod attached;
mod attempts;
mod audit;
mod branch;
mod catalog;
mod claims;
mod commit;
mod counts;
mod days;
mod db;
mod dedupe;
mod deliveries;
mod endpoints;
mod error;
mod events;
mod findings;
mod gone;
mod groups;
mod history;
mod idempotency;
mod imports;
mod intel;
mod jira;
mod jobs;
mod keys;
mod leases;
mod notifications;
mod outbox;
mod rate;
mod rehash;
mod sessions;
mod settings;
mod setup;
mod sla;
mod target;
mod view;

pub use attached::{FINDING_KIND, NotePlace};
pub use attempts::Attempts;
pub use audit::{AUDIT_BLOCK, AuditHead, Broken, Record, acted_by};
pub use branch::kind_of;
pub use catalog::{Entity, Named};
pub use claims::{Claim, Member};
pub use commit::{Change, Commit, Committed, Marker};
pub use days::Days;
pub use db::Usage;
pub use deliveries::Collecting;
pub use endpoints::{EndpointBook, EndpointChange, EndpointRecord};
pub use error::StoreError;
pub use gone::{Below, FILE_KIND, one_look};
pub use groups::{Grouped, Grouping};
pub use history::ImportLine;
pub use idempotency::{Begun, KeptAnswer, Turn};
pub use imports::{ImportRecord, Progress};
pub use jira::{JIRA_STAMP, JiraComment, JiraProjects, JiraState};
pub use keys::Scope;
pub use leases::Lease;
pub use outbox::{Follows, key_of_event};
pub use rate::{Rate, Taken};
pub use setup::Tables;
pub use target::{Missing, Target, TargetError};
pub use view::Sight;

use db::Db;
use jiff::Timestamp;

/// Everything Tatami keeps in DynamoDB.
#[derive(Debug, Clone)]
pub struct Store {
    db: Db,
    view: view::Cache,
    /// Does it hide what was deleted and is still being removed?
    hides: bool,
    slas: sla::Cache,
    intel: intel::Held,
    books: endpoints::Books,
    days: days::Cache,
    clock: days::Clock,
    jira: jira::Cache,
    outbox: outbox::Pending,
}

impl Store {
    /// A store on the given tables.
    pub fn new(client: aws_sdk_dynamodb::Client, tables: Tables) -> Self {
        Self {
            db: Db::new(client, tables),
            view: view::Cache::default(),
            hides: false,
            slas: sla::Cache::default(),
            intel: intel::Held::default(),
            books: endpoints::Books::default(),
            days: days::Cache::default(),
            clock: days::Clock::default(),
            jira: jira::Cache::default(),
            outbox: outbox::Pending::default(),
        }
    }

    /// The same store by another clock, which says on which day changes are made.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.clock = days::Clock::of(clock);
        self
    }

    /// Requests, read and write units since the start of this process.
    pub fn usage(&self) -> Usage {
        self.db.usage()
    }
}

/// Result of a store call.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;
