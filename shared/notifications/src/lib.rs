//! What is said of an event, to whom and how. No I/O.
//!
//! An [`Event`](tatami_domain::Event) becomes a [`Message`] for each [`Topic`] that it belongs to ([`message`]).
//! Who gets it on which [`Channel`]s follows from their [`Preferences`]. A channel has its form: [`mail`],
//! [`slack`], [`teams`], [`webhook`] and [`alert`]; what users collect comes as one mail ([`digest`]). Operators may
//! replace what is said by a [`Template`] of their own. Requests to webhooks are signed ([`sign`]) and repeated
//! ([`backoff()`]); a mail has a link to get no more of its kind ([`unsubscribe`]).
//!
//! Whatever comes from outside (titles of findings, notes, names) is cleaned, cut and escaped here: see
//! [`Message::fit`].

mod alert;
mod backoff;
mod digest;
mod mail;
mod message;
mod preferences;
mod signature;
mod slack;
mod teams;
mod template;
mod text;
mod texts;
mod topic;
pub mod unsubscribe;
mod webhook;

pub use alert::{Alert, alert};
pub use backoff::{backoff, worth_retrying};
pub use digest::{Digest, DigestSchedule, UnknownTimeZone, digest};
pub use mail::{Mail, Options, Reason, mail};
pub use message::{Fact, Item, Links, Message, Names, ProductName, Section, message, sample};
pub use preferences::{Preferences, resolve, resolve_system};
pub use signature::{
    DELIVERY_HEADER, EVENT_HEADER, SIGNATURE_HEADER, SignatureError, TIMESTAMP_HEADER, sign,
    sign_all, verify,
};
pub use slack::slack;
pub use teams::{MAX_TEAMS_BYTES, teams};
pub use template::{Rendered, Template, TemplateError};
pub use topic::{Channel, Topic};
pub use webhook::{WEBHOOK_VERSION, webhook};
